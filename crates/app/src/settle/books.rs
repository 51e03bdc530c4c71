//! The last half of a settlement's transaction: everything decided is written, what was reserved for nothing is taken
//! back, and the ledger follows (`ledger::book`).

use super::view::View;
use super::{referrals, rewards, waiting};
use crate::app::App;
use crate::ledger::book::book;
use crate::upgrade;
use headwater_domain::ids::{FactId, PartnerId, PersonId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::inbox::{event_claims_free, idempotency_finish};
use headwater_store::membership::membership_ensure;
use headwater_store::outcome::{HeldFact, HeldPerson, NewFact, PersonUpdate, outcome_write};
use headwater_store::repricing::marks_served;
use headwater_store::settlement::person_unclaim;
use std::collections::BTreeSet;

/// Members of programs.
pub(crate) type Concerned = BTreeSet<(ProgramId, PartnerId)>;

/// Writes everything; gives whether rewards were announced.
pub(super) async fn commit(tx: &Tx<'_>, app: &App, mut view: View, now: Instant) -> Result<bool> {
    view.outcome.accounts = view.accounts_changed(now);
    view.outcome.cells = std::mem::take(&mut view.cells).into_values().collect();
    let whole = view.held.keys().filter(|person| !view.held_told.contains_key(person));
    view.outcome.held_persons = whole.map(|person| HeldPerson { person_id: *person }).collect();
    let told: BTreeSet<FactId> = std::mem::take(&mut view.held_told).into_values().flatten().collect();
    view.outcome.held_facts = told.into_iter().map(|fact| HeldFact { fact_id: fact.0 }).collect();
    view.outcome.held = std::mem::take(&mut view.held).into_values().flatten().collect();
    last_of_each(&mut view.outcome.persons);
    outcome_write(tx, &view.outcome).await?;
    // Their locks come before those of ledger accounts.
    let released = waiting::released(tx, app, &view, now).await?;
    upgrade::look_at(tx, app, &concerned(&view), app.next_id(now)).await?;
    join(tx, &view, now).await?;
    event_claims_free(tx, &view.unused_claims()).await?;
    person_unclaim(tx, &view.unused_persons()).await?;
    marks_served(tx, &view.served).await?;
    idempotency_finish(tx, &view.reserved.idempotency, &view.answers(now)).await?;
    let is_told = book(tx, app, &view.bookings, now).await?;
    let is_told = referrals::announce_referrals(tx, app, &view, now).await? || is_told;
    let mut is_told = rewards::follow(tx, app, &view.outcome.commissions, now).await? || is_told;
    for moves in released {
        is_told = moves.write(tx).await? || is_told;
    }
    Ok(is_told)
}

/// Whose figures may be others now: of sales and refunds, of who became somebody's client, and of who was given to another.
fn concerned(view: &View) -> Concerned {
    let is_bought = |row: &&NewFact| matches!(row.kind.as_str(), "sale" | "refund");
    let sold = view.outcome.facts.iter().filter(is_bought).map(|row| row.person_id);
    let bound = view.outcome.attributions.iter().map(|row| row.person_id);
    let persons = sold.chain(bound).chain(view.served.iter().map(|served| served.person_id));
    let records = persons.filter_map(|person| view.persons.get(&PersonId(person)));
    records.flat_map(|record| record.bindings.values().map(|binding| (record.program, binding.partner))).collect()
}

/// Whoever gets a customer is a member of its program.
async fn join(tx: &Tx<'_>, view: &View, now: Instant) -> Result<()> {
    let bound = view.outcome.attributions.iter().filter_map(|row| {
        let person = view.persons.get(&PersonId(row.person_id))?;
        let partner = PartnerId(row.partner_id);
        let is_member = view.directory.membership_in(person.program, partner).is_some();
        (!is_member).then_some((person.account, person.program, partner))
    });
    for (account, program, partner) in bound.collect::<BTreeSet<_>>() {
        membership_ensure(tx, account.0, program.0, partner.0, now.0).await?;
    }
    Ok(())
}

/// Of each person what was said last stays. Deciding only adds: looking for what was said before would take longer with every
/// person of a batch.
fn last_of_each(updates: &mut Vec<PersonUpdate>) {
    let mut said = BTreeSet::new();
    let mut is_last: Vec<bool> = updates.iter().rev().map(|update| said.insert(update.id)).collect();
    updates.retain(|_| is_last.pop().unwrap_or(true));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_last_of_a_person_stays() {
        let said = [(1, None), (2, None), (1, Some(5)), (3, None), (2, Some(6))];
        let update = |(id, qualified_at)| PersonUpdate { id, event_types: String::new(), qualified_at, trading: None };
        let mut updates: Vec<_> = said.into_iter().map(update).collect();
        last_of_each(&mut updates);
        let kept: Vec<_> = updates.iter().map(|update| (update.id, update.qualified_at)).collect();
        assert_eq!(kept, [(1, Some(5)), (3, None), (2, Some(6))]);
    }
}
