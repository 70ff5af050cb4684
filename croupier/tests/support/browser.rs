//! A real browser without a window, driven over WebDriver.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, reason = "each test file uses its part")]

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Longest that anything awaited in a page may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// One browser with a profile of its own; gone when dropped.
pub struct Browser {
    client: Client,
    _driver: Driver,
    _profile: TempDir,
}

/// Chromium's driver, which ends its browsers when it is asked to end.
struct Driver(Child);

impl Drop for Driver {
    fn drop(&mut self) {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        if !asked.is_ok_and(|s| s.success()) {
            let _ = self.0.kill();
        }
        let _ = self.0.wait();
    }
}

/// Drivers start one after the other.
static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// How a reader's browser is.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    pub width: u32,
    pub height: u32,
    /// What the device prefers.
    pub dark: bool,
    /// What the reader prefers, as a BCP 47 tag.
    pub language: &'static str,
}

impl Look {
    pub const DESK: Self = Self { width: 1_280, height: 1_000, dark: false, language: "en" };
    pub const PHONE: Self = Self { width: 390, height: 844, dark: false, language: "en" };

    pub fn dark(self) -> Self {
        Self { dark: true, ..self }
    }

    pub fn japanese(self) -> Self {
        Self { language: "ja", ..self }
    }
}

/// A program of this machine; says so and gives none where it is missing, and fails under CI.
pub fn program(name: &str) -> Option<PathBuf> {
    let dirs = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&dirs).map(|dir| dir.join(name)).find(|path| path.is_file());
    found.or_else(|| missing(name))
}

pub fn missing<T>(what: &str) -> Option<T> {
    let line = format!("NOT RUN: this test needs {what}, which is not installed ('make test' installs it)");
    assert!(std::env::var_os("CI").is_none(), "{line}");
    eprintln!("{line}");
    None
}

