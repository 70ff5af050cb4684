//! The command line as a stranger meets it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use reqwest::Client;
use std::io::{BufRead, BufReader};
use std::path::Path;
use support::{Server, croupier, finish};

#[test]
fn help_names_flags_variables_and_file() {
    let (code, out, _) = finish(croupier(&["--help"]));
    assert_eq!(code, 0);
    for word in [
        "demo",
        "serve",
        "updater",
        "keys",
        "people",
        "import",
        "evaluate",
        "--listen",
        "CROUPIER_LISTEN",
        "croupier.toml",
        "Exit codes",
    ] {
        assert!(out.contains(word), "{word} is not in --help:\n{out}");
    }
}

#[test]
fn unusable_settings_are_one_line_and_exit_2() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let file = dir.path().join("bad.toml");
    std::fs::write(&file, "# one\nlissten = 1\n").unwrap();
    let broken = dir.path().join("broken.toml");
    std::fs::write(&broken, "# one\nlisten = \n").unwrap();
    for (args, words) in [
        (vec!["serve", "--listen", "here"], vec!["listen = 'here'", "ADDRESS:PORT"]),
        (vec!["serve", "--listen", "0.0.0.0:0", "--data", &data], vec!["listen = '0.0.0.0:0'", "croupier keys create"]),
        (vec!["serve", "--state", "bigtable://p", "--data", &data], vec!["state = 'bigtable://p'", "PROJECT/INSTANCE"]),
        (
            vec!["serve", "--database", "postgres://u:secret@127.0.0.1:1/d", "--data", &data],
            vec!["database = 'postgres://…'", "cannot be reached"],
        ),
        (vec!["serve", "--durability", "maybe"], vec!["durability = 'maybe'", "'sync' or 'os'"]),
        (vec!["serve", "--config", file.to_str().unwrap()], vec!["lissten = '…'", "no such setting", "listen"]),
        (vec!["serve", "--config", broken.to_str().unwrap()], vec!["line 2"]),
        (vec!["serve", "--config", "/nowhere.toml"], vec!["config = '/nowhere.toml'", "cannot be read"]),
        (vec!["serve", "--log", "a=b=c", "--data", &data], vec!["log = 'a=b=c'"]),
    ] {
        let (code, _, err) = finish(croupier(&args));
        assert_eq!((code, err.trim_end().lines().count()), (2, 1), "{args:?}: {err}");
        for word in words {
            assert!(err.contains(word), "{args:?}: {err}");
        }
        assert!(!err.contains("secret"), "{err}");
    }
    assert_eq!(finish(croupier(&["nonsense"])).0, 2);
}

/// Arguments are unusable (2), a log or a store fails (1).
#[test]
fn an_import_tells_arguments_from_logs() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let log = file("log.csv", "user,arm,at\nu,a,2026-10-01\nv,b,2026-10-01\n");
    let other = file("other.csv", "user,arm,at\nw,a,2026-10-01\n");
    let unknown = file("log.xyz", "");
    let import = |log: &str, name: &str, more: &[&str]| {
        let args = ["import", log, "--experiment", "e", "--create", "--name", name, "--log", "warn", "--data", &data];
        let (code, _, err) = finish(croupier(&[&args, more].concat()));
        assert!(code == 0 || err.trim_end().lines().count() == 1, "{more:?}: {err}");
        (code, err)
    };
    for (log, name, more) in [
        (&log, "n", &["--map", "user"][..]),
        (&log, "n", &["--map", "who=user"]),
        (&log, "n", &["--map", "user=who"]),
        (&log, "n", &["--map", "user=user", "--map", "user=arm"]),
        (&log, "", &[]),
        (&unknown, "n", &[]),
    ] {
        let (code, err) = import(log, name, more);
        assert_eq!(code, 2, "{name} {more:?}: {err}");
    }
    assert_eq!(import(&log, "n", &[]).0, 0);
    let (code, err) = import(&other, "n", &[]);
    assert!(code == 2 && err.contains("choose another name"), "{err}");
    assert_eq!(import(&log, "m", &["--format", "parquet"]).0, 1);
    assert_eq!(import("/nowhere.csv", "m", &[]).0, 1);
}

