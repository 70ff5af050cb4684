//! Files that pages load, compiled in.

use crate::failure::Failure;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::LazyLock;

struct Asset {
    file: &'static str,
    kind: &'static str,
    body: Bytes,
    /// Differs when the body does.
    tag: String,
}

/// One file for all pages, since browsers keep it.
const STYLES: &str = concat!(
    include_str!("../assets/dashboard.css"),
    include_str!("../assets/form.css"),
    include_str!("../assets/list.css"),
    include_str!("../assets/experiment.css"),
    include_str!("../assets/decisions.css"),
    include_str!("../assets/ask.css"),
    include_str!("../assets/pipeline.css"),
    include_str!("../assets/door.css"),
    include_str!("../assets/catalogs.css"),
);

static ASSETS: LazyLock<[Asset; 6]> = LazyLock::new(|| {
    let text = Bytes::from_static;
    [
        asset("dashboard.css", "text/css", text(STYLES.as_bytes())),
        asset("experiment.js", "text/javascript", text(include_bytes!("../assets/experiment.js"))),
        asset("dashboard.js", "text/javascript", text(include_bytes!("../assets/dashboard.js"))),
        asset("form.js", "text/javascript", text(include_bytes!("../assets/form.js"))),
        asset("icon.svg", "image/svg+xml", text(include_bytes!("../assets/icon.svg"))),
        asset("plotly.js", "text/javascript", plotly()),
    ]
});

fn asset(file: &'static str, kind: &'static str, body: Bytes) -> Asset {
    let mut hash = DefaultHasher::new();
    body.hash(&mut hash);
    Asset { file, kind, body, tag: format!("{:016x}", hash.finish()) }
}

/// The script that the plotly crate embeds. The crate hands it out within HTML, before MathJax, which no plot
/// of ours needs.
fn plotly() -> Bytes {
    let html = plotly::Plot::offline_js_sources();
    let script =
        html.split_once("<script type=\"text/javascript\">").and_then(|(_, rest)| rest.split_once("</script>"));
    Bytes::copy_from_slice(script.map_or("", |(script, _)| script).as_bytes())
}

/// The same for a page that holds it.
pub(crate) fn plotly_script() -> &'static str {
    find("plotly.js").and_then(|asset| std::str::from_utf8(&asset.body).ok()).unwrap_or_default()
}

fn find(file: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|a| a.file == file)
}

/// Address of a file. It names the contents, so that browsers may keep them for good.
pub(crate) fn link(file: &str) -> String {
    let tag = find(file).map_or("", |a| &a.tag);
    format!("/dashboard/assets/{file}?v={tag}")
}

/// `GET /dashboard/assets/{file}`
pub(crate) async fn serve(Path(file): Path<String>, headers: HeaderMap) -> Result<Response, Failure> {
    let asset = find(&file).ok_or_else(Failure::page)?;
    let etag = format!("\"{}\"", asset.tag);
    let known = headers.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
    let fresh = known.is_some_and(|tags| tags.split(',').any(|t| t.trim().trim_start_matches("W/") == etag));
    let mut response = if fresh {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, format!("{}; charset=utf-8", asset.kind))], asset.body.clone()).into_response()
    };
    let own = response.headers_mut();
    own.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        own.insert(header::ETAG, etag);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_plotly_crate_still_hands_out_one_whole_script() {
        let body = super::plotly();
        let text = std::str::from_utf8(&body).unwrap();
        assert!(text[..200].contains("plotly.js v"), "{}", &text[..200]);
        assert!(text.len() > 1_000_000 && text.trim_end().ends_with(['}', ')', ';']), "{}", &text[text.len() - 200..]);
        assert!(!text.contains("MathJax=") && !text.contains("<script type="));
    }
}
