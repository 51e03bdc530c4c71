//! What cuts the direct amount before it is shared: caps, carry; and bonuses, which are of the amount after the cut.
//!
//! Leaves rates to `rates`, sharing and the budget to `tiers`. Cuts go in the order of time, never of arrival.
//!
//! Chosen where the contract is silent: a running total is cut as a whole, so that a negative item first takes back
//! what was cut off, and a later version's lower cap takes nothing back; without a first deposit a percent of it is 0; a carried period stands where its last item stood;
//! the mean for `max_average_periods` is of the values of the period itself, before what was carried into it.

use super::conditions::Look;
use super::fraction::Fraction;
use super::items::{Held, Item, scope_of};
use super::rates::{day_of, rate_of};
use super::world::{World, fraction};
use super::worth::{eligibility, matches, matches_customer};
use headwater_domain::time::Period;
use serde_json::Value;
use std::collections::BTreeMap;

/// Gives every item its rate and its amount; what has no rate is held.
pub fn price(world: &World, items: &mut Vec<Item>, held: &mut Held) {
    let rates: Vec<Option<Fraction>> =
        items.iter().map(|item| rate_of(world, item.direct(), item.plan, item.rule, item)).collect();
    let mut rates = rates.into_iter();
    items.retain_mut(|item| {
        let Some(rate) = rates.next().unwrap() else {
            held.insert((item.fact.clone().unwrap(), "no_rate"));
            return false;
        };
        item.rate = rate;
        item.uncut = item.quantity * rate * item.factor;
        item.amount = item.uncut;
        true
    });
}

/// Cuts running totals at the cap of each rule before any carry; items come in the order of time.
pub fn cap(world: &World, items: &mut [Item]) {
    cap_some(world, items, &|rule| !is_capped_after_carry(rule));
}

/// The cap of a carried period is on what the carry left of it.
fn is_capped_after_carry(rule: &Value) -> bool {
    rule.get("carry").is_some() && rule["cap"]["per"] == "period"
}

fn cap_some(world: &World, items: &mut [Item], is_meant: &dyn Fn(&Value) -> bool) {
    let mut running: BTreeMap<(String, String, String), (Fraction, Fraction)> = BTreeMap::new();
    for item in items {
        let Some(cap) = item.rule.get("cap").filter(|_| is_meant(item.rule)) else { continue };
        let over = match cap["per"].as_str().unwrap() {
            "trade" => item.fact.as_ref().map_or_else(|| item.scope.clone(), |fact| format!("{fact:?}")),
            "customer" => item.customer.name.clone(),
            "day" => day_of(item.plan, item.at()),
            _ => item.period.to_string(),
        };
        let of_deposit = fraction(cap, "percent_of_first_deposit").map(|percent| {
            let accounts = [item.customer];
            let look = Look { world, plan: item.plan, accounts: &accounts, until: None, moment: 0 };
            percent.percent() * look.first_deposit(None).unwrap_or(Fraction::ZERO)
        });
        let limit = [fraction(cap, "amount"), of_deposit].into_iter().flatten().min().unwrap();
        // Over a trade and over a customer's whole life, whoever is paid for it; else over the partner's rule.
        let is_of_partner = matches!(cap["per"].as_str().unwrap(), "day" | "period");
        let partner = if is_of_partner { item.direct().to_owned() } else { String::new() };
        let key = (partner, item.rule_id().to_owned(), over);
        let (total, paid) = running.entry(key).or_insert((Fraction::ZERO, Fraction::ZERO));
        *total = *total + item.uncut;
        let paid_now = (*total).min(limit.max(*paid));
        item.amount = paid_now - *paid;
        *paid = paid_now;
    }
}

/// Cuts the items of rules with `carry` to what their closed periods are worth; open periods are worth nothing yet.
pub fn carry<'w>(world: &World, items: Vec<Item<'w>>) -> Vec<Item<'w>> {
    let (carrying, mut others): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.rule.get("carry").is_some());
    let mut chains: BTreeMap<(String, String, String), Vec<Item>> = BTreeMap::new();
    for item in carrying {
        let key = (item.direct().to_owned(), item.plan_name.clone(), item.rule_id().to_owned());
        chains.entry(key).or_default().push(item);
    }
    for chain in chains.into_values() {
        others.extend(carry_chain(world, &chain));
    }
    others.sort_by(|a, b| a.order.cmp(&b.order));
    cap_some(world, &mut others, &is_capped_after_carry);
    others
}

/// What a chain of periods remembers.
struct Memory {
    deficit: Fraction,
    /// How many means of the positive values are carried at most, by the rule of the last period with facts.
    means_max: Option<Fraction>,
    fences: BTreeMap<String, Fraction>,
    positive_values: Vec<Fraction>,
}

impl Memory {
    /// Whatever a period leaves is carried up to the limit of the values before it, also where nothing happened.
    fn limit(&mut self) {
        let Some(times) = self.means_max.filter(|_| !self.positive_values.is_empty()) else { return };
        let count = Fraction::whole(self.positive_values.len() as i128);
        let mean = self.positive_values.iter().copied().sum::<Fraction>() / count;
        self.deficit = self.deficit.max(-(times * mean));
    }
}

fn carry_chain<'w>(world: &World, chain: &[Item<'w>]) -> Vec<Item<'w>> {
    let mut memory =
        Memory { deficit: Fraction::ZERO, means_max: None, fences: BTreeMap::new(), positive_values: Vec::new() };
    let mut period = chain.iter().map(|item| item.period).min().unwrap();
    let last: Period = chain.iter().map(|item| item.period).max().unwrap();
    let mut carried = Vec::new();
    while period <= last && world.is_closed(period) {
        let items: Vec<&Item> = chain.iter().filter(|item| item.period == period).collect();
        carried.extend(close(&mut memory, &items));
        period = period.next();
    }
    carried
}