#[test]
fn flags_come_before_variables_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("croupier.toml"), "durability = 'file'\n").unwrap();
    let refused = |args: &[&str], variable: Option<&str>| {
        let mut command = croupier(args);
        command.current_dir(dir.path());
        if let Some(value) = variable {
            command.env("CROUPIER_DURABILITY", value);
        }
        finish(command).2
    };
    assert!(refused(&["serve"], None).contains("'file'"));
    assert!(refused(&["serve"], Some("variable")).contains("'variable'"));
    assert!(refused(&["serve", "--durability", "flag"], Some("variable")).contains("'flag'"));
}

#[test]
fn a_mistyped_variable_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let mut command = croupier(&["keys", "create", "--scope", "decide", "--name", "shop", "--data", &data]);
    command.env("CROUPIER_DURABLITY", "os");
    let (code, _, err) = finish(command);
    let told: Vec<&str> = err.lines().filter(|line| line.contains("CROUPIER_")).collect();
    assert!(
        code == 0 && told.len() == 1 && told[0].contains("WARN") && told[0].contains("CROUPIER_DURABLITY"),
        "{err}"
    );
}

#[test]
fn whoever_only_looks_makes_no_store() {
    let dir = tempfile::tempdir().unwrap();
    for args in [&["keys", "list"][..], &["keys", "revoke", "1"], &["people", "list"], &["people", "enable", "Ann"]] {
        let mut command = croupier(args);
        command.current_dir(dir.path());
        let (code, out, err) = finish(command);
        assert_eq!((code, &*out, err.lines().count()), (2, "", 1), "{args:?}: {err}");
        assert!(err.contains("database = 'sqlite:") && err.contains("no such file"), "{args:?}: {err}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_second_process_on_a_data_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    let data = dir.path().display().to_string();
    let (code, _, err) = finish(croupier(&["serve", "--listen", "127.0.0.1:0", "--data", &data]));
    assert_eq!((code, err.lines().count()), (2, 1), "{err}");
    assert!(
        err.contains("state = ") && err.contains(&server.pid().to_string()) && err.contains("another directory"),
        "{err}"
    );
    let port = server.base.rsplit(':').next().unwrap().to_owned();
    let other = tempfile::tempdir().unwrap();
    let (code, _, err) = finish(croupier(&[
        "serve",
        "--listen",
        &format!("127.0.0.1:{port}"),
        "--data",
        &other.path().display().to_string(),
    ]));
    assert!(code == 2 && err.contains("choose another"), "{err}");
    server.stop();
    Server::start(dir.path(), &[]).stop();
}

#[tokio::test]
async fn keys_are_shown_once_and_open_a_public_address() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let keys = |args: &[&str]| finish(croupier(&[&["keys", "--data", &data], args].concat()));
    let (code, secret, _) = keys(&["create", "--scope", "admin", "--name", "ops"]);
    assert!(code == 0 && secret.starts_with("ck_"));
    let (_, listing, _) = keys(&["list"]);
    assert!(listing.contains("ops") && !listing.contains(secret.trim()));
    let server = Server::start(dir.path(), &["--listen", "0.0.0.0:0"]);
    let base = server.base.replace("0.0.0.0", "127.0.0.1");
    let status = async |path: &str, key: Option<&str>| {
        let mut request = server.client.get(format!("{base}{path}"));
        if let Some(key) = key {
            request = request.bearer_auth(key);
        }
        request.send().await.unwrap().status().as_u16()
    };
    let path = "/v1/experiments";
    assert_eq!((status(path, None).await, status(path, Some(secret.trim())).await), (401, 200));
    assert_eq!(keys(&["revoke", "1"]).0, 0);
    assert_eq!((keys(&["revoke", "9"]).0, keys(&["create", "--scope", "root", "--name", "x"]).0), (1, 2));
    server.stop();
}

#[tokio::test]
async fn keys_of_pages_name_them_and_all_is_in_the_audit_log() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let keys = |args: &[&str]| finish(croupier(&[&["keys", "--data", &data], args].concat()));
    let page = ["create", "--scope", "decide", "--name", "shop"];
    let of = |more: &[&str]| keys(&[&page[..], more].concat());
    for (more, word) in [
        (["--origin", "*"], "origin = '*': must be as https://"),
        (["--origin", "https://shop.example/page"], "must be as https://"),
        (["--per-minute", "0"], "--per-minute"),
        (["--scope", "admin"], "--scope"),
    ] {
        let (code, _, err) = of(&more);
        assert!(code == 2 && err.contains(word), "{more:?}: {err}");
    }
    let (code, _, err) = keys(&["create", "--scope", "admin", "--name", "x", "--origin", "https://a.example"]);
    assert!(code == 2 && err.contains("no page may have an admin key"), "{err}");
    let origins = ["--origin", "https://Shop.example/", "--origin", "http://localhost:3000", "--per-minute", "600"];
    let (code, secret, err) = of(&origins);
    assert!(code == 0 && secret.starts_with("ck_"), "{err}");
    let (_, list, _) = keys(&["list"]);
    assert!(list.contains("600  shop  https://shop.example  http://localhost:3000"), "{list}");
    assert_eq!(people(dir.path(), &["add", "--name", "Ann", "--role", "viewer"], "a long enough one\n").0, 0);
    assert_eq!(keys(&["revoke", "1"]).0, 0);
    let server = Server::start(dir.path(), &[]);
    let log = server.get("/v1/audit").await;
    let entries: Vec<_> = log["entries"].as_array().unwrap().iter().map(|e| (&e["action"], &e["subject"])).collect();
    let expected = [("key.revoke", "1"), ("person.add", "Ann"), ("key.create", "1 'shop'")];
    assert_eq!(entries.len(), 3, "{log}");
    assert!(entries.iter().zip(expected).all(|(e, (action, subject))| e.0 == action && e.1 == subject), "{log}");
    assert!(!log.to_string().contains(secret.trim()) && log["entries"][0]["who"] == "the command line", "{log}");
    server.stop();
}

