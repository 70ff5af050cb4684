//! What answers are checked for: their shape, that nobody gets two arms, and that two targets agree.

mod answer;
mod compare;
mod rewards;
mod sticky;

pub(crate) use compare::Differences;
pub(crate) use rewards::RewardModel;

use crate::map::Base;
use crate::send::{Job, Kind, Lost, Observer, Stats};
use answer::Decision;
use compare::Pairs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::rc::Rc;
use sticky::{Sticky, Verdict};

/// Longest part of an answer that a finding shows.
const SHOWN: usize = 300;

/// What was found in the answers of the first target.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Findings {
    /// Answers to decide requests that are as the contract says.
    pub(crate) decisions: u64,
    /// Of these, by who chose.
    pub(crate) sources: BTreeMap<String, u64>,
    /// Successful answers to decide requests that are not.
    pub(crate) malformed: u64,
    pub(crate) first_malformed: Option<String>,
    /// Decisions whose user, item and day had one before.
    pub(crate) repeats: u64,
    /// Of these, with another arm.
    pub(crate) unsticky: u64,
    pub(crate) first_unsticky: Option<String>,
    /// Decisions that are not remembered, since too many are.
    pub(crate) not_remembered: u64,
}

/// Told of progress while a run goes on.
pub(crate) type Progress = Box<dyn FnMut(&Stats, usize, u64)>;

/// Looks at every answer.
pub(crate) struct Watch {
    pub(crate) findings: Findings,
    pub(crate) pairs: Option<Pairs>,
    sticky: Sticky,
    rewards: Option<RewardModel>,
    base: Base,
    progress: Progress,
}

impl Watch {
    pub(crate) fn new(base: Base, rewards: Option<RewardModel>, compare: bool, progress: Progress) -> Self {
        let pairs = compare.then(Pairs::default);
        Self { findings: Findings::default(), pairs, sticky: Sticky::default(), rewards, base, progress }
    }

    fn decision(&mut self, job: &Job, body: &[u8], stats: &mut Stats, now_ns: u64) -> Option<Job> {
        let decision = match Decision::read(body) {
            Ok(decision) => decision,
            Err(why) => {
                self.findings.malformed += 1;
                let shown = String::from_utf8_lossy(&body[..body.len().min(SHOWN)]).into_owned();
                self.findings.first_malformed.get_or_insert_with(|| format!("{why}: {shown}"));
                return None;
            }
        };
        self.findings.decisions += 1;
        count(&mut self.findings.sources, &decision.source);
        stats.arm(&decision.arm);
        // A fallback says itself that it may not last, and others are not assignments.
        if matches!(&*decision.source, "policy" | "holdout") {
            match self.sticky.look(job.key, &decision.day, &decision.arm) {
                Verdict::New => {}
                Verdict::Same => self.findings.repeats += 1,
                Verdict::Other => {
                    self.findings.repeats += 1;
                    self.findings.unsticky += 1;
                    let first = || {
                        String::from_utf8_lossy(job.bytes.split(|b| *b == b'\r').next().unwrap_or_default())
                            .into_owned()
                    };
                    self.findings.first_unsticky.get_or_insert_with(first);
                }
                Verdict::Full => self.findings.not_remembered += 1,
            }
        }
        let (name, delay_ns) = self.rewards.as_ref()?.draw(&decision)?;
        let bytes = self.base.reward(name, &decision.decision_id);
        Some(Job { due_ns: now_ns + delay_ns, user: job.user, key: 0, kind: Kind::Event, bytes })
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    match counts.get_mut(name) {
        Some(count) => *count += 1,
        None => drop(counts.insert(name.to_owned(), 1)),
    }
}

impl Observer for Watch {
    fn outcome(
        &mut self,
        target: usize,
        job: &Rc<Job>,
        answer: Result<(u16, &[u8]), Lost>,
        stats: &mut Stats,
        now_ns: u64,
    ) -> Option<Job> {
        if let Some(pairs) = &mut self.pairs {
            pairs.take(target, job, answer);
        }
        match (answer, job.kind) {
            (Ok(_), Kind::Event) => stats.events += 1,
            (Ok((200..300, body)), Kind::Decide) if target == 0 => return self.decision(job, body, stats, now_ns),
            _ => {}
        }
        None
    }

    fn tick(&mut self, stats: &Stats, waiting: usize, now_ns: u64) {
        (self.progress)(stats, waiting, now_ns);
    }
}
