//! Runs a case file (`commissions.md` §6) in memory, on the same functions that price for the server.
//!
//! Leaves reading files and printing to the binary. What a case asks for and this version lacks is a failure with a
//! clear message, never a pass.

use headwater_domain::commission::{
    Binding, CustomerView, ExchangeRates, PartnerTerms, Payee, PersonView, Plan, PlanVersion, PostedCell, Posting,
    Terms, conditions, evaluate, lint, postings,
};
use headwater_domain::fact::{Fact, FactBody, daily_key};
use headwater_domain::ids::{CustomerId, FactId, IdSource, PartnerId, PersonId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ALWAYS: Instant = Instant(i64::MIN);

/// Runs the case.
///
/// # Errors
/// Every expectation that was not met, with what came instead.
pub fn run_case(document: &Value) -> Result<(), Vec<String>> {
    let mut world = World::open(document).map_err(|problem| vec![problem])?;
    let mut failures = Vec::new();
    for (index, step) in list(document, "steps").enumerate() {
        world.step(step).into_iter().for_each(|failure| failures.push(format!("step {}: {failure}", index + 1)));
    }
    failures.extend(world.check_totals(document.get("totals")));
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// A step that was refused: its code, or for a plan the path of the first mistake.
struct Refused {
    code: String,
    message: String,
}

type Step<T> = Result<T, Refused>;

fn refused(code: &str, message: impl Into<String>) -> Refused {
    Refused { code: code.to_owned(), message: message.into() }
}

struct Known {
    person: PersonId,
    view: CustomerView,
}

struct World {
    ids: IdSource,
    clock: Instant,
    plans: BTreeMap<String, Vec<Arc<PlanVersion>>>,
    partner_names: Vec<String>,
    partner_plans: BTreeMap<PartnerId, String>,
    parents: BTreeMap<PartnerId, PartnerId>,
    terms: BTreeMap<PartnerId, PartnerTerms>,
    customer_names: Vec<String>,
    person_names: Vec<String>,
    customers: BTreeMap<CustomerId, Known>,
    facts: BTreeMap<(&'static str, String), Fact>,
    exchange: ExchangeRates,
    posted: BTreeMap<PersonId, BTreeMap<String, PostedCell>>,
    held: BTreeSet<(FactId, String)>,
}

/// What a step did.
struct Outcome {
    postings: Vec<Posting>,
    newly_held: Vec<String>,
}

impl World {
    fn open(document: &Value) -> Result<Self, String> {
        let mut world = Self {
            ids: IdSource::new(0, 0),
            clock: Instant(0),
            plans: BTreeMap::new(),
            partner_names: Vec::new(),
            partner_plans: BTreeMap::new(),
            parents: BTreeMap::new(),
            terms: BTreeMap::new(),
            customer_names: Vec::new(),
            person_names: Vec::new(),
            customers: BTreeMap::new(),
            facts: BTreeMap::new(),
            exchange: ExchangeRates::default(),
            posted: BTreeMap::new(),
            held: BTreeSet::new(),
        };
        let show = |refused: Refused| format!("{}: {}", refused.code, refused.message);
        let plans: Vec<&Value> = match (document.get("plan"), document.get("plans").and_then(Value::as_object)) {
            (Some(plan), _) => vec![plan],
            (None, Some(plans)) => plans.values().collect(),
            (None, None) => return Err("the case has neither `plan` nor `plans`".to_owned()),
        };
        let mut default_plan = None;
        for plan in plans {
            let plan = linted(plan).map_err(show)?;
            default_plan.get_or_insert_with(|| plan.name.clone());
            world.add_version(plan, ALWAYS);
        }
        for partner in list(document, "partners") {
            world.add_partner(partner, default_plan.as_deref().unwrap_or_default()).map_err(show)?;
        }
        for partner in list(document, "partners").filter(|partner| partner.get("parent").is_some()) {
            world
                .move_partner(text(partner, "id").map_err(show)?, text(partner, "parent").map_err(show)?)
                .map_err(show)?;
        }
        for customer in list(document, "customers") {
            world.add_customer(customer).map_err(show)?;
        }
        for rate in list(document, "exchange_rates") {
            world.add_rate(rate).map_err(show)?;
        }
        world.share_plans();
        Ok(world)
    }

    fn step(&mut self, step: &Value) -> Vec<String> {
        let mut failures = Vec::new();
        let expected_error = step.get("expect_error").and_then(Value::as_str);
        match (self.apply(step), expected_error) {
            (Ok(_), Some(code)) => failures.push(format!("expected the error {code}, but the step was accepted")),
            (Err(refused), Some(code)) if refused.code == code => {}
            (Err(refused), Some(code)) => failures.push(format!("expected the error {code}, got {}", refused.code)),
            (Err(refused), None) => failures.push(format!("refused: {}: {}", refused.code, refused.message)),
            (Ok(changed), None) => {
                let outcome = self.settle(&changed);
                failures.extend(self.check_postings(step.get("expect"), &outcome.postings));
                failures.extend(check_held(step.get("held"), outcome.newly_held));
                failures.extend(self.check_conditions(step.get("expect_conditions")));
            }
        }
        failures
    }

    /// Does what the step says; gives the facts that it changed.
    fn apply(&mut self, step: &Value) -> Step<Vec<FactId>> {
        let mut changed = Vec::new();
        for (key, value) in step.as_object().into_iter().flatten() {
            match key.as_str() {
                "customer" => self.add_customer(value)?,
                "fact" => match value.as_array() {
                    Some(facts) => {
                        for fact in facts {
                            changed.extend(self.add_fact(fact)?);
                        }
                    }
                    None => changed.extend(self.add_fact(value)?),
                },
                "exchange_rate" => self.add_rate(value)?,
                "move_partner" => self.move_partner(text(value, "partner")?, text(value, "parent")?)?,
                "suspend_partner" => self.suspend(value, true)?,
                "restore_partner" => self.suspend(value, false)?,
                "plan" => {
                    let plan = linted(value)?;
                    let from = text(step, "from")?;
                    let day = from.parse().ok().map(|day| plan.zone.start_of(day));
                    let from = Instant::parse(from).or(day).ok_or_else(|| refused("from", "is no date or instant"))?;
                    self.add_version(plan, from);
                    self.share_plans();
                }
                "lint" => drop(linted(value)?),
                "now" => self.clock = instant(step, "now")?,
                // No rule kind of this version waits for the end of a period.
                "close_period" | "from" | "expect" | "held" | "expect_error" | "expect_conditions" => {}
                other => return Err(refused("unsupported", format!("a step with `{other}`"))),
            }
        }
        Ok(changed)
    }

    /// Evaluates everybody and posts the differences.
    fn settle(&mut self, changed: &[FactId]) -> Outcome {
        let mut views: BTreeMap<PersonId, PersonView> = BTreeMap::new();
        for known in self.customers.values() {
            let empty = || PersonView { person: known.person, customers: Vec::new(), facts: Vec::new() };
            views.entry(known.person).or_insert_with(empty).customers.push(known.view.clone());
        }
        let mut held = BTreeSet::new();
        for fact in self.facts.values() {
            match self.customers.get(&fact.customer).and_then(|known| views.get_mut(&known.person)) {
                Some(view) => view.facts.push(fact.clone()),
                None => drop(held.insert((fact.id, "unknown_customer".to_owned()))),
            }
        }
        let terms = Terms { partners: &self.terms, exchange: &self.exchange };
        let mut all = Vec::new();
        for (person, view) in &views {
            let evaluation = evaluate(view, &terms);
            held.extend(evaluation.held.iter().map(|held| (held.fact, held.reason.name().to_owned())));
            let posted = self.posted.entry(*person).or_default();
            for posting in postings(&evaluation, posted, changed) {
                let nothing = || PostedCell { cell: posting.cell.clone(), amount: Decimal::ZERO };
                let cell = posted.entry(posting.cell_text.clone()).or_insert_with(nothing);
                cell.amount = cell.amount.checked_add(posting.amount).expect("a worth is in range");
                all.push(posting);
            }
        }
        let newly_held = held.difference(&self.held).map(|(_, reason)| reason.clone()).collect();
        self.held = held;
        Outcome { postings: all, newly_held }
    }

    fn add_version(&mut self, plan: Plan, from: Instant) {
        let versions = self.plans.entry(plan.name.clone()).or_default();
        let version = i64::try_from(versions.len()).expect("a case is small") + 1;
        versions.retain(|known| known.from != from);
        versions.push(Arc::new(PlanVersion { name: plan.name.clone(), version, from, plan }));
        versions.sort_by_key(|version| version.from);
    }

    fn share_plans(&mut self) {
        for (partner, terms) in &mut self.terms {
            let versions = self.partner_plans.get(partner).and_then(|name| self.plans.get(name));
            terms.plans = versions.cloned().unwrap_or_default();
        }
    }

    fn add_partner(&mut self, partner: &Value, default_plan: &str) -> Step<()> {
        let id = PartnerId(number(&mut self.partner_names, text(partner, "id")?));
        let plan = partner.get("plan").and_then(Value::as_str).unwrap_or(default_plan);
        if !self.plans.contains_key(plan) {
            return Err(refused("unknown_plan", plan));
        }
        self.partner_plans.insert(id, plan.to_owned());
        let mut terms = PartnerTerms::default();
        for (rule, rate) in partner.get("rates").and_then(Value::as_object).into_iter().flatten() {
            let rate = rate.as_str().and_then(|rate| Decimal::parse(rate).ok());
            terms.rates.insert(rule.clone(), rate.ok_or_else(|| refused("rates", format!("{rule} is no decimal")))?);
        }
        match partner.get("status").and_then(Value::as_str) {
            None | Some("active") => {}
            Some("suspended" | "blocked") => terms.suspended.push((ALWAYS, true)),
            Some(other) => return Err(refused("unsupported", format!("the status {other}"))),
        }
        self.terms.insert(id, terms);
        Ok(())
    }

    fn partner(&self, name: &str) -> Step<PartnerId> {
        find(&self.partner_names, name).map(PartnerId).ok_or_else(|| refused("unknown_partner", name))
    }

    /// Nothing of this version pays the levels above, so the date of a move changes nothing; a cycle is refused.
    fn move_partner(&mut self, partner: &str, parent: &str) -> Step<()> {
        let (partner, parent) = (self.partner(partner)?, self.partner(parent)?);
        let mut above = Some(parent);
        while let Some(place) = above {
            if place == partner {
                return Err(refused("cycle", "a partner cannot be under its own descendant"));
            }
            above = self.parents.get(&place).copied();
        }
        self.parents.insert(partner, parent);
        Ok(())
    }

    fn suspend(&mut self, value: &Value, suspended: bool) -> Step<()> {
        let (partner, at) = (self.partner(text(value, "partner")?)?, instant(value, "at")?);
        let terms = self.terms.get_mut(&partner).expect("a partner has terms from the start");
        terms.suspended.push((at, suspended));
        terms.suspended.sort_by_key(|(at, _)| *at);
        Ok(())
    }

    fn add_customer(&mut self, value: &Value) -> Step<()> {
        let name = text(value, "id")?;
        let customer = CustomerId(number(&mut self.customer_names, name));
        // A customer without a person is a person of its own, under a name that no document can have.
        let alone = format!("\u{0}{name}");
        let person = value.get("person").and_then(Value::as_str).unwrap_or(&alone);
        let person = PersonId(number(&mut self.person_names, person));
        let of = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let registered_at =
            if value.get("registered_at").is_some() { instant(value, "registered_at")? } else { Instant(0) };
        let mut bindings = Vec::new();
        if let Some(partner) = value.get("partner").and_then(Value::as_str) {
            bindings.push(Binding { from: ALWAYS, partner: self.partner(partner)? });
        }
        let view = CustomerView {
            customer,
            registered_at,
            country: of("country"),
            account_type: of("account_type"),
            campaign: of("campaign"),
            link: of("link"),
            bindings,
        };
        self.customers.insert(customer, Known { person, view });
        Ok(())
    }

    fn add_rate(&mut self, value: &Value) -> Step<()> {
        let bad = |key: &str| refused(key, "cannot be read");
        let date = text(value, "date")?.parse().map_err(|_| bad("date"))?;
        let currency = |key: &str| Currency::parse(text(value, key)?).ok_or_else(|| bad(key));
        let rate = Decimal::parse(text(value, "rate")?).map_err(|_| bad("rate"))?;
        self.exchange.insert(date, currency("from")?, currency("to")?, rate);
        Ok(())
    }

    /// Takes the record in; `None` where a greater revision of its key is known.
    fn add_fact(&mut self, value: &Value) -> Step<Option<FactId>> {
        let type_name = text(value, "type")?;
        let body = FactBody::from_json(type_name, value)
            .ok_or_else(|| refused("unsupported", format!("a fact of type {type_name} with these values")))?;
        let customer_name = text(value, "customer")?;
        let customer = CustomerId(number(&mut self.customer_names, customer_name));
        let key = match (&body, value.get("key").and_then(Value::as_str)) {
            (_, Some(key)) => key.to_owned(),
            (FactBody::TradingDay(day), None) => daily_key(day.date, customer_name, &day.instrument, day.currency),
            (_, None) => return Err(refused("key", "is missing")),
        };
        let at = match &body {
            FactBody::TradingDay(day) => {
                Instant::parse(&format!("{}T00:00:00Z", day.date)).ok_or_else(|| refused("date", "is out of range"))?
            }
            FactBody::Trade(trade) => trade.closed_at.unwrap_or(trade.opened_at),
            FactBody::Event { .. } | FactBody::Money { .. } => instant(value, "at")?,
        };
        let revision = match value.get("revision") {
            None => None,
            Some(Value::String(time)) => Some(Instant::parse(time).ok_or_else(|| refused("revision", "is no time"))?.0),
            Some(number) => Some(number.as_i64().ok_or_else(|| refused("revision", "is no whole number"))?),
        };
        self.clock = self.clock.max(at);
        let known = self.facts.get(&(body.type_name(), key.clone()));
        if known.is_some_and(|known| known.revision.is_some() && revision.is_some() && known.revision > revision) {
            return Ok(None);
        }
        let id = known.map_or_else(|| FactId(self.ids.next(at)), |known| known.id);
        let fact = Fact { id, key: key.clone(), revision, customer, at, body };
        self.facts.insert((fact.body.type_name(), key), fact);
        Ok(Some(id))
    }

    fn owner_name(&self, payee: Payee) -> String {
        let name = |names: &[String], id: i64| {
            let index = usize::try_from(id - 1).expect("numbers of a case start at 1");
            names.get(index).cloned().unwrap_or_default()
        };
        match payee {
            Payee::Partner(id) => name(&self.partner_names, id.0),
            Payee::Customer(id) => format!("customer:{}", name(&self.customer_names, id.0)),
        }
    }

    fn check_postings(&self, expected: Option<&Value>, came: &[Posting]) -> Vec<String> {
        let Some(expected) = expected.and_then(Value::as_array) else { return Vec::new() };
        let mut failures = Vec::new();
        let mut open: Vec<&Posting> = came.iter().collect();
        for wanted in expected {
            match open.iter().position(|posting| self.matches(wanted, posting)) {
                Some(found) => drop(open.remove(found)),
                None => failures.push(format!("expected the posting {wanted}, which did not come")),
            }
        }
        failures.extend(open.iter().map(|posting| {
            let owner = self.owner_name(posting.cell.payee);
            let (rule, unit) = (&posting.cell.rule, posting.cell.unit.name());
            let amount = posting.amount.to_text(posting.cell.unit.minor_digits());
            format!("came: {owner} {rule} {amount} {unit} for {}, payable {}", posting.for_period, posting.payable_at)
        }));
        failures
    }

    /// Whether every key of the expectation holds; a key that is not known here holds for nothing.
    fn matches(&self, wanted: &Value, posting: &Posting) -> bool {
        let owner = self.owner_name(posting.cell.payee);
        wanted.as_object().is_some_and(|keys| {
            keys.iter().all(|(key, value)| {
                let word = value.as_str().unwrap_or_default();
                match key.as_str() {
                    "partner" => owner == word,
                    "customer" => owner == format!("customer:{word}"),
                    "rule" => posting.cell.rule == word,
                    "amount" => Decimal::parse(word) == Ok(posting.amount),
                    "unit" => posting.cell.unit.name() == word,
                    "level" => value.as_i64() == Some(i64::from(posting.cell.level)),
                    "for_period" => posting.for_period.to_string() == word,
                    "payable_at" => Instant::parse(word) == Some(posting.payable_at),
                    _ => false,
                }
            })
        })
    }

    fn check_conditions(&self, expected: Option<&Value>) -> Vec<String> {
        let Some(expected) = expected else { return Vec::new() };
        let name = expected.get("customer").and_then(Value::as_str).unwrap_or_default();
        let customer = find(&self.customer_names, name).map(CustomerId);
        let Some(known) = customer.and_then(|id| self.customers.get(&id)) else {
            return vec![format!("conditions of the unknown customer {name}")];
        };
        let customers = self.customers.values().filter(|other| other.person == known.person);
        let person = PersonView {
            person: known.person,
            customers: customers.map(|known| known.view.clone()).collect(),
            facts: self.facts.values().filter(|fact| self.is_of(fact, known.person)).cloned().collect(),
        };
        let terms = Terms { partners: &self.terms, exchange: &self.exchange };
        let rule = expected.get("rule").and_then(Value::as_str);
        let report = conditions(&person, &terms, known.view.customer, rule, self.clock);
        let Some(report) = report else { return vec!["there are no such conditions".to_owned()] };
        let wanted = expected.get("missing").and_then(Value::as_object).into_iter().flatten();
        let wanted: BTreeMap<String, String> =
            wanted.map(|(key, value)| (key.clone(), plain(value.as_str().unwrap_or(&value.to_string())))).collect();
        let came: BTreeMap<String, String> =
            report.missing.iter().map(|(key, value)| (key.clone(), plain(value))).collect();
        if wanted == came { Vec::new() } else { vec![format!("expected missing {wanted:?}, got {came:?}")] }
    }

    fn is_of(&self, fact: &Fact, person: PersonId) -> bool {
        self.customers.get(&fact.customer).is_some_and(|known| known.person == person)
    }

    fn check_totals(&self, expected: Option<&Value>) -> Vec<String> {
        let Some(expected) = expected.and_then(Value::as_object) else { return Vec::new() };
        let mut came: BTreeMap<(String, String), i64> = BTreeMap::new();
        for cell in self.posted.values().flat_map(BTreeMap::values) {
            *came.entry((self.owner_name(cell.cell.payee), cell.cell.unit.name())).or_default() += cell.amount.0;
        }
        let mut failures = Vec::new();
        for (owner, units) in expected {
            for (unit, amount) in units.as_object().into_iter().flatten() {
                let wanted = amount.as_str().and_then(|amount| Decimal::parse(amount).ok());
                let got = Decimal(came.remove(&(owner.clone(), unit.clone())).unwrap_or_default());
                if wanted != Some(got) {
                    failures.push(format!("total of {owner}: expected {amount} {unit}, got {got}"));
                }
            }
        }
        let left = came.into_iter().filter(|(_, micros)| *micros != 0);
        failures.extend(
            left.map(|((owner, unit), micros)| format!("total of {owner}: expected 0 {unit}, got {}", Decimal(micros))),
        );
        failures
    }
}

fn check_held(expected: Option<&Value>, mut came: Vec<String>) -> Vec<String> {
    let Some(expected) = expected.and_then(Value::as_array) else { return Vec::new() };
    let reason = |held: &Value| held.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut wanted: Vec<String> = expected.iter().map(reason).collect();
    wanted.sort();
    came.sort();
    if wanted == came { Vec::new() } else { vec![format!("expected held {wanted:?}, got {came:?}")] }
}

fn linted(document: &Value) -> Step<Plan> {
    lint(document).map_err(|mistakes| {
        let first = mistakes.first().map(|mistake| mistake.path.clone()).unwrap_or_default();
        let all: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        refused(&first, all.join("; "))
    })
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> Step<&'a str> {
    value.get(key).and_then(Value::as_str).ok_or_else(|| refused(key, "is missing or no text"))
}

fn instant(value: &Value, key: &str) -> Step<Instant> {
    Instant::parse(text(value, key)?).ok_or_else(|| refused(key, "is no instant"))
}

/// `0.010` and `0.01` are the same number; what is no number stands as it is.
fn plain(value: &str) -> String {
    Decimal::parse(value).map_or_else(|_| value.to_owned(), |number| number.to_string())
}

/// The number of a name, counted from 1 in the order of appearance.
fn number(names: &mut Vec<String>, name: &str) -> i64 {
    find(names, name).unwrap_or_else(|| {
        names.push(name.to_owned());
        i64::try_from(names.len()).expect("a case is small")
    })
}

fn find(names: &[String], name: &str) -> Option<i64> {
    let index = names.iter().position(|known| known == name)?;
    i64::try_from(index + 1).ok()
}
