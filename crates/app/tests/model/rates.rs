//! The rate that a partner has for an item: its own, a step of its volume, or the plan's.
//!
//! Leaves what a rate is multiplied with to `items`. A partner's own rate replaces every other rate of the rule.
//!
//! Chosen where the contract is silent: a metric counts what passes the rule's own filters, by the rule's definition
//! that holds for the item; `previous` counts the period before by that same definition.

use super::conditions::{Look, met_at};
use super::fraction::Fraction;
use super::items::{Item, Order, lots, moments};
use super::sales::is_rewarded;
use super::world::{Customer, Fact, Micros, World, fraction, list, period_of, start_of};
use super::worth::{eligibility, is_in_group, matches, matches_customer, sum_of_terms};
use headwater_domain::time::{Instant, Period};
use serde_json::Value;

/// The rate of a partner under the rule (of that partner's plan) for what the item is about.
pub fn rate_of(world: &World, partner: &str, plan: &Value, rule: &Value, item: &Item) -> Option<Fraction> {
    let id = rule["id"].as_str().unwrap();
    if let Some(own) = world.partners[partner].rates.get(id) {
        return Some(*own);
    }
    if rule.get("brackets").is_some() {
        return Some(step_rate(world, partner, plan, rule, item));
    }
    match rule["kind"].as_str().unwrap() {
        "per_lot" => listed_rate(plan, rule, &world.facts[item.fact.as_ref()?], item.customer),
        "per_million" => fraction(rule, "rate"),
        "percent" | "bonus" | "rebate" => fraction(rule, "percent"),
        "flat" | "cpa" => fraction(rule, "amount"),
        _ => Some(Fraction::ONE),
    }
}

/// Whether there is a rate for a fact at all, whatever it is.
pub fn has_rate(world: &World, partner: &str, plan: &Value, rule: &Value, fact: &Fact, customer: &Customer) -> bool {
    world.partners[partner].rates.contains_key(rule["id"].as_str().unwrap())
        || rule.get("brackets").is_some()
        || rule["kind"] != "per_lot"
        || listed_rate(plan, rule, fact, customer).is_some()
}

/// Instrument, then group, then account type, then the rule's rate; of an entry all that it names must fit.
fn listed_rate(plan: &Value, rule: &Value, fact: &Fact, customer: &Customer) -> Option<Fraction> {
    let fits = |entry: &&Value| {
        let is_of_type = entry["account_type"] == customer.document["account_type"];
        (!entry["instrument"].is_string() || entry["instrument"].as_str() == fact.text("instrument"))
            && entry["group"].as_str().is_none_or(|group| is_in_group(plan, group, fact))
            && (!entry["account_type"].is_string() || is_of_type)
    };
    let fitting: Vec<&Value> = list(rule, "rates").filter(fits).collect();
    let names = |entry: &Value, key: &str| entry[key].is_string();
    let rank = |entry: &Value| (names(entry, "instrument"), names(entry, "group"), names(entry, "account_type"));
    let highest = fitting.iter().map(|entry| rank(entry)).max();
    let best = fitting.into_iter().find(|entry| Some(rank(entry)) == highest);
    best.map_or_else(|| fraction(rule, "rate"), |entry| fraction(entry, "rate"))
}

fn step_rate(world: &World, partner: &str, plan: &Value, rule: &Value, item: &Item) -> Fraction {
    let brackets = &rule["brackets"];
    let total = |points: Vec<(Order, Fraction)>| points.into_iter().map(|(_, value)| value).sum::<Fraction>();
    let is_own_item = item.direct() == partner;
    match brackets["mode"].as_str().unwrap_or("whole") {
        "previous" => step_at(brackets, total(points(world, partner, plan, rule, period_before(plan, item.period)))),
        "marginal" if is_own_item => {
            let points = points(world, partner, plan, rule, item.period);
            let value_of = |(_, value): &(Order, Fraction)| *value;
            let is_no_part = item.is_of_person() && brackets["metric"] != "ftd";
            if let Some(trigger) = item.trigger.as_ref().filter(|_| is_no_part) {
                // What somebody did comes before what is paid for it, and is no part of it.
                let by_then = |(order, _): &&(Order, Fraction)| (order.0, &order.1) <= (item.at(), &trigger.1);
                return step_at(brackets, points.iter().filter(by_then).map(value_of).sum());
            }
            let before = points.iter().filter(|(order, _)| *order < item.order).map(value_of).sum::<Fraction>();
            let own = points.iter().filter(|(order, _)| *order == item.order).map(value_of).sum::<Fraction>();
            if own == Fraction::ZERO {
                return step_at(brackets, before);
            }
            (area(brackets, before + own) - area(brackets, before)) / own
        }
        _ => step_at(brackets, total(points(world, partner, plan, rule, item.period))),
    }
}