impl Browser {
    /// Starts one, or says that there is none.
    pub async fn open(look: Look) -> Option<Self> {
        let (chromium, chromedriver) = (program("chromium")?, program("chromedriver")?);
        // Each takes a free port of one protocol and then the same of the other, which two at once may snatch.
        let starting = STARTING.lock().await;
        let driver = Command::new(chromedriver).arg("--port=0").stdout(Stdio::piped()).spawn().unwrap();
        let mut driver = Driver(driver);
        let mut lines = BufReader::new(driver.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let (mut said, mut port) = (String::new(), None);
        for line in lines.by_ref() {
            port =
                line.split_once("started successfully on port ").map(|(_, port)| port.trim_end_matches('.').to_owned());
            if port.is_some() {
                break;
            }
            said = said + &line + "\n";
        }
        drop(starting);
        let port: u16 = port.unwrap_or_else(|| panic!("chromedriver did not start:\n{said}")).parse().unwrap();
        // It goes on talking, and must not meet a closed pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let profile = tempfile::tempdir().unwrap();
        let mut args = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--hide-scrollbars".into(),
            format!("--user-data-dir={}", profile.path().display()),
            format!("--lang={}", look.language),
        ];
        if look.dark {
            args.push("--force-dark-mode".into());
        }
        let options = json!({
            "binary": chromium, "args": args,
            "prefs": {"intl.accept_languages": look.language, "intl.selected_languages": look.language},
            // Narrower than a window may be.
            "mobileEmulation": {"deviceMetrics": {"width": look.width, "height": look.height, "pixelRatio": 1.0, "touch": false, "mobile": false}},
        });
        let capabilities = json!({"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let client = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new())
            .capabilities(capabilities.into_iter().collect())
            .connect(&format!("http://127.0.0.1:{port}"))
            .await
            .unwrap();
        Some(Self { client, _driver: driver, _profile: profile })
    }

    /// Waits for an element.
    pub async fn find(&self, css: &str) -> fantoccini::elements::Element {
        let found = self.client.wait().at_most(PATIENCE).for_element(Locator::Css(css)).await;
        match found {
            Ok(element) => element,
            Err(e) => panic!("{css} is not in {}: {e}\n{}", self.address().await, self.text().await),
        }
    }

    /// Waits until the page holds a text.
    pub async fn until_text(&self, css: &str, text: &str) {
        let script =
            "const e = document.querySelector(arguments[0]); return !!e && e.textContent.includes(arguments[1]);";
        self.until(script, vec![json!(css), json!(text)]).await;
    }

    /// Waits until a script says true.
    pub async fn until(&self, script: &str, arguments: Vec<Value>) {
        let begun = std::time::Instant::now();
        loop {
            // A page that is just being replaced runs no script.
            let said = self.client.execute(script, arguments.clone()).await;
            if matches!(said, Ok(Value::Bool(true))) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{script} {arguments:?}: {said:?}\n{}", self.text().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Clicks on an element once it is there.
    pub async fn click(&self, css: &str) {
        self.find(css).await.click().await.unwrap();
    }

    /// Types into a field, in place of what it held.
    pub async fn fill(&self, css: &str, text: &str) {
        let field = self.find(css).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Chooses an option by its value.
    pub async fn choose(&self, css: &str, value: &str) {
        self.find(css).await.select_by_value(value).await.unwrap();
    }

    pub async fn address(&self) -> String {
        self.client.current_url().await.map_or_else(|e| e.to_string(), |url| url.to_string())
    }

    /// What the page says.
    pub async fn text(&self) -> String {
        let said = self.client.execute("return document.body.innerText", Vec::new()).await;
        said.ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Waits until every plot is drawn, or says why it is not.
    pub async fn until_drawn(&self) {
        let script = "return document.readyState === 'complete' && [...document.querySelectorAll('.plot')]
            .every(p => p.querySelector('.main-svg, .failed'))";
        self.until(script, Vec::new()).await;
    }

    /// What the browser complained of since it was last asked: errors of scripts, refused by the policy, not found.
    pub async fn complaints(&self) -> Vec<String> {
        let log = self.client.issue_cmd(ConsoleLog).await.unwrap();
        let entries = log.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|e| e["level"] == "SEVERE" || e["level"] == "WARNING");
        severe.map(|e| e["message"].as_str().unwrap().to_owned()).collect()
    }

    /// Barriers that axe-core finds in the page by WCAG 2.2 A and AA and its own good practice: rule and elements.
    pub async fn barriers(&self, axe: &str) -> Vec<String> {
        self.client.execute(axe, Vec::new()).await.unwrap();
        let run = "const done = arguments[arguments.length - 1];
            axe.run(document, {resultTypes: ['violations']}).then(r => done(r.violations.map(v =>
                `${v.id}: ${v.help}: ` + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200) + ' ' + n.any.map(a => a.message).join('; ')).join(' | '))))
                .catch(e => done([String(e)]));";
        let found = self.client.execute_async(run, Vec::new()).await.unwrap();
        found.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    }

    /// What is wider than the window, so that the page scrolls sideways: nothing, or elements' beginnings.
    pub async fn overflowing(&self) -> Vec<String> {
        let script = "const root = document.documentElement;
            if (root.scrollWidth <= root.clientWidth) return [];
            const wide = [...document.body.querySelectorAll('*')]
                .filter(e => e.getBoundingClientRect().right > root.clientWidth + 1);
            // What is within a box that scrolls by itself is rarely to blame.
            const free = wide.filter(e => !e.closest('.scroll *, svg *'));
            const told = (free.length ? free : wide)
                .map(e => `${Math.round(e.getBoundingClientRect().right)} px: ${e.outerHTML.slice(0, 120)}`);
            return [`${root.scrollWidth} px`, ...told.slice(0, 8)]";
        let found = self.client.execute(script, Vec::new()).await.unwrap();
        found.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    }

    /// Words of plots that are cut off, or stand on one another along an axis.
    pub async fn cut(&self) -> Vec<String> {
        let script = "return [...document.querySelectorAll('.plot .main-svg')].flatMap(svg => {
            const box = svg.getBoundingClientRect();
            const place = e => [e, e.getBoundingClientRect()];
            const all = [...svg.querySelectorAll('text')].map(place).filter(([, r]) => r.width > 0);
            const out = all.filter(([, r]) =>
                r.left < box.left - 2 || r.right > box.right + 2 || r.top < box.top - 2 || r.bottom > box.bottom + 2);
            // Of turned words the boxes around them overlap where the words do not.
            const upright = e => !/rotate[(](?!0[,)])/.test(e.getAttribute('transform') ?? '');
            const ticks = [...svg.querySelectorAll('.xtick text')].filter(upright).map(place).sort((a, b) => a[1].left - b[1].left);
            const over = ticks.filter(([, r], i) => i > 0 && r.left < ticks[i - 1][1].right);
            const of = e => `${e.closest('.plot').dataset.plot}: ${e.textContent}`;
            return [...out.map(([e]) => `cut: ${of(e)}`), ...over.map(([e]) => `on another: ${of(e)}`)];
        })";
        let found = self.client.execute(script, Vec::new()).await.unwrap();
        found.as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect()
    }

    /// The whole page as a picture.
    pub async fn picture(&self, path: &Path) {
        let height = self.client.execute("return document.documentElement.scrollHeight", Vec::new()).await.unwrap();
        let width = self.client.execute("return document.documentElement.clientWidth", Vec::new()).await.unwrap();
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let shot = Devtools("Page.captureScreenshot", json!({"captureBeyondViewport": true, "clip": clip}));
        let answer = self.client.issue_cmd(shot).await.unwrap();
        let png = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, answer["data"].as_str().unwrap()).unwrap();
        std::fs::write(path, png).unwrap();
    }
}

impl Deref for Browser {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

/// axe-core's script, which `make test` fetches.
pub fn axe() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/axe.min.js");
    std::fs::read_to_string(path).ok().or_else(|| missing("axe-core"))
}

/// Chromium's console, which the standard has no command for.
#[derive(Debug)]
struct ConsoleLog;

/// A command of Chromium's developer tools.
#[derive(Debug)]
struct Devtools(&'static str, Value);

fn extension(base: &url::Url, session: Option<&str>, path: &str) -> Result<url::Url, url::ParseError> {
    base.join(&format!("session/{}/{path}", session.unwrap_or_default()))
}

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        extension(base, session, "se/log")
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        extension(base, session, "goog/cdp/execute")
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"cmd": self.0, "params": self.1}).to_string()))
    }
}
