//! How an amount is shared over the tree, and how everything paid for one fact is kept within the budget.
//!
//! Leaves rounding to `cells`. A seat that is suspended keeps its place and is paid nothing; with `compress` it is gone.
//!
//! Chosen where the contract is silent: a blocked seat's rate counts as paid in `difference`, its share of a `split`
//! or of what is passed up is nobody's; missing levels of `override` and `ratio` are nobody's either; what is passed
//! up in amounts is of the weighed quantity, whatever a cap made of the amount; a rule of another kind
//! gives a parent no rate; a negative budget is 0.

use super::cuts::passes;
use super::fraction::Fraction;
use super::items::{Held, Item};
use super::portions::portions;
use super::rates::rate_of;
use super::world::{FactId, World, fraction, list, number, zone_of};
use super::worth::sum_of_terms;
use serde_json::Value;
use std::collections::BTreeMap;

/// The tiers that share this item; `None`: all of it is the direct partner's (or the customer's).
pub fn method<'w>(item: &Item<'w>) -> Option<&'w str> {
    if item.pays_customer() || !item.is_money() || item.rule["tiers"] == false || item.kind() == "rebate" {
        return None;
    }
    let method = item.plan["tiers"]["method"].as_str()?;
    let has_difference = matches!(item.kind(), "per_lot" | "per_million" | "percent" | "cpa" | "flat");
    (method != "difference" || has_difference).then_some(method)
}

/// What each seat gets, nearest the client first; a seat that is not active gets its part too, and loses it in the end.
pub fn share(world: &World, item: &Item) -> Vec<Fraction> {
    let tiers = &item.plan["tiers"];
    let percents = |key: &str| list(tiers, key).map(|percent| number(percent).unwrap().percent()).collect::<Vec<_>>();
    match method(item) {
        Some("override") => {
            let above = percents("levels").into_iter().take(item.seats.len() - 1).map(|percent| percent * item.amount);
            std::iter::once(item.amount).chain(above).collect()
        }
        Some("ratio") => {
            percents("percents").into_iter().take(item.seats.len()).map(|percent| percent * item.amount).collect()
        }
        Some("split") => {
            let mut parts = vec![Fraction::ZERO; item.seats.len()];
            for (level, percent) in percents("shares").into_iter().enumerate() {
                let seat = level.min(item.seats.len() - 1);
                parts[seat] = parts[seat] + percent * item.amount;
            }
            parts
        }
        Some("share_from_below") => shared_from_below(tiers, item),
        Some("difference") => differences(world, tiers, item),
        _ => vec![item.amount],
    }
}

fn shared_from_below(tiers: &Value, item: &Item) -> Vec<Fraction> {
    let pass_up: Vec<Fraction> = list(tiers, "pass_up").map(|percent| number(percent).unwrap().percent()).collect();
    let amounts: Vec<Fraction> = list(tiers, "pass_up_amounts").map(|amount| number(amount).unwrap()).collect();
    let mut received = item.amount;
    let mut parts = Vec::new();
    for level in 0..item.seats.len() {
        let passed = if level + 1 == item.seats.len() {
            Fraction::ZERO
        } else if amounts.is_empty() {
            received * *pass_up.get(level).or(pass_up.last()).unwrap()
        } else {
            // Nobody passes up more than came to it.
            let wanted = amounts.get(level).map_or(Fraction::ZERO, |amount| *amount * item.quantity * item.factor);
            if received.is_negative() { wanted.max(received).min(Fraction::ZERO) } else { wanted.min(received) }
        };
        parts.push(received - passed);
        received = passed;
    }
    parts
}

