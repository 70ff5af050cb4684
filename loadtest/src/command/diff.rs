//! `loadtest diff A.json B.json`

use super::Verdict;
use super::finish::tell;
use crate::args::DiffArgs;
use crate::failure::Failure;
use crate::report::Report;
use std::path::Path;

pub(super) fn diff(args: &DiffArgs) -> Result<Verdict, Failure> {
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    tell(&crate::report::diff(&a, &b));
    Ok(if a.invalid.is_some() || b.invalid.is_some() { Verdict::Invalid } else { Verdict::Good })
}

fn read(file: &Path) -> Result<Report, Failure> {
    let failed = |why: String| Failure::Report { file: file.display().to_string(), why };
    let text = std::fs::read_to_string(file).map_err(|e| failed(e.to_string()))?;
    serde_json::from_str(&text).map_err(|e| failed(format!("is not what --json writes: {e}")))
}
