//! From rewards to the rules of a plan (`rewards-api.md` §8): an amount for a sale is `flat` on the event `SALE`, a share of
//! it `percent` of `sale`, either for the partner or for the customer, in any unit; rewards of tiers are the plan's tiers.
//! Where not every sale is rewarded, the rule is one of sales, and `conditions` says which.
//!
//! Pure. What a plan cannot say is refused with the field that says it, never left out. Invariant: what is made here lints.

mod conditions;
mod target;

pub use conditions::AppliesTo;

use headwater_domain::money::{Currency, Decimal, Unit};
use serde_json::{Map, Value, json};

/// Before the ids of rules that rewards make.
pub const RULE_PREFIX: &str = "reward:";
/// The name in documents of whatever the plan's currency is.
const CASH: &str = "cash";
const TARGET: &str = "target";
const DISCOUNT_PERCENT: &str = "discount_per";
const UNITS: [&str; 6] = [CASH, "points", "credits", "free_months", "mon_discount", DISCOUNT_PERCENT];

/// A reward that no rule can be made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inexpressible {
    /// The field at fault.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// Whether the field is understood, and only cannot be paid here.
    pub is_understood: bool,
    /// Which of several rewards it is of.
    pub position: Option<usize>,
}

/// A reward, as its document says.
#[derive(Debug, Clone)]
pub struct RewardTerms<'a> {
    /// Its number.
    pub id: i64,
    /// What its caller said.
    pub document: &'a Map<String, Value>,
    /// Which sales the campaign rewards with it.
    pub applies_to: AppliesTo,
}

/// Who gets a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// The partner.
    Promoter,
    /// The customer.
    Referral,
}

/// What a campaign's rewards make of its plan.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Made {
    /// Rules, in the order of the rewards.
    pub rules: Vec<Value>,
    /// The plan's tiers.
    pub tiers: Option<Value>,
}

type Result<T> = std::result::Result<T, Inexpressible>;

fn wrong<T>(field: impl Into<String>, message: &str) -> Result<T> {
    Err(Inexpressible { field: field.into(), message: message.into(), is_understood: false, position: None })
}

fn cannot<T>(field: impl Into<String>, message: &str) -> Result<T> {
    Err(Inexpressible { field: field.into(), message: message.into(), is_understood: true, position: None })
}

/// The rules and tiers of these rewards together.
pub fn make(rewards: &[(RewardTerms<'_>, Recipient)], currency: Currency) -> Result<Made> {
    let mut made = Made::default();
    let mut levels = Vec::new();
    for (position, (reward, recipient)) in rewards.iter().enumerate() {
        let own = make_one(reward, *recipient, currency, &mut levels);
        made.rules.extend(own.map_err(|refused| Inexpressible { position: Some(position), ..refused })?);
    }
    made.tiers = tiers(levels, &mut made.rules)?;
    Ok(made)
}

/// The rules of one reward; of a tier its level.
fn make_one(
    reward: &RewardTerms<'_>,
    recipient: Recipient,
    currency: Currency,
    levels: &mut Vec<(i64, &'static str, Decimal)>,
) -> Result<Vec<Value>> {
    let is_promoters = reward.document.get("is_promoter_reward").and_then(Value::as_bool).unwrap_or(true);
    if is_promoters != (recipient == Recipient::Promoter) {
        return cannot("reward_id", "is of the other party");
    }
    match kind_of(reward)? {
        "tier" => levels.push(tier(reward)?),
        // It makes no rule: somebody gives it.
        "custom" if reward.applies_to.is_all() => drop(given_by_hand(reward, currency)?),
        "custom" => return cannot("apply_on", "of a custom reward must be all: it is given by hand, for no sale"),
        kind => return rules_of(reward, kind == TARGET, recipient, currency),
    }
    Ok(Vec::new())
}

/// Whether a reward can be paid at all, whatever campaign it is put into.
pub fn check(reward: &RewardTerms<'_>, currency: Currency) -> Result<()> {
    match kind_of(reward)? {
        "tier" => tier(reward).map(drop),
        "custom" => given_by_hand(reward, currency).map(drop),
        kind => rules_of(reward, kind == TARGET, Recipient::Promoter, currency).map(drop),
    }
}

fn kind_of<'a>(reward: &RewardTerms<'a>) -> Result<&'a str> {
    let is_promoters = reward.document.get("is_promoter_reward").and_then(Value::as_bool).unwrap_or(true);
    match word(reward, "promoter_reward_type", &["sale", "tier", TARGET, "custom"])? {
        Some(kind) if is_promoters => Ok(kind),
        _ => Ok("sale"),
    }
}

fn word<'a>(reward: &RewardTerms<'a>, name: &str, words: &[&str]) -> Result<Option<&'a str>> {
    match reward.document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if words.contains(&text.as_str()) => Ok(Some(text)),
        Some(_) => wrong(name, &format!("must be one of {}", words.join(", "))),
    }
}

