//! What rows are known by. The one rule:
//!
//! 1. a row with a `decision_id` is the decision that its source calls so, under whatever name it is loaded; what
//!    has the form of an id that decide returns is that id;
//! 2. else a row with a `user` is that user's assignment: of this item and on this day, as far as the experiment
//!    is sticky by them ([`bandit::AssignmentKey`]), so that it is also the one that Croupier itself would deal;
//! 3. else it is a trial of its own, known by the load's name and the row's number.
//!
//! Rewards and exposures find their decision by 1, else by 2.

use bandit::DecisionId;
use sha2::{Digest, Sha256};

/// Separate these uses of SHA-256 from each other and from assignments'.
const SOURCE: &[u8] = b"croupier/import/source/1";
const ROW: &[u8] = b"croupier/import/row/1";
const EVENT: &[u8] = b"croupier/import/event/1";

/// Rule 1.
pub(super) fn of_source(experiment: &str, decision_id: &str) -> DecisionId {
    decision_id.parse().unwrap_or_else(|_| DecisionId(hash(SOURCE, &[experiment.as_bytes(), decision_id.as_bytes()])))
}

/// Rule 3.
pub(super) fn of_row(experiment: &str, import: &str, row: u64) -> DecisionId {
    DecisionId(hash(ROW, &[experiment.as_bytes(), import.as_bytes(), &row.to_le_bytes()]))
}

/// Id of the event that a row reports.
pub(super) fn event(experiment: &str, import: &str, row: u64) -> String {
    DecisionId(hash(EVENT, &[experiment.as_bytes(), import.as_bytes(), &row.to_le_bytes()])).to_string()
}

/// Components are preceded by their lengths, so that neighbours cannot run into each other.
fn hash(domain: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new_with_prefix(domain);
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let mut id = [0; 16];
    id.copy_from_slice(&hash.finalize()[..16]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Later files must find the decisions of earlier ones, whatever release loaded them.
    #[test]
    fn ids_are_stable_across_releases() {
        assert_eq!(of_source("e", "d-1").to_string(), "915ff2baff9e778d7c1121bc6df8470f");
        let dealt = "915ff2baff9e778d7c1121bc6df84700";
        assert_eq!(of_source("e", dealt).to_string(), dealt, "a decision of the platform's own");
        assert_eq!(of_row("e", "log", 7).to_string(), "b37162bc45e84fbe49a8b82512e8f43e");
        assert_eq!(event("e", "log", 7), "171ca2650305903abf1faf046bb43086");
    }

    #[test]
    fn neighbours_do_not_run_into_each_other() {
        assert_ne!(of_source("ab", "c"), of_source("a", "bc"));
        assert_ne!(of_row("e", "a", 1), of_row("e", "a", 2));
    }
}
