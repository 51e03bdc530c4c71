//! Rewards of a target (`promoter_reward_type: target`): an amount for the promoter once it has brought so many customers or so much
//! revenue in the campaign. Each schema is a step, paid at the sale that reaches it (`reaching`, `docs/plans.md`).
//!
//! Pure. Nothing public says more of a target than its name, so what could be meant in two ways is refused with its field.
//! Invariant: while a step asks the same, one at most of all standing sales of a promoter reaches it, also where several things are
//! to be reached. A step that is changed is another one: raised, it is paid again to who was paid before; lowered below what a
//! promoter has by then, it is not paid to it.

use super::schema::Schema;
use super::{Result, RewardTerms, cannot, conditions, is_set, word, wrong};
use headwater_domain::money::Currency;
use serde_json::{Value, json};

const REACHED: [&str; 2] = ["at_least", "equal_to"];

/// Refuses what would make a target be reached for some sales alone, or more than once.
pub(super) fn check(reward: &RewardTerms<'_>) -> Result<()> {
    for name in ["new_customers_only", "max_redemptions"] {
        if is_set(reward, name) {
            return cannot(name, "of a target cannot be set: it is of all sales of the promoter, and reached once");
        }
    }
    if word(reward, "duration", &["once", "forever", "repeating"])? == Some("repeating") {
        return cannot("duration", "of a target must be once or forever: it is reached once");
    }
    if reward.applies_to.is_all() {
        Ok(())
    } else {
        cannot("apply_on", "of a target must be all: it is of all sales of the promoter")
    }
}

