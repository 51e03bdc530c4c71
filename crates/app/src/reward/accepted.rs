//! What is kept of what a caller says of a reward, a product, or an entry of a campaign's lists.
//!
//! Names that this dialect does not have are ignored (`conventions.md` §5), so they are neither stored nor shown again; what
//! contradicts itself, or could not be carried out, is refused by its field. Leaves what a reward pays to `reward_plan`.

use super::RewardFailure;
use serde_json::{Map, Value};

const OF_REWARD: [&str; 13] = [
    "name",
    "is_promoter_reward",
    REWARD_TYPE,
    "tier_reward_mode",
    "tier_level",
    "coupon",
    DURATION,
    MONTHS,
    "max_redemptions",
    PROVIDER_COUPON,
    "new_customers_only",
    "provider_coupon_id",
    SCHEMAS,
];
const OF_SCHEMA: [&str; 4] = ["unit", "amount", "flat_amount", RULES];
const OF_RULE: [&str; 5] = ["type", "condition", "value", "operator", "filter_by"];
const OF_ENTRY: [&str; 3] = ["apply_on", "product_ids", "reward_id"];
const OF_PRODUCT: [&str; 3] = ["name", "ext_id", PRICES];
const OF_PRICE: [&str; 2] = ["ext_id", "desc"];
const REWARD_TYPE: &str = "promoter_reward_type";
const HIDE: &str = "hide_reward";
const DURATION: &str = "duration";
const MONTHS: &str = "duration_in_months";
const PROVIDER_COUPON: &str = "should_create_provider_coupon";
const SCHEMAS: &str = "schemas";
const RULES: &str = "rules";
const PRICES: &str = "prices";
/// A label that nothing is decided by, in characters.
const LABEL_CHARS_MAX: usize = 255;
const DESCRIPTION_CHARS_MAX: usize = 2000;

/// Labels of a campaign: `null` takes one away.
pub(crate) fn campaign_label(said: &Map<String, Value>, name: &str) -> Result<(), RewardFailure> {
    match said.get(name) {
        Some(Value::String(text)) if text.chars().count() > DESCRIPTION_CHARS_MAX => {
            Err(RewardFailure::wrong(name, &format!("must have at most {DESCRIPTION_CHARS_MAX} characters")))
        }
        Some(Value::String(text)) if name == "description" => {
            let is_odd = |character: char| character.is_control() && !matches!(character, '\n' | '\r' | '\t');
            let message = "must have no control characters but line breaks and tabs";
            if text.contains(is_odd) { Err(RewardFailure::wrong(name, message)) } else { Ok(()) }
        }
        Some(Value::String(text)) => line(name, text),
        None | Some(Value::Null) => Ok(()),
        Some(_) => Err(RewardFailure::wrong(name, "must be a string")),
    }
}

/// A name is on one line.
pub(super) fn line(name: &str, text: &str) -> Result<(), RewardFailure> {
    let is_line = !text.contains(char::is_control);
    if is_line { Ok(()) } else { Err(RewardFailure::wrong(name, "must have no control characters")) }
}

/// What is kept of a reward, and whether it is to be hidden where that is said.
pub(super) fn reward(said: Map<String, Value>) -> Result<(Map<String, Value>, Option<bool>), RewardFailure> {
    for name in ["coupon", "provider_coupon_id"] {
        label(&said, name)?;
    }
    if flag(&said, PROVIDER_COUPON)? == Some(true) {
        let message =
            "cannot be carried out: this server has no billing provider; create the coupon there, and send false";
        return Err(RewardFailure::cannot(PROVIDER_COUPON, message));
    }
    let is_hidden = flag(&said, HIDE)?;
    Ok((names_of_reward(said), is_hidden))
}

/// A reward without what its dialect does not have, and without what is not its document's to say.
pub(super) fn names_of_reward(said: Map<String, Value>) -> Map<String, Value> {
    let mut kept = only(said, &OF_REWARD);
    if let Some(Value::Array(schemas)) = kept.get_mut(SCHEMAS) {
        each_only(schemas, &OF_SCHEMA);
        for schema in schemas {
            if let Some(Value::Array(rules)) = schema.get_mut(RULES) {
                each_only(rules, &OF_RULE);
            }
        }
    }
    kept
}

/// Refuses what goes with another value only, where the caller just said one of both; what was stored before stays.
pub(super) fn agrees(document: &Map<String, Value>, said: &Map<String, Value>) -> Result<(), RewardFailure> {
    let is_set = |name: &str| document.get(name).is_some_and(|value| !value.is_null());
    let word = |name: &str| document.get(name).and_then(Value::as_str);
    let is_said = |names: [&str; 2]| names.iter().any(|name| said.contains_key(*name));
    if is_said([DURATION, MONTHS]) && is_set(MONTHS) && word(DURATION) != Some("repeating") {
        let message = "goes with duration repeating; leave it out, or send null";
        return Err(RewardFailure::cannot(MONTHS, message));
    }
    for name in ["tier_level", "tier_reward_mode"] {
        if is_said([REWARD_TYPE, name]) && is_set(name) && word(REWARD_TYPE) != Some("tier") {
            let message = "goes with promoter_reward_type tier; leave it out, or send null";
            return Err(RewardFailure::cannot(name, message));
        }
    }
    let is_referrals = document.get("is_promoter_reward") == Some(&Value::Bool(false));
    if is_said([REWARD_TYPE, "is_promoter_reward"])
        && is_referrals
        && word(REWARD_TYPE).is_some_and(|kind| kind != "sale")
    {
        let message = "is of promoter rewards; leave it out, or send null, where is_promoter_reward is false";
        return Err(RewardFailure::cannot(REWARD_TYPE, message));
    }
    if is_said([REWARD_TYPE, DURATION])
        && word(REWARD_TYPE) == Some("custom")
        && word(DURATION).is_some_and(|duration| duration != "forever")
    {
        return Err(RewardFailure::cannot(DURATION, "has no sale to be asked of; leave it out, or send null"));
    }
    Ok(())
}

