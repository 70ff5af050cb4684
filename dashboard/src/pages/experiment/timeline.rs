//! Who changed what, when and why.

use crate::audit;
use crate::frame::Frame;
use crate::moment::Moment;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeSet;
use store::AuditEntry;

/// Changes of one page.
pub(super) const CHANGES: usize = 20;

pub(super) struct Timeline {
    pub(super) changes: Vec<Change>,
    /// Address of the page with those before.
    pub(super) older: Option<String>,
}

pub(super) struct Change {
    pub(super) at: Moment,
    pub(super) who: String,
    pub(super) action: String,
    pub(super) detail: String,
    pub(super) why: String,
}

impl Timeline {
    /// `entries`: one more than a page if there are more, newest first.
    pub(super) fn new(frame: &Frame, entries: Vec<AuditEntry>, now: Timestamp) -> Self {
        let more = entries.len() > CHANGES;
        let older = entries.get(CHANGES - 1).filter(|_| more).map(|last| frame.with("before", &last.id.to_string()));
        let change = |(i, entry): (usize, &AuditEntry)| Change {
            at: Moment::full(frame.lang, entry.at, now),
            who: audit::who(frame.lang, &entry.who).into(),
            action: audit::action(frame.lang, &entry.action).into(),
            detail: detail(entry, &entries[i + 1..]),
            why: entry.why.clone(),
        };
        Self { changes: entries.iter().enumerate().take(CHANGES).map(change).collect(), older }
    }
}

/// What a change was about: fields of the definition, the winner, what was loaded.
pub(super) fn detail(entry: &AuditEntry, earlier: &[AuditEntry]) -> String {
    let text = |field: &str| entry.document.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    match entry.action.as_str() {
        "stopped" => text("winner"),
        "import" => text("import"),
        "replace" => {
            let before = earlier.iter().find(|e| matches!(e.action.as_str(), "replace" | "create"));
            let (Some(Value::Object(old)), Value::Object(new)) = (before.map(|e| &e.document), &entry.document) else {
                return String::new();
            };
            let fields: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            let changed: Vec<&str> =
                fields.into_iter().filter(|f| old.get(*f) != new.get(*f)).map(String::as_str).collect();
            changed.join(", ")
        }
        _ => String::new(),
    }
}
