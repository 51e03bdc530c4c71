//! Makes a [`Plan`] of a document, or says everything that is wrong with it, with paths and what to change.
//!
//! Parse, don't validate: whatever is linted clean can be priced. What comes with later versions is in `later`.

use super::condition::{Conditions, Within, WithinFrom};
use super::cpa::Cpa;
use super::flat::Flat;
use super::later;
use super::per_lot::{LotFactor, PerLot, Rate, Side};
use super::plan::{Kind, OncePer, Pays, Plan, Rule, When};
pub use super::reader::LintError;
use super::reader::{Mistakes, Object, join};
use crate::money::{Currency, Decimal, MICROS, Unit};
use crate::time::{PeriodLength, Zone};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const PLAN_KEYS: [&str; 15] = [
    "name",
    "currency",
    "period",
    "time_zone",
    "hold_days",
    "auto_approve",
    "ftd_window_hours",
    "groups",
    "qualification",
    "on_suspended",
    "budget",
    "clawback",
    "max_rate_age_days",
    "rules",
    "tiers",
];
const RULE_KEYS: [&str; 11] =
    ["id", "kind", "when", "pays", "unit", "cap", "brackets", "carry", "eligibility", "tiers", "weight"];
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

/// The plan that the document says.
///
/// # Errors
/// Every mistake; the first in document order leads.
pub fn lint(document: &Value) -> Result<Plan, Vec<LintError>> {
    let mut mistakes = Mistakes::default();
    let plan = Object::open(document, "", &mut mistakes).and_then(|object| read_plan(&object, &mut mistakes));
    let mistakes = mistakes.in_document_order(document);
    match plan {
        Some(plan) if mistakes.is_empty() => Ok(plan),
        _ => Err(mistakes),
    }
}

fn read_plan(object: &Object<'_>, mistakes: &mut Mistakes) -> Option<Plan> {
    object.only(&PLAN_KEYS, mistakes);
    for key in ["name", "currency", "rules"] {
        object.require(key, mistakes);
    }
    let name = object.text("name", mistakes);
    let currency = object.word("currency", "an ISO 4217 currency", Currency::parse, mistakes);
    let period = object.word("period", "day, week or month", PeriodLength::parse, mistakes);
    let zone = object.word("time_zone", "an IANA time zone or NY+7", Zone::parse, mistakes);
    let hold_days = object.whole("hold_days", 0, mistakes);
    let ftd_window_hours = object.whole("ftd_window_hours", 0, mistakes);
    let max_rate_age_days = object.whole("max_rate_age_days", 0, mistakes);
    let auto_approve = object.flag("auto_approve", mistakes);
    let clawback = object.flag("clawback", mistakes);
    let groups = read_groups(object, mistakes);
    let qualification = read_conditions(object, "qualification", mistakes);
    later::plan_keys(object, mistakes);
    later::tiers(object, mistakes);
    let context = Context { currency, groups: &groups, qualification: qualification.as_ref() };
    let rules = read_rules(object, &context, mistakes);
    Some(Plan {
        name: name?.to_owned(),
        currency: currency?,
        period: period.unwrap_or(PeriodLength::Month),
        zone: zone.or_else(|| Zone::parse("UTC"))?,
        hold_days: hold_days.unwrap_or(0),
        auto_approve: auto_approve.unwrap_or(true),
        ftd_window_hours: ftd_window_hours.unwrap_or(0),
        clawback: clawback.unwrap_or(true),
        max_rate_age_days: max_rate_age_days.unwrap_or(7),
        qualification,
        groups,
        rules,
    })
}

type Groups = BTreeMap<String, BTreeSet<String>>;

/// What the rules may refer to.
struct Context<'a> {
    currency: Option<Currency>,
    groups: &'a Groups,
    qualification: Option<&'a Conditions>,
}

fn read_groups(plan: &Object<'_>, mistakes: &mut Mistakes) -> Groups {
    let Some(value) = plan.value("groups") else { return Groups::new() };
    let Some(object) = Object::open(value, plan.at("groups"), mistakes) else { return Groups::new() };
    object.entries().map(|(name, _)| (name.clone(), object.texts(name, mistakes).into_iter().collect())).collect()
}

fn read_conditions(parent: &Object<'_>, key: &str, mistakes: &mut Mistakes) -> Option<Conditions> {
    let object = Object::open(parent.value(key)?, parent.at(key), mistakes)?;
    object.only(&CONDITION_KEYS, mistakes);
    if object.has("partner") {
        let remedy = "leave it out and judge the customer alone";
        mistakes.later(object.at("partner"), "a condition on the partner", remedy);
    }
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
        within: days.map(|days| Within { days, from: from.unwrap_or(WithinFrom::Registration) }),
    };
    if conditions.ask_for_nothing() && !object.has("partner") {
        let needed = "min_first_deposit, min_net_deposit, min_deposits, min_lots, min_spread_cost, min_trades or kyc";
        mistakes.wrong(object.path.clone(), format!("asks nothing of the customer; add {needed}"));
    }
    Some(conditions)
}

