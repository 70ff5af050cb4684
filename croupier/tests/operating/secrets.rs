//! No secret is in a log, an answer, an error or a file: every one is marked, used rightly and wrongly with all logged that
//! can be, and looked for.

use crate::support::{Server, croupier, finish, five_arms};
use reqwest::header::{COOKIE, HeaderMap, SET_COOKIE};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;

/// In each secret of ours that we choose.
const MARK: &str = "hunter2mark";

/// Fails if any of the secrets is in what was said.
fn free_of(secrets: &[String], said: &str, place: &str) {
    for secret in secrets {
        if let Some(at) = said.find(secret.as_str()) {
            let from = said.floor_char_boundary(at.saturating_sub(200));
            panic!("{place} tells {secret}: {}", &said[from..said.ceil_char_boundary(at + 100)]);
        }
    }
}

/// An embeddings endpoint that refuses, and repeats the key as it does; counts how often it was asked.
async fn rude_endpoint() -> (String, watch::Receiver<u64>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let (told, asked) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut bytes = vec![0; 65_536];
            let _ = client.read(&mut bytes).await;
            let body = json!({"error": {"message": format!("bad key {MARK}-embeddings")}}).to_string();
            let head =
                format!("HTTP/1.1 400 Bad\r\ncontent-type: application/json\r\ncontent-length: {}\r\n", body.len());
            let _ = client.write_all(format!("{head}connection: close\r\n\r\n{body}").as_bytes()).await;
            told.send_modify(|n| *n += 1);
        }
    });
    (url, asked)
}

/// A server that other machines reach, in whose settings are secrets, and what it logs.
struct House {
    server: Server,
    dir: tempfile::TempDir,
    base: String,
    client: Client,
    /// Everything that must not be told.
    secrets: Vec<String>,
    said: String,
}

impl House {
    async fn ask(&mut self, request: RequestBuilder) -> (u16, HeaderMap, String) {
        let answer = request.send().await.unwrap();
        let (status, mut headers) = (answer.status().as_u16(), answer.headers().clone());
        let cookies = headers.clone();
        // The one place where a session's token is told, to whom it is for.
        headers.remove(SET_COOKIE);
        let body = answer.text().await.unwrap();
        self.said += &format!("{headers:?}\n{body}\n");
        (status, cookies, body)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Signs in with a password; the cookie of the session, if there is one.
    async fn sign_in(&mut self, password: &str) -> Option<String> {
        let form = self.client.get(format!("{}/dashboard/sign-in", self.base)).send().await.unwrap();
        let cookie = cookie(form.headers()).unwrap();
        let csrf = cookie.split_once('=').unwrap().1;
        let fields = format!("csrf={csrf}&name=Ann&password={password}&next=/dashboard");
        let request = self.request(Method::POST, "/dashboard/sign-in").header(COOKIE, &cookie).body(fields);
        let (_, headers, _) = self.ask(request.header("content-type", "application/x-www-form-urlencoded")).await;
        cookie_of(&headers, "croupier_session=")
    }
}

fn cookie(headers: &HeaderMap) -> Option<String> {
    cookie_of(headers, "")
}

fn cookie_of(headers: &HeaderMap, beginning: &str) -> Option<String> {
    let mut all = headers.get_all(SET_COOKIE).iter().filter_map(|c| c.to_str().ok()?.split(';').next());
    all.find(|cookie| cookie.starts_with(beginning)).map(str::to_owned)
}

/// A new key, by the command line.
fn key(data: &str, scope: &str) -> String {
    let (code, out, err) =
        finish(croupier(&["keys", "create", "--scope", scope, "--name", scope, "--data", data, "--log", "trace"]));
    let key = out.trim().to_owned();
    assert!(code == 0 && key.starts_with("ck_"), "{err}");
    assert!(!err.contains(&key), "the log tells a new key: {err}");
    key
}

async fn house(endpoint: &str) -> House {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    let (decide, admin) = (key(&data, "decide"), key(&data, "admin"));
    let password = format!("{MARK}-password");
    let input = dir.path().join("input");
    std::fs::write(&input, &password).unwrap();
    let mut add = croupier(&["people", "add", "--name", "Ann", "--role", "editor", "--data", &data, "--log", "trace"]);
    let (code, out, err) = finish({
        add.stdin(std::fs::File::open(&input).unwrap());
        add
    });
    assert_eq!(code, 0, "{err}");
    std::fs::remove_file(input).unwrap();
    let mut command = croupier(&["serve", "--listen", "0.0.0.0:0", "--data", &data, "--log", "trace"]);
    command.env("CROUPIER_EMBEDDINGS_URL", endpoint).env("CROUPIER_EMBEDDINGS_KEY", format!("{MARK}-embeddings"));
    if cfg!(feature = "cloud") {
        command.env("CROUPIER_OTLP_ENDPOINT", "http://127.0.0.1:9").env("CROUPIER_TRACE_SAMPLE", "1");
        command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("authorization={MARK}-otlp"));
    }
    command.stderr(Stdio::from(std::fs::File::create(dir.path().join("log")).unwrap()));
    let server = Server::of(command);
    let base = server.base.replace("0.0.0.0", "127.0.0.1");
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    House { server, dir, base, client, secrets: vec![MARK.into(), admin, decide], said: out + &err }
}

