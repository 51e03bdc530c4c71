//! Customers and facts as a broker sees them: by its own ids, in its own program.

use crate::app::App;
use crate::error::Result;
use headwater_domain::ids::ProgramId;
pub use headwater_store::listing::{CustomerFilter, FactFilter, ListedCustomer, ListedFact, Part};
use headwater_store::listing::{KnownId, customers_known, customers_listed, facts_counted, facts_listed};
use std::collections::BTreeSet;

/// What stands before everything: shows how many fit, where a part is empty.
const FIRST: Part = Part { after_id: 0, limit: 1, offset: 0, is_counted: true };

impl App {
    /// Which of these customers the program knows.
    pub async fn customers_known(&self, program: ProgramId, ids: Vec<String>) -> Result<BTreeSet<String>> {
        let ids: Vec<_> = ids.into_iter().map(|external_id| KnownId { external_id }).collect();
        let read = async move |tx: &headwater_store::backend::Tx<'_>| customers_known(tx, program.0, &ids).await;
        Ok(self.store.money.read(read).await?.into_iter().map(|(id,)| id).collect())
    }

    /// A part of the customers that fit, and how many fit in all.
    pub async fn customers_listed(&self, filter: CustomerFilter, part: Part) -> Result<(Vec<ListedCustomer>, i64)> {
        let read = async move |tx: &headwater_store::backend::Tx<'_>| {
            let rows = customers_listed(tx, &filter, part).await?;
            let total = match rows.first() {
                Some(row) => Some(row.total),
                None if !part.is_counted => None,
                None => customers_listed(tx, &filter, FIRST).await?.first().map(|row| row.total),
            };
            Ok((rows, total.unwrap_or(0)))
        };
        Ok(self.store.money.read(read).await?)
    }

    /// A part of the facts that fit, and how many fit in all where that is asked.
    pub async fn facts_listed(&self, filter: FactFilter, part: Part) -> Result<(Vec<ListedFact>, i64)> {
        let read = async move |tx: &headwater_store::backend::Tx<'_>| {
            let rows = facts_listed(tx, &filter, part).await?;
            let total = if part.is_counted { facts_counted(tx, &filter).await? } else { 0 };
            Ok((rows, total))
        };
        Ok(self.store.money.read(read).await?)
    }
}
