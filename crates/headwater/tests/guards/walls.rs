//! The walls between the crates: each makes one sentence of ARCHITECTURE.md true.
//!
//! Reads the `Cargo.toml` of every crate; tests of a crate (dev-dependencies) may use what they like. A new crate has
//! to be given its place in the table below before it builds.

use crate::repository::{self, SourceFile, sample};
use toml::Table;

const RUNTIME: &[&str] = &["tokio", "flume", "async-std", "smol", "futures", "rayon", "crossbeam-channel"];
const SQL: &[&str] =
    &["rusqlite", "tokio-postgres", "deadpool-postgres", "postgres-types", "postgres", "sqlx", "diesel", "sea-orm"];
const HTTP_SERVER: &[&str] = &["axum", "hyper", "hyper-util", "tower", "tower-http", "utoipa", "utoipa-axum"];
const HTTP_TYPES: &[&str] = &["http", "http-body", "http-body-util"];
const HTTP_CLIENT: &[&str] = &["reqwest", "ureq", "isahc", "surf", "attohttpc"];
const RANDOM: &[&str] = &["getrandom", "rand", "fastrand", "uuid", "ulid"];
const WIRE: &[&str] = &["serde", "utoipa", "schemars"];

/// What one dialect may not know of another: they share what is beside `api`, and nothing in it.
const DIALECTS: [&str; 6] = ["brand", "forex", "management", "postback", "referral", "rewards"];

/// One crate: what holds because of its wall, which of our crates it may use, and what it may not.
struct Wall {
    name: &'static str,
    sentence: &'static str,
    may_use: &'static [&'static str],
    may_not_use: &'static [&'static [&'static str]],
}

const WALLS: &[Wall] = &[
    Wall {
        name: "headwater-domain",
        sentence: "The rules can be run by hand on paper.",
        may_use: &[],
        may_not_use: &[RUNTIME, SQL, HTTP_SERVER, HTTP_TYPES, HTTP_CLIENT, RANDOM, WIRE],
    },
    Wall {
        name: "headwater-store",
        sentence: "SQL is here and nowhere else.",
        may_use: &["headwater-domain"],
        may_not_use: &[HTTP_SERVER, HTTP_TYPES, HTTP_CLIENT, RANDOM],
    },
    Wall {
        name: "headwater-app",
        sentence: "One operation is one path and one transaction, whichever dialect called.",
        may_use: &["headwater-domain", "headwater-store"],
        may_not_use: &[SQL, HTTP_SERVER, HTTP_TYPES, HTTP_CLIENT],
    },
    Wall {
        name: "headwater-web",
        sentence: "Everything that comes in over HTTP.",
        may_use: &["headwater-domain", "headwater-app"],
        may_not_use: &[SQL, HTTP_CLIENT],
    },
    Wall {
        name: "headwater-outbound",
        sentence: "Everything that goes out.",
        may_use: &["headwater-domain", "headwater-app"],
        may_not_use: &[SQL, HTTP_SERVER],
    },
    Wall {
        name: "headwater",
        sentence: "Reads the environment, starts and stops things.",
        may_use: &["headwater-domain", "headwater-store", "headwater-app", "headwater-web", "headwater-outbound"],
        may_not_use: &[SQL],
    },
    Wall {
        name: "headwater-testkit",
        sentence: "Only tests use it.",
        may_use: &["headwater-domain", "headwater-store", "headwater-app"],
        may_not_use: &[],
    },
];

#[test]
fn no_crate_leans_over_its_wall() {
    let manifests: Vec<SourceFile> =
        repository::files(&["Cargo.toml"]).into_iter().filter(|file| file.path.starts_with("crates/")).collect();
    assert_eq!(manifests.len(), WALLS.len(), "a crate is missing here, or its place in the table is");
    repository::hold(&manifests, breaches);
}

#[test]
fn sql_is_written_in_the_store_only() {
    repository::hold(&repository::files(&[".rs"]), sql_elsewhere);
}

#[test]
fn no_dialect_imports_another() {
    repository::hold(&repository::files(&[".rs"]), other_dialects);
}

/// What a manifest uses over its wall.
fn breaches(file: &SourceFile) -> Vec<String> {
    let manifest: Table = match file.text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![format!("{}: {error}", file.path)],
    };
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(|name| name.as_str());
    let name = name.unwrap_or_default();
    let Some(wall) = WALLS.iter().find(|wall| wall.name == name) else {
        return vec![format!("{}: the crate `{name}` has no place in the table of walls.rs", file.path)];
    };
    dependencies(&manifest)
        .iter()
        .filter(|used| {
            let is_ours = used.starts_with("headwater");
            let is_banned = wall.may_not_use.iter().any(|group| group.contains(&used.as_str()));
            is_banned || (is_ours && !wall.may_use.contains(&used.as_str()))
        })
        .map(|used| format!("{}: {name} may not use {used}. {}", file.path, wall.sentence))
        .collect()
}

