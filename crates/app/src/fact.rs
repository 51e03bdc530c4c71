//! Facts: reading one with its revisions, what it paid, and why it did not.

use crate::app::App;
use crate::error::{Error, Result};
use headwater_domain::ids::{AccountId, FactId};
use headwater_store::commission::{CommissionFilter, CommissionRow, commission_list};
pub use headwater_store::fact::{HeldRow, StoredFactRow};
use headwater_store::fact::{fact_by_id, fact_revisions, held_of_fact};

/// Postings of one fact that are shown.
const COMMISSIONS_MAX: i64 = 1000;

/// A fact and what became of it.
#[derive(Debug, Clone)]
pub struct FactStory {
    /// The revision that was asked for.
    pub fact: StoredFactRow,
    /// All revisions of its key, oldest first.
    pub revisions: Vec<StoredFactRow>,
    /// What this revision posted, newest first.
    pub commissions: Vec<CommissionRow>,
    /// Why it is not priced.
    pub held: Vec<HeldRow>,
}

impl App {
    /// A fact with everything that is known of it.
    pub async fn fact_read(&self, account: AccountId, id: FactId) -> Result<FactStory> {
        let story = async move |tx: &headwater_store::backend::Tx<'_>| {
            let Some(fact) = fact_by_id(tx, account.0, id.0).await? else { return Ok(None) };
            let revisions = fact_revisions(tx, account.0, fact.person_id, &fact.kind, &fact.fact_key).await?;
            let filter = CommissionFilter { fact_id: Some(id.0), ..CommissionFilter::default() };
            let commissions = commission_list(tx, account.0, &filter, COMMISSIONS_MAX).await?;
            let held = held_of_fact(tx, account.0, id.0).await?;
            Ok(Some(FactStory { fact, revisions, commissions, held }))
        };
        self.store.money.read(story).await?.ok_or(Error::NotFound("fact"))
    }
}
