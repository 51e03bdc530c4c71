//! What a case says is true: plans and their versions, the dated tree, people, facts, rates, closed periods.
//!
//! Leaves what it is worth to the other files. A fact is kept whole in its greatest revision; nothing else is derived.

use super::fraction::Fraction;
use headwater_domain::time::{Instant, Period, PeriodLength, Zone};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Microseconds since 1970.
pub type Micros = i64;
pub const DAY_MICROS: Micros = 86_400_000_000;
pub const HOUR_MICROS: Micros = 3_600_000_000;
/// The type of a fact and its natural key.
pub type FactId = (String, String);

#[derive(Debug, Clone, Default)]
pub struct World {
    pub plans: BTreeMap<String, Vec<(Micros, Value)>>,
    pub partners: BTreeMap<String, Partner>,
    pub customers: BTreeMap<String, Customer>,
    /// By currency given, currency got and date.
    pub exchange: BTreeMap<(String, String, String), Fraction>,
    pub facts: BTreeMap<FactId, Fact>,
    pub closed: BTreeSet<Period>,
    pub clock: Micros,
}

#[derive(Debug, Clone)]
pub struct Partner {
    pub plan: String,
    pub rates: BTreeMap<String, Fraction>,
    pub parents: Vec<(Micros, String)>,
    pub suspensions: Vec<(Micros, bool)>,
    /// Its place in the case.
    pub place: usize,
}

#[derive(Debug, Clone)]
pub struct Customer {
    pub name: String,
    pub partner: Option<String>,
    pub person: String,
    pub registered_at: Micros,
    /// Who shares what its partner earns, and how many percent of it, by date.
    pub splits: Vec<(Micros, Vec<(String, Fraction)>)>,
    /// The document, for `country`, `account_type`, `campaign` and `link`.
    pub document: Value,
}

#[derive(Debug, Clone)]
pub struct Fact {
    pub id: FactId,
    pub customer: String,
    pub revision: Option<Micros>,
    pub document: Value,
}

impl Fact {
    pub fn kind(&self) -> &str {
        &self.id.0
    }

    pub fn fraction(&self, key: &str) -> Option<Fraction> {
        fraction(&self.document, key)
    }

    pub fn text(&self, key: &str) -> Option<&str> {
        self.document.get(key).and_then(Value::as_str)
    }

    /// When it counts; a daily row at the start of its day, a trade when it is closed (or else opened).
    pub fn at(&self, zone: &Zone) -> Micros {
        match self.kind() {
            "trading_day" => zone.start_of(self.text("date").unwrap().parse().unwrap()).0,
            "trade" => self.closed_at().unwrap_or_else(|| self.opened_at()),
            _ => instant(&self.document, "at").unwrap(),
        }
    }

    pub fn opened_at(&self) -> Micros {
        instant(&self.document, "opened_at").unwrap()
    }

    pub fn closed_at(&self) -> Option<Micros> {
        instant(&self.document, "closed_at")
    }

    pub fn is_trading(&self) -> bool {
        matches!(self.kind(), "trade" | "trading_day")
    }

    pub fn is_open_trade(&self) -> bool {
        self.kind() == "trade" && self.closed_at().is_none()
    }
}

/// A place in the tree above a customer, at a moment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    pub partner: String,
    pub is_active: bool,
}

/// Who is the direct partner of a customer at a moment, who stands above, and whose plan decides.
#[derive(Debug, Clone)]
pub struct Standing {
    pub seats: Vec<Seat>,
    pub plan: String,
    /// Whether `compress` leaves anybody; where not, the partner's own place stands for what happened, unpaid.
    pub is_anybody: bool,
}

