//! Starting and stopping, the good way and the bad ones.

use crate::server::{Engine, Server, headwater, text};

async fn an_initialised_server_is_ready_and_stops_when_asked(engine: Engine) {
    let mut server = Server::start(engine).await;
    for name in [
        "account_id",
        "program_id",
        "secret_key",
        "publishable_key",
        "brand_token",
        "oauth_client_id",
        "oauth_client_secret",
        "rewards_key",
        "admin_email",
        "admin_password",
    ] {
        assert!(server.keys[name].as_str().is_some_and(|value| !value.is_empty()), "{name}: {}", server.keys);
    }
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(server.get(path).await.0, 200, "{path}");
    }
    server.kill();
    server.start_again();
    assert_eq!(server.get("/ready").await.0, 200);
    assert_eq!(server.stop(), Some(0));
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let server = Server::start(Engine::Sqlite).await;
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0"][..],
        &["migrate"],
        &["init", "--account", "B", "--program", "P", "--site-url", "https://b.example"],
    ] {
        let refused = server.command(arguments).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(1), "{arguments:?}");
        assert!(text(&refused).contains("in use by another Headwater process"), "{}", text(&refused));
    }
    assert_eq!(server.get("/ready").await.0, 200);
}

#[test]
fn a_bad_start_says_why_in_one_line_and_touches_nothing() {
    let serve = &["serve", "--listen", "127.0.0.1:0"];
    for (name, value, says) in [
        ("HEADWATER_MASTER_KEY", "not base64!", "HEADWATER_MASTER_KEY"),
        ("HEADWATER_MASTER_KEY", "c2hvcnQ=", "5 bytes"),
        ("HEADWATER_MASTER_KEY_FILE", "/", "cannot be read"),
        ("HEADWATER_LOG", "=,=", "HEADWATER_LOG"),
        ("HEADWATER_EGRESS_ALLOW", "localhost", "HEADWATER_EGRESS_ALLOW"),
        ("HEADWATER_TRUSTED_PROXIES", "10.0.0.0/64", "HEADWATER_TRUSTED_PROXIES"),
        ("HEADWATER_TLS_CERT", "/cert.pem", "HEADWATER_TLS_KEY"),
        ("HEADWATER_PUBLIC_URL", "go.example", "HEADWATER_PUBLIC_URL"),
        ("HEADWATER_DATABASE_URL", "mysql://x", "HEADWATER_DATABASE_URL"),
        ("HEADWATER_CONFIG", "/no/such.toml", "/no/such.toml"),
        ("HEADWATER_IGNORED", "", "no master key"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let refused = headwater(serve).env("HEADWATER_DATA", &data).env(name, value).output().expect("it runs");
        let said = text(&refused);
        assert_eq!(refused.status.code(), Some(1), "{name}={value}: {said}");
        assert!(said.contains(says), "{name}={value}: {said}");
        assert!(!data.exists(), "{name}={value} made the data folder");
    }
}

#[test]
fn a_folder_that_is_a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let init = &["init", "--account", "A", "--program", "P", "--site-url", "https://a.example"];
    let refused = headwater(init).env("HEADWATER_DATA", file.path()).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
}

#[test]
fn an_account_that_cannot_be_made_leaves_no_store() {
    for (account, program, site, says) in [
        ("A", "P", "no address", "site_url"),
        ("A", "P", "ftp://a.example", "site_url"),
        (" ", "P", "https://a.example", "account"),
        ("A", "", "https://a.example", "program"),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let init = &["init", "--account", account, "--program", program, "--site-url", site];
        let refused = headwater(init).env("HEADWATER_DATA", &data).output().expect("it runs");
        assert_eq!(refused.status.code(), Some(1), "{}", text(&refused));
        assert!(text(&refused).contains(says), "{}", text(&refused));
        assert!(!data.exists(), "{says} left a store");
    }
}

on_both_engines! {
    an_initialised_server_is_ready_and_stops_when_asked,
}