fn is_set(reward: &RewardTerms<'_>, name: &str) -> bool {
    !matches!(reward.document.get(name), None | Some(Value::Null | Value::Bool(false)))
}

/// Unit, amount, whether it is an amount rather than a share, and the conditions as they were sent.
struct Schema {
    unit: String,
    amount: Decimal,
    is_flat: bool,
    rules: Vec<Value>,
}

/// The schemas of a reward that looks at no single sale.
fn schemas_of_all_sales(reward: &RewardTerms<'_>, why: &str) -> Result<Vec<Schema>> {
    for name in ["new_customers_only", "max_redemptions"] {
        if is_set(reward, name) {
            return cannot(name, why);
        }
    }
    let schemas = schemas(reward)?;
    match schemas.iter().position(|schema| !schema.rules.is_empty()) {
        Some(index) => cannot(format!("schemas[{index}].rules"), why),
        None => Ok(schemas),
    }
}

fn schemas(reward: &RewardTerms<'_>) -> Result<Vec<Schema>> {
    let listed = reward.document.get("schemas").and_then(Value::as_array).filter(|list| !list.is_empty());
    let Some(listed) = listed else { return wrong("schemas", "must be a list of at least one schema") };
    listed.iter().enumerate().map(|(index, schema)| schema_of(index, schema)).collect()
}

fn schema_of(index: usize, schema: &Value) -> Result<Schema> {
    let at = |name: &str| format!("schemas[{index}].{name}");
    let rules = match schema.get("rules") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(rules)) => rules.clone(),
        Some(_) => return wrong(at("rules"), "must be a list"),
    };
    let unit = schema.get("unit").and_then(Value::as_str).unwrap_or_default();
    if !UNITS.contains(&unit) {
        return wrong(at("unit"), &format!("must be one of {}", UNITS.join(", ")));
    }
    let Some(is_flat) = schema.get("flat_amount").and_then(Value::as_bool) else {
        return wrong(at("flat_amount"), "must be true for an amount, or false for a percent of the sale");
    };
    if unit == DISCOUNT_PERCENT && !is_flat {
        return wrong(
            at("flat_amount"),
            "must be true for discount_per: a percent of a sale is no percent of discount",
        );
    }
    let amount = schema.get("amount").filter(|amount| amount.is_number()).map(Value::to_string);
    let amount = amount.and_then(|text| Decimal::parse(&text).ok()).filter(|amount| *amount > Decimal::ZERO);
    let Some(amount) = amount else { return wrong(at("amount"), "must be a number above 0") };
    if unit == DISCOUNT_PERCENT && !Unit::PercentDiscount.admits(amount) {
        return wrong(at("amount"), "of discount_per must be at most 100");
    }
    Ok(Schema { unit: unit.to_owned(), amount, is_flat, rules })
}

