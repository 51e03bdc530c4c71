//! `cpa`: an amount once the conditions are met, taken back when they no longer are.
//!
//! Its date, and with it its period, partner and plan version, is the moment at which the conditions were first met.
//! A condition on the partner is judged period by period: a month that reaches it pays for those who met their own
//! conditions by then.

use super::active;
use super::cell::{CellKey, Scope};
use super::claim::{Claim, Claims, Counted, Detail, Matter, Rate};
use super::condition::{ConditionState, Conditions, Sweep};
use super::person::Person;
use super::place::{Place, Places, RuleOf, Standing};
use super::plan::{Kind, OncePer, PlanVersion};
use super::rates;
use super::terms::{CustomerView, Terms};
use crate::fact::Fact;
use crate::money::{Decimal, Exact};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cpa {
    /// What it is worth.
    pub amount: Decimal,
    /// What must be met; the plan's `qualification` where the rule has none.
    pub qualify: Conditions,
    /// Person or customer.
    pub once_per: OncePer,
}

/// What the conditions of a rule say now of whom a cell is of, by the version that priced it last or the newest that has the
/// rule; and whether the partner is asked for something too. `None` where the rule has no conditions or nobody is there.
pub(super) fn states_of_cell(
    cell: &CellKey,
    priced_by: Option<(&str, i64)>,
    people: &[Person<'_>],
    terms: &Terms<'_>,
) -> Option<(Vec<ConditionState>, bool)> {
    let mut all = people.iter().flat_map(judged);
    let (judged, _) = all.find(|(judged, _)| judged.scope == cell.scope)?;
    let rules = rules_in_question(judged.account, terms);
    let mut of_id = rules.iter().rev().filter(|(version, index)| *version.plan.rules[*index].id == *cell.rule);
    let is_last = |(version, _): &&RuleOf| priced_by == Some((&*version.name, version.version));
    let (version, index) = of_id.clone().find(is_last).or_else(|| of_id.next())?;
    let Kind::Cpa(cpa) = &version.plan.rules[*index].kind else { return None };
    let sweep = Sweep::over(&cpa.qualify, &version.plan, judged.account, &judged.facts, terms.exchange);
    Some((sweep.states(&cpa.qualify), cpa.qualify.partner.is_some()))
}

/// Who is judged: a whole person, or one account of it.
#[derive(Clone)]
pub(super) struct Judged<'a> {
    pub account: &'a CustomerView,
    pub facts: Vec<&'a Fact>,
    pub scope: Scope,
}

/// A moment at which conditions were met, the fact that met them, and what holds there.
pub(super) struct Met<'a> {
    pub place: Place,
    pub fact: &'a Fact,
    /// Whether anybody is active to be paid: where nobody is, it is met then all the same.
    pub is_paid: bool,
}

/// Claims for the person as one, and for each account on its own by the rules that say so.
pub(super) fn claim<'a>(person: &Person<'a>, people: &[Person<'a>], places: &mut Places<'a>, claims: &mut Claims<'a>) {
    for (judged, once_per) in judged(person) {
        let mut earliest = Earliest::new();
        for rule_of in rules_in_question(judged.account, claims.terms) {
            let (plan, rule) = (&rule_of.0.plan, &rule_of.0.plan.rules[rule_of.1]);
            let Kind::Cpa(cpa) = &rule.kind else { continue };
            if cpa.once_per != once_per || !rule.when.admits_customer(judged.account) {
                continue;
            }
            let sweep = Sweep::over(&cpa.qualify, plan, judged.account, &judged.facts, claims.terms.exchange);
            hold_unpriced(&sweep, &judged, &rule_of.0, places, claims);
            let met = first_met(&sweep, &cpa.qualify, &judged, people, places, claims.terms, |place| {
                place.setting.rules.iter().any(|known| known.1 == rule_of.1 && Arc::ptr_eq(&known.0, &rule_of.0))
            });
            let Some(met) = met else { continue };
            let own = rates::own_rate(claims.terms, met.place.setting.partner, rule);
            let rate = Rate { rate: own.unwrap_or(cpa.amount).exact(), is_own: own.is_some() };
            let conditions = Detail::Conditions(sweep.states(&cpa.qualify));
            let claim = claimed(&judged, &met, &rule_of, &sweep, rate, conditions);
            keep_earlier(&mut earliest, claim, met.is_paid);
        }
        claims.all.extend(earliest.into_values().filter_map(|(claim, is_paid)| is_paid.then_some(claim)));
    }
}

/// The earliest claim of each rule, and whether anybody is paid for it.
type Earliest<'a> = BTreeMap<Arc<str>, (Claim<'a>, bool)>;

fn keep_earlier<'a>(earliest: &mut Earliest<'a>, claim: Claim<'a>, is_paid: bool) {
    let rule = claim.rule().id.clone();
    if earliest.get(&rule).is_none_or(|(known, _)| claim.place.at < known.place.at) {
        earliest.insert(rule, (claim, is_paid));
    }
}

/// The claim of 1 at a rate, with everything that counted.
pub(super) fn claimed<'a>(
    judged: &Judged<'a>,
    met: &Met<'a>,
    rule_of: &RuleOf,
    sweep: &Sweep,
    rate: Rate,
    detail: Detail,
) -> Claim<'a> {
    let matter = Matter { account: judged.account, fact: met.fact, place: &met.place, rule_of };
    let mut claim = matter.claim(judged.scope.clone(), Exact::whole(1), rate, detail);
    claim.also_counted = sweep
        .counted
        .iter()
        .map(|(fact, revision, at)| Counted { fact: *fact, revision: *revision, at: *at })
        .collect();
    claim
}

