//! `croupier evaluate recommendations`: how often lists would have had what visitors looked at next.
//!
//! A log of what visitors looked at ([`log`]) is replayed in the order of time ([`replay`]). Each list is made from what
//! was known before its moment alone ([`lists`]), and what the visitor looked at in that moment is what was wanted.
//! [`measure`] says how good lists were, [`report`] and [`text`] what came of it.

mod error;
mod items;
mod lists;
mod log;
mod measure;
mod replay;
mod report;
mod table;
mod text;

pub use error::{Fault, RecommendationsError};

use super::Output;
use crate::import::Format;
use crate::import::progress::Progress;
use recommend::{CatalogDefinition, Profile};
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// Try lists on a log of what visitors looked at.
///
/// The log and the items are files: CSV with a header, NDJSON (each also packed by gzip) or Parquet. The log is replayed
/// in the order of time. At each moment at which a visitor looked at something new, lists are made from what was known
/// before it, without what they had seen; what they looked at then is what a list should have had. A row that cannot be
/// read ends the command.
#[derive(Debug, Clone, clap::Args)]
#[command(after_long_help = HELP)]
pub struct RecommendationsArgs {
    /// Who looked at what and when: columns user, item and at (a time in RFC 3339, or Unix seconds)
    #[arg(value_name = "LOG")]
    pub file: PathBuf,
    /// The items: columns for an id, for a vector (a JSON array) or texts, and for tags
    #[arg(long, value_name = "FILE")]
    pub items: PathBuf,
    /// Which column of the log holds which field, for those not named like the field: user, item, at
    #[arg(long, value_name = "FIELD=COLUMN", value_delimiter = ',')]
    pub map: Vec<String>,
    /// Column of the log that says how much an item was liked
    #[arg(long, value_name = "COLUMN", requires = "min_value")]
    pub value: Option<String>,
    /// Least such value; rows below it do not count
    #[arg(long, value_name = "X", requires = "value", allow_negative_numbers = true)]
    pub min_value: Option<f64>,
    /// What the log is; told from its name when absent
    #[arg(long, value_enum)]
    pub input: Option<Format>,
    /// What the file of items is; told from its name when absent
    #[arg(long, value_enum)]
    pub items_input: Option<Format>,
    /// Column of the items' ids
    #[arg(long, value_name = "COLUMN", default_value = "id")]
    pub id: String,
    /// Column of the items' vectors
    #[arg(long, value_name = "COLUMN", default_value = "vector", conflicts_with = "static_model")]
    pub vector: String,
    /// Columns of texts that vectors are made from, by --static-model
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', default_value = "text", requires = "static_model")]
    pub text: Vec<String>,
    /// Folder of a static model: model.safetensors with one vector a token, and tokenizer.json
    #[arg(long, value_name = "DIR")]
    pub static_model: Option<PathBuf>,
    /// Let the names of tags be texts too
    #[arg(long, requires = "static_model")]
    pub tags_are_text: bool,
    /// Column of the items' tags: a JSON array of texts, or texts between '|'; none if there is no such column
    #[arg(long, value_name = "COLUMN", default_value = "tags")]
    pub tags: String,
    /// Columns that are tags themselves, where they say 1 or true
    #[arg(long, value_name = "COLUMN", value_delimiter = ',')]
    pub tag_columns: Vec<String>,
    /// Column of the items' times, before which they are in no list
    #[arg(long, value_name = "COLUMN")]
    pub items_at: Option<String>,
    /// How the answer is written
    #[arg(long, value_enum, default_value = "text")]
    pub format: Output,
    /// Items in a list
    #[arg(short, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub k: u16,
    /// Most moments at which lists are made; of more, a sample
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(1..))]
    pub most: u32,
    /// Seed of the sample: equal seeds give equal samples
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// The catalog as its definition has it, all but its dimension, as '{"diversity":0.5,"max_per_tag":3}'
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub catalog: String,
    /// How views become a visitor's vector, as '{"kind":"attention"}'
    #[arg(long, value_name = "JSON")]
    pub profile: Option<String>,
    /// Hours after which a view counts half in what is popular
    #[arg(long, value_name = "HOURS", default_value_t = 168.0)]
    pub half_life_hours: f64,
}

const HELP: &str = "\
Lists that are compared:
  ours      from the visitor's vector, varied as the catalog says
  plain     from the same vector, the nearest items
  last      the nearest to what the visitor looked at last
  popular   what all visitors looked at, older views counting less

What is said of them, each a mean over users of the mean over a user's lists, with its standard error:
  recall     of what was looked at next, the share that the list had
  ndcg       the same, and more for being near the list's beginning
  relevance  score of a list's items against the visitor's vector
  distance   1 - cosine between two items of a list
and the share of the catalog that is in any list (coverage).";

/// What the command works with.
struct Setup {
    catalog: CatalogDefinition,
    profile: Profile,
}

impl Setup {
    fn of(args: &RecommendationsArgs, dimension: usize) -> Result<Self, RecommendationsError> {
        let mut fields: serde_json::Map<String, serde_json::Value> = parse("catalog", &args.catalog)?;
        fields.insert("dimension".into(), dimension.into());
        let catalog: CatalogDefinition = parse("catalog", &serde_json::Value::from(fields).to_string())?;
        let profile = args.profile.as_ref().map_or(Ok(Profile::default()), |text| parse("profile", text))?;
        let wrong = catalog.check().err().into_iter().flatten().chain(profile.check().err()).next();
        match wrong {
            Some(e) => Err(RecommendationsError::Setting { setting: "catalog or --profile", why: e.to_string() }),
            None => Ok(Self { catalog, profile }),
        }
    }
}

fn parse<T: DeserializeOwned>(setting: &'static str, text: &str) -> Result<T, RecommendationsError> {
    serde_json::from_str(text).map_err(|e| RecommendationsError::Setting { setting, why: e.to_string() })
}

/// Tries lists on the log that `args` name, and gives the text to print; `progress` draws a bar on standard error.
///
/// # Errors
/// When a file cannot be read, or there is nothing in it to make lists for.
pub fn run(args: &RecommendationsArgs, progress: bool) -> Result<String, RecommendationsError> {
    if !(args.half_life_hours > 0.0 && args.half_life_hours.is_finite()) {
        return Err(RecommendationsError::Setting { setting: "half-life-hours", why: "must be above 0".into() });
    }
    // Settings are told wrong before files are read.
    Setup::of(args, 1)?;
    let progress = Progress::new(progress);
    let raw = items::read(args, progress)?;
    let setup = Setup::of(args, raw.dimension)?;
    let items = items::Items::new(raw, &setup.catalog);
    let log = log::read(args, &items, progress)?;
    let replayed = replay::replay(args, &setup, &items, &log, progress)?;
    let report = report::Report { args, setup: &setup, items: &items, log: &log, replayed: &replayed };
    Ok(match args.format {
        Output::Text => text::write(&report),
        Output::Json => report.json().to_string(),
    })
}