/// The packages that a crate is built from: normal and build dependencies, for every target, under their real names.
fn dependencies(manifest: &Table) -> Vec<String> {
    let mut scopes = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(|targets| targets.as_table()) {
        scopes.extend(targets.values().filter_map(|target| target.as_table()));
    }
    let mut names = Vec::new();
    for scope in scopes {
        for section in ["dependencies", "build-dependencies"] {
            let Some(section) = scope.get(section).and_then(|section| section.as_table()) else { continue };
            names.extend(section.iter().map(|(name, value)| {
                value.get("package").and_then(|package| package.as_str()).unwrap_or(name.as_str()).to_owned()
            }));
        }
    }
    names
}

/// The store's macros, used outside the store.
fn sql_elsewhere(file: &SourceFile) -> Vec<String> {
    let is_at_home = ["crates/store/", "crates/testkit/", "crates/headwater/tests/guards/"];
    if is_at_home.iter().any(|home| file.path.starts_with(home)) {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| line.contains("sql!("))
        .map(|(index, _)| format!("{}:{}: SQL is written in the store and nowhere else.", file.path, index + 1))
        .collect()
}

/// Another dialect, named in one.
fn other_dialects(file: &SourceFile) -> Vec<String> {
    let own = file.path.strip_prefix("crates/web/src/api/").and_then(|path| path.split(['/', '.']).next());
    let Some(own) = own.filter(|own| DIALECTS.contains(own)) else { return Vec::new() };
    let names = |line: &str, other: &str| {
        let paths = [format!("api::{other}"), format!("super::super::{other}")];
        paths
            .iter()
            .flat_map(|path| line.split(path.as_str()).skip(1))
            .any(|rest| rest.starts_with([':', ';', ',', ' ']))
    };
    let lines = file.text.lines().enumerate();
    lines
        .flat_map(|(index, line)| DIALECTS.iter().map(move |other| (index, line, *other)))
        .filter(|(_, line, other)| *other != own && names(line, other))
        .map(|(index, _, other)| format!("{}:{}: {own} imports {other}.", file.path, index + 1))
        .collect()
}

#[test]
fn another_dialect_is_seen() {
    let found = |text: &str| other_dialects(&sample("crates/web/src/api/forex/lists.rs", text)).len();
    assert_eq!(found("use crate::api::brand::results;"), 1);
    assert_eq!(found("use super::super::referral::caller;"), 1);
    assert_eq!(found("use crate::api::forex::page;\nuse super::page;"), 0);
    assert_eq!(found("use crate::api::brands;"), 0);
    assert_eq!(other_dialects(&sample("crates/web/src/routes.rs", "use crate::api::brand::results;")).len(), 0);
}

#[test]
fn a_breach_is_seen_wherever_it_hides() {
    let check = |name: &str, rest: &str, expected: &[&str]| {
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        let found = breaches(&sample("crates/x/Cargo.toml", &text));
        assert_eq!(found.len(), expected.len(), "{rest}: {found:?}");
        for word in expected {
            assert!(found.iter().any(|complaint| complaint.contains(&format!("use {word}."))), "{found:?}");
        }
    };
    check("headwater-domain", "[dependencies]\ntokio.workspace = true\nurl = \"2\"", &["tokio"]);
    check("headwater-domain", "[build-dependencies]\nreqwest = \"0.13\"", &["reqwest"]);
    check("headwater-domain", "[dev-dependencies]\ntokio = \"1\"", &[]);
    check("headwater-domain", "[dependencies]\nheadwater-store.workspace = true", &["headwater-store"]);
    check("headwater-web", "[target.'cfg(unix)'.dependencies]\nrusqlite = \"0.41\"", &["rusqlite"]);
    check("headwater-web", "[dependencies]\nheadwater-outbound.workspace = true", &["headwater-outbound"]);
    check("headwater-outbound", "[dependencies]\ninnocent = { package = \"axum\", version = \"0.8\" }", &["axum"]);
    check("headwater-app", "[dependencies]\nheadwater-testkit.workspace = true", &["headwater-testkit"]);
    check("headwater-store", "[dependencies]\nrusqlite.workspace = true", &[]);
    assert_eq!(breaches(&sample("crates/x/Cargo.toml", "[package]\nname = \"unknown\"")).len(), 1);
    assert_eq!(breaches(&sample("crates/x/Cargo.toml", "not toml")).len(), 1);
}

#[test]
fn sql_outside_the_store_is_seen() {
    let text = "//! x\nlet found = tx.one(sql!(\"SELECT 1\"), &[]);\n";
    assert_eq!(sql_elsewhere(&sample("crates/app/src/link.rs", text)).len(), 1);
    assert_eq!(sql_elsewhere(&sample("crates/store/src/link.rs", text)).len(), 0);
}
