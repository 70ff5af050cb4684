//! What can go wrong with a store.

/// Result of a store's operation.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why a store did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A setting cannot be used: which, what it was, what it may be.
    #[error("{setting} = '{value}': {reason}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// What it was.
        value: String,
        /// Why it cannot be used and what can.
        reason: String,
    },
    /// The thing changed since the caller looked, or exists already.
    #[error("{0}")]
    Conflict(String),
    /// There is no such thing.
    #[error("{0} does not exist")]
    Missing(String),
    /// Too much is waiting to be written: try again later.
    #[error("the store has too much waiting to be written")]
    Busy,
    /// The caller gave up in the middle; nothing was kept.
    #[error("{0}; nothing was kept")]
    Aborted(String),
    /// Stored bytes are not what this release or an earlier one wrote.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The embedded store failed.
    #[error("embedded store: {0}")]
    Embedded(String),
    /// A backup cannot be made or used: why, and what to do.
    #[error("{0}")]
    Backup(String),
    /// A service failed.
    #[error("{service}: {why}")]
    Remote {
        /// Which.
        service: &'static str,
        /// What it said, in one line.
        why: String,
    },
    /// The database failed.
    #[error("database: {}", of_sql(.0))]
    Sql(#[from] sqlx::Error),
    /// The database's migrations failed.
    #[error("database migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl From<fjall::Error> for StoreError {
    fn from(e: fjall::Error) -> Self {
        Self::Embedded(e.to_string())
    }
}

/// What the database said, in one line. Neither it nor its client repeats values or passwords in messages.
fn of_sql(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::PoolTimedOut => "it does not answer, or all connections to it are busy".into(),
        sqlx::Error::Database(e) => match e.code().as_deref() {
            Some("57014") => "it took too long, and was cancelled".into(),
            _ => one_line(e.message()),
        },
        other => one_line(&other.to_string()),
    }
}

/// Text on one line, since logs and terminals take an error for one.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