fn rules_of(reward: &RewardTerms<'_>, is_target: bool, recipient: Recipient, currency: Currency) -> Result<Vec<Value>> {
    let of_all_schemas = if is_target {
        target::check(reward)?;
        Map::new()
    } else {
        conditions::of_reward(reward)?
    };
    let mut rules = Vec::new();
    for (index, schema) in schemas(reward)?.into_iter().enumerate() {
        let pays = if recipient == Recipient::Promoter { "partner" } else { "customer" };
        let mut rule = json!({"id": rule_id(reward.id, recipient, index), "pays": pays});
        if schema.unit != CASH {
            rule["unit"] = schema.unit.clone().into();
        }
        let mut sales = of_all_schemas.clone();
        if is_target {
            // Whoever is above the promoter has targets of its own.
            rule["tiers"] = false.into();
            sales.insert("conditions".into(), target::of_schema(index, &schema, currency)?.into());
        } else if !schema.rules.is_empty() {
            sales.insert("conditions".into(), conditions::of_schema(index, &schema.rules, currency)?.into());
        }
        let is_of_sales = !sales.is_empty();
        if is_of_sales {
            rule["sales"] = sales.into();
        }
        if schema.is_flat {
            let unit =
                if schema.unit == CASH { Some(Unit::Currency(currency)) } else { Unit::parse(&schema.unit, currency) };
            let Some(amount) = unit.and_then(|unit| in_major(schema.amount, unit)) else {
                return wrong(
                    format!("schemas[{index}].amount"),
                    "must be a whole number of the unit's smallest parts",
                );
            };
            rule["kind"] = "flat".into();
            rule["amount"] = amount.to_string().into();
            if !is_of_sales {
                rule["on"] = crate::tracking::SALE.into();
                rule["once_per"] = "event".into();
            }
        } else {
            if schema.amount > Decimal(100 * headwater_domain::money::MICROS) {
                return wrong(format!("schemas[{index}].amount"), "must be at most 100 percent");
            }
            rule["kind"] = "percent".into();
            rule["percent"] = schema.amount.to_string().into();
            rule["of"] = json!(["sale"]);
        }
        rules.push(rule);
    }
    Ok(rules)
}

/// What a reward of the type `custom` gives, by unit. Nothing earns it: a commission made by hand names it.
pub fn given_by_hand(reward: &RewardTerms<'_>, currency: Currency) -> Result<Vec<(Unit, Decimal)>> {
    if kind_of(reward)? != "custom" {
        return cannot("reward_id", "must be of a custom reward: every other one is earned, not given by hand");
    }
    if word(reward, "duration", &["once", "forever", "repeating"])? == Some("repeating") {
        return cannot("duration", "repeating is of sales; a custom reward is given by hand, each time for itself");
    }
    let mut given: Vec<(Unit, Decimal)> = Vec::new();
    let schemas = schemas_of_all_sales(reward, "has no sale to be asked of, of a custom reward; leave it out")?;
    for (index, schema) in schemas.into_iter().enumerate() {
        if !schema.is_flat {
            let field = format!("schemas[{index}].flat_amount");
            return cannot(field, "of a custom reward must be true: there is no sale to take a percent of");
        }
        let unit =
            if schema.unit == CASH { Some(Unit::Currency(currency)) } else { Unit::parse(&schema.unit, currency) };
        let Some((unit, amount)) = unit.and_then(|unit| Some((unit, in_major(schema.amount, unit)?))) else {
            return wrong(format!("schemas[{index}].amount"), "must be a whole number of the unit's smallest parts");
        };
        if given.iter().any(|(other, _)| *other == unit) {
            return wrong(format!("schemas[{index}].unit"), "is that of another schema of this custom reward");
        }
        given.push((unit, amount));
    }
    Ok(given)
}

/// The rule that a commission made by hand names for a reward.
pub fn by_hand_rule(reward: i64) -> String {
    format!("{RULE_PREFIX}{reward}:custom")
}

/// Which rule a schema of a reward makes.
fn rule_id(reward: i64, recipient: Recipient, schema: usize) -> String {
    let party = if recipient == Recipient::Promoter { "promoter" } else { "referral" };
    format!("{RULE_PREFIX}{reward}:{party}:{schema}")
}

