//! Which sales a rule of sales rewards, counted anew for each sale.
//!
//! Leaves what a rewarded sale is worth to the other files. A sale counts while anything is left of it; the order is (moment, key).
//!
//! Chosen where the contract is silent: a customer's sales are those of all accounts of the person; a reward under an earlier
//! version of the rule was one; a sale at a time when nobody was active uses its turn up; 0 is no multiple.

use super::fraction::Fraction;
use super::world::{Customer, Fact, Micros, World, fraction, list, zone_of};
use super::worth::{Reason, is_ignored, matches, refunds};
use headwater_domain::time::{Instant, Zone};
use serde_json::Value;
use std::collections::BTreeSet;

struct Sale<'w> {
    at: Micros,
    fact: &'w Fact,
    customer: &'w Customer,
    left: Fraction,
}

impl<'w> Sale<'w> {
    fn partner(&self, world: &World) -> Option<String> {
        world.standing(self.customer, self.at).map(|standing| standing.seats[0].partner.clone())
    }

    fn product(&self) -> Option<&'w str> {
        self.fact.text("product")
    }
}

/// Every sale of which something is left, in order.
fn all(world: &World) -> Vec<Sale<'_>> {
    let mut sales = Vec::new();
    for fact in world.facts.values().filter(|fact| fact.kind() == "sale") {
        let Some(customer) = world.customers.get(&fact.customer) else { continue };
        let at = fact.at(&Zone::UTC);
        let looks_away = |partner: &String| {
            let plan = world.version(&world.partners[partner].plan, at);
            refunds(world, fact).first().is_some_and(|(refund, _)| is_ignored(plan, refund))
        };
        let mut left = fact.fraction("amount").unwrap();
        if !customer.partner.as_ref().is_some_and(looks_away) {
            let given_back = refunds(world, fact).into_iter().filter(|(_, fits)| *fits);
            left = left - given_back.map(|(refund, _)| refund.fraction("amount").unwrap()).sum();
        }
        if left > Fraction::ZERO {
            sales.push(Sale { at, fact, customer, left });
        }
    }
    sales.sort_by_key(|sale| (sale.at, sale.fact.id.1.clone()));
    sales
}

/// Whether the rule (of this version of the plan) rewards the sale, or why nobody can say.
pub fn is_rewarded(world: &World, plan: &Value, rule: &Value, fact: &Fact) -> Result<bool, Reason> {
    let sales = all(world);
    let Some(place) = sales.iter().position(|sale| sale.fact.id == fact.id) else { return Ok(false) };
    let sales = &sales[..=place];
    let (sale, earlier) = (&sales[place], &sales[..place]);
    if !is_rewarded_alone(world, plan, rule, sales)? {
        return Ok(false);
    }
    let Some(most) = rule["sales"]["max_redemptions"].as_u64() else { return Ok(true) };
    let mut rewarded = 0;
    for (index, other) in earlier.iter().enumerate() {
        if other.customer.person != sale.customer.person {
            continue;
        }
        let Some(standing) = world.standing(other.customer, other.at) else { continue };
        for (plan, same) in world.rules_at(&standing.plan, other.at) {
            let is_rewarded = same["id"] == rule["id"]
                && matches(plan, same, other.fact, other.customer)
                && same["sales"]["max_redemptions"].as_u64().is_none_or(|most| rewarded < most)
                && (same.get("sales").is_none() || is_rewarded_alone(world, plan, same, &sales[..=index]) == Ok(true));
            rewarded += u64::from(is_rewarded);
        }
    }
    Ok(rewarded < most)
}

/// The same without how often; the sale is the last of these.
fn is_rewarded_alone(world: &World, plan: &Value, rule: &Value, sales: &[Sale]) -> Result<bool, Reason> {
    let asked = &rule["sales"];
    let sale = sales.last().unwrap();
    let is_listed =
        |key: &str| asked.get(key).is_none() || list(asked, key).any(|listed| listed.as_str() == sale.fact.text(key));
    if !is_listed("product") || !is_listed("billing_period") {
        return Ok(false);
    }
    let own: Vec<&Sale> = sales.iter().filter(|other| other.customer.person == sale.customer.person).collect();
    if asked["new_customers_only"] == true && own[0].at < sale.customer.registered_at {
        return Ok(false);
    }
    if let Some(months) = asked["within_months"].as_i64()
        && sale.at >= zone_of(plan).plus_months(Instant(own[0].at), months).0
    {
        return Ok(false);
    }
    let mut together = true;
    let mut results = Vec::new();
    for condition in list(asked, "conditions") {
        let reached = figure(world, plan, condition, sales, sales.len())?;
        let is_first = condition["is"] != "reaching"
            || !compares(condition, figure(world, plan, condition, sales, sales.len() - 1)?);
        results.push((condition["join"] == "or", compares(condition, reached) && is_first));
    }
    for (index, (is_or, holds)) in results.into_iter().enumerate() {
        together = match (index, is_or) {
            (0, _) => holds,
            (_, true) => together || holds,
            (_, false) => together && holds,
        };
    }
    Ok(together)
}

/// What a figure is that looks at so many of the sales; the one that is asked about is the last of all.
fn figure(world: &World, plan: &Value, condition: &Value, sales: &[Sale], count: usize) -> Result<Fraction, Reason> {
    let sale = sales.last().unwrap();
    let sales = &sales[..count];
    let is_alike = |other: &&Sale| condition["same_product"] != true || other.product() == sale.product();
    let own: Vec<&Sale> =
        sales.iter().filter(|other| other.customer.person == sale.customer.person).filter(is_alike).collect();
    let partner = sale.partner(world);
    let of_partner: Vec<&Sale> =
        sales.iter().filter(|other| other.partner(world) == partner).filter(is_alike).collect();
    let whole = |count: usize| Fraction::whole(i128::try_from(count).unwrap());
    Ok(match condition["metric"].as_str().unwrap() {
        "customer_sales_count" => whole(own.len()),
        "customer_age_in_months" => {
            let is_over = |months: i64| zone_of(plan).plus_months(Instant(own[0].at), months).0 <= sale.at;
            whole((1..1200).take_while(|months| is_over(*months)).count())
        }
        "partner_customers_count" => {
            whole(of_partner.iter().map(|other| &other.customer.person).collect::<BTreeSet<_>>().len())
        }
        "partner_revenue" => {
            let home = plan["currency"].as_str().unwrap();
            let mut sum = Fraction::ZERO;
            for other in of_partner {
                let rate = world.exchange_rate(plan, other.fact.text("currency").unwrap(), home, other.at);
                sum = sum + other.left * rate.ok_or("no_exchange_rate")?;
            }
            sum
        }
        other => panic!("the metric {other}"),
    })
}

fn compares(condition: &Value, figure: Fraction) -> bool {
    let value = fraction(condition, "value").unwrap();
    match condition["is"].as_str().unwrap() {
        "less_than" => figure < value,
        "at_most" => figure <= value,
        "equal_to" => figure == value,
        "at_least" | "reaching" => figure >= value,
        "more_than" => figure > value,
        "multiple_of" => figure > Fraction::ZERO && (figure / value).floor_to_minor(0).1 == Fraction::ZERO,
        other => panic!("the comparison {other}"),
    }
}
