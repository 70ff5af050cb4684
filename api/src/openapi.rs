//! The OpenAPI document, made from the code.

use crate::catalogs::{definitions, items, lists};
use crate::{client, decide, events, experiments, ofrep, operations, reports};
use axum::Json;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::LazyLock;
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
        definitions::list,
        definitions::get,
        definitions::put,
        definitions::delete,
        items::put,
        items::get,
        items::delete,
        lists::recommendations,
        lists::related,
        lists::search,
        ofrep::one,
        ofrep::all,
        client::module,
        client::types,
        client::script,
        operations::healthz,
        operations::readyz,
        operations::metrics,
    )
)]
struct Document;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    complete(&mut document);
    document
});

pub(crate) async fn get() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

/// Adds what is the same everywhere, in one place: words for statuses, the type of problems, keys and their refusals.
fn complete(document: &mut Value) {
    document["components"]["securitySchemes"] = json!({
        "key": {"type": "http", "scheme": "bearer", "description": "Needed on addresses that other machines reach."},
        "page_key": {"type": "apiKey", "in": "query", "name": "key", "description": "A decide key, for pages that want no preflight."}
    });
    let schemas = &mut document["components"]["schemas"];
    flatten(schemas, "ExperimentRecord", "Experiment", true);
    flatten(schemas, "CatalogRecord", "CatalogDefinition", true);
    flatten(schemas, "Recommendations", "Order", false);
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, methods) in paths {
        for operation in methods.as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
            let page = path.starts_with("/v1/decide")
                || path == "/v1/events"
                || path.starts_with("/ofrep/")
                || ["/recommendations", "/related", "/search"].iter().any(|end| path.ends_with(end));
            let open = path == "/healthz" || path == "/readyz" || path.starts_with("/client.");
            let problem =
                json!({"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}});
            if !open {
                operation["security"] =
                    if page { json!([{}, {"key": []}, {"page_key": []}]) } else { json!([{}, {"key": []}]) };
                operation["responses"]["401"] = problem.clone();
                operation["responses"]["403"] = problem.clone();
                if operation["responses"]["500"].is_null() {
                    operation["responses"]["500"] = problem;
                }
            }
            for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
                let words = status.parse().ok().and_then(|s| StatusCode::from_u16(s).ok());
                response["description"] = words.and_then(|s| s.canonical_reason()).unwrap_or("An answer").into();
                let is_problem =
                    response["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/Problem";
                if is_problem && let Some(content) = response["content"].as_object_mut() {
                    let schema = content.remove("application/json").unwrap_or_default();
                    content.insert("application/problem+json".into(), schema);
                }
                if response["content"].is_null()
                    && let Some(response) = response.as_object_mut()
                {
                    response.remove("content");
                }
            }
        }
    }
}

/// An answer with another schema's fields beside its own is written as "all of" the two; a definition's ban on other fields
/// would forbid it then, and what is there at times only would be asked for always.
fn flatten(schemas: &mut Value, name: &str, other: &str, always: bool) {
    let other = schemas[other].clone();
    let Some(parts) = schemas[name]["allOf"].as_array().cloned() else { return };
    let (mut properties, mut required) = (serde_json::Map::new(), Vec::new());
    for part in parts.iter().chain([&other]) {
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        if always || part["properties"] != other["properties"] {
            required.extend(part["required"].as_array().cloned().unwrap_or_default());
        }
    }
    schemas[name] = json!({"type": "object", "properties": properties, "required": required});
}
