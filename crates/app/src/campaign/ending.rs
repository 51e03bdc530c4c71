//! The end of a campaign: since when it is none any more, and ending it.
//!
//! What was earned before stays owed; from that moment on it brings nobody and pays nothing, whoever joined it and whenever: a
//! campaign that is gone from every list must not go on costing money that nobody looks at. Leaves reading the moment to those that
//! bind, price and redirect. Invariant: no campaign that has ended begins again, and an account keeps one.

use super::ARCHIVED;
use crate::announce::announce;
use crate::app::App;
use crate::directory::Program;
use crate::error::Result;
use crate::membership::{MemberState, changed};
use crate::program::stored;
use crate::reprice::Mark;
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::membership::membership_update;
use headwater_store::tenant::program_update;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Since when it is none any more, by what a campaign says.
pub(crate) fn ended_at(campaign: &Map<String, Value>) -> Option<Instant> {
    campaign.get(ARCHIVED).and_then(Value::as_str).and_then(Instant::parse)
}

/// Whether it was one no more at `at`.
pub(crate) fn has_ended(campaign: &Map<String, Value>, at: Instant) -> bool {
    ended_at(campaign).is_some_and(|ended| ended <= at)
}

/// Whether a program is a campaign no more.
pub fn is_archived(program: &Program) -> bool {
    program.settings.campaign.contains_key(ARCHIVED)
}

impl App {
    /// Ends a campaign: its members are inactive. Its referrals and books stay: nothing that money points to goes.
    pub async fn campaign_archive(self: &Arc<Self>, account: AccountId, id: ProgramId) -> Result<Arc<Program>> {
        let (app, now) = (Arc::clone(self), self.clock.now());
        let end = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            let said = Map::from_iter([(ARCHIVED.to_owned(), now.iso8601().into())]);
            let (name, site_url, settings, _) = match app.program_change(account, id, &Map::new(), &said) {
                Ok(change) => change,
                Err(refused) => return Ok(Err(refused)),
            };
            program_update(tx, account.0, id.0, &name, &site_url, &stored(&settings)).await?;
            let directory = app.directory();
            let mut told = Vec::new();
            let leaves = |state: MemberState| !state.is_shut_out() && state != MemberState::Inactive;
            for member in directory.memberships(account).filter(|m| m.program == id && leaves(m.state)) {
                let (state, token) = (MemberState::Inactive, &member.row.ref_token);
                membership_update(tx, account.0, member.id.0, state.name(), token, &member.row.data).await?;
                told.push(changed(&directory, member, state, token));
            }
            app.mark_from(account, now).set(tx).await?;
            Ok(Ok(announce(tx, &app, &told, now).await?))
        };
        let delivers = self.store.money.write(end).await?;
        self.refresh_committed().await;
        if delivers? {
            self.outbox.ring();
        }
        self.program_read(account, id)
    }
}
