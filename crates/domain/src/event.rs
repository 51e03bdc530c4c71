//! Business events: their types, which of them are money or repeat by nature, and the Event object that answers and
//! postbacks share (`referral-api.md` §6, §7).

use crate::ids::{ClickId, EventId, PersonId, ProgramId};
use crate::time::Instant;

/// The published event types, in their published order.
pub const EVENT_TYPES: [&str; 15] = [
    "REGISTRATION",
    "VERIFICATION",
    "KYC_COMPLETED",
    "FIRST_DEPOSIT",
    "FIRST_TRADE",
    "RECURRING_DEPOSIT",
    "WITHDRAWAL",
    "ACCOUNT_UPGRADE",
    "SUBSCRIPTION",
    "EMAIL_SIGNUP",
    "CONTENT_DOWNLOAD",
    "WEBINAR_REGISTRATION",
    "DEMO_ACCOUNT_CREATION",
    "NEWSLETTER_SUBSCRIPTION",
    "CUSTOM",
];

/// What the visitor's script sends when a visitor lands: recorded as a touch, it earns nothing.
pub const REFERRAL_INITIATED: &str = "REFERRAL_INITIATED";

/// Whether `name` can be tracked.
pub fn is_known(name: &str) -> bool {
    EVENT_TYPES.contains(&name) || name == REFERRAL_INITIATED
}

/// Whether this type happens many times to one client by nature; money ignores `isDuplicate` for these.
pub fn repeats(name: &str) -> bool {
    matches!(name, "RECURRING_DEPOSIT" | "WITHDRAWAL" | "SUBSCRIPTION" | "CUSTOM" | REFERRAL_INITIATED)
}

/// Whether this type is money by its name alone (`referral-api.md` §10).
pub fn is_money(name: &str) -> bool {
    matches!(name, "FIRST_DEPOSIT" | "RECURRING_DEPOSIT" | "WITHDRAWAL")
}

/// Whether an event counts yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It counts.
    Verified,
    /// A browser said so; a secret key must confirm it.
    Unverified,
    /// It was refused, or nobody confirmed it in time.
    Rejected,
}

impl State {
    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unverified => "unverified",
            Self::Rejected => "rejected",
        }
    }
    /// Reads [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Verified, Self::Unverified, Self::Rejected].into_iter().find(|s| s.name() == name)
    }
}

/// One recorded event, with the names that its readers know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub id: EventId,
    /// One of [`EVENT_TYPES`].
    pub event_type: String,
    /// The attributed click.
    pub click: Option<ClickId>,
    /// The client.
    pub client: Option<PersonId>,
    /// The amount, with the digits that the caller wrote.
    pub amount: Option<String>,
    /// ISO 4217.
    pub currency: Option<String>,
    /// Whether it qualifies for a CPA payout.
    pub is_conversion: bool,
    /// Whether the client had an event of this type before.
    pub is_duplicate: bool,
    /// When it happened.
    pub occurred_at: Instant,
    /// The partner's id as the operator chose it.
    pub partner: Option<String>,
    /// The link's public id.
    pub link: Option<String>,
    /// The program.
    pub program: ProgramId,
    /// `click`, `session`, `fingerprint`, `profile` or `none`.
    pub attribution: String,
    /// Whether it counts yet.
    pub state: State,
    /// The caller's own id.
    pub event_key: Option<String>,
    /// The caller's JSON text, byte for byte.
    pub metadata: Option<String>,
}

impl Event {
    /// The Event object as JSON text. Amounts keep the caller's digits.
    pub fn to_json(&self) -> String {
        let text = |value: &Option<String>| value.as_deref().map_or_else(|| "null".to_owned(), quoted);
        let number = |value: Option<i64>| value.map_or_else(|| "null".to_owned(), |n| n.to_string());
        format!(
            "{{\"id\":{},\"eventType\":{},\"clickId\":{},\"clientId\":{},\"amount\":{},\"currency\":{},\"isConversion\":{},\
             \"isDuplicate\":{},\"timestamp\":{},\"partnerId\":{},\"linkId\":{},\"programId\":{},\"attribution\":{},\
             \"verified\":{},\"eventId\":{},\"metadata\":{}}}",
            self.id,
            quoted(&self.event_type),
            number(self.click.map(|c| c.0)),
            number(self.client.map(|c| c.0)),
            self.amount.as_deref().unwrap_or("null"),
            text(&self.currency),
            self.is_conversion,
            self.is_duplicate,
            quoted(&self.occurred_at.iso8601()),
            text(&self.partner),
            text(&self.link),
            quoted(&self.program.to_string()),
            quoted(&self.attribution),
            self.state == State::Verified,
            text(&self.event_key),
            text(&self.metadata),
        )
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_object_keeps_digits_and_metadata() {
        let event = Event {
            id: EventId(90417),
            event_type: "FIRST_DEPOSIT".into(),
            click: Some(ClickId(7731)),
            client: Some(PersonId(512)),
            amount: Some("250.00".into()),
            currency: Some("USD".into()),
            is_conversion: true,
            is_duplicate: false,
            occurred_at: Instant::parse("2026-02-03T10:15:00Z").expect("valid"),
            partner: Some("ib_2044".into()),
            link: Some("ln_01J8ZP6V4C".into()),
            program: ProgramId(1201),
            attribution: "click".into(),
            state: State::Verified,
            event_key: None,
            metadata: Some("{\"acct\":\"MT5-1\"}".into()),
        };
        let expected = r#"{"id":90417,"eventType":"FIRST_DEPOSIT","clickId":7731,"clientId":512,"amount":250.00,"currency":"USD","isConversion":true,"isDuplicate":false,"timestamp":"2026-02-03T10:15:00Z","partnerId":"ib_2044","linkId":"ln_01J8ZP6V4C","programId":"1201","attribution":"click","verified":true,"eventId":null,"metadata":"{\"acct\":\"MT5-1\"}"}"#;
        assert_eq!(event.to_json(), expected);
    }
}
