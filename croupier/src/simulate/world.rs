//! The environment's file.

use super::SimulateError;
use bandit::from_json;
use bandit::simulate::Environment;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Most bytes of an environment: a hundred arms in each of a hundred thousand segments fit.
const MOST_BYTES: u64 = 256 << 20;

pub(super) fn read(path: &Path) -> Result<Environment, SimulateError> {
    let unusable = |why| SimulateError::Environment { path: path.into(), why };
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| SimulateError::Unread { path: path.into(), source })?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(unusable(format!("is larger than {} MiB", MOST_BYTES >> 20)));
    }
    let text = String::from_utf8(bytes).map_err(|e| unusable(format!("is not JSON: {}", e.utf8_error())))?;
    let environment: Environment = from_json(&text).map_err(unusable)?;
    environment.check().map_err(|e| unusable(e.to_string()))?;
    Ok(environment)
}
