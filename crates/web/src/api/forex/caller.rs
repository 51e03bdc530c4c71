//! From a bearer token to a client with a scope, and the error body of this dialect:
//! `{"error": {"code", "message", "details"}}`.
//!
//! Each detail names a record, its field and the rule that it breaks; there are at most a hundred of them.

use crate::body::BodyError;
use crate::json::records::BodyNotRecords;
use crate::json::table::Refusal;
use crate::limits::rate::Allowance;
use crate::once::NotStarted;
use crate::state::WebState;
use axum::Json;
use axum::response::{IntoResponse, Response};
use headwater_app::directory::Program;
use headwater_app::error::Error;
use headwater_app::oauth::Scope;
use headwater_domain::ids::KeyId;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use std::sync::Arc;

/// Complaints that are shown.
const DETAILS_MAX: usize = 100;
/// After an error of ours: a retry is safe, and soon is soon enough.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A client that may go on.
#[derive(Debug)]
pub struct Client {
    /// Its program.
    pub program: Arc<Program>,
    /// The OAuth client.
    pub key: KeyId,
    allowance: Allowance,
}

/// A request that is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct ForexError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Vec<Value>,
    is_truncated: bool,
    allowance: Option<Allowance>,
}

/// A complaint about the record of this index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Which record.
    pub index: usize,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// The client whose token this is, with this scope and within the token's rate.
pub async fn client(state: &WebState, headers: &HeaderMap, scope: Scope) -> Result<Client, ForexError> {
    let foreign = || {
        let message = "This key does not open this API: get an access token at /oauth/token.";
        ForexError::new(StatusCode::FORBIDDEN, "forbidden", message)
    };
    let unknown = || {
        let message = "Send an access token from /oauth/token as Authorization: Bearer; it works for an hour.";
        ForexError::new(StatusCode::UNAUTHORIZED, "invalid_token", message)
    };
    let Some(text) = bearer_text(headers) else {
        let other = headers.get("x-api-key").and_then(|value| value.to_str().ok());
        let is_key = other.is_some_and(|text| state.app.authenticate(text.trim()).is_some());
        return Err(if is_key { foreign() } else { unknown() });
    };
    let Some(bearer) = state.app.oauth_bearer(text).await? else {
        return Err(if state.app.authenticate(text).is_some() { foreign() } else { unknown() });
    };
    let allowance = state.bearer_rate.take(&bearer.token_hash, state.app.clock.now());
    if !allowance.is_granted() {
        let message = "Too many requests: wait for the seconds in Retry-After.";
        let error = ForexError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message);
        return Err(ForexError { allowance: Some(allowance), ..error });
    }
    if !bearer.scopes.contains(&scope) {
        let message = format!("This token lacks the scope {}.", scope.name());
        return Err(ForexError::new(StatusCode::FORBIDDEN, "insufficient_scope", message));
    }
    let program = bearer.client.program.ok_or_else(unknown)?;
    let program = state.app.program_read(bearer.client.account, program).map_err(|_| unknown())?;
    Ok(Client { program, key: bearer.client.id, allowance })
}

fn bearer_text(headers: &HeaderMap) -> Option<&str> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
}

impl Client {
    /// The answer, with what is left of the minute.
    pub fn answer(&self, outcome: Result<Response, ForexError>) -> Response {
        let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
        self.allowance.add_to(response.headers_mut());
        response
    }
}

impl ForexError {
    /// Any error; the message is a whole sentence.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: Vec::new(), is_truncated: false, allowance: None }
    }

    /// 422: complaints about records, of which there were `received`.
    pub fn refused(mut complaints: Vec<Complaint>, received: usize) -> Self {
        complaints.sort_by_key(|complaint| complaint.index);
        let mut records: Vec<_> = complaints.iter().map(|complaint| complaint.index).collect();
        records.dedup();
        let plural = if complaints.len() == 1 { "" } else { "s" };
        let message = format!("{} error{plural} in {} of {received} records.", complaints.len(), records.len());
        let details = complaints.iter().take(DETAILS_MAX).map(Complaint::to_wire).collect();
        let is_truncated = complaints.len() > DETAILS_MAX;
        Self { details, is_truncated, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", message) }
    }

    /// 422: a parameter of the query.
    pub fn bad_parameter(name: &str, rule: &'static str, message: &str) -> Self {
        let details = vec![json!({"field": name, "rule": rule, "message": message})];
        Self { details, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", message) }
    }
}

impl Complaint {
    fn to_wire(&self) -> Value {
        let field = Some(&self.refusal.field).filter(|field| !field.is_empty());
        json!({"index": self.index, "field": field, "rule": self.refusal.rule, "message": self.refusal.message})
    }
}

impl From<BodyError> for ForexError {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLarge { .. } => "payload_too_large",
            BodyError::Encoded => "unsupported_media_type",
            BodyError::TooSlow | BodyError::Broken => "invalid_json",
        };
        Self::new(error.status(), code, error.to_string())
    }
}

impl From<BodyNotRecords> for ForexError {
    fn from(error: BodyNotRecords) -> Self {
        match error {
            BodyNotRecords::Json(error) => Self::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string()),
            BodyNotRecords::NotRecords => {
                let message = "The body must be a JSON array of records, or {\"data\": […]}.";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", message)
            }
        }
    }
}

impl From<NotStarted> for ForexError {
    fn from(refused: NotStarted) -> Self {
        let status = match refused {
            NotStarted::BadKey => {
                return Self::bad_parameter("Idempotency-Key", "max_length", &refused.to_string());
            }
            NotStarted::InProgress => StatusCode::CONFLICT,
            NotStarted::Reused => StatusCode::UNPROCESSABLE_ENTITY,
            NotStarted::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.code(), refused.to_string())
    }
}

impl From<Error> for ForexError {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => {}
            error => tracing::error!(%error, "a request of the forex API could not be done"),
        }
        let message = "The service cannot do this now. A retry is safe.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "internal_error", message)
    }
}

impl IntoResponse for ForexError {
    fn into_response(self) -> Response {
        let mut error = json!({"code": self.code, "message": self.message});
        if !self.details.is_empty() {
            error["details"] = Value::Array(self.details);
        }
        if self.is_truncated {
            error["details_truncated"] = true.into();
        }
        let mut response = (self.status, Json(json!({"error": error}))).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer error=\"invalid_token\""));
        }
        if self.status.is_server_error() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if let Some(allowance) = self.allowance {
            allowance.add_to(headers);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::table::refusal;

    #[test]
    fn complaints_are_counted_and_cut() {
        let complaint = |index| Complaint { index, refusal: refusal("currency", "iso4217", "XXQ is none.") };
        let few = ForexError::refused(vec![complaint(9), complaint(3)], 40);
        assert_eq!(few.message, "2 errors in 2 of 40 records.");
        assert_eq!((few.details[0]["index"].as_u64(), few.is_truncated), (Some(3), false));
        let many = ForexError::refused((0..101).map(complaint).collect(), 1000);
        assert_eq!((many.details.len(), many.is_truncated), (100, true));
        assert_eq!(ForexError::refused(vec![complaint(0)], 1).message, "1 error in 1 of 1 records.");
    }
}
