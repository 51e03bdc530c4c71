//! What other servers report by an address alone: whose program it is, and the event that it becomes (`postbacks.md` §10).
//!
//! A report names a click; its client is the one of that click, since nothing else is known of it. Leaves reading the
//! address to the route, and which names and senders count to the program (`domain::inbound`). Invariant: a report that comes
//! again, by click, event and transaction, changes nothing.

use crate::app::App;
use crate::directory::Program;
use crate::error::Result;
use crate::settle::{Answer, Command, Track, by_click};
use crate::track::{ClickSignal, Signals};
use headwater_domain::ids::{KeyId, LinkId};
use headwater_domain::inbound::hashed;
use headwater_domain::money::{Currency, Decimal};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;
use std::sync::Arc;

/// No key of the store sent it.
const NO_KEY: KeyId = KeyId(0);

/// What a server reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The click's token.
    pub click: String,
    /// The event, by the sender's name.
    pub event: String,
    /// How much, and the digits that were sent.
    pub amount: Option<(Decimal, String)>,
    /// In which currency; `None`: the program's.
    pub currency: Option<Currency>,
    /// The sender's transaction.
    pub transaction: Option<String>,
    /// The sender's status; kept, and read by nobody.
    pub status: Option<String>,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reported {
    /// It is an event, now or since it came first.
    Recorded,
    /// Its name is not on the program's list; it is logged.
    OtherName,
}

impl App {
    /// The program that takes postbacks from this sender: by its key, else by its address and the click that it names.
    pub fn postback_program(&self, key: Option<&str>, click: &str, address: Option<IpAddr>) -> Option<Arc<Program>> {
        let directory = self.directory();
        let is_of_click = |program: &Program| {
            let claim = self.clicks.keys().read(click, program.account).ok();
            let link = claim.and_then(|claim| directory.link(program.account, LinkId(claim.link.0)));
            link.is_some_and(|link| link.program_id == program.id.0)
        };
        let Some(key) = key else {
            let address = address?;
            let mut open = directory.programs_of_all_accounts().filter(|p| p.settings.inbound.admits_address(address));
            return open.find(|program| is_of_click(program)).cloned();
        };
        let hash = hashed(key);
        let admitted: Vec<_> =
            directory.programs_of_all_accounts().filter(|program| program.settings.inbound.admits(&hash)).collect();
        admitted.iter().find(|program| is_of_click(program)).or(admitted.first()).copied().cloned()
    }

    /// Records a report.
    pub async fn postback_take(&self, program: &Program, report: Report) -> Result<Reported> {
        let Some(event_type) = program.settings.inbound.event_type(&report.event).map(str::to_owned) else {
            let name: String = report.event.chars().take(64).collect();
            tracing::info!(program = program.id.0, name, "a postback names an event that is not on the program's list");
            return Ok(Reported::OtherName);
        };
        let signals = Signals { click: Some(ClickSignal::Token(report.click.clone())), session: None };
        let now = self.clock.now();
        let (touch, touch_reason) = self.resolve_signals(program.account, program.id, &signals, now).await?;
        let name = json!(["postback", report.click, event_type, report.transaction]).to_string();
        let event_key = format!("postback:{}", hex::encode(Sha256::digest(name.as_bytes())));
        let currency = report.amount.as_ref().and(report.currency.or(Currency::parse(&program.settings.currency)));
        let data = json!({
            "event": report.event, "txid": report.transaction, "status": report.status,
            "amount": report.amount.as_ref().map(|(_, text)| text), "currency": currency.map(|c| c.code().to_owned()),
        });
        let track = Track {
            account: program.account,
            program: program.id,
            key: NO_KEY,
            trusted: true,
            event_type,
            email_key: touch.map(|touch| by_click(touch.click)),
            touch,
            touch_reason,
            name: None,
            amount: report.amount,
            currency,
            metadata: None,
            data: Some(data.to_string()),
            event_key: Some(event_key.clone()),
            // Whatever else it says: the first report of its name stands.
            fingerprint: event_key,
            occurred_at: None,
            idempotency: None,
        };
        match self.settle(Command::Track(Box::new(track))).await? {
            Answer::Event { .. } | Answer::EventKeyReused => Ok(Reported::Recorded),
            other => unreachable!("a report without a key of its own is an event, not {other:?}"),
        }
    }
}
