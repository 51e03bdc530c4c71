//! Reads `sales`: which sales a rule rewards. For rules of sales alone: `flat` without an event, and `percent` of sales.

use crate::commission::percent::Source;
use crate::commission::plan::Kind;
use crate::commission::reader::{Mistakes, Object};
use crate::commission::sales::{Comparison, SaleCondition, SaleMetric, Sales};
use crate::money::{Decimal, MICROS};

/// A hundred years: what is longer is for ever.
const MONTHS_MAX: i64 = 1200;
const KEYS: [&str; 6] =
    ["product", "billing_period", "within_months", "max_redemptions", "new_customers_only", "conditions"];

/// The modifier of a rule of this kind.
pub(super) fn read(rule: &Object<'_>, kind: &Kind, mistakes: &mut Mistakes) -> Option<Sales> {
    let object = Object::open(rule.value("sales")?, rule.at("sales"), mistakes)?;
    object.only(&KEYS, mistakes);
    match kind {
        Kind::Flat(_) => {}
        Kind::Percent(percent) if percent.of.iter().all(|term| term.source == Source::Sale) => {}
        Kind::Percent(_) => {
            mistakes
                .wrong(object.path.clone(), "goes with \"of\": [\"sale\"] alone; give other terms a rule of their own");
        }
        _ => mistakes.wrong(object.path.clone(), "is for `flat`, and for `percent` of sale; leave it out"),
    }
    let is_of_network = rule.value("brackets").and_then(|brackets| brackets.get("scope")?.as_str()) == Some("network");
    if is_of_network {
        let message = "does not go with steps by a network: who is rewarded there is not asked; use \"scope\": \"own\"";
        mistakes.wrong(object.path.clone(), message);
    }
    let within_months = object.whole("within_months", 1, mistakes);
    if within_months.is_some_and(|months| months > MONTHS_MAX) {
        mistakes.wrong(object.at("within_months"), format!("must be at most {MONTHS_MAX}; leave it out for all time"));
    }
    let mut conditions = Vec::new();
    for (index, (path, value)) in object.list("conditions", mistakes).into_iter().enumerate() {
        let Some(condition) = Object::open(value, path, mistakes) else { continue };
        conditions.extend(read_condition(&condition, index, mistakes));
    }
    Some(Sales {
        product: object.texts("product", mistakes),
        billing_period: object.texts("billing_period", mistakes),
        within_months: within_months.map(|months| months.min(MONTHS_MAX)),
        max_redemptions: object.whole("max_redemptions", 1, mistakes),
        new_customers_only: object.flag("new_customers_only", mistakes).unwrap_or(false),
        conditions,
    })
}

fn read_condition(condition: &Object<'_>, index: usize, mistakes: &mut Mistakes) -> Option<SaleCondition> {
    condition.only(&["metric", "is", "value", "same_product", "join"], mistakes);
    for key in ["metric", "is", "value"] {
        condition.require(key, mistakes);
    }
    let metric = condition.word("metric", SaleMetric::NAMES, SaleMetric::parse, mistakes);
    let is = condition.word("is", Comparison::NAMES, Comparison::parse, mistakes);
    let value = condition.not_negative("value", mistakes);
    let same_product = condition.flag("same_product", mistakes).unwrap_or(false);
    let join = |word: &str| match word {
        "and" => Some(false),
        "or" => Some(true),
        _ => None,
    };
    let or_before = condition.word("join", "and or or", join, mistakes);
    if index == 0 && condition.has("join") {
        mistakes.wrong(condition.at("join"), "joins a condition to those before it; the first has none, leave it out");
    }
    let is_count = metric.is_some_and(|metric| metric != SaleMetric::PartnerRevenue);
    if is_count && value.is_some_and(|value| value.0 % MICROS != 0) {
        mistakes.wrong(condition.at("value"), "must be a whole number: a count has no parts");
    }
    if is == Some(Comparison::MultipleOf) && value == Some(Decimal::ZERO) {
        mistakes.wrong(condition.at("value"), "must be above 0: nothing is a multiple of 0");
    }
    if is == Some(Comparison::Reaching) {
        if metric.is_some_and(|metric| !metric.is_of_partner()) {
            mistakes.wrong(condition.at("is"), "reaching goes with partner_customers_count and partner_revenue alone");
        }
        if value == Some(Decimal::ZERO) {
            mistakes.wrong(condition.at("value"), "must be above 0: 0 is reached before the first sale");
        }
    }
    Some(SaleCondition { metric: metric?, is: is?, value: value?, same_product, or_before: or_before.unwrap_or(false) })
}
