//! The exact body of a message, in the three envelopes of `postbacks.md` §2–4, and the headers that name it.
//!
//! The event comes in as the JSON text of its Event object and is embedded as it is, so amounts keep their digits.
//! Leaves to others: rendering that object, and signing the result. Invariant: what is made here is what is stored,
//! signed and sent; nothing renders it a second time.

use crate::postback::rewards_event;
use crate::postback::subscription::PayloadStyle;
use crate::time::Instant;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// One event on its way to one endpoint.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// `pbd_…`, the same over all retries.
    pub delivery_id: &'a str,
    /// The event's number.
    pub event_id: i64,
    /// e.g. `FIRST_DEPOSIT`.
    pub event_type: &'a str,
    /// When the event happened.
    pub created: Instant,
    /// Whether it is real; a made-up test is not.
    pub livemode: bool,
    /// The Event object, rendered.
    pub event_json: &'a str,
}

/// The body of `message` in the envelope of `style`.
pub fn render(style: PayloadStyle, message: Message<'_>) -> String {
    let Message { delivery_id, event_id, event_type, created, livemode, event_json } = message;
    match style {
        PayloadStyle::Referral => {
            referral(delivery_id, &event_id.to_string(), event_type, created.seconds(), livemode, event_json)
        }
        PayloadStyle::Rewards => {
            let data = if livemode { event_json } else { r#"{"test":true}"# };
            rewards(delivery_id, event_id, created, data)
        }
        PayloadStyle::Standard => standard(event_type, created, event_json),
    }
}

/// The referral envelope; `created_unix` is when the event happened, in seconds.
pub fn referral(
    delivery_id: &str,
    event_id: &str,
    event_type: &str,
    created_unix: i64,
    livemode: bool,
    event_json: &str,
) -> String {
    let (delivery_id, event_id, event_type) = (quoted(delivery_id), quoted(event_id), quoted(event_type));
    format!(
        "{{\"id\":{delivery_id},\"event_id\":{event_id},\"event_type\":{event_type},\"created\":{created_unix},\
         \"livemode\":{livemode},\"data\":{event_json}}}"
    )
}

/// The envelope of Standard Webhooks.
pub fn standard(event_type: &str, timestamp: Instant, event_json: &str) -> String {
    let (event_type, timestamp) = (quoted(event_type), quoted(&timestamp.iso8601()));
    format!("{{\"type\":{event_type},\"timestamp\":{timestamp},\"data\":{event_json}}}")
}

/// The rewards envelope for a referral event: an entity `event` that was created. The event's own type is in `data`.
pub fn rewards(delivery_id: &str, event_id: i64, timestamp: Instant, data_json: &str) -> String {
    let (uuid, timestamp) = (quoted(&rewards_event_id(delivery_id)), quoted(&timestamp.iso8601()));
    format!(
        "{{\"event_id\":{uuid},\"event_type\":\"{REWARDS_EVENT_TYPE}\",\"action\":\"created\",\
         \"entity_type\":\"event\",\"entity_id\":{event_id},\"changes\":{{}},\"data\":{data_json},\
         \"timestamp\":{timestamp}}}"
    )
}

/// A change of an object of the rewards dialect, on its way to one webhook.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// `pbd_…`, the same over all retries.
    pub delivery_id: &'a str,
    /// e.g. `commission.updated`, one of `rewards_event`.
    pub event_type: &'a str,
    /// The object's number.
    pub entity_id: i64,
    /// `{field: [old, new]}`, rendered; only an update has any.
    pub changes_json: &'a str,
    /// The object as it is now, rendered.
    pub data_json: &'a str,
    /// When it changed.
    pub timestamp: Instant,
}

/// The rewards envelope of a change (`postbacks.md` §3).
pub fn rewards_change(change: Change<'_>) -> String {
    let Change { delivery_id, event_type, entity_id, changes_json, data_json, timestamp } = change;
    let (entity, action) = rewards_event::parts(event_type).unwrap_or(("event", "updated"));
    let changes = if action == "updated" { changes_json } else { "{}" };
    let (uuid, timestamp) = (quoted(&rewards_event_id(delivery_id)), quoted(&timestamp.iso8601()));
    let event_type = quoted(event_type);
    format!(
        "{{\"event_id\":{uuid},\"event_type\":{event_type},\"action\":\"{action}\",\"entity_type\":\"{entity}\",\
         \"entity_id\":{entity_id},\"changes\":{changes},\"data\":{data_json},\"timestamp\":{timestamp}}}"
    )
}

/// The older envelope of a reward that waits to be delivered: the receiver's 200 says that it was (`postbacks.md` §3).
pub fn fulfilment_pending(delivery_id: &str, timestamp: Instant, data_json: &str) -> String {
    let (uuid, timestamp) = (quoted(&rewards_event_id(delivery_id)), quoted(&timestamp.iso8601()));
    let event_type = quoted(rewards_event::FULFILMENT_PENDING);
    format!("{{\"event\":{{\"id\":{uuid},\"type\":{event_type},\"created_at\":{timestamp}}},\"data\":{data_json}}}")
}

