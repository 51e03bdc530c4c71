//! The examples of docs/plans.md are true: every case on the page is run, every plan on it is linted.

use headwater_app::cases::run_case;
use headwater_domain::commission::lint;
use serde_json::Value;

struct Block {
    line: usize,
    /// What stands behind the fence's `json`: `case` or `plan`.
    word: String,
    document: Value,
}

fn blocks() -> Vec<Block> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plans.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (index, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) if info.starts_with("json") => {
                open = Some((index + 1, info["json".len()..].trim().to_owned(), String::new()));
            }
            (Some(_), Some(_)) => {
                let (line, word, text) = open.take().expect("a block is open");
                let document = serde_json::from_str(&text).unwrap_or_else(|error| panic!("line {line}: {error}"));
                blocks.push(Block { line, word, document });
            }
            (Some((_, _, text)), None) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, _) => {}
        }
    }
    blocks
}

#[test]
fn every_example_of_the_page_comes_out_as_printed() {
    let mut failures = Vec::new();
    for Block { line, word, document } in blocks() {
        let problems = match word.as_str() {
            "case" => run_case(&document).err().unwrap_or_default(),
            "plan" => lint(&document).err().unwrap_or_default().iter().map(ToString::to_string).collect(),
            other => vec![format!("a block of JSON is a `case` or a `plan`, not `{other}`")],
        };
        failures.extend(problems.iter().map(|problem| format!("docs/plans.md:{line}: {problem}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn every_example_checks_the_figures_that_it_prints() {
    for Block { line, document, .. } in blocks().into_iter().filter(|block| block.word == "case") {
        let mut wrong = document.clone();
        wrong["totals"]["ib1"]["USD"] = "0.01".into();
        assert!(run_case(&wrong).is_err(), "docs/plans.md:{line}: its totals are not checked");
    }
}

#[test]
fn the_page_shows_every_kind_modifier_and_method() {
    let shown: String = blocks().iter().filter(|block| block.word == "case").map(|b| b.document.to_string()).collect();
    let kinds = ["flat", "cpa", "cpa_ladder", "per_lot", "per_million", "percent", "bonus", "rebate", "external"];
    for kind in kinds {
        assert!(shown.contains(&format!("\"kind\":\"{kind}\"")), "no case shows the kind {kind}");
    }
    for method in ["difference", "override", "share_from_below", "split", "ratio"] {
        assert!(shown.contains(&format!("\"method\":\"{method}\"")), "no case shows the method {method}");
    }
    for mode in ["whole", "marginal", "previous"] {
        assert!(shown.contains(&format!("\"mode\":\"{mode}\"")), "no case shows the mode {mode}");
    }
    for key in ["when", "weight", "brackets", "cap", "carry", "eligibility", "budget", "qualification", "hold_days"] {
        assert!(shown.contains(&format!("\"{key}\":")), "no case shows {key}");
    }
}
