//! Multiple exposure: whether one assignment was logged with two arms, and how many users saw several.

use crate::experiment::{Experiment, StickyBy};
use serde::{Deserialize, Serialize};

/// What was counted over some time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposures {
    /// Assignments that arrived again with another arm than the one that is kept.
    pub contradictions: u64,
    /// Users dealt to.
    pub users: u64,
    /// Those who saw several arms.
    pub several: u64,
}

/// What the check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExposureFinding {
    /// Whether no one has an arm that they must not have.
    pub ok: bool,
    /// What was counted.
    pub counts: Exposures,
    /// Share of users who saw several arms; none without users.
    pub share: Option<f64>,
    /// Whether that may be: what is kept is not the user's arm alone.
    pub expected: bool,
}

/// Judges what was counted. An assignment has one arm, always. A user has one where the experiment is sticky by the user
/// alone; where it is sticky by item or day too, several arms are as they should be, and their share is told for those
/// who compare users.
#[must_use]
pub fn exposure(experiment: &Experiment, counts: Exposures) -> ExposureFinding {
    let expected = experiment.sticky.by != [StickyBy::User];
    ExposureFinding {
        ok: counts.contradictions == 0 && (expected || counts.several == 0),
        counts,
        share: share(counts.several, counts.users),
        expected,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sticky(by: &str) -> Experiment {
        let text = format!(
            r#"{{"id":"e","arms":[{{"id":"a"}},{{"id":"b"}}],"reward":{{"event":"buy"}},"sticky":{{"by":{by}}}}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn several_arms_are_wrong_only_where_the_user_keeps_theirs() {
        let counts = Exposures { contradictions: 0, users: 10, several: 1 };
        let user = exposure(&sticky(r#"["user"]"#), counts);
        assert!(!user.ok && !user.expected && user.share == Some(0.1));
        let day = exposure(&sticky(r#"["user","day"]"#), counts);
        assert!(day.ok && day.expected);
        assert!(!exposure(&sticky(r#"["user","day"]"#), Exposures { contradictions: 1, ..counts }).ok);
        assert_eq!(exposure(&sticky(r#"["user"]"#), Exposures::default()).share, None);
    }
}
