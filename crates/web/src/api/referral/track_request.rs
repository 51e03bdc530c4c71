//! The body of a track request, parsed field by field (`referral-api.md` §6).

use crate::idempotency::fingerprint;
use crate::json::field::{DecimalText, Fields, parse_object};
use crate::problem::ApiError;
use headwater_app::track::{ClickSignal, Signals};
use headwater_domain::event::{EVENT_TYPES, is_known};
use headwater_domain::ids::ID_MAX;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use http::StatusCode;
use serde_json::Value;

const METADATA_BYTES_MAX: usize = 2048;
const EVENT_KEY_CHARACTERS_MAX: usize = 128;
const TEXT_CHARACTERS_MAX: usize = 500;
const FUTURE_SECONDS_MAX: i64 = 300;
const PAST_SECONDS_MAX: i64 = 90 * 86_400;

/// One event as a caller sent it.
#[derive(Debug)]
pub struct TrackRequest {
    /// One of the published types.
    pub event_type: String,
    /// What it says of its visitor.
    pub signals: Signals,
    /// The program it names.
    pub program: Option<String>,
    /// Trimmed, in lower case.
    pub email_key: Option<String>,
    /// The client's name.
    pub name: Option<String>,
    /// Not negative.
    pub amount: Option<DecimalText>,
    /// Required with an amount.
    pub currency: Option<Currency>,
    /// JSON text, byte for byte.
    pub metadata: Option<String>,
    /// JSON text of `data`.
    pub data: Option<String>,
    /// The caller's own id.
    pub event_key: Option<String>,
    /// When it happened.
    pub occurred_at: Option<Instant>,
    /// SHA-256 over the canonical body.
    pub fingerprint: String,
}

/// Parses and checks a body; `now` bounds its timestamp.
pub fn parse(body: &[u8], now: Instant) -> Result<TrackRequest, ApiError> {
    let fields = parse_object(body)?;
    let event_type = fields.required_string("event")?;
    if !is_known(&event_type) {
        let message = format!("event must be one of {}.", EVENT_TYPES.join(", "));
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "unknown_event_type", message).with_param("event"));
    }
    let data = fields.optional_object("data")?;
    let mut request = TrackRequest {
        signals: Signals { click: click(&fields)?, session: session(&fields)? },
        program: program(&fields)?,
        email_key: None,
        name: None,
        amount: None,
        currency: None,
        metadata: metadata(&fields)?,
        data: fields.raw("data").filter(|_| data.is_some()).map(str::to_owned),
        event_key: event_key(&fields)?,
        occurred_at: timestamp(&fields, now)?,
        fingerprint: fingerprint(body, None),
        event_type,
    };
    fields.optional_string_up_to("fingerprint", TEXT_CHARACTERS_MAX)?;
    fields.optional_string_up_to("partnerId", TEXT_CHARACTERS_MAX)?;
    if let Some(data) = &data {
        client(data, &mut request)?;
    }
    let custom = data.as_ref().map(|d| d.optional_string_up_to("customType", TEXT_CHARACTERS_MAX)).transpose()?;
    if request.event_type == "CUSTOM" && custom.flatten().is_none() && request.name.is_none() {
        return Err(ApiError::invalid("data.customType", "data.customType is required for CUSTOM: say what happened."));
    }
    Ok(request)
}