/// The reward that made a rule.
pub fn reward_of_rule(rule: &str) -> Option<i64> {
    rule.strip_prefix(RULE_PREFIX)?.split(':').next()?.parse().ok()
}

/// An amount in whole units of one that was sent in its smallest parts; `None` where it has a part of those.
fn in_major(minor: Decimal, unit: Unit) -> Option<Decimal> {
    let parts = 10_i64.pow(unit.minor_digits());
    let is_whole = minor.0 % headwater_domain::money::MICROS == 0;
    (is_whole && minor.0 % parts == 0).then_some(Decimal(minor.0 / parts))
}

/// A reward of a tier: its level from 2 on, its method and its percent.
fn tier(reward: &RewardTerms<'_>) -> Result<(i64, &'static str, Decimal)> {
    let modes = ["tier_commission_mode", "tier_override_mode", "tier_net_override_mode"];
    let method = match word(reward, "tier_reward_mode", &modes)? {
        Some("tier_commission_mode") => "ratio",
        Some("tier_override_mode") => "override",
        Some(_) => "share_from_below",
        None => return wrong("tier_reward_mode", "is required for a tier"),
    };
    let level = reward.document.get("tier_level").and_then(Value::as_i64).filter(|level| (2..=100).contains(level));
    let Some(level) = level else { return wrong("tier_level", "must be a whole number from 2 on") };
    if word(reward, "duration", &["once", "forever", "repeating"])?.is_some_and(|duration| duration != "forever") {
        return cannot("duration", "of a tier is that of the sale's reward; use forever");
    }
    if !reward.applies_to.is_all() {
        return cannot("apply_on", "of a tier must be all: it is of whatever the sale's reward pays for");
    }
    match &schemas_of_all_sales(reward, "of a tier is that of the sale's reward; leave it out")?[..] {
        [schema] if schema.unit != CASH => cannot("schemas[0].unit", "of a tier must be cash: tiers share money alone"),
        [schema] if schema.is_flat => cannot("schemas[0].flat_amount", "of a tier must be false: tiers pay percents"),
        [schema] if schema.amount > Decimal(100 * headwater_domain::money::MICROS) => {
            wrong("schemas[0].amount", "must be at most 100 percent")
        }
        [schema] => Ok((level, method, schema.amount)),
        _ => cannot("schemas", "of a tier must be one"),
    }
}