/// At which sale a step is reached.
pub(super) fn of_schema(index: usize, schema: &Schema, currency: Currency) -> Result<Vec<Value>> {
    let at = |name: &str| format!("schemas[{index}].{name}");
    if !schema.is_flat {
        return cannot(at("flat_amount"), "of a target must be true: there is no sale that a percent would be of");
    }
    if schema.rules.is_empty() {
        return cannot(at("rules"), "of a target must say what is to be reached");
    }
    let all = conditions::of_schema(index, &schema.rules, currency)?;
    for (rule, condition) in all.iter().enumerate() {
        let at = |name: &str| at(&format!("rules[{rule}].{name}"));
        if !condition["metric"].as_str().is_some_and(|metric| metric.starts_with("partner_")) {
            let names = "promoter_campaign_customers_count or promoter_campaign_revenue";
            return cannot(at("type"), &format!("of a target must be {names}"));
        }
        if !condition["is"].as_str().is_some_and(|is| REACHED.contains(&is)) {
            return cannot(at("condition"), "of a target must be greater than or equal to: it is reached once");
        }
        if condition["value"] == "0" {
            return wrong(at("value"), "of a target must be above 0");
        }
        if condition["same_product"] == true {
            return cannot(at("filter_by"), "of a target cannot be set: it is of all sales of the promoter");
        }
        if condition["join"] == "or" {
            return cannot(at("operator"), "of a target must be and: with or it could be reached twice");
        }
    }
    // The sale that reaches one of them, once all of them are: figures only rise from sale to sale.
    let mut made = Vec::new();
    for (rule, condition) in all.iter().enumerate() {
        let mut reaching = json!({"metric": condition["metric"], "is": "reaching", "value": condition["value"]});
        if rule > 0 {
            reaching["join"] = "or".into();
        }
        made.push(reaching);
    }
    if all.len() > 1 {
        let reached = |condition: &Value| json!({"metric": condition["metric"], "is": "at_least", "value": condition["value"], "join": "and"});
        made.extend(all.iter().map(reached));
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::super::{AppliesTo, Recipient, document_with, make};
    use super::*;
    use headwater_domain::commission::lint;

    fn made(fields: &Value, schema: &Value, applies_to: AppliesTo) -> Result<Value> {
        let mut reward = json!({"name": "r", "is_promoter_reward": true, "promoter_reward_type": "target"});
        let object = reward.as_object_mut().expect("an object");
        object.extend(fields.as_object().expect("an object").clone());
        object.insert("schemas".into(), json!([schema]));
        let terms = RewardTerms { id: 7, document: object, applies_to };
        let usd = Currency::parse("USD").expect("a currency");
        let base = json!({"name": "campaign", "currency": "USD", "rules": []}).as_object().expect("an object").clone();
        let document = Value::Object(document_with(base, make(&[(terms, Recipient::Promoter)], usd)?, false)?);
        lint(&document).unwrap_or_else(|mistakes| panic!("{document}: {mistakes:?}"));
        Ok(document["rules"][0].clone())
    }

    fn rule(metric: &str, value: i64) -> Value {
        json!({"type": metric, "condition": "greater than or equal to", "value": value, "operator": "and", "filter_by": null})
    }

    fn schema(rules: &[Value]) -> Value {
        json!({"unit": "cash", "amount": 5000, "flat_amount": true, "rules": rules})
    }

    #[test]
    fn a_step_is_an_amount_at_the_sale_that_reaches_it() {
        let (customers, revenue) = ("promoter_campaign_customers_count", "promoter_campaign_revenue");
        let found = made(&json!({"duration": "once"}), &schema(&[rule(revenue, 10_000)]), AppliesTo::default());
        let expected = json!({"id": "reward:7:promoter:0", "pays": "partner", "kind": "flat", "amount": "50", "tiers": false,
            "sales": {"conditions": [{"metric": "partner_revenue", "is": "reaching", "value": "100"}]}});
        assert_eq!(found, Ok(expected));
        let both = schema(&[rule(customers, 10), rule(revenue, 10_000)]);
        let found = made(&json!({}), &both, AppliesTo::default()).expect("made");
        let expected = json!([{"metric": "partner_customers_count", "is": "reaching", "value": "10"},
            {"metric": "partner_revenue", "is": "reaching", "value": "100", "join": "or"},
            {"metric": "partner_customers_count", "is": "at_least", "value": "10", "join": "and"},
            {"metric": "partner_revenue", "is": "at_least", "value": "100", "join": "and"}]);
        assert_eq!(found["sales"]["conditions"], expected);
    }

    #[test]
    fn what_is_no_target_is_refused_by_its_field() {
        let customers = rule("promoter_campaign_customers_count", 10);
        let step = schema(std::slice::from_ref(&customers));
        let with = |name: &str, value: Value| {
            let mut rule = customers.clone();
            rule[name] = value;
            schema(&[customers.clone(), rule])
        };
        let share = json!({"unit": "cash", "amount": 5, "flat_amount": false, "rules": [customers]});
        for (fields, schema, field) in [
            (json!({"duration": "repeating", "duration_in_months": 3}), step.clone(), "duration"),
            (json!({"max_redemptions": 3}), step.clone(), "max_redemptions"),
            (json!({"new_customers_only": true}), step.clone(), "new_customers_only"),
            (json!({}), share, "schemas[0].flat_amount"),
            (json!({}), schema(&[]), "schemas[0].rules"),
            (json!({}), with("type", json!("customer_sales_count")), "schemas[0].rules[1].type"),
            (json!({}), with("condition", json!("multiple of")), "schemas[0].rules[1].condition"),
            (json!({}), with("condition", json!("less than")), "schemas[0].rules[1].condition"),
            (json!({}), with("value", json!(0)), "schemas[0].rules[1].value"),
            (json!({}), with("operator", json!("or")), "schemas[0].rules[1].operator"),
            (json!({}), with("filter_by", json!("price")), "schemas[0].rules[1].filter_by"),
        ] {
            let refused = made(&fields, &schema, AppliesTo::default()).expect_err("refused");
            assert_eq!(refused.field, field, "{fields} {schema}");
        }
        let monthly = AppliesTo { billing_period: Some("monthly".into()), products: Vec::new() };
        assert_eq!(made(&json!({}), &step, monthly).expect_err("refused").field, "apply_on");
    }
}