/// The rewards envelope of a made-up delivery: it is about nothing.
pub fn rewards_test(delivery_id: &str, event_type: &str, timestamp: Instant) -> String {
    if event_type == rewards_event::FULFILMENT_PENDING {
        return fulfilment_pending(delivery_id, timestamp, r#"{"test":true}"#);
    }
    let change = Change { delivery_id, event_type, entity_id: 0, changes_json: "{}", data_json: "", timestamp };
    rewards_change(Change { data_json: r#"{"test":true}"#, ..change })
}

/// `{entity}.{action}` of a referral event in the rewards envelope.
const REWARDS_EVENT_TYPE: &str = "event.created";

/// The UUID by which a rewards receiver drops doubles: derived from the delivery id, so constant over retries.
/// Version 8 of RFC 9562 (our own derivation).
pub fn rewards_event_id(delivery_id: &str) -> String {
    let digest: [u8; 32] =
        Sha256::new().chain_update(b"headwater rewards event ").chain_update(delivery_id).finalize().into();
    let mut uuid: [u8; 16] = std::array::from_fn(|i| digest[i]);
    uuid[6] = (uuid[6] & 0x0f) | 0x80;
    uuid[8] = (uuid[8] & 0x3f) | 0x80;
    let text = hex::encode(uuid);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// The headers that name a message, beside its signatures. `attempt` counts from 1.
pub fn headers(style: PayloadStyle, delivery_id: &str, event_type: &str, attempt: u32) -> Vec<(&'static str, String)> {
    match style {
        PayloadStyle::Referral => {
            vec![("FX-Event-Type", event_type.to_owned()), ("FX-Delivery-Attempt", attempt.to_string())]
        }
        PayloadStyle::Rewards => {
            // A webhook's delivery has the type of its envelope; a referral event in this envelope is an `event.created`.
            let event_type = if rewards_event::is_known(event_type) { event_type } else { REWARDS_EVENT_TYPE };
            vec![("X-Event-Id", rewards_event_id(delivery_id)), ("X-Event-Type", event_type.to_owned())]
        }
        PayloadStyle::Standard => vec![],
    }
}

/// A JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"id":90417,"eventType":"FIRST_DEPOSIT","amount":250.00,"metadata":"{\"a\": 1}"}"#;

    fn message() -> Message<'static> {
        Message {
            delivery_id: "pbd_01J8ZQ4T9V",
            event_id: 90417,
            event_type: "FIRST_DEPOSIT",
            created: Instant::from_seconds(1_760_000_000),
            livemode: true,
            event_json: EVENT,
        }
    }

    #[test]
    fn the_referral_body_is_the_published_one() {
        let body = render(PayloadStyle::Referral, message());
        let head = r#"{"id":"pbd_01J8ZQ4T9V","event_id":"90417","event_type":"FIRST_DEPOSIT","created":1760000000,"livemode":true,"data":"#;
        assert_eq!(body, format!("{head}{EVENT}}}"));
    }

    #[test]
    fn the_event_is_embedded_digit_for_digit_in_every_envelope() {
        for style in [PayloadStyle::Referral, PayloadStyle::Rewards, PayloadStyle::Standard] {
            let body = render(style, message());
            assert!(body.contains(&format!("\"data\":{EVENT}")), "{body}");
            serde_json::from_str::<Value>(&body).expect("valid JSON");
        }
    }

    #[test]
    fn the_other_envelopes_have_their_published_fields() {
        let keys = |style| {
            let body: Value = serde_json::from_str(&render(style, message())).expect("valid JSON");
            body.as_object().expect("object").keys().cloned().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(keys(PayloadStyle::Standard), "type timestamp data");
        assert_eq!(
            keys(PayloadStyle::Rewards),
            "event_id event_type action entity_type entity_id changes data timestamp"
        );
        let test = render(PayloadStyle::Rewards, Message { livemode: false, ..message() });
        assert!(test.contains(r#""data":{"test":true}"#), "{test}");
    }

    #[test]
    fn a_change_is_named_by_its_type() {
        let change = Change {
            delivery_id: "pbd_01J8ZQ4T9V",
            event_type: "commission.approved",
            entity_id: 7101,
            changes_json: r#"{"status":["pending","approved"]}"#,
            data_json: r#"{"id":7101,"amount":250}"#,
            timestamp: Instant::from_seconds(1_760_000_000),
        };
        let rest = concat!(
            r#""event_type":"commission.approved","action":"updated","entity_type":"commission","entity_id":7101,"#,
            r#""changes":{"status":["pending","approved"]},"data":{"id":7101,"amount":250},"timestamp":"2025-10-09T08:53:20Z"}"#
        );
        let body = rewards_change(change);
        assert_eq!(body.split_once(',').expect("fields").1, rest);
        let headers = headers(PayloadStyle::Rewards, "pbd_01J8ZQ4T9V", "commission.approved", 1);
        assert!(body.contains(&headers[0].1), "the id of the header is the body's");
        assert_eq!(headers[1].1, "commission.approved");
        let created = rewards_change(Change { event_type: "commission.created", ..change });
        assert!(created.contains(r#""action":"created""#) && created.contains(r#""changes":{}"#), "{created}");
        let test = rewards_test("pbd_01J8ZQ4T9V", "payout.updated", change.timestamp);
        let read: Value = serde_json::from_str(&test).expect("valid JSON");
        assert_eq!((&read["data"]["test"], &read["entity_type"]), (&true.into(), &"payout".into()));
    }

    #[test]
    fn the_rewards_id_is_a_uuid_and_constant_over_retries() {
        let id = rewards_event_id("pbd_01J8ZQ4T9V");
        assert_eq!(id, rewards_event_id("pbd_01J8ZQ4T9V"));
        assert_ne!(id, rewards_event_id("pbd_01J8ZQ4T9W"));
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert_eq!(id.as_bytes()[14], b'8');
        assert_eq!(headers(PayloadStyle::Rewards, "pbd_01J8ZQ4T9V", "FIRST_DEPOSIT", 1)[0].1, id);
    }

    #[test]
    fn text_cannot_break_out_of_its_field() {
        let body = referral("a\",\"x\":\"", "1", "T\n", 0, false, "{}");
        let read: Value = serde_json::from_str(&body).expect("valid JSON");
        assert_eq!(read["id"], "a\",\"x\":\"");
        assert!(read.get("x").is_none());
    }
}
