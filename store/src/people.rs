//! People who sign in, and their sessions. Of passwords and tokens only hashes are kept.

use crate::Result;
use async_trait::async_trait;
use jiff::Timestamp;

/// People by name, and sessions by the hash of their token.
#[async_trait]
pub trait People: Send + Sync {
    /// Adds somebody with the hash of their password.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] if there is somebody of that name, disabled or not.
    async fn add_person(&self, name: &str, role: Role, password: &str, at: Timestamp) -> Result<Person>;

    /// Everybody, in the order they were added, disabled ones too.
    async fn list_people(&self) -> Result<Vec<Person>>;

    /// Whether anybody was ever added.
    async fn anybody(&self) -> Result<bool>;

    /// Somebody and the hash of their password.
    async fn person(&self, name: &str) -> Result<Option<(Person, String)>>;

    /// Changes somebody. A new password and being disabled end all their sessions.
    ///
    /// # Errors
    /// [`crate::StoreError::Missing`] if there is nobody of that name.
    async fn change_person(&self, name: &str, change: &PersonChange) -> Result<()>;

    /// Begins a session, and lets go of those of everybody that ended before. False if the person has another password
    /// by now or is disabled: then there is none.
    async fn open_session(&self, session: &NewSession<'_>) -> Result<bool>;

    /// The session of a token, unless it has ended or was not used since `unused_since`.
    async fn session(&self, token: &[u8; 32], now: Timestamp, unused_since: Timestamp) -> Result<Option<Session>>;

    /// Says that a session is used.
    async fn use_session(&self, token: &[u8; 32], at: Timestamp) -> Result<()>;

    /// Ends a session; nothing happens if there is none.
    async fn close_session(&self, token: &[u8; 32]) -> Result<()>;
}

/// What a person may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Look.
    Viewer,
    /// Look and change.
    Editor,
}

impl Role {
    /// Its name in SQL and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
        }
    }

    /// The role of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Viewer, Self::Editor].into_iter().find(|r| r.as_str() == name)
    }
}

/// Somebody who may sign in, unless disabled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Number.
    pub id: i64,
    /// What they sign in with and are called in the audit log.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// Grows whenever all sessions end.
    pub generation: i64,
    /// When they were added.
    pub created_at: Timestamp,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
}

/// What becomes of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PersonChange {
    /// They may not sign in from now on.
    Disable(Timestamp),
    /// They may again.
    Enable,
    /// They may do this.
    Role(Role),
    /// They have a password of this hash.
    Password(String),
}

/// A session that begins.
#[derive(Debug, Clone, Copy)]
pub struct NewSession<'a> {
    /// SHA-256 of its token.
    pub token: &'a [u8; 32],
    /// Whose it is, as they were when their password was verified.
    pub person: &'a Person,
    /// What its forms carry.
    pub csrf: &'a str,
    /// When it begins.
    pub at: Timestamp,
    /// When it ends at the latest.
    pub ends_at: Timestamp,
}

/// A session that goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Whose it is, as they are now.
    pub person: Person,
    /// What its forms carry.
    pub csrf: String,
    /// When it was last used.
    pub used_at: Timestamp,
}
