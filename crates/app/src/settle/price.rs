//! The money half of a decision: facts of an event, what every cell of the person is worth now, the differences as
//! postings and ledger transfers, and what is held.

use super::decide::NextId;
use super::view::{Booking, PersonRecord};
use crate::directory::{Directory, Program};
use headwater_domain::commission::{self, Evaluation, Kind, Payee, PersonView, PostedCell, Posting, Terms};
use headwater_domain::fact::{Fact, FactBody, MoneyKind, MoneyStatus};
use headwater_domain::ids::{CommissionId, FactId};
use headwater_domain::ledger::{Owner, accrual};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::{Instant, Period, Zone};
use headwater_store::outcome::{CellPut, HeldPerson, NewCommission, NewFact, NewHeld, Outcome, PersonUpdate};
use headwater_store::settlement::EventRow;
use std::collections::BTreeMap;

/// The facts of a verified event (`referral-api.md` §7); gives their numbers.
pub(super) fn record_facts(
    person: &mut PersonRecord,
    outcome: &mut Outcome,
    row: &EventRow,
    next_id: NextId<'_>,
    now: Instant,
) -> Vec<FactId> {
    let Some(customer) = person.customers.first().map(|c| c.customer) else { return Vec::new() };
    let key = row.event_key.clone().unwrap_or_else(|| row.id.to_string());
    let amount = row.amount.as_deref().and_then(|a| Decimal::parse(a).ok());
    let currency = row.currency.as_deref().and_then(Currency::parse);
    let mut bodies = vec![FactBody::Event { event: row.kind.clone(), amount, currency }];
    let kind = match row.kind.as_str() {
        "FIRST_DEPOSIT" | "RECURRING_DEPOSIT" => Some(MoneyKind::Deposit),
        "WITHDRAWAL" => Some(MoneyKind::Withdrawal),
        _ => None,
    };
    if let (Some(kind), Some(amount), Some(currency)) = (kind, amount, currency) {
        bodies.push(FactBody::Money { kind, amount, currency, status: MoneyStatus::Approved });
    }
    let mut changed = Vec::new();
    for body in bodies {
        let id = FactId(next_id());
        outcome.facts.push(NewFact {
            id: id.0,
            account_id: row.account_id,
            program_id: row.program_id,
            person_id: person.id.0,
            customer_id: customer.0,
            kind: body.type_name().to_owned(),
            fact_key: key.clone(),
            revision: None,
            at: row.occurred_at,
            body: body.to_json().to_string(),
            source: "events".into(),
            event_id: Some(row.id),
            received_at: now.0,
        });
        let at = Instant(row.occurred_at);
        person.facts.push(Fact { id, key: key.clone(), revision: None, customer, at, body });
        changed.push(id);
    }
    changed
}

/// Prices the person anew and posts the differences; gives whether the event is a conversion.
#[expect(clippy::too_many_arguments, reason = "the pieces of a view that is already borrowed apart")]
pub(super) fn price(
    person: &mut PersonRecord,
    outcome: &mut Outcome,
    bookings: &mut Vec<Booking>,
    directory: &Directory,
    program: &Program,
    row: &EventRow,
    changed: &[FactId],
    next_id: NextId<'_>,
    now: Instant,
) -> bool {
    let partners: BTreeMap<_, _> = person
        .customers
        .iter()
        .flat_map(|c| &c.bindings)
        .map(|b| (b.partner, directory.partner_terms(program, b.partner)))
        .collect();
    let exchange = directory.exchange(program.account);
    let view = PersonView { person: person.id, customers: person.customers.clone(), facts: person.facts.clone() };
    let terms = Terms { partners: &partners, exchange: &exchange, closed_before: None };
    let evaluation = commission::evaluate(std::slice::from_ref(&view), &terms);
    let postings = commission::postings(&evaluation, &person.cells, changed);
    let is_conversion = converts(person, &evaluation, &postings, directory, program, now);
    person.qualified_at = evaluation.qualified.get(&person.id).copied();
    for posting in &postings {
        post(person, outcome, bookings, program, row, posting, next_id, now);
    }
    hold(person, outcome, row, &evaluation, now);
    is_conversion
}

