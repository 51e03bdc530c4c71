//! `headwater plan lint` and `plan test`: plans and case files, checked in memory by the functions that the server
//! prices with.
//!
//! Leaves the rules to the domain and running a case to `headwater_app::cases`; this file reads and prints.

use super::Outcome;
use anyhow::{Context as _, Result};
use headwater_app::cases::run_case;
use headwater_domain::commission::lint;
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
}

pub fn run(plan: &Plan) -> Outcome {
    let (files, check): (_, fn(&Value) -> Vec<String>) = match plan {
        Plan::Lint { files } => (files, lint_mistakes),
        Plan::Test { files } => (files, case_failures),
    };
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
    let noun = if matches!(plan, Plan::Lint { .. }) { "plans" } else { "cases" };
    println!("{} {noun}: {} passed, {failed} failed", files.len(), files.len() - failed);
    Outcome::from(failed == 0)
}

fn lint_mistakes(document: &Value) -> Vec<String> {
    lint(document).err().unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn case_failures(document: &Value) -> Vec<String> {
    run_case(document).err().unwrap_or_default()
}

/// A document in the language that the file's ending names; JSON where it names none.
pub fn read_document(path: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(path).context("cannot be read")?;
    if path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("toml")) {
        toml::from_str(&text).context("is no TOML")
    } else {
        serde_json::from_str(&text).context("is no JSON")
    }
}
