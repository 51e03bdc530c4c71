//! Which sales a reward is for, as the plan's modifier `sales`: its duration, how often, whose, the rules of its schemas, and what
//! its campaign applies it to.
//!
//! Pure. A reward for every sale asks nothing. Money is compared in whole units, as plans do.

use super::schema::in_major;
use super::{Result, RewardTerms, word, wrong};
use headwater_domain::money::{Currency, Decimal, MICROS, Unit};
use serde_json::{Map, Value, json};

/// A hundred years, the most that a plan counts.
const MONTHS_MAX: i64 = 1200;
const REDEMPTIONS_MAX: i64 = 1_000_000;

const METRICS: [(&str, &str); 4] = [
    ("customer_sales_count", "customer_sales_count"),
    ("customer_age_in_months", "customer_age_in_months"),
    ("promoter_campaign_customers_count", "partner_customers_count"),
    (OF_REVENUE, "partner_revenue"),
];
const OF_REVENUE: &str = "promoter_campaign_revenue";
const COMPARISONS: [(&str, &str); 6] = [
    ("less than", "less_than"),
    ("less than or equal to", "at_most"),
    ("equal to", "equal_to"),
    ("greater than or equal to", "at_least"),
    ("greater than", "more_than"),
    ("multiple of", "multiple_of"),
];

/// Which sales a campaign rewards with one of its rewards; nothing: every sale.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppliesTo {
    /// Those that were paid for this long.
    pub billing_period: Option<String>,
    /// Those of what is named so.
    pub products: Vec<String>,
}

impl AppliesTo {
    pub(super) fn is_all(&self) -> bool {
        self.billing_period.is_none() && self.products.is_empty()
    }
}

/// What is the same for all schemas of the reward.
pub(super) fn of_reward(reward: &RewardTerms<'_>) -> Result<Map<String, Value>> {
    let mut sales = Map::new();
    if !reward.applies_to.products.is_empty() {
        sales.insert("product".into(), json!(reward.applies_to.products));
    }
    if let Some(period) = &reward.applies_to.billing_period {
        sales.insert("billing_period".into(), json!([period]));
    }
    let duration = word(reward, "duration", &["once", "forever", "repeating"])?;
    if duration == Some("repeating") {
        let Some(months) = whole(reward, "duration_in_months", MONTHS_MAX)? else {
            return wrong("duration_in_months", "is required where duration is repeating");
        };
        sales.insert("within_months".into(), months.into());
    }
    let redemptions = whole(reward, "max_redemptions", REDEMPTIONS_MAX)?;
    if let Some(most) = redemptions
        .map(|most| if duration == Some("once") { 1 } else { most })
        .or((duration == Some("once")).then_some(1))
    {
        sales.insert("max_redemptions".into(), most.into());
    }
    match reward.document.get("new_customers_only") {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(Value::Bool(true)) => drop(sales.insert("new_customers_only".into(), true.into())),
        Some(_) => return wrong("new_customers_only", "must be true or false"),
    }
    Ok(sales)
}

fn whole(reward: &RewardTerms<'_>, name: &str, most: i64) -> Result<Option<i64>> {
    match reward.document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_i64().filter(|number| (1..=most).contains(number)) {
            Some(number) => Ok(Some(number)),
            None => wrong(name, &format!("must be a whole number from 1 to {most}")),
        },
    }
}

/// The rules of a schema, joined as they stand, from left to right.
pub(super) fn of_schema(schema: usize, rules: &[Value], currency: Currency) -> Result<Vec<Value>> {
    rules.iter().enumerate().map(|(index, rule)| of_rule(schema, index, rule, currency)).collect()
}

