//! The last half of a settlement's transaction: everything decided is written, what was reserved for nothing is taken
//! back, and the ledger follows (`ledger::book`).

use super::rewards;
use super::view::View;
use crate::app::App;
use crate::ledger::book::book;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::inbox::{event_claims_free, idempotency_finish};
use headwater_store::outcome::outcome_write;
use headwater_store::repricing::marks_served;
use headwater_store::settlement::person_unclaim;

/// Writes everything; gives whether rewards were announced.
pub(super) async fn commit(tx: &Tx<'_>, app: &App, mut view: View, now: Instant) -> Result<bool> {
    view.outcome.accounts = view.accounts_changed(now);
    outcome_write(tx, &view.outcome).await?;
    event_claims_free(tx, &view.unused_claims()).await?;
    person_unclaim(tx, &view.unused_persons()).await?;
    marks_served(tx, &view.served).await?;
    idempotency_finish(tx, &view.reserved.idempotency, &view.answers(now)).await?;
    book(tx, app, &view.bookings, now).await?;
    rewards::follow(tx, app, &view.outcome.commissions, now).await
}
