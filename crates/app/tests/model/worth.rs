//! What one fact is worth to one rule, before any rate: filters, terms, lots, eligibility, currencies.
//!
//! Leaves rates, steps and sharing to the other files. A figure that is missing is a reason to hold, never a guess.
//!
//! Chosen where the contract is silent: `spread_points` are worth `point_value` in the plan's currency; a KPI without
//! a currency is in the plan's; what is asked for points, or for millions, and does not have them cannot be evaluated,
//! while a cost that is not there is 0; a refund that does not fit is passed over and a later, smaller one may still fit.

use super::fraction::Fraction;
use super::world::{Customer, Fact, World, fraction, list};
use serde_json::Value;

/// Why a fact is held.
pub type Reason = &'static str;

/// Whether money of this status counts: `clawback: false` looks away when something is taken back.
pub fn counts(plan: &Value, fact: &Fact) -> bool {
    let keeps_everything = plan["clawback"] == false;
    match fact.text("status").unwrap_or("approved") {
        "approved" => !(keeps_everything && fact.kind() == "chargeback"),
        "reversed" => keeps_everything && fact.kind() != "chargeback",
        _ => false,
    }
}

/// Whether the plan looks away from what the fact takes back.
pub fn is_ignored(plan: &Value, fact: &Fact) -> bool {
    plan["clawback"] == false && matches!(fact.kind(), "refund" | "chargeback")
}

/// Whether the customer passes the filters that are about people.
pub fn matches_customer(rule: &Value, customer: &Customer) -> bool {
    ["country", "account_type", "campaign", "link"]
        .iter()
        .all(|key| is_listed(rule, key, customer.document[key].as_str()))
}

/// Whether the fact and its customer pass every filter.
pub fn matches(plan: &Value, rule: &Value, fact: &Fact, customer: &Customer) -> bool {
    let in_group = list(&rule["when"], "group").any(|group| is_in_group(plan, group.as_str().unwrap(), fact));
    matches_customer(rule, customer)
        && is_listed(rule, "instrument", fact.text("instrument"))
        && is_listed(rule, "product_group", fact.text("product_group"))
        && is_listed(rule, "event", fact.text("event"))
        && (rule["when"].get("group").is_none() || in_group)
}

fn is_listed(rule: &Value, key: &str, word: Option<&str>) -> bool {
    match rule["when"].get(key) {
        None => true,
        Some(_) => list(&rule["when"], key).any(|listed| listed.as_str() == word),
    }
}

pub fn is_in_group(plan: &Value, group: &str, fact: &Fact) -> bool {
    list(&plan["groups"], group).any(|instrument| instrument.as_str() == fact.text("instrument"))
}

/// The product of the factors that match.
pub fn lot_factor(plan: &Value, rule: &Value, fact: &Fact, customer: &Customer) -> Fraction {
    list(rule, "lot_factor")
        .filter(|entry| match entry["group"].as_str() {
            Some(group) => is_in_group(plan, group, fact),
            None => entry["account_type"] == customer.document["account_type"],
        })
        .map(|entry| fraction(entry, "factor").unwrap())
        .fold(Fraction::ONE, |product, factor| product * factor)
}

/// The sum of signed terms, in the plan's currency; `None` where the fact has nothing to do with any of them.
pub fn sum_of_terms(
    world: &World,
    plan: &Value,
    rule: &Value,
    terms: &str,
    fact: &Fact,
    at: i64,
) -> Result<Option<Fraction>, Reason> {
    if fact.is_open_trade() {
        return Ok(None);
    }
    let (mut foreign, mut at_home, mut is_any) = (Fraction::ZERO, Fraction::ZERO, false);
    let mut needs_exchange = false;
    let single = rule[terms].as_str().map(Value::from);
    for term in list(rule, terms).chain(single.as_ref()) {
        let term = term.as_str().unwrap();
        let (name, sign) = match term.strip_prefix('-') {
            Some(name) => (name, -Fraction::ONE),
            None => (term, Fraction::ONE),
        };
        if name == "spread_points" {
            if fact.is_trading() {
                at_home = at_home + sign * spread_points(rule, fact).ok_or("not_evaluable")?;
                is_any = true;
            }
        } else if let Some(amount) = term_amount(world, plan, fact, name) {
            foreign = foreign + sign * amount;
            needs_exchange = true;
            is_any = true;
        }
    }
    if !is_any {
        return Ok(None);
    }
    if !needs_exchange || foreign == Fraction::ZERO {
        return Ok(Some(at_home));
    }
    let home = plan["currency"].as_str().unwrap();
    let currency = fact.text("currency").unwrap_or(home);
    let rate = world.exchange_rate(plan, currency, home, at).ok_or("no_exchange_rate")?;
    Ok(Some(at_home + foreign * rate))
}

