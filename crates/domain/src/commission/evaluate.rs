//! The worth of every cell of these persons, from nothing: pure, in exact numbers, with one rounding per cell.
//!
//! Facts find their places; rules make claims; steps give them rates; caps and carry cut them; tiers, the budget and
//! rebates share them out; cells add them up. Leaves what was posted before to `posting`. The same persons, facts and
//! terms give the same cells, whatever order the facts came in.

use super::brackets::{self, Metric, Reached, Volumes};
use super::claim::{Claim, Claims, Matter};
use super::eligibility::Eligible;
use super::external::Side;
use super::held::{Held, HeldReason};
use super::person::{Person, is_ignored};
use super::place::{Place, Places, RuleOf, Standing};
use super::plan::{Kind, PlanVersion};
use super::reach::Window;
use super::sales::{Judged, SalesBook};
use super::split::{Portion, SplitPart, portions};
use super::sum::{Part, Worth};
use super::terms::{CustomerView, PersonView, Terms};
use super::traded::{Leg, Traded};
use super::{
    bonus, cap, carry, cpa, cpa_ladder, external, flat, ftd, per_lot, per_million, percent, rates, share, sum,
};
use crate::fact::{Fact, FactBody};
use crate::ids::{CustomerId, FactId, PersonId};
use crate::money::{Exact, OutOfRange};
use crate::time::Instant;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that facts are worth now.
#[derive(Debug, Default)]
pub struct Evaluation<'a> {
    /// By the text of the cell.
    pub worths: BTreeMap<String, Worth>,
    /// Sorted by fact and reason; each once.
    pub held: Vec<Held>,
    /// When each person first met its plan's `qualification`.
    pub qualified: BTreeMap<PersonId, Instant>,
    /// What was claimed, and what it was priced by, for the explanations.
    pub(super) claims: Vec<Claim<'a>>,
    pub(super) terms: Option<&'a Terms<'a>>,
    pub(super) volumes: Volumes<'a>,
    /// Where each fact stands: terms for taking back a cell that vanished.
    pub(super) standings: Vec<(FactId, Instant, Arc<PlanVersion>)>,
    pub(super) fallback: Option<Arc<PlanVersion>>,
    /// Whose facts they are: what conditions a person meets no longer is looked up where it is told.
    pub(super) people: Vec<Person<'a>>,
}

/// Every cell of these persons, from nothing. Where a plan reaches beyond a person (brackets, carry, caps by day or
/// period, conditions on a partner), they must be all the persons of the partners concerned.
pub fn evaluate<'a>(persons: &'a [PersonView], terms: &'a Terms<'a>) -> Evaluation<'a> {
    evaluate_with(persons, terms, Volumes::default())
}

/// The same for some of the persons of a program whose rules look beyond them through sums alone
/// ([`super::Plan::looks_beyond_by_sums`]): `reached` is what everybody together reached.
pub fn evaluate_among<'a>(persons: &'a [PersonView], terms: &'a Terms<'a>, reached: &'a Reached) -> Evaluation<'a> {
    evaluate_with(persons, terms, Volumes::of_everybody(reached))
}

/// What these persons' facts add to what the steps of rules are looked up by.
///
/// # Errors
/// [`OutOfRange`] where a sum is too large to compute with.
pub fn reached(persons: &[PersonView], terms: &Terms<'_>) -> Result<Reached, OutOfRange> {
    let (mut claims, mut places, mut volumes) = (Claims::new(terms), Places::new(terms), Volumes::default());
    claims.only_steps = true;
    let people: Vec<Person<'_>> = persons.iter().map(|person| Person::open(person, &mut claims)).collect();
    claims.sales = SalesBook::of(&people, &mut places, terms);
    let mut standings = Vec::new();
    for person in &people {
        for fact in &person.facts {
            claim_of_fact(person, fact, &mut places, &mut claims, &mut volumes, &mut standings);
        }
        flat::claim(person, &mut places, &mut claims);
        cpa::claim(person, &people, &mut places, &mut claims);
    }
    count_amounts(&claims, &mut volumes);
    ftd::count(&people, &mut places, terms, &mut volumes);
    volumes.into_reached()
}

