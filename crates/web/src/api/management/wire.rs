//! What every handler of this API does the same way: take the caller, read a body, answer an operation's error.

use crate::body;
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::body::Body;
use axum::extract::Extension;
use headwater_app::error::Error;
use headwater_app::key::Credential;
use headwater_domain::ids::AccountId;
use headwater_domain::time::{Instant, Zone};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use std::sync::Arc;

/// 1 MB (`conventions.md` §5).
const BODY_BYTES_MAX: usize = 1 << 20;

/// The caller, put in by `auth`.
pub(super) type Caller = Extension<Arc<Credential>>;
/// A query, decoded.
pub(super) type Query = crate::asked::Query;
/// An answer of 200, or an error.
pub(super) type Answer = Result<axum::Json<Value>, ApiError>;
/// An answer of 201, or an error.
pub(super) type Created = Result<(StatusCode, axum::Json<Value>), ApiError>;

/// The JSON of a body.
pub(super) async fn json(headers: &HeaderMap, body: Body) -> Result<Value, ApiError> {
    let bytes = body::read(headers, body, BODY_BYTES_MAX).await?;
    let text = crate::json::strict::check(&bytes)?;
    serde_json::from_str(text)
        .map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string()))
}

/// The object of a body.
pub(super) async fn object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, ApiError> {
    match json(headers, body).await? {
        Value::Object(map) => Ok(map),
        _ => Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", "The body must be a JSON object.")),
    }
}

/// Refuses keys that nobody reads.
pub(super) fn only(fields: &Map<String, Value>, known: &[&str]) -> Result<(), ApiError> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        Some(key) => Err(ApiError::invalid(key, format!("{key} is not known here."))),
        None => Ok(()),
    }
}

/// A text field, if given and not null.
pub(super) fn text(fields: &Map<String, Value>, key: &str) -> Result<Option<String>, ApiError> {
    match fields.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.is_empty() => Ok(Some(text.clone())),
        Some(_) => Err(ApiError::invalid(key, format!("{key} must be a string that is not empty."))),
    }
}

/// A date (at its start in this zone) or an instant, if given.
pub(super) fn instant(fields: &Map<String, Value>, key: &str, zone: &Zone) -> Result<Option<Instant>, ApiError> {
    let Some(text) = text(fields, key)? else { return Ok(None) };
    let at = crate::asked::date_or_instant(&text, zone);
    at.map(Some).ok_or_else(|| ApiError::invalid(key, format!("{key} must be a date or an ISO 8601 time with a zone.")))
}

/// The zone of the account's first program, for dates of what belongs to no single program.
pub(super) fn zone_of(state: &WebState, account: AccountId) -> Zone {
    let directory = state.app.directory();
    let program = directory.default_program(account);
    program.and_then(|program| Zone::parse(&program.settings.time_zone)).unwrap_or(Zone::UTC)
}

/// Refuses `null` where a value is kept or replaced, but never cleared.
pub(super) fn refuse_null(fields: &Map<String, Value>, keys: &[&str]) -> Result<(), ApiError> {
    match keys.iter().find(|key| fields.get(**key).is_some_and(Value::is_null)) {
        Some(key) => Err(ApiError::invalid(*key, format!("{key} cannot be cleared: send a value, or leave it out."))),
        None => Ok(()),
    }
}

/// One parameter of a query.
pub(super) fn asked(query: &[(String, String)], name: &str) -> Option<String> {
    query.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
}

/// The number that a list goes on after.
pub(super) fn after(page: &Page) -> Result<Option<i64>, ApiError> {
    page.after_number()
}

/// One more than is shown, so that `has_more` is known.
pub(super) fn rows(page: &Page) -> i64 {
    i64::try_from(page.limit + 1).expect("at most a hundred")
}

/// A number in a path; anything else is an unknown object.
pub(super) fn number(text: &str, noun: &'static str) -> Result<i64, ApiError> {
    crate::asked::plain_number(text).ok_or_else(|| refused(Error::NotFound(noun)))
}

/// Who acts, as the audit names it.
pub(super) fn actor(caller: &Caller) -> String {
    format!("key:{}", caller.id.0)
}

/// The name by which the operator knows a partner.
pub(super) fn partner_name(state: &WebState, account: AccountId, id: i64) -> String {
    let found = state.app.directory().partner_by_id(account, headwater_domain::ids::PartnerId(id)).cloned();
    found.map_or_else(|| id.to_string(), |partner| partner.row.external_id.clone())
}

/// An operation's error in this API.
pub(super) fn refused(error: Error) -> ApiError {
    match error {
        Error::Invalid { param, message } => ApiError::invalid(param.clone(), format!("{param} {message}.")),
        Error::NotFound(noun) => {
            let code = match noun {
                "program" => "program_not_found",
                "partner" => "partner_not_found",
                "plan" => "plan_not_found",
                "commission" => "commission_not_found",
                "payout" => "payout_not_found",
                "held" => "held_not_found",
                "fact" => "fact_not_found",
                "customer" => "customer_not_found",
                "key" => "key_not_found",
                _ => "not_found",
            };
            ApiError::not_found(code, format!("No {noun} has this id."))
        }
        Error::UnknownCursor => Page::bad_cursor(),
        Error::Conflict { code, param, message } => {
            let error = ApiError::conflict(code, message);
            match param {
                Some(param) => error.with_param(param),
                None => error,
            }
        }
        Error::Forbidden { message, .. } => ApiError::forbidden(message),
        Error::Busy => ApiError::unavailable(),
        Error::Store(error) => {
            tracing::error!(%error, "a management operation failed");
            ApiError::unavailable()
        }
    }
}
