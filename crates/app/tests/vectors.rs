//! Every worked case that uses only what this version has passes; how many those are is counted, so that losing one
//! is seen. Every other case is refused at a path, never passed by accident.

use headwater_app::cases::run_case;
use headwater_domain::commission::lint;
use serde_json::Value;
use std::collections::BTreeMap;

/// Raise it with every rule kind and modifier that is built.
const CASES_THAT_RUN: usize = 50;

fn cases() -> BTreeMap<String, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/tests/vectors");
    let files = std::fs::read_dir(folder).expect("the vectors are there").map(|entry| entry.expect("readable").path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("readable");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, serde_json::from_str(&text).expect("a JSON document"))
    };
    files.filter(|path| path.extension().is_some_and(|ending| ending == "json")).map(read).collect()
}

/// Whether every plan of the case lints clean.
fn uses_only_what_exists(case: &Value) -> bool {
    let named = case.get("plans").and_then(Value::as_object).into_iter().flat_map(|plans| plans.values());
    let later = case["steps"].as_array().expect("steps").iter().filter_map(|step| step.get("plan"));
    case.get("plan").into_iter().chain(named).chain(later).all(|plan| lint(plan).is_ok())
}

#[test]
fn every_case_of_what_exists_passes() {
    let (mut run, mut failures) = (Vec::new(), Vec::new());
    for (name, case) in cases() {
        if !uses_only_what_exists(&case) {
            assert!(run_case(&case).is_err(), "{name} passes although its plan is refused");
            continue;
        }
        if let Err(problems) = run_case(&case) {
            failures.push(format!("{name}: {}", problems.join("; ")));
        }
        run.push(name);
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    assert_eq!(run.len(), CASES_THAT_RUN, "{run:?}");
}

#[test]
fn a_wrong_expectation_fails() {
    let mut case = cases().remove("a1-seed-row-per-lot").expect("there");
    assert_eq!(run_case(&case), Ok(()));
    case["totals"]["ib1"]["USD"] = "24.91".into();
    assert!(run_case(&case).is_err());
    case["totals"]["ib1"]["USD"] = "24.90".into();
    case["steps"][0]["expect"][0]["cut_off"] = "1".into();
    assert!(run_case(&case).is_err(), "an expectation that is not understood does not hold");
}
