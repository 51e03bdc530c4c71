//! The ledger: reading entries and balances; `book` writes.
//!
//! Reads bring the holds of the account up to date first, so that a balance never shows as held what is payable.

pub mod book;

use crate::app::App;
use crate::error::Result;
use headwater_domain::ids::AccountId;
pub use headwater_store::ledger::{BalanceFilter, BalanceRow, EntryFilter, EntryRow};
use headwater_store::ledger::{balance_list, entry_list};
use std::sync::Arc;

impl App {
    /// At most `limit` entries, newest first.
    pub async fn entry_list(
        self: &Arc<Self>,
        account: AccountId,
        filter: EntryFilter,
        limit: i64,
    ) -> Result<Vec<EntryRow>> {
        self.fall_due(Some(account)).await?;
        Ok(self.store.money.read(async move |tx| entry_list(tx, account.0, &filter, limit).await).await?)
    }

    /// Every balance, perhaps of one owner.
    pub async fn balance_list(self: &Arc<Self>, account: AccountId, filter: BalanceFilter) -> Result<Vec<BalanceRow>> {
        self.fall_due(Some(account)).await?;
        Ok(self.store.money.read(async move |tx| balance_list(tx, account.0, &filter).await).await?)
    }
}
