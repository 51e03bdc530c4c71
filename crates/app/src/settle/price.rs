//! The money half of a decision: what every cell of the person is worth now, the differences as postings and ledger
//! transfers, and what is held.
//!
//! `evaluate` is the one place that calls the engine.

use super::decide::Decision;
use super::load::unreadable;
use super::origin::Sources;
use super::part::partners_of;
use super::view::{Cells, PersonRecord};
use super::waiting::waits_for;
use crate::directory::Program;
use crate::ledger::book::Booking;
use headwater_domain::commission::{self, Held, Kind, Payee, PostedCell, Posting, SplitPart, Terms};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{CommissionId, CustomerId, FactId, PersonId};
use headwater_domain::ledger::{Before, Origin, Owner, Share, Stage, accrual};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::{Instant, Period, Zone};
use headwater_store::backend::{Error, Result};
use headwater_store::outcome::{CellPut, NewCommission, NewHeld};
use headwater_store::settlement::EventRow;

/// What the engine says of a person's facts.
struct Evaluated {
    postings: Vec<Posting<'static>>,
    held: Vec<Held>,
    qualified_at: Option<Instant>,
}

/// What brought a posting: the event, what the fact says was sold, and where it comes from; and what keeps it waiting.
#[derive(Debug, Clone, Default)]
pub(super) struct Brought {
    pub event: Option<i64>,
    pub sold: Option<(Decimal, Currency)>,
    pub sources: Sources,
    /// For whose approval it waits.
    pub waits_for: Option<CustomerId>,
}

/// What was sold, given back or moved by this fact.
pub(super) fn sold(facts: &[Fact], fact: FactId) -> Option<(Decimal, Currency)> {
    match &facts.iter().find(|known| known.id == fact)?.body {
        FactBody::Event { amount: Some(amount), currency: Some(currency), .. }
        | FactBody::Money { amount, currency, .. }
        | FactBody::Sale { amount, currency, .. } => Some((*amount, *currency)),
        FactBody::Refund { amount, currency, .. } => Some((amount.negated(), *currency)),
        _ => None,
    }
}

