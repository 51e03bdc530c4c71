//! Plans: saving versions and putting them in force. Reading is the directory's; the rules are the domain's.
//!
//! The first version of a plan is in force from the beginning of time, so that a new plan prices at once; every later
//! one from the instant of its activation. Invariant: what is stored lints clean.

use crate::app::App;
use crate::error::{Error, Result};
use crate::keep::Keep;
use headwater_domain::commission::{LintError, lint};
use headwater_domain::ids::AccountId;
use headwater_domain::time::Instant;
use headwater_store::plan::{plan_activate, plan_insert};
use serde_json::Value;

/// Why a plan is not saved.
#[derive(Debug, thiserror::Error)]
pub enum PlanFailure {
    /// Everything that is wrong with the document, the first mistake first.
    #[error("the plan has mistakes")]
    Refused(Vec<LintError>),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
}

impl App {
    /// Saves a document as the next version of the plan that it names; gives name and version.
    pub async fn plan_save(
        &self,
        account: AccountId,
        document: &Value,
        keep: Keep<(String, i64)>,
    ) -> Result<(String, i64), PlanFailure> {
        let name = lint(document).map_err(PlanFailure::Refused)?.name;
        let (text, now, saved) = (document.to_string(), self.clock.now().0, name.clone());
        let number = self
            .store
            .money
            .write(async move |tx| {
                let number = plan_insert(tx, account.0, &saved, &text, now).await?;
                if number == 1 {
                    plan_activate(tx, account.0, &saved, number, 0).await?;
                }
                keep.keep(tx, &(saved.clone(), number)).await?;
                Ok(number)
            })
            .await
            .map_err(Error::from)?;
        self.refresh_committed().await;
        Ok((name, number))
    }

    /// Puts a saved version in force from an instant on, also in the past.
    pub async fn plan_activate(&self, account: AccountId, name: &str, number: i64, from: Instant) -> Result<()> {
        let known = self.directory().plan(account, name).map(|plan| plan.versions.contains_key(&number));
        match known {
            None => return Err(Error::NotFound("plan")),
            Some(false) => return Err(Error::invalid("version", "must be a saved version of this plan")),
            Some(true) => {}
        }
        let name = name.to_owned();
        let mark = self.mark_from(account, from);
        self.store
            .money
            .write(async move |tx| {
                plan_activate(tx, account.0, &name, number, from.0).await?;
                mark.set(tx).await
            })
            .await?;
        self.refresh_committed().await;
        Ok(())
    }

    /// A plan that a program or partner is given must be there.
    pub(crate) fn plan_must_exist(&self, account: AccountId, name: Option<&str>) -> Result<()> {
        let missing = name.filter(|name| self.directory().plan(account, name).is_none());
        missing.map_or(Ok(()), |_| Err(Error::invalid("plan", "must be the name of a saved plan")))
    }
}