fn of_rule(schema: usize, index: usize, rule: &Value, currency: Currency) -> Result<Value> {
    let at = |name: &str| format!("schemas[{schema}].rules[{index}].{name}");
    let named = |name: &str, words: &[(&str, &'static str)]| {
        let sent = rule.get(name).and_then(Value::as_str).unwrap_or_default();
        if let Some((_, ours)) = words.iter().find(|(word, _)| *word == sent) {
            return Ok(*ours);
        }
        let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        wrong(at(name), &format!("must be one of {}", words.join(", ")))
    };
    let (metric, is) = (named("type", &METRICS)?, named("condition", &COMPARISONS)?);
    let value = rule.get("value").filter(|value| value.is_number()).map(Value::to_string);
    let value = value.and_then(|text| Decimal::parse(&text).ok()).filter(|value| *value >= Decimal::ZERO);
    let Some(mut value) = value else { return wrong(at("value"), "must be a number from 0 on") };
    if rule["type"] == OF_REVENUE {
        let major = in_major(value, Unit::Currency(currency));
        let Some(major) = major else {
            return wrong(at("value"), "must be a whole number of the currency's smallest parts");
        };
        value = major;
    } else if value.0 % MICROS != 0 {
        return wrong(at("value"), "must be a whole number");
    }
    if is == "multiple_of" && value == Decimal::ZERO {
        return wrong(at("value"), "must be above 0: nothing is a multiple of 0");
    }
    let mut condition = json!({"metric": metric, "is": is, "value": value.to_string()});
    let joins: [(&str, &'static str); 2] = [("and", "and"), ("or", "or")];
    if rule.get("operator").is_some_and(|operator| !operator.is_null()) {
        let join = named("operator", &joins)?;
        // The first has nothing before it that it could be joined to.
        if index > 0 {
            condition["join"] = join.into();
        }
    }
    match rule.get("filter_by") {
        None | Some(Value::Null) => {}
        Some(Value::String(attribute)) if attribute == "price" => condition["same_product"] = true.into(),
        Some(_) => return wrong(at("filter_by"), "must be price, or null"),
    }
    Ok(condition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward_plan::{Recipient, document_with, make};
    use headwater_domain::commission::lint;

    fn made(fields: &Value, applies_to: AppliesTo) -> Result<Value> {
        let document = fields.as_object().expect("an object");
        let terms = RewardTerms { id: 7, document, applies_to };
        let usd = Currency::parse("USD").expect("a currency");
        let base = json!({"name": "campaign", "currency": "USD", "rules": []}).as_object().expect("an object").clone();
        let document = document_with(base, make(&[(terms, Recipient::Promoter)], usd)?, false)?;
        let document = Value::Object(document);
        lint(&document).unwrap_or_else(|mistakes| panic!("{document}: {mistakes:?}"));
        Ok(document["rules"][0].clone())
    }

    fn share(fields: &Value) -> Value {
        let mut reward = json!({"name": "r", "schemas": [{"unit": "cash", "amount": 20, "flat_amount": false}]});
        reward.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        reward
    }

    #[test]
    fn what_a_reward_asks_of_a_sale_becomes_the_modifier() {
        for (fields, sales) in [
            (json!({"duration": "forever"}), Value::Null),
            (json!({"duration": "once"}), json!({"max_redemptions": 1})),
            (json!({"duration": "once", "max_redemptions": 5}), json!({"max_redemptions": 1})),
            (json!({"max_redemptions": 5}), json!({"max_redemptions": 5})),
            (json!({"duration": "repeating", "duration_in_months": 12}), json!({"within_months": 12})),
            (json!({"new_customers_only": true}), json!({"new_customers_only": true})),
            (json!({"new_customers_only": false, "max_redemptions": null}), Value::Null),
        ] {
            let rule = made(&share(&fields), AppliesTo::default()).expect("made");
            assert_eq!(rule["sales"], sales, "{fields}");
        }
        let applies_to = AppliesTo { billing_period: Some("yearly".into()), products: vec!["pro".into()] };
        let rule = made(&share(&json!({})), applies_to).expect("made");
        assert_eq!(rule["sales"], json!({"product": ["pro"], "billing_period": ["yearly"]}));
    }

    #[test]
    fn an_amount_for_some_sales_is_of_sales_and_not_of_their_events() {
        let schema = json!([{"unit": "points", "amount": 250, "flat_amount": true}]);
        let once = json!({"name": "r", "duration": "once", "schemas": schema});
        let rule = made(&once, AppliesTo::default()).expect("made");
        assert_eq!((&rule["on"], &rule["sales"]), (&Value::Null, &json!({"max_redemptions": 1})));
        let rule = made(&json!({"name": "r", "schemas": schema}), AppliesTo::default()).expect("made");
        assert_eq!((&rule["on"], &rule["once_per"], &rule["sales"]), (&"SALE".into(), &"event".into(), &Value::Null));
    }

    fn with_rules(rules: &Value) -> Value {
        json!({"name": "r", "schemas": [{"unit": "cash", "amount": 20, "flat_amount": false, "rules": rules}]})
    }

    #[test]
    fn rules_become_conditions_word_by_word() {
        for (sent, ours) in COMPARISONS {
            let rules = json!([{"type": "customer_sales_count", "condition": sent, "value": 3, "operator": "and"}]);
            let rule = made(&with_rules(&rules), AppliesTo::default()).expect("made");
            let expected = json!([{"metric": "customer_sales_count", "is": ours, "value": "3"}]);
            assert_eq!(rule["sales"]["conditions"], expected);
        }
        for (sent, ours) in METRICS {
            let rules = json!([
                {"type": sent, "condition": "equal to", "value": 300, "operator": "or", "filter_by": null},
                {"type": sent, "condition": "equal to", "value": 300, "operator": "or", "filter_by": "price"}]);
            let rule = made(&with_rules(&rules), AppliesTo::default()).expect("made");
            let value = if sent == OF_REVENUE { "3" } else { "300" };
            let first = json!({"metric": ours, "is": "equal_to", "value": value});
            let second = json!({"metric": ours, "is": "equal_to", "value": value, "join": "or", "same_product": true});
            assert_eq!(rule["sales"]["conditions"], json!([first, second]), "{sent}");
        }
    }

    #[test]
    fn a_rule_that_says_nothing_is_refused_by_its_field() {
        let rule = json!({"type": "customer_sales_count", "condition": "equal to", "value": 3, "operator": "and"});
        for (field, value) in [
            ("type", json!("sales")),
            ("condition", json!("==")),
            ("value", json!("3")),
            ("value", json!(-1)),
            ("value", json!(2.5)),
            ("operator", json!("xor")),
            ("filter_by", json!("color")),
        ] {
            let mut rule = rule.clone();
            rule[field] = value.clone();
            let refused = made(&with_rules(&json!([rule])), AppliesTo::default()).expect_err("refused");
            assert_eq!(refused.field, format!("schemas[0].rules[0].{field}"), "{value}");
        }
    }
}