fn read_rules(plan: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> Vec<Rule> {
    let entries = plan.list("rules", mistakes);
    let ids: Vec<&str> = entries.iter().filter_map(|(_, value)| value.get("id")?.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut rules = Vec::new();
    for (path, value) in &entries {
        let Some(object) = Object::open(value, path.as_str(), mistakes) else { continue };
        object.require("id", mistakes);
        if let Some(id) = object.text("id", mistakes)
            && !seen.insert(id)
        {
            mistakes.wrong(object.at("id"), format!("{id} is the id of a rule above; give this one its own"));
        }
        rules.extend(read_rule(&object, context, &ids, mistakes));
    }
    rules
}

fn read_rule(object: &Object<'_>, context: &Context<'_>, ids: &[&str], mistakes: &mut Mistakes) -> Option<Rule> {
    object.require("kind", mistakes);
    let kind_name = object.text("kind", mistakes)?;
    let own_keys: &[&str] = match kind_name {
        "flat" => &["amount", "on", "once_per"],
        "cpa" => &["amount", "qualify", "once_per"],
        "per_lot" => &["rate", "rates", "side", "lot_factor"],
        other => {
            let Some(keys) = later::kind_keys(other) else {
                mistakes.wrong(object.at("kind"), "is not a rule kind; this version has flat, cpa and per_lot");
                return None;
            };
            keys
        }
    };
    object.only(&[&RULE_KEYS[..], own_keys].concat(), mistakes);
    later::modifiers(object, mistakes);
    let pays = |word: &str| match word {
        "partner" => Some(Pays::Partner),
        "customer" => Some(Pays::Customer),
        _ => None,
    };
    let pays = object.word("pays", "partner or customer", pays, mistakes).unwrap_or(Pays::Partner);
    let unit = read_unit(object, context, mistakes);
    let weight = object.decimal("weight", mistakes).unwrap_or(Decimal(MICROS));
    let when = read_when(object, context, mistakes);
    let kind = match kind_name {
        "flat" => read_flat(object, mistakes).map(Kind::Flat),
        "cpa" => read_cpa(object, context, mistakes).map(Kind::Cpa),
        "per_lot" => Some(Kind::PerLot(read_per_lot(object, context, mistakes))),
        other => {
            later::rule(other, object, ids, mistakes);
            None
        }
    };
    let kind = kind?;
    if let Some(why) = never_matches(&kind, &when, context) {
        mistakes.wrong(object.at("when"), why);
    }
    Some(Rule { id: object.value("id")?.as_str()?.to_owned(), when, pays, unit: unit?, weight, kind })
}

fn read_unit(object: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> Option<Unit> {
    let currency = context.currency?;
    let parse = |word: &str| {
        let unit = Unit::parse(word, currency)?;
        (!unit.is_money() || unit == Unit::Currency(currency)).then_some(unit)
    };
    if object.has("unit") {
        let words = format!("{currency}, points, credits, free_months, mon_discount or discount_per");
        return object.word("unit", &words, parse, mistakes);
    }
    Some(Unit::Currency(currency))
}

fn read_when(rule: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> When {
    let Some(value) = rule.value("when") else { return When::default() };
    let Some(object) = Object::open(value, rule.at("when"), mistakes) else { return When::default() };
    let keys = ["country", "account_type", "instrument", "group", "product_group", "event", "campaign", "link"];
    object.only(&keys, mistakes);
    let when = When {
        country: object.texts("country", mistakes),
        account_type: object.texts("account_type", mistakes),
        instrument: object.texts("instrument", mistakes),
        group: object.texts("group", mistakes),
        product_group: object.texts("product_group", mistakes),
        event: object.texts("event", mistakes),
        campaign: object.texts("campaign", mistakes),
        link: object.texts("link", mistakes),
    };
    for (index, group) in when.group.iter().enumerate() {
        known_group(group, &format!("{}[{index}]", object.at("group")), context, mistakes);
    }
    when
}

/// Why filters that exclude each other, or the kind, let no fact through.
fn never_matches(kind: &Kind, when: &When, context: &Context<'_>) -> Option<&'static str> {
    let is_about_trading = !(when.instrument.is_empty() && when.group.is_empty() && when.product_group.is_empty());
    match kind {
        Kind::Flat(_) if is_about_trading => Some("events have no instrument; leave instrument and group filters out"),
        Kind::Flat(flat) if !when.admits_event(&flat.on) => {
            Some("`event` excludes what the rule is `on`; leave the filter out")
        }
        Kind::Cpa(_) if is_about_trading || !when.event.is_empty() => {
            Some("a cpa is about a person, not a fact; filter by country, account_type, campaign or link")
        }
        Kind::PerLot(_) if !when.event.is_empty() => Some("lots are not events; leave the event filter out"),
        Kind::PerLot(_) if !when.instrument.is_empty() && !when.group.is_empty() => {
            let in_groups = |instrument: &String| {
                when.group.iter().any(|group| context.groups.get(group).is_some_and(|g| g.contains(instrument)))
            };
            let none = !when.instrument.iter().any(in_groups);
            none.then_some("no instrument of `instrument` is in a group of `group`; leave one of the two out")
        }
        _ => None,
    }
}

fn read_once_per(object: &Object<'_>, words: &str, event: bool, mistakes: &mut Mistakes) -> OncePer {
    let parse = |word: &str| match word {
        "event" if event => Some(OncePer::Event),
        "customer" => Some(OncePer::Customer),
        "person" => Some(OncePer::Person),
        _ => None,
    };
    object.word("once_per", words, parse, mistakes).unwrap_or(OncePer::Person)
}

fn read_flat(object: &Object<'_>, mistakes: &mut Mistakes) -> Option<Flat> {
    object.require("amount", mistakes);
    object.require("on", mistakes);
    let once_per = read_once_per(object, "event, customer or person", true, mistakes);
    let (amount, on) = (object.decimal("amount", mistakes), object.text("on", mistakes));
    Some(Flat { amount: amount?, on: on?.to_owned(), once_per })
}

fn read_cpa(object: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> Option<Cpa> {
    object.require("amount", mistakes);
    let once_per = read_once_per(object, "customer or person", false, mistakes);
    let amount = object.decimal("amount", mistakes);
    let own = read_conditions(object, "qualify", mistakes);
    if !object.has("qualify") && context.qualification.is_none() {
        mistakes.wrong(object.at("qualify"), "is missing, and the plan has no `qualification` to stand for it");
    }
    Some(Cpa { amount: amount?, qualify: own.or_else(|| context.qualification.cloned())?, once_per })
}

fn read_per_lot(object: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> PerLot {
    if !object.has("rate") && !object.has("rates") && !object.has("brackets") {
        mistakes.wrong(object.at("rate"), "is missing; give `rate` or `rates`");
    }
    let side = |word: &str| match word {
        "round_turn" => Some(Side::RoundTurn),
        "open" => Some(Side::Open),
        "close" => Some(Side::Close),
        "both" => Some(Side::Both),
        _ => None,
    };
    let mut rates = Vec::new();
    for (path, value) in object.list("rates", mistakes) {
        let Some(entry) = Object::open(value, path, mistakes) else { continue };
        entry.only(&["instrument", "group", "account_type", "rate"], mistakes);
        entry.require("rate", mistakes);
        let (group, account_type) = read_selector(&entry, context, mistakes);
        let instrument = entry.text("instrument", mistakes).map(str::to_owned);
        if instrument.is_none() && group.is_none() && account_type.is_none() {
            mistakes.wrong(entry.path.clone(), "name an instrument, a group or an account_type, or use `rate`");
        }
        if let Some(rate) = entry.decimal("rate", mistakes) {
            rates.push(Rate { instrument, group, account_type, rate });
        }
    }
    let mut lot_factor = Vec::new();
    for (path, value) in object.list("lot_factor", mistakes) {
        let Some(entry) = Object::open(value, path, mistakes) else { continue };
        entry.only(&["group", "account_type", "factor"], mistakes);
        entry.require("factor", mistakes);
        let (group, account_type) = read_selector(&entry, context, mistakes);
        if group.is_none() && account_type.is_none() {
            mistakes.wrong(entry.path.clone(), "name a group or an account_type");
        }
        if let Some(factor) = entry.decimal("factor", mistakes) {
            lot_factor.push(LotFactor { group, account_type, factor });
        }
    }
    PerLot {
        rate: object.decimal("rate", mistakes),
        rates,
        side: object.word("side", "round_turn, open, close or both", side, mistakes).unwrap_or(Side::RoundTurn),
        lot_factor,
    }
}

fn read_selector(
    entry: &Object<'_>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> (Option<String>, Option<String>) {
    let group = entry.text("group", mistakes);
    if let Some(group) = group {
        known_group(group, &join(&entry.path, "group"), context, mistakes);
    }
    (group.map(str::to_owned), entry.text("account_type", mistakes).map(str::to_owned))
}

fn known_group(group: &str, path: &str, context: &Context<'_>, mistakes: &mut Mistakes) {
    if !context.groups.contains_key(group) {
        mistakes.wrong(path, format!("no group is called {group}; add it to the plan's `groups`"));
    }
}
