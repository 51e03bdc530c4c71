//! `headwater bench` as a user runs it: the shape of its figures, and that its check of what is there can fail.
//!
//! No figure is judged here: a debug binary on a shared machine says nothing about speed.

use crate::server::{headwater, text};
use headwater_testkit::database::POSTGRES_VARIABLE;
use serde_json::Value;
use std::process::Output;

fn bench(arguments: &[&str]) -> (Output, Value) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = headwater(&["bench", "--json", "--seconds", "1", "--folder"]);
    let output = command.arg(folder.path()).args(arguments).output().expect("it runs");
    let answer = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {}", text(&output)));
    (output, answer)
}

fn number(scenario: &Value, name: &str) -> u64 {
    scenario[name].as_u64().unwrap_or_else(|| panic!("{name} is no number: {scenario}"))
}

#[test]
fn what_was_acknowledged_is_there() {
    let (output, answer) = bench(&["click", "track", "engine", "--connections", "8"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(answer["holds"], true);
    let scenarios = answer["scenarios"].as_array().expect("scenarios");
    let names: Vec<_> = scenarios.iter().map(|scenario| scenario["scenario"].as_str().expect("a name")).collect();
    assert_eq!(names, ["click", "track", "engine"]);
    for scenario in scenarios {
        assert!(number(scenario, "acknowledged") > 0, "{scenario}");
        assert_eq!(number(scenario, "missing"), 0);
        assert!(number(scenario, "rows") >= number(scenario, "acknowledged"));
        assert_eq!(number(scenario, "rounds") + number(scenario, "rounds_dropped"), 2);
        let ours = &scenario["ours"];
        assert!(number(ours, "per_second") > 0 && number(ours, "p99_micros") >= number(ours, "p50_micros"), "{ours}");
        assert_eq!(ours["failures"], serde_json::json!({}));
        // Without nginx `click` has no reference, and then claims no ratio.
        assert_eq!(scenario["reference"].is_null(), scenario["ratio_thousandths"].is_null(), "{scenario}");
    }
    assert!(!scenarios[1]["reference"].is_null());
}

#[test]
fn every_row_that_is_pushed_is_there_and_paid() {
    let url = std::env::var(POSTGRES_VARIABLE).expect("`make test` sets it");
    for (store, on) in [("SQLite", vec![]), ("PostgreSQL", vec!["--database-url", &url])] {
        let (output, answer) = bench(&[&["bulk", "activities", "--connections", "2"][..], &on].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        for (scenario, name) in answer["scenarios"].as_array().expect("scenarios").iter().zip(["bulk", "activities"]) {
            assert_eq!((&scenario["scenario"], &scenario["store"]), (&name.into(), &store.into()), "{scenario}");
            assert!(number(scenario, "acknowledged") > 0 && !scenario["ratio_thousandths"].is_null(), "{scenario}");
            assert_eq!(number(scenario, "missing"), 0, "{scenario}");
        }
    }
}

#[test]
fn a_claim_that_is_not_there_does_not_hold() {
    let (output, answer) = bench(&["click", "--connections", "8", "--claim-more", "3"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert_eq!(answer["holds"], false);
    assert_eq!(number(&answer["scenarios"][0], "missing"), 3);
}

#[test]
fn on_postgresql_it_works_in_a_database_of_its_own() {
    let url = std::env::var(POSTGRES_VARIABLE).expect("`make test` sets it");
    let (output, answer) = bench(&["track", "--connections", "8", "--database-url", &url]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let track = &answer["scenarios"][0];
    assert_eq!(track["store"], "PostgreSQL");
    assert_eq!(number(track, "missing"), 0);
}