/// Requests with keys that are right, wrong, revoked or of the wrong kind, in every place that a key may have.
async fn use_keys(house: &mut House) {
    let (admin, decide) = (house.secrets[1].clone(), house.secrets[2].clone());
    let ask = json!({"experiment": "page", "user": "u"});
    let mut definition = five_arms("page");
    definition["description"] = Value::Null;
    for (method, path, key, body, status) in [
        (Method::POST, "/v1/experiments", &admin, five_arms("page"), 201),
        (Method::POST, "/v1/experiments", &admin, definition, 400),
        (Method::POST, "/v1/experiments/page/start", &admin, Value::Null, 200),
        (Method::POST, "/v1/decide", &decide, ask.clone(), 200),
        (Method::POST, "/v1/events", &decide, json!({"type": "view", "user": "u", "item": "i"}), 202),
        (Method::POST, "/v1/experiments", &decide, five_arms("other"), 403),
        (Method::GET, "/v1/audit", &admin, Value::Null, 200),
        (Method::GET, "/metrics", &admin, Value::Null, 200),
        (Method::GET, "/v1/experiments/page/results", &admin, Value::Null, 200),
        (Method::POST, "/v1/decide", &format!("{MARK}-wrong"), ask.clone(), 401),
    ] {
        for header in ["authorization", "x-api-key"] {
            let value = if header == "authorization" { format!("Bearer {key}") } else { key.clone() };
            let (got, ..) = house.ask(house.request(method.clone(), path).header(header, value).json(&body)).await;
            // Made twice, by the two headers.
            assert!(got == status || (status == 201 || path.ends_with("start")) && got == 409, "{path}: {got}");
        }
    }
    for (key, status) in [(&decide, 200), (&admin, 403), (&format!("{MARK}-wrong"), 401)] {
        let path = format!("/v1/decide?experiment=page&user=u&key={key}");
        assert_eq!(house.ask(house.request(Method::GET, &path)).await.0, status);
    }
    let odd = format!("Basic {MARK}-basic");
    assert_eq!(house.ask(house.request(Method::GET, "/v1/audit").header("authorization", odd)).await.0, 401);
}

/// A catalog whose texts the endpoint refuses.
async fn use_the_endpoint(house: &mut House, mut asked: watch::Receiver<u64>) {
    let admin = house.secrets[1].clone();
    let catalog = json!({"dimension": 2, "embedder": {"kind": "endpoint", "model": "m"}});
    let request = house.request(Method::PUT, "/v1/catalogs/shop").bearer_auth(&admin).json(&catalog);
    let (status, _, body) = house.ask(request).await;
    assert_eq!(status, 201, "{body}");
    let items = house.request(Method::PUT, "/v1/catalogs/shop/items").bearer_auth(&admin);
    assert_eq!(house.ask(items.json(&json!([{"id": "i", "text": "a shirt"}]))).await.0, 200);
    tokio::time::timeout(Duration::from_secs(60), asked.wait_for(|n| *n > 0)).await.unwrap().unwrap();
    let search = house.request(Method::POST, "/v1/catalogs/shop/search").bearer_auth(&admin);
    assert!(house.ask(search.json(&json!({"text": "shirt"}))).await.0 >= 400);
    for path in ["/v1/catalogs/shop", "/v1/catalogs/shop/items/i", "/readyz"] {
        house.ask(house.request(Method::GET, path).bearer_auth(&admin)).await;
    }
}

