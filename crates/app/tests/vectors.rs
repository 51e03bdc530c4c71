//! Every worked case of the commission language passes, to the cent.

use headwater_app::cases::run_case;
use serde_json::Value;
use std::collections::BTreeMap;

/// As many as there are, so that losing one is seen.
const CASES: usize = 145;

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

#[test]
fn every_case_passes() {
    let mut failures = Vec::new();
    let cases = cases();
    for (name, case) in &cases {
        if let Err(problems) = run_case(case) {
            failures.push(format!("{name}: {}", problems.join("; ")));
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases.len(), CASES);
}

#[test]
fn a_wrong_expectation_fails() {
    let mut case = cases().remove("a1-seed-row-per-lot").expect("there");
    assert_eq!(run_case(&case), Ok(()));
    case["totals"]["ib1"]["USD"] = "24.91".into();
    assert!(run_case(&case).is_err());
    case["totals"]["ib1"]["USD"] = "24.90".into();
    case["steps"][0]["expect"][0]["cut_off"] = "1".into();
    assert!(run_case(&case).is_err());
    case["steps"][0]["expect"][0]["cut_off"] = "0".into();
    assert_eq!(run_case(&case), Ok(()));
    case["steps"][0]["expect"][0]["colour"] = "green".into();
    assert!(run_case(&case).is_err(), "an expectation that is not understood does not hold");
}
