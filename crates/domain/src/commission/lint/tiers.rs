//! Reads the plan's `tiers` and `budget`, and lists of signed terms.

use crate::commission::budget::{Budget, OnExceed};
use crate::commission::percent::{Source, Term};
use crate::commission::plan::{Kind, Rule};
use crate::commission::reader::{Mistakes, Object, decimal};
use crate::commission::tiers::{PassUp, Tiers};
use crate::money::{Decimal, MICROS};

const HUNDRED: i64 = 100 * MICROS;

/// The plan's `tiers`.
pub(super) fn read(plan: &Object<'_>, mistakes: &mut Mistakes) -> Option<Tiers> {
    let object = Object::open(plan.value("tiers")?, plan.at("tiers"), mistakes)?;
    object.require("method", mistakes);
    match object.text("method", mistakes)? {
        "difference" => {
            object.only(&["method", "same_rank_bonus"], mistakes);
            Some(Tiers::Difference { same_rank_bonus: object.percent("same_rank_bonus", mistakes) })
        }
        "override" => Some(Tiers::Override { levels: percents(&object, "levels", mistakes)? }),
        "share_from_below" => Some(share_from_below(&object, mistakes)),
        "split" => {
            let shares = percents(&object, "shares", mistakes)?;
            let sum: i64 = shares.iter().map(|share| share.0).sum();
            if sum != HUNDRED {
                mistakes.wrong(object.at("shares"), format!("the shares make {}; they must make 100", Decimal(sum)));
            }
            Some(Tiers::Split { shares })
        }
        "ratio" => {
            let percents = percents(&object, "percents", mistakes)?;
            let sum: i64 = percents.iter().map(|percent| percent.0).sum();
            if sum > HUNDRED {
                let message = format!("the percents make {}; at most 100 can be paid", Decimal(sum));
                mistakes.wrong(object.at("percents"), message);
            }
            Some(Tiers::Ratio { percents })
        }
        _ => {
            mistakes.wrong(object.at("method"), "must be difference, override, share_from_below, split or ratio");
            None
        }
    }
}

fn share_from_below(object: &Object<'_>, mistakes: &mut Mistakes) -> Tiers {
    object.only(&["method", "pass_up", "pass_up_amounts"], mistakes);
    if object.has("pass_up") && object.has("pass_up_amounts") {
        mistakes.wrong(object.at("pass_up_amounts"), "and `pass_up` exclude each other; keep one");
    }
    if !object.has("pass_up_amounts") {
        object.require("pass_up", mistakes);
        let pass_up = PassUp::Percents(list_of_percents(object, "pass_up", mistakes));
        return Tiers::ShareFromBelow { pass_up };
    }
    let mut amounts = Vec::new();
    for (path, value) in object.list("pass_up_amounts", mistakes) {
        let Some(amount) = decimal(value, &path, mistakes) else { continue };
        if amount < Decimal::ZERO {
            mistakes.wrong(path, "must not be below 0");
        }
        amounts.push(amount);
    }
    Tiers::ShareFromBelow { pass_up: PassUp::Amounts(amounts) }
}

fn percents(object: &Object<'_>, key: &str, mistakes: &mut Mistakes) -> Option<Vec<Decimal>> {
    object.only(&["method", key], mistakes);
    object.require(key, mistakes);
    let list = list_of_percents(object, key, mistakes);
    if list.is_empty() { None } else { Some(list) }
}

fn list_of_percents(object: &Object<'_>, key: &str, mistakes: &mut Mistakes) -> Vec<Decimal> {
    let mut list = Vec::new();
    for (path, value) in object.list(key, mistakes) {
        let Some(percent) = decimal(value, &path, mistakes) else { continue };
        if !(0..=HUNDRED).contains(&percent.0) {
            mistakes.wrong(path, "must be from 0 to 100");
        }
        list.push(percent);
    }
    list
}

/// Amounts per unit need rules that have units.
pub(super) fn fits(tiers: &Tiers, rules: &[Rule], plan: &Object<'_>, mistakes: &mut Mistakes) {
    let Tiers::ShareFromBelow { pass_up: PassUp::Amounts(_) } = tiers else { return };
    let has_units = |rule: &&Rule| matches!(rule.kind, Kind::PerLot(_) | Kind::PerMillion(_));
    for rule in rules.iter().filter(|rule| rule.takes_tiers() && !has_units(rule)) {
        let message = format!(
            "are per lot or million, which rule {} is not of; use `pass_up`, or set `tiers` of the rule to false",
            rule.id
        );
        mistakes.wrong(format!("{}.pass_up_amounts", plan.at("tiers")), message);
    }
}

/// The plan's `budget`.
pub(super) fn budget(plan: &Object<'_>, mistakes: &mut Mistakes) -> Option<Budget> {
    let object = Object::open(plan.value("budget")?, plan.at("budget"), mistakes)?;
    object.only(&["percent_of", "percent", "on_exceed"], mistakes);
    for key in ["percent_of", "percent", "on_exceed"] {
        object.require(key, mistakes);
    }
    let on_exceed = |word: &str| match word {
        "scale" => Some(OnExceed::Scale),
        "refuse" => Some(OnExceed::Refuse),
        _ => None,
    };
    let percent_of = terms(&object, "percent_of", mistakes);
    for (index, term) in percent_of.iter().enumerate() {
        if !matches!(term.source, Source::SpreadCost | Source::Commission | Source::Swap | Source::Pnl) {
            let path = format!("{}[{index}]", object.at("percent_of"));
            mistakes.wrong(path, "must be spread_cost, commission, swap or pnl: what one trade or daily row brings");
        }
    }
    let percent = object.percent("percent", mistakes);
    let on_exceed = object.word("on_exceed", "scale or refuse", on_exceed, mistakes);
    Some(Budget { percent_of, percent: percent?, on_exceed: on_exceed? })
}

/// A list of signed terms.
pub(super) fn terms(object: &Object<'_>, key: &str, mistakes: &mut Mistakes) -> Vec<Term> {
    let mut terms = Vec::new();
    for (path, value) in object.list(key, mistakes) {
        match value.as_str().and_then(Term::parse) {
            Some(term) => terms.push(term),
            None => mistakes.wrong(
                path,
                "must be spread_cost, commission, swap, spread_points, deposit, withdrawal, sale, bonus, adjustment, \
                 ib_rebate, chargeback, pnl or kpi:NAME, with `-` before it to subtract",
            ),
        }
    }
    terms
}