#[tokio::test]
async fn admin_routes_may_have_an_address_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let mut command = croupier(&["serve", "--log", "warn", "--data", &data, "--listen", "127.0.0.1:0"]);
    let mut child =
        command.args(["--admin-listen", "127.0.0.1:0"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().take(2).map(Result::unwrap);
    let bases: Vec<String> = lines.map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect();
    let client = Client::new();
    let status =
        async |base: &str, path: &str| client.get(format!("{base}{path}")).send().await.unwrap().status().as_u16();
    for (path, public, admin) in [
        ("/v1/decide", 400, 404),
        ("/v1/events", 405, 404),
        ("/v1/experiments", 404, 200),
        ("/v1/audit", 404, 200),
        ("/v1/users/u/data", 404, 200),
        ("/metrics", 404, 200),
        ("/dashboard", 404, 200),
        ("/", 404, 200),
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/openapi.json", 200, 200),
    ] {
        assert_eq!((status(&bases[0], path).await, status(&bases[1], path).await), (public, admin), "{path}");
    }
    let page = client.get(format!("{}/dashboard", bases[1])).send().await.unwrap();
    assert!(page.headers().contains_key("x-request-id"), "pages have a name too");
    assert!(std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert!(child.wait().unwrap().success());
    // An open address for administrators asks for keys as well.
    let (code, _, err) =
        finish(croupier(&["serve", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "0.0.0.0:0"]));
    assert!(code == 2 && err.contains("admin_listen = '0.0.0.0:0'"), "{err}");
}

/// A process that does not outlive a test that fails.
struct Process(std::process::Child);

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_process_without_an_api_has_metrics_too() {
    store::choose_cryptography();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    let client = Client::new();
    let start = |args: &[&str]| {
        let mut command = croupier(&[args, &["--log", "warn", "--data", &data]].concat());
        let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
        (Process(child), format!("http://127.0.0.1:{}/metrics", line.rsplit(':').next().unwrap()))
    };
    let stop = |mut process: Process| {
        let ended = std::process::Command::new("kill").args(["-TERM", &process.0.id().to_string()]).status().unwrap();
        assert!(ended.success() && process.0.wait().unwrap().success());
    };
    let (updater, dashboard) = (["updater", "--metrics-listen"], ["dashboard", "--listen"]);
    for role in [updater, dashboard] {
        let (child, metrics) = start(&[&role[..], &["127.0.0.1:0"]].concat());
        let said = client.get(&metrics).send().await.unwrap();
        assert!(said.status() == 200 && said.headers()["content-type"].as_bytes().starts_with(b"text/plain; version="));
        let elsewhere = client.get(&metrics).header("host", "evil.example").send().await.unwrap();
        assert_eq!(elsewhere.status(), 403, "{role:?}");
        assert_eq!(client.get(metrics.replace("metrics", "readyz")).send().await.unwrap().status(), 200, "{role:?}");
        assert!(said.text().await.unwrap().contains("croupier_build_info{"), "{role:?}");
        if role == dashboard {
            for page in ["dashboard", "dashboard/experiments/one", "dashboard/experiments/two", "dashboard/a/b"] {
                client.get(metrics.replace("metrics", page)).send().await.unwrap();
            }
            let text = client.get(&metrics).send().await.unwrap().text().await.unwrap();
            for (route, status, requests) in
                [("/dashboard", 200, 1), ("/dashboard/experiments/{id}", 404, 2), ("/dashboard/{*rest}", 404, 1)]
            {
                let labels = format!("{{route=\"{route}\"");
                let counted = format!("croupier_dashboard_requests_total{labels},status=\"{status}\"}} {requests}\n");
                assert!(text.contains(&counted), "{counted} in {text}");
                let timed = format!("croupier_dashboard_seconds_count{labels}}} {requests}\n");
                assert!(text.contains(&timed), "{timed} in {text}");
            }
            assert!(!text.contains("/experiments/one"), "what visitors type is no label");
        }
        stop(child);
    }
    // Whoever is on another machine brings a key.
    let open = [&updater[..], &["0.0.0.0:0"]].concat();
    let (code, _, err) = finish(croupier(&[&open[..], &["--data", &data]].concat()));
    assert!(code == 2 && err.contains("metrics_listen = '0.0.0.0:0'"), "{err}");
    let keys = |args: &[&str]| finish(croupier(&[&["keys", "--data", &data], args].concat()));
    let (_, admin, _) = keys(&["create", "--scope", "admin", "--name", "prometheus"]);
    let (_, page, _) = keys(&["create", "--scope", "decide", "--name", "page"]);
    let (child, metrics) = start(&open);
    for (key, expected) in [("", 401), ("nonsense", 401), (page.trim(), 403), (admin.trim(), 200)] {
        let said = client.get(&metrics).header("x-api-key", key).send().await.unwrap();
        assert_eq!((said.status().as_u16(), said.headers().contains_key("x-request-id")), (expected, true), "{key}");
    }
    stop(child);
}

/// `croupier people` with this on its standard input.
fn people(data: &Path, args: &[&str], input: &str) -> (i32, String, String) {
    let file = data.join("input");
    std::fs::write(&file, input).unwrap();
    let mut command = croupier(&["people", "--data", &data.display().to_string()]);
    command.args(args).stdin(std::fs::File::open(file).unwrap());
    finish(command)
}

#[tokio::test]
async fn people_sign_in_where_others_reach_the_dashboard() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().display().to_string();
    assert_eq!(finish(croupier(&["keys", "--data", &data, "create", "--scope", "admin", "--name", "ops"])).0, 0);
    let server = Server::start(dir.path(), &["--listen", "0.0.0.0:0"]);
    let base = server.base.replace("0.0.0.0", "127.0.0.1");
    let client = Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let get = async |path: &str, cookie: &str| {
        client.get(format!("{base}{path}")).header("cookie", cookie).send().await.unwrap()
    };
    let to = get("/dashboard", "").await;
    assert_eq!(to.status(), 303);
    assert_eq!(to.headers()["location"], "/dashboard/sign-in?next=%2Fdashboard");
    let nobody = get("/dashboard/sign-in", "").await.text().await.unwrap();
    assert!(nobody.contains("croupier people add --name NAME --role editor"));

    let add = ["add", "--name", "Ann", "--role", "viewer"];
    let (code, _, err) = people(dir.path(), &add, "too short\n");
    assert!(code == 2 && err.contains("password: must have 12") && !err.contains("too short"), "{err}");
    let (code, out, err) = people(dir.path(), &add, "a long enough one\n");
    assert_eq!((code, out.as_str()), (0, "'Ann' may sign in as viewer\n"), "{err}");
    assert_eq!(people(dir.path(), &add, "another long one\n").0, 1, "the name is taken");
    assert_eq!(people(dir.path(), &["add", "--name", "Ann", "--role", "admin"], "").0, 2);
    assert_eq!(people(dir.path(), &["role", "Ann", "editor"], "").0, 0);
    let (_, list, _) = people(dir.path(), &["list"], "");
    assert!(list.contains("editor") && list.contains("Ann") && !list.contains("argon2"), "{list}");
    assert_eq!(people(dir.path(), &["disable", "Nobody"], "").0, 1);

    let sign_in = async |password: &str| {
        let form = get("/dashboard/sign-in", "").await;
        let cookie = form.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
        let csrf = cookie.split_once('=').unwrap().1.to_owned();
        let fields = format!("csrf={csrf}&name=Ann&password={}&next=/dashboard", password.replace(' ', "+"));
        let request = client.post(format!("{base}/dashboard/sign-in")).header("cookie", cookie).body(fields);
        let reply = request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap();
        let session =
            reply.headers().get("set-cookie").map(|c| c.to_str().unwrap().split(';').next().unwrap().to_owned());
        (reply.status().as_u16(), session.unwrap_or_default())
    };
    assert_eq!(sign_in("a long enough two").await, (401, String::new()));
    let (status, session) = sign_in("a long enough one").await;
    assert!(status == 303 && session.starts_with("croupier_session="), "{session}");
    let page = get("/dashboard", &session).await;
    assert_eq!(page.status(), 200);
    assert!(page.text().await.unwrap().contains("<bdi>Ann</bdi>"));
    assert_eq!(people(dir.path(), &["password", "Ann"], "yet another one\n").0, 0);
    assert_eq!(get("/dashboard", &session).await.status(), 303, "sessions end with the password");
    let (status, session) = sign_in("yet another one").await;
    assert_eq!((status, get("/dashboard", &session).await.status().as_u16()), (303, 200));
    assert_eq!(people(dir.path(), &["disable", "Ann"], "").0, 0);
    assert_eq!(get("/dashboard", &session).await.status(), 303);
    assert_eq!(sign_in("yet another one").await, (401, String::new()));
    assert_eq!(people(dir.path(), &["enable", "Ann"], "").0, 0);
    assert_eq!(get("/dashboard", &session).await.status(), 303, "none comes back");
    assert_eq!(sign_in("yet another one").await.0, 303);
    server.stop();

    // On a loopback address nobody is let in without it either, once somebody is there.
    let server = Server::start(dir.path(), &[]);
    assert_eq!(client.get(format!("{}/dashboard", server.base)).send().await.unwrap().status(), 303);
    assert_eq!(
        server.get("/v1/experiments").await["experiments"],
        serde_json::json!([]),
        "the API asks for no key there"
    );
    server.stop();
}

#[tokio::test]
async fn updater_once_does_what_is_due_and_exits() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.run(&support::five_arms("page")).await;
    server.post("/v1/decide", &serde_json::json!({"experiment": "page", "user": "u"})).await;
    server.kill();
    let data = dir.path().display().to_string();
    let (code, out, err) = finish(croupier(&["updater", "--once", "--log", "warn", "--data", &data]));
    assert!(code == 0 && out.contains("1 experiments recomputed"), "{out}{err}");
    let (_, again, _) = finish(croupier(&["updater", "--once", "--log", "warn", "--data", &data]));
    assert!(again.contains("0 events read") && again.contains("0 published"), "{again}");
}
