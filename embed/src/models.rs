//! The models that an operator has.

use crate::threads::{Model, Threaded, Threads};
use crate::{Embedder, Endpoint, EndpointSettings, ModelError, SentenceModel, StaticModel};
use parking_lot::Mutex;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Models that are remembered once they were used. One that is forgotten lives on with those who hold it.
const REMEMBERED: usize = 8;
/// Folders whose names are told.
const MOST_NAMES: usize = 1_000;

/// How a model makes vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// [`StaticModel`].
    Static,
    /// [`SentenceModel`].
    Sentence,
    /// [`Endpoint`].
    Endpoint,
}

impl Kind {
    /// As definitions have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Sentence => "sentence",
            Self::Endpoint => "endpoint",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

type Key = (Kind, String, Option<usize>);

/// The folders of one directory, and one endpoint.
pub struct Models {
    directory: Option<PathBuf>,
    endpoint: Option<EndpointSettings>,
    threads: Threads,
    /// Last used last.
    loaded: Mutex<Vec<(Key, Arc<dyn Embedder>)>>,
}

impl Models {
    /// What is in `directory`, each model in a folder of its own, and what answers at `endpoint`. Nothing is read before it is
    /// asked for; the directory need not be there.
    #[must_use]
    pub fn open(directory: Option<PathBuf>, endpoint: Option<EndpointSettings>) -> Self {
        let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self { directory, endpoint, threads: Threads::new(cores), loaded: Mutex::new(Vec::new()) }
    }

    /// Lets all models together keep `most` threads busy, instead of as many as there are cores.
    #[must_use]
    pub fn on_threads(mut self, most: NonZeroUsize) -> Self {
        self.threads = Threads::new(most);
        self
    }

    /// The model of that name: of a folder directly inside the directory, or of the endpoint. A `dimension` must be the
    /// model's; an endpoint's model needs one, since nothing else says it.
    ///
    /// A folder is read once, by the first who asks, which takes up to a second: not for threads that answer requests. A
    /// folder that changes later is read when the process starts again, and is another version then.
    ///
    /// # Errors
    /// When there is none, it cannot be used, or its vectors have another dimension.
    pub fn get(&self, kind: Kind, name: &str, dimension: Option<usize>) -> Result<Arc<dyn Embedder>, ModelError> {
        // Of a folder there is one model, whatever dimension it is asked for with.
        let key = (kind, name.to_owned(), dimension.filter(|_| kind == Kind::Endpoint));
        // Held while one is read: who asks meanwhile waits for that, and does not read it again.
        let mut loaded = self.loaded.lock();
        let model = match loaded.iter().position(|(k, _)| *k == key) {
            Some(place) => loaded.remove(place).1,
            None => self.load(kind, name, dimension)?,
        };
        if loaded.len() >= REMEMBERED {
            loaded.remove(0);
        }
        loaded.push((key, Arc::clone(&model)));
        match dimension {
            Some(wanted) if wanted != model.dimension() => {
                Err(ModelError::Dimension { name: name.to_owned(), has: model.dimension(), wanted })
            }
            _ => Ok(model),
        }
    }

    fn load(&self, kind: Kind, name: &str, dimension: Option<usize>) -> Result<Arc<dyn Embedder>, ModelError> {
        Ok(match kind {
            Kind::Static => self.here(StaticModel::open(&self.folder(name)?)?),
            Kind::Sentence => self.here(SentenceModel::open(&self.folder(name)?)?),
            Kind::Endpoint => {
                let settings = self.endpoint.as_ref().ok_or(ModelError::NotSet("address of an embeddings endpoint"))?;
                Arc::new(Endpoint::new(settings, name, dimension)?)
            }
        })
    }

    fn here<M: Model + 'static>(&self, model: M) -> Arc<dyn Embedder> {
        Arc::new(Threaded::new(model, self.threads.clone()))
    }

    fn folder(&self, name: &str) -> Result<PathBuf, ModelError> {
        let directory = self.directory.as_deref().ok_or(ModelError::NotSet("directory of models"))?;
        if !is_name(name) {
            return Err(ModelError::Name(name.chars().take(128).flat_map(char::escape_debug).collect()));
        }
        let folder = directory.join(name);
        if folder.is_dir() {
            return Ok(folder);
        }
        Err(ModelError::Unknown { name: name.to_owned(), there: names(directory) })
    }

    /// Names of the folders that models may be in, sorted; none if the directory cannot be read.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.directory.as_deref().map(names).unwrap_or_default()
    }
}

/// `[A-Za-z0-9][A-Za-z0-9._-]*`, 128 characters at most: never another folder's child or parent.
fn is_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = named.filter(|name| is_name(name)).take(MOST_NAMES).collect();
    names.sort_unstable();
    names
}
