//! One item is what one fact (or one acquisition) is worth to one rule of the direct partner's plan.
//!
//! Leaves rates to `rates`, cuts to `cuts`, sharing to `tiers`. Every item is priced by what was true at its own date.
//!
//! Chosen where the contract is silent: a `flat` once a person pays the partner of the account registered first, at
//! the first event of any account; each step of a ladder is dated like a CPA of its own, by the moment it was first
//! reached, and is priced by the plan of that moment, less what was earned before; who pays a
//! customer pays it also while the partner is suspended; an event is the customer's that it is of: sent again as another
//! customer's, it is taken back from the one cell and posted to the other.

use super::conditions::{Look, is_met_at, met_at};
use super::fraction::Fraction;
use super::rates::has_rate;
use super::sales::is_rewarded;
use super::world::{Customer, Fact, FactId, Micros, Seat, World, fraction, list, period_of, zone_of};
use super::worth::{
    Reason, counts, eligibility, is_ignored, lot_factor, matches, matches_customer, refunds, sum_of_terms,
};
use headwater_domain::time::Period;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Facts that are held, with the reason.
pub type Held = BTreeSet<(FactId, Reason)>;

/// The order in time: moment, key, and what tells facts of one key apart.
pub type Order = (Micros, String, String);

#[derive(Debug, Clone)]
pub struct Item<'w> {
    pub plan_name: String,
    pub plan: &'w Value,
    pub rule: &'w Value,
    pub order: Order,
    pub fact: Option<FactId>,
    /// The fact that it waited for: its own, or the last one of the moment of an acquisition.
    pub trigger: Option<FactId>,
    pub customer: &'w Customer,
    pub seats: Vec<Seat>,
    /// Whether it is that of a partner whom the fact names, and who is not the customer's.
    pub is_of_named: bool,
    pub scope: String,
    pub period: Period,
    /// Lots, millions, the sum of terms, or 1.
    pub base: Fraction,
    /// What a rate is multiplied with: the base, a hundredth of it for percents.
    pub quantity: Fraction,
    pub rate: Fraction,
    /// Weight and credit.
    pub factor: Fraction,
    /// Before caps and carry.
    pub uncut: Fraction,
    pub amount: Fraction,
    /// What each seat gets, nearest the client first.
    pub parts: Vec<Fraction>,
}

impl Item<'_> {
    pub fn rule_id(&self) -> &str {
        self.rule["id"].as_str().unwrap()
    }

    pub fn kind(&self) -> &str {
        self.rule["kind"].as_str().unwrap()
    }

    pub fn at(&self) -> Micros {
        self.order.0
    }

    /// An acquisition, or a bonus of one.
    pub fn is_of_person(&self) -> bool {
        self.order.2 == "person"
    }

    pub fn direct(&self) -> &str {
        &self.seats[0].partner
    }

    pub fn pays_customer(&self) -> bool {
        self.rule["pays"] == "customer"
    }

    pub fn unit(&self) -> &str {
        self.rule["unit"].as_str().or(self.plan["currency"].as_str()).unwrap()
    }

    pub fn is_money(&self) -> bool {
        self.unit() == self.plan["currency"]
    }
}

/// The moments at which a fact counts: a trade is opened, and later closed.
pub fn moments(fact: &Fact, plan: &Value) -> Vec<(&'static str, Micros)> {
    match (fact.kind(), fact.closed_at()) {
        ("trade", None) => vec![("open", fact.opened_at())],
        ("trade", Some(closed_at)) => vec![("open", fact.opened_at()), ("close", closed_at)],
        _ => vec![("whole", fact.at(&zone_of(plan)))],
    }
}

/// How often the lots of a fact count at this moment for a side.
fn sides(rule: &Value, moment: &str) -> i128 {
    let side = rule["side"].as_str().unwrap_or("round_turn");
    match (moment, side) {
        ("whole", "both") => 2,
        ("whole", _) | ("open", "open" | "both") | ("close", "close" | "both" | "round_turn") => 1,
        _ => 0,
    }
}