/// Somebody who signs in, wrongly first.
async fn use_the_dashboard(house: &mut House) {
    assert_eq!(house.sign_in(&format!("{MARK}-wrong-password")).await, None);
    let session = house.sign_in(&format!("{MARK}-password")).await.unwrap();
    house.secrets.push(session.split_once('=').unwrap().1.to_owned());
    for path in ["/dashboard", "/dashboard/experiments/page", "/dashboard/pipeline", "/dashboard/none"] {
        let (status, ..) = house.ask(house.request(Method::GET, path).header(COOKIE, &session)).await;
        assert!(matches!(status, 200 | 404), "{path}: {status}");
    }
    let wrong = format!("croupier_session={MARK}");
    assert_eq!(house.ask(house.request(Method::GET, "/dashboard").header(COOKIE, wrong)).await.0, 303);
}

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_in_no_log_no_answer_and_no_file() {
    let (endpoint, asked) = rude_endpoint().await;
    let mut house = house(&endpoint).await;
    use_keys(&mut house).await;
    use_the_endpoint(&mut house, asked).await;
    use_the_dashboard(&mut house).await;
    let House { server, dir, secrets, said, .. } = house;
    free_of(&secrets, &said, "an answer");
    server.stop();
    let (code, list, err) =
        finish(croupier(&["keys", "list", "--data", dir.path().join("data").to_str().unwrap(), "--log", "trace"]));
    assert_eq!(code, 0, "{err}");
    free_of(&secrets, &(list + &err), "the list of keys");
    let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
    // It is the whole log: what was not written cannot tell.
    assert!(log.contains("TRACE") && log.contains("signed in"), "{log}");
    free_of(&secrets, &log, "the log");
    for file in files(&dir.path().join("data")) {
        let bytes = std::fs::read(&file).unwrap();
        free_of(&secrets, &String::from_utf8_lossy(&bytes), &file.display().to_string());
    }
}

#[test]
fn settings_that_cannot_be_used_are_refused_without_their_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let secrets = [MARK.to_owned()];
    let mut wrong: Vec<(String, String)> = Vec::new();
    for url in ["u:MARK@h/x", "postgres//u:MARK@h/x", "postgre://u:MARK@h/x", "postgres://u:MARK@h:port/x"] {
        wrong.push(("--database".into(), url.into()));
    }
    for url in ["postgres://u:MARK@127.0.0.1:1/x", "postgres://u@127.0.0.1:1/x?password=MARK", "h?password=MARK"] {
        wrong.push(("--database".into(), url.into()));
    }
    for setting in ["--otlp-endpoint", "--embeddings-url", "--state", "--events"] {
        for url in ["u:MARK@h", "ftp://u:MARK@h/v1", "h/v1?key=MARK", "ftp:h?key=MARK"] {
            wrong.push((setting.into(), url.into()));
        }
    }
    wrong.push(("--otlp-endpoint".into(), "http://u:MARK@127.0.0.1:9".into()));
    // Files: a name that is misspelt, a line that does not end.
    for (name, text) in
        [("name", "embedding_key = 'MARK'"), ("table", "[database]\nurl = 'MARK'"), ("end", "database = 'MARK")]
    {
        let file = dir.path().join(name);
        std::fs::write(&file, text.replace("MARK", MARK)).unwrap();
        wrong.push(("--config".into(), file.display().to_string()));
    }
    wrong.push(("--embeddings-keys".into(), "MARK".into()));
    for (setting, value) in wrong {
        // `=`, as a flag that is not known takes no value else.
        let argument = format!("{setting}={}", value.replace("MARK", MARK));
        let (code, out, err) = finish(croupier(&["serve", &argument, "--data", &data, "--log", "trace"]));
        assert_eq!(code, 2, "{argument}: {err}");
        free_of(&secrets, &(out + &err), &argument);
    }
}

#[test]
fn help_does_not_show_what_variables_hold() {
    for command in [&["--help"][..], &["serve", "--help"], &["keys", "create", "--help"], &["serve", "-h"], &["none"]] {
        let mut help = croupier(command);
        for name in ["DATABASE", "EMBEDDINGS_KEY", "EMBEDDINGS_URL", "OTLP_ENDPOINT"] {
            help.env(format!("CROUPIER_{name}"), format!("https://u:{MARK}@host"));
        }
        let (_, out, err) = finish(help);
        free_of(&[MARK.to_owned()], &(out + &err), &command.join(" "));
    }
}
