//! A stored explanation with everything that was left out of it: the object that the management API shows.
//!
//! Only puts in what is absent, so that rows which were stored in full read as they are.

use crate::ids::FactId;
use crate::money::Decimal;
use crate::time::Instant;
use serde_json::{Map, Value, json};

/// The explanation object of a stored text. Of a text that is no object, an empty one's.
pub fn full_explanation(stored: &str) -> Value {
    let mut object = match serde_json::from_str(stored) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    for fact in list(&mut object, "facts") {
        if let [id, revision, at] = fact.as_array().map_or(&[][..], Vec::as_slice) {
            let at = at.as_i64().map(|at| Instant(at).iso8601());
            *fact = json!({"id": id.as_i64().map(|id| FactId(id).0), "revision": revision, "at": at});
        }
    }
    let quote = object.get("exchange_rate").cloned().unwrap_or(Value::Null);
    let candidates = object.get("candidates").cloned().unwrap_or_else(|| json!([]));
    let inputs = list(&mut object, "inputs");
    // Each says its own where they differ; else all were brought in at the one that is shown for all.
    let quotes_differ = inputs.iter().any(|input| input.get("exchange_rate").is_some());
    for input in inputs {
        if let Some(input) = input.as_object_mut() {
            input.entry("exchange_rate").or_insert(if quotes_differ { Value::Null } else { quote.clone() });
            input.entry("candidates").or_insert_with(|| candidates.clone());
            fill_input(input);
        }
    }
    let digits = object.get("digits").and_then(Value::as_u64).and_then(|digits| u32::try_from(digits).ok());
    let rounded = object.get("posted_after").and_then(Value::as_str).and_then(|text| Decimal::parse(text).ok());
    let rounded = rounded.unwrap_or(Decimal::ZERO).to_text(digits.unwrap_or(0));
    for (key, value) in [
        ("summed_up", Value::Null),
        ("rate", Value::Null),
        ("candidates", json!([])),
        ("conditions", json!([])),
        ("exchange_rate", Value::Null),
        ("cut_off", Decimal::ZERO.to_text(digits.unwrap_or(0)).into()),
        ("exact", "0".into()),
        ("paths", json!([])),
        ("rounded", rounded.into()),
    ] {
        object.entry(key).or_insert(value);
    }
    Value::Object(object)
}

fn list<'o>(object: &'o mut Map<String, Value>, key: &str) -> &'o mut [Value] {
    object.entry(key).or_insert_with(|| json!([])).as_array_mut().map_or(&mut [], Vec::as_mut_slice)
}

/// What an input does not say: one side, factors of 1, all of the quantity at one rate, and nothing cut off.
fn fill_input(input: &mut Map<String, Value>) {
    if let Some(lots) = input.get("lots").cloned() {
        input.entry("sides").or_insert(1.into());
        input.entry("lot_factor").or_insert("1".into());
        input.entry("quantity").or_insert(lots);
    }
    if !input.contains_key("pieces") {
        let rate = input.remove("rate");
        input.insert("pieces".to_owned(), json!([{"quantity": input.get("quantity"), "rate": rate}]));
    }
    for term in list(input, "terms") {
        if let [name, value] = term.as_array().map_or(&[][..], Vec::as_slice) {
            *term = json!({"term": name, "value": value});
        }
    }
    let direct = input.get("direct").cloned().unwrap_or_default();
    for (key, value) in [
        ("weight", "1".into()),
        ("credit_share", "1".into()),
        ("cut_off", "0".into()),
        ("level", 0.into()),
        ("exact", direct),
    ] {
        input.entry(key).or_insert(value);
    }
}
