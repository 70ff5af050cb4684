//! Why a server does not take us, in one line that says what to do, without the password.

use crate::StoreError;
use crate::error::one_line;
use crate::locations::public;
use sqlx::Error;
use sqlx::migrate::MigrateError;

fn setting(url: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Setting { setting: "database", value: public(url), reason: reason.into() }
}

/// What a first connection met.
pub(super) fn refused(url: &str, error: &Error) -> StoreError {
    let reason = match error {
        Error::Configuration(_) => {
            "it cannot be read: it may be 'postgres://USER:PASSWORD@HOST:PORT/NAME?sslmode=require', with '%40' for an \
             '@' in the password"
                .into()
        }
        Error::Io(e) => format!("the server cannot be reached: {e}; is the host right, and does it run?"),
        Error::Tls(e) if cfg!(feature = "cloud") => format!("TLS failed: {e}; see 'sslmode' and 'sslrootcert'"),
        Error::Tls(_) => NO_TLS.into(),
        Error::Database(e) => from_server(e.code().as_deref().unwrap_or_default(), e.message()),
        other => format!("it cannot be opened: {other}"),
    };
    setting(url, one_line(&reason))
}

const NO_TLS: &str = "TLS is asked for, and this build has none: take a released one, or build with '--features cloud'";

/// What an error of the server means, by its code.
fn from_server(code: &str, message: &str) -> String {
    match code {
        "3D000" => format!("{message}: create it with 'createdb' or CREATE DATABASE"),
        "28P01" => format!("{message}: is the password right?"),
        "28000" if message.contains("no encryption") && !cfg!(feature = "cloud") => format!("{message}: {NO_TLS}"),
        "28000" => format!("{message}: is the role right, and does the server's pg_hba.conf let it in?"),
        "42501" | "25006" => {
            format!("{message}: the role needs the right to make tables: GRANT CREATE ON SCHEMA public TO its name")
        }
        "53300" => format!("{message}: end other connections, or raise max_connections"),
        _ => message.to_owned(),
    }
}

/// What making or changing the tables met.
pub(super) fn not_migrated(url: &str, error: MigrateError) -> StoreError {
    match &error {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => refused(url, e),
        MigrateError::VersionMissing(version) => {
            setting(url, format!("a newer release has changed its tables (migration {version}): run that one"))
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "postgres://croupier:hunter2@db.example/croupier?sslmode=require";

    #[test]
    fn a_refusal_is_one_line_without_the_password() {
        let errors = [
            Error::Tls("TLS upgrade required\nby connect options".into()),
            Error::Configuration("invalid port 'hunter2'".into()),
            Error::PoolTimedOut,
            Error::Protocol("two\nlines".into()),
        ];
        for error in errors {
            let text = refused(URL, &error).to_string();
            assert!(text.starts_with("database = 'postgres://…': "), "{text}");
            assert!(!text.contains('\n') && !text.contains("hunter2"), "{text}");
        }
        let text = refused(URL, &Error::Tls("TLS upgrade required".into())).to_string();
        assert_eq!(text.contains("--features cloud"), cfg!(not(feature = "cloud")), "{text}");
    }
}
