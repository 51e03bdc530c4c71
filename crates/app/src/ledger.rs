//! The ledger: reading entries and balances.

use crate::app::App;
use crate::error::Result;
use headwater_domain::ids::AccountId;
pub use headwater_store::ledger::{BalanceRow, EntryFilter, EntryRow};
use headwater_store::ledger::{balance_list, entry_list};

impl App {
    /// At most `limit` entries, newest first.
    pub async fn entry_list(&self, account: AccountId, filter: EntryFilter, limit: i64) -> Result<Vec<EntryRow>> {
        Ok(self.store.money.read(async move |tx| entry_list(tx, account.0, &filter, limit).await).await?)
    }

    /// Every balance, perhaps of one owner.
    pub async fn balance_list(&self, account: AccountId, owner: Option<String>) -> Result<Vec<BalanceRow>> {
        Ok(self.store.money.read(async move |tx| balance_list(tx, account.0, owner.as_deref()).await).await?)
    }
}
