//! Customers and facts as a broker sees them: by its own ids, in its own program.

use crate::app::App;
use crate::error::Result;
use headwater_domain::ids::ProgramId;
use headwater_store::listing::{KnownId, customers_known};
use std::collections::BTreeSet;

impl App {
    /// Which of these customers the program knows.
    pub async fn customers_known(&self, program: ProgramId, ids: Vec<String>) -> Result<BTreeSet<String>> {
        let ids: Vec<_> = ids.into_iter().map(|external_id| KnownId { external_id }).collect();
        let read = async move |tx: &headwater_store::backend::Tx<'_>| customers_known(tx, program.0, &ids).await;
        Ok(self.store.money.read(read).await?.into_iter().map(|(id,)| id).collect())
    }
}
