//! API keys. Only their hashes are kept.

use crate::Result;
use async_trait::async_trait;
use jiff::Timestamp;

/// Keys by hash.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Keeps a key's hash.
    ///
    /// # Errors
    /// [`crate::StoreError::Conflict`] if it is kept already.
    async fn create_key(&self, name: &str, scope: Scope, hash: &[u8; 32], at: Timestamp) -> Result<Key>;

    /// Every key, revoked ones too.
    async fn list_keys(&self) -> Result<Vec<Key>>;

    /// Makes a key invalid.
    ///
    /// # Errors
    /// [`crate::StoreError::Missing`] if there is none of that id.
    async fn revoke_key(&self, id: i64, at: Timestamp) -> Result<()>;

    /// The hashes and scopes of the keys that are valid.
    async fn valid_keys(&self) -> Result<Vec<Key>>;
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Decide and send events.
    Decide,
    /// Everything.
    Admin,
}

impl Scope {
    /// Its name in SQL and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decide => "decide",
            Self::Admin => "admin",
        }
    }

    /// The scope of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Decide, Self::Admin].into_iter().find(|s| s.as_str() == name)
    }
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Number to revoke it by.
    pub id: i64,
    /// What its owner called it.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}
