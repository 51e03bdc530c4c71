//! The ledger: reading entries and balances; `moves` and `book` write.
//!
//! Reads bring the holds of the account up to date first, so that a balance never shows as held what is payable.

pub mod book;
pub(crate) mod cells;
pub mod moves;

use crate::app::App;
use crate::error::{Error, Result};
use headwater_domain::ids::AccountId;
pub use headwater_store::ledger::{BalanceFilter, BalanceRow, EntryFilter, EntryRow};
use headwater_store::ledger::{balance_list, entry_exists, entry_list};
use std::sync::Arc;

impl App {
    /// At most `limit` entries, newest first, after the entry `before_id` of the filter.
    pub async fn entry_list(
        self: &Arc<Self>,
        account: AccountId,
        filter: EntryFilter,
        limit: i64,
    ) -> Result<Vec<EntryRow>> {
        self.fall_due_to_read(account).await?;
        let list = async move |tx: &headwater_store::backend::Tx<'_>| {
            if let Some(after) = filter.before_id
                && !entry_exists(tx, account.0, after).await?
            {
                return Ok(None);
            }
            entry_list(tx, account.0, &filter, limit).await.map(Some)
        };
        self.store.money.read(list).await?.ok_or(Error::UnknownCursor)
    }

    /// Every balance, perhaps of one owner.
    pub async fn balance_list(self: &Arc<Self>, account: AccountId, filter: BalanceFilter) -> Result<Vec<BalanceRow>> {
        self.fall_due_to_read(account).await?;
        Ok(self.store.money.read(async move |tx| balance_list(tx, account.0, &filter).await).await?)
    }
}
