//! Why something was refused. What checks tells it in English, to the API's callers too; `locales/ja/reasons.toml` holds
//! the same with holes, `{name}`, and what people read in its place.

use crate::lang::{Lang, cut};
use std::collections::HashMap;
use std::sync::LazyLock;

/// A reason and its translation.
struct Reason {
    /// What stands between the holes: one text more than there are holes.
    texts: Vec<String>,
    holes: Vec<String>,
    japanese: String,
}

/// The most specific first: those with most words of their own.
static REASONS: LazyLock<Vec<Reason>> = LazyLock::new(|| {
    // A test reads the file; were it broken all the same, reasons would stay English.
    let table: HashMap<String, String> = toml::from_str(include_str!("../locales/ja/reasons.toml")).unwrap_or_default();
    let mut all: Vec<Reason> = table.into_iter().map(|(english, japanese)| Reason::new(&english, japanese)).collect();
    all.sort_by_cached_key(|r| (std::cmp::Reverse(r.texts.iter().map(String::len).sum::<usize>()), r.texts.clone()));
    all
});

impl Reason {
    fn new(english: &str, japanese: String) -> Self {
        let (holes, end) = cut(english);
        let (texts, holes): (Vec<&str>, Vec<&str>) = holes.into_iter().unzip();
        let texts = texts.into_iter().chain([end]).map(str::to_owned).collect();
        Self { texts, holes: holes.into_iter().map(str::to_owned).collect(), japanese }
    }

    /// What stands in the holes, if `english` is this reason.
    fn fill<'a>(&self, english: &'a str) -> Option<Vec<&'a str>> {
        let [first, between @ .., last] = self.texts.as_slice() else {
            return (self.texts[0] == english).then(Vec::new);
        };
        let mut rest = english.strip_prefix(first.as_str())?;
        let mut found = Vec::new();
        for text in between {
            let (hole, after) = rest.split_once(text.as_str())?;
            found.push(hole);
            rest = after;
        }
        found.push(rest.strip_suffix(last.as_str())?);
        Some(found)
    }

    fn say(&self, found: &[&str]) -> String {
        let mut out = String::new();
        let (holes, end) = cut(&self.japanese);
        for (before, name) in holes {
            let value = self.holes.iter().position(|hole| hole == name).map_or("", |i| found[i]);
            out += before;
            out += if STATES.contains(&name) { state(value) } else { value };
        }
        out + end
    }
}

/// Holes that hold where an experiment is in its life.
const STATES: [&str; 3] = ["now", "from", "to"];

fn state(name: &str) -> &str {
    bandit::Status::parse(name).map_or(name, |status| crate::audit::status(Lang::Japanese, status))
}

