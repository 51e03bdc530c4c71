//! Statements: a partner's ledger accounts in a window, read in one piece and signed.
//!
//! The form and its check are the domain's (`ledger::statement`); this file only gathers the rows.

use crate::app::App;
use crate::error::{Error, Result};
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::ledger::Owner;
use headwater_domain::ledger::statement::{Standing, Statement, StatementAccount, StatementEntry, render};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::ledger::{
    StatementAccountRow, StatementEntryRow, statement_accounts, statement_entries, statement_standing,
};
use std::sync::Arc;

/// Entries of one statement: some 30 MB of text.
const STATEMENT_ENTRIES_MAX: i64 = 100_000;

/// What a statement is asked for.
#[derive(Debug, Clone)]
pub struct StatementRequest {
    /// The operator's id of the partner.
    pub partner: String,
    /// One program, or all.
    pub program: Option<ProgramId>,
    /// From the first entry, where absent.
    pub from: Option<Instant>,
    /// Until now, where absent.
    pub to: Option<Instant>,
}

impl App {
    /// The signed text of a partner's statement.
    pub async fn statement(self: &Arc<Self>, account: AccountId, asked: StatementRequest) -> Result<String> {
        let partner = self.partner_read(account, &asked.partner)?;
        self.fall_due_to_read(account).await?;
        let made = self.clock.now();
        let to = asked.to.unwrap_or(made);
        if asked.from.is_some_and(|from| from > to) {
            return Err(Error::invalid("from", "must not be after to"));
        }
        let owner = Owner::Partner(partner.id).to_string();
        let (from, program) = (asked.from.unwrap_or(Instant(i64::MIN)), asked.program);
        // A statement says where its accounts stood at one moment: without a window's end, that is the newest entry.
        let end = if asked.to.is_some() { to } else { Instant(i64::MAX) };
        let gather = async move |tx: &Tx<'_>| {
            let rows = statement_accounts(tx, account.0, &owner, program.map(|p| p.0), from.0, end.0).await?;
            let entries: i64 = rows.iter().map(|row| (row.last - row.first).max(0)).sum();
            if entries > STATEMENT_ENTRIES_MAX {
                return Ok(None);
            }
            let mut accounts = Vec::with_capacity(rows.len());
            for row in &rows {
                accounts.push(gather_account(tx, account, &owner, row).await?);
            }
            Ok(Some(accounts))
        };
        let too_long = || Error::invalid("to", "must be earlier: the window has more than 100000 entries");
        let accounts = self.store.money.read(gather).await?.ok_or_else(too_long)?;
        let partner = partner.row.external_id.clone();
        let statement = Statement { account: account.0, partner, from: asked.from, to, made, accounts };
        Ok(render(&statement, &self.secrets.statement_key(account)))
    }

    /// The public key of an account's statements, in hex.
    pub fn statement_public_key(&self, account: AccountId) -> String {
        self.secrets.statement_key(account).public()
    }
}

async fn gather_account(
    tx: &Tx<'_>,
    account: AccountId,
    owner: &str,
    row: &StatementAccountRow,
) -> StoreResult<StatementAccount> {
    let last = row.last.max(row.first);
    let opening = standing(tx, account, row.id, row.first).await?;
    let entries = statement_entries(tx, account.0, row.id, row.first, last).await?;
    let closing = standing(tx, account, row.id, last).await?;
    Ok(StatementAccount {
        ledger_account: row.id,
        program: row.program_id.to_string(),
        owner: owner.to_owned(),
        unit: row.unit.clone(),
        name: row.name.clone(),
        opening,
        entries: entries.into_iter().map(entry).collect(),
        closing,
    })
}

async fn standing(tx: &Tx<'_>, account: AccountId, ledger_account: i64, entries: i64) -> StoreResult<Standing> {
    let row = statement_standing(tx, account.0, ledger_account, entries).await?;
    Ok(row.map_or_else(Standing::empty, |row| Standing {
        balance: Decimal(row.balance),
        entries: row.entries,
        hash: row.hash,
    }))
}

/// An entry as statements of any kind have it.
pub(crate) fn entry(row: StatementEntryRow) -> StatementEntry {
    StatementEntry {
        number: row.number,
        id: row.id,
        transaction: row.transaction_id,
        amount: Decimal(row.amount),
        at: Instant(row.at),
        commission: row.commission_id,
        payout: row.payout_id,
        previous_hash: row.previous_hash,
        hash: row.hash,
    }
}