impl World {
    pub fn open(case: &Value) -> Self {
        let mut world = Self::default();
        let plans: Vec<&Value> = match case.get("plan") {
            Some(plan) => vec![plan],
            None => case["plans"].as_object().unwrap().values().collect(),
        };
        for plan in &plans {
            world.plans.insert(name_of(plan), vec![(Micros::MIN, (*plan).clone())]);
        }
        for (place, partner) in list(case, "partners").enumerate() {
            let plan = partner["plan"].as_str().map_or_else(|| name_of(plans[0]), str::to_owned);
            let rates = partner["rates"].as_object().into_iter().flatten();
            let rates = rates.map(|(rule, rate)| (rule.clone(), number(rate).unwrap())).collect();
            let is_suspended = matches!(partner["status"].as_str(), Some("suspended" | "blocked"));
            let suspensions = if is_suspended { vec![(Micros::MIN, true)] } else { Vec::new() };
            let parent = partner["parent"].as_str().map(|parent| (Micros::MIN, parent.to_owned()));
            let parents = parent.into_iter().collect();
            let id = partner["id"].as_str().unwrap().to_owned();
            world.partners.insert(id, Partner { plan, rates, parents, suspensions, place });
        }
        list(case, "customers").for_each(|customer| world.add_customer(customer));
        list(case, "exchange_rates").for_each(|rate| world.add_rate(rate));
        world
    }

    pub fn add_customer(&mut self, document: &Value) {
        let name = document["id"].as_str().unwrap().to_owned();
        // A customer without a person is a person of its own, under a name no document has; one email is one person's.
        let alone = format!("\u{0}{name}");
        let email = |document: &Value| document["email"].as_str().map(|email| email.trim().to_lowercase());
        let of_email = self
            .customers
            .values()
            .find(|other| email(document).is_some() && other.name != name && email(&other.document) == email(document));
        let of_email = of_email.map(|other| other.person.clone());
        let person = document["person"].as_str().map(str::to_owned).or(of_email.clone()).unwrap_or(alone);
        let joined = self.customers.values_mut().filter(|other| of_email.as_ref() == Some(&other.person));
        joined.for_each(|other| other.person.clone_from(&person));
        let split = document.get("split").map(|_| (Micros::MIN, parts_of(document, "split")));
        let customer = Customer {
            splits: split.into_iter().collect(),
            partner: document["partner"].as_str().map(str::to_owned),
            person,
            registered_at: instant(document, "registered_at").unwrap_or(0),
            document: document.clone(),
            name: name.clone(),
        };
        self.customers.insert(name, customer);
    }

    /// Who shares from a moment on; what was said of later moments is over.
    pub fn add_split(&mut self, document: &Value) -> Result<(), String> {
        let customer = self.customers.get_mut(document["customer"].as_str().unwrap()).ok_or("unknown_customer")?;
        let at = instant(document, "at").unwrap();
        let parts = parts_of(document, "parts");
        let of_direct = |(partner, _): &(String, Fraction)| Some(partner) == customer.partner.as_ref();
        let is_twice = |index: usize| parts[..index].iter().any(|(known, _)| *known == parts[index].0);
        let sum: Fraction = parts.iter().map(|(_, percent)| *percent).sum();
        let is_too_much = sum > Fraction::whole(100) || (0..parts.len()).any(is_twice);
        if customer.partner.is_none() || is_too_much || parts.iter().any(of_direct) {
            return Err("split".to_owned());
        }
        customer.splits.retain(|(from, _)| *from < at);
        customer.splits.push((at, parts));
        Ok(())
    }

    pub fn add_rate(&mut self, rate: &Value) {
        let of = |key: &str| rate[key].as_str().unwrap().to_owned();
        self.exchange.insert((of("from"), of("to"), of("date")), number(&rate["rate"]).unwrap());
    }

    /// Takes a record in; an older revision than the known one changes nothing.
    pub fn add_fact(&mut self, document: &Value) -> Option<FactId> {
        let of = |key: &str| document[key].as_str().unwrap().to_owned();
        let key = document["key"].as_str().map_or_else(
            || format!("{}|{}|{}|{}", of("date"), of("customer"), of("instrument"), of("currency")),
            str::to_owned,
        );
        let revision = match &document["revision"] {
            Value::Null => None,
            Value::String(time) => Some(Instant::parse(time).unwrap().0),
            number => Some(number.as_i64().unwrap()),
        };
        let id = (of("type"), key);
        let known = self.facts.get(&id).and_then(|known| known.revision);
        if known.is_some() && revision.is_some() && known > revision {
            return None;
        }
        let fact = Fact { id: id.clone(), customer: of("customer"), revision, document: document.clone() };
        self.clock = self.clock.max(fact.at(&Zone::UTC));
        self.facts.insert(id.clone(), fact);
        Some(id)
    }

