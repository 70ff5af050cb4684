//! What the updater is made from, as a role of a process and for one pass.

use crate::cli::Failure;
use crate::clock::SystemClock;
use crate::serve::close;
use crate::settings::Settings;
use api::CatalogsFile;
use embed::{Find, Models};
use jiff::SignedDuration;
use rand::TryRng;
use rand::rngs::SysRng;
use std::sync::Arc;
use store::{RunKind, Shelf};
use updater::Updater;

/// The items that an updater without an API makes lists of.
pub(crate) fn items(file: &CatalogsFile) -> Arc<Shelf> {
    Arc::new(match file {
        // An API beside it may have saved it.
        CatalogsFile::Own(file) | CatalogsFile::Shared(file) => Shelf::read_from(file.clone()),
    })
}

/// One pass of work of these kinds, or of everything.
pub(crate) async fn once(settings: &Settings, only: &[RunKind]) -> Result<(), Failure> {
    let stores = store::open(&settings.locations).await?;
    let (config, shelf) = (config(settings)?, items(&settings.catalogs_file));
    let updater = Updater::with(stores.clone(), Arc::new(SystemClock), config, shelf, settings.lists_pace, false);
    let kinds = if only.is_empty() { &RunKind::ALL[..] } else { only };
    let done = updater.with_models(models(settings)).once_of(kinds).await;
    close(&stores).await;
    let mut failed = None;
    for updater::Done { kind, catalog, report } in done? {
        let of = catalog.map_or_else(String::new, |catalog| format!(" of {catalog}"));
        let steps = report.steps.iter().filter(|step| !step.detail.is_empty());
        let steps: Vec<String> = steps.map(|step| format!("{} {}", step.name, step.detail)).collect();
        let sum = match kind {
            RunKind::Posteriors => format!(
                "{} events read ({} new decisions, {} new events, {} set aside); {} experiments recomputed, {} published",
                report.events_read,
                report.decisions,
                report.events,
                report.set_aside,
                report.recomputed,
                report.published
            ),
            _ if steps.is_empty() => "done".into(),
            _ => steps.join("; "),
        };
        println!("{}{of}: {}; {} ms", kind.name(), report.error.as_deref().unwrap_or(&sum), report.duration_ms);
        failed = failed.or(report.error.map(|error| format!("{}{of}: {error}", kind.name())));
    }
    failed.map_or(Ok(()), |why| Err(Failure::Failed(why)))
}

/// The models that make vectors of texts.
pub(crate) fn models(settings: &Settings) -> Arc<dyn Find> {
    Arc::new(Arc::new(Models::open(Some(settings.models.clone()), settings.embeddings.clone())))
}

pub(crate) fn config(settings: &Settings) -> Result<updater::Config, Failure> {
    let mut number = [0; 8];
    SysRng.try_fill_bytes(&mut number).map_err(|e| Failure::Failed(format!("no random numbers: {e}")))?;
    Ok(updater::Config {
        interval: SignedDuration::from_mins(i64::from(settings.interval_minutes)),
        retention_days: settings.retention_days,
        // Process numbers repeat across machines and containers.
        name: format!("{}-{:016x}", std::process::id(), u64::from_le_bytes(number)),
    })
}
