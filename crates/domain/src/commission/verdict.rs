//! What every rule says of one fact: that it counts, or the first reason why it does not. For facts that paid nothing.
//!
//! Leaves amounts to the explanations of postings. Asks the same functions that price: what is said here is what was done.

use super::claim::{Claim, Claims};
use super::evaluate::{Evaluation, evaluate};
use super::external::Side;
use super::person::Person;
use super::place::{Place, Places, RuleOf, Standing};
use super::plan::{Kind, Plan, Rule};
use super::sales::{Judged, SalesBook};
use super::terms::{CustomerView, PersonView, Terms};
use super::{progress, rates};
use crate::fact::{Fact, FactBody};
use crate::ids::{FactId, PartnerId};
use crate::money::Exact;
use crate::time::Instant;
use std::sync::Arc;

/// What a rule says of a fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleVerdict {
    /// The plan that priced the fact at its date.
    pub plan: String,
    /// Its version.
    pub version: i64,
    /// The rule.
    pub rule: Arc<str>,
    /// In one word; `counted` where it counts.
    pub reason: String,
    /// In a sentence.
    pub detail: String,
}

/// What every rule of the plan at the fact's date says of it, in the order of the plan. Empty where no plan prices it:
/// the fact is held, or its partner has none. `persons` hold the fact's person.
pub fn verdicts(persons: &[PersonView], terms: &Terms<'_>, fact: FactId) -> Vec<RuleVerdict> {
    let found = persons.iter().find_map(|person| {
        let fact = person.facts.iter().find(|known| known.id == fact)?;
        let standing = stands_with(person, fact);
        Some((fact, standing, person.account(standing.customer)?))
    });
    let Some((fact, standing, account)) = found else { return Vec::new() };
    let places = places(standing, account, terms);
    if places.is_empty() {
        return Vec::new();
    }
    let evaluation = evaluate(persons, terms);
    let verdict = |rule_of: &RuleOf| {
        let (version, index) = rule_of;
        let rule = &version.plan.rules[*index];
        let matter = Asked { persons, terms, fact, account, rule_of, rule, plan: &version.plan };
        let (reason, detail) = matter.answer(&evaluation);
        RuleVerdict { plan: version.name.clone(), version: version.version, rule: rule.id.clone(), reason, detail }
    };
    let rules = places.iter().flat_map(|(place, side)| {
        place.setting.rules.iter().filter(|(version, index)| side.is_of(&version.plan.rules[*index]))
    });
    rules.map(verdict).collect()
}

/// A refund stands where its sale does.
fn stands_with<'a>(person: &'a PersonView, fact: &'a Fact) -> &'a Fact {
    let FactBody::Refund { sale, .. } = &fact.body else { return fact };
    let is_sale = |known: &&Fact| matches!(known.body, FactBody::Sale { .. }) && known.key == *sale;
    person.facts.iter().find(is_sale).unwrap_or(fact)
}

fn places(fact: &Fact, account: &CustomerView, terms: &Terms<'_>) -> Vec<(Place, Side)> {
    let found: Vec<(Instant, PartnerId, Side)> = match &fact.body {
        FactBody::TradingDay(day) => {
            let place = terms.place_of_day(account, day.date);
            place.map(|(at, partner)| (at, partner, Side::Whole)).into_iter().collect()
        }
        _ => Side::of(fact, account).into_iter().filter_map(|(of, side)| Some((fact.at, of?, side))).collect(),
    };
    let mut places = Places::new(terms);
    let priced = |(at, partner, side)| match places.find(partner, at, account.registered_at) {
        Standing::Priced(place) => Some((place, side)),
        Standing::Unplanned | Standing::Nobody(_) => None,
    };
    found.into_iter().filter_map(priced).collect()
}

struct Asked<'a> {
    persons: &'a [PersonView],
    terms: &'a Terms<'a>,
    fact: &'a Fact,
    account: &'a CustomerView,
    rule_of: &'a RuleOf,
    rule: &'a Rule,
    plan: &'a Plan,
}

type Answer = (String, String);

fn answer(reason: &str, detail: impl Into<String>) -> Answer {
    (reason.to_owned(), detail.into())
}

