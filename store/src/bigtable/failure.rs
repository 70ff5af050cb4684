//! What a failed call means: whether to try again, whether the settings are at fault, and how to say it in one line.

use crate::StoreError;
use std::error::Error;
use tonic::{Code, Status};

/// What tonic says when the call's own deadline has passed.
const TIMEOUT: &str = "Timeout expired";

/// Longest that a service's words may be.
const MOST: usize = 300;

/// Whether the same call may do better in a moment.
///
/// Cancelled is nobody's wish: whoever gives up drops the future. It is a deadline or a connection that went away. A
/// status with a source never came from the service either: it is the connection that failed.
pub(super) fn transient(status: &Status) -> bool {
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Aborted | Code::Cancelled => true,
        Code::Internal | Code::Unknown => status.source().is_some() || status.message().contains("RST_STREAM"),
        _ => false,
    }
}

/// What an operator can do about it; none if time alone may mend it.
pub(super) fn remedy(status: &Status) -> Option<&'static str> {
    if transient(status) {
        return None;
    }
    match status.code() {
        Code::NotFound => Some("check project and instance, and run 'croupier admin create-tables'"),
        // The emulator's word for it.
        Code::Unknown if status.message().contains("unknown family") => Some("run 'croupier admin create-tables'"),
        Code::PermissionDenied => Some(
            "give this account the role roles/bigtable.user on the instance, or what deploy/cloud-run.md lists for it",
        ),
        Code::Unauthenticated => Some(
            "run 'gcloud auth application-default login', or set GOOGLE_APPLICATION_CREDENTIALS to the file of a \
             service account",
        ),
        Code::InvalidArgument => Some("check project, instance and BIGTABLE_EMULATOR_HOST"),
        Code::FailedPrecondition => Some(
            "the instance's app profile 'default' must route to a single cluster and allow single-row transactions",
        ),
        Code::Unimplemented => Some("what answers there is not Bigtable: check BIGTABLE_EMULATOR_HOST"),
        _ => None,
    }
}

/// What happened, in one line.
pub(super) fn line(status: &Status) -> String {
    let mut said = match (status.code(), status.message()) {
        (_, TIMEOUT) => "no answer in time".into(),
        (code, "") => code.description().to_owned(),
        (_, message) => message.to_owned(),
    };
    // tonic says "transport error" and keeps the cause for those who ask.
    let mut cause = status.source();
    while let Some(error) = cause {
        let why = error.to_string();
        if error.source().is_none() && !said.contains(&why) {
            said = format!("{said}: {why}");
        }
        cause = error.source();
    }
    let words: Vec<_> = said.split_whitespace().collect();
    words.join(" ").chars().take(MOST).collect()
}

/// What happened, and what to do about it if something can be done.
pub(super) fn line_and_remedy(status: &Status) -> String {
    let line = line(status);
    remedy(status).map_or_else(|| line.clone(), |remedy| format!("{line}: {remedy}"))
}

/// As a failure of the store.
pub(super) fn remote(status: &Status) -> StoreError {
    StoreError::Remote { service: "Bigtable", why: line_and_remedy(status) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_time_may_mend_is_tried_again() {
        let broken = || -> Box<dyn Error + Send + Sync> { std::io::Error::other("broken pipe").into() };
        for again in [
            Status::unavailable("x"),
            Status::deadline_exceeded("x"),
            Status::aborted("x"),
            Status::cancelled(TIMEOUT),
            Status::internal("stream terminated by RST_STREAM with NO_ERROR"),
            Status::from_error(broken()),
        ] {
            assert!(transient(&again) && remedy(&again).is_none(), "{again:?}");
        }
        for (definite, says) in [
            (Status::not_found("x"), "create-tables"),
            (Status::unknown("unknown family \"day\""), "create-tables"),
            (Status::permission_denied("x"), "roles/bigtable.user"),
            (Status::unauthenticated("x"), "gcloud auth"),
            (Status::invalid_argument("x"), "check project"),
            (Status::failed_precondition("x"), "single cluster"),
            (Status::unimplemented("x"), "BIGTABLE_EMULATOR_HOST"),
        ] {
            assert!(!transient(&definite), "{definite:?}");
            assert!(remedy(&definite).is_some_and(|r| r.contains(says)), "{definite:?}");
        }
        // Neither is worth a hurried repeat, nor a reason not to start.
        for other in [Status::resource_exhausted("quota"), Status::unknown("?"), Status::internal("?")] {
            assert!(!transient(&other) && remedy(&other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn one_line_however_much_was_said() {
        assert_eq!(line(&Status::cancelled(TIMEOUT)), "no answer in time");
        assert_eq!(line(&Status::unavailable("a\n  b\tc")), "a b c");
        assert!(!line(&Status::not_found("")).is_empty());
        assert_eq!(line(&Status::unknown("é".repeat(1_000))).chars().count(), MOST);
        let deep = std::io::Error::other(std::io::Error::other("connection refused"));
        assert!(line(&Status::from_error(Box::new(deep))).ends_with("connection refused"));
    }
}