/// The lots that count for a rule at a moment of a fact.
pub fn lots(plan: &Value, rule: &Value, fact: &Fact, customer: &Customer, moment: &str) -> Option<Fraction> {
    if !fact.is_trading() || sides(rule, moment) == 0 {
        return None;
    }
    Some(fact.fraction("lots")? * Fraction::whole(sides(rule, moment)) * lot_factor(plan, rule, fact, customer))
}

/// The base of a linear rule and what its rate is multiplied with.
fn base_of(
    world: &World,
    plan: &Value,
    rule: &Value,
    fact: &Fact,
    customer: &Customer,
    (moment, at): (&str, Micros),
) -> Result<Option<(Fraction, Fraction)>, Reason> {
    if rule["kind"] == "per_lot" {
        return Ok(lots(plan, rule, fact, customer, moment).map(|lots| (lots, lots)));
    }
    if moment == "open" {
        return Ok(None);
    }
    Ok(match rule["kind"].as_str().unwrap() {
        "per_million" => {
            if !fact.is_trading() {
                return Ok(None);
            }
            let volume = fact.fraction("volume_usd").ok_or("not_evaluable")?;
            Some((volume, volume / Fraction::whole(1_000_000)))
        }
        "percent" => sum_of_terms(world, plan, rule, "of", fact, at)?.map(|sum| (sum, sum.percent())),
        "external" => sum_of_terms(world, plan, rule, "of", fact, at)?.map(|sum| (sum, sum)),
        "flat" if rule.get("sales").is_some() => Some((Fraction::ONE, Fraction::ONE)),
        "flat" if fact.kind() == "event" && rule["on"].as_str() == fact.text("event") => {
            Some((Fraction::ONE, Fraction::ONE))
        }
        _ => None,
    })
}

/// The items of every linear rule, without rates.
pub fn linear<'w>(world: &'w World, held: &mut Held) -> Vec<Item<'w>> {
    let mut items = Vec::new();
    for fact in world.facts.values() {
        let Some(customer) = world.customers.get(&fact.customer) else {
            held.insert((fact.id.clone(), "unknown_customer"));
            continue;
        };
        if fact.kind() == "refund" {
            judge_refund(world, fact, held);
            continue;
        }
        // Once a person: the partner, the country and the account type are those of the account registered first.
        let first = world.accounts(&customer.person)[0];
        if fact.kind() == "event" {
            linear_of(world, fact, first, true, &mut Held::new(), &mut items);
        }
        linear_of(world, fact, customer, false, held, &mut items);
    }
    items.sort_by(|a, b| a.order.cmp(&b.order));
    keep_first_of_each_flat(&mut items);
    // What an event would pay in a time in which nobody is active is never paid, now or later.
    // The other kinds are no items then.
    let is_anybody = |item: &Item| world.standing(item.customer, item.at()).is_none_or(|standing| standing.is_anybody);
    items.retain(|item| item.kind() != "flat" || is_anybody(item));
    items
}

fn linear_of<'w>(
    world: &'w World,
    fact: &'w Fact,
    customer: &'w Customer,
    is_once_a_person: bool,
    held: &mut Held,
    items: &mut Vec<Item<'w>>,
) {
    // A figure that is for a named partner is that one's; whatever else is made of the fact is the customer's partner's.
    let Some(named) = fact.text("partner") else {
        match &customer.partner {
            Some(partner) => linear_by(world, fact, customer, (partner, &|_| true), is_once_a_person, held, items),
            None => drop(held.insert((fact.id.clone(), "unattributed"))),
        }
        return;
    };
    if let Some(partner) = &customer.partner {
        let is_own = |rule: &Value| rule["kind"] != "external" || named == partner;
        linear_by(world, fact, customer, (partner, &is_own), is_once_a_person, held, items);
    }
    if customer.partner.as_deref() != Some(named) {
        let is_named = |rule: &Value| rule["kind"] == "external";
        linear_by(world, fact, customer, (named, &is_named), is_once_a_person, held, items);
    }
}

