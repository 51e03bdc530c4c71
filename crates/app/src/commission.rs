//! Commissions: reading what was posted, and why.

use crate::app::App;
use crate::error::{Error, Result};
use headwater_domain::ids::{AccountId, CommissionId};
pub use headwater_store::commission::{CommissionFilter, CommissionRow};
use headwater_store::commission::{commission_by_id, commission_list};

impl App {
    /// At most `limit` postings, newest first, after the posting `before_id` of the filter.
    pub async fn commission_list(
        &self,
        account: AccountId,
        filter: CommissionFilter,
        limit: i64,
    ) -> Result<Vec<CommissionRow>> {
        let list = async move |tx: &headwater_store::backend::Tx<'_>| {
            if let Some(after) = filter.before_id
                && commission_by_id(tx, account.0, after).await?.is_none()
            {
                return Ok(None);
            }
            commission_list(tx, account.0, &filter, limit).await.map(Some)
        };
        self.store.money.read(list).await?.ok_or(Error::UnknownCursor)
    }

    /// A posting of this account.
    pub async fn commission_read(&self, account: AccountId, id: CommissionId) -> Result<CommissionRow> {
        let found = self.store.money.read(async move |tx| commission_by_id(tx, account.0, id.0).await).await?;
        found.ok_or(Error::NotFound("commission"))
    }
}
