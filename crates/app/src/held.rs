//! Held facts: the list of what waits for somebody, pricing one again, and taking one off the list.
//!
//! A dismissal hides, it does not price: the fact stays as it is, and a later revision of it is listed anew.

use crate::app::App;
use crate::error::{Error, Result};
use crate::settle::Command;
use headwater_domain::ids::{AccountId, PersonId, ProgramId};
use headwater_store::audit::{AuditRow, audit_insert};
use headwater_store::backend::Tx;
pub use headwater_store::fact::HeldRow;
use headwater_store::fact::fact_by_id;
pub use headwater_store::held::HeldPlace;
use headwater_store::held::{held_dismiss, held_list, held_read};
use serde_json::json;
use std::sync::Arc;

impl App {
    /// At most `limit` held facts that nobody dismissed, newest first.
    pub async fn held_list(
        &self,
        account: AccountId,
        reason: Option<String>,
        after: Option<HeldPlace>,
        limit: i64,
    ) -> Result<Vec<HeldRow>> {
        let list = async move |tx: &Tx<'_>| {
            // A fact that was released meanwhile still has its place in the order.
            if let Some(place) = &after
                && fact_by_id(tx, account.0, place.fact_id).await?.is_none()
            {
                return Ok(None);
            }
            held_list(tx, account.0, reason.as_deref(), after.as_ref(), limit).await.map(Some)
        };
        self.store.money.read(list).await?.ok_or(Error::UnknownCursor)
    }

    /// A held fact of this account.
    pub async fn held_read(&self, account: AccountId, place: HeldPlace) -> Result<HeldRow> {
        let found = self.store.money.read(async move |tx| held_read(tx, account.0, &place).await).await?;
        found.ok_or(Error::NotFound("held"))
    }

    /// Prices the person of a held fact anew; gives whether the fact is still held for this reason.
    pub async fn held_retry(self: &Arc<Self>, account: AccountId, place: HeldPlace) -> Result<bool> {
        let held = self.held_read(account, place.clone()).await?;
        let (program, persons) = (ProgramId(held.program_id), vec![(PersonId(held.person_id), None)]);
        self.settle(Command::Reprice { account, program, persons }).await?;
        let still = async move |tx: &Tx<'_>| held_read(tx, account.0, &place).await;
        Ok(self.store.money.read(still).await?.is_some())
    }

    /// Takes a held fact off the list, with a reason that is kept. Dismissed twice, the first reason stands.
    pub async fn held_dismiss(
        self: &Arc<Self>,
        account: AccountId,
        place: HeldPlace,
        note: String,
        actor: String,
    ) -> Result<HeldRow> {
        let app = Arc::clone(self);
        let now = self.clock.now();
        let dismiss = async move |tx: &Tx<'_>| {
            let Some(held) = held_read(tx, account.0, &place).await? else { return Ok(None) };
            if held_dismiss(tx, account.0, &place, &note, &actor, now.0).await? {
                let row = AuditRow {
                    id: app.next_id(now),
                    account_id: account.0,
                    at: now.0,
                    actor: actor.clone(),
                    action: "held.dismissed".into(),
                    object: format!("fact:{}", place.fact_id),
                    detail: json!({"held": place.reason, "reason": note}).to_string(),
                };
                audit_insert(tx, &[row]).await?;
            }
            Ok(Some(held))
        };
        self.store.money.write(dismiss).await?.ok_or(Error::NotFound("held"))
    }
}