/// With this event the client meets the plan's qualification for the first time; where the plan has none, a `cpa` rule
/// or a money `flat` rule pays for it (`referral-api.md` §6, point 6).
fn converts(
    person: &PersonRecord,
    evaluation: &Evaluation<'_>,
    postings: &[Posting],
    directory: &Directory,
    program: &Program,
    now: Instant,
) -> bool {
    let Some(binding) = person.binding else { return false };
    let terms = directory.partner_terms(program, binding.partner);
    let Some(version) = terms.plans.iter().rev().find(|v| v.from <= now).or(terms.plans.first()) else { return false };
    if directory.partner_by_id(program.account, binding.partner).is_none_or(|p| p.is_suspended_at(now)) {
        return false;
    }
    if version.plan.qualification.is_some() {
        return person.qualified_at.is_none() && evaluation.qualified.contains_key(&person.id);
    }
    postings.iter().filter(|p| p.amount > Decimal::ZERO).any(|posting| {
        let rule = version.plan.rules.iter().find(|rule| rule.id == posting.cell.rule);
        rule.is_some_and(|rule| match rule.kind {
            Kind::Cpa(_) | Kind::CpaLadder(_) => true,
            Kind::Flat(_) => posting.cell.unit.is_money(),
            _ => false,
        })
    })
}

#[expect(clippy::too_many_arguments, reason = "the pieces of a view that is already borrowed apart")]
fn post(
    person: &mut PersonRecord,
    outcome: &mut Outcome,
    bookings: &mut Vec<Booking>,
    program: &Program,
    row: &EventRow,
    posting: &Posting,
    next_id: NextId<'_>,
    now: Instant,
) {
    let id = CommissionId(next_id());
    let approved = program.settings.auto_approve.unwrap_or(posting.auto_approve);
    let (partner, customer, owner) = match posting.cell.payee {
        Payee::Partner(partner) => (Some(partner.0), None, Owner::Partner(partner)),
        Payee::Customer(customer) => (None, Some(customer.0), Owner::Customer(customer)),
    };
    let zone = Zone::parse(&program.settings.time_zone).unwrap_or(Zone::UTC);
    let open = Period::holding(posting.for_period.length, zone.day_of(now)).max(posting.for_period);
    let corrects = person.last_commissions.insert(posting.cell_text.clone(), id);
    let after = posting.posted_before.checked_add(posting.amount).expect("both were rounded within range");
    let posted = PostedCell { cell: posting.cell.clone(), amount: after, cut_off: posting.cut_off_after };
    person.cells.insert(posting.cell_text.clone(), posted);
    outcome.cells.retain(|c| c.person_id != person.id.0 || c.cell != posting.cell_text);
    outcome.cells.push(CellPut {
        person_id: person.id.0,
        cell: posting.cell_text.clone(),
        posted: after.0,
        last_commission_id: id.0,
    });
    outcome.commissions.push(NewCommission {
        id: id.0,
        account_id: program.account.0,
        program_id: program.id.0,
        partner_id: partner,
        customer_id: customer,
        person_id: person.id.0,
        rule: posting.cell.rule.clone(),
        level: i64::from(posting.cell.level),
        cell: posting.cell_text.clone(),
        status: if approved { "approved" } else { "pending" }.into(),
        unit: posting.cell.unit.name(),
        amount: posting.amount.0,
        period: open.to_string(),
        for_period: posting.for_period.to_string(),
        payable_at: posting.payable_at.0,
        fact_id: posting.fact.0,
        event_id: Some(row.id),
        corrects: corrects.map(|c| c.0),
        plan: posting.plan.clone(),
        plan_number: posting.version,
        posted_before: posting.posted_before.0,
        explanation: posting.explanation.to_string(),
        created_at: now.0,
    });
    bookings.push(Booking {
        account: program.account,
        program: program.id,
        unit: posting.cell.unit,
        transfer: accrual(owner, posting.amount, approved, posting.payable_at <= now),
        commission: id,
    });
}

/// What the person has held now takes the place of what was held before.
fn hold(person: &PersonRecord, outcome: &mut Outcome, row: &EventRow, evaluation: &Evaluation<'_>, now: Instant) {
    let id = person.id.0;
    outcome.persons.retain(|p| p.id != id);
    outcome.persons.push(PersonUpdate {
        id,
        event_types: person.event_types.iter().cloned().collect::<Vec<_>>().join(" "),
        qualified_at: person.qualified_at.map(|at| at.0),
    });
    outcome.held_persons.retain(|p| p.person_id != id);
    outcome.held_persons.push(HeldPerson { person_id: id });
    outcome.held.retain(|h| h.person_id != id);
    outcome.held.extend(evaluation.held.iter().map(|held| NewHeld {
        fact_id: held.fact.0,
        reason: held.reason.name().to_owned(),
        account_id: row.account_id,
        program_id: row.program_id,
        person_id: id,
        detail: held.detail.clone(),
        since: now.0,
    }));
}
