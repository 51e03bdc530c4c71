//! Random streams settled step by step on a store owe and post what an independent model works out from nothing each
//! time, and reading all of it back says the same.
//!
//! `HEADWATER_RANDOM_SEED` is the first seed, `HEADWATER_RANDOM_CASES` says how many.

use crate::{node, run};
use headwater_app::history::History;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::Value;
use std::panic::catch_unwind;

on_both_stores! { a_stream_settled_in_steps_owes_what_it_owes_from_nothing }

/// A store counts single trades or daily rows of a customer, never both: the ones of the other type go.
fn one_source(case: &mut Value, other: &str) {
    for step in case["steps"].as_array_mut().expect("a list") {
        let is_other = |fact: &Value| fact["type"] == other;
        match step.get_mut("fact") {
            Some(Value::Array(facts)) => facts.retain(|fact| !is_other(fact)),
            Some(fact) if is_other(fact) => *fact = Value::Array(Vec::new()),
            _ => {}
        }
    }
}

/// The case with what the model says of it, where the store tells it like the model: a partner's first status is told by no
/// operation.
fn told(seed: u64) -> Option<Value> {
    let mut case = crate::model::generate::case(seed);
    one_source(&mut case, if seed.is_multiple_of(2) { "trade" } else { "trading_day" });
    let statuses = case["partners"].as_array()?.iter().any(|partner| partner.get("status").is_some());
    let plans = case["plans"].as_object().is_some_and(|plans| !plans.is_empty());
    if statuses || !plans {
        return None;
    }
    let mut case = catch_unwind(|| {
        let report = crate::model::run(&case);
        let mut filled = crate::model::verdict::fill(&case, &report);
        let held = crate::model::cells::evaluate(report.worlds.last()?).held;
        filled["held_at_the_end"] = held.iter().map(|((kind, _), reason)| format!("{kind}: {reason}")).collect();
        Some(filled)
    })
    .ok()??;
    for step in case["steps"].as_array_mut()? {
        let step = step.as_object_mut()?;
        step.remove("expect_conditions");
        // A revision is a fact of its own number to a store: what stays held is held anew.
        step.remove("held");
    }
    Some(case)
}

async fn a_stream_settled_in_steps_owes_what_it_owes_from_nothing(store: TestStore) {
    let read = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a whole number"));
    let first = read("HEADWATER_RANDOM_SEED").unwrap_or(1);
    let count = read("HEADWATER_RANDOM_CASES").unwrap_or(30);
    let app = node(&store).await;
    let (mut failures, mut tried) = (Vec::new(), 0);
    for seed in first..first + count {
        let Some(case) = told(seed) else { continue };
        tried += 1;
        failures.extend(run(&app, &case).await.into_iter().map(|failure| format!("seed {seed}: {failure}")));
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    let history = History::read(store.store.clone()).await.expect("reads");
    assert_eq!(history.verify().await.expect("verifies").difference, None);
    assert!(tried * 3 > count, "only {tried} of {count} cases can be told to a store");
}
