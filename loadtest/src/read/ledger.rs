//! What became of every line.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Longest sample of a line that is kept.
const SAMPLE: usize = 120;

/// Why a line is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Refusal {
    TooLong,
    CutShort,
    Unknown,
    NoTime,
    NoRequest,
    Json,
    Utf16,
    Packed,
    Part,
}

/// What is worth knowing of lines that were used, or left out on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Note {
    /// Bytes that are not UTF-8 were replaced.
    NotUtf8,
    /// Its stamp was before that of a line above it, and it was put in order.
    Reordered,
    /// Its stamp was further back than lines are kept for ordering, and it was sent with the latest.
    ClockBack,
    /// No rule made a request of it.
    NoMatch,
    /// Its method is not allowed.
    Method,
    /// Left out by sampling.
    Sampled,
    /// Rewards that were not asked for.
    RewardLeft,
    /// Answers in the log.
    AnswerLeft,
    /// The path was not one that can be sent.
    Unsendable,
    /// The line ends within its last fields, after the request.
    Tail,
    /// Mirrored while the queue was full.
    QueueFull,
    /// Mirrored with a body that is too large, or that ended early.
    BodyLeft,
}

impl Refusal {
    pub(crate) const fn explain(self) -> &'static str {
        match self {
            Self::TooLong => "longer than 256 KiB: left out without being kept",
            Self::CutShort => "ends in the middle of a field: the log was cut here, or the disk was full",
            Self::Unknown => "no known format: common, combined, JSON, ALB, Envoy, GoReplay, HAR or a decision log",
            Self::NoTime => "its time cannot be read",
            Self::NoRequest => "holds no HTTP request line, as of clients that spoke something else or nothing",
            Self::Json => "is not one whole JSON object, or without method and path",
            Self::Utf16 => "is UTF-16 or binary: convert it with iconv -f utf-16 -t utf-8",
            Self::Packed => "the compressed stream is damaged or ends early: what came before was read",
            Self::Part => "a part of a GoReplay file or HAR that is no HTTP request",
        }
    }
}

impl Note {
    pub(crate) const fn explain(self) -> &'static str {
        match self {
            Self::NotUtf8 => "not UTF-8: bytes were replaced, and the line was used",
            Self::Reordered => "out of order: put in order",
            Self::ClockBack => "the clock went back further than --reorder: sent with the latest",
            Self::NoMatch => "no rule made a request of it",
            Self::Method => "its method needs --allow-method",
            Self::Sampled => "left out by --sample",
            Self::RewardLeft => "a reward: needs --rewards",
            Self::AnswerLeft => "an answer, which is not replayed",
            Self::Unsendable => "its request cannot be sent",
            Self::Tail => "cut after the request: used without what is missing",
            Self::QueueFull => "dropped, since --queue was full",
            Self::BodyLeft => "dropped, since the body was larger than 1 MiB or ended early",
        }
    }
}

/// How many, and the first of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Count {
    pub(crate) count: u64,
    pub(crate) first_line: u64,
    pub(crate) sample: String,
}

/// Counts of everything that was read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    /// Lines, or requests of a GoReplay file or HAR.
    pub(crate) lines: u64,
    /// Compressed bytes, for progress.
    pub(crate) bytes: u64,
    /// Requests made of them.
    pub(crate) requests: u64,
    pub(crate) refused: BTreeMap<Refusal, Count>,
    pub(crate) noted: BTreeMap<Note, Count>,
    /// Fields that lines without a match lacked.
    pub(crate) lacking: BTreeMap<&'static str, u64>,
}

impl Ledger {
    pub(crate) fn refuse(&mut self, why: Refusal, line: &[u8]) {
        note(self.refused.entry(why).or_default(), self.lines, line);
    }

    pub(crate) fn note(&mut self, what: Note, line: &[u8]) {
        note(self.noted.entry(what).or_default(), self.lines, line);
    }

    /// Counts many at once that were never lines.
    pub(crate) fn note_all(&mut self, what: Note, count: u64) {
        if count > 0 {
            self.noted.entry(what).or_default().count += count;
        }
    }
}

fn note(count: &mut Count, line_number: u64, line: &[u8]) {
    if count.count == 0 {
        count.first_line = line_number;
        let cut = &line[..line.len().min(SAMPLE)];
        count.sample = String::from_utf8_lossy(cut).chars().map(|c| if c.is_control() { '·' } else { c }).collect();
    }
    count.count += 1;
}

/// A ledger that one thread writes and another looks at.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
