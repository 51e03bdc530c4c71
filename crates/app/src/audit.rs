//! Who did what: reading the deeds that each operation adds in its own transaction.

use crate::app::App;
use crate::error::{Error, Result};
use headwater_domain::ids::AccountId;
use headwater_store::audit::deed_list;
pub use headwater_store::audit::{Deed, DeedFilter};

impl App {
    /// At most `limit` deeds, newest first, after the deed `before_id` of the filter.
    pub async fn deed_list(&self, account: AccountId, filter: DeedFilter, limit: i64) -> Result<Vec<Deed>> {
        let list = async move |tx: &headwater_store::backend::Tx<'_>| deed_list(tx, account.0, &filter, limit).await;
        self.store.money.read(list).await?.ok_or(Error::UnknownCursor)
    }
}
