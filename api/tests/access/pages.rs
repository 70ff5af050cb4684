//! What browsers let pages read.

use crate::support::{Answer, Api, start, start_with};
use crate::{ASK, page};
use api::Access;
use store::{NewKey, Scope};

const ALLOWED: &str = "access-control-allow-origin";

async fn preflight(api: &Api, path: &str, origin: &str) -> Answer {
    let asked = "authorization,content-type,if-none-match";
    let headers =
        [("origin", origin), ("access-control-request-method", "POST"), ("access-control-request-headers", asked)];
    api.ask("OPTIONS", path, &headers, "").await
}

#[tokio::test]
async fn pages_of_this_machine_may_ask_where_no_keys_are() {
    let api = start().await;
    api.run(&page()).await;
    for (origin, may) in [
        ("http://localhost:3000", true),
        ("https://127.0.0.1:8443", true),
        ("http://[::1]:5173", true),
        ("http://localhost", true),
        ("https://shop.example", false),
        ("http://localhost.evil.example", false),
        ("null", false),
    ] {
        let expected = if may { origin } else { "" };
        assert_eq!(preflight(&api, "/v1/decide", origin).await.header(ALLOWED), expected);
        let answer = api.ask("POST", "/v1/decide", &[("origin", origin)], ASK).await;
        assert_eq!((answer.status, answer.header(ALLOWED), answer.header("vary")), (200, expected, "origin"));
        assert_eq!(answer.header("cache-control"), "no-store");
        let admin = api.ask("GET", "/v1/experiments", &[("origin", origin)], "").await;
        assert_eq!(admin.header(ALLOWED), "", "pages have no business there");
    }
}

#[tokio::test]
async fn a_browser_may_ask_first_and_reads_refusals_too() {
    let api = start_with(Access::keys()).await;
    let origins = ["https://shop.example".to_owned(), "https://m.shop.example".to_owned()];
    let (_, id) = api.key(NewKey { origins: &origins, ..NewKey::new("shop", Scope::Decide, [0; 32]) }).await;
    api.key(NewKey::new("server", Scope::Decide, [0; 32])).await;
    let routes = [
        "/v1/decide",
        "/v1/decide/batch",
        "/v1/events",
        "/v1/catalogs/shop/recommendations",
        "/v1/catalogs/shop/items/i/related",
        "/v1/catalogs/shop/search",
    ];
    for path in routes {
        for (origin, expected) in
            [(&*origins[0], &*origins[0]), (&*origins[1], &*origins[1]), ("https://evil.example", "")]
        {
            let answer = preflight(&api, path, origin).await;
            assert_eq!((answer.status, answer.header(ALLOWED), answer.header("vary")), (204, expected, "origin"));
            assert_eq!(answer.header("access-control-allow-methods"), "GET, POST");
            for name in ["authorization", "content-type", "if-none-match", "x-api-key"] {
                assert!(answer.header("access-control-allow-headers").split(", ").any(|n| n == name), "{name}");
            }
            assert_eq!(answer.header("access-control-allow-credentials"), "", "cookies are of no use");
            let method = if path.ends_with("recommendations") || path.ends_with("related") { "GET" } else { "POST" };
            let refused = api.ask(method, path, &[("origin", origin)], "").await;
            assert_eq!((refused.status, refused.header(ALLOWED)), (401, expected), "{path}");
            let exposed = if expected.is_empty() { "" } else { "etag, retry-after, x-request-id" };
            assert_eq!(refused.header("access-control-expose-headers"), exposed);
        }
        assert_eq!(api.ask("POST", path, &[], "").await.header(ALLOWED), "", "servers have no origin");
    }
    for path in ["/v1/experiments", "/v1/catalogs/shop", "/v1/audit", "/v1/users/u", "/metrics"] {
        assert_eq!(preflight(&api, path, &origins[0]).await.header(ALLOWED), "", "{path}");
    }
    // An origin goes with its last key.
    api.stores.keys.revoke_key(id, api.clock_now()).await.unwrap();
    api.app.refresh().await.unwrap();
    assert_eq!(preflight(&api, "/v1/decide", &origins[0]).await.header(ALLOWED), "");
}

#[tokio::test]
async fn bodies_that_are_too_large_are_refused_readably() {
    let api = start().await;
    let large = " ".repeat(1 << 21);
    for path in ["/v1/decide", "/v1/decide/batch", "/v1/events"] {
        let refused = api.ask("POST", path, &[("origin", "http://localhost:3000")], &large).await;
        assert_eq!((refused.status, refused.header(ALLOWED)), (413, "http://localhost:3000"), "{path}");
    }
}
