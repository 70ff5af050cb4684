//! Who is let in: by a session that a password began, by the word of a proxy that knows people, or, where nobody was ever
//! added and only this machine can ask, anyone.

mod caller;
mod cookies;
mod limits;
mod origin;
mod passwords;
mod recognise;
#[cfg(test)]
mod tests;

pub use passwords::{PasswordError, hash_password};

pub(crate) use caller::Caller;
pub(crate) use cookies::{clear, secret, session};
pub(crate) use origin::{only_ours, wanted};
pub(crate) use recognise::{FormToken, Shut, THIS_MACHINE, guard, recognise};

use axum::http::HeaderName;
use bandit::Clock;
use ipnet::IpNet;
use jiff::SignedDuration;
use limits::Limits;
use passwords::Passwords;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{People, Role};
use tokio::sync::{Mutex, Semaphore};

/// How long a session lasts that nobody uses, and at most.
pub(crate) const IDLE: SignedDuration = SignedDuration::from_hours(12);
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_hours(7 * 24);

/// How many uses of sessions may wait for a busy database.
const USES: usize = 64;

/// How people come in.
pub struct Door {
    /// Whether only this machine reaches the port.
    pub loopback: bool,
    /// Whose word counts on where a request came from and who sent it.
    pub proxies: Vec<IpNet>,
    /// How those proxies name people, if they do.
    pub identity: Option<Identity>,
    /// Times of sessions and attempts: those of people, also where visitors' run faster.
    pub clock: Arc<dyn Clock>,
}

/// People as an identity-aware proxy names them.
pub struct Identity {
    /// The header that holds a name.
    pub header: HeaderName,
    /// Who may change things.
    pub editors: BTreeSet<String>,
    /// What all others may do.
    pub others: Role,
}

/// A door, and what it remembers.
pub(crate) struct Entrance {
    door: Door,
    /// Somebody was added; people are never deleted.
    inhabited: AtomicBool,
    pub(crate) limits: Limits,
    pub(crate) passwords: Passwords,
    /// Uses of sessions that may wait to be written down, each by its turn: a connection that waits is kept from readers.
    uses: Arc<Semaphore>,
    noting: Arc<Mutex<()>>,
}

impl Entrance {
    pub(crate) fn new(door: Door) -> Self {
        Self {
            inhabited: AtomicBool::new(false),
            limits: Limits::new(door.clock.clone()),
            passwords: Passwords::default(),
            uses: Arc::new(Semaphore::new(USES)),
            noting: Arc::default(),
            door,
        }
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.door.clock.now()
    }

    /// Whether there is somebody who could sign in.
    pub(crate) async fn inhabited(&self, people: &dyn People) -> store::Result<bool> {
        if !self.inhabited.load(Ordering::Relaxed) && people.anybody().await? {
            self.inhabited.store(true, Ordering::Relaxed);
        }
        Ok(self.inhabited.load(Ordering::Relaxed))
    }

    /// Whether everyone is let in. Where a proxy names people, one who comes without a name is nobody.
    async fn open(&self, people: &dyn People) -> store::Result<bool> {
        Ok(self.door.loopback && self.door.identity.is_none() && !self.inhabited(people).await?)
    }

    fn trusts(&self, peer: IpAddr) -> bool {
        self.door.proxies.iter().any(|network| network.contains(&peer))
    }
}

/// What is kept of a token: it has 256 random bits, so that a slow hash would protect nothing more.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
