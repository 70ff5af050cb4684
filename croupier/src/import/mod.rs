//! `croupier import`: loads a historic log of decisions and rewards into one experiment, whole or not at all.
//!
//! A [`source::Source`] is the file as rows of text cells, whatever its format; [`mapping`] says which column is
//! which field; [`rows`] turns one row into what the store takes in; [`load`] makes batches of them.

mod create;
mod csv;
mod error;
pub(crate) mod fields;
mod ids;
mod load;
pub(crate) mod mapping;
mod ndjson;
mod parquet;
pub(crate) mod progress;
mod refusal;
mod rows;
pub(crate) mod source;
mod summary;
pub(crate) mod times;

pub use error::ImportError;
pub use mapping::Field;
pub use refusal::{Place, Refusal, Shown, Why};
pub use source::Format;
pub use summary::{Counted, Created, ImportSummary, Loaded, Refused};

use bandit::{Experiment, HourOutcome, Status};
use jiff::Timestamp;
use load::{Batches, Told};
use mapping::Mapping;
use progress::Progress;
use source::Source;
use std::path::PathBuf;
use store::{Change, DatabaseStores, ExperimentRecord, Import, ImportOutcome, StoreError};

/// Load a historic log of decisions and rewards into an experiment.
///
/// The log is loaded whole or not at all, and a name is never loaded twice. A row is a decision unless its type
/// says 'reward' or 'exposure'; a decision's row may hold its reward too.
#[derive(Debug, Clone, clap::Args)]
pub struct ImportArgs {
    /// The log: CSV with a header, one JSON object per line, or Parquet
    pub file: PathBuf,
    /// The experiment that the log is of
    #[arg(long, value_name = "ID")]
    pub experiment: String,
    /// Name of this load: rows without an id are known by it, and it is never loaded twice
    #[arg(long)]
    pub name: String,
    /// Which column holds which field, for those not named like the field: user, item, arm, at, reward,
    /// reward_at, propensity, decision_id, type, context.NAME
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
    pub map: Vec<String>,
    /// What the file is; told from its name when absent
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Make the experiment from the arms in the log if it does not exist, and leave it paused
    #[arg(long)]
    pub create: bool,
    /// Name of the rewards in the log; the experiment's own when absent ('reward' with --create)
    #[arg(long, value_name = "EVENT")]
    pub reward_event: Option<String>,
    /// Keep nothing if any row is refused
    #[arg(long)]
    pub strict: bool,
}

/// Who is named in the audit log.
const WHO: &str = "croupier import";

/// Loads the log that `args` name, as of `now`; `progress` draws a bar on standard error.
///
/// # Errors
/// When the log cannot be loaded; nothing of it is kept then, nor the experiment if it was made for it.
pub async fn run(
    args: &ImportArgs,
    stores: &DatabaseStores,
    now: Timestamp,
    progress: bool,
) -> Result<ImportSummary, ImportError> {
    bandit::check_id(&args.name).map_err(ImportError::Name)?;
    let mapping = Mapping::parse(&args.map)?;
    let source = Source::open(&args.file, args.format, Progress::new(progress))?;
    let digest = source.digest()?;
    let change = Change { who: WHO.into(), why: format!("import '{}'", args.name), at: now, request: String::new() };
    let (record, made) = match stores.experiments.get(&args.experiment).await? {
        Some(record) => (record, false),
        None if args.create => {
            let definition = create::definition(args, &mapping, &source)?;
            (stores.experiments.create(&definition, &change).await?, true)
        }
        None => return Err(ImportError::NoExperiment(args.experiment.clone())),
    };
    let import =
        Import { name: args.name.clone(), experiment: args.experiment.clone(), digest, who: WHO.into(), at: now };
    match load(args, stores, &record, &mapping, &source, &import).await {
        Ok(mut summary) => {
            if record.status == Status::Draft {
                pause(stores, &args.experiment, &change).await?;
                let arms = record.definition.arms.len();
                summary.paused = Some(if made { Created::New { arms } } else { Created::Draft });
            }
            Ok(summary)
        }
        Err(cause) if made => match stores.experiments.delete(&args.experiment, &change).await {
            Ok(()) => Err(cause),
            Err(why) => {
                Err(ImportError::NotUndone { experiment: args.experiment.clone(), cause: Box::new(cause), why })
            }
        },
        Err(cause) => Err(cause),
    }
}

