//! Commands that need no server, and the demonstration.

use crate::server::{headwater, text};
use serde_json::Value;

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/tests/vectors");

#[test]
fn wrong_use_is_exit_code_two() {
    for arguments in [&["nothing"][..], &["serve", "--bogus"], &["plan", "test"], &["init"]] {
        assert_eq!(headwater(arguments).output().expect("it runs").status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn cases_pass_and_a_wrong_figure_fails_with_what_came() {
    let case = format!("{VECTORS}/a1-seed-row-per-lot.json");
    let passed = headwater(&["plan", "test", &case]).output().expect("it runs");
    assert_eq!(passed.status.code(), Some(0), "{}", text(&passed));
    let wrong = tempfile::Builder::new().suffix(".json").tempfile().expect("a file");
    let document = std::fs::read_to_string(&case).expect("there").replace("24.90", "24.91");
    std::fs::write(wrong.path(), document).expect("written");
    let failed = headwater(&["plan", "test", &case, &wrong.path().display().to_string()]).output().expect("it runs");
    assert_eq!(failed.status.code(), Some(1));
    let said = text(&failed);
    assert!(said.contains("24.91") && said.contains("1 passed, 1 failed"), "{said}");
}

#[test]
fn who_stops_reading_gets_no_panic_and_the_true_exit_code() {
    let unsigned = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(unsigned.path(), "{}").expect("written");
    let (case, unsigned) = (format!("{VECTORS}/a1-seed-row-per-lot.json"), unsigned.path().display().to_string());
    for (arguments, code) in [(["plan", "test", &case], 0), (["statement", "verify", &unsigned], 1)] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = headwater(&arguments).stdout(writer).output().expect("it runs");
        assert_eq!((output.status.code(), text(&output).as_str()), (Some(code), ""), "{arguments:?}");
    }
}

#[test]
fn a_plan_is_linted_as_toml() {
    let plan = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    let text_of =
        |rate: &str| format!("name = 'p'\ncurrency = 'USD'\n[[rules]]\nid = 'lots'\nkind = 'per_lot'\n{rate} = '5'\n");
    let lint = || headwater(&["plan", "lint", &plan.path().display().to_string()]).output().expect("it runs");
    std::fs::write(plan.path(), text_of("rate")).expect("written");
    assert_eq!(lint().status.code(), Some(0), "{}", text(&lint()));
    std::fs::write(plan.path(), text_of("rat")).expect("written");
    assert_eq!(lint().status.code(), Some(1));
    assert!(text(&lint()).contains("rules[0].rat"), "{}", text(&lint()));
}

#[test]
fn of_two_keys_of_one_name_neither_is_taken() {
    let plan = tempfile::Builder::new().suffix(".json").tempfile().expect("a file");
    let document =
        r#"{"name": "p", "currency": "USD", "rules": [{"id": "lots", "kind": "per_lot", "rate": "6", "rate": "7"}]}"#;
    std::fs::write(plan.path(), document).expect("written");
    let refused = headwater(&["plan", "lint", &plan.path().display().to_string()]).output().expect("it runs");
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused);
    assert!(said.contains("was there before") && said.contains("/rules/0"), "{said}");
}

#[test]
fn the_demonstration_works_from_click_to_postback() {
    let shown = headwater(&["demo", "--once", "--json"]).output().expect("it runs");
    let answer: Value = serde_json::from_slice(&shown.stdout).expect("one JSON object");
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(shown.status.code(), Some(0), "{}", text(&shown));
    assert!(answer["link_url"].as_str().is_some_and(|url| url.contains("/click?")), "{answer}");
    let names: Vec<_> = answer["steps"].as_array().expect("steps").iter().map(|step| step["name"].clone()).collect();
    for name in ["click", "registration", "deposit", "commission", "postback"] {
        assert!(names.contains(&name.into()), "{names:?}");
    }
}
