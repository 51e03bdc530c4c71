//! The last half of a settlement's transaction: everything decided is written, what was reserved for nothing is taken
//! back, and the ledger is chained.

use super::view::{Booking, View};
use crate::app::App;
use headwater_domain::ledger::{GENESIS, entry_hash};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Result, Tx};
use headwater_store::inbox::{event_claims_free, idempotency_finish};
use headwater_store::outcome::{
    LedgerAccountClaim, LedgerAccountPut, LedgerAccountRow, NewLedgerEntry, ledger_accounts_lock, ledger_write,
    outcome_write,
};
use headwater_store::repricing::marks_served;
use headwater_store::settlement::person_unclaim;
use std::collections::BTreeMap;

type AccountKey = (i64, String, String, String);

pub(super) async fn commit(tx: &Tx<'_>, app: &App, mut view: View, now: Instant) -> Result<()> {
    view.outcome.accounts = view.accounts_changed(now);
    outcome_write(tx, &view.outcome).await?;
    event_claims_free(tx, &view.unused_claims()).await?;
    person_unclaim(tx, &view.unused_persons()).await?;
    marks_served(tx, &view.served).await?;
    idempotency_finish(tx, &view.reserved.idempotency, &view.answers(now)).await?;
    book(tx, app, &view.bookings, now).await
}

/// Writes balanced transactions; each entry carries the hash of the one before it in its account.
async fn book(tx: &Tx<'_>, app: &App, bookings: &[Booking], now: Instant) -> Result<()> {
    let mut claims = BTreeMap::new();
    for booking in bookings {
        for ((owner, name), _) in booking.transfer.entries() {
            let key = (booking.program.0, owner.to_string(), booking.unit.name(), name.name().to_owned());
            claims.entry(key.clone()).or_insert_with(|| LedgerAccountClaim {
                id: app.next_id(now),
                account_id: booking.account.0,
                program_id: key.0,
                owner: key.1,
                unit: key.2,
                name: key.3,
                head_hash: GENESIS.to_owned(),
            });
        }
    }
    if claims.is_empty() {
        return Ok(());
    }
    let locked = ledger_accounts_lock(tx, claims.into_values().collect()).await?;
    let mut accounts: BTreeMap<AccountKey, LedgerAccountRow> =
        locked.into_iter().map(|a| ((a.program_id, a.owner.clone(), a.unit.clone(), a.name.clone()), a)).collect();
    let mut entries = Vec::with_capacity(bookings.len() * 2);
    for booking in bookings {
        let transaction = app.next_id(now);
        for ((owner, name), amount) in booking.transfer.entries() {
            let key = (booking.program.0, owner.to_string(), booking.unit.name(), name.name().to_owned());
            let account = accounts.get_mut(&key).ok_or(Error::Missing)?;
            entries.push(append(account, booking, transaction, amount, app.next_id(now), now)?);
        }
    }
    let puts: Vec<_> = accounts
        .into_values()
        .map(|a| LedgerAccountPut { id: a.id, balance: a.balance, entries: a.entries, head_hash: a.head_hash })
        .collect();
    ledger_write(tx, &entries, &puts).await
}

fn append(
    account: &mut LedgerAccountRow,
    booking: &Booking,
    transaction: i64,
    amount: Decimal,
    id: i64,
    now: Instant,
) -> Result<NewLedgerEntry> {
    let out_of_range = || Error::Abandoned("a ledger balance would leave 64 bits".into());
    account.balance = account.balance.checked_add(amount.0).ok_or_else(out_of_range)?;
    account.entries += 1;
    let hash = entry_hash(&account.head_hash, account.id, account.entries, transaction, amount, now);
    let previous_hash = std::mem::replace(&mut account.head_hash, hash.clone());
    Ok(NewLedgerEntry {
        id,
        account_id: booking.account.0,
        ledger_account_id: account.id,
        number: account.entries,
        transaction_id: transaction,
        commission_id: Some(booking.commission.0),
        amount: amount.0,
        hash,
        previous_hash,
        at: now.0,
    })
}
