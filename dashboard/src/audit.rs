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
