//! What the reference says of the referral dialect's events. Nothing is parsed or rendered with these types:
//! money keeps its digits and metadata its bytes, which no struct of ours would. That both agree is shown on a running
//! server (`crates/headwater/tests/it/reference.rs`).
//!
//! Examples are those of the published documents.

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A conversion event.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"event": "FIRST_DEPOSIT", "clickId": "5gvh01p2c6tq8x4n7m3k9w1r0z2y6b4d8f0h3j5s",
    "data": {"email": "client@example.org", "name": "Cleo Ient", "amount": 250.00, "currency": "USD", "paymentMethod": "card"},
    "metadata": "{\"acct\":\"MT5-1\"}", "eventId": "deposit-7731"}))]
pub struct TrackEvent {
    /// What happened.
    pub event: EventType,
    /// Recommended: the click token of the landing URL. `click_id` is read as well; a secret key may send the number.
    #[schema(rename = "clickId")]
    pub click_id: Option<String>,
    /// The value of the cookie `FYNXT_SESSION_ID`. `session_id` is read as well.
    #[schema(rename = "sessionId")]
    pub session_id: Option<String>,
    /// What the event says of its client. Other keys are kept as they are.
    pub data: Option<EventData>,
    /// A string that holds JSON, kept and echoed byte for byte in postbacks; at most 2 KB.
    pub metadata: Option<String>,
    /// Else the account's first program.
    #[schema(rename = "programId")]
    pub program_id: Option<String>,
    /// Sent by the browser script; the click decides.
    #[schema(rename = "partnerId")]
    pub partner_id: Option<String>,
    /// A hashed browser fingerprint.
    pub fingerprint: Option<String>,
    /// Your own id of the event, unique in the program: it counts once, however often it is sent.
    #[schema(rename = "eventId", max_length = 128)]
    pub event_id: Option<String>,
    /// When it happened, ISO 8601 with a zone; now where it is left out. At most 90 days back and 5 minutes ahead.
    pub timestamp: Option<String>,
}

/// What can happen to a client.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "each is the published type of its own name")]
pub enum EventType {
    Registration,
    Verification,
    KycCompleted,
    FirstDeposit,
    FirstTrade,
    RecurringDeposit,
    Withdrawal,
    AccountUpgrade,
    Subscription,
    EmailSignup,
    ContentDownload,
    WebinarRegistration,
    DemoAccountCreation,
    NewsletterSubscription,
    Custom,
    /// Sent by the browser script when a visitor lands: a touch, that earns nothing.
    ReferralInitiated,
}

/// What an event says of its client.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"email": "client@example.org", "amount": 250.00, "currency": "USD"}))]
pub struct EventData {
    /// Identifies or creates the client.
    pub email: Option<String>,
    /// Full name of a new client.
    pub name: Option<String>,
    /// Value of a deposit or a withdrawal, not negative: at most 15 digits, six after the point, no exponent.
    #[schema(value_type = Option<f64>)]
    pub amount: Option<Value>,
    /// ISO 4217; required with `amount`.
    pub currency: Option<String>,
    /// `card`, `wire`, `crypto` and so on.
    #[schema(rename = "paymentMethod")]
    pub payment_method: Option<String>,
    /// What kind of CUSTOM event it is, unless `name` says it.
    #[schema(rename = "customType")]
    pub custom_type: Option<String>,
}

/// What replaces the browser's figures.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"amount": 250.00, "currency": "USD"}))]
pub struct Confirmation {
    /// The amount that really arrived.
    #[schema(value_type = Option<f64>)]
    pub amount: Option<Value>,
    /// ISO 4217.
    pub currency: Option<String>,
}

/// A recorded event: the answer of a track request, and `data` of a postback.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": 90417, "eventType": "FIRST_DEPOSIT", "clickId": 7731, "clientId": 512, "amount": 250.00,
    "currency": "USD", "isConversion": true, "isDuplicate": false, "timestamp": "2026-02-03T10:15:00Z",
    "partnerId": "ib_2044", "linkId": "ln_01J8ZP6V4C", "programId": "1201", "attribution": "click", "verified": true,
    "eventId": null, "metadata": "{\"acct\":\"MT5-1\"}"}))]
pub struct Event {
    /// Event ID.
    pub id: i64,
    /// What happened.
    #[schema(rename = "eventType")]
    pub event_type: EventType,
    /// The attributed click, if there is one.
    #[schema(rename = "clickId", required)]
    pub click_id: Option<i64>,
    /// Internal trader profile, made from the email.
    #[schema(rename = "clientId", required)]
    pub client_id: Option<i64>,
    /// With the digits that were sent.
    #[schema(value_type = Option<f64>, required)]
    pub amount: Option<Value>,
    /// ISO 4217.
    #[schema(required)]
    pub currency: Option<String>,
    /// Whether it qualifies for a CPA payout.
    #[schema(rename = "isConversion")]
    pub is_conversion: bool,
    /// Whether the same type was recorded for this client before.
    #[schema(rename = "isDuplicate")]
    pub is_duplicate: bool,
    /// When it happened: ISO 8601, UTC.
    pub timestamp: String,
    /// Who brought the client.
    #[schema(rename = "partnerId", required)]
    pub partner_id: Option<String>,
    /// By which link.
    #[schema(rename = "linkId", required)]
    pub link_id: Option<String>,
    /// In which program.
    #[schema(rename = "programId", required)]
    pub program_id: Option<String>,
    /// What the attribution rests on: `click`, `session`, `fingerprint`, `profile` or `none`.
    pub attribution: String,
    /// `false` until a browser's money event is confirmed.
    pub verified: bool,
    /// Your own id.
    #[schema(rename = "eventId", required)]
    pub event_id: Option<String>,
    /// Byte for byte.
    #[schema(required)]
    pub metadata: Option<String>,
}

/// A page of events.
#[derive(Debug, ToSchema)]
pub struct EventList {
    /// `list`.
    pub object: String,
    /// Newest first.
    pub data: Vec<Event>,
    /// Whether there are more.
    pub has_more: bool,
    /// The last id of this page, where there are more.
    #[schema(required)]
    pub next_cursor: Option<i64>,
}

/// Which events.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last event you have seen.
    pub starting_after: Option<i64>,
    /// Of one partner.
    #[param(rename = "partnerId", example = "ib_2044")]
    pub partner_id: Option<String>,
    /// Of one type.
    #[param(rename = "eventType", example = "FIRST_DEPOSIT")]
    pub event_type: Option<EventType>,
    /// Of one client.
    #[param(rename = "clientId", example = 512)]
    pub client_id: Option<i64>,
    /// Whether it qualifies for a CPA payout.
    #[param(rename = "isConversion")]
    pub is_conversion: Option<bool>,
    /// Of one link.
    #[param(rename = "linkId")]
    pub link_id: Option<String>,
    /// Whether it counts yet.
    pub verified: Option<bool>,
    /// Happened from this date (in the program's zone) or instant on.
    #[param(example = "2026-02-01")]
    pub from: Option<String>,
    /// Happened before this date or instant.
    pub to: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::event::{EVENT_TYPES, REFERRAL_INITIATED};
    use utoipa::PartialSchema as _;

    #[test]
    fn the_described_types_are_those_that_are_taken() {
        let schema = serde_json::to_value(EventType::schema()).expect("JSON");
        let described: Vec<_> = schema["enum"].as_array().expect("an enum").iter().filter_map(Value::as_str).collect();
        let taken: Vec<_> = EVENT_TYPES.into_iter().chain([REFERRAL_INITIATED]).collect();
        assert_eq!(described, taken);
    }
}
