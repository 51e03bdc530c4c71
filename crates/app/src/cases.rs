//! Runs a case file (`commissions.md` §6) in memory, on the same functions that price for the server.
//!
//! Leaves reading files and printing to the binary. What a case asks for and nobody knows is a failure with a clear
//! message, never a pass.

mod expect;
mod world;

use headwater_domain::commission::{Plan, Posting, lint};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use serde_json::Value;
use world::World;

/// Runs the case.
///
/// # Errors
/// Every expectation that was not met, with what came instead.
pub fn run_case(document: &Value) -> Result<(), Vec<String>> {
    let mut world = World::open(document).map_err(|problem| vec![problem])?;
    let mut failures = Vec::new();
    for (index, step) in list(document, "steps").enumerate() {
        world.step(step).into_iter().for_each(|failure| failures.push(format!("step {}: {failure}", index + 1)));
    }
    failures.extend(world.check_totals(document.get("totals")));
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// Every posting that the case makes, step by step, with its explanation. Expectations in it are not looked at.
///
/// # Errors
/// Why the case cannot be opened. A step that is refused makes no postings.
pub fn case_postings(document: &Value) -> Result<Vec<Posting<'static>>, String> {
    let mut world = World::open(document)?;
    let mut postings = Vec::new();
    for step in list(document, "steps") {
        if let Ok(changed) = world.apply(step) {
            postings.extend(world.settle(&changed).postings);
        }
    }
    Ok(postings)
}

/// A step that was refused: its code, or for a plan the path of the first mistake.
struct Refused {
    code: String,
    message: String,
}

type Step<T> = Result<T, Refused>;

fn refused(code: &str, message: impl Into<String>) -> Refused {
    Refused { code: code.to_owned(), message: message.into() }
}

fn linted(document: &Value) -> Step<Plan> {
    lint(document).map_err(|mistakes| {
        let first = mistakes.first().map(|mistake| mistake.path.clone()).unwrap_or_default();
        let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        refused(&first, all.join("; "))
    })
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> Step<&'a str> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| refused(key, "is missing or no text"))
}

fn instant(value: &Value, key: &str) -> Step<Instant> {
    Instant::parse(text(value, key)?).ok_or_else(|| refused(key, "is no instant"))
}

/// `0.010` and `0.01` are the same number; what is no number stands as it is.
fn plain(value: &str) -> String {
    Decimal::parse(value).map_or_else(|_| value.to_owned(), |number| number.to_string())
}

/// The number of a name, counted from 1 in the order of appearance.
fn number(names: &mut Vec<String>, name: &str) -> i64 {
    find(names, name).unwrap_or_else(|| {
        names.push(name.to_owned());
        i64::try_from(names.len()).expect("a case is small")
    })
}

fn find(names: &[String], name: &str) -> Option<i64> {
    let index = names.iter().position(|known| known == name)?;
    i64::try_from(index + 1).ok()
}