fn evaluate_with<'a>(persons: &'a [PersonView], terms: &'a Terms<'a>, mut volumes: Volumes<'a>) -> Evaluation<'a> {
    let mut claims = Claims::new(terms);
    let mut places = Places::new(terms);
    let people: Vec<Person<'a>> = persons.iter().map(|person| Person::open(person, &mut claims)).collect();
    claims.sales = SalesBook::of(&people, &mut places, terms);
    let mut standings = Vec::new();
    let mut qualified = BTreeMap::new();
    for person in &people {
        for fact in &person.facts {
            claim_of_fact(person, fact, &mut places, &mut claims, &mut volumes, &mut standings);
        }
        flat::claim(person, &mut places, &mut claims);
        cpa::claim(person, &people, &mut places, &mut claims);
        cpa_ladder::claim(person, &people, &mut places, &mut claims);
        if let Some(met) = cpa::qualified(person, &people, &mut places, terms) {
            qualified.insert(person.view.person, met.place.at);
        }
    }
    count_amounts(&claims, &mut volumes);
    ftd::count(&people, &mut places, terms, &mut volumes);
    volumes.sort();
    brackets::apply(&mut claims, 0, &volumes);
    let facts_of = |customer: CustomerId| -> Vec<&'a Fact> {
        let person = people.iter().find(|person| person.view.account(customer).is_some());
        let of_person = person.into_iter().flat_map(|person| person.facts.iter().copied());
        of_person.filter(|fact| fact.customer == customer).collect()
    };
    price(&mut claims, &volumes, &facts_of);
    let shared = share::all(&mut claims, &volumes, &facts_of);
    let worths = sum::cells(&mut claims, shared);
    let bindings = people.iter().filter_map(|person| person.first?.bindings.last());
    let fallback =
        bindings.filter_map(|binding| terms.partners.get(&binding.partner)?.plans.last()).next_back().cloned();
    Evaluation {
        worths,
        qualified,
        standings,
        fallback,
        claims: std::mem::take(&mut claims.all),
        terms: Some(terms),
        volumes,
        people,
        held: held(claims),
    }
}

impl Evaluation<'_> {
    /// Leaves out the cells that are not told by the facts that were read.
    pub fn keep_shown(&mut self, window: &Window) {
        self.worths.retain(|_, worth| window.shows(&worth.cell.scope));
    }

    /// What the cell is made of: whose fact each part is of, when it stands, and what it is worth before rounding.
    pub fn parts<'e>(&'e self, worth: &'e Worth) -> impl Iterator<Item = (CustomerId, Instant, &'e Exact)> {
        worth.parts.iter().map(|part| {
            let claim = &self.claims[part.claim];
            (claim.account.customer, claim.place.at, &part.exact)
        })
    }

    /// Who shares what the cell has of this fact, or of the latest that counts in it; the direct partner first.
    pub(super) fn split_of(&self, worth: &Worth, fact: FactId) -> Vec<SplitPart> {
        if worth.parts.iter().all(|part| part.portion.is_none()) {
            return Vec::new();
        }
        let is_of_fact = |part: &&Part| {
            let claim = &self.claims[part.claim];
            std::iter::once(&claim.counted).chain(&claim.also_counted).any(|counted| counted.fact == fact)
        };
        let part = worth.parts.iter().rev().find(is_of_fact).or(worth.parts.last());
        let part = part.filter(|part| part.portion.is_some());
        let portions = part.zip(self.terms).and_then(|(part, terms)| portions(&self.claims[part.claim], terms));
        let part = |portion: &Portion| SplitPart { partner: portion.partner, percent: portion.percent };
        portions.iter().flat_map(|portions| portions.iter()).map(part).collect()
    }
}

fn held(claims: Claims<'_>) -> Vec<Held> {
    claims.into_held().into_iter().map(|((fact, reason), detail)| Held { fact, reason, detail }).collect()
}

/// The claims of the rules that look at single facts, and the volumes that they count in.
fn claim_of_fact<'a>(
    person: &Person<'a>,
    fact: &'a Fact,
    places: &mut Places<'a>,
    claims: &mut Claims<'a>,
    volumes: &mut Volumes<'a>,
    standings: &mut Vec<(FactId, Instant, Arc<PlanVersion>)>,
) {
    // A refund counts in its sale, whoever it names.
    if matches!(fact.body, FactBody::Refund { .. }) {
        return;
    }
    let Some(account) = person.view.account(fact.customer) else {
        claims.hold(fact.id, HeldReason::UnknownCustomer, "the customer is not known yet");
        return;
    };
    let mut stand = |traded: Option<&Traded<'_>>, at: Instant, (partner, side), claims: &mut Claims<'a>| {
        let Some(partner) = partner else {
            // What was done in another program waits for nobody here.
            if account.is_away_at(at) {
                return;
            }
            claims.hold(fact.id, HeldReason::Unattributed, "no partner brought the customer before this date");
            return;
        };
        match places.find(partner, at, account.registered_at) {
            Standing::Unplanned => {}
            Standing::Nobody(place) if is_ignored(fact, &place.setting.version.plan) => {}
            Standing::Nobody(_) => {
                let detail = "nobody above the suspended partner is active";
                claims.hold(fact.id, HeldReason::PartnerSuspended, detail);
            }
            Standing::Priced(place) => {
                let place = Place { is_of_named: matches!(side, Side::Named), ..place };
                standings.push((fact.id, place.at, Arc::clone(&place.setting.version)));
                match_rules(person, account, fact, (&place, side), traded, claims, volumes);
            }
        }
    };
    let mut is_traded = false;
    for (traded, at) in Traded::legs(fact) {
        is_traded = true;
        let place = match (&fact.body, at) {
            (FactBody::TradingDay(day), _) => claims.terms.place_of_day(account, day.date),
            (_, Some(at)) => Terms::partner_at(account, at).map(|partner| (at, partner)),
            (_, None) => None,
        };
        let at = place.map_or(fact.at, |(at, _)| at);
        stand(Some(&traded), at, (place.map(|(_, partner)| partner), Side::Whole), claims);
    }
    if !is_traded {
        for partner in Side::of(fact, account) {
            stand(None, fact.at, partner, claims);
        }
    }
}

