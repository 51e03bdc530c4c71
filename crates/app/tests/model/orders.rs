//! The same truth told in other ways: other orders, other batches, twice, at once, taken back.
//!
//! Leaves what must be equal to the tests. Facts are told in their last record; what is around them keeps its order.

use super::random::Random;
use super::world::{World, list};
use serde_json::{Value, json};

/// The last record of every fact, each with a key of its own.
fn last_records(world: &World) -> Vec<Value> {
    let keyed = |fact: &super::world::Fact| {
        let mut document = fact.document.clone();
        document["key"] = fact.id.1.as_str().into();
        document.as_object_mut().unwrap().remove("revision");
        document
    };
    world.facts.values().map(keyed).collect()
}

/// The steps that tell no facts.
fn other_steps(case: &Value) -> Vec<Value> {
    list(case, "steps").filter(|step| step.get("fact").is_none()).map(bare).collect()
}

fn bare(step: &Value) -> Value {
    let mut step = step.clone();
    for key in ["expect", "held"] {
        step.as_object_mut().unwrap().remove(key);
    }
    step
}

fn with_steps(case: &Value, steps: Vec<Value>) -> Value {
    let mut told = case.clone();
    told["steps"] = steps.into();
    told
}

/// Every fact in any order, in batches of any size, some twice, anywhere between the other steps.
pub fn shuffled(random: &mut Random, case: &Value, world: &World) -> Value {
    let mut facts = last_records(world);
    let again: Vec<Value> = facts.iter().filter(|_| random.chance(25)).cloned().collect();
    facts.extend(again);
    random.shuffle(&mut facts);
    let mut steps = other_steps(case);
    while !facts.is_empty() {
        let size = (random.below(5) + 1).min(facts.len());
        let batch: Vec<Value> = facts.drain(..size).collect();
        let place = random.below(steps.len() + 1);
        steps.insert(place, json!({ "fact": batch }));
    }
    with_steps(case, steps)
}

/// Everything around the facts first, then all facts in one settlement.
pub fn at_once(case: &Value, world: &World) -> Value {
    let mut steps = other_steps(case);
    steps.push(json!({ "fact": last_records(world) }));
    with_steps(case, steps)
}

/// Everything as it happened, each fact with a key of its own; then every fact moves to a customer nobody knows.
pub fn taken_back(random: &mut Random, case: &Value, world: &World) -> Value {
    let mut told = shuffled(random, case, world);
    let mut facts = last_records(world);
    random.shuffle(&mut facts);
    for mut fact in facts {
        fact["customer"] = "no one that is known".into();
        told["steps"].as_array_mut().unwrap().push(json!({ "fact": fact }));
    }
    told
}

/// The case under a tree that stands still, without what pays beside the tiers, shared as `tiers` says.
pub fn shared_by(case: &Value, tiers: &Value) -> Value {
    let stands_still = |step: &&Value| {
        ["move_partner", "suspend_partner", "restore_partner"].iter().all(|verb| step.get(verb).is_none())
    };
    let mut told = with_steps(case, list(case, "steps").filter(stands_still).map(bare).collect());
    let rewrite = |plan: &mut Value| {
        plan["tiers"] = tiers.clone();
        let keys = plan.as_object_mut().unwrap();
        keys.remove("budget");
        if tiers.is_null() {
            keys.remove("tiers");
        }
        plan["rules"].as_array_mut().unwrap().retain(|rule| rule["kind"] != "rebate");
    };
    told["plans"].as_object_mut().unwrap().values_mut().for_each(rewrite);
    told["steps"].as_array_mut().unwrap().iter_mut().filter_map(|step| step.get_mut("plan")).for_each(rewrite);
    for partner in told["partners"].as_array_mut().unwrap() {
        partner.as_object_mut().unwrap().remove("status");
    }
    told
}

/// The case without anybody being suspended.
pub fn never_suspended(case: &Value) -> Value {
    let suspends = |step: &&Value| step.get("suspend_partner").is_none() && step.get("restore_partner").is_none();
    let mut told = with_steps(case, list(case, "steps").filter(suspends).map(bare).collect());
    for partner in told["partners"].as_array_mut().unwrap() {
        partner.as_object_mut().unwrap().remove("status");
    }
    told
}

/// The case without anybody sharing.
pub fn unsplit(case: &Value) -> Value {
    let mut told = with_steps(case, list(case, "steps").filter(|step| step.get("split").is_none()).map(bare).collect());
    let of_step = |step: &mut Value| step.get_mut("customer").map(Value::take);
    for step in told["steps"].as_array_mut().unwrap() {
        if let Some(mut customer) = of_step(step) {
            customer.as_object_mut().unwrap().remove("split");
            step["customer"] = customer;
        }
    }
    for customer in told["customers"].as_array_mut().unwrap() {
        customer.as_object_mut().unwrap().remove("split");
    }
    told
}