fn linear_by<'w>(
    world: &'w World,
    fact: &'w Fact,
    customer: &'w Customer,
    (partner, looks): (&str, &dyn Fn(&Value) -> bool),
    is_once_a_person: bool,
    held: &mut Held,
    items: &mut Vec<Item<'w>>,
) {
    let own_plan = world.version(&world.partners[partner].plan, Micros::MAX);
    for (moment, at) in moments(fact, own_plan) {
        let standing = world.standing_of(partner, at);
        if !standing.is_anybody {
            if !is_ignored(world.version(&standing.plan, at), fact) {
                held.insert((fact.id.clone(), "partner_suspended"));
            }
            if fact.kind() != "event" {
                continue;
            }
        }
        for (plan, rule) in world.rules_at(&standing.plan, at) {
            if !standing.is_anybody && rule["kind"] != "flat" {
                continue;
            }
            let is_per_person = rule["kind"] == "flat" && once_per(rule) == "person";
            if is_per_person != is_once_a_person || !looks(rule) || !matches(plan, rule, fact, customer) {
                continue;
            }
            if rule.get("sales").is_some() {
                if fact.kind() != "sale" {
                    continue;
                }
                match is_rewarded(world, plan, rule, fact) {
                    Ok(true) => {}
                    Ok(false) => continue,
                    Err(reason) => {
                        held.insert((fact.id.clone(), reason));
                        continue;
                    }
                }
            }
            let based = base_of(world, plan, rule, fact, customer, (moment, at));
            if based == Ok(None) {
                continue;
            }
            // What has no price yet is not asked about the trade.
            let (base, quantity) = match based {
                Ok(based) => based.unwrap(),
                Err(reason) => {
                    held.insert((fact.id.clone(), reason));
                    continue;
                }
            };
            let has_rate = has_rate(world, &standing.seats[0].partner, plan, rule, fact, customer);
            let credit = match eligibility(rule, fact) {
                Ok(credit) => credit,
                Err(_) if !has_rate => Fraction::ONE,
                Err(reason) => {
                    held.insert((fact.id.clone(), reason));
                    continue;
                }
            };
            let period = period_of(plan, at);
            let scope = match (rule["kind"].as_str().unwrap(), once_per(rule)) {
                ("flat", "event") => format!("event {} of {}", fact.id.1, customer.name),
                ("flat", "customer") => format!("customer {}", customer.name),
                ("flat", _) => format!("person {}", customer.person),
                _ => format!("customer {} in {period}", customer.name),
            };
            let weight = fraction(rule, "weight").unwrap_or(Fraction::ONE);
            items.push(Item {
                plan_name: standing.plan.clone(),
                plan,
                rule,
                order: (at, fact.id.1.clone(), format!("{} {moment}", fact.id.0)),
                fact: Some(fact.id.clone()),
                trigger: Some(fact.id.clone()),
                customer,
                seats: standing.seats.clone(),
                is_of_named: customer.partner.as_deref() != Some(partner),
                scope: scope_of(plan, rule, scope, period),
                period,
                base,
                quantity,
                rate: Fraction::ZERO,
                factor: weight * credit,
                uncut: Fraction::ZERO,
                amount: Fraction::ZERO,
                parts: Vec::new(),
            });
        }
    }
}

/// How often a `flat` is paid; for sales each time.
fn once_per(rule: &Value) -> &str {
    let default = if rule.get("sales").is_some() { "event" } else { "person" };
    rule["once_per"].as_str().unwrap_or(default)
}

/// Brackets, carry and caps per day or period are over all customers of the partner.
pub fn scope_of(_plan: &Value, rule: &Value, scope: String, period: Period) -> String {
    let is_over_all = rule.get("brackets").is_some()
        || rule.get("carry").is_some()
        || matches!(rule["cap"]["per"].as_str(), Some("day" | "period"));
    if is_over_all { format!("all in {period}") } else { scope }
}

