//! The engine against a second answer: an independent model of the plan language, and properties that need none.
//!
//! A failure prints the seed and the smallest case that still fails; such a case belongs into the vectors, with figures
//! worked out by hand. `HEADWATER_RANDOM_CASES=10000` makes a long run of it, `HEADWATER_RANDOM_SEED` repeats one.

mod model;

use serde_json::Value;
use std::collections::BTreeMap;

fn vectors() -> BTreeMap<String, Value> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../domain/tests/vectors");
    let paths = std::fs::read_dir(folder).expect("the vectors are there").map(|entry| entry.expect("readable").path());
    let read = |path: std::path::PathBuf| {
        let text = std::fs::read_to_string(&path).expect("readable");
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, serde_json::from_str(&text).expect("a JSON document"))
    };
    paths.filter(|path| path.extension().is_some_and(|ending| ending == "json")).map(read).collect()
}

#[test]
fn the_model_agrees_with_every_vector() {
    let mut failures = Vec::new();
    assert_eq!(vectors().len(), 142, "a case was lost, or is new: raise the number");
    for (name, case) in vectors() {
        let found = model::verdict::disagreements(&case, &model::run(&case));
        if !found.is_empty() {
            failures.push(format!("{name}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_model_disagrees_with_wrong_figures() {
    let mut case = vectors().remove("e13-split-a-cent").expect("there");
    case["totals"]["ib"]["USD"] = "0.03".into();
    case["steps"][0]["expect"][1]["amount"] = "0.02".into();
    case["steps"][0]["held"] = serde_json::json!([{ "reason": "no_rate" }]);
    let found = model::verdict::disagreements(&case, &model::run(&case));
    assert_eq!(found.len(), 4, "{found:?}");
}