fn match_rules<'a>(
    person: &Person<'a>,
    account: &'a CustomerView,
    fact: &'a Fact,
    (place, side): (&Place, Side),
    traded: Option<&Traded<'_>>,
    claims: &mut Claims<'a>,
    volumes: &mut Volumes<'a>,
) {
    let is_of_side = |(version, index): &RuleOf| side.is_of(&version.plan.rules[*index]);
    for rule_of in place.setting.rules.iter().filter(|rule_of| is_of_side(rule_of)) {
        if claims.only_steps && rule_of.0.plan.rules[rule_of.1].brackets.is_none() {
            continue;
        }
        let matter = Matter { account, fact, place, rule_of };
        claim_of_rule(&matter, person, traded, claims, |claim| {
            let metric = claim.rule().brackets.as_ref().map(|brackets| brackets.metric);
            let setting = &place.setting;
            if counts_in(metric, claim) {
                let order = (place.at, fact.key.as_str(), fact.id);
                volumes.add(setting.partner, &claim.rule().id, claim.period(), order, claim.quantity.clone());
            }
        });
        count_lots(&matter, traded, place.setting.partner, place.period_of(rule_of), volumes);
    }
    for (partner, rule_of) in place.setting.network.iter().filter(|(_, rule_of)| is_of_side(rule_of)) {
        let period = place.period_of(rule_of);
        let matter = Matter { account, fact, place, rule_of };
        let mut dry = Claims::new(claims.terms);
        claim_of_rule(&matter, person, traded, &mut dry, |_| {});
        for claim in &dry.all {
            if counts_in(claim.rule().brackets.as_ref().map(|brackets| brackets.metric), claim) {
                let order = (place.at, fact.key.as_str(), fact.id);
                volumes.add(*partner, &claim.rule().id, period, order, claim.quantity.clone());
            }
        }
        count_lots(&matter, traded, *partner, period, volumes);
    }
}

/// Whether the metric counts what a claim is of: its base, or its lots after factors.
fn counts_in(metric: Option<Metric>, claim: &Claim<'_>) -> bool {
    match metric {
        Some(Metric::Base) => true,
        Some(Metric::Lots) => matches!(claim.rule().kind, Kind::PerLot(_)),
        Some(Metric::Ftd) | None => false,
    }
}

/// Rules that are not of lots may step with them too: closed lots that pass the rule's filters and eligibility count,
/// whatever else it is of.
fn count_lots<'a>(
    matter: &Matter<'a, '_>,
    traded: Option<&Traded<'_>>,
    partner: crate::ids::PartnerId,
    period: crate::time::Period,
    volumes: &mut Volumes<'a>,
) {
    let rule = matter.rule();
    let by_lots = rule.brackets.as_ref().is_some_and(|brackets| brackets.metric == Metric::Lots);
    let Some(traded) = traded.filter(|traded| by_lots && traded.leg != Leg::Open) else { return };
    if matches!(rule.kind, Kind::PerLot(_)) || !rates::admits(rule, &matter.rule_of.0.plan, matter.fact, matter.account)
    {
        return;
    }
    let judged = rule.eligibility.as_ref().map(|eligibility| eligibility.judge(matter.fact));
    if matches!(judged, None | Some(Ok(Eligible::Counts(_)))) {
        let order = (matter.place.at, matter.fact.key.as_str(), matter.fact.id);
        volumes.add(partner, &rule.id, period, order, traded.lots.exact());
    }
}

