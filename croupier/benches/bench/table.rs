//! The table and the baseline it is compared with.

use crate::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What a measured value is held against.
pub(crate) enum Against {
    /// Another program, measured in the same run.
    Peer(&'static str, f64),
    /// A fixed limit.
    Limit(f64),
    /// Only the baseline.
    Nothing,
}

/// What the ratio of measured to peer or limit should be.
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    None,
}

/// One measurement.
pub(crate) struct Line {
    pub(crate) key: &'static str,
    pub(crate) what: String,
    pub(crate) measured: f64,
    pub(crate) unit: &'static str,
    pub(crate) against: Against,
    pub(crate) goal: Goal,
}

impl Line {
    fn ratio(&self) -> Option<f64> {
        match self.against {
            Against::Peer(_, value) | Against::Limit(value) => Some(self.measured / value),
            Against::Nothing => None,
        }
    }

    fn verdict(&self) -> &'static str {
        let met = match (self.ratio(), &self.goal) {
            (Some(ratio), Goal::AtLeast(goal)) => ratio >= *goal,
            (Some(ratio), Goal::AtMost(goal)) => ratio <= *goal,
            _ => return "",
        };
        if met { "ok" } else { "MISSED" }
    }

    /// What lasts from run to run: the ratio to a peer, or else the value itself.
    fn lasting(&self) -> f64 {
        match self.against {
            Against::Peer(..) => self.ratio().unwrap_or(f64::NAN),
            _ => self.measured,
        }
    }
}

/// Figures of an earlier run by key: ratios to peers, and values where there is no peer.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Baseline(BTreeMap<String, f64>);

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/baseline.json");

impl Baseline {
    /// The saved one; empty if none was saved.
    pub(crate) fn read() -> Outcome<Self> {
        if !Path::new(FILE).exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read(FILE)?;
        serde_json::from_slice(&text).map_err(|e| format!("benches/baseline.json cannot be read: {e}").into())
    }

    /// Parts that were not measured keep their figures.
    pub(crate) fn take(&mut self, lines: &[Line]) {
        for line in lines {
            // Four digits: more would be noise in the file's history.
            let rounded = format!("{:.3e}", line.lasting()).parse();
            self.0.insert(line.key.to_owned(), rounded.unwrap_or(f64::NAN));
        }
    }

    pub(crate) fn write(&self) -> Outcome<()> {
        std::fs::write(FILE, serde_json::to_string_pretty(self)? + "\n")?;
        Ok(())
    }
}

/// Columns: what, measured, peer or limit, ratio, goal, verdict, change of the lasting figure.
pub(crate) fn render(lines: &[Line], baseline: &Baseline) -> String {
    let head = ["what", "measured", "peer or limit", "ratio", "goal", "", "since baseline"].map(String::from);
    let rows = lines.iter().map(|line| {
        let against = match &line.against {
            Against::Peer(name, value) => format!("{} {name}", show(*value, line.unit)),
            Against::Limit(value) => format!("{} limit", show(*value, line.unit)),
            Against::Nothing => String::new(),
        };
        let goal = match line.goal {
            Goal::AtLeast(goal) => format!("≥ {goal}"),
            Goal::AtMost(goal) => format!("≤ {goal}"),
            Goal::None => String::new(),
        };
        let change = baseline
            .0
            .get(line.key)
            .map_or_else(|| "none saved".into(), |before| format!("{:+.0} %", (line.lasting() / before - 1.0) * 100.0));
        let ratio = line.ratio().map_or_else(String::new, |r| format!("{r:.2}"));
        let measured = show(line.measured, line.unit);
        [line.what.clone(), measured, against, ratio, goal, line.verdict().into(), change]
    });
    let rows: Vec<[String; 7]> = std::iter::once(head).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|r| r[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let print = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(print).collect::<Vec<_>>().join("\n")
}

fn show(value: f64, unit: &str) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else {
        2
    };
    format!("{value:.digits$} {unit}")
}

/// The middle value.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}
