//! Writing the ledger: balanced transactions, each entry chained to the one before it in its account.
//!
//! Wherever `payable` is touched the payee's debt is netted in the same store transaction, so nobody ever sees an amount
//! owed on both sides. Which amounts move is decided elsewhere.

use crate::app::App;
use headwater_domain::ledger::{AccountName, GENESIS, Owner, Transfer, entry_hash, netting};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Result, Tx};
use headwater_store::ledger::{EntryNew, entries_append};
use headwater_store::outcome::{LedgerAccountClaim, LedgerAccountPut, LedgerAccountRow, ledger_accounts_lock};
use std::collections::{BTreeMap, BTreeSet};

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
type AccountKey = (i64, String, String, String);

fn account_key(booking: &Booking, (owner, name): (Owner, AccountName)) -> AccountKey {
    (booking.program_id, owner.to_string(), booking.unit.clone(), name.name().to_owned())
}

/// Writes the bookings in their order, then nets the debts that they touch.
pub async fn book(tx: &Tx<'_>, app: &App, bookings: &[Booking], now: Instant) -> Result<()> {
    if bookings.is_empty() {
        return Ok(());
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
                debts.insert((booking.program_id, end.0, booking.unit.clone()), booking.account_id);
            }
        }
    }
    let claims = claims.into_iter().map(|((program_id, owner, unit, name), account_id)| LedgerAccountClaim {
        id: app.next_id(now),
        account_id,
        program_id,
        owner,
        unit,
        name,
        head_hash: GENESIS.to_owned(),
    });
    let locked = ledger_accounts_lock(tx, claims.collect()).await?;
    let mut books = Books {
        accounts: locked
            .into_iter()
            .map(|a| ((a.program_id, a.owner.clone(), a.unit.clone(), a.name.clone()), a))
            .collect(),
        entries: Vec::with_capacity(bookings.len() * 2),
        touched: BTreeSet::new(),
    };
    for booking in bookings {
        books.write(app, booking, now)?;
    }
    for ((program_id, owner, unit), account_id) in debts {
        let transfer = netting(
            owner,
            books.balance(program_id, owner, &unit, AccountName::Payable),
            books.balance(program_id, owner, &unit, AccountName::Receivable),
        );
        if let Some(transfer) = transfer {
            let booking = Booking { account_id, program_id, unit, transfer, commission: None, payout: None };
            books.write(app, &booking, now)?;
        }
    }
    let Books { mut accounts, entries, touched } = books;
    accounts.retain(|key, _| touched.contains(key));
    let heads: Vec<_> = accounts
        .into_values()
        .map(|a| LedgerAccountPut { id: a.id, balance: a.balance, entries: a.entries, head_hash: a.head_hash })
        .collect();
    entries_append(tx, &entries, &heads).await
}

/// The locked accounts and what was appended so far.
struct Books {
    accounts: BTreeMap<AccountKey, LedgerAccountRow>,
    entries: Vec<EntryNew>,
    touched: BTreeSet<AccountKey>,
}

impl Books {
    fn balance(&self, program_id: i64, owner: Owner, unit: &str, name: AccountName) -> Decimal {
        let key = (program_id, owner.to_string(), unit.to_owned(), name.name().to_owned());
        Decimal(self.accounts.get(&key).map_or(0, |account| account.balance))
    }

    /// Appends the two entries of a transaction.
    fn write(&mut self, app: &App, booking: &Booking, now: Instant) -> Result<()> {
        let transaction = app.next_id(now);
        for (end, amount) in booking.transfer.entries() {
            let key = account_key(booking, end);
            let account = self.accounts.get_mut(&key).ok_or(Error::Missing)?;
            let out_of_range = || Error::Abandoned("a ledger balance would leave 64 bits".into());
            account.balance = account.balance.checked_add(amount.0).ok_or_else(out_of_range)?;
            account.entries += 1;
            let hash = entry_hash(&account.head_hash, account.id, account.entries, transaction, amount, now);
            let previous_hash = std::mem::replace(&mut account.head_hash, hash.clone());
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
            self.touched.insert(key);
        }
        Ok(())
    }
}