/// Once per event, customer or person: the first in time.
fn keep_first_of_each_flat(items: &mut Vec<Item>) {
    let mut seen = BTreeSet::new();
    items.retain(|item| {
        let once = match once_per(item.rule) {
            "event" => return true,
            "customer" => item.customer.name.clone(),
            _ => item.customer.person.clone(),
        };
        item.kind() != "flat" || seen.insert((item.plan_name.clone(), item.rule_id().to_owned(), once))
    });
}

/// A refund is of its sale: whose it is itself decides nothing.
fn judge_refund(world: &World, refund: &Fact, held: &mut Held) {
    let looks_away = |fact: &Fact| {
        let customer = world.customers.get(&fact.customer);
        let partner = customer.and_then(|customer| customer.partner.as_ref());
        let at = fact.at(&headwater_domain::time::Zone::UTC);
        partner.is_some_and(|partner| is_ignored(world.version(&world.partners[partner].plan, at), refund))
    };
    let sale = world.facts.get(&("sale".to_owned(), refund.text("sale").unwrap().to_owned()));
    // The sale of somebody unknown is not known either.
    let Some(sale) = sale.filter(|sale| world.customers.contains_key(&sale.customer)) else {
        if !looks_away(refund) {
            held.insert((refund.id.clone(), "unknown_sale"));
        }
        return;
    };
    if !looks_away(sale) && refunds(world, sale).iter().any(|(one, fits)| one.id == refund.id && !fits) {
        held.insert((refund.id.clone(), "over_refund"));
    }
}

/// The items of `cpa` and `cpa_ladder`, without rates (a ladder has its amount as quantity, at the rate 1).
pub fn acquisitions<'w>(world: &'w World, held: &mut Held) -> Vec<Item<'w>> {
    let mut items = Vec::new();
    let mut rules = world.plans.values().flatten().flat_map(|(_, plan)| list(plan, "rules"));
    if !rules.any(|rule| rule["kind"] == "cpa" || rule["kind"] == "cpa_ladder") {
        return items;
    }
    for person in world.persons() {
        let all = world.accounts(&person);
        let mut groups: Vec<(bool, Vec<&Customer>, String)> = vec![(true, all.clone(), format!("person {person}"))];
        groups.extend(all.iter().map(|one| (false, vec![*one], format!("customer {}", one.name))));
        for (is_person, accounts, scope) in groups {
            let first = accounts[0];
            let Some(partner) = &first.partner else { continue };
            let versions = &world.plans[&world.partners[partner].plan];
            let look = Look { world, plan: &versions[0].1, accounts: &accounts, until: None, moment: 0 };
            let is_judged_with_others =
                versions.iter().any(|(_, plan)| plan.to_string().contains("min_active_customers"));
            let moments =
                look.moments(&if is_judged_with_others { serde_json::json!({"partner": {}}) } else { Value::Null });
            let is_judged = |rule: &Value| {
                let is_per_person = rule["once_per"].as_str().unwrap_or("person") == "person";
                is_per_person == is_person && matches_customer(rule, first)
            };
            hold_what_has_no_price(world, &accounts, &is_judged, held);
            // By plan and rule: where it came to, and what was earned by then.
            let mut paid: BTreeMap<(String, String), Reached> = BTreeMap::new();
            for at in moments {
                let standing = world.standing(first, at).unwrap();
                for (plan, rule) in world.rules_at(&standing.plan, at) {
                    if !is_judged(rule) {
                        continue;
                    }
                    let key = (standing.plan.clone(), rule["id"].as_str().unwrap().to_owned());
                    let before = paid.get(&key);
                    let Some(reached) = acquired(world, plan, rule, &accounts, at) else { continue };
                    if before.is_some_and(|before| before.from >= reached.from) {
                        continue;
                    }
                    let quantity = reached.amount - before.map_or(Fraction::ZERO, |before| before.amount);
                    paid.insert(key, reached);
                    if !standing.is_anybody {
                        continue;
                    }
                    let period = period_of(plan, at);
                    items.push(Item {
                        plan_name: standing.plan.clone(),
                        plan,
                        rule,
                        order: (at, person.clone(), "person".to_owned()),
                        fact: None,
                        trigger: trigger(world, plan, rule, &accounts, at),
                        customer: first,
                        seats: standing.seats.clone(),
                        is_of_named: false,
                        scope: scope_of(plan, rule, scope.clone(), period),
                        period,
                        base: quantity,
                        quantity,
                        rate: Fraction::ZERO,
                        factor: fraction(rule, "weight").unwrap_or(Fraction::ONE),
                        uncut: Fraction::ZERO,
                        amount: Fraction::ZERO,
                        parts: Vec::new(),
                    });
                }
            }
        }
    }
    items.sort_by(|a, b| a.order.cmp(&b.order));
    items
}

