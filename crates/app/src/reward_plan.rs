//! From rewards to the rules of a plan (`rewards-api.md` §8): an amount for a sale is `flat` on the event `SALE`, a share of
//! it `percent` of `sale`, either for the partner or for the customer, in any unit; rewards of tiers are the plan's tiers.
//! Where not every sale is rewarded, the rule is one of sales, and `conditions` says which.
//!
//! Pure. What a plan cannot say is refused with the field that says it, never left out. Invariant: what is made here lints.

mod by_hand;
mod conditions;
mod schema;
mod target;
mod tier;

pub use by_hand::{by_hand_rule, given_by_hand};
pub use conditions::AppliesTo;

use headwater_domain::money::{Currency, Decimal, MICROS};
use schema::{CASH, schemas};
use serde_json::{Map, Value, json};

/// Before the ids of rules that rewards make.
pub const RULE_PREFIX: &str = "reward:";
const TARGET: &str = "target";

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
    made.tiers = tier::together(levels, &mut made.rules)?;
    Ok(made)
}

/// The rules of one reward; of a tier its level.
fn make_one(
    reward: &RewardTerms<'_>,
    recipient: Recipient,
    currency: Currency,
    levels: &mut Vec<tier::Level>,
) -> Result<Vec<Value>> {
    let is_promoters = reward.document.get("is_promoter_reward").and_then(Value::as_bool).unwrap_or(true);
    if is_promoters != (recipient == Recipient::Promoter) {
        return cannot("reward_id", "is of the other party");
    }
    match kind_of(reward)? {
        "tier" => levels.push(tier::level(reward)?),
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
        "tier" => tier::level(reward).map(drop),
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
            let (_, amount) = schema.given(index, currency)?;
            rule["kind"] = "flat".into();
            rule["amount"] = amount.to_string().into();
            if !is_of_sales {
                rule["on"] = crate::tracking::SALE.into();
                rule["once_per"] = "event".into();
            }
        } else {
            if schema.amount > Decimal(100 * MICROS) {
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

/// Which rule a schema of a reward makes.
fn rule_id(reward: i64, recipient: Recipient, schema: usize) -> String {
    let party = if recipient == Recipient::Promoter { "promoter" } else { "referral" };
    format!("{RULE_PREFIX}{reward}:{party}:{schema}")
}

/// The reward that made a rule.
pub fn reward_of_rule(rule: &str) -> Option<i64> {
    rule.strip_prefix(RULE_PREFIX)?.split(':').next()?.parse().ok()
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
    use super::schema::{DISCOUNT_PERCENT, UNITS};
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
