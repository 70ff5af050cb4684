//! `croupier keys`.

use crate::cli::Failure;
use crate::clock::SystemClock;
use crate::settings::Settings;
use bandit::{Clock, check_id};
use clap::Subcommand;
use serde_json::{Value, json};
use store::{Change, Experiments, NewKey, Note, Scope};

/// Who acts, as the audit log says.
const WHO: &str = "the command line";

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key; it is shown once
    Create {
        /// decide (decisions and events) or admin (everything)
        #[arg(long, value_parser = ["decide", "admin"])]
        scope: String,
        /// What you call it
        #[arg(long)]
        name: String,
        /// A page that a decide key is for, as https://shop.example; may be repeated. Without one the key is for servers,
        /// and no page of another origin can read answers
        #[arg(long, value_name = "ORIGIN")]
        origin: Vec<String>,
        /// Most requests in a minute, on each replica [default: as many as come]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        per_minute: Option<u32>,
    },
    /// List keys, without their secrets
    List,
    /// Make a key invalid
    Revoke {
        /// Its number, as `keys list` shows it
        id: i64,
    },
}

pub(crate) async fn run(command: KeysCommand, settings: &Settings) -> Result<(), Failure> {
    let stores = match command {
        KeysCommand::Create { .. } => store::open_database(&settings.locations).await?,
        KeysCommand::List | KeysCommand::Revoke { .. } => store::open_existing_database(&settings.locations).await?,
    };
    let keys = stores.keys;
    let now = SystemClock.now();
    match command {
        KeysCommand::Create { scope, name, origin, per_minute } => {
            check_id(&name)
                .map_err(|why| Failure::unusable("name", &name.escape_debug().to_string(), &why.to_string()))?;
            let scope = Scope::parse(&scope)
                .ok_or_else(|| Failure::unusable("scope", &scope, "must be 'decide' or 'admin'"))?;
            if let (Scope::Admin, Some(first)) = (scope, origin.first()) {
                return Err(Failure::unusable("origin", first, "must be left out: no page may have an admin key"));
            }
            let origins = origin.iter().map(|given| self::origin(given)).collect::<Result<Vec<_>, _>>()?;
            let secret = api::new_secret().map_err(Failure::Failed)?;
            let hash = api::hash_secret(&secret);
            let new = NewKey { name: &name, scope, hash, origins: &origins, per_minute };
            let key = keys.create_key(&new, now).await?;
            let document = json!({"scope": key.scope.as_str(), "origins": key.origins, "per_minute": key.per_minute});
            note(&*stores.experiments, "key.create", &format!("{} '{}'", key.id, key.name), document).await?;
            eprintln!("key {} '{}' for {}; it is not shown again:", key.id, key.name, key.scope.as_str());
            println!("{secret}");
        }
        KeysCommand::List => {
            println!(
                "{:>4}  {:<7}  {:<20}  {:<20}  {:<17}  {:>10}  name",
                "id", "scope", "created", "revoked", "last used", "per minute"
            );
            for key in keys.list_keys().await? {
                let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                println!(
                    "{:>4}  {:<7}  {:<20}  {:<20}  {:<17}  {:>10}  {}{}",
                    key.id,
                    key.scope.as_str(),
                    format!("{:.0}", key.created_at),
                    or_dash(key.revoked_at.map(|t| format!("{t:.0}"))),
                    // Known to the hour.
                    or_dash(key.used_at.map(|t| t.strftime("%Y-%m-%dT%H:00Z").to_string())),
                    or_dash(key.per_minute.map(|n| n.to_string())),
                    key.name,
                    key.origins.iter().fold(String::new(), |all, origin| all + "  " + origin),
                );
            }
        }
        KeysCommand::Revoke { id } => {
            keys.revoke_key(id, now).await?;
            note(&*stores.experiments, "key.revoke", &id.to_string(), Value::Null).await?;
            println!("key {id} is revoked");
        }
    }
    Ok(())
}

/// An origin as browsers write it: lower case, without a path and without the port that its scheme means.
fn origin(given: &str) -> Result<String, Failure> {
    let wrong = || {
        Failure::unusable(
            "origin",
            &given.escape_debug().to_string(),
            "must be as https://shop.example or http://localhost:3000",
        )
    };
    let url = reqwest::Url::parse(given).map_err(|_| wrong())?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if !matches!(url.scheme(), "http" | "https") || !bare || url.password().is_some() {
        return Err(wrong());
    }
    Ok(url.origin().ascii_serialization())
}

/// Puts what was done on the command line into the audit log.
pub(crate) async fn note(
    experiments: &dyn Experiments,
    action: &str,
    subject: &str,
    document: Value,
) -> Result<(), Failure> {
    let change = Change { who: WHO.into(), why: String::new(), at: SystemClock.now(), request: String::new() };
    Ok(experiments.note(&Note { action, subject, document }, &change).await?)
}

#[cfg(test)]
mod tests {
    use super::origin;

    #[test]
    fn origins_are_written_as_browsers_write_them() {
        for (given, kept) in [
            ("https://shop.example", "https://shop.example"),
            ("HTTPS://Shop.Example:443/", "https://shop.example"),
            ("http://localhost:3000", "http://localhost:3000"),
            ("https://[::1]:8443", "https://[::1]:8443"),
            ("https://蔦屋.jp", "https://xn--ogtr46g.jp"),
        ] {
            assert_eq!(origin(given).unwrap(), kept);
        }
        for wrong in [
            "*",
            "null",
            "shop.example",
            "ftp://shop.example",
            "https://shop.example/page",
            "https://a:b@c.example",
            "",
        ] {
            assert!(origin(wrong).unwrap_err().to_string().starts_with("origin = "), "{wrong}");
        }
    }
}