/// The fact by which an acquisition was made.
fn trigger(world: &World, plan: &Value, rule: &Value, accounts: &[&Customer], at: Micros) -> Option<FactId> {
    let look = Look { world, plan, accounts, until: None, moment: at };
    let of_ladder = rule["of"].as_str().map(|of| serde_json::json!({ format!("min_{of}"): "0" }));
    let asked = of_ladder.as_ref().or(rule.get("qualify")).or(plan.get("qualification"))?;
    let moment = met_by_itself(world, plan, rule, accounts).unwrap_or(at);
    look.fact_at(moment, &|fact| has_part(&look, asked, fact))
}

/// When the customer itself met what is asked, where its partner has to as well: what it did then is what waits.
fn met_by_itself(world: &World, plan: &Value, rule: &Value, accounts: &[&Customer]) -> Option<Micros> {
    let mut asked = rule.get("qualify").or(plan.get("qualification"))?.clone();
    asked.as_object_mut()?.remove("partner").and_then(|_| met_at(world, plan, accounts, &asked))
}

/// How far somebody came: the step, and what is earned there. An acquisition has one step.
struct Reached {
    from: Fraction,
    amount: Fraction,
}

/// 1 for an acquisition, the amount of the step for a ladder, `None` where nothing is met.
fn acquired(world: &World, plan: &Value, rule: &Value, accounts: &[&Customer], at: Micros) -> Option<Reached> {
    match rule["kind"].as_str().unwrap() {
        "cpa" => {
            let conditions = rule.get("qualify").or(plan.get("qualification"))?;
            let look = Look { world, plan, accounts, until: None, moment: at };
            // Conditions are met by what they ask for: what else happens later meets nothing, also not by a later plan.
            let meets = |(counted_at, fact): (Micros, &Fact)| counted_at == at && has_part(&look, conditions, fact);
            let is_at_registration = asks_only_where(conditions) && at == accounts[0].registered_at;
            if !is_at_registration
                && conditions.get("partner").is_none()
                && !look.counted(conditions).into_iter().any(meets)
            {
                return None;
            }
            let one = Reached { from: Fraction::ZERO, amount: Fraction::ONE };
            is_met_at(world, plan, accounts, conditions, at).then_some(one)
        }
        "cpa_ladder" => {
            let needed = needed_by_ladder(rule);
            let all = Look { world, plan, accounts, until: None, moment: at };
            // What has no part in the deposits is no moment at which a step is reached.
            let is_part = |(counted_at, fact): (Micros, &Fact)| counted_at == at && has_part(&all, &needed, fact);
            if !all.counted(&needed).into_iter().any(is_part) {
                return None;
            }
            let value = |until: Option<Micros>| {
                let look = Look { world, plan, accounts, until, moment: at };
                match rule["of"].as_str().unwrap() {
                    "first_deposit" => look.first_deposit(None),
                    _ => look.net_deposit(None),
                }
            };
            // A step is there that was reached by then and is still.
            let value = value(Some(at))?.min(value(None)?);
            let steps = list(rule, "steps").map(|step| {
                let of = |key: &str| fraction(step, key).unwrap();
                Reached { from: of("from"), amount: of("amount") }
            });
            steps.filter(|step| step.from <= value).last()
        }
        _ => None,
    }
}