async fn load(
    args: &ImportArgs,
    stores: &DatabaseStores,
    record: &ExperimentRecord,
    mapping: &Mapping,
    source: &Source,
    import: &Import,
) -> Result<ImportSummary, ImportError> {
    let experiment = &record.definition;
    let reward_event = reward_event(args, experiment)?;
    let layout = mapping.lay_out(&experiment.segment_by, &source.columns(&mapping.given())?)?;
    let reader = rows::RowReader::new(import, record, reward_event, &layout)?;
    let before = counted(&stores.outcomes.evidence(&experiment.id).await?.outcomes);
    let mut batches = Batches::new(source, source.rows(&layout.columns, "loading")?, reader, import.at, args.strict);
    let outcome = stores.outcomes.import(import, &mut batches).await;
    let Told { rows, decisions, refused, outside_window, unordered, failure } = batches.told();
    let loaded = match outcome {
        Ok(ImportOutcome::Repeated(at)) => return Ok(ImportSummary::repeated(import, at)),
        Ok(ImportOutcome::NameTaken { experiment, at }) => {
            return Err(ImportError::NameTaken { name: import.name.clone(), experiment, at });
        }
        Err(StoreError::Aborted(why)) => return Err(failure.unwrap_or(ImportError::Store(StoreError::Aborted(why)))),
        Err(e) => return Err(e.into()),
        Ok(ImportOutcome::Loaded(ingested)) => ingested,
    };
    let after = counted(&stores.outcomes.evidence(&experiment.id).await?.outcomes);
    Ok(ImportSummary::loaded(
        import,
        Loaded {
            rows,
            decisions: loaded.decisions,
            repeats: decisions.saturating_sub(loaded.decisions + loaded.set_aside),
            events: loaded.events,
            set_aside: loaded.set_aside,
            refused,
            outside_window,
            window_hours: experiment.reward.window_hours,
            unordered,
            before,
            after,
        },
    ))
}

/// Reads the log at `path` as one of an experiment with arms `a` and `b`, and keeps nothing: how many rows can be taken and how
/// many cannot, or why it is no log.
pub(crate) fn read_log(path: &std::path::Path, format: Format) -> Result<(u64, u64), String> {
    let told = |e: ImportError| e.to_string();
    let experiment = r#"{"id":"e","arms":[{"id":"a"},{"id":"b"}],"segment_by":["device"],"reward":{"event":"buy"}}"#;
    let definition: Experiment = serde_json::from_str(experiment).map_err(|e| e.to_string())?;
    let at = Timestamp::UNIX_EPOCH;
    let record = ExperimentRecord {
        definition,
        status: Status::Paused,
        winner: None,
        revision: 1,
        created_at: at,
        updated_at: at,
        started_at: None,
        stopped_at: None,
        frozen_at: None,
    };
    let source = Source::open(path, Some(format), Progress::new(false)).map_err(told)?;
    let columns = source.columns(&[]).map_err(told)?;
    let layout = Mapping::parse(&[]).and_then(|m| m.lay_out(&record.definition.segment_by, &columns)).map_err(told)?;
    let import = Import { name: "log".into(), experiment: "e".into(), digest: [0; 32], who: WHO.into(), at };
    let reader = rows::RowReader::new(&import, &record, "buy".into(), &layout).map_err(told)?;
    let (mut taken, mut refused) = (0, 0);
    for row in source.rows(&layout.columns, "reading").map_err(told)? {
        let row = row.map_err(told)?;
        *if reader.read(row).is_ok() { &mut taken } else { &mut refused } += 1;
    }
    Ok((taken, refused))
}

/// What rewards of the log are called.
fn reward_event(args: &ImportArgs, experiment: &Experiment) -> Result<String, ImportError> {
    let own = &experiment.reward.event;
    match &args.reward_event {
        None => Ok(own.clone()),
        // Under another name they would be kept and never count.
        Some(given) if given == own || experiment.guardrails.iter().any(|g| g.event == *given) => Ok(given.clone()),
        Some(given) => Err(ImportError::RewardEvent { given: given.clone(), own: own.clone() }),
    }
}

/// Ends a draft's life as a draft, since decisions now hold its arms by their place, without letting it deal.
async fn pause(stores: &DatabaseStores, id: &str, change: &Change) -> Result<(), ImportError> {
    for (from, to) in [(Status::Draft, Status::Running), (Status::Running, Status::Paused)] {
        let done = stores.experiments.set_status(id, from, to, None, change).await;
        done.map_err(|why| ImportError::NotPaused { experiment: id.into(), why })?;
    }
    Ok(())
}

fn counted(outcomes: &[HourOutcome]) -> Counted {
    outcomes
        .iter()
        .fold(Counted::default(), |c, o| Counted { trials: c.trials + o.trials, rewards: c.rewards + o.rewards })
}