/// The claim of one rule on one fact, where it makes one and the trade is eligible.
fn claim_of_rule<'a>(
    matter: &Matter<'a, '_>,
    person: &Person<'a>,
    traded: Option<&Traded<'_>>,
    claims: &mut Claims<'a>,
    mut claimed: impl FnMut(&Claim<'a>),
) {
    let rule = matter.rule();
    if !rates::admits(rule, &matter.rule_of.0.plan, matter.fact, matter.account) {
        return;
    }
    let mut sale_states = Vec::new();
    if rule.sales.is_some() {
        if !matches!(matter.fact.body, FactBody::Sale { .. }) {
            return;
        }
        match claims.judge_sale(matter, person.view.person) {
            Judged::Rewarded(states) => sale_states = states,
            Judged::Refused(_) => return,
            Judged::Unknown(reason, detail) => {
                claims.hold(matter.fact.id, reason, detail);
                return;
            }
        }
    }
    let before = claims.all.len();
    match (&rule.kind, traded) {
        (Kind::Flat(kind), None) if rule.is_flat_of_sales() => flat::claim_of_sale(matter, kind, claims),
        (Kind::PerLot(kind), Some(traded)) => per_lot::claim(matter, kind, traded, claims),
        (Kind::PerMillion(kind), Some(traded)) => per_million::claim(matter, kind, traded, claims),
        (Kind::Percent(kind), traded) => {
            let sale = person.sales.get(&matter.fact.id);
            let leg = traded.map(|traded| traded.leg);
            percent::claim(matter, kind, leg, sale.map(|(left, _)| left.clone()), claims);
            if let (Some(claim), Some((_, refunds))) = (claims.all.get_mut(before), sale) {
                claim.also_counted.extend(refunds.iter().copied());
            }
        }
        (Kind::External(kind), None) => external::claim(matter, kind, claims),
        _ => {}
    }
    let Some(claim) = claims.all.get_mut(before) else { return };
    claim.sale_states = sale_states;
    if let Some(eligibility) = &rule.eligibility {
        let judged = eligibility.judge(matter.fact).and_then(|judged| match judged {
            Eligible::Counts(share) => claim.factor.times(&share).map(Ok),
            Eligible::Refused(reason, detail) => Ok(Err((reason, detail))),
        });
        match judged {
            Ok(Ok(factor)) => claim.factor = factor,
            Ok(Err((reason, detail))) => {
                claims.all.truncate(before);
                claims.hold(matter.fact.id, reason, format!("rule {}: {detail}", rule.id));
                return;
            }
            Err(error) => {
                claims.all.truncate(before);
                claims.hold_out_of_range(matter.fact.id, error);
                return;
            }
        }
    }
    claimed(&claims.all[before]);
}

/// Amounts for events and persons with steps by `base` count 1 each.
fn count_amounts<'a>(claims: &Claims<'a>, volumes: &mut Volumes<'a>) {
    for claim in &claims.all {
        let by_base = claim.rule().brackets.as_ref().is_some_and(|brackets| brackets.metric == Metric::Base);
        let is_of_event = matches!(claim.rule().kind, Kind::Flat(_) | Kind::Cpa(_)) && !claim.rule().is_flat_of_sales();
        if !by_base || !is_of_event {
            continue;
        }
        let order = (claim.place.at, claim.fact.key.as_str(), claim.fact.id);
        for (partner, (version, index), period) in brackets::counting(&claim.place) {
            if version.plan.rules[*index].id == claim.rule().id {
                volumes.add(partner, &claim.rule().id, period, order, claim.quantity.clone());
            }
        }
    }
}

/// Prices, caps and carries rule after rule: a bonus once the rule that it is of is final.
fn price<'a>(claims: &mut Claims<'a>, volumes: &Volumes<'_>, facts_of: cap::FactsOf<'_, 'a>) {
    let mut from = 0;
    while from < claims.all.len() {
        let to = claims.all.len();
        let places: Vec<usize> = (from..to).collect();
        for &place in &places {
            match claims.all[place].priced() {
                Ok(amount) => claims.all[place].amount = amount,
                Err(error) => {
                    let fact = claims.all[place].fact.id;
                    claims.hold_out_of_range(fact, error);
                    // What cannot be computed counts nowhere: in no carry, and in no bonus.
                    claims.all[place].quantity = Exact::zero();
                    claims.all[place].piece.quantity = Exact::zero();
                    claims.all[place].further_pieces.clear();
                }
            }
        }
        cap::apply(claims, &places, facts_of, false);
        carry::apply(claims, &places);
        cap::apply(claims, &places, facts_of, true);
        for place in places {
            if !claims.all[place].place.setting.bonuses.is_empty() {
                let paid = claims.all[place].clone();
                bonus::claim(&paid, claims);
            }
        }
        brackets::apply(claims, to, volumes);
        from = to;
    }
}
