//! Entries in, requests out: as rules say, or as they were.

mod places;
mod render;
mod rules;

pub(crate) use render::Base;
pub(crate) use rules::{Rule, Rules, Setting};

use crate::read::{Decided, Entry, Note, Stamp};
use crate::send::Kind;
use render::Fields;

use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Longest id that the API takes, in bytes.
const LONGEST_ID: usize = 256;

/// How entries become requests.
#[derive(Debug, Clone)]
pub(crate) struct Mapping {
    pub(crate) base: Base,
    /// Requests as they were, instead of decide requests.
    pub(crate) as_is: bool,
    pub(crate) rules: Rules,
    /// Which lines are rewards.
    pub(crate) rewards: Rules,
    /// Rewards of a decision log are sent too.
    pub(crate) with_rewards: bool,
    pub(crate) reward_name: String,
    /// Decide by POST rather than GET.
    pub(crate) post: bool,
    pub(crate) allowed: BTreeSet<String>,
    pub(crate) salt: Option<String>,
    /// Share of users that take part.
    pub(crate) sample: f64,
}

/// A request without its time of sending.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Made {
    pub(crate) at: Stamp,
    pub(crate) user: u64,
    pub(crate) key: u64,
    pub(crate) kind: Kind,
    pub(crate) bytes: Box<[u8]>,
}

/// Why an entry is no request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Note(Note),
    Lacks(&'static str),
}

impl Mapping {
    /// The requests that an entry stands for: mostly one, and a reward with it in some decision logs.
    pub(crate) fn requests(&self, entry: &Entry<'_>, out: &mut Vec<Made>) -> Result<(), Left> {
        if self.as_is {
            return self.as_it_was(entry, out);
        }
        if let Some(decided) = &entry.decided {
            return self.decision(entry, decided, out);
        }
        if !self.rewards.is_empty()
            && let Some(mut fields) = self.rewards.fields(entry)
        {
            // Who it was is told by the other rules, though they do not mean this page.
            fields.fill(self.rules.captured(entry).0);
            return self.reward(entry.at, fields, out);
        }
        let fields = self.rules.fields(entry).ok_or(Left::Note(Note::NoMatch))?;
        self.decide(entry.at, fields, out)
    }

    fn as_it_was(&self, entry: &Entry<'_>, out: &mut Vec<Made>) -> Result<(), Left> {
        if !self.allowed.contains(&*entry.method) {
            return Err(Left::Note(Note::Method));
        }
        let who = if entry.client.is_empty() { &entry.target } else { &entry.client };
        if self.sample < 1.0 && !self.takes_part(hash(&[who])) {
            return Err(Left::Note(Note::Sampled));
        }
        let bytes = self.base.as_it_was(entry).ok_or(Left::Note(Note::Unsendable))?;
        let kind = if entry.method == "HEAD" { Kind::Head } else { Kind::Plain };
        out.push(Made { at: entry.at, user: 0, key: 0, kind, bytes });
        Ok(())
    }

    fn decision(&self, entry: &Entry<'_>, decided: &Decided, out: &mut Vec<Made>) -> Result<(), Left> {
        let mut fields = Fields {
            experiment: decided.experiment.clone(),
            user: decided.user.clone(),
            item: decided.item.clone(),
            context: decided.context.clone(),
            ..Fields::default()
        };
        self.rules.defaults(&mut fields);
        let mut later = fields.clone();
        if !decided.is_event {
            self.decide(entry.at, fields, out)?;
        }
        match &decided.reward {
            Some(reward) if self.with_rewards => {
                (later.value, later.name) = (Some(reward.value.to_string()), reward.name.clone());
                self.reward(reward.at.unwrap_or(entry.at), later, out)
            }
            _ if decided.is_event => Err(Left::Note(Note::RewardLeft)),
            _ => Ok(()),
        }
    }

    fn decide(&self, at: Stamp, mut fields: Fields, out: &mut Vec<Made>) -> Result<(), Left> {
        let experiment = known(fields.experiment.as_deref(), "experiment")?.to_owned();
        let user = self.user(&mut fields)?;
        let bytes = if self.post { self.base.decide_by_post(&fields) } else { self.base.decide_by_get(&fields) };
        let key = hash(&[
            &experiment,
            fields.user.as_deref().unwrap_or_default(),
            fields.item.as_deref().unwrap_or_default(),
        ]);
        out.push(Made { at, user, key, kind: Kind::Decide, bytes });
        Ok(())
    }

    fn reward(&self, at: Stamp, mut fields: Fields, out: &mut Vec<Made>) -> Result<(), Left> {
        let user = self.user(&mut fields)?;
        fields.name.get_or_insert_with(|| self.reward_name.clone());
        out.push(Made { at, user, key: 0, kind: Kind::Event, bytes: self.base.event(&fields) });
        Ok(())
    }

    /// Checks the user, puts the hash in the name's place where that is asked for, and draws the sample.
    fn user(&self, fields: &mut Fields) -> Result<u64, Left> {
        let user = known(fields.user.as_deref(), "user")?;
        if let Some(salt) = &self.salt {
            let mut digest = String::with_capacity(32);
            for byte in Sha256::new().chain_update(salt).chain_update([0]).chain_update(user).finalize().iter().take(16)
            {
                let _ = write!(digest, "{byte:02x}");
            }
            fields.user = Some(digest);
        }
        if fields.item.as_ref().is_some_and(|item| item.len() > LONGEST_ID || item.is_empty()) {
            return Err(Left::Lacks("item"));
        }
        let user = hash(&[fields.user.as_deref().unwrap_or_default()]);
        if self.takes_part(user) { Ok(user) } else { Err(Left::Note(Note::Sampled)) }
    }

    fn takes_part(&self, hash: u64) -> bool {
        self.sample >= 1.0 || (hash as f64) < self.sample * u64::MAX as f64
    }
}

fn known<'a>(id: Option<&'a str>, name: &'static str) -> Result<&'a str, Left> {
    let good = |id: &&str| !id.is_empty() && id.len() <= LONGEST_ID && !id.chars().any(char::is_control);
    id.filter(good).ok_or(Left::Lacks(name))
}

/// Never zero, which is nobody.
fn hash(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish().max(1)
}
