//! Passwords: argon2id, with the parameters that OWASP recommends, which are the crate's defaults.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::{Semaphore, TryAcquireError};
use tokio::task::JoinError;

/// Characters that a password must have, and bytes that it may.
const SHORTEST: usize = 12;
const LONGEST: usize = 1024;
/// Passwords verified at a time: each takes 19 MiB.
const AT_A_TIME: usize = 4;

/// What somebody unknown is verified against: the parameters of every hash that we make, and no password's.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5IGlzIGluIG5vdw$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Why a password is not hashed or verified.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Anyone could guess it.
    #[error("must have 12 characters at least")]
    Short,
    /// Nobody types that.
    #[error("must have 1024 bytes at most")]
    Long,
    /// Too many people sign in at once.
    #[error("too many passwords are verified at once")]
    Busy(#[from] TryAcquireError),
    /// A hash is damaged, or the system has no randomness to give.
    #[error("the password cannot be hashed: {0}")]
    Hash(#[from] argon2::password_hash::Error),
    /// The thread broke off.
    #[error("hashing broke off: {0}")]
    Thread(#[from] JoinError),
}

/// Hashes a new password, with a salt of its own.
///
/// # Errors
/// When it is too short or too long, or cannot be hashed.
pub async fn hash_password(password: String) -> Result<String, PasswordError> {
    if password.chars().count() < SHORTEST {
        return Err(PasswordError::Short);
    }
    if password.len() > LONGEST {
        return Err(PasswordError::Long);
    }
    let hash = tokio::task::spawn_blocking(move || Argon2::default().hash_password(password.as_bytes()));
    Ok(hash.await??.to_string())
}

/// Verifies passwords, a few at a time.
pub(crate) struct Passwords {
    permits: Semaphore,
    #[cfg(test)]
    verified: std::sync::atomic::AtomicUsize,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            permits: Semaphore::new(AT_A_TIME),
            #[cfg(test)]
            verified: 0.into(),
        }
    }
}

impl Passwords {
    /// Whether a password has this hash. It takes as long where there is none, so that time does not tell who is known.
    pub(crate) async fn verify(&self, hash: Option<String>, password: String) -> Result<bool, PasswordError> {
        let _permit = self.permits.try_acquire()?;
        #[cfg(test)]
        self.verified.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let verified = tokio::task::spawn_blocking(move || {
            let hash =
                PasswordHash::new(hash.as_deref().unwrap_or(NOBODY)).map_err(argon2::password_hash::Error::from)?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
        });
        verified.await?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hashes_are_argon2id_with_salts() {
        let twice = [
            hash_password("correct horse".into()).await.unwrap(),
            hash_password("correct horse".into()).await.unwrap(),
        ];
        assert_ne!(twice[0], twice[1]);
        let parameters = |hash: &str| hash.rsplitn(3, '$').nth(2).unwrap().to_owned();
        assert_eq!(parameters(&twice[0]), "$argon2id$v=19$m=19456,t=2,p=1");
        assert_eq!(parameters(NOBODY), parameters(&twice[0]), "the unknown cost the same");
        assert_eq!(NOBODY.len(), twice[0].len());
        for hash in twice {
            let passwords = Passwords::default();
            assert!(passwords.verify(Some(hash.clone()), "correct horse".into()).await.unwrap());
            assert!(!passwords.verify(Some(hash), "correct hors".into()).await.unwrap());
        }
        assert!(matches!(hash_password("eleven char".into()).await, Err(PasswordError::Short)));
        assert!(hash_password("パスワードは十二文字です".into()).await.is_ok(), "characters, not bytes");
        assert!(matches!(hash_password("x".repeat(1025)).await, Err(PasswordError::Long)));
    }

    #[tokio::test]
    async fn somebody_unknown_is_verified_too() {
        let passwords = Passwords::default();
        assert!(!passwords.verify(None, "whatever it is".into()).await.unwrap());
        assert_eq!(passwords.verified.into_inner(), 1);
        let full = Passwords { permits: Semaphore::new(0), verified: 0.into() };
        assert!(matches!(full.verify(None, "x".into()).await, Err(PasswordError::Busy(_))), "bounded");
        assert!(Passwords::default().verify(Some("damaged".into()), "x".into()).await.is_err());
    }
}
