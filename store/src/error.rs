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
    /// The disk takes nothing now: it is full, or may only be read. Nothing was kept; it goes on by itself once there is room.
    #[error("{0}")]
    Unwritable(String),
    /// The embedded store has closed itself, for a reason that is over: the process must be started again.
    #[error("{0}")]
    Closed(String),
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
    Sql(sqlx::Error),
    /// The database's migrations failed.
    #[error("database migration: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl From<fjall::Error> for StoreError {
    fn from(e: fjall::Error) -> Self {
        use fjall::{Error, LsmError};
        match &e {
            Error::Storage(LsmError::Io(e)) | Error::Io(e) => Self::Embedded(e.to_string()),
            Error::Storage(
                LsmError::ChecksumMismatch { .. }
                | LsmError::Decompress(_)
                | LsmError::InvalidHeader(_)
                | LsmError::InvalidTag(_)
                | LsmError::InvalidTrailer
                | LsmError::Unrecoverable,
            )
            | Error::InvalidVersion(_)
            | Error::JournalRecovery(_)
            | Error::Unrecoverable => Self::Damaged(format!("a file of the embedded store ({e:?}); {CHECK}")),
            Error::Poisoned => Self::Embedded(POISONED.into()),
            other => Self::Embedded(format!("{other:?}")),
        }
    }
}

/// Why a group of writes was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// The disk takes nothing now; the next group is tried.
    NoRoom(String),
    /// The store takes no more, because the disk took nothing for a while.
    ClosedForRoom(String),
    /// The store takes no more.
    Closed(String),
}

impl Unwritten {
    /// Why a group could not be committed, by a store whose disk `lacked_room` before.
    pub(crate) fn of(e: fjall::Error, lacked_room: bool) -> Self {
        use fjall::{Error, LsmError};
        use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let room = match &e {
            Error::Io(e) | Error::Storage(LsmError::Io(e)) => {
                matches!(e.kind(), StorageFull | QuotaExceeded | FileTooLarge | ReadOnlyFilesystem)
            }
            Error::Poisoned => lacked_room,
            _ => false,
        };
        let why = match StoreError::from(e) {
            StoreError::Embedded(why) => why,
            other => other.to_string(),
        };
        if room { Self::ClosedForRoom(why) } else { Self::Closed(why) }
    }
}

impl From<Unwritten> for StoreError {
    fn from(why: Unwritten) -> Self {
        match why {
            Unwritten::NoRoom(why) => Self::Unwritable(why),
            Unwritten::ClosedForRoom(why) | Unwritten::Closed(why) => Self::Embedded(why),
        }
    }
}

/// Input and output of SQLite that failed since a file could not be written, synchronised, cut, removed or made.
const UNWRITTEN: [u32; 7] = [778, 1_034, 1_290, 1_546, 2_570, 4_618, 4_874];

/// What to do about damage whose place is not known here.
const CHECK: &str = "stop the server and run 'croupier check', which names the file and says what to do";
const POISONED: &str = "a write or a merge of files failed, and it takes no more until the process is started again; if that \
                        does not help, stop it and run 'croupier check'";

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> Self {
        let Some(said) = e.as_database_error() else { return Self::Sql(e) };
        let why = one_line(said.message());
        // Of SQLite, https://www.sqlite.org/rescode.html, the low byte is the kind; 53100 is PostgreSQL's disk_full.
        let code = said.code().filter(|code| !code.starts_with('0')).and_then(|code| code.parse::<u32>().ok());
        match code.map(|code| if code < 10_000 && !UNWRITTEN.contains(&code) { code & 0xff } else { code }) {
            Some(code) if [8, 13, 53_100].contains(&code) || UNWRITTEN.contains(&code) => Self::Unwritable(format!(
                "the database cannot be written ({why}): make room, or make it writable; it goes on by itself"
            )),
            Some(11 | 26) => Self::Damaged(format!("the database's file ({why}); {CHECK}")),
            _ => Self::Sql(e),
        }
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
