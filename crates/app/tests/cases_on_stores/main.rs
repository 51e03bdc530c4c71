//! Every worked case of the commission language, told to a program on a store by the operations that everybody calls: each
//! step posts what the case says, and the ledger's accounts end at the case's totals.

#[path = "../model/mod.rs"]
#[expect(dead_code, reason = "the model is shared with the engine's own tests")]
#[expect(clippy::unwrap_used, reason = "a case that makes no sense stops the model, which is all that is asked of it")]
#[expect(clippy::similar_names, clippy::match_bool, clippy::needless_for_each, reason = "read like the contract")]
mod model;
mod orders;
mod streams;
mod windows;
mod world;

use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_app::commission::CommissionRow;
use headwater_app::history::History;
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use world::{World, list};

/// As many as there are, so that losing one is seen.
const CASES: usize = 147;
/// After everything that the cases tell.
const NOW: Instant = Instant::from_seconds(1_790_000_000);

on_both_stores! { every_case_is_posted_and_booked_to_the_cent, a_wrong_expectation_fails }

async fn node(store: &TestStore) -> Arc<App> {
    let start = Start {
        clock: Clock::manual(NOW),
        master_key: [7; 32],
        public_url: "https://go.broker.example".into(),
        egress_allow: Vec::new(),
    };
    App::start(store.store.clone(), start).await.expect("starts")
}

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

async fn every_case_is_posted_and_booked_to_the_cent(store: TestStore) {
    let app = node(&store).await;
    let cases = cases();
    let mut failures = Vec::new();
    for (name, case) in &cases {
        for failure in run(&app, case).await {
            failures.push(format!("{name}: {failure}"));
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    assert_eq!(cases.len(), CASES);
    let history = History::read(store.store.clone()).await.expect("reads");
    assert_eq!(history.verify().await.expect("verifies").difference, None);
}

async fn a_wrong_expectation_fails(store: TestStore) {
    let app = node(&store).await;
    let right = cases().remove("a1-seed-row-per-lot").expect("there");
    assert_eq!(run(&app, &right).await, Vec::<String>::new());
    let mut wrong = right.clone();
    wrong["totals"]["ib1"]["USD"] = "24.91".into();
    assert_eq!(run(&app, &wrong).await.len(), 1);
    let mut wrong = right.clone();
    wrong["steps"][0]["expect"][0]["amount"] = "1".into();
    assert_eq!(run(&app, &wrong).await.len(), 2, "one did not come, another came");
    let mut wrong = right;
    wrong["steps"][0]["held"] = serde_json::json!([{"reason": "no_rate"}]);
    assert_eq!(run(&app, &wrong).await.len(), 1);
}

async fn run(app: &Arc<App>, case: &Value) -> Vec<String> {
    let mut world = World::open(app, case).await;
    let mut failures = Vec::new();
    for (index, step) in list(case, "steps").enumerate() {
        let mut fail = |failure: String| failures.push(format!("step {}: {failure}", index + 1));
        let expected_error = step.get("expect_error").and_then(Value::as_str);
        match (world.step(step).await, expected_error) {
            (Ok(outcome), None) => {
                check_postings(&mut world, step, &outcome.postings).await.into_iter().for_each(&mut fail);
                check_held(step, outcome.newly_held).into_iter().for_each(&mut fail);
            }
            (Err(code), Some(expected)) if code == expected => {}
            (Ok(_), Some(expected)) => fail(format!("expected the error {expected}, but the step was accepted")),
            (Err(code), expected) => fail(format!("expected {expected:?}, got the error {code}")),
        }
    }
    failures.extend(check_totals(&mut world, case).await);
    if case.get("held_at_the_end").is_some() {
        let mut wanted: Vec<_> = list(case, "held_at_the_end").filter_map(Value::as_str).map(str::to_owned).collect();
        wanted.sort();
        let held = world.held_now().await;
        if wanted != held {
            failures.push(format!("expected held at the end {wanted:?}, got {held:?}"));
        }
    }
    failures
}

async fn check_postings(world: &mut World, step: &Value, came: &[CommissionRow]) -> Vec<String> {
    if step.get("expect").is_none() {
        return Vec::new();
    }
    let mut open = Vec::new();
    for row in came {
        let owner = match (row.partner_id, row.customer_id) {
            (Some(partner), _) => format!("partner:{partner}"),
            (None, customer) => format!("customer:{}", customer.expect("a posting has a payee")),
        };
        open.push((world.owner(&owner).await, row));
    }
    let mut failures = Vec::new();
    for wanted in list(step, "expect") {
        match open.iter().position(|(owner, row)| matches(wanted, owner, row)) {
            Some(found) => drop(open.remove(found)),
            None => failures.push(format!("expected the posting {wanted}, which did not come")),
        }
    }
    failures.extend(open.iter().map(|(owner, row)| {
        format!("came: {owner} {} {} {} for {}", row.rule, Decimal(row.amount), row.unit, row.for_period)
    }));
    failures
}

/// Whether every key of the expectation holds; a key that is not known here holds for nothing. What caps cut off is in no
/// posting.
fn matches(wanted: &Value, owner: &str, row: &CommissionRow) -> bool {
    wanted.as_object().expect("an object").iter().all(|(key, value)| {
        let word = value.as_str().unwrap_or_default();
        match key.as_str() {
            "partner" => owner == word,
            "customer" => owner == format!("customer:{word}"),
            "rule" => row.rule == word,
            "amount" => Decimal::parse(word) == Ok(Decimal(row.amount)),
            "unit" => row.unit == word,
            "level" => value.as_i64() == Some(row.level),
            "for_period" => row.for_period == word,
            "payable_at" => Instant::parse(word) == Some(Instant(row.payable_at)),
            "cut_off" => true,
            _ => false,
        }
    })
}

fn check_held(step: &Value, mut came: Vec<String>) -> Option<String> {
    step.get("held")?;
    let mut wanted: Vec<String> =
        list(step, "held").map(|held| held["reason"].as_str().unwrap_or_default().to_owned()).collect();
    wanted.sort();
    came.sort();
    (wanted != came).then(|| format!("expected held {wanted:?}, got {came:?}"))
}

async fn check_totals(world: &mut World, case: &Value) -> Vec<String> {
    let (mut totals, unbalanced) = world.totals().await;
    let mut failures = Vec::new();
    if !unbalanced.is_empty() {
        failures.push(format!("the ledger does not add up to nothing: {unbalanced:?}"));
    }
    let Some(wanted) = case.get("totals").and_then(Value::as_object) else { return failures };
    for (owner, units) in wanted {
        for (unit, amount) in units.as_object().into_iter().flatten() {
            let amount = amount.as_str().and_then(|amount| Decimal::parse(amount).ok()).expect("a decimal");
            let got = totals.remove(&(owner.clone(), unit.clone())).unwrap_or(Decimal::ZERO);
            if got != amount {
                failures.push(format!("total of {owner}: expected {amount} {unit}, got {got}"));
            }
        }
    }
    failures
        .extend(totals.iter().map(|((owner, unit), got)| format!("total of {owner}: expected 0 {unit}, got {got}")));
    failures
}
