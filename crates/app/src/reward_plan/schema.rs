//! The schemas of a reward: how much of which unit, as an amount or as a share of the sale, and under which conditions.
//!
//! Pure. Leaves the conditions to `conditions`. Invariant: an amount is above 0, and one that its unit admits.

use super::{Result, RewardTerms, cannot, is_set, wrong};
use headwater_domain::money::{Currency, Decimal, MICROS, Unit};
use serde_json::Value;

/// The name in documents of whatever the plan's currency is.
pub(super) const CASH: &str = "cash";
pub(super) const DISCOUNT_PERCENT: &str = "discount_per";
pub(super) const UNITS: [&str; 6] = [CASH, "points", "credits", "free_months", "mon_discount", DISCOUNT_PERCENT];

/// What one schema says.
pub(super) struct Schema {
    /// As documents name it.
    pub unit: String,
    /// In the smallest parts of the unit, or in percent of the sale.
    pub amount: Decimal,
    /// Whether it is an amount rather than a share.
    pub is_flat: bool,
    /// The conditions as they were sent.
    pub rules: Vec<Value>,
}

impl Schema {
    /// An amount in whole units, of the one that is meant in a plan of this currency.
    pub(super) fn given(&self, index: usize, currency: Currency) -> Result<(Unit, Decimal)> {
        let unit = if self.unit == CASH { Some(Unit::Currency(currency)) } else { Unit::parse(&self.unit, currency) };
        match unit.and_then(|unit| Some((unit, in_major(self.amount, unit)?))) {
            Some(given) => Ok(given),
            None => wrong(format!("schemas[{index}].amount"), "must be a whole number of the unit's smallest parts"),
        }
    }
}

/// The schemas of a reward that looks at no single sale.
pub(super) fn schemas_of_all_sales(reward: &RewardTerms<'_>, why: &str) -> Result<Vec<Schema>> {
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

/// Its schemas, at least one.
pub(super) fn schemas(reward: &RewardTerms<'_>) -> Result<Vec<Schema>> {
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

/// An amount in whole units of one that was sent in its smallest parts; `None` where it has a part of those.
pub(super) fn in_major(minor: Decimal, unit: Unit) -> Option<Decimal> {
    let parts = 10_i64.pow(unit.minor_digits());
    let is_whole = minor.0 % MICROS == 0;
    (is_whole && minor.0 % parts == 0).then_some(Decimal(minor.0 / parts))
}