impl Decision<'_> {
    /// Prices the person anew and posts the differences; gives whether the event is a conversion. `changed` are the
    /// facts that the event brought.
    pub(super) fn price(
        &mut self,
        person: &mut PersonRecord,
        program: &Program,
        row: &EventRow,
        changed: &[FactId],
    ) -> Result<bool> {
        self.check_part(person, program)?;
        let priced = self.evaluate(person, program, changed)?;
        let is_conversion = self.converts(person, &priced, program, row, changed)?;
        person.qualified_at = priced.qualified_at;
        if self.directory.is_wide(program.id) {
            let dirty = self.view.dirty.entry(program.id).or_default();
            dirty.changed.extend(changed);
            dirty.events.extend(changed.iter().map(|fact| (*fact, row.id)));
            return Ok(is_conversion);
        }
        self.post_all(person, program, &priced, changed, Some(row.id))?;
        Ok(is_conversion)
    }

    /// Posts the differences of one person, and holds what cannot be priced.
    fn post_all(
        &mut self,
        person: &mut PersonRecord,
        program: &Program,
        priced: &Evaluated,
        changed: &[FactId],
        event: Option<i64>,
    ) -> Result<()> {
        for posting in &priced.postings {
            let event = event.filter(|_| changed.contains(&posting.fact));
            let sold = sold(&person.facts, posting.fact);
            let stands = |fact: FactId| person.arrivals.contains_key(&fact).then_some(&*person);
            let sources = self.sources(posting, changed, stands);
            let brought = Brought { event, sold, sources, waits_for: waits_for(posting, &[person]) };
            self.post(person.id, &mut person.cells, program, brought, posting)?;
        }
        self.hold(person, &priced.held);
        self.view.priced.by_part += u64::from(person.part.is_some());
        self.view.priced.by_all += u64::from(person.part.is_none());
        Ok(())
    }

    /// What was read of a person has to tell what it is worth now.
    fn check_part(&mut self, person: &PersonRecord, program: &Program) -> Result<()> {
        // A program that is priced as a whole is judged as a whole.
        let Some(part) = person.part.as_ref().filter(|_| !self.directory.is_wide(program.id)) else { return Ok(()) };
        let reach = self.view.reaches.of((program.account, program.id), partners_of(person, []))?;
        if part.tells(person, reach.as_deref(), &program.settings.sources) { Ok(()) } else { Err(self.unsure()) }
    }

    /// Nothing of this stands: everything is read, and all is decided anew.
    pub(super) fn unsure(&mut self) -> Error {
        self.view.is_unsure = true;
        Error::Abandoned("what was read does not tell what was decided".into())
    }

    /// Prices the person as it is, after a change that no event brought: `changed` are the facts that records brought.
    pub(super) fn price_changed(
        &mut self,
        person: &mut PersonRecord,
        program: &Program,
        changed: &[FactId],
    ) -> Result<()> {
        self.check_part(person, program)?;
        let priced = self.evaluate(person, program, changed)?;
        person.qualified_at = priced.qualified_at;
        if self.directory.is_wide(program.id) {
            self.view.dirty.entry(program.id).or_default().changed.extend(changed);
            return Ok(());
        }
        self.post_all(person, program, &priced, changed, None)
    }

    fn evaluate(&self, person: &mut PersonRecord, program: &Program, changed: &[FactId]) -> Result<Evaluated> {
        let exchange = self.directory.exchange(program.account);
        let (view, mut held, is_lent) = self.directory.person_view_lent(person)?;
        let partners = self.directory.partners_from(view.partners().collect(), program)?;
        let persons = [view];
        let terms = Terms { partners: &partners, exchange: &exchange, closed_before: program.closed_before };
        let mut evaluation = commission::evaluate(&persons, &terms);
        if let Some(part) = &person.part {
            evaluation.keep_shown(&part.window);
        }
        let postings = commission::postings(&evaluation, &person.cells.posted, changed);
        // A program that is priced as a whole asks only whether this event converts.
        let is_wide = self.directory.is_wide(program.id);
        let asked = |posting: &Posting<'_>| !is_wide || changed.contains(&posting.fact);
        let postings = postings.into_iter().filter(asked).map(Posting::told).collect();
        let qualified_at = evaluation.qualified.get(&person.id).copied();
        held.append(&mut evaluation.held);
        drop(evaluation);
        if is_lent {
            let [view] = persons;
            person.facts = view.facts;
        }
        if let Some(part) = &person.part {
            part.keep_told(person, &mut held);
        }
        Ok(Evaluated { postings, held, qualified_at })
    }

    /// With this event the client meets the plan's qualification for the first time; where the plan has none, a `cpa`
    /// rule or a money `flat` rule pays for it (`referral-api.md` §6, point 6). A posting for another fact, which only
    /// came out of pricing anew, says nothing of this event.
    fn converts(
        &self,
        person: &PersonRecord,
        priced: &Evaluated,
        program: &Program,
        row: &EventRow,
        changed: &[FactId],
    ) -> Result<bool> {
        let Some(binding) = person.binding() else { return Ok(false) };
        let occurred_at = Instant(row.occurred_at);
        let partner = self.directory.partner_by_id(program.account, binding.partner);
        if changed.is_empty() || partner.is_none_or(|partner| partner.is_suspended_at(occurred_at)) {
            return Ok(false);
        }
        let terms = self.directory.terms_of(program, binding.partner)?;
        let registered_at = person.customers.first().map_or(occurred_at, |first| first.registered_at);
        let mut versions = terms.plans_of(registered_at).iter().rev();
        let Some(version) = versions.find(|version| version.from <= occurred_at) else {
            return Ok(false);
        };
        if version.plan.qualification.is_some() {
            return Ok(person.qualified_at.is_none() && priced.qualified_at.is_some());
        }
        let mut paid = priced.postings.iter().filter(|p| p.amount > Decimal::ZERO && changed.contains(&p.fact));
        Ok(paid.any(|posting| {
            let rule = version.plan.rules.iter().find(|rule| rule.id == posting.cell.rule);
            let is_money = posting.cell.unit.is_money();
            rule.is_some_and(|rule| {
                matches!(rule.kind, Kind::Cpa(_) | Kind::CpaLadder(_))
                    || (is_money && matches!(rule.kind, Kind::Flat(_)))
            })
        }))
    }

    /// Posts a difference to its cell, which is kept under `owner`.
    pub(super) fn post(
        &mut self,
        owner: PersonId,
        cells: &mut Cells,
        program: &Program,
        brought: Brought,
        posting: &Posting<'_>,
    ) -> Result<()> {
        let id = CommissionId((self.next_id)());
        let approved = program.settings.auto_approve.unwrap_or(posting.auto_approve);
        let (partner, customer, payee) = match posting.cell.payee {
            Payee::Partner(partner) => (Some(partner.0), None, Owner::Partner(partner)),
            Payee::Customer(customer) => (None, Some(customer.0), Owner::Customer(customer)),
        };
        let today = self.zone_of(program, posting)?.day_of(self.now);
        let open = Period::holding(posting.for_period.length, today).max(posting.for_period);
        let due = posting.payable_at <= self.now;
        let shares = cells.shares.get_mut(&posting.cell_text);
        let before = shares
            .as_ref()
            .map_or(Before::NOTHING, |shares| shares.before(&brought.sources.origins, brought.sources.is_new));
        let taken_from = before.taken_from(posting.amount);
        let stage = Stage::posted(taken_from, approved && brought.waits_for.is_none(), due);
        let waits_for = brought.waits_for.filter(|_| stage != Stage::posted(taken_from, approved, due));
        let denied_change = if stage == Stage::Denied { posting.amount } else { Decimal::ZERO };
        let origins = brought.sources.origins;
        let stored_origins = Origin::to_stored(&origins);
        if let Some(shares) = shares {
            shares.push(Share { id, amount: posting.amount, decided: stage.decided(), origins });
        }
        let corrected = cells.last_commissions.insert(posting.cell_text.clone(), id);
        let after = posting.posted_before.checked_add(posting.amount).expect("both were rounded within range");
        let posted = PostedCell {
            cell: posting.cell.clone(),
            amount: after,
            cut_off: posting.cut_off_after,
            last: Some(posting.terms()),
        };
        cells.posted.insert(posting.cell_text.clone(), posted);
        let place = (owner.0, posting.cell_text.clone());
        let denied_earlier = self.view.cells.get(&place).map_or(0, |put| put.denied_change);
        let put = CellPut {
            person_id: owner.0,
            cell: posting.cell_text.clone(),
            posted: after.0,
            last_commission_id: id.0,
            cut_off: posting.cut_off_after.0,
            denied_change: denied_earlier + denied_change.0,
            payee_id: (owner.0 < 0).then_some(partner.or(customer)).flatten(),
            first_day: posting.cell.scope.period().map_or_else(String::new, |period| period.first_day.to_string()),
        };
        self.view.cells.insert(place, put);
        self.view.outcome.commissions.push(NewCommission {
            id: id.0,
            account_id: program.account.0,
            program_id: program.id.0,
            partner_id: partner,
            customer_id: customer,
            person_id: owner.0,
            rule: posting.cell.rule.to_string(),
            level: i64::from(posting.cell.level),
            cell: posting.cell_text.clone(),
            status: stage.status().into(),
            unit: posting.cell.unit.name(),
            amount: posting.amount.0,
            period: open.to_string(),
            for_period: posting.for_period.to_string(),
            payable_at: posting.payable_at.0,
            fact_id: posting.fact.0,
            event_id: brought.event,
            corrects: corrected.map(|last| last.0),
            plan: posting.plan.clone(),
            plan_number: posting.version,
            posted_before: posting.posted_before.0,
            explanation: posting.explanation(),
            created_at: self.now.0,
            sale_amount: brought.sold.map(|(amount, _)| amount.0),
            sale_currency: brought.sold.map(|(_, currency)| currency.code().to_owned()),
            split: SplitPart::to_stored(&posting.split),
            origins: Some(stored_origins),
            waits_for: waits_for.map(|customer| self.waits_now(customer).0),
        });
        let bookings = accrual(payee, posting.amount, stage).into_iter().map(|transfer| Booking {
            account_id: program.account.0,
            program_id: program.id.0,
            unit: posting.cell.unit.name(),
            transfer,
            commission: Some(id.0),
            payout: None,
        });
        self.view.bookings.extend(bookings);
        Ok(())
    }

    /// The zone of the plan that priced the posting cuts its periods; without a plan, the program's.
    fn zone_of(&self, program: &Program, posting: &Posting<'_>) -> Result<Zone> {
        let plan = self.directory.plan(program.account, &posting.plan);
        let version = plan.and_then(|plan| plan.timeline.iter().find(|version| version.version == posting.version));
        if let Some(version) = version {
            return Ok(version.plan.zone.clone());
        }
        Zone::parse(&program.settings.time_zone).ok_or_else(|| unreadable("time zone of program", program.id))
    }

    /// What the person has held now takes the place of what was held before, of the facts of which that is told.
    pub(super) fn hold(&mut self, person: &PersonRecord, held: &[Held]) {
        let held = held.iter().map(|held| NewHeld {
            fact_id: held.fact.0,
            reason: held.reason.name().to_owned(),
            account_id: person.account.0,
            program_id: person.program.0,
            person_id: person.id.0,
            detail: held.detail.clone(),
            since: self.now.0,
        });
        self.view.held.insert(person.id.0, held.collect());
        if let Some(part) = &person.part {
            self.view.held_told.entry(person.id.0).or_default().extend(part.told(person));
        }
    }
}