fn differences(world: &World, tiers: &Value, item: &Item) -> Vec<Fraction> {
    let cut = if item.uncut == Fraction::ZERO { Fraction::ONE } else { item.amount / item.uncut };
    let mut parts = vec![item.amount];
    let (mut highest, mut holder) = (item.rate, 0);
    for (level, seat) in item.seats.iter().enumerate().skip(1) {
        let Some(rate) = rate_above(world, &seat.partner, item) else {
            parts.push(Fraction::ZERO);
            continue;
        };
        if rate > highest {
            parts.push((rate - highest) * item.quantity * item.factor * cut);
            (highest, holder) = (rate, level);
        } else if rate == highest && item.seats[holder].is_active {
            let bonus = fraction(tiers, "same_rank_bonus").unwrap_or(Fraction::ZERO).percent();
            parts.push(bonus * parts[holder]);
        } else {
            parts.push(Fraction::ZERO);
        }
    }
    parts
}

/// A parent's own rate for the rule: agreed with it, or from its own plan, where that is a rule of the same kind.
fn rate_above(world: &World, partner: &str, item: &Item) -> Option<Fraction> {
    let own = &world.partners[partner];
    if let Some(agreed) = own.rates.get(item.rule_id()) {
        return Some(*agreed);
    }
    let rules = world.rules_at(&own.plan, item.at());
    let same = |rule: &Value| rule["id"] == item.rule["id"] && rule["kind"] == item.rule["kind"];
    let (plan, rule) = rules.into_iter().find(|(_, rule)| same(rule))?;
    // What its own rule is not about has no rate with it.
    if !passes(world, plan, rule, item) {
        return None;
    }
    rate_of(world, partner, plan, rule, item)
}

/// Keeps what is paid for one trade or daily row within the budget of its plan.
pub fn keep_budgets(world: &World, items: &mut [Item], held: &mut Held) {
    let mut by_fact: BTreeMap<FactId, Vec<usize>> = BTreeMap::new();
    for (index, item) in items.iter().enumerate() {
        if let Some(fact) = item.fact.as_ref().filter(|fact| world.facts[fact].is_trading())
            && item.is_money()
        {
            by_fact.entry(fact.clone()).or_default().push(index);
        }
    }
    for (id, indexes) in by_fact {
        let fact = &world.facts[&id];
        let some_plan = items[indexes[0]].plan;
        let at = fact.at(&zone_of(some_plan));
        let plan = world.version(&items[indexes[0]].plan_name, at);
        let Some(budget) = plan.get("budget") else { continue };
        let paid: Fraction = indexes.iter().map(|index| paid_for(world, &items[*index])).sum();
        let sum = sum_of_terms(world, plan, budget, "percent_of", fact, at);
        let limit = match sum {
            Ok(sum) => fraction(budget, "percent").unwrap().percent() * sum.unwrap_or(Fraction::ZERO),
            Err(reason) => {
                held.insert((id.clone(), reason));
                indexes.into_iter().for_each(|index| items[index].parts.fill(Fraction::ZERO));
                continue;
            }
        };
        let limit = limit.max(Fraction::ZERO);
        if paid <= limit {
            continue;
        }
        let is_refused = budget["on_exceed"] == "refuse";
        if is_refused {
            held.insert((id, "budget"));
        }
        let factor = if is_refused { Fraction::ZERO } else { limit / paid };
        for index in indexes {
            items[index].parts.iter_mut().for_each(|part| *part = *part * factor);
        }
    }
}

fn paid_for(world: &World, item: &Item) -> Fraction {
    if item.pays_customer() {
        return item.amount;
    }
    let paid = item.seats.iter().zip(&item.parts).filter(|(seat, _)| seat.is_active);
    let portions = portions(world, item);
    if portions.is_empty() {
        return paid.map(|(_, part)| *part).sum();
    }
    let above = item.seats.iter().zip(&item.parts).skip(1).filter(|(seat, _)| seat.is_active);
    let direct = portions.iter().filter(|(portion, _)| !portion.is_blocked).map(|(_, share)| *share * item.parts[0]);
    direct.chain(above.map(|(_, part)| *part)).sum()
}
