//! `headwater plan lint`, `plan test` and `plan diff`: plans and case files, checked in memory by the functions that the
//! server prices with.
//!
//! Leaves the rules to the domain and running a case to `headwater_app::cases`; this file reads and prints.

mod diff;
mod words;

use super::Outcome;
use anyhow::{Context as _, Result, bail};
use headwater_app::cases::run_case;
use headwater_domain::commission::lint;
use headwater_web::json::strict::{self, JsonError};
use serde_json::Value;
use std::path::{Path, PathBuf};

#[derive(Debug, clap::Subcommand)]
pub enum Plan {
    /// Say everything that is wrong with plans, with the path to each mistake and what to change.
    Lint {
        /// Plan documents, TOML or JSON.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Run case files, and print for each that fails what was expected and what came.
    Test {
        /// Case files, TOML or JSON.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Say what a plan changes of another one, in words; exit code 1 where they differ.
    Diff {
        /// The plan as it is, TOML or JSON.
        old: PathBuf,
        /// The plan as it would be.
        new: PathBuf,
    },
}

pub fn run(plan: &Plan) -> Result<Outcome> {
    match plan {
        Plan::Lint { files } => Ok(check(files, "plans", lint_mistakes)),
        Plan::Test { files } => Ok(check(files, "cases", case_failures)),
        Plan::Diff { old, new } => differences(old, new),
    }
}

fn check(files: &[PathBuf], noun: &str, check: fn(&Value) -> Vec<String>) -> Outcome {
    let mut failed = 0_usize;
    for path in files {
        let problems = match read_document(path) {
            Ok(document) => check(&document),
            Err(error) => vec![format!("{error:#}")],
        };
        if !problems.is_empty() {
            failed += 1;
            println!("{}: failed", path.display());
            for problem in problems {
                println!("  {problem}");
            }
        }
    }
    println!("{} {noun}: {} passed, {failed} failed", files.len(), files.len() - failed);
    Outcome::from(failed == 0)
}

fn differences(old: &Path, new: &Path) -> Result<Outcome> {
    let (old, old_plan) = read_plan(old)?;
    let (new, new_plan) = read_plan(new)?;
    let changes = if old_plan == new_plan { Vec::new() } else { diff::changes(&old, &new) };
    let mut place = "";
    for change in &changes {
        if change.place != place {
            println!("{}", change.place);
            place = &change.place;
        }
        println!("  {}: {}", change.path, change.text);
    }
    match changes.len() {
        0 => println!("no difference"),
        1 => println!("1 difference"),
        count => println!("{count} differences"),
    }
    Ok(Outcome::from(changes.is_empty()))
}

/// A document that the linter has nothing against, and the plan that it is.
fn read_plan(path: &Path) -> Result<(Value, headwater_domain::commission::Plan)> {
    let document = read_document(path).with_context(|| path.display().to_string())?;
    match lint(&document) {
        Ok(mut plan) => {
            // Rules pay alike in any order.
            plan.rules.sort_by(|a, b| a.id.cmp(&b.id));
            Ok((document, plan))
        }
        Err(mistakes) => {
            let mistakes: Vec<String> = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
            bail!("{}: is refused{}", path.display(), mistakes.concat())
        }
    }
}

fn lint_mistakes(document: &Value) -> Vec<String> {
    lint(document).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn case_failures(document: &Value) -> Vec<String> {
    run_case(document).err().unwrap_or_default()
}

/// A document in the language that the file's ending names; JSON where it names none, as strict as over HTTP: of two
/// keys of one name neither is taken.
pub fn read_document(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).context("cannot be read")?;
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) {
        toml::from_str(&text).context("is no TOML")
    } else {
        let is_no_json = |error: &JsonError| match error.pointer.as_str() {
            "" => format!("is no JSON: {} at byte {}", error.fault, error.at_byte),
            pointer => format!("is no JSON: {} at byte {}, in {pointer}", error.fault, error.at_byte),
        };
        strict::check(text.as_bytes()).map_err(|error| anyhow::anyhow!(is_no_json(&error)))?;
        serde_json::from_str(&text).context("is no JSON")
    }
}
