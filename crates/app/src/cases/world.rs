//! What a case has told so far, and what each of its steps changes.

use super::{Step, find, instant, linted, list, number, refused, text};
use headwater_domain::commission::{
    Binding, CustomerView, ExchangeRates, PartnerTerms, PersonView, Plan, PlanVersion, PostedCell, Posting, Split,
    SplitPart, Terms, evaluate, postings,
};
use headwater_domain::fact::{Fact, FactBody, MoneyKind, daily_key, daily_kpi_key};
use headwater_domain::ids::{CustomerId, FactId, IdSource, PartnerId, PersonId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::{Date, Instant, Period, Zone};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ALWAYS: Instant = Instant(i64::MIN);

pub(super) struct Known {
    pub person: PersonId,
    pub view: CustomerView,
}

pub(super) struct World {
    ids: IdSource,
    pub clock: Instant,
    plans: BTreeMap<String, Vec<Arc<PlanVersion>>>,
    pub partner_names: Vec<String>,
    partner_plans: BTreeMap<PartnerId, String>,
    pub terms: BTreeMap<PartnerId, PartnerTerms>,
    pub customer_names: Vec<String>,
    person_names: Vec<String>,
    /// Accounts of one email are one person's.
    emails: BTreeMap<String, PersonId>,
    pub customers: BTreeMap<CustomerId, Known>,
    facts: BTreeMap<(&'static str, String), Fact>,
    pub exchange: ExchangeRates,
    pub posted: BTreeMap<String, PostedCell>,
    closed_before: Option<Date>,
    held: BTreeSet<(FactId, String)>,
}

/// What a step did.
pub(super) struct Outcome {
    pub postings: Vec<Posting<'static>>,
    pub newly_held: Vec<String>,
}

impl World {
    pub(super) fn open(document: &Value) -> Result<Self, String> {
        let mut world = Self {
            ids: IdSource::new(0, 0),
            clock: Instant(0),
            plans: BTreeMap::new(),
            partner_names: Vec::new(),
            partner_plans: BTreeMap::new(),
            closed_before: None,
            terms: BTreeMap::new(),
            customer_names: Vec::new(),
            person_names: Vec::new(),
            emails: BTreeMap::new(),
            customers: BTreeMap::new(),
            facts: BTreeMap::new(),
            exchange: ExchangeRates::default(),
            posted: BTreeMap::new(),
            held: BTreeSet::new(),
        };
        let show = |refused: super::Refused| format!("{}: {}", refused.code, refused.message);
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
            let (id, parent) = (text(partner, "id").map_err(show)?, text(partner, "parent").map_err(show)?);
            world.move_partner(id, parent, ALWAYS).map_err(show)?;
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

    /// Does what the step says; gives the facts that it changed.
    pub(super) fn apply(&mut self, step: &Value) -> Step<Vec<FactId>> {
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
                "split" => self.split(value)?,
                "exchange_rate" => self.add_rate(value)?,
                "move_partner" => {
                    let at = instant(value, "at")?;
                    self.move_partner(text(value, "partner")?, text(value, "parent")?, at)?;
                }
                "suspend_partner" => self.suspend(value, true)?,
                "restore_partner" => self.suspend(value, false)?,
                "plan" => {
                    let plan = linted(value)?;
                    let from = moment(text(step, "from")?, &plan.zone)?;
                    self.add_version(plan, from);
                    self.share_plans();
                }
                "lint" => drop(linted(value)?),
                "now" => self.clock = instant(step, "now")?,
                "close_period" => {
                    let period = Period::parse(text(step, "close_period")?);
                    let end = period.ok_or_else(|| refused("close_period", "is no period"))?.next().first_day;
                    self.closed_before = self.closed_before.max(Some(end));
                }
                "from" | "expect" | "held" | "expect_error" | "expect_conditions" => {}
                other => return Err(refused("unsupported", format!("a step with `{other}`"))),
            }
        }
        Ok(changed)
    }

    /// Evaluates everybody and posts the differences.
    pub(super) fn settle(&mut self, changed: &[FactId]) -> Outcome {
        let (persons, strangers) = self.persons();
        let mut held: BTreeSet<(FactId, String)> =
            strangers.into_iter().map(|fact| (fact, "unknown_customer".to_owned())).collect();
        let terms = self.dated();
        let evaluation = evaluate(&persons, &terms);
        held.extend(evaluation.held.iter().map(|held| (held.fact, held.reason.name().to_owned())));
        let all: Vec<_> = postings(&evaluation, &self.posted, changed).into_iter().map(Posting::told).collect();
        for posting in &all {
            let nothing =
                || PostedCell { cell: posting.cell.clone(), amount: Decimal::ZERO, cut_off: Decimal::ZERO, last: None };
            let cell = self.posted.entry(posting.cell_text.clone()).or_insert_with(nothing);
            cell.amount = cell.amount.checked_add(posting.amount).expect("a worth is in range");
            cell.cut_off = posting.cut_off_after;
            cell.last = Some(posting.terms());
        }
        let newly_held = held.difference(&self.held).map(|(_, reason)| reason.clone()).collect();
        self.held = held;
        Outcome { postings: all, newly_held }
    }

    /// Everybody with their facts, and the facts of customers that nobody knows.
    pub(super) fn persons(&self) -> (Vec<PersonView>, Vec<FactId>) {
        let mut views: BTreeMap<PersonId, PersonView> = BTreeMap::new();
        for known in self.customers.values() {
            let empty = || PersonView { person: known.person, customers: Vec::new(), facts: Vec::new() };
            views.entry(known.person).or_insert_with(empty).customers.push(known.view.clone());
        }
        let mut strangers = Vec::new();
        for fact in self.facts.values() {
            let fact = self.of_its_sale(fact);
            match self.customers.get(&fact.customer).and_then(|known| views.get_mut(&known.person)) {
                Some(view) => view.facts.push(fact),
                None => strangers.push(fact.id),
            }
        }
        (views.into_values().collect(), strangers)
    }

    /// A refund is of its sale: it follows it to whoever that is of.
    fn of_its_sale(&self, fact: &Fact) -> Fact {
        let mut fact = fact.clone();
        if let FactBody::Refund { sale, .. } = &fact.body
            && let Some(sale) = self.facts.get(&("sale", sale.clone()))
        {
            fact.customer = sale.customer;
        }
        fact
    }

    pub(super) fn dated(&self) -> Terms<'_> {
        Terms { partners: &self.terms, exchange: &self.exchange, closed_before: self.closed_before }
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

    /// The partner is under the parent from `at` on, until the next move. A cycle at any date is refused.
    fn move_partner(&mut self, partner: &str, parent: &str, at: Instant) -> Step<()> {
        let (partner, parent) = (self.partner(partner)?, self.partner(parent)?);
        let terms = self.terms.get_mut(&partner).expect("a partner has terms from the start");
        let before = terms.parents.clone();
        terms.parents.retain(|(from, _)| *from != at);
        terms.parents.push((at, Some(parent)));
        terms.parents.sort_by_key(|(from, _)| *from);
        let dates: BTreeSet<Instant> =
            self.terms.values().flat_map(|terms| &terms.parents).map(|(from, _)| *from).collect();
        if dates.range(at..).any(|date| self.is_above_itself(partner, *date)) {
            self.terms.get_mut(&partner).expect("as above").parents = before;
            return Err(refused("cycle", "a partner cannot be under its own descendant"));
        }
        Ok(())
    }

    fn is_above_itself(&self, partner: PartnerId, at: Instant) -> bool {
        let mut above = self.terms.get(&partner).and_then(|terms| terms.parent_at(at));
        let mut steps_left = self.terms.len();
        while let Some(place) = above.filter(|place| *place != partner && steps_left > 0) {
            above = self.terms.get(&place).and_then(|terms| terms.parent_at(at));
            steps_left -= 1;
        }
        above.is_some()
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
        let said = value.get("person").and_then(Value::as_str);
        let email = value.get("email").and_then(Value::as_str).map(|email| email.trim().to_lowercase());
        let known = email.as_ref().and_then(|email| self.emails.get(email)).copied();
        let person = match (said, known) {
            (None, Some(known)) => known,
            _ => PersonId(number(&mut self.person_names, said.unwrap_or(&alone))),
        };
        if let Some(other) = known.filter(|other| *other != person) {
            // Said to be another's, and of the same email: they are all one.
            self.customers.values_mut().filter(|known| known.person == other).for_each(|known| known.person = person);
            self.emails.values_mut().filter(|known| **known == other).for_each(|known| *known = person);
        }
        self.emails.extend(email.map(|email| (email, person)));
        let of = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let registered_at =
            if value.get("registered_at").is_some() { instant(value, "registered_at")? } else { Instant(0) };
        let mut bindings = Vec::new();
        if let Some(partner) = value.get("partner").and_then(Value::as_str) {
            let partner = self.partner(partner)?;
            let mut splits = Vec::new();
            self.split_of(partner, ALWAYS, list(value, "split"))?.put_into(&mut splits);
            bindings.push(Binding { splits, ..Binding::new(ALWAYS, partner) });
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

    /// Who shares from a moment on what the customer's partner earns.
    fn split(&mut self, value: &Value) -> Step<()> {
        let at = instant(value, "at")?;
        let customer = find(&self.customer_names, text(value, "customer")?).map(CustomerId);
        let known = customer.and_then(|customer| self.customers.get(&customer));
        let known = known.ok_or_else(|| refused("unknown_customer", "who shares is said of a customer"))?;
        let Some(partner) = known.view.bindings.last().map(|binding| binding.partner) else {
            return Err(refused("split", "of a customer that nobody brought"));
        };
        let split = self.split_of(partner, at, list(value, "parts"))?;
        let binding = customer.and_then(|customer| self.customers.get_mut(&customer)?.view.bindings.last_mut());
        split.put_into(&mut binding.expect("it was found above").splits);
        Ok(())
    }

    fn split_of<'v>(&self, partner: PartnerId, from: Instant, parts: impl Iterator<Item = &'v Value>) -> Step<Split> {
        let part = |part: &Value| {
            let percent = Decimal::parse(text(part, "percent")?).map_err(|_| refused("percent", "is no decimal"))?;
            Ok(SplitPart { partner: self.partner(text(part, "partner")?)?, percent })
        };
        let parts = parts.map(part).collect::<Step<Vec<_>>>()?;
        Split::of(partner, from, parts).map_err(|error| refused("split", error.to_string()))
    }

    fn add_rate(&mut self, value: &Value) -> Step<()> {
        let bad = |key: &str| refused(key, "cannot be read");
        let date = text(value, "date")?.parse().map_err(|_| bad("date"))?;
        let currency = |key: &str| Currency::parse(text(value, key)?).ok_or_else(|| bad(key));
        let rate = Decimal::parse(text(value, "rate")?).map_err(|_| bad("rate"))?;
        let (from, to) = (currency("from")?, currency("to")?);
        if from == to {
            return Err(refused("to", "is the currency itself"));
        }
        self.exchange.insert(date, from, to, rate);
        Ok(())
    }

    /// Takes the record in; `None` where a greater revision of its key is known.
    fn add_fact(&mut self, value: &Value) -> Step<Option<FactId>> {
        let type_name = text(value, "type")?;
        let mut value = value.clone();
        if let Some(partner) = value.get("partner").cloned() {
            if type_name != MoneyKind::IbRebate.name() {
                return Err(refused("unsupported", format!("a fact of type {type_name} with a partner")));
            }
            let partner = partner.as_str().ok_or_else(|| refused("partner", "is no text"))?;
            value["partner"] = self.partner(partner)?.to_string().into();
        }
        let value = &value;
        let body = FactBody::from_json(type_name, value)
            .ok_or_else(|| refused("unsupported", format!("a fact of type {type_name} with these values")))?;
        let customer_name = text(value, "customer")?;
        let customer = CustomerId(number(&mut self.customer_names, customer_name));
        let key = match (&body, value.get("key").and_then(Value::as_str)) {
            (_, Some(key)) => key.to_owned(),
            (FactBody::Kpi { name, group, .. }, None) => {
                let day = Zone::UTC.day_of(instant(value, "at")?);
                daily_kpi_key(day, customer_name, name, group.as_deref())
            }
            (FactBody::TradingDay(day), None) => daily_key(day.date, customer_name, &day.instrument, day.currency),
            (_, None) => return Err(refused("key", "is missing")),
        };
        let at = match &body {
            FactBody::TradingDay(day) => {
                Instant::parse(&format!("{}T00:00:00Z", day.date)).ok_or_else(|| refused("date", "is out of range"))?
            }
            FactBody::Trade(trade) => trade.closed_at.unwrap_or(trade.opened_at),
            _ => instant(value, "at")?,
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
}

/// A date in the zone, or an instant.
fn moment(text: &str, zone: &Zone) -> Step<Instant> {
    let day = text.parse().ok().map(|day| zone.start_of(day));
    Instant::parse(text).or(day).ok_or_else(|| refused("from", "is no date or instant"))
}