/// The plan's tiers: one method for all levels, from the nearest parent without a gap.
fn tiers(mut levels: Vec<(i64, &'static str, Decimal)>, rules: &mut [Value]) -> Result<Option<Value>> {
    levels.sort_by_key(|(level, ..)| *level);
    let Some((_, method, _)) = levels.first().copied() else { return Ok(None) };
    if levels.iter().any(|(_, other, _)| *other != method) {
        return cannot("tier_reward_mode", "must be the same for all tiers of a campaign");
    }
    if !levels.iter().zip(2..).all(|((level, ..), expected)| *level == expected) {
        return cannot("tier_level", "must be 2, 3, 4 … without a gap, each once in a campaign");
    }
    let mut percents: Vec<String> = levels.iter().map(|(_, _, percent)| percent.to_string()).collect();
    let tiers = match method {
        "override" => json!({"method": method, "levels": percents}),
        "share_from_below" => {
            // The last percent repeats; after the last tier nothing is passed up.
            percents.push("0".into());
            json!({"method": method, "pass_up": percents})
        }
        _ => {
            let is_money = |rule: &&mut Value| {
                rule["pays"] == "partner" && rule.get("unit").is_none() && rule.get("tiers").is_none()
            };
            let mut money: Vec<_> = rules.iter_mut().filter(is_money).collect();
            let [direct] = &mut money[..] else {
                return cannot("tier_reward_mode", "tier_commission_mode goes with exactly one cash reward for sales");
            };
            let Some(own) = direct["percent"].as_str().map(str::to_owned) else {
                return cannot("tier_reward_mode", "tier_commission_mode goes with a percent of the sale");
            };
            // Every level has its own percent of the whole sale.
            direct["percent"] = "100".into();
            percents.insert(0, own);
            let sum =
                percents.iter().filter_map(|text| Decimal::parse(text).ok()).map(|percent| percent.0).sum::<i64>();
            if sum > 100 * headwater_domain::money::MICROS {
                return cannot("schemas[0].amount", "makes the levels pay more than 100 percent of the sale together");
            }
            json!({"method": method, "percents": percents})
        }
    };
    Ok(Some(tiers))
}

/// The document with the rules of these rewards in the place of those that were there.
pub fn document_with(mut document: Map<String, Value>, made: Made, had_tiers: bool) -> Result<Map<String, Value>> {
    let is_own = |rule: &Value| rule["id"].as_str().is_some_and(|id| id.starts_with(RULE_PREFIX));
    let kept = document.get("rules").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut rules: Vec<Value> = kept.into_iter().filter(|rule| !is_own(rule)).collect();
    rules.extend(made.rules);
    if rules.is_empty() {
        // A plan has a rule; this one is worth nothing.
        rules.push(json!({"id": format!("{RULE_PREFIX}none"), "kind": "flat", "amount": "0", "on": "NONE"}));
    }
    document.insert("rules".into(), rules.into());
    if had_tiers {
        document.remove("tiers");
    }
    if let Some(tiers) = made.tiers {
        if document.contains_key("tiers") {
            return cannot("tier_reward_mode", "cannot be set: the plan of this campaign has tiers of its own");
        }
        document.insert("tiers".into(), tiers);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::commission::lint;

    fn usd() -> Currency {
        Currency::parse("USD").expect("a currency")
    }

    fn reward(fields: &Value) -> Map<String, Value> {
        let mut document = json!({"name": "r", "is_promoter_reward": true});
        let object = document.as_object_mut().expect("an object");
        object.extend(fields.as_object().expect("an object").clone());
        object.clone()
    }

    fn made(rewards: &[(Value, Recipient)]) -> Result<Map<String, Value>> {
        let documents: Vec<_> = rewards.iter().map(|(fields, _)| reward(fields)).collect();
        let terms: Vec<_> = (1..)
            .zip(documents.iter().zip(rewards))
            .map(|(id, (document, (_, recipient)))| {
                (RewardTerms { id, document, applies_to: AppliesTo::default() }, *recipient)
            })
            .collect();
        let base = json!({"name": "campaign", "currency": "USD", "rules": []}).as_object().expect("an object").clone();
        document_with(base, make(&terms, usd())?, false)
    }

    #[test]
    fn either_party_can_be_rewarded_in_each_unit_both_ways() {
        for unit in UNITS {
            for (recipient, is_promoters) in [(Recipient::Promoter, true), (Recipient::Referral, false)] {
                for is_flat in [true, false] {
                    let fields = json!({"is_promoter_reward": is_promoters,
                        "schemas": [{"unit": unit, "amount": 20, "flat_amount": is_flat}]});
                    let made = made(&[(fields, recipient)]);
                    if unit == DISCOUNT_PERCENT && !is_flat {
                        assert!(made.is_err(), "20 percent of 1,000.00 would be a discount of 200 percent");
                        continue;
                    }
                    let document = made.expect("made");
                    let plan = lint(&Value::Object(document.clone())).unwrap_or_else(|e| panic!("{document:?}: {e:?}"));
                    assert_eq!(plan.rules.len(), 1);
                }
            }
        }
    }

    #[test]
    fn amounts_are_sent_in_the_smallest_parts_of_their_unit() {
        for (unit, amount, expected) in
            [("cash", 1250, "12.5"), ("mon_discount", 5, "0.05"), ("points", 250, "250"), ("discount_per", 15, "15")]
        {
            let fields = json!({"schemas": [{"unit": unit, "amount": amount, "flat_amount": true}]});
            let document = made(&[(fields, Recipient::Promoter)]).expect("made");
            assert_eq!(document["rules"][0]["amount"], expected, "{unit}");
        }
    }

    #[test]
    fn tiers_become_the_three_methods() {
        let sale = json!({"schemas": [{"unit": "cash", "amount": 20, "flat_amount": false}]});
        let tier = |mode: &str, level: i64, percent: i64| {
            json!({"promoter_reward_type": "tier", "tier_reward_mode": mode, "tier_level": level,
                "schemas": [{"unit": "cash", "amount": percent, "flat_amount": false}]})
        };
        for (mode, expected, direct) in [
            ("tier_commission_mode", json!({"method": "ratio", "percents": ["20", "5", "2"]}), "100"),
            ("tier_override_mode", json!({"method": "override", "levels": ["5", "2"]}), "20"),
            ("tier_net_override_mode", json!({"method": "share_from_below", "pass_up": ["5", "2", "0"]}), "20"),
        ] {
            let all = [sale.clone(), tier(mode, 3, 2), tier(mode, 2, 5)].map(|fields| (fields, Recipient::Promoter));
            let document = made(&all).expect("made");
            assert_eq!((&document["tiers"], &document["rules"][0]["percent"]), (&expected, &direct.into()), "{mode}");
            lint(&Value::Object(document)).expect("lints");
        }
    }

    #[test]
    fn what_a_plan_cannot_say_is_refused_by_its_field() {
        let schema = json!([{"unit": "points", "amount": 5, "flat_amount": true}]);
        let tier = json!({"promoter_reward_type": "tier", "tier_level": 2, "tier_reward_mode": "tier_override_mode",
            "schemas": [{"unit": "cash", "amount": 5, "flat_amount": false}]});
        let changed = |name: &str, value: Value| {
            let mut tier = tier.clone();
            tier[name] = value;
            tier
        };
        for (fields, field) in [
            (changed("max_redemptions", 3.into()), "max_redemptions"),
            (changed("new_customers_only", true.into()), "new_customers_only"),
            (changed("duration", "once".into()), "duration"),
            (json!({"schemas": schema, "duration": "repeating"}), "duration_in_months"),
            (json!({"schemas": schema, "duration": "repeating", "duration_in_months": 0}), "duration_in_months"),
            (json!({"schemas": schema, "max_redemptions": 0}), "max_redemptions"),
            (json!({"schemas": schema, "new_customers_only": "yes"}), "new_customers_only"),
            (json!({"schemas": schema, "promoter_reward_type": "target"}), "schemas[0].rules"),
            (
                json!({"schemas": schema, "promoter_reward_type": "tier", "tier_level": 2, "tier_reward_mode": "tier_override_mode"}),
                "schemas[0].unit",
            ),
            (json!({"schemas": []}), "schemas"),
            (json!({"schemas": [{"unit": "gold", "amount": 5, "flat_amount": true}]}), "schemas[0].unit"),
            (json!({"schemas": [{"unit": "points", "amount": 0, "flat_amount": true}]}), "schemas[0].amount"),
            (json!({"schemas": schema, "is_promoter_reward": false}), "reward_id"),
        ] {
            let refused = made(&[(fields.clone(), Recipient::Promoter)]).expect_err("refused");
            assert_eq!(refused.field, field, "{fields}");
        }
    }

    #[test]
    fn rules_that_rewards_did_not_make_stay() {
        let own = json!({"id": "lots", "kind": "per_lot", "rate": "5"});
        let base = json!({"name": "campaign", "currency": "USD", "rules": [own, {"id": "reward:9:promoter:0", "kind": "flat"}]});
        let base = base.as_object().expect("an object").clone();
        let document = document_with(base, Made::default(), false).expect("made");
        assert_eq!(document["rules"], json!([own]));
        assert_eq!(reward_of_rule("reward:9:promoter:0"), Some(9));
        assert_eq!(reward_of_rule("lots"), None);
    }
}