fn client(data: &Fields<'_>, request: &mut TrackRequest) -> Result<(), ApiError> {
    let email = data.optional_string_up_to("email", 320)?;
    request.email_key = email.map(|email| email.trim().to_lowercase()).filter(|email| !email.is_empty());
    if let Some(email) = &request.email_key {
        let parts: Vec<_> = email.split('@').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) || email.contains(char::is_whitespace) {
            return Err(ApiError::invalid("data.email", "data.email must be an email address."));
        }
    }
    request.name = data.optional_string_up_to("name", TEXT_CHARACTERS_MAX)?;
    data.optional_string_up_to("paymentMethod", TEXT_CHARACTERS_MAX)?;
    request.amount = data.optional_decimal("amount")?;
    if request.amount.as_ref().is_some_and(|amount| amount.value < Decimal::ZERO) {
        return Err(ApiError::invalid(
            "data.amount",
            "data.amount must not be negative: the event says the direction.",
        ));
    }
    let invalid_currency =
        |message: &str| ApiError::new(StatusCode::BAD_REQUEST, "invalid_currency", message).with_param("data.currency");
    if let Some(code) = data.optional_string("currency")? {
        let currency = Currency::parse(&code);
        request.currency =
            Some(currency.ok_or_else(|| invalid_currency("data.currency must be an ISO 4217 code, such as USD."))?);
    }
    if request.amount.is_some() && request.currency.is_none() {
        return Err(ApiError::invalid(
            "data.currency",
            "data.currency is required with data.amount: send an ISO 4217 code.",
        ));
    }
    Ok(())
}

fn click(fields: &Fields<'_>) -> Result<Option<ClickSignal>, ApiError> {
    let name = fields.spelling(&["clickId", "click_id"]);
    let Some(raw) = fields.raw(name).filter(|_| !fields.is_null(name)) else { return Ok(None) };
    let text = match serde_json::from_str::<Value>(raw) {
        Ok(Value::String(text)) => text,
        Ok(Value::Number(number)) => {
            let number = number.as_i64().filter(|n| (1..=ID_MAX).contains(n));
            let bad = || ApiError::invalid(name, format!("{name} must be a click token or a click's number."));
            return Ok(Some(ClickSignal::Number(number.ok_or_else(bad)?)));
        }
        _ => return Err(ApiError::invalid(name, format!("{name} must be a click token or a click's number."))),
    };
    let number = text.parse().ok().filter(|n| (1..=ID_MAX).contains(n) && text.len() < 40);
    Ok(Some(number.map_or(ClickSignal::Token(text), ClickSignal::Number)))
}

fn session(fields: &Fields<'_>) -> Result<Option<String>, ApiError> {
    let name = fields.spelling(&["sessionId", "session_id"]);
    Ok(fields.optional_string_up_to(name, TEXT_CHARACTERS_MAX)?.filter(|session| !session.is_empty()))
}

/// A program's number, as the string that the visitor's script sends.
fn program(fields: &Fields<'_>) -> Result<Option<String>, ApiError> {
    let name = fields.spelling(&["programId", "program_id"]);
    Ok(fields.optional_string_up_to(name, TEXT_CHARACTERS_MAX)?.filter(|program| !program.is_empty()))
}

fn metadata(fields: &Fields<'_>) -> Result<Option<String>, ApiError> {
    let Some(text) = fields.optional_string("metadata")? else { return Ok(None) };
    if text.len() > METADATA_BYTES_MAX {
        let message = format!("metadata must have at most {METADATA_BYTES_MAX} bytes.");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "metadata_too_large", message).with_param("metadata"));
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(&text).is_err() {
        return Err(ApiError::invalid("metadata", "metadata must be a string that holds JSON."));
    }
    Ok(Some(text))
}

fn event_key(fields: &Fields<'_>) -> Result<Option<String>, ApiError> {
    let name = fields.spelling(&["eventId", "event_id"]);
    Ok(fields.optional_string_up_to(name, EVENT_KEY_CHARACTERS_MAX)?.filter(|key| !key.is_empty()))
}

fn timestamp(fields: &Fields<'_>, now: Instant) -> Result<Option<Instant>, ApiError> {
    let Some(text) = fields.optional_string("timestamp")? else { return Ok(None) };
    let form =
        || ApiError::invalid("timestamp", "timestamp must be ISO 8601 with a zone, such as 2026-02-03T10:15:00Z.");
    let at = Instant::parse(&text).ok_or_else(form)?;
    if at > now.plus_seconds(FUTURE_SECONDS_MAX) || at < now.plus_seconds(-PAST_SECONDS_MAX) {
        let message = "timestamp must lie within the last 90 days, and at most 5 minutes ahead.";
        return Err(ApiError::invalid("timestamp", message));
    }
    Ok(Some(at))
}