impl Asked<'_> {
    fn answer(&self, evaluation: &Evaluation<'_>) -> Answer {
        let is_of = |claim: &&Claim<'_>| {
            let mut counted = std::iter::once(&claim.counted).chain(&claim.also_counted);
            claim.rule().id == self.rule.id && counted.any(|counted| counted.fact == self.fact.id)
        };
        if let Some(claim) = evaluation.claims.iter().find(is_of) {
            return counted(claim);
        }
        if let Some(detail) = self.other_type() {
            return answer("fact_type", detail);
        }
        if !matches!(self.rule.kind, Kind::Cpa(_) | Kind::CpaLadder(_))
            && !rates::admits(self.rule, self.plan, self.fact, self.account)
        {
            return answer("when", self.mismatch());
        }
        let held = evaluation.held.iter().filter(|held| held.fact == self.fact.id);
        if let Some(held) = held.max_by_key(|held| held.detail.contains(&*self.rule.id)) {
            return answer(held.reason.name(), held.detail.clone());
        }
        if self.rule.sales.is_some()
            && let Some(why) = self.refused_sale()
        {
            return answer("sales", why);
        }
        match &self.rule.kind {
            Kind::Flat(_) => answer("once_per", "it was paid for an earlier event already"),
            Kind::Cpa(_) => self.missing(),
            Kind::CpaLadder(_) => answer("conditions", "the deposits reach no step"),
            _ => answer("nothing_to_count", "the fact has nothing that the rule counts"),
        }
    }

    /// Where the kind looks at other facts.
    fn other_type(&self) -> Option<String> {
        let type_name = self.fact.body.type_name();
        let is_traded = matches!(self.fact.body, FactBody::TradingDay(_) | FactBody::Trade(_));
        match &self.rule.kind {
            Kind::PerLot(_) | Kind::PerMillion(_) => {
                (!is_traded).then(|| format!("it looks at trades and daily rows, not at a {type_name}"))
            }
            Kind::Flat(flat) => {
                let Some(on) = &flat.on else { return self.not_a_sale() };
                match &self.fact.body {
                    FactBody::Event { event, .. } if event == on => None,
                    FactBody::Event { event, .. } => Some(format!("it looks at the event {on}, not at {event}")),
                    _ => Some(format!("it looks at the event {on}, not at a {type_name}")),
                }
            }
            Kind::Percent(_) if self.rule.sales.is_some() => self.not_a_sale(),
            Kind::Percent(_) | Kind::Cpa(_) | Kind::CpaLadder(_) => None,
            Kind::External(_) => Some(format!("a {type_name} is not the figure that it passes through")),
            Kind::Bonus(bonus) => Some(format!("it is of what the rule {} is worth", bonus.of_rule)),
            Kind::Rebate(rebate) => Some(format!("it is of what the rule {} is worth", rebate.of_rule)),
        }
    }

    fn not_a_sale(&self) -> Option<String> {
        let is_sale = matches!(self.fact.body, FactBody::Sale { .. });
        (!is_sale).then(|| "it looks at sales alone".to_owned())
    }

    /// Which condition on sales keeps this one out.
    fn refused_sale(&self) -> Option<String> {
        let person = self.persons.iter().find(|person| person.account(self.account.customer).is_some())?;
        let (mut claims, mut places) = (Claims::new(self.terms), Places::new(self.terms));
        let people: Vec<Person<'_>> = self.persons.iter().map(|view| Person::open(view, &mut claims)).collect();
        let mut book = SalesBook::of(&people, &mut places, self.terms);
        match book.judge(person.person, self.fact, self.rule_of, self.terms) {
            Judged::Refused(why) => Some(why),
            Judged::Rewarded(_) | Judged::Unknown(..) => None,
        }
    }

    /// The first filter that keeps the fact out.
    fn mismatch(&self) -> String {
        let when = &self.rule.when;
        let (instrument, product_group, event) = match &self.fact.body {
            FactBody::TradingDay(day) => (Some(&*day.instrument), day.product_group.as_deref(), None),
            FactBody::Trade(trade) => (Some(&*trade.instrument), trade.product_group.as_deref(), None),
            FactBody::Kpi { group, .. } => (None, group.as_deref(), None),
            FactBody::Event { event, .. } => (None, None, Some(&**event)),
            FactBody::Money { .. } | FactBody::Sale { .. } | FactBody::Refund { .. } => (None, None, None),
        };
        let filters = [
            ("country", &when.country, self.account.country.as_deref()),
            ("account_type", &when.account_type, self.account.account_type.as_deref()),
            ("campaign", &when.campaign, self.account.campaign.as_deref()),
            ("link", &when.link, self.account.link.as_deref()),
            ("instrument", &when.instrument, instrument),
            ("product_group", &when.product_group, product_group),
            ("event", &when.event, event),
        ];
        let keeps_out = |(_, list, value): &&(&str, &Vec<String>, Option<&str>)| {
            !list.is_empty() && !value.is_some_and(|value| list.iter().any(|entry| entry == value))
        };
        match filters.iter().find(keeps_out) {
            Some((key, list, Some(value))) => format!("when.{key}: {value} is not among {}", list.join(", ")),
            Some((key, list, None)) => format!("when.{key}: unknown, and not among {}", list.join(", ")),
            None => format!("when.group: not an instrument of {}", when.group.join(", ")),
        }
    }

    /// What the conditions lack at the fact's date.
    fn missing(&self) -> Answer {
        if !self.rule.when.admits_customer(self.account) {
            return answer("when", self.mismatch());
        }
        let report =
            progress::conditions(self.persons, self.terms, self.account.customer, Some(&self.rule.id), self.fact.at);
        let missing = report.map(|report| report.missing).unwrap_or_default();
        let missing: Vec<String> = missing.iter().map(|(name, value)| format!("{name} {value}")).collect();
        if missing.is_empty() {
            return answer("conditions", "the fact is none that met the conditions");
        }
        answer("conditions", format!("missing: {}", missing.join(", ")))
    }
}

fn counted(claim: &Claim<'_>) -> Answer {
    let nothing_left = |share: &Option<Exact>| share.as_ref().is_some_and(Exact::is_zero);
    if !claim.amount.is_zero() && !nothing_left(&claim.budget_factor) {
        return answer("counted", format!("worth {} before tiers and rounding", claim.amount));
    }
    if nothing_left(&claim.carry_share) {
        return answer("carry", "its period is not closed yet, or a deficit takes all of it");
    }
    if !claim.cut_off.is_zero() {
        return answer("cap", format!("a cap takes all of {}", claim.cut_off));
    }
    if nothing_left(&claim.budget_factor) {
        return answer("budget", "the plan's budget leaves nothing");
    }
    answer("nothing_to_count", format!("{} at this rate are worth nothing", claim.quantity))
}
