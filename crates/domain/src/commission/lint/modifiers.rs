//! Reads what modifies a rule: brackets, caps, carry, eligibility.

use crate::commission::brackets::{Brackets, Metric, Mode, Network, Step};
use crate::commission::cap::{Cap, CapPer};
use crate::commission::carry::{Carry, CarryOf, CarryScope};
use crate::commission::eligibility::Eligibility;
use crate::commission::reader::{Mistakes, Object};
use crate::money::{Decimal, MICROS};

/// What was found.
pub(super) struct Modifiers {
    pub tiers: bool,
    pub brackets: Option<Brackets>,
    pub cap: Option<Cap>,
    pub carry: Option<Carry>,
    pub eligibility: Option<Eligibility>,
}

/// The modifiers of a rule of this kind.
pub(super) fn read(object: &Object<'_>, kind: &str, mistakes: &mut Mistakes) -> Modifiers {
    Modifiers {
        tiers: object.flag("tiers", mistakes).unwrap_or(true),
        brackets: read_brackets(object, kind, mistakes),
        cap: read_cap(object, mistakes),
        carry: read_carry(object, kind, mistakes),
        eligibility: read_eligibility(object, mistakes),
    }
}

fn open<'a>(rule: &Object<'a>, key: &str, mistakes: &mut Mistakes) -> Option<Object<'a>> {
    Object::open(rule.value(key)?, rule.at(key), mistakes)
}

fn read_brackets(rule: &Object<'_>, kind: &str, mistakes: &mut Mistakes) -> Option<Brackets> {
    let object = open(rule, "brackets", mistakes)?;
    if !matches!(kind, "flat" | "cpa" | "per_lot" | "per_million" | "percent" | "bonus") {
        mistakes.wrong(
            object.path.clone(),
            format!("a {kind} has no rate that steps could stand for; put them on the rule that earns it"),
        );
    }
    object.only(&["metric", "scope", "mode", "steps"], mistakes);
    object.require("metric", mistakes);
    let metric = |word: &str| match word {
        "lots" => Some(Metric::Lots),
        "base" => Some(Metric::Base),
        "ftd" => Some(Metric::Ftd),
        _ => None,
    };
    let metric = object.word("metric", "lots, base or ftd", metric, mistakes);
    if kind == "bonus" && metric == Some(Metric::Base) {
        mistakes.wrong(object.at("metric"), "a bonus is of what another rule is worth; step it by lots or ftd");
    }
    let scope = |word: &str| match word {
        "own" => Some(Network::Own),
        "network" => Some(Network::Network),
        _ => None,
    };
    let scope = object.word("scope", "own or network", scope, mistakes).unwrap_or(Network::Own);
    let mode = |word: &str| match word {
        "whole" => Some(Mode::Whole),
        "marginal" => Some(Mode::Marginal),
        "previous" => Some(Mode::Previous),
        _ => None,
    };
    let mode = object.word("mode", "whole, marginal or previous", mode, mistakes).unwrap_or(Mode::Whole);
    let steps = steps(&object, "rate", true, mistakes);
    if kind == "percent" {
        for (index, (_, rate)) in steps.iter().enumerate() {
            if !(0..=100 * MICROS).contains(&rate.0) {
                mistakes.wrong(format!("{}[{index}].rate", object.at("steps")), "must be from 0 to 100");
            }
        }
    }
    if kind == "bonus" {
        for (index, _) in steps.iter().enumerate().filter(|(_, (_, rate))| *rate < Decimal::ZERO) {
            mistakes.wrong(format!("{}[{index}].rate", object.at("steps")), "must not be below 0");
        }
    }
    let steps: Vec<Step> = steps.into_iter().map(|(from, rate)| Step { from, rate }).collect();
    if steps.is_empty() { None } else { Some(Brackets { metric: metric?, scope, mode, steps }) }
}

/// Steps rise; those of brackets start at 0.
pub(super) fn steps(
    object: &Object<'_>,
    value_key: &str,
    starts_at_zero: bool,
    mistakes: &mut Mistakes,
) -> Vec<(Decimal, Decimal)> {
    object.require("steps", mistakes);
    let mut steps = Vec::new();
    let mut before: Option<Decimal> = None;
    for (index, (path, value)) in object.list("steps", mistakes).into_iter().enumerate() {
        let Some(step) = Object::open(value, path, mistakes) else { continue };
        step.only(&["from", value_key], mistakes);
        step.require("from", mistakes);
        step.require(value_key, mistakes);
        let amount = step.decimal(value_key, mistakes);
        let Some(from) = step.decimal("from", mistakes) else { continue };
        if starts_at_zero && index == 0 && from != Decimal::ZERO {
            mistakes.wrong(step.at("from"), "the first step must start at \"0\"");
        }
        if before.is_some_and(|before| from <= before) {
            mistakes.wrong(step.at("from"), "steps must rise: put them in order, each once");
        }
        before = Some(from);
        steps.extend(amount.map(|amount| (from, amount)));
    }
    steps
}

