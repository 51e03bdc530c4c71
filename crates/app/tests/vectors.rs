//! Every worked case of the commission language passes, to the cent.

use headwater_app::cases::run_case;
use serde_json::Value;
use std::collections::BTreeMap;

/// As many as there are, so that losing one is seen.
const VECTORS: usize = 147;
const CASES: usize = 511;

/// The cases of a folder of `crates/domain/tests`.
fn cases(folder: &str) -> BTreeMap<String, Value> {
    let folder = format!(concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/tests/{}"), folder);
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
    let (vectors, cases) = (cases("vectors"), cases("cases"));
    for (name, case) in vectors.iter().chain(&cases) {
        if let Err(problems) = run_case(case) {
            failures.push(format!("{name}: {}", problems.join("; ")));
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    assert_eq!((vectors.len(), cases.len()), (VECTORS, CASES));
}

#[test]
fn a_wrong_expectation_fails() {
    let mut case = cases("vectors").remove("a1-seed-row-per-lot").expect("there");
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

/// The parent's plan cuts days where the direct partner's cuts months: its steps change with the next of its own days.
#[test]
fn a_parents_periods_are_its_own() {
    let with = |period: &str, rule: Value| serde_json::json!({ "name": period, "currency": "USD", "period": period, "tiers": { "method": "difference" }, "rules": [rule] });
    let stepped = |rate: &str| {
        let steps = serde_json::json!([{ "from": "0", "rate": rate }]);
        serde_json::json!({ "id": "lots", "kind": "per_lot", "brackets": { "metric": "lots", "steps": steps } })
    };
    let row = |day: &str, own: &str, above: &str| {
        let fact = serde_json::json!({ "type": "trade", "key": day, "customer": "c1", "opened_at": day, "closed_at": day,
            "instrument": "EURUSD", "lots": "1", "currency": "USD" });
        let part =
            |partner: &str, amount: &str| serde_json::json!({ "partner": partner, "rule": "lots", "amount": amount });
        serde_json::json!({ "fact": fact, "expect": [part("ib", own), part("above", above)] })
    };
    let flat = serde_json::json!({ "id": "lots", "kind": "per_lot", "rate": "5" });
    let case = serde_json::json!({
        "case": "another length of periods above",
        "plans": { "month": with("month", flat), "day": with("day", stepped("7")) },
        "partners": [{ "id": "above", "plan": "day" }, { "id": "ib", "parent": "above", "plan": "month" }],
        "customers": [{ "id": "c1", "partner": "ib", "registered_at": "2025-01-01T00:00:00Z" }],
        "steps": [
            { "plan": with("day", stepped("9")), "from": "2025-01-10T12:00:00Z" },
            row("2025-01-10T18:00:00Z", "5.00", "2.00"),
            row("2025-01-15T18:00:00Z", "5.00", "4.00"),
        ],
    });
    assert_eq!(run_case(&case), Ok(()));
}
