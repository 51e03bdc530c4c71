//! Reads `qualification`, `qualify`, and what a condition on a partner asks of each customer.

use crate::commission::condition::{Conditions, PartnerCondition, Within, WithinFrom};
use crate::commission::reader::{Mistakes, Object};

const CONDITION_KEYS: [&str; 12] = [
    "min_first_deposit",
    "min_net_deposit",
    "min_deposits",
    "min_lots",
    "min_spread_cost",
    "min_trades",
    "kyc",
    "countries",
    "account_types",
    "within_days",
    "from",
    "partner",
];

pub(super) fn read(parent: &Object<'_>, key: &str, mistakes: &mut Mistakes) -> Option<Conditions> {
    let object = Object::open(parent.value(key)?, parent.at(key), mistakes)?;
    object.only(&CONDITION_KEYS, mistakes);
    let partner = read_partner(&object, mistakes);
    let from = |word: &str| match word {
        "registration" => Some(WithinFrom::Registration),
        "first_deposit" => Some(WithinFrom::FirstDeposit),
        _ => None,
    };
    let from = object.word("from", "registration or first_deposit", from, mistakes);
    let days = object.whole("within_days", 1, mistakes);
    if from.is_some() && !object.has("within_days") {
        mistakes.wrong(object.at("from"), "says nothing without `within_days`; add it or leave `from` out");
    }
    let approved = |word: &str| (word == "approved").then_some(true);
    let conditions = Conditions {
        min_first_deposit: object.decimal("min_first_deposit", mistakes),
        min_net_deposit: object.decimal("min_net_deposit", mistakes),
        min_deposits: object.whole("min_deposits", 0, mistakes),
        min_lots: object.decimal("min_lots", mistakes),
        min_spread_cost: object.decimal("min_spread_cost", mistakes),
        min_trades: object.whole("min_trades", 0, mistakes),
        kyc_approved: object.word("kyc", "approved", approved, mistakes).unwrap_or(false),
        countries: object.texts("countries", mistakes),
        account_types: object.texts("account_types", mistakes),
        partner: partner.map(Box::new),
        within: days.map(|days| Within { days, from: from.unwrap_or(WithinFrom::Registration) }),
    };
    let asks_where = object.has("countries") || object.has("account_types");
    if conditions.ask_for_nothing() && !object.has("partner") && !asks_where {
        let needed = "min_first_deposit, min_net_deposit, min_deposits, min_lots, min_spread_cost, min_trades, kyc, \
                      countries or account_types";
        mistakes.wrong(object.path.clone(), format!("asks nothing of the customer; add {needed}"));
    }
    Some(conditions)
}

fn read_partner(conditions: &Object<'_>, mistakes: &mut Mistakes) -> Option<PartnerCondition> {
    let object = Object::open(conditions.value("partner")?, conditions.at("partner"), mistakes)?;
    object.only(&["min_active_customers", "countries", "each"], mistakes);
    object.require("min_active_customers", mistakes);
    let min_active_customers = object.whole("min_active_customers", 1, mistakes);
    let countries = object.texts("countries", mistakes);
    let each = read(&object, "each", mistakes);
    if let Some(Some(_)) = each.as_ref().map(|each| &each.partner) {
        mistakes.wrong(format!("{}.partner", object.at("each")), "is for the partner alone; leave it out here");
    }
    Some(PartnerCondition { min_active_customers: min_active_customers?, countries, each: each.unwrap_or_default() })
}
