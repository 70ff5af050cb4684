//! The OpenAPI document, made from the code.

use crate::{decide, events, experiments, operations, reports};
use axum::Json;
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Croupier",
        description = "Deals each visitor the variant that is most likely to serve them, and learns from what happens."
    ),
    paths(
        decide::post,
        decide::get,
        decide::batch,
        events::post,
        experiments::list,
        experiments::create,
        experiments::get,
        experiments::put,
        experiments::delete,
        experiments::start,
        experiments::pause,
        experiments::stop,
        reports::results,
        reports::posteriors,
        reports::update,
        operations::healthz,
        operations::readyz,
        operations::metrics,
    )
)]
struct Document;

pub(crate) async fn get() -> Json<utoipa::openapi::OpenApi> {
    Json(Document::openapi())
}