    pub fn add_version(&mut self, plan: &Value, from: &str) {
        let from = match from.parse() {
            Ok(day) => zone_of(plan).start_of(day).0,
            Err(_) => Instant::parse(from).unwrap().0,
        };
        let versions = self.plans.entry(name_of(plan)).or_default();
        versions.retain(|(known, _)| *known != from);
        versions.push((from, plan.clone()));
        versions.sort_by_key(|(from, _)| *from);
    }

    /// Moves a partner from a date on; refused where the parent stands below it at that date or later.
    pub fn move_partner(&mut self, partner: &str, parent: &str, at: Micros) -> Result<(), String> {
        let before = self.clone();
        let parents = &mut self.partners.get_mut(partner).unwrap().parents;
        parents.retain(|(known, _)| *known != at);
        parents.push((at, parent.to_owned()));
        parents.sort();
        let changes: Vec<Micros> = self.partners.values().flat_map(|p| p.parents.iter().map(|(at, _)| *at)).collect();
        for change in changes {
            for start in self.partners.keys() {
                let mut place = start.clone();
                for _ in 0..self.partners.len() {
                    match self.parent_at(&place, change) {
                        Some(above) if above == *start => {
                            *self = before;
                            return Err("cycle".to_owned());
                        }
                        Some(above) => place = above,
                        None => break,
                    }
                }
            }
        }
        Ok(())
    }

    pub fn suspend(&mut self, partner: &str, at: Micros, is_suspended: bool) {
        let suspensions = &mut self.partners.get_mut(partner).unwrap().suspensions;
        suspensions.retain(|(known, _)| *known != at);
        suspensions.push((at, is_suspended));
        suspensions.sort_unstable();
    }

    fn parent_at(&self, partner: &str, at: Micros) -> Option<String> {
        let parents = &self.partners[partner].parents;
        parents.iter().rev().find(|(from, _)| *from <= at).map(|(_, parent)| parent.clone())
    }

    pub fn is_active(&self, partner: &str, at: Micros) -> bool {
        let suspensions = &self.partners[partner].suspensions;
        !suspensions.iter().rev().find(|(from, _)| *from <= at).is_some_and(|(_, is_suspended)| *is_suspended)
    }

    /// The partner and everybody above it, nearest first, as the tree was at a moment.
    pub fn seats(&self, partner: &str, at: Micros) -> Vec<Seat> {
        let mut seats = Vec::new();
        let mut place = Some(partner.to_owned());
        while let Some(partner) = place {
            place = self.parent_at(&partner, at);
            seats.push(Seat { is_active: self.is_active(&partner, at), partner });
        }
        seats
    }

    /// `None` where the customer has no partner.
    pub fn standing(&self, customer: &Customer, at: Micros) -> Option<Standing> {
        Some(self.standing_of(customer.partner.as_ref()?, at))
    }

    /// The same for whoever a fact names.
    pub fn standing_of(&self, partner: &str, at: Micros) -> Standing {
        let own_plan = self.version(&self.partners[partner].plan, at);
        let mut seats = self.seats(partner, at);
        let is_anybody = own_plan["on_suspended"] != "compress" || seats.iter().any(|seat| seat.is_active);
        if own_plan["on_suspended"] == "compress" && is_anybody {
            seats.retain(|seat| seat.is_active);
        }
        let plan = self.partners[&seats[0].partner].plan.clone();
        Standing { seats, plan, is_anybody }
    }

    pub fn version(&self, plan: &str, at: Micros) -> &Value {
        let versions = &self.plans[plan];
        let found = versions.iter().rev().find(|(from, _)| *from <= at);
        &found.unwrap_or(&versions[0]).1
    }