/// An entry of a campaign's lists: for all sales where it does not say for which, and without what is none of it.
pub(crate) fn entry(said: &Value) -> Value {
    let mut kept = only(said.as_object().cloned().unwrap_or_default(), &OF_ENTRY);
    kept.retain(|_, value| !value.is_null());
    kept.entry("apply_on").or_insert_with(|| "all".into());
    Value::Object(kept)
}

/// What is kept of a product.
pub(super) fn product(said: Map<String, Value>) -> Result<Map<String, Value>, RewardFailure> {
    let mut kept = only(said, &OF_PRODUCT);
    let name = kept.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty());
    let Some(name) = name else { return Err(RewardFailure::wrong("name", "is required, a text that is not empty")) };
    line("name", name)?;
    ext_id(&kept, "ext_id")?;
    match kept.get_mut(PRICES) {
        None | Some(Value::Null) => {}
        Some(Value::Array(prices)) => {
            each_only(prices, &OF_PRICE);
            for (index, price) in prices.iter().enumerate() {
                let at = format!("{PRICES}[{index}]");
                let Value::Object(price) = price else { return Err(RewardFailure::wrong(&at, "must be an object")) };
                if price.get("ext_id").is_none_or(Value::is_null) {
                    return Err(RewardFailure::wrong(&format!("{at}.ext_id"), "is required"));
                }
                ext_id(price, &format!("{at}.ext_id"))?;
            }
        }
        Some(_) => return Err(RewardFailure::wrong(PRICES, "must be a list")),
    }
    Ok(kept)
}

/// A name that sales may have: a text, or a number as it is written.
fn ext_id(of: &Map<String, Value>, field: &str) -> Result<(), RewardFailure> {
    match of.get("ext_id") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Number(number)) if number.is_i64() => Ok(()),
        Some(Value::String(text)) if text.chars().count() <= LABEL_CHARS_MAX => Ok(()),
        Some(_) => {
            Err(RewardFailure::wrong(field, &format!("must be a string of at most {LABEL_CHARS_MAX} characters")))
        }
    }
}

fn label(of: &Map<String, Value>, name: &str) -> Result<(), RewardFailure> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(text)) if text.chars().count() <= LABEL_CHARS_MAX => Ok(()),
        Some(_) => {
            Err(RewardFailure::wrong(name, &format!("must be a string of at most {LABEL_CHARS_MAX} characters")))
        }
    }
}

fn flag(of: &Map<String, Value>, name: &str) -> Result<Option<bool>, RewardFailure> {
    match of.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(RewardFailure::wrong(name, "must be true or false")),
    }
}

fn only(mut said: Map<String, Value>, names: &[&str]) -> Map<String, Value> {
    said.retain(|name, _| names.contains(&name.as_str()));
    said
}

fn each_only(list: &mut [Value], names: &[&str]) {
    for object in list.iter_mut().filter_map(Value::as_object_mut) {
        object.retain(|name, _| names.contains(&name.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn what_the_dialect_does_not_have_is_not_kept() {
        let said = object(json!({"name": "r", "colour": 1, "hide_reward": true,
            "schemas": [{"unit": "cash", "odd": 1, "rules": [{"type": "x", "odd": 1}, 5]}, 7]}));
        let (kept, is_hidden) = reward(said).expect("kept");
        let schemas = json!([{"unit": "cash", "rules": [{"type": "x"}, 5]}, 7]);
        assert_eq!((Value::Object(kept), is_hidden), (json!({"name": "r", "schemas": schemas}), Some(true)));
        assert_eq!(entry(&json!({"reward_id": 1, "odd": 2})), json!({"reward_id": 1, "apply_on": "all"}));
        let kept = product(object(json!({"name": "p", "odd": 1, "prices": [{"ext_id": 5, "odd": 1}]}))).expect("kept");
        assert_eq!(Value::Object(kept), json!({"name": "p", "prices": [{"ext_id": 5}]}));
    }

    #[test]
    fn what_contradicts_itself_is_refused_where_it_was_just_said() {
        let field = |document: Value, said: Value| match agrees(&object(document), &object(said)) {
            Ok(()) => String::new(),
            Err(RewardFailure::Refused(refused)) => refused.field,
            Err(other) => panic!("{other}"),
        };
        for (document, expected) in [
            (json!({"duration": "once", "duration_in_months": 3}), "duration_in_months"),
            (json!({"duration_in_months": 3}), "duration_in_months"),
            (json!({"duration": "repeating", "duration_in_months": 3}), ""),
            (json!({"tier_level": 2}), "tier_level"),
            (json!({"promoter_reward_type": "tier", "tier_level": 2, "tier_reward_mode": "x"}), ""),
            (json!({"promoter_reward_type": "sale", "tier_reward_mode": "x"}), "tier_reward_mode"),
            (json!({"is_promoter_reward": false, "promoter_reward_type": "custom"}), "promoter_reward_type"),
            (json!({"is_promoter_reward": false, "promoter_reward_type": "sale"}), ""),
            (json!({"promoter_reward_type": "custom", "duration": "once"}), "duration"),
        ] {
            assert_eq!(field(document.clone(), document.clone()), expected, "{document}");
            assert_eq!(field(document.clone(), json!({"name": "another"})), "", "{document}");
        }
    }
}