/// Country and account type alone are met at the registration.
fn asks_only_where(conditions: &Value) -> bool {
    conditions.as_object().unwrap().keys().all(|key| key == "countries" || key == "account_types")
}

/// Whether the conditions ask for what the fact says.
fn has_part(look: &Look, conditions: &Value, fact: &Fact) -> bool {
    const NUMBERS: [&str; 6] =
        ["min_first_deposit", "min_net_deposit", "min_deposits", "min_lots", "min_spread_cost", "min_trades"];
    let is_asked = |key: &str| conditions.get(key).is_some();
    if !NUMBERS.iter().any(|key| is_asked(key)) && !is_asked("kyc") {
        return true;
    }
    let is_traded = is_asked("min_lots") || (is_asked("min_spread_cost") && fact.document.get("spread_cost").is_some());
    match fact.kind() {
        "event" => is_asked("kyc") && fact.text("event") == Some("KYC_COMPLETED"),
        "deposit" => {
            let is_of_first = is_asked("min_first_deposit") && look.is_of_first_deposit(fact);
            counts(look.plan, fact) && (is_of_first || is_asked("min_net_deposit") || is_asked("min_deposits"))
        }
        "withdrawal" | "chargeback" => is_asked("min_net_deposit") && counts(look.plan, fact),
        "trading_day" => is_traded,
        "trade" => is_asked("min_trades") || (is_traded && !fact.is_open_trade()),
        _ => false,
    }
}

/// What a ladder looks at, as a condition.
fn needed_by_ladder(rule: &Value) -> Value {
    serde_json::json!({ format!("min_{}", rule["of"].as_str().unwrap()): "0" })
}

/// Conditions look at what the facts say, also of somebody who was paid for already, and for a rule that waits for its
/// first period: what they would count and cannot is held.
fn hold_what_has_no_price(world: &World, accounts: &[&Customer], is_judged: &dyn Fn(&Value) -> bool, held: &mut Held) {
    for (_, plan) in world.plans.values().flatten() {
        for rule in list(plan, "rules").filter(|rule| is_judged(rule)) {
            let of_ladder = (rule["kind"] == "cpa_ladder").then(|| needed_by_ladder(rule));
            let of_acquisition = rule.get("qualify").or(plan.get("qualification")).filter(|_| rule["kind"] == "cpa");
            if let Some(needs) = of_ladder.as_ref().or(of_acquisition) {
                hold_unpriced(world, plan, needs, accounts, held);
            }
        }
    }
}

/// Holds the facts that a condition needs and that have no exchange rate, by the plan of their own date.
fn hold_unpriced(world: &World, plan: &Value, needs: &Value, accounts: &[&Customer], held: &mut Held) {
    let look = Look { world, plan, accounts, until: None, moment: 0 };
    let is_asked = |key: &str| needs.get(key).is_some();
    for (at, fact) in look.counted(needs) {
        let is_needed = match fact.kind() {
            "deposit" => {
                is_asked("min_net_deposit") || (is_asked("min_first_deposit") && look.is_of_first_deposit(fact))
            }
            "withdrawal" | "chargeback" => is_asked("min_net_deposit"),
            "trade" | "trading_day" => is_asked("min_spread_cost") && fact.fraction("spread_cost").is_some(),
            _ => false,
        };
        let home = plan["currency"].as_str().unwrap();
        let currency = fact.text("currency").unwrap_or(home);
        if is_needed
            && !fact.is_open_trade()
            && counts(plan, fact)
            && world
                .standing(accounts[0], at)
                .is_some_and(|own| own.is_anybody && std::ptr::eq(world.version(&own.plan, at), plan))
            && world.exchange_rate(plan, currency, home, at).is_none()
        {
            held.insert((fact.id.clone(), "no_exchange_rate"));
        }
    }
}
