//! Changes and states in words.

use crate::door::THIS_MACHINE;
use crate::lang::Lang;
use bandit::Status;

/// Who did something. People keep their names.
pub(crate) fn who(lang: Lang, name: &str) -> &str {
    if name == THIS_MACHINE { lang.t("this machine") } else { name }
}

/// What an entry of the audit log did.
pub(crate) fn action(lang: Lang, action: &str) -> &str {
    match action {
        "create" => lang.t("created"),
        "replace" => lang.t("definition changed"),
        "freeze" => lang.t("frozen"),
        "running" => lang.t("started"),
        "paused" => lang.t("paused"),
        "stopped" => lang.t("stopped"),
        "delete" => lang.t("deleted"),
        "import" => lang.t("log imported"),
        other => other,
    }
}

/// Where an experiment is in its life.
pub(crate) fn status(lang: Lang, status: Status) -> &'static str {
    match status {
        Status::Draft => lang.t("draft"),
        Status::Running => lang.t("running"),
        Status::Paused => lang.t("paused"),
        Status::Stopped => lang.t("stopped"),
    }
}

/// What a check found, in short, for those who read its details as a foreign language; empty for all others.
pub(crate) fn finding(lang: Lang, check: &str, ok: bool) -> &'static str {
    if lang == Lang::English {
        return "";
    }
    match (check, ok) {
        ("sample_ratio", true) => lang.t("The log fits its propensities."),
        ("sample_ratio", false) => lang.t("The log does not fit its propensities: records are lost or twice."),
        ("propensity", true) => lang.t("Arms are dealt at their propensities."),
        ("propensity", false) => lang.t("Arms are not dealt at their propensities."),
        ("multiple_exposure", true) => lang.t("Visitors keep their arm."),
        ("multiple_exposure", false) => lang.t("Visitors saw several arms."),
        ("change", true) => lang.t("No change of rates to act on."),
        ("change", false) => lang.t("The rate of an arm has changed."),
        ("guardrails", true) => lang.t("Guardrails are kept."),
        ("guardrails", false) => lang.t("A guardrail is at risk or broken."),
        ("stopping", true) => lang.t("There is no advice to stop."),
        ("stopping", false) => lang.t("There is advice to stop."),
        ("update", true) => lang.t("Updates work."),
        ("update", false) => lang.t("The last update failed."),
        ("context", true) => lang.t("The policy learns from features."),
        ("context", false) => lang.t("No decision brought a feature."),
        ("lists", _) => lang.t("Lists are not judged as arms are."),
        _ => "",
    }
}

/// What a check is about.
pub(crate) fn check(lang: Lang, check: &str) -> String {
    match check {
        "update" => lang.t("update").into(),
        "context" => lang.t("context").into(),
        "sample_ratio" => lang.t("sample ratio").into(),
        "propensity" => lang.t("propensity").into(),
        "multiple_exposure" => lang.t("multiple exposure").into(),
        "change" => lang.t("change").into(),
        "guardrails" => lang.t("guardrails").into(),
        "stopping" => lang.t("stopping").into(),
        "lists" => lang.t("lists").into(),
        other => other.replace('_', " "),
    }
}
