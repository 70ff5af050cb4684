//! The OpenAPI document, made from the code.

use crate::catalogs::{definitions, items, lists, texts};
use crate::problem::Problem;
use crate::{audit, backup, client, decide, docs, events, experiments, ofrep, operations, reports, users};
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
        texts::retry,
        texts::standing,
        lists::recommendations,
        lists::related,
        lists::search,
        users::get,
        users::delete,
        audit::list,
        ofrep::one,
        ofrep::all,
        client::module,
        client::types,
        client::script,
        operations::healthz,
        operations::readyz,
        operations::metrics,
        backup::post,
        get,
        docs::page,
    )
)]
struct Document;

/// Routes that ask for no key and always answer.
const OPEN: [&str; 7] =
    ["/healthz", "/readyz", "/openapi.json", "/docs", "/client.js", "/client.d.ts", "/client.script.js"];

/// Of each operation a request and its answers, as `api/tests/openapi.rs` has sent and got them; it also writes them anew.
static EXAMPLES: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("examples.json")).unwrap_or_default());

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document = serde_json::to_value(Document::openapi()).unwrap_or_default();
    complete(&mut document);
    document
});

/// This document.
#[utoipa::path(get, path = "/openapi.json", operation_id = "openapi", tag = "operations",
    responses((status = 200, body = Object, example = json!({"openapi": "3.1.0"}))))]
pub(crate) async fn get() -> Json<&'static Value> {
    Json(&DOCUMENT)
}

/// Adds what is the same everywhere, in one place: words for statuses, the type of problems, keys and their refusals, and
/// examples.
fn complete(document: &mut Value) {
    document["components"]["securitySchemes"] = json!({
        "key": {"type": "http", "scheme": "bearer", "description": "Needed on addresses that other machines reach."},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same, as OpenFeature's providers send it."},
        "page_key": {"type": "apiKey", "in": "query", "name": "key", "description": "A decide key, for pages that want no preflight."}
    });
    let schemas = &mut document["components"]["schemas"];
    flatten(schemas, "ExperimentRecord", "Experiment", true);
    flatten(schemas, "CatalogRecord", "CatalogDefinition", true);
    flatten(schemas, "Recommendations", "Order", false);
    let Some(paths) = document["paths"].as_object_mut() else { return };
    for (path, methods) in paths {
        for operation in methods.as_object_mut().into_iter().flat_map(|m| m.values_mut()) {
            refuse(path, operation);
            for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
                describe(status, response);
            }
            exemplify(operation);
        }
    }
}

/// The answers that a route has from what it takes, not from what it does.
fn refuse(path: &str, operation: &mut Value) {
    if OPEN.contains(&path) {
        return;
    }
    let page = path.starts_with("/v1/decide")
        || path == "/v1/events"
        || path.starts_with("/ofrep/")
        || ["/recommendations", "/related", "/search"].iter().any(|end| path.ends_with(end));
    operation["security"] = if page {
        json!([{}, {"key": []}, {"api_key": []}, {"page_key": []}])
    } else {
        json!([{}, {"key": []}, {"api_key": []}])
    };
    let has_body = !operation["requestBody"].is_null();
    let takes_words = has_body || operation["parameters"].as_array().is_some_and(|all| !all.is_empty());
    let always = ["401", "403", "429", "500", "503"];
    // Whatever a path names may be removed by somebody else at that moment.
    let more = [(takes_words, "400"), (path.contains('{'), "404"), (has_body, "413")];
    let statuses = always.into_iter().chain(more.into_iter().filter_map(|(may, status)| may.then_some(status)));
    let Some(responses) = operation["responses"].as_object_mut() else { return };
    for status in statuses {
        responses.entry(status).or_insert_with(
            || json!({"content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}),
        );
    }
}

/// Puts an answer's status into words, and a problem under its media type.
fn describe(status: &str, response: &mut Value) {
    let code = status.parse().ok().and_then(|s| StatusCode::from_u16(s).ok()).unwrap_or_default();
    response["description"] = code.canonical_reason().unwrap_or("An answer").into();
    let is_problem = response["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/Problem";
    if is_problem && let Some(content) = response["content"].as_object_mut() {
        let schema = content.remove("application/json").unwrap_or_default();
        content.insert("application/problem+json".into(), schema);
    }
    if !response["content"]["application/problem+json"].is_null() {
        response["content"]["application/problem+json"]["example"] = json!(Problem::new(code, example_detail(code)));
        if code == StatusCode::SERVICE_UNAVAILABLE || code == StatusCode::TOO_MANY_REQUESTS {
            response["headers"]["Retry-After"] =
                json!({"description": "Seconds to wait before asking again.", "schema": {"type": "integer"}});
        }
    }
    if response["content"].is_null()
        && let Some(response) = response.as_object_mut()
    {
        response.remove("content");
    }
}

/// What a problem of this status may say.
fn example_detail(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "user: is required",
        StatusCode::UNAUTHORIZED => "the key is unknown or revoked",
        StatusCode::FORBIDDEN => "the key is for deciding and events only: use an admin key",
        StatusCode::NOT_FOUND => "there is no experiment 'product-page'",
        StatusCode::REQUEST_TIMEOUT => "the body took longer than 60 s",
        StatusCode::CONFLICT => "the experiment is running: stop it first",
        StatusCode::PAYLOAD_TOO_LARGE => "the body is larger than 1048576 bytes",
        StatusCode::TOO_MANY_REQUESTS => "the key's limit is reached: try again in a second",
        StatusCode::SERVICE_UNAVAILABLE => "too much is waiting: try again in a second",
        StatusCode::INSUFFICIENT_STORAGE => "the catalogs are full: remove items, or allow more by 'catalogs_mb'",
        _ => "the server failed; the cause is in its log",
    }
}

/// Adds the requests and answers that a test has sent and got.
fn exemplify(operation: &mut Value) {
    let examples = &EXAMPLES[operation["operationId"].as_str().unwrap_or_default()];
    let add = |content: &mut Value, example: &Value| {
        for (kind, media) in content.as_object_mut().into_iter().flatten() {
            let lines = kind != "application/json" && !example.is_string();
            if media["example"].is_null() && !example.is_null() {
                media["example"] = if lines { example.to_string().into() } else { example.clone() };
            }
        }
    };
    add(&mut operation["requestBody"]["content"], &examples["request"]);
    if operation["requestBody"]["content"].is_null()
        && let Some(operation) = operation.as_object_mut()
    {
        operation.remove("requestBody");
    }
    for (status, response) in operation["responses"].as_object_mut().into_iter().flatten() {
        if !response["content"].is_null() {
            add(&mut response["content"], &examples[status.as_str()]);
        }
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        let example = &examples["parameters"][parameter["name"].as_str().unwrap_or_default()];
        if !example.is_null() {
            parameter["example"] = example.clone();
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
