//! What the OpenFeature Remote Evaluation Protocol 0.3.0 says goes over the wire,
//! <https://github.com/open-feature/protocol/blob/main/service/openapi.yaml>.

use crate::problem::Problem;
use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bandit::{DecisionId, Source};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::ToSchema;

/// What providers send. Its body is read by hand, so that each mistake gets the protocol's code for it.
#[derive(ToSchema)]
#[expect(dead_code, reason = "a schema")]
pub(crate) struct EvaluationRequest {
    /// `targetingKey` is the visitor, `item` what the visitor looks at, if anything; attributes that no experiment asks for
    /// are passed over.
    #[schema(value_type = Object, example = json!({"targetingKey": "u1", "item": "sku-9", "device": "mobile"}))]
    context: serde_json::Value,
}

/// Why a flag has its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Reason {
    /// By chance: dealt, held out, or outside the experiment's traffic.
    Split,
    /// The winner that everyone gets.
    Static,
    /// The control, since the experiment is not running or is frozen.
    Disabled,
}

/// A flag's value: an experiment's decision.
#[derive(Serialize, ToSchema)]
pub(crate) struct Evaluation {
    /// The experiment.
    pub(crate) key: String,
    /// The arm's payload; the arm's id where no arm of the experiment has a payload; absent where only this arm has none:
    /// then the page's own default holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    pub(crate) value: Option<Box<RawValue>>,
    pub(crate) reason: Reason,
    /// The arm.
    #[schema(value_type = String)]
    pub(crate) variant: Arc<str>,
    pub(crate) metadata: Metadata,
}

/// What else is known of the decision; flat, as the protocol asks.
#[derive(Serialize, ToSchema)]
pub(crate) struct Metadata {
    /// Names the assignment: send it with exposures and rewards.
    #[schema(value_type = String)]
    pub(crate) decision_id: DecisionId,
    /// The day in the experiment's time zone.
    #[schema(value_type = String, format = Date)]
    pub(crate) day: Date,
    /// The segment of the first request.
    #[schema(value_type = String)]
    pub(crate) segment: Arc<str>,
    /// Probability of the arm when it was dealt.
    pub(crate) propensity: f64,
    /// Posterior version that dealt it.
    pub(crate) posterior_version: u64,
    /// Who chose.
    pub(crate) source: Source,
}

/// The protocol's error codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum ErrorCode {
    ParseError,
    TargetingKeyMissing,
    InvalidContext,
    FlagNotFound,
    General,
}

/// Why a flag, or all of them, cannot be evaluated.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EvaluationFailure {
    /// The flag; absent where it concerns all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<String>,
    pub(crate) error_code: ErrorCode,
    /// What was wrong and what to do.
    pub(crate) error_details: String,
    /// The HTTP status.
    #[serde(skip)]
    pub(crate) status: StatusCode,
}

impl EvaluationFailure {
    pub(crate) fn new(error_code: ErrorCode, error_details: impl Into<String>) -> Self {
        let status =
            if error_code == ErrorCode::FlagNotFound { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
        Self { key: None, error_code, error_details: error_details.into(), status }
    }

    pub(crate) fn of(self, key: &str) -> Self {
        Self { key: Some(key.into()), ..self }
    }
}

/// A request of ours that cannot be taken was made of the context; all else is the server's.
impl From<Problem> for EvaluationFailure {
    fn from(problem: Problem) -> Self {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error_code = if status.is_client_error() { ErrorCode::InvalidContext } else { ErrorCode::General };
        Self { key: None, error_code, error_details: problem.detail, status }
    }
}

impl IntoResponse for EvaluationFailure {
    fn into_response(self) -> Response {
        let mut response = (self.status, [(CACHE_CONTROL, "no-store")], Json(&self)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// One flag of many.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum BulkFlag {
    Evaluation(Evaluation),
    Failure(EvaluationFailure),
}

/// All flags.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkEvaluation {
    /// In order of their keys.
    pub(crate) flags: Vec<BulkFlag>,
    pub(crate) metadata: BulkMetadata,
}

/// What is known of the whole.
#[derive(Serialize, ToSchema)]
pub(crate) struct BulkMetadata {
    /// Experiments beyond those that fit into one answer.
    pub(crate) left_out: usize,
}
