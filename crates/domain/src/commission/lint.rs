//! Makes a [`Plan`] of a document, or says everything that is wrong with it, with paths and what to change.
//!
//! Parse, don't validate: whatever is linted clean can be priced. One file for each part of a document.

mod conditions;
mod modifiers;
mod rules;
mod sales;
mod tiers;

use super::condition::Conditions;
use super::plan::{OnSuspended, Plan};
pub use super::reader::LintError;
use super::reader::{Mistakes, Object};
use crate::money::Currency;
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
    let qualification = conditions::read(object, "qualification", mistakes);
    let on_suspended = |word: &str| match word {
        "block" => Some(OnSuspended::Block),
        "compress" => Some(OnSuspended::Compress),
        "house" => Some(OnSuspended::House),
        _ => None,
    };
    let on_suspended = object.word("on_suspended", "block, compress or house", on_suspended, mistakes);
    let budget = tiers::budget(object, mistakes);
    let tiers = tiers::read(object, mistakes);
    let context = Context { currency, groups: &groups, qualification: qualification.as_ref() };
    let rules = rules::read(object, &context, mistakes);
    if let Some(tiers) = &tiers {
        tiers::fits(tiers, &rules, object, mistakes);
    }
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
        on_suspended: on_suspended.unwrap_or(OnSuspended::Block),
        budget,
        tiers,
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
