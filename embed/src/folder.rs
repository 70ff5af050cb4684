//! The folder that a model is in.

use crate::ModelError;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// Most bytes of weights.
const MOST_WEIGHTS: u64 = 4 << 30;
/// Most bytes of any other file.
const MOST: u64 = 64 << 20;

/// A folder, and a hash over what was read from it.
pub(crate) struct Folder {
    path: PathBuf,
    hash: Sha256,
}

impl Folder {
    /// `kind` goes into the hash: one folder read by two kinds of models makes two versions.
    pub(crate) fn new(path: &Path, kind: &str) -> Self {
        let mut folder = Self { path: path.to_owned(), hash: Sha256::new() };
        folder.note(kind, &[]);
        folder
    }

    fn note(&mut self, name: &str, bytes: &[u8]) {
        for part in [name.as_bytes(), bytes] {
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part);
        }
    }

    pub(crate) fn refuse(&self, name: &str, why: impl Into<String>) -> ModelError {
        ModelError::File { path: self.path.join(name), why: why.into() }
    }

    /// A file that must be there.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<u8>, ModelError> {
        self.find(name)?.ok_or_else(|| self.refuse(name, "cannot be read: it is not there; a model's folder needs it"))
    }

    /// A file that may be there.
    fn find(&mut self, name: &str) -> Result<Option<Vec<u8>>, ModelError> {
        let most = if name.ends_with(".safetensors") { MOST_WEIGHTS } else { MOST };
        let mut bytes = Vec::new();
        match File::open(self.path.join(name)).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)) {
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(self.refuse(name, format!("cannot be read: {e}"))),
            Ok(_) if bytes.len() as u64 > most => Err(self.refuse(name, format!("has more than {most} bytes"))),
            Ok(_) => {
                self.note(name, &bytes);
                Ok(Some(bytes))
            }
        }
    }

    /// A JSON file that may be there.
    pub(crate) fn json<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, ModelError> {
        let Some(bytes) = self.find(name)? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|e| self.refuse(name, format!("cannot be read: {e}")))
    }

    /// Names what was read, whatever the folder's name: 32 hexadecimal digits after the kind.
    pub(crate) fn version(self, kind: &str) -> String {
        let mut version = format!("{kind}:");
        for byte in self.hash.finalize().iter().take(16) {
            // Writing to a string cannot fail.
            let _ = write!(version, "{byte:02x}");
        }
        version
    }
}
