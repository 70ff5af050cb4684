//! The page's tables as files.

use super::Read;
use super::timeline::detail;
use crate::export::Sheet;
use bandit::{ArmResult, INTERVAL_LEVEL};
use serde_json::{Value, json};
use store::{AuditEntry, ExperimentRecord, Group, Memory, Segments};

/// Segments and changes of a file.
pub(super) const SEGMENTS: usize = 500;
pub(super) const CHANGES: usize = 1_000;

pub(super) fn sheets(
    record: &ExperimentRecord,
    read: &Read,
    segments: &Segments,
    changes: &[AuditEntry],
    memory: &Memory,
) -> Vec<Sheet> {
    let arms = read.past.as_ref().map_or_else(|| read.results.arms.clone(), |past| past.rows(memory));
    let mut all = vec![sheet_of_arms("arms", &arms), of_segments(record, segments), of_changes(changes)];
    if let Some(segment) = read.results.segments.first() {
        all.push(sheet_of_arms("segment", &segment.arms));
    }
    if let Some(h) = &read.results.holdout {
        let row = |name: &str, g: &Group| {
            vec![
                json!(name),
                json!(g.trials),
                json!(g.rewards),
                json!(g.rate),
                json!(g.interval[0]),
                json!(g.interval[1]),
                json!(INTERVAL_LEVEL),
            ]
        };
        all.push(Sheet {
            name: "holdout",
            columns: &["dealt_by", "trials", "rewards", "rate", "rate_low", "rate_high", "interval_level"],
            rows: vec![row("policy", &h.policy), row("holdout", &h.holdout)],
        });
    }
    all
}

fn sheet_of_arms(name: &'static str, arms: &[ArmResult]) -> Sheet {
    let row = |a: &ArmResult| {
        let uplift = a.uplift.as_ref();
        vec![
            json!(a.id),
            json!(a.trials),
            json!(a.pending),
            json!(a.rewards),
            json!(a.rate),
            json!(a.interval[0]),
            json!(a.interval[1]),
            json!(a.p_best),
            json!(a.expected_loss),
            json!(a.allocation),
            json!(uplift.and_then(|u| u.mean)),
            json!(uplift.map(|u| u.interval[0])),
            json!(uplift.map(|u| u.interval[1])),
            json!(a.posterior.alpha),
            json!(a.posterior.beta),
            json!(INTERVAL_LEVEL),
        ]
    };
    Sheet {
        name,
        columns: &[
            "arm",
            "trials",
            "pending",
            "rewards",
            "rate",
            "rate_low",
            "rate_high",
            "p_best",
            "expected_loss",
            "allocation",
            "uplift",
            "uplift_low",
            "uplift_high",
            "alpha",
            "beta",
            "interval_level",
        ],
        rows: arms.iter().map(row).collect(),
    }
}

fn of_segments(record: &ExperimentRecord, segments: &Segments) -> Sheet {
    let arms = &record.definition.arms;
    let rows = segments.largest.iter().flat_map(|s| {
        arms.iter().zip(&s.arms).zip(&s.allocation).map(|((arm, (trials, rewards)), allocation)| -> Vec<Value> {
            vec![json!(s.segment), json!(arm.id), json!(trials), json!(rewards), json!(allocation)]
        })
    });
    Sheet { name: "segments", columns: &["segment", "arm", "trials", "rewards", "allocation"], rows: rows.collect() }
}

fn of_changes(changes: &[AuditEntry]) -> Sheet {
    let row = |(i, c): (usize, &AuditEntry)| {
        vec![json!(c.at.to_string()), json!(c.who), json!(c.action), json!(detail(c, &changes[i + 1..])), json!(c.why)]
    };
    Sheet {
        name: "changes",
        columns: &["at", "who", "action", "detail", "why"],
        rows: changes.iter().enumerate().map(row).collect(),
    }
}