/// The person as one, and each account alone.
pub(super) fn judged<'a>(person: &Person<'a>) -> Vec<(Judged<'a>, OncePer)> {
    let mut all = Vec::new();
    if let Some(first) = person.first {
        let scope = Scope::Person(person.view.person);
        all.push((Judged { account: first, facts: person.facts.clone(), scope }, OncePer::Person));
    }
    for account in &person.view.customers {
        let facts = person.facts.iter().copied().filter(|fact| fact.customer == account.customer).collect();
        let scope = Scope::Customer(account.customer);
        all.push((Judged { account, facts, scope }, OncePer::Customer));
    }
    all
}

/// Every rule of every plan version that may price a moment of the account.
pub(super) fn rules_in_question(account: &CustomerView, terms: &Terms<'_>) -> Vec<RuleOf> {
    let versions = versions_in_question(account, terms);
    let rules =
        |version: Arc<PlanVersion>| (0..version.plan.rules.len()).map(move |index| (Arc::clone(&version), index));
    versions.into_iter().flat_map(rules).collect()
}

/// The versions of the plans of the account's partners; where one is passed over, of those above it too.
pub(super) fn versions_in_question(account: &CustomerView, terms: &Terms<'_>) -> Vec<Arc<PlanVersion>> {
    let mut open: Vec<_> = account.bindings.iter().map(|binding| binding.partner).collect();
    let mut seen = BTreeSet::new();
    let mut versions: Vec<Arc<PlanVersion>> = Vec::new();
    while let Some(partner) = open.pop() {
        let Some(known) = terms.partners.get(&partner).filter(|_| seen.insert(partner)) else { continue };
        for version in &known.plans {
            if !versions.iter().any(|known| Arc::ptr_eq(known, version)) {
                versions.push(Arc::clone(version));
            }
        }
        if known.plans.iter().any(|version| version.plan.on_suspended == super::plan::OnSuspended::Compress) {
            open.extend(known.parents.iter().filter_map(|(_, parent)| *parent));
        }
    }
    versions
}

/// The first moment at which the conditions were met where `holds` says that they are the ones in force. Where they were met while
/// the account was in another program, they are not met here once more.
pub(super) fn first_met<'a>(
    sweep: &Sweep,
    conditions: &Conditions,
    judged: &Judged<'a>,
    people: &[Person<'a>],
    places: &mut Places<'a>,
    terms: &'a Terms<'a>,
    holds: impl Fn(&Place) -> bool,
) -> Option<Met<'a>> {
    if !sweep.is_met_now {
        return None;
    }
    let mut at_moment = |at: Instant| {
        let partner = Terms::partner_at(judged.account, at)?;
        match places.find(partner, at, judged.account.registered_at) {
            Standing::Priced(place) if holds(&place) => Some((place, true)),
            Standing::Nobody(place) if holds(&place) => Some((place, false)),
            _ => None,
        }
    };
    let fact_of = |id| judged.facts.iter().copied().find(|fact| fact.id == id);
    let Some(asked) = &conditions.partner else {
        // Country and account type are those of the registration; something must happen for it to be told.
        let registered = conditions.ask_only_where().then_some(judged.account.registered_at);
        let registered = registered.zip(sweep.met.first().map(|(_, fact)| *fact));
        let here = registered.iter().chain(&sweep.met).take_while(|(at, _)| !judged.account.is_away_at(*at));
        return here.into_iter().find_map(|(at, fact)| {
            let (place, is_paid) = at_moment(*at)?;
            Some(Met { place, fact: fact_of(*fact)?, is_paid })
        });
    };
    let (own, fact) = sweep.met.first().copied()?;
    let moments = active::moments(asked, judged.account, own, people, terms);
    moments.into_iter().find_map(|at| {
        let (place, is_paid) = at_moment(at)?;
        Some(Met { place, fact: fact_of(fact)?, is_paid })
    })
}

/// Amounts that count towards conditions and have no exchange rate; each is held once, by the plan of its own date.
pub(super) fn hold_unpriced<'a>(
    sweep: &Sweep,
    judged: &Judged<'a>,
    version: &Arc<PlanVersion>,
    places: &mut Places<'a>,
    claims: &mut Claims<'a>,
) {
    for (fact, at, reason, detail) in &sweep.unpriced {
        let Some(partner) = Terms::partner_at(judged.account, *at) else { continue };
        let Standing::Priced(place) = places.find(partner, *at, judged.account.registered_at) else { continue };
        // Also while the partner is suspended: those above it may be paid all the same.
        if Arc::ptr_eq(&place.setting.version, version) {
            claims.hold(*fact, *reason, detail);
        }
    }
}

/// When the plan's `qualification` was first met by the person, and where.
pub(super) fn qualified<'a>(
    person: &Person<'a>,
    people: &[Person<'a>],
    places: &mut Places<'a>,
    terms: &'a Terms<'a>,
) -> Option<Met<'a>> {
    let (judged, _) = judged(person).into_iter().next()?;
    let mut earliest: Option<Met<'a>> = None;
    for version in versions_in_question(judged.account, terms) {
        let Some(asked) = &version.plan.qualification else { continue };
        let sweep = Sweep::over(asked, &version.plan, judged.account, &judged.facts, terms.exchange);
        let holds = |place: &Place| Arc::ptr_eq(&place.setting.version, &version);
        let Some(met) = first_met(&sweep, asked, &judged, people, places, terms, holds) else { continue };
        if earliest.as_ref().is_none_or(|known| met.place.at < known.place.at) {
            earliest = Some(met);
        }
    }
    earliest
}