/// Each item with its part of what the period is worth: who is paid for it, and whether, was decided at its own date.
fn close<'w>(memory: &mut Memory, items: &[&Item<'w>]) -> Vec<Item<'w>> {
    let Some(last) = items.last() else {
        memory.limit();
        return Vec::new();
    };
    let rules = &last.rule["carry"];
    let weight = fraction(last.rule, "weight").unwrap_or(Fraction::ONE);
    let of = rules["of"].as_str().unwrap_or("base");
    let mut outside = BTreeMap::new();
    let value: Fraction = match of {
        "base" => counted_base(memory, items, rules, weight, &mut outside),
        _ => items.iter().map(|item| item.amount).sum(),
    };
    let left = if of == "none" { value } else { value + memory.deficit };
    let worth = left.max(Fraction::ZERO);
    memory.deficit = left.min(Fraction::ZERO);
    memory.means_max = fraction(rules, "max_average_periods");
    memory.limit();
    if value > Fraction::ZERO {
        memory.positive_values.push(value);
    }
    let paid = if value == Fraction::ZERO { Fraction::ZERO } else { worth / value };
    let part = |item: &&Item<'w>| {
        let share = outside.get(&item.customer.name).copied().unwrap_or(Fraction::ONE) * paid;
        let mut item = (*item).clone();
        item.fact = None;
        item.base = item.base * share;
        item.quantity = item.quantity * share;
        item.uncut = item.uncut * share;
        item.amount = item.amount * share;
        if is_capped_after_carry(item.rule) {
            item.uncut = item.amount;
        }
        item
    };
    items.iter().map(part).collect()
}

/// The base of the period without what is fenced: a customer far below zero pays off its own deficit alone. Says how much
/// of each such customer's base is outside its fence.
fn counted_base(
    memory: &mut Memory,
    items: &[&Item],
    rules: &Value,
    weight: Fraction,
    outside: &mut BTreeMap<String, Fraction>,
) -> Fraction {
    let mut by_customer: BTreeMap<String, Fraction> = BTreeMap::new();
    for item in items {
        let left = if item.uncut == Fraction::ZERO { Fraction::ONE } else { item.amount / item.uncut };
        let base = item.base * item.factor / weight * left;
        let sum = by_customer.entry(item.customer.name.clone()).or_insert(Fraction::ZERO);
        *sum = *sum + base;
    }
    let Some(threshold) = fraction(rules, "quarantine") else { return by_customer.into_values().sum() };
    let mut counted = Fraction::ZERO;
    for (customer, base) in by_customer {
        let fence = memory.fences.remove(&customer);
        let counts = match fence {
            Some(fence) if (fence + base).is_negative() => Err(fence + base),
            Some(fence) => Ok(fence + base),
            None if base < threshold => Err(base),
            None => Ok(base),
        };
        let counts = counts.unwrap_or_else(|fenced| {
            memory.fences.insert(customer.clone(), fenced);
            Fraction::ZERO
        });
        counted = counted + counts;
        if base != Fraction::ZERO {
            outside.insert(customer, counts / base);
        }
    }
    counted
}

/// The bonuses of these items, and the bonuses of those.
pub fn bonuses<'w>(world: &'w World, items: &[Item<'w>], held: &mut Held) -> Vec<Item<'w>> {
    let mut all = Vec::new();
    let mut sources = items.to_vec();
    while !sources.is_empty() {
        let mut next = Vec::new();
        for source in &sources {
            for (plan, rule) in world.rules_at(&source.plan_name, source.at()) {
                if rule["kind"] == "bonus" && rule["of_rule"] == source.rule["id"] && passes(world, plan, rule, source)
                {
                    match source
                        .trigger
                        .as_ref()
                        .map_or(Ok(Fraction::ONE), |fact| eligibility(rule, &world.facts[fact]))
                    {
                        Ok(credit) => next.push(bonus_of(world, source, plan, rule, credit)),
                        Err(reason) => drop(held.insert((source.trigger.clone().unwrap(), reason))),
                    }
                }
            }
        }
        cap(world, &mut next);
        all.extend(next.iter().cloned());
        sources = next;
    }
    all
}

/// Whether what the item is about passes the filters of a rule that is of another rule.
pub fn passes(world: &World, plan: &Value, rule: &Value, item: &Item) -> bool {
    // What was carried is still of its fact; an acquisition is of a person.
    let carried = item.trigger.as_ref().filter(|_| !item.is_of_person());
    match item.fact.as_ref().or(carried) {
        Some(fact) => matches(plan, rule, &world.facts[fact], item.customer),
        None => matches_customer(rule, item.customer),
    }
}

fn bonus_of<'w>(world: &World, source: &Item<'w>, plan: &'w Value, rule: &'w Value, credit: Fraction) -> Item<'w> {
    let mut bonus = source.clone();
    bonus.plan = plan;
    bonus.rule = rule;
    bonus.base = source.amount;
    bonus.quantity = source.amount.percent();
    bonus.factor = fraction(rule, "weight").unwrap_or(Fraction::ONE) * credit;
    bonus.scope = scope_of(plan, rule, bonus.scope, bonus.period);
    bonus.rate = rate_of(world, source.direct(), plan, rule, &bonus).unwrap();
    bonus.uncut = bonus.quantity * bonus.rate * bonus.factor;
    bonus.amount = bonus.uncut;
    bonus
}
