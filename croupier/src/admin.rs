//! `croupier admin`: what a deployment needs before and while it runs.

use crate::cli::Failure;
use crate::settings::Settings;
use clap::Subcommand;
use std::time::Duration;
use store::admin;

/// How long a server may take to say whether it is ready.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Make the tables of the state in Bigtable, where they are missing
    CreateTables,
    /// Make the topics and subscriptions of the events in Pub/Sub, where they are missing
    CreateTopics,
    /// Verify that what the settings name is there and may be used
    Check,
    /// Ask the server at the address of `listen` whether it is ready
    Health,
}

pub(crate) async fn run(command: AdminCommand, settings: &Settings) -> Result<(), Failure> {
    match command {
        AdminCommand::CreateTables => print(&admin::create_tables(&settings.locations).await?),
        AdminCommand::CreateTopics => print(&admin::create_topics(&settings.locations).await?),
        AdminCommand::Check => {
            let findings = admin::check(&settings.locations).await;
            for finding in &findings {
                println!("{finding}");
            }
            let bad = findings.iter().filter(|f| !f.ok).count();
            if bad > 0 {
                return Err(Failure::Failed(format!("{bad} of {} checks failed", findings.len())));
            }
        }
        AdminCommand::Health => health(settings).await?,
    }
    Ok(())
}

fn print(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}

/// A path of the server that listens where the settings say.
pub(crate) fn server_url(settings: &Settings, path: &str) -> String {
    let mut address = settings.listen;
    if address.ip().is_unspecified() {
        // A server that listens everywhere is asked from within.
        address.set_ip(if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    format!("http://{address}{path}")
}

async fn health(settings: &Settings) -> Result<(), Failure> {
    let url = server_url(settings, "/readyz");
    let failed = |e: reqwest::Error| Failure::Failed(format!("{url} does not answer: {}", e.without_url()));
    let answer = reqwest::Client::new().get(&url).timeout(PATIENCE).send().await.map_err(failed)?;
    let (status, text) = (answer.status(), answer.text().await.map_err(failed)?);
    println!("{text}");
    if status.is_success() { Ok(()) } else { Err(Failure::Failed(format!("{url} answers {status}"))) }
}
