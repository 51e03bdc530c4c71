//! Who listens: the webhooks of an account by what they want to hear of, and of which programs.

use super::{Directory, REWARDS_DIALECT};
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::postback::subscription::{EnabledEvents, EndpointStatus};
use headwater_store::directory::EndpointRow;
use std::sync::Arc;

impl Directory {
    /// The webhooks of this account that listen to this event type in this program.
    pub fn webhooks(
        &self,
        account: AccountId,
        program: ProgramId,
        event_type: &str,
    ) -> impl Iterator<Item = &Arc<EndpointRow>> {
        self.webhooks_of_account(account, event_type).filter(move |e| hears_of(&e.programs, program))
    }
    /// The webhooks of this account that listen to this event type, in whatever program.
    pub fn webhooks_of_account(&self, account: AccountId, event_type: &str) -> impl Iterator<Item = &Arc<EndpointRow>> {
        let wants = move |e: &&Arc<EndpointRow>| {
            is_listening(e) && EnabledEvents::from_json(&e.enabled_events).want(event_type)
        };
        self.endpoints(account).filter(wants)
    }
    /// Whether any webhook of this account listens to anything in this program.
    pub fn has_webhooks(&self, account: AccountId, program: ProgramId) -> bool {
        self.endpoints(account).any(|e| is_listening(e) && hears_of(&e.programs, program))
    }
}

fn is_listening(e: &EndpointRow) -> bool {
    e.dialect == REWARDS_DIALECT && EndpointStatus::parse(&e.status) == Some(EndpointStatus::Enabled)
}

/// Whether a webhook with this list of programs hears of this one; none named: all.
fn hears_of(programs: &str, program: ProgramId) -> bool {
    let programs: Vec<i64> = serde_json::from_str(programs).unwrap_or_else(|_| vec![0]);
    programs.is_empty() || programs.contains(&program.0)
}
