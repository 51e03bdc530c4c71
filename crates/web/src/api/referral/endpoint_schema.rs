//! What the reference says of postback endpoints and their deliveries; see `schema` for what these types are not.

use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

type Object = Map<String, Value>;

/// What a new endpoint is made of.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"url": "https://crm.broker.example/hooks/fx", "enabled_events": ["REGISTRATION", "FIRST_DEPOSIT"],
    "description": "CRM prod", "metadata": {"env": "prod"}}))]
pub struct NewEndpoint {
    /// HTTPS, port 443 or 8443; must answer 2xx within 10 seconds.
    #[schema(max_length = 2048)]
    pub url: String,
    /// Event types, or `["*"]` for all.
    #[schema(min_items = 1)]
    pub enabled_events: Vec<String>,
    /// A label.
    #[schema(max_length = 500)]
    pub description: Option<String>,
    /// Free JSON.
    pub metadata: Option<Object>,
    /// The envelope: `referral` where it is left out.
    pub payload_style: Option<PayloadStyle>,
}

/// The envelope of deliveries.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum PayloadStyle {
    /// `{id, event_id, event_type, created, livemode, data}`.
    Referral,
    /// `{event_id, event_type, action, entity_type, entity_id, changes, data, timestamp}`.
    Rewards,
    /// `{type, timestamp, data}`, as Standard Webhooks have it.
    Standard,
}

/// What of an endpoint can be changed. A field that is left out stays as it is.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"status": "disabled", "description": null}))]
pub struct EndpointChange {
    /// Checked as on create.
    pub url: Option<String>,
    /// Replaces the list.
    pub enabled_events: Option<Vec<String>>,
    /// `null` removes it.
    pub description: Option<String>,
    /// Replaces all of it.
    pub metadata: Option<Object>,
    /// `enabled` or `disabled`.
    pub status: Option<String>,
}

/// An endpoint.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "pe_01J8ZQ0A7K", "object": "postback_endpoint", "url": "https://crm.broker.example/hooks/fx",
    "enabled_events": ["REGISTRATION", "FIRST_DEPOSIT"], "description": "CRM prod", "metadata": {"env": "prod"},
    "payload_style": "referral", "status": "enabled", "created": "2026-02-03T10:20:00Z", "signing_secret_hint": "Hh8="}))]
pub struct Endpoint {
    /// `pe_…`.
    pub id: String,
    /// `postback_endpoint`.
    pub object: String,
    /// Where deliveries go.
    pub url: String,
    /// What it hears.
    pub enabled_events: Vec<String>,
    /// The label.
    #[schema(required)]
    pub description: Option<String>,
    /// Yours.
    pub metadata: Object,
    /// The envelope.
    pub payload_style: PayloadStyle,
    /// `enabled` or `disabled`.
    pub status: String,
    /// ISO 8601, UTC.
    pub created: String,
    /// The last four characters of the secret.
    pub signing_secret_hint: String,
}

/// An endpoint with its secret: shown when it is made, and never again.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "pe_01J8ZQ0A7K", "object": "postback_endpoint", "url": "https://crm.broker.example/hooks/fx",
    "enabled_events": ["REGISTRATION", "FIRST_DEPOSIT"], "description": "CRM prod", "metadata": {"env": "prod"},
    "payload_style": "referral", "status": "enabled", "created": "2026-02-03T10:20:00Z", "signing_secret_hint": "Hh8=",
    "signing_secret": "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="}))]
pub struct EndpointWithSecret {
    /// The endpoint.
    #[serde(flatten)]
    pub endpoint: Endpoint,
    /// `whsec_` and base64 of 32 random bytes.
    pub signing_secret: String,
}

/// How long the old secret signs beside the new one.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"grace_seconds": 3600}))]
pub struct Rotation {
    /// None where it is left out.
    #[schema(minimum = 0, maximum = 86400, default = 0)]
    pub grace_seconds: Option<i64>,
}

/// What became of a made-up delivery.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"delivery_id": "pbd_01J8ZQ4T9V", "delivered": true, "response_status": 204, "duration_ms": 83, "error": null}))]
pub struct TestOutcome {
    /// `pbd_…`.
    pub delivery_id: String,
    /// Whether the answer was 2xx.
    pub delivered: bool,
    /// The receiver's status, if it answered.
    #[schema(required)]
    pub response_status: Option<i64>,
    /// How long it took.
    #[schema(required)]
    pub duration_ms: Option<i64>,
    /// Why there is no status.
    #[schema(required)]
    pub error: Option<String>,
}

/// The end of an endpoint.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "pe_01J8ZQ0A7K", "deleted": true}))]
pub struct Deleted {
    /// Its id.
    pub id: String,
    /// `true`.
    pub deleted: bool,
}

/// One message to one endpoint, over all its attempts.
#[derive(Debug, ToSchema)]
pub struct Delivery {
    /// `pbd_…`, the same over all attempts.
    pub id: String,
    /// `delivery`.
    pub object: String,
    /// The event; none for a test.
    #[schema(required)]
    pub event_id: Option<i64>,
    /// Its type.
    pub event_type: String,
    /// `pending`, `delivered`, `failed` (a dead letter) or `cancelled`.
    pub status: String,
    /// How many were made.
    pub attempts: i64,
    /// When the next is due, while it is pending.
    #[schema(required)]
    pub next_attempt_at: Option<String>,
    /// The receiver's last status.
    #[schema(required)]
    pub response_status: Option<i64>,
    /// Why the last attempt got no status.
    #[schema(required)]
    pub error: Option<String>,
    /// Why it is a dead letter.
    #[schema(required)]
    pub reason: Option<String>,
    /// `false` for a test.
    pub livemode: bool,
    /// ISO 8601, UTC.
    pub created: String,
    /// When it was delivered or given up.
    #[schema(required)]
    pub finished: Option<String>,
    /// The exact bytes that are sent.
    pub body: String,
    /// Each attempt, where one delivery is read; empty in lists.
    pub attempt_log: Vec<DeliveryAttempt>,
}

/// One attempt.
#[derive(Debug, ToSchema)]
pub struct DeliveryAttempt {
    /// From 1.
    pub number: i64,
    /// ISO 8601, UTC.
    pub at: String,
    /// The receiver's status.
    #[schema(required)]
    pub response_status: Option<i64>,
    /// How long it took.
    pub duration_ms: i64,
    /// The first 1000 characters of the answer.
    #[schema(required)]
    pub response: Option<String>,
    /// Why there is no status.
    #[schema(required)]
    pub error: Option<String>,
}

/// A page of endpoints.
#[derive(Debug, ToSchema)]
pub struct EndpointList {
    /// `list`.
    pub object: String,
    /// Newest first, without secrets.
    pub data: Vec<Endpoint>,
    /// Whether there are more.
    pub has_more: bool,
    /// The last id of this page, where there are more.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// A page of deliveries.
#[derive(Debug, ToSchema)]
pub struct DeliveryList {
    /// `list`.
    pub object: String,
    /// Newest first.
    pub data: Vec<Delivery>,
    /// Whether there are more.
    pub has_more: bool,
    /// The last id of this page, where there are more.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Which endpoints.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EndpointPage {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last one you have seen.
    pub starting_after: Option<String>,
}

/// Which deliveries.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeliveryFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last delivery you have seen.
    pub starting_after: Option<String>,
    /// `pending`, `delivered`, `failed` (a dead letter) or `cancelled`.
    pub status: Option<String>,
}
