//! Facts: reading one with its revisions, what it paid, and why it did not.

use crate::app::App;
use crate::error::{Error, Result};
use crate::settle;
use headwater_domain::commission::{RuleVerdict, Terms, verdicts};
use headwater_domain::ids::{AccountId, FactId, ProgramId};
use headwater_store::commission::{CommissionFilter, CommissionRow, commission_list};
pub use headwater_store::fact::{HeldRow, StoredFactRow};
use headwater_store::fact::{fact_by_id, fact_revisions, held_of_fact};
use headwater_store::person_state::PersonOf;

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

/// A fact, and what each rule says of it now.
#[derive(Debug, Clone)]
pub struct FactExplained {
    /// The fact and what it paid.
    pub story: FactStory,
    /// Whether a later revision stands in its place: then no rule looks at it.
    pub is_superseded: bool,
    /// The rules of the plan at its date; empty where none prices it.
    pub rules: Vec<RuleVerdict>,
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

    /// A fact with what each rule of its plan says of it now.
    pub async fn fact_explain(&self, account: AccountId, id: FactId) -> Result<FactExplained> {
        let story = self.fact_read(account, id).await?;
        let persons = [PersonOf { account_id: account.0, id: story.fact.person_id }];
        let people = self.store.money.read(async move |tx| settle::people(tx, &persons).await).await?;
        let is_superseded = !people.iter().flat_map(|person| &person.facts).any(|fact| fact.id == id);
        let directory = self.directory();
        let program = directory.program_of_any_account(ProgramId(story.fact.program_id));
        let mut rules = Vec::new();
        if let (Some(person), Some(program)) = (people.first(), program) {
            // What another source is the truth for is left out: it is held already, and no rule looks at it.
            let (view, _) = directory.person_view(person)?;
            let partners = directory.partners_from(view.partners().collect(), program)?;
            let exchange = directory.exchange(account);
            let terms = Terms { partners: &partners, exchange: &exchange, closed_before: program.closed_before };
            rules = verdicts(std::slice::from_ref(&view), &terms, id);
        }
        drop(directory);
        Ok(FactExplained { story, is_superseded, rules })
    }
}
