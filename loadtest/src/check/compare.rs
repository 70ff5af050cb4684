//! Two targets, the same requests: where do the answers differ?

use crate::send::{Job, Kind, Lost};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// Longest example of a difference.
const SHOWN: usize = 200;

/// How the second target's answers differed from the first's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Differences {
    /// Requests that both answered.
    pub(crate) compared: u64,
    /// Of these, not alike.
    pub(crate) different: u64,
    /// By what differed: `status`, `body`, or a member of JSON answers.
    pub(crate) by: BTreeMap<String, u64>,
    /// The first of each.
    pub(crate) examples: BTreeMap<String, String>,
    /// Requests that only one of them answered.
    pub(crate) one_sided: u64,
}

type Half = (usize, Option<(u16, Vec<u8>)>);

/// Answers that wait for their counterpart: no more than requests are under way.
#[derive(Debug, Default)]
pub(crate) struct Pairs {
    halves: HashMap<*const Job, (Rc<Job>, Half)>,
    pub(crate) differences: Differences,
}

impl Pairs {
    pub(super) fn take(&mut self, target: usize, job: &Rc<Job>, answer: Result<(u16, &[u8]), Lost>) {
        let answer = answer.ok().map(|(status, body)| (status, body.to_vec()));
        let Some((_, (_, other))) = self.halves.remove(&Rc::as_ptr(job)) else {
            self.halves.insert(Rc::as_ptr(job), (job.clone(), (target, answer)));
            return;
        };
        match if target == 0 { (answer, other) } else { (other, answer) } {
            (Some(first), Some(second)) => self.differences.note(job, &first, &second),
            (None, None) => {}
            _ => self.differences.one_sided += 1,
        }
    }
}

impl Differences {
    fn note(&mut self, job: &Job, first: &(u16, Vec<u8>), second: &(u16, Vec<u8>)) {
        self.compared += 1;
        if first == second || (job.kind == Kind::Event && first.0 == second.0) {
            return;
        }
        let request =
            || String::from_utf8_lossy(job.bytes.split(|b| *b == b'\r').next().unwrap_or_default()).into_owned();
        let mut found = Vec::new();
        if first.0 != second.0 {
            found.push(("status".to_owned(), first.0.to_string(), second.0.to_string()));
        } else {
            members(&first.1, &second.1, &mut found);
        }
        if found.is_empty() {
            return;
        }
        self.different += 1;
        for (what, mut a, mut b) in found {
            for text in [&mut a, &mut b] {
                let end = (0..=SHOWN.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.truncate(end);
            }
            *self.by.entry(what.clone()).or_default() += 1;
            self.examples.entry(what).or_insert_with(|| format!("{a} ≠ {b} for {}", request()));
        }
    }
}

/// Members of JSON objects that differ; of anything else, the whole.
fn members(first: &[u8], second: &[u8], found: &mut Vec<(String, String, String)>) {
    match (serde_json::from_slice(first), serde_json::from_slice(second)) {
        (Ok(Value::Object(a)), Ok(Value::Object(b))) => {
            let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            let text = |value: Option<&Value>| value.map_or("(absent)".to_owned(), Value::to_string);
            let differing = names.into_iter().filter(|name| a.get(*name) != b.get(*name));
            found.extend(differing.map(|name| (name.clone(), text(a.get(name)), text(b.get(name)))));
        }
        (Ok(a), Ok(b)) if a == b => {}
        _ => found.push(("body".to_owned(), format!("{} bytes", first.len()), format!("{} bytes", second.len()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_by_member() {
        let mut pairs = Pairs::default();
        let job = || {
            Rc::new(Job { due_ns: 0, user: 0, key: 0, kind: Kind::Decide, bytes: b"GET /x HTTP/1.1\r\n"[..].into() })
        };
        let mut both = |a: Result<(u16, &str), Lost>, b: Result<(u16, &str), Lost>| {
            let job = job();
            let bytes = |r: Result<(u16, &'static str), Lost>| r.map(|(s, t)| (s, t.as_bytes()));
            let (a, b) = (a.map(|(s, t)| (s, t.as_bytes())), b.map(|(s, t)| (s, t.as_bytes())));
            let _ = bytes;
            pairs.take(1, &job, b);
            pairs.take(0, &job, a);
        };
        both(Ok((200, r#"{"arm":"a","first":true}"#)), Ok((200, r#"{"first":true, "arm":"a"}"#)));
        both(Ok((200, r#"{"arm":"a","first":true}"#)), Ok((200, r#"{"arm":"b","first":true}"#)));
        both(Ok((200, "x")), Ok((503, "x")));
        both(Ok((200, "x")), Ok((200, "yy")));
        both(Ok((200, "x")), Err(Lost::Closed));
        let got = &pairs.differences;
        assert_eq!((got.compared, got.different, got.one_sided), (4, 3, 1));
        assert_eq!(got.by, BTreeMap::from([("arm".into(), 1), ("status".into(), 1), ("body".into(), 1)]));
        assert_eq!(got.examples["arm"], r#""a" ≠ "b" for GET /x HTTP/1.1"#);
        assert!(pairs.halves.is_empty());
    }
}
