//! A payout's statement: what it pays, what it takes back and its ledger entries, read in one piece and signed.
//!
//! The form and its check are the domain's (`ledger::payout_statement`); this file only gathers the rows.

use crate::app::App;
use crate::error::{Error, Result};
use crate::ledger::moves::numbers;
use crate::statement::entry;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::ledger::payout_statement::{PaidCommission, PayoutEntry, PayoutStatement, render};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error as StoreError, Result as StoreResult, Tx};
use headwater_store::commission::commissions_by_id;
use headwater_store::commission_shown::commissions_shown_by_id;
use headwater_store::ledger::{PayoutEntryRow, payout_entries};
use headwater_store::payout::{PayoutRow, payout_by_id, payout_items};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A payout that moves while it is read is read again.
const READS_MAX: usize = 5;

impl App {
    /// The signed text of a payout's statement; with a `payee`, of a payout of that partner which is shown to it.
    pub async fn payout_statement(&self, account: AccountId, id: i64, payee: Option<PartnerId>) -> Result<String> {
        for _ in 0..READS_MAX {
            let read = self.store.money.read(async move |tx| gather(tx, account, id).await).await?;
            let Gathered { payout, mut commissions, from_below, entries, is_settled } =
                read.ok_or(Error::NotFound("payout"))?;
            let is_its = |payee: PartnerId| payout.partner_id == Some(payee.0) && !payout.is_hidden;
            if !payee.is_none_or(is_its) {
                return Err(Error::NotFound("payout"));
            }
            if !is_settled {
                continue;
            }
            let (program, directory) = (ProgramId(payout.program_id), self.directory());
            let payee = payee.and_then(|payee| directory.partner_by_id(account, payee));
            if payee.is_some_and(|payee| !self.tree_programs(payee).contains(&program)) {
                // As in its list of commissions: whose sale came from below is not its to know.
                for commission in commissions.iter_mut().filter(|of| from_below.contains(&of.id)) {
                    commission.customer = None;
                }
            }
            let statement = self.statement_of(account, payout, commissions, entries);
            let text = render(&statement, &self.secrets.statement_key(account));
            return text.ok_or_else(|| Error::Store(StoreError::Abandoned("a sum of a payout leaves 64 bits".into())));
        }
        Err(Error::Busy)
    }

    fn statement_of(
        &self,
        account: AccountId,
        payout: PayoutRow,
        commissions: Vec<PaidCommission>,
        entries: Vec<PayoutEntry>,
    ) -> PayoutStatement {
        let directory = self.directory();
        let partner = payout.partner_id.map(|id| {
            let known = directory.partner_by_id(account, PartnerId(id));
            known.map_or_else(|| id.to_string(), |partner| partner.row.external_id.clone())
        });
        let settings: Value = serde_json::from_str(&payout.settings).unwrap_or_default();
        PayoutStatement {
            account: account.0,
            payout: payout.id,
            program: payout.program_id.to_string(),
            partner,
            customer: payout.customer_id,
            unit: payout.unit,
            amount: Decimal(payout.amount),
            status: payout.status,
            method: settings["method"].as_str().map(str::to_owned),
            created: Instant(payout.created_at),
            until: Instant(payout.until_at),
            paid: payout.paid_at.map(Instant),
            made: self.clock.now(),
            commissions,
            entries,
        }
    }
}

/// A payout with all that is said of it; `is_settled`: it did not move while that was read.
struct Gathered {
    payout: PayoutRow,
    commissions: Vec<PaidCommission>,
    /// Those for what partners below brought.
    from_below: BTreeSet<i64>,
    entries: Vec<PayoutEntry>,
    is_settled: bool,
}

async fn gather(tx: &Tx<'_>, account: AccountId, id: i64) -> StoreResult<Option<Gathered>> {
    let Some(before) = payout_by_id(tx, account.0, id).await? else { return Ok(None) };
    let items = payout_items(tx, account.0, &numbers([id])).await?;
    let ids = numbers(items.into_iter().map(|(_, commission)| commission));
    let shown = commissions_shown_by_id(tx, account.0, &ids).await?;
    let from_below = shown.iter().filter(|row| row.level > 0).map(|row| row.id).collect();
    let customers: BTreeMap<i64, Option<i64>> = shown.into_iter().map(|row| (row.id, row.referral_id)).collect();
    let rows = commissions_by_id(tx, account.0, &ids).await?;
    let commissions = rows.into_iter().map(|row| PaidCommission {
        id: row.id,
        customer: customers.get(&row.id).copied().flatten(),
        rule: row.rule,
        period: row.period,
        for_period: row.for_period,
        amount: Decimal(row.amount),
        corrects: row.corrects,
    });
    let commissions = commissions.collect();
    let entries = payout_entries(tx, account.0, id).await?.into_iter().map(payout_entry).collect();
    let Some(payout) = payout_by_id(tx, account.0, id).await? else { return Ok(None) };
    let is_settled = (&before.status, before.paid_at) == (&payout.status, payout.paid_at);
    Ok(Some(Gathered { payout, commissions, from_below, entries, is_settled }))
}

fn payout_entry(row: PayoutEntryRow) -> PayoutEntry {
    PayoutEntry { ledger_account: row.ledger_account_id, name: row.name, entry: entry(row.entry) }
}
