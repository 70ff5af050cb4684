//! The pictures in the README: `screenshots` lets the demo run for two minutes and photographs its pages, from the
//! repository's root.

#[path = "../tests/support/browser.rs"]
mod browser;

use browser::{Browser, Look};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Pages, and what their pictures are called.
const PAGES: [(&str, &str); 3] = [
    ("/dashboard", "experiments"),
    ("/dashboard/experiments/product-page", "experiment"),
    ("/dashboard/planner", "planner"),
];
const PICTURES: &str = "dashboard/pictures";
/// Posterior versions that the demo makes before it is looked at.
const VERSIONS: u64 = 12;

/// The demo; ends with this.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::main]
async fn main() -> Outcome<()> {
    // Beside this example, made by the same build.
    let program = std::env::current_exe()?.parent().and_then(Path::parent).map(|p| p.join("croupier"));
    let mut command = Command::new(program.ok_or("no directory of programs")?);
    command.args(["demo", "--listen", "127.0.0.1:0", "--log", "warn"]).stdout(Stdio::piped());
    let mut demo = Demo(command.spawn()?);
    let mut lines = BufReader::new(demo.0.stdout.take().ok_or("no output")?).lines().map_while(Result::ok);
    let base = lines
        .find_map(|l| l.trim().strip_prefix("dashboard").map(|u| u.trim().trim_end_matches("/dashboard").to_owned()));
    let base = base.ok_or("the demo did not start")?;
    std::thread::spawn(move || lines.for_each(drop));
    store::choose_cryptography();
    let client = reqwest::Client::new();
    loop {
        let results = client.get(format!("{base}/v1/experiments/product-page/results")).send().await?;
        let results: serde_json::Value = results.json().await?;
        if results["posterior_version"].as_u64() >= Some(VERSIONS) {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let browser = Browser::open(Look::DESK).await.ok_or("there is no browser")?;
    for (page, name) in PAGES {
        browser.goto(&format!("{base}{page}")).await?;
        // A page that waits for something looks again each second.
        browser.until("return !document.querySelector('[data-refresh-seconds=\"1\"]')", Vec::new()).await;
        browser.until_drawn().await;
        browser.picture(&Path::new(PICTURES).join(format!("{name}.png"))).await;
    }
    Ok(())
}
