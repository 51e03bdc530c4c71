//! The order and the batches in which records come make no difference to what is owed.
//!
//! Every shuffle starts from a seed, which a failure names.

use crate::world::{World, list};
use crate::{cases, check_totals, node};
use headwater_app::history::History;
use headwater_app::ingest::Record;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::Value;

on_both_stores! { any_order_in_any_batches_owes_the_same }

/// Shuffles of each case.
const SHUFFLES: u64 = 3;

/// A small generator, so that a seed names a run (the finaliser of `SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(limit).expect("small")).expect("below the limit")
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            list.swap(last, self.below(last + 1));
        }
    }
}

/// The facts of cases that have no other steps. Where a key comes twice, each record says which revision it is: else the
/// order of arrival would decide.
fn facts_of(case: &Value) -> Option<Vec<Value>> {
    let mut facts = Vec::new();
    for step in list(case, "steps") {
        let others = step
            .as_object()?
            .keys()
            .any(|key| !matches!(key.as_str(), "fact" | "expect" | "held" | "expect_conditions"));
        if others {
            return None;
        }
        match &step["fact"] {
            Value::Array(many) => facts.extend(many.iter().cloned()),
            one => facts.push(one.clone()),
        }
    }
    let name = |fact: &Value| {
        let field = |key: &str| fact.get(key).map(ToString::to_string).unwrap_or_default();
        match fact.get("key") {
            Some(key) => vec![field("type"), key.to_string()],
            None => ["type", "customer", "date", "instrument", "currency", "name", "group"].map(field).to_vec(),
        }
    };
    let names: std::collections::BTreeSet<_> = facts.iter().map(name).collect();
    if names.len() < facts.len() {
        facts.iter_mut().enumerate().for_each(|(revision, fact)| fact["revision"] = revision.into());
    }
    Some(facts)
}

async fn any_order_in_any_batches_owes_the_same(store: TestStore) {
    let app = node(&store).await;
    let mut failures = Vec::new();
    let mut tried = 0;
    for (name, case) in cases() {
        let Some(facts) = facts_of(&case).filter(|facts| facts.len() > 1) else { continue };
        tried += 1;
        for seed in 0..SHUFFLES {
            let mut random = Random(seed);
            // The customers come in between: what came before its customer waits for it.
            let mut world = World::open_without_customers(&app, &case).await;
            let mut records: Vec<Record> = list(&case, "customers").map(|customer| world.customer(customer)).collect();
            // Some say only later whose accounts they are.
            let alone = |customer: &Value| {
                let mut alone = customer.clone();
                alone.as_object_mut().expect("an object").remove("person");
                alone
            };
            records.extend(list(&case, "customers").map(|customer| world.customer(&alone(customer))));
            records.extend(facts.iter().map(|one| world.fact(one)));
            // Some come again.
            for _ in 0..facts.len() / 3 {
                let again = records[random.below(records.len())].clone();
                records.push(again);
            }
            random.shuffle(&mut records);
            while !records.is_empty() {
                let taken = records.split_off(records.len() - (1 + random.below(records.len())));
                world.record(taken).await;
            }
            failures
                .extend(check_totals(&mut world, &case).await.into_iter().map(|f| format!("{name}, seed {seed}: {f}")));
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    let history = History::read(store.store.clone()).await.expect("reads");
    assert_eq!(history.verify().await.expect("verifies").difference, None);
    assert!(tried > 60, "only {tried} cases are of facts alone");
}
