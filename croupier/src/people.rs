//! `croupier people`.

use crate::cli::Failure;
use crate::clock::SystemClock;
use crate::keys::note;
use crate::settings::Settings;
use bandit::{Clock, check_id};
use clap::Subcommand;
use dashboard::{PasswordError, hash_password};
use serde_json::json;
use std::io::IsTerminal;
use store::{DatabaseStores, PersonChange, Role};

#[derive(Debug, Subcommand)]
pub(crate) enum PeopleCommand {
    /// Add somebody who may sign in to the dashboard; the password is asked for, or read from standard input
    Add {
        /// What they sign in with, and are called in the audit log
        #[arg(long)]
        name: String,
        /// viewer (look) or editor (look and change)
        #[arg(long, value_parser = ["viewer", "editor"])]
        role: String,
    },
    /// List people
    List,
    /// Keep somebody out; their sessions end
    Disable {
        /// Their name
        name: String,
    },
    /// Let somebody in again
    Enable {
        /// Their name
        name: String,
    },
    /// Change what somebody may do
    Role {
        /// Their name
        name: String,
        /// viewer or editor
        #[arg(value_parser = ["viewer", "editor"])]
        role: String,
    },
    /// Give somebody a new password; their sessions end
    Password {
        /// Their name
        name: String,
    },
}

pub(crate) async fn run(command: PeopleCommand, settings: &Settings) -> Result<(), Failure> {
    let DatabaseStores { people, experiments, .. } = match command {
        PeopleCommand::Add { .. } => store::open_database(&settings.locations).await?,
        _ => store::open_existing_database(&settings.locations).await?,
    };
    let now = SystemClock.now();
    let changed = async |action: &str, name: String, what: &str| {
        note(&*experiments, action, &name, json!({"now": what})).await?;
        println!("'{}' {what}", name.escape_debug());
        Ok::<_, Failure>(())
    };
    match command {
        PeopleCommand::Add { name, role } => {
            check_id(&name)
                .map_err(|why| Failure::unusable("name", &name.escape_debug().to_string(), &why.to_string()))?;
            let role = role_of(&role)?;
            // Before anyone types a password for nothing; two at once are told apart when it is kept.
            if people.person(&name).await?.is_some() {
                return Err(Failure::Failed(format!("there is somebody called '{name}' already")));
            }
            people.add_person(&name, role, &password().await?, now).await?;
            changed("person.add", name, &format!("may sign in as {}", role.as_str())).await?;
        }
        PeopleCommand::List => {
            println!("{:<6}  {:<20}  {:<20}  name", "role", "created", "disabled");
            for person in people.list_people().await? {
                let disabled = person.disabled_at.map_or_else(|| "-".to_owned(), |t| format!("{t:.0}"));
                let created = format!("{:.0}", person.created_at);
                println!("{:<6}  {created:<20}  {disabled:<20}  {}", person.role.as_str(), person.name);
            }
        }
        PeopleCommand::Disable { name } => {
            people.change_person(&name, &PersonChange::Disable(now)).await?;
            changed("person.disable", name, "may not sign in any more").await?;
        }
        PeopleCommand::Enable { name } => {
            people.change_person(&name, &PersonChange::Enable).await?;
            changed("person.enable", name, "may sign in again").await?;
        }
        PeopleCommand::Role { name, role } => {
            people.change_person(&name, &PersonChange::Role(role_of(&role)?)).await?;
            changed("person.role", name, &format!("is {role} now")).await?;
        }
        PeopleCommand::Password { name } => {
            if people.person(&name).await?.is_none() {
                return Err(Failure::Failed(format!("a person called '{name}' does not exist")));
            }
            people.change_person(&name, &PersonChange::Password(password().await?)).await?;
            changed("person.password", name, "has a new password").await?;
        }
    }
    Ok(())
}

fn role_of(name: &str) -> Result<Role, Failure> {
    Role::parse(name).ok_or_else(|| Failure::unusable("role", name, "must be 'viewer' or 'editor'"))
}

/// The hash of a password: typed twice at a terminal, else the first line of standard input.
async fn password() -> Result<String, Failure> {
    let unread = |e| Failure::Failed(format!("the password cannot be read: {e}"));
    let password = if std::io::stdin().is_terminal() {
        let first = rpassword::prompt_password("Password: ").map_err(unread)?;
        if rpassword::prompt_password("Again: ").map_err(unread)? != first {
            return Err(Failure::Failed("the two passwords differ".into()));
        }
        first
    } else {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).map_err(unread)?;
        line.trim_end_matches(['\r', '\n']).to_owned()
    };
    hash_password(password).await.map_err(|e| match e {
        // It is not repeated.
        PasswordError::Short | PasswordError::Long => Failure::Unusable(format!("password: {e}")),
        other => Failure::Failed(other.to_string()),
    })
}
