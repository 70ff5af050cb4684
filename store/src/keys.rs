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
    async fn create_key(&self, new: &NewKey<'_>, at: Timestamp) -> Result<Key>;

    /// Every key, revoked ones too.
    async fn list_keys(&self) -> Result<Vec<Key>>;

    /// Makes a key invalid.
    ///
    /// # Errors
    /// [`crate::StoreError::Missing`] if there is none of that id.
    async fn revoke_key(&self, id: i64, at: Timestamp) -> Result<()>;

    /// The keys that are valid, in order of id.
    async fn valid_keys(&self) -> Result<Vec<Key>>;

    /// Says of keys that they were used at `at`, or later.
    async fn use_keys(&self, ids: &[i64], at: Timestamp) -> Result<()>;
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

/// A key that is to be made.
#[derive(Debug, Clone)]
pub struct NewKey<'a> {
    /// What its owner calls it.
    pub name: &'a str,
    /// What it may do.
    pub scope: Scope,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// The pages it is for, as browsers write origins; none for servers.
    pub origins: &'a [String],
    /// Most requests of a minute, on each replica; none: as many as come.
    pub per_minute: Option<u32>,
}

impl<'a> NewKey<'a> {
    /// A key for servers, without a limit.
    #[must_use]
    pub fn new(name: &'a str, scope: Scope, hash: [u8; 32]) -> Self {
        Self { name, scope, hash, origins: &[], per_minute: None }
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
    /// The pages it is for; none for servers.
    pub origins: Vec<String>,
    /// Most requests of a minute, on each replica.
    pub per_minute: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// The hour that it was last used in.
    pub used_at: Option<Timestamp>,
}