    /// The rules of a plan that hold at a moment, each with the version that it stands in. A rule with brackets, carry
    /// or a cap per period changes with the first period that begins on or after the start of the new version.
    pub fn rules_at(&self, plan: &str, at: Micros) -> Vec<(&Value, &Value)> {
        let now = self.version(plan, at);
        let before = self.version(plan, start_of(now, period_of(now, at)));
        let mut rules = Vec::new();
        for rule in list(now, "rules") {
            let id = rule["id"].as_str().unwrap();
            match rule_of(before, id) {
                Some(older) if waits_for_period(rule) || waits_for_period(older) => {
                    rules.push((before, older));
                }
                None if waits_for_period(rule) => {}
                _ => rules.push((now, rule)),
            }
        }
        for older in list(before, "rules").filter(|older| waits_for_period(older)) {
            if rule_of(now, older["id"].as_str().unwrap()).is_none() {
                rules.push((before, older));
            }
        }
        rules
    }

    /// The accounts of a person, the one registered first in front.
    pub fn accounts(&self, person: &str) -> Vec<&Customer> {
        let mut accounts: Vec<&Customer> = self.customers.values().filter(|one| one.person == person).collect();
        accounts.sort_by_key(|account| (account.registered_at, account.name.clone()));
        accounts
    }

    pub fn persons(&self) -> BTreeSet<String> {
        self.customers.values().map(|customer| customer.person.clone()).collect()
    }

    pub fn is_closed(&self, period: Period) -> bool {
        self.closed.iter().any(|closed| closed.length == period.length && closed.first_day >= period.first_day)
    }

    /// What one unit of `from` is in `to`, for a fact at `at`.
    pub fn exchange_rate(&self, plan: &Value, from: &str, to: &str, at: Micros) -> Option<Fraction> {
        if from == to {
            return Some(Fraction::ONE);
        }
        let day = zone_of(plan).day_of(Instant(at)).to_string();
        let days_max = plan["max_rate_age_days"].as_i64().unwrap_or(7);
        let newest = |from: &str, to: &str| {
            let pairs = self.exchange.iter().filter(|((a, b, date), _)| a == from && b == to && *date <= day);
            let ((_, _, date), rate) = pairs.max_by_key(|((_, _, date), _)| date.clone())?;
            (days_between(date, &day) <= days_max).then_some(*rate)
        };
        newest(from, to).or_else(|| newest(to, from).map(|rate| Fraction::ONE / rate))
    }
}

fn parts_of(document: &Value, key: &str) -> Vec<(String, Fraction)> {
    let part = |part: &Value| (part["partner"].as_str().unwrap().to_owned(), fraction(part, "percent").unwrap());
    list(document, key).map(part).collect()
}

fn days_between(from: &str, to: &str) -> i64 {
    let start = |day: &str| Instant::parse(&format!("{day}T00:00:00Z")).unwrap().0;
    (start(to) - start(from)) / DAY_MICROS
}

/// What is of another rule changes with its own version, also where that rule waits.
fn waits_for_period(rule: &Value) -> bool {
    rule.get("brackets").is_some() || rule.get("carry").is_some() || rule["cap"]["per"] == "period"
}

pub fn rule_of<'w>(plan: &'w Value, id: &str) -> Option<&'w Value> {
    list(plan, "rules").find(|rule| rule["id"] == id)
}

pub fn zone_of(plan: &Value) -> Zone {
    Zone::parse(plan["time_zone"].as_str().unwrap_or("UTC")).unwrap()
}

pub fn period_of(plan: &Value, at: Micros) -> Period {
    let length = PeriodLength::parse(plan["period"].as_str().unwrap_or("month")).unwrap();
    Period::holding(length, zone_of(plan).day_of(Instant(at)))
}

pub fn start_of(plan: &Value, period: Period) -> Micros {
    zone_of(plan).start_of(period.first_day).0
}

pub fn list<'w>(value: &'w Value, key: &str) -> impl Iterator<Item = &'w Value> + use<'w> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

pub fn fraction(value: &Value, key: &str) -> Option<Fraction> {
    value.get(key).and_then(number)
}

/// A decimal in text, or a whole number.
pub fn number(value: &Value) -> Option<Fraction> {
    match value {
        Value::String(text) => Fraction::parse(text),
        other => other.as_i64().map(|whole| Fraction::whole(i128::from(whole))),
    }
}

pub fn instant(value: &Value, key: &str) -> Option<Micros> {
    value.get(key).and_then(Value::as_str).and_then(Instant::parse).map(|at| at.0)
}

fn name_of(plan: &Value) -> String {
    plan["name"].as_str().unwrap().to_owned()
}
