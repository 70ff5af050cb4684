//! `croupier keys`.

use crate::cli::Failure;
use crate::clock::SystemClock;
use crate::settings::Settings;
use bandit::{Clock, check_id};
use clap::Subcommand;
use store::Scope;

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
    let keys = store::open_database(&settings.locations).await?.keys;
    let now = SystemClock.now();
    match command {
        KeysCommand::Create { scope, name } => {
            check_id(&name)
                .map_err(|why| Failure::unusable("name", &name.escape_debug().to_string(), &why.to_string()))?;
            let scope = Scope::parse(&scope)
                .ok_or_else(|| Failure::unusable("scope", &scope, "must be 'decide' or 'admin'"))?;
            let secret = api::new_secret().map_err(Failure::Failed)?;
            let key = keys.create_key(&name, scope, &api::hash_secret(&secret), now).await?;
            eprintln!("key {} '{}' for {}; it is not shown again:", key.id, key.name, key.scope.as_str());
            println!("{secret}");
        }
        KeysCommand::List => {
            println!("{:>4}  {:<7}  {:<20}  {:<20}  name", "id", "scope", "created", "revoked");
            for key in keys.list_keys().await? {
                let revoked = key.revoked_at.map_or_else(|| "-".to_owned(), |t| format!("{t:.0}"));
                println!(
                    "{:>4}  {:<7}  {:<20}  {revoked:<20}  {}",
                    key.id,
                    key.scope.as_str(),
                    format!("{:.0}", key.created_at),
                    key.name
                );
            }
        }
        KeysCommand::Revoke { id } => {
            keys.revoke_key(id, now).await?;
            println!("key {id} is revoked");
        }
    }
    Ok(())
}