fn read_cap(rule: &Object<'_>, mistakes: &mut Mistakes) -> Option<Cap> {
    let object = open(rule, "cap", mistakes)?;
    object.only(&["per", "amount", "percent_of_first_deposit"], mistakes);
    object.require("per", mistakes);
    let per = |word: &str| match word {
        "trade" => Some(CapPer::Trade),
        "customer" => Some(CapPer::Customer),
        "day" => Some(CapPer::Day),
        "period" => Some(CapPer::Period),
        _ => None,
    };
    let per = object.word("per", "trade, customer, day or period", per, mistakes);
    let amount = object.not_negative("amount", mistakes);
    let percent_of_first_deposit = object.not_negative("percent_of_first_deposit", mistakes);
    if object.has("percent_of_first_deposit") && per.is_some_and(|per| per != CapPer::Customer) {
        mistakes.wrong(object.at("percent_of_first_deposit"), "goes with \"per\": \"customer\" only");
    }
    if !object.has("amount") && !object.has("percent_of_first_deposit") {
        mistakes.wrong(object.at("amount"), "is missing; say how much the rule may be worth");
    }
    Some(Cap { per: per?, amount, percent_of_first_deposit })
}

fn read_carry(rule: &Object<'_>, kind: &str, mistakes: &mut Mistakes) -> Option<Carry> {
    let object = open(rule, "carry", mistakes)?;
    if kind == "rebate" {
        mistakes.wrong(object.path.clone(), "a rebate is of what is paid; carry the rule that it is of");
    }
    object.only(&["of", "scope", "max_average_periods", "quarantine"], mistakes);
    let of = |word: &str| match word {
        "base" => Some(CarryOf::Base),
        "commission" => Some(CarryOf::Commission),
        "none" => Some(CarryOf::None),
        _ => None,
    };
    let of = object.word("of", "base, commission or none", of, mistakes).unwrap_or(CarryOf::Base);
    let scope = |word: &str| match word {
        "program" => Some(CarryScope::Program),
        "partner" => Some(CarryScope::Partner),
        _ => None,
    };
    let scope = object.word("scope", "program or partner", scope, mistakes).unwrap_or(CarryScope::Program);
    let max_average_periods = object.not_negative("max_average_periods", mistakes);
    let quarantine = object.decimal("quarantine", mistakes);
    if quarantine.is_some() && of != CarryOf::Base {
        mistakes.wrong(object.at("quarantine"), "goes with \"of\": \"base\" only");
    }
    if quarantine.is_some_and(|threshold| threshold > Decimal::ZERO) {
        mistakes.wrong(object.at("quarantine"), "must not be above 0: customers below it are fenced");
    }
    Some(Carry { of, scope, max_average_periods, quarantine })
}

fn read_eligibility(rule: &Object<'_>, mistakes: &mut Mistakes) -> Option<Eligibility> {
    let object = open(rule, "eligibility", mistakes)?;
    let keys = [
        "min_duration_s",
        "min_move_points",
        "min_move_spreads",
        "exclude_zero_move",
        "exclude_negative_equity",
        "credit_threshold",
        "on_missing_detail",
    ];
    object.only(&keys, mistakes);
    let on_missing = |word: &str| match word {
        "hold" => Some(false),
        "pay" => Some(true),
        _ => None,
    };
    Some(Eligibility {
        min_duration_seconds: object.whole("min_duration_s", 0, mistakes),
        min_move_points: object.not_negative("min_move_points", mistakes),
        min_move_spreads: object.not_negative("min_move_spreads", mistakes),
        exclude_zero_move: object.flag("exclude_zero_move", mistakes).unwrap_or(false),
        exclude_negative_equity: object.flag("exclude_negative_equity", mistakes).unwrap_or(false),
        credit_threshold: object.not_negative("credit_threshold", mistakes),
        pays_without_detail: object.word("on_missing_detail", "hold or pay", on_missing, mistakes).unwrap_or(false),
    })
}