/// A reason in this language; one that nobody translated stays English.
pub(crate) fn reason(lang: Lang, english: &str) -> String {
    let said = match lang {
        Lang::English => None,
        Lang::Japanese => REASONS.iter().find_map(|reason| Some(reason.say(&reason.fill(english)?))),
    };
    said.unwrap_or_else(|| english.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::tests::unquoted;
    use bandit::Experiment;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    /// The sentences that a file tells as reasons: its literals with a space, but for those of lints and errors' names.
    fn told(file: &str, all: impl Fn(&str) -> bool) -> Vec<String> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let source = std::fs::read_to_string(path).unwrap();
        let code = source.split("#[cfg(test)]").next().unwrap();
        let lines = code
            .lines()
            .filter(|l| !l.trim_start().starts_with("//") && !l.contains("reason = ") && !l.contains("#[serde"));
        let code = lines.collect::<Vec<_>>().join("\n");
        let mut found = Vec::new();
        let mut rest = code.as_str();
        while let Some((_, after)) = rest.split_once('"') {
            let literal = unquoted(after);
            // A literal's end is the next quote that is not escaped.
            let end = after.char_indices().find(|&(i, c)| c == '"' && !after[..i].ends_with('\\')).unwrap().0;
            rest = &after[end + 1..];
            if literal.contains(' ') && all(&literal) {
                found.push(literal);
            }
        }
        found
    }

    /// A sentence with something in its holes.
    fn sample(literal: &str) -> String {
        let reason = Reason::new(literal, String::new());
        reason.texts.join("7")
    }

    #[test]
    fn every_reason_has_its_japanese_and_every_translation_its_reason() {
        let files = [
            told("bandit/src/id.rs", |_| true),
            told("bandit/src/validate/mod.rs", |_| true),
            told("bandit/src/validate/policy.rs", |_| true),
            told("bandit/src/candidates/spec.rs", |_| true),
            told("store/src/manage.rs", |l| {
                !l.starts_with("{} fields") && !l.contains("cannot be read") && !l.starts_with("there is")
            }),
            told("store/src/sql/experiments.rs", |l| l.starts_with("experiment '") && !l.ends_with("'{id}'")),
            told("dashboard/src/form/fields.rs", |l| l.starts_with("must") || l.starts_with("is ")),
            // The words of serde, and of documents.
            [
                "invalid type: map, expected an object",
                "invalid type: map, expected a number",
                "invalid type: map, expected a whole number",
                "invalid value: integer `-1`, expected a whole number",
                "invalid value: integer `-1`, expected something else",
                "missing field `id`",
                "duplicate field `id`",
                "unknown variant `x`, expected `a` or `b`",
                "unknown variant `x`, expected one of `a`, `b`, `c`",
                "unknown field `x`, expected `a` or `b`",
                "unknown field `x`, expected one of `a`, `b`, `c`",
                "must be a JSON object",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        assert!(files.iter().all(|told| !told.is_empty()));
        let mut met = BTreeSet::new();
        for literal in files.iter().flatten() {
            let english = sample(literal);
            match REASONS.iter().position(|r| r.fill(&english).is_some()) {
                Some(n) => met.insert(n),
                None => panic!("not translated: {literal}"),
            };
        }
        let unmet: Vec<_> =
            (0..REASONS.len()).filter(|n| !met.contains(n)).map(|n| REASONS[n].texts.join("{}")).collect();
        assert_eq!(unmet, Vec::<String>::new(), "told nowhere");
        for r in REASONS.iter() {
            let holes = Reason::new(&r.japanese, String::new()).holes.into_iter().collect::<BTreeSet<_>>();
            assert_eq!(holes, r.holes.iter().cloned().collect(), "{}", r.japanese);
        }
    }

    #[test]
    fn what_was_typed_is_told_as_it_is() {
        let japanese = |english: &str| reason(Lang::Japanese, english);
        assert_eq!(japanese("must be 0.001 to 1e9"), "0.001 ～ 1e9 にする必要があります");
        assert_eq!(japanese("'{id} <b>' is named twice"), "「{id} <b>」が重複しています");
        assert_eq!(
            japanese("experiment 'control' is running: stop it first"),
            "実験「control」は「実行中」です。先に停止してください"
        );
        assert_eq!(
            japanese("experiment 'running' is stopped: it cannot become paused"),
            "実験「running」の状態は「停止済み」で、「一時停止中」にはできません"
        );
        assert_eq!(
            japanese("must be 0 to 0.5000 (1 / number of arms)"),
            "0 ～ 0.5000 (アーム数分の 1) にする必要があります"
        );
        assert_eq!(japanese("what nobody knows"), "what nobody knows");
        assert_eq!(reason(Lang::English, "must not be empty"), "must not be empty");
    }

    #[test]
    fn mistakes_of_a_definition_are_told_in_japanese() {
        let mut wrong: Value = json!({
            "id": "A", "arms": [{"id": "a", "weight": -1.0}, {"id": "a", "prior": {"alpha": 0.0, "beta": 1.0}}],
            "policy": {"kind": "thompson", "floor": 0.9, "epsilon": 2.0, "optimism": 1.0},
            "sticky": {"by": ["day"], "time_zone": "Mars"}, "reward": {"event": "", "window_hours": 0},
            "segment_by": ["", ""], "features": [{"name": "x", "kind": "numeric"}], "traffic": 2.0,
        });
        let errors = bandit::validate(&serde_json::from_value::<Experiment>(wrong.clone()).unwrap()).unwrap_err();
        assert!(errors.len() > 12, "{errors:?}");
        wrong["policy"]["kind"] = "none".into();
        let kind = bandit::document::read::<Experiment>(wrong.to_string().as_bytes()).unwrap_err();
        let bandit::document::Unreadable::Field(kind) = kind else { panic!("{kind:?}") };
        for e in errors.into_iter().chain([kind]) {
            let told = reason(Lang::Japanese, &e.why);
            assert!(told.chars().any(|c| ('ぁ'..='ん').contains(&c)), "{}: {} {told}", e.field, e.why);
        }
    }
}
