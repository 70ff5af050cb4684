//! The command line as a stranger meets it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

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
        (vec!["serve", "--config", file.to_str().unwrap()], vec!["lissten = '1'", "no such setting", "listen"]),
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
    for path in ["/v1/experiments", "/dashboard"] {
        assert_eq!((status(path, None).await, status(path, Some(secret.trim())).await), (401, 200), "{path}");
    }
    let basic =
        server.client.get(format!("{base}/dashboard")).basic_auth("me", Some(secret.trim())).send().await.unwrap();
    assert_eq!(basic.status(), 200, "a browser asks for a name and a password");
    assert_eq!(keys(&["revoke", "1"]).0, 0);
    assert_eq!((keys(&["revoke", "9"]).0, keys(&["create", "--scope", "root", "--name", "x"]).0), (1, 2));
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