fn period_before(plan: &Value, period: Period) -> Period {
    period_of(plan, start_of(plan, period) - 1)
}

/// The rate of the step that a metric reaches; below 0 the first.
fn step_at(brackets: &Value, metric: Fraction) -> Fraction {
    let reached = list(brackets, "steps").filter(|step| fraction(step, "from").unwrap() <= metric).last();
    let first = list(brackets, "steps").next().unwrap();
    fraction(reached.unwrap_or(first), "rate").unwrap()
}

/// What a metric from 0 to `to` is worth when each part is at its own step.
fn area(brackets: &Value, to: Fraction) -> Fraction {
    let steps: Vec<&Value> = list(brackets, "steps").collect();
    if to.is_negative() {
        return to * fraction(steps[0], "rate").unwrap();
    }
    let mut sum = Fraction::ZERO;
    for (index, step) in steps.iter().enumerate() {
        let from = fraction(step, "from").unwrap();
        let end = steps.get(index + 1).map_or(to, |next| fraction(next, "from").unwrap().min(to));
        if from < end {
            sum = sum + (end - from) * fraction(step, "rate").unwrap();
        }
    }
    sum
}

/// What adds to the metric of a partner in a period, in the order of time.
fn points(world: &World, partner: &str, plan: &Value, rule: &Value, period: Period) -> Vec<(Order, Fraction)> {
    let is_network = rule["brackets"]["scope"] == "network";
    let metric = rule["brackets"]["metric"].as_str().unwrap();
    let counts_for = |customer: &Customer, at: Micros| {
        let seats = world.standing(customer, at).filter(|standing| standing.is_anybody);
        let seats = seats.map(|standing| standing.seats).unwrap_or_default();
        let place = seats.iter().position(|seat| seat.partner == partner);
        place.is_some_and(|place| is_network || place == 0)
    };
    let mut points = Vec::new();
    if metric == "ftd" {
        for person in world.persons() {
            let accounts = world.accounts(&person);
            // Like every metric it counts what the rule is about.
            if !matches_customer(rule, accounts[0]) {
                continue;
            }
            let at = match plan.get("qualification") {
                Some(conditions) => met_at(world, plan, &accounts, conditions),
                None => Look { world, plan, accounts: &accounts, until: None, moment: 0 }.first_deposit_at(),
            };
            if let Some(at) = at.filter(|at| period_of(plan, *at) == period && counts_for(accounts[0], *at)) {
                points.push(((at, person.clone(), "person".to_owned()), Fraction::ONE));
            }
        }
        points.sort();
        return points;
    }
    for fact in world.facts.values() {
        let Some(customer) = world.customers.get(&fact.customer) else { continue };
        for (moment, at) in moments(fact, plan) {
            if period_of(plan, at) != period || !counts_for(customer, at) || !matches(plan, rule, fact, customer) {
                continue;
            }
            let is_kept_out = metric != "lots"
                && rule.get("sales").is_some()
                && (fact.kind() != "sale" || is_rewarded(world, plan, rule, fact) != Ok(true));
            let value = if is_kept_out {
                None
            } else if metric == "lots" {
                lots(plan, rule, fact, customer, moment)
            } else if moment == "open" {
                None
            } else if rule["kind"] == "flat" && rule.get("sales").is_some() {
                Some(Fraction::ONE)
            } else {
                sum_of_terms(world, plan, rule, "of", fact, at).ok().flatten()
            };
            if let (Some(value), Ok(_)) = (value, eligibility(rule, fact)) {
                points.push(((at, fact.id.1.clone(), format!("{} {moment}", fact.id.0)), value));
            }
        }
    }
    points.sort();
    points
}

/// The day of an item in its plan's zone, for caps per day.
pub fn day_of(plan: &Value, at: Micros) -> String {
    super::world::zone_of(plan).day_of(Instant(at)).to_string()
}