fn spread_points(rule: &Value, fact: &Fact) -> Option<Fraction> {
    if fact.kind() != "trade" {
        return None;
    }
    let points = fact.fraction("spread_points")?;
    let points = fraction(rule, "max_points").map_or(points, |most| points.min(most));
    Some(points * fact.fraction("lots")? * fraction(rule, "point_value").unwrap_or(Fraction::ONE))
}

fn term_amount(world: &World, plan: &Value, fact: &Fact, term: &str) -> Option<Fraction> {
    let kind = fact.kind();
    match term {
        "spread_cost" | "commission" | "swap" | "pnl" if fact.is_trading() => fact.fraction(term),
        "sale" if kind == "sale" => Some(fact.fraction("amount").unwrap() - refunded(world, plan, fact)),
        "deposit" | "withdrawal" | "bonus" | "adjustment" | "ib_rebate" | "chargeback" if kind == term => {
            counts(plan, fact).then(|| fact.fraction("amount").unwrap())
        }
        _ => match term.strip_prefix("kpi:") {
            Some(name) if kind == "kpi" && fact.text("name") == Some(name) => fact.fraction("value"),
            _ => None,
        },
    }
}

/// The refunds of a sale in the order of (at, key), and whether each fits into what is left.
pub fn refunds<'w>(world: &'w World, sale: &Fact) -> Vec<(&'w Fact, bool)> {
    let mut refunds: Vec<&Fact> = world.facts.values().filter(|fact| fact.kind() == "refund").collect();
    refunds.retain(|refund| refund.text("sale") == Some(sale.id.1.as_str()));
    refunds.sort_by_key(|refund| (refund.at(&headwater_domain::time::Zone::UTC), refund.id.clone()));
    let mut left = sale.fraction("amount").unwrap();
    let mut judged = Vec::new();
    for refund in refunds {
        let amount = refund.fraction("amount").unwrap();
        let fits = amount <= left;
        if fits {
            left = left - amount;
        }
        judged.push((refund, fits));
    }
    judged
}

fn refunded(world: &World, plan: &Value, sale: &Fact) -> Fraction {
    if plan["clawback"] == false {
        return Fraction::ZERO;
    }
    let fitting = refunds(world, sale).into_iter().filter(|(_, fits)| *fits);
    fitting.map(|(refund, _)| refund.fraction("amount").unwrap()).sum()
}

/// The factor of the credit in the equity, or why the fact is refused. Only trades and daily rows are judged.
pub fn eligibility(rule: &Value, fact: &Fact) -> Result<Fraction, Reason> {
    let Some(wanted) = rule.get("eligibility") else { return Ok(Fraction::ONE) };
    if !fact.is_trading() {
        return Ok(Fraction::ONE);
    }
    let pays_without_detail = wanted["on_missing_detail"] == "pay";
    let is_on = |key: &str| wanted[key] == true;
    let prices = fact.fraction("close_price").zip(fact.fraction("open_price"));
    let move_points = prices.zip(fact.fraction("point_size")).map(|((a, b), point)| (a - b).abs() / point);
    let move_spreads = move_points.zip(fact.fraction("spread_points"));
    let mut is_missing = false;

    if let Some(seconds) = fraction(wanted, "min_duration_s") {
        let duration = fact.closed_at().filter(|_| fact.kind() == "trade").map(|closed| closed - fact.opened_at());
        match duration {
            Some(micros) if Fraction::new(i128::from(micros), 1_000_000) < seconds => return Err("min_duration"),
            Some(_) => {}
            None => is_missing = true,
        }
    }
    if let Some(least) = fraction(wanted, "min_move_points") {
        match move_points {
            Some(points) if points < least => return Err("min_move"),
            Some(_) => {}
            None => is_missing = true,
        }
    }
    if let Some(least) = fraction(wanted, "min_move_spreads") {
        match move_spreads {
            Some((points, spread)) if points < least * spread => return Err("min_move"),
            Some(_) => {}
            None => is_missing = true,
        }
    }
    if is_on("exclude_zero_move") {
        match prices {
            Some((close, open)) if close == open => return Err("zero_move"),
            Some(_) => {}
            None => is_missing = true,
        }
    }
    if is_on("exclude_negative_equity") {
        match fact.fraction("equity_after") {
            Some(equity) if equity.is_negative() => return Err("negative_equity"),
            Some(_) => {}
            None => is_missing = true,
        }
    }
    let mut factor = Fraction::ONE;
    if let Some(threshold) = fraction(wanted, "credit_threshold") {
        match (fact.fraction("equity"), fact.fraction("credit")) {
            (Some(equity), _) if equity <= Fraction::ZERO => factor = Fraction::ZERO,
            (Some(_), Some(credit)) if credit <= Fraction::ZERO => {}
            (Some(equity), Some(credit)) => {
                let own = (equity - credit) / equity;
                if own < threshold {
                    factor = own.max(Fraction::ZERO);
                }
            }
            _ => is_missing = true,
        }
    }
    if is_missing && !pays_without_detail { Err("not_evaluable") } else { Ok(factor) }
}
