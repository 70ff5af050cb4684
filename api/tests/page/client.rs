//! The client's files as they are served, and the client by itself in Node.

use crate::support::{Api, start};
use crate::{node, succeeds, tool};
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/client");

async fn get(api: &Api, path: &str, known: Option<&str>) -> (u16, HeaderMap, String) {
    let mut request = Request::builder().uri(path);
    if let Some(known) = known {
        request = request.header("if-none-match", known);
    }
    let (status, headers, body) = api.send(request.body(Body::empty()).unwrap()).await;
    (status.as_u16(), headers, String::from_utf8(body).unwrap())
}

#[tokio::test]
async fn any_page_may_load_it_and_keep_it() {
    let api = start().await;
    for (path, kind) in [
        ("/client.js", "text/javascript; charset=utf-8"),
        ("/client.script.js", "text/javascript; charset=utf-8"),
        ("/client.d.ts", "text/plain; charset=utf-8"),
    ] {
        let (status, headers, body) = get(&api, path, None).await;
        assert_eq!((status, headers["content-type"].to_str().unwrap()), (200, kind), "{path}");
        assert_eq!(body, std::fs::read_to_string(Path::new(FOLDER).join(&path[1..])).unwrap());
        assert_eq!(headers["access-control-allow-origin"], "*");
        assert_eq!(headers["cross-origin-resource-policy"], "cross-origin");
        assert!(headers["cache-control"].to_str().unwrap().starts_with("public, max-age="));
        let tag = headers["etag"].to_str().unwrap();
        for known in [tag.to_owned(), format!("\"other\", W/{tag}")] {
            let (status, headers, body) = get(&api, path, Some(&known)).await;
            assert_eq!((status, headers["etag"].to_str().unwrap(), body.as_str()), (304, tag, ""), "{path} {known}");
        }
        assert_eq!(get(&api, path, Some("\"other\"")).await.0, 200);
    }
}

#[test]
fn it_is_at_most_four_kilobytes_packed() {
    let source = std::fs::read(Path::new(FOLDER).join("client.js")).unwrap();
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&source).unwrap();
    let size = packed.finish().unwrap().len();
    assert!(size <= 4_096, "{size} bytes");
}

#[tokio::test]
async fn by_itself_it_does_what_it_promises() {
    let Some(mut node) = node() else { return };
    node.args(["--test", FOLDER]);
    succeeds(node).await;
}

#[tokio::test]
async fn its_types_take_what_they_should() {
    let Some(compiler) = tool("page/node_modules/typescript/lib/tsc.js") else { return };
    let Some(node) = node() else { return };
    let mut check: Command = node;
    check.arg(compiler).args(["--noEmit", "--strict", "--target", "es2022", "--module", "nodenext", "types.test.ts"]);
    check.current_dir(FOLDER);
    succeeds(check).await;
}
