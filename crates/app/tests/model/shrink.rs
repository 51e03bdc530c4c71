//! Makes a failing case small: leaves out, one at a time, whatever it still fails without.
//!
//! Leaves what failing means to the caller. Greedy: the smallest case is not promised, a much smaller one is.

use serde_json::Value;

/// The case with steps, facts, rules, partners, customers and keys of rules left out while it still fails.
pub fn shrink(case: &Value, fails: &dyn Fn(&Value) -> bool) -> Value {
    let mut smallest = case.clone();
    loop {
        let found = smaller(&smallest).into_iter().find(|candidate| fails(candidate));
        match found {
            Some(candidate) => smallest = candidate,
            None => return smallest,
        }
    }
}

/// Every case that is one thing smaller, the largest things first.
fn smaller(case: &Value) -> Vec<Value> {
    let mut pointers = Vec::new();
    for key in ["steps", "customers", "exchange_rates", "partners"] {
        pointers.extend(places(case, &format!("/{key}")));
    }
    for (index, _) in case["steps"].as_array().unwrap().iter().enumerate() {
        pointers.extend(places(case, &format!("/steps/{index}/fact")));
        pointers.extend(keys(case, &format!("/steps/{index}/fact")));
    }
    let plans: Vec<String> = case["plans"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
    for plan in plans {
        let rules = format!("/plans/{plan}/rules");
        pointers.extend(places(case, &rules));
        pointers.extend(keys(case, &format!("/plans/{plan}")));
        let count = case.pointer(&rules).and_then(Value::as_array).map_or(0, Vec::len);
        for index in 0..count {
            for path in
                [format!("{rules}/{index}"), format!("{rules}/{index}/eligibility"), format!("{rules}/{index}/qualify")]
            {
                pointers.extend(keys(case, &path));
            }
        }
    }
    for key in ["partners", "customers"] {
        for (index, _) in case[key].as_array().unwrap().iter().enumerate() {
            pointers.extend(keys(case, &format!("/{key}/{index}")));
        }
    }
    pointers.iter().filter_map(|pointer| without(case, pointer)).collect()
}

/// The elements of a list, the last first: what comes later leans on what comes before.
fn places(case: &Value, list: &str) -> Vec<String> {
    let count = case.pointer(list).and_then(Value::as_array).map_or(0, Vec::len);
    (0..count).rev().map(|index| format!("{list}/{index}")).collect()
}

fn keys(case: &Value, object: &str) -> Vec<String> {
    let keys = case.pointer(object).and_then(Value::as_object).into_iter().flatten();
    let needed = [
        "id",
        "kind",
        "name",
        "currency",
        "type",
        "customer",
        "key",
        "at",
        "date",
        "instrument",
        "lots",
        "opened_at",
        "period",
        "time_zone",
    ];
    keys.filter(|(key, _)| !needed.contains(&key.as_str())).map(|(key, _)| format!("{object}/{key}")).collect()
}

/// The case without what the pointer points at.
fn without(case: &Value, pointer: &str) -> Option<Value> {
    let mut smaller = case.clone();
    let (parent, last) = pointer.rsplit_once('/')?;
    match smaller.pointer_mut(parent)? {
        Value::Array(list) => drop(list.remove(last.parse().ok()?)),
        Value::Object(object) => drop(object.remove(last)?),
        _ => return None,
    }
    Some(smaller)
}
