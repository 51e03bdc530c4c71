//! Writing the ledger: balanced transactions, each entry chained to the one before it in its account.
//!
//! Wherever `payable` is touched the payee's debt is netted in the same store transaction, so nobody ever sees an amount
//! owed on both sides. Whose balance changes is told in it (`balance`). Which amounts move is decided elsewhere.

use crate::app::App;
use crate::balance::{Owed, announce_balances, is_open};
use headwater_domain::ids::PartnerId;
use headwater_domain::ledger::{AccountName, GENESIS, Owner, Transfer, entry_hash, netting};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Result, Tx};
use headwater_store::ledger::{EntryNew, entries_append};
use headwater_store::outcome::{LedgerAccountClaim, LedgerAccountPut, LedgerAccountRow, ledger_accounts_lock};
use std::collections::BTreeMap;

/// One ledger transaction to write, and what it is for.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the column of its own name")]
pub struct Booking {
    pub account_id: i64,
    pub program_id: i64,
    /// The unit's name.
    pub unit: String,
    pub transfer: Transfer,
    pub commission: Option<i64>,
    pub payout: Option<i64>,
}

/// Program, owner, unit, name.
type AccountKey<'a> = (i64, Owner, &'a str, AccountName);

fn account_key(booking: &Booking, (owner, name): (Owner, AccountName)) -> AccountKey<'_> {
    (booking.program_id, owner, &booking.unit, name)
}

/// Writes the bookings in their order, then nets the debts that they touch; gives whether there is something to deliver.
pub async fn book(tx: &Tx<'_>, app: &App, bookings: &[Booking], now: Instant) -> Result<bool> {
    if bookings.is_empty() {
        return Ok(false);
    }
    let mut claims = BTreeMap::new();
    let mut debts = BTreeMap::new();
    for booking in bookings {
        for end in [booking.transfer.from, booking.transfer.to] {
            claims.entry(account_key(booking, end)).or_insert(booking.account_id);
            if matches!(end.1, AccountName::Payable | AccountName::Receivable) {
                for name in [AccountName::Payable, AccountName::Receivable] {
                    claims.entry(account_key(booking, (end.0, name))).or_insert(booking.account_id);
                }
                debts.insert((booking.program_id, end.0, booking.unit.as_str()), booking.account_id);
            }
        }
    }
    let mut books =
        Books { accounts: lock(tx, app, claims, now).await?, entries: Vec::with_capacity(bookings.len() * 2) };
    for booking in bookings {
        books.write(app, booking, &booking.unit, now)?;
    }
    for ((program_id, owner, unit), account_id) in debts {
        let balance = |name| {
            let account = books.accounts.get(&(program_id, owner, unit, name));
            Decimal(account.map_or(0, |account| account.row.balance))
        };
        if let Some(transfer) = netting(owner, balance(AccountName::Payable), balance(AccountName::Receivable)) {
            let unit_owned = unit.to_owned();
            let booking =
                Booking { account_id, program_id, unit: unit_owned, transfer, commission: None, payout: None };
            books.write(app, &booking, unit, now)?;
        }
    }
    let owed = books.owed();
    let touched = books.accounts.into_values().filter(|account| account.is_touched).map(|account| account.row);
    let heads: Vec<_> = touched
        .map(|a| LedgerAccountPut { id: a.id, balance: a.balance, entries: a.entries, head_hash: a.head_hash })
        .collect();
    entries_append(tx, &books.entries, &heads).await?;
    announce_balances(tx, app, &owed, now).await
}

/// A locked account.
struct Account {
    row: LedgerAccountRow,
    is_touched: bool,
}

/// Makes the accounts that are new, and locks all of them.
async fn lock<'a>(
    tx: &Tx<'_>,
    app: &App,
    claims: BTreeMap<AccountKey<'a>, i64>,
    now: Instant,
) -> Result<BTreeMap<AccountKey<'a>, Account>> {
    let mut stored = BTreeMap::new();
    let mut rows = Vec::with_capacity(claims.len());
    for (key, account_id) in claims {
        let (program_id, owner, unit, name) = key;
        let (owner, name) = (owner.to_string(), name.name().to_owned());
        stored.insert((program_id, owner.clone(), unit.to_owned(), name.clone()), key);
        let (id, head_hash) = (app.next_id(now), GENESIS.to_owned());
        rows.push(LedgerAccountClaim { id, account_id, program_id, owner, unit: unit.to_owned(), name, head_hash });
    }
    let locked = ledger_accounts_lock(tx, rows).await?;
    let accounts = locked.into_iter().filter_map(|row| {
        let key = stored.get(&(row.program_id, row.owner.clone(), row.unit.clone(), row.name.clone()))?;
        Some((*key, Account { row, is_touched: false }))
    });
    Ok(accounts.collect())
}

/// The locked accounts and what was appended so far.
struct Books<'a> {
    accounts: BTreeMap<AccountKey<'a>, Account>,
    entries: Vec<EntryNew>,
}

impl<'a> Books<'a> {
    /// By how much what partners have earned and were not paid yet changes, less what they owe.
    fn owed(&self) -> BTreeMap<(i64, PartnerId), Owed> {
        let open: BTreeMap<i64, (PartnerId, &str)> = self
            .accounts
            .iter()
            .filter_map(|((_, owner, unit, name), account)| match owner {
                Owner::Partner(partner) if is_open(name.name()) => Some((account.row.id, (*partner, *unit))),
                _ => None,
            })
            .collect();
        let mut owed: BTreeMap<(i64, PartnerId), Owed> = BTreeMap::new();
        for entry in &self.entries {
            let Some((partner, unit)) = open.get(&entry.ledger_account_id) else { continue };
            let of = owed.entry((entry.account_id, *partner)).or_default().entry((*unit).to_owned());
            let of = of.or_insert(Decimal::ZERO);
            *of = of.checked_add(Decimal(entry.amount)).unwrap_or(*of);
        }
        owed
    }

    /// Appends the two entries of a transaction in this unit.
    fn write(&mut self, app: &App, booking: &Booking, unit: &'a str, now: Instant) -> Result<()> {
        let transaction = app.next_id(now);
        for ((owner, name), amount) in booking.transfer.entries() {
            let key = (booking.program_id, owner, unit, name);
            let Account { row: account, is_touched } = self.accounts.get_mut(&key).ok_or(Error::Missing)?;
            let out_of_range = || Error::Abandoned("a ledger balance would leave 64 bits".into());
            account.balance = account.balance.checked_add(amount.0).ok_or_else(out_of_range)?;
            account.entries += 1;
            let hash = entry_hash(&account.head_hash, account.id, account.entries, transaction, amount, now);
            let previous_hash = std::mem::replace(&mut account.head_hash, hash.clone());
            *is_touched = true;
            self.entries.push(EntryNew {
                id: app.next_id(now),
                account_id: booking.account_id,
                ledger_account_id: account.id,
                number: account.entries,
                transaction_id: transaction,
                commission_id: booking.commission,
                payout_id: booking.payout,
                amount: amount.0,
                hash,
                previous_hash,
                at: now.0,
            });
        }
        Ok(())
    }
}
