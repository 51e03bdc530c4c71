//! The error body of this dialect: `{"message", "code"[, "errors"]}`.
//!
//! An invalid body is 400 `invalid_record` with the complaints by field; an invalid query or list of ids 422
//! `invalid_params`; something that cannot be done 422 `operation_failed`. A 5xx never says what happened inside.

use crate::body::BodyError;
use crate::json::field::{BodyNotFields, FieldError};
use crate::json::strict::JsonError;
use crate::limits::rate::Allowance;
use axum::Json;
use axum::response::{IntoResponse, Response};
use headwater_app::error::Error;
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use std::collections::BTreeMap;

/// After an error of ours: soon is soon enough.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A request that is refused.
#[derive(Debug, Clone, PartialEq)]
pub struct RewardsError {
    status: StatusCode,
    code: &'static str,
    message: String,
    errors: BTreeMap<String, Vec<String>>,
    /// Whether the message stands under `transaction_id` too.
    is_signed_up: bool,
    allowance: Option<Allowance>,
}

impl RewardsError {
    /// Any error of this dialect.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), errors: BTreeMap::new(), is_signed_up: false, allowance: None }
    }

    /// 401, as published.
    pub fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized")
    }

    /// 403, as published: a key of another dialect, or of another account than the header names.
    pub fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Invalid user type")
    }

    /// 404: no such object of this account.
    pub fn not_found(noun: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("No {noun} matches."))
    }

    /// 400 `invalid_record`: what is wrong with one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        let (field, message) = (field.into(), message.into());
        let errors = BTreeMap::from([(field, vec![message.clone()])]);
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "invalid_record", message) }
    }

    /// 422 `invalid_params`: a filter, a page or a list of ids.
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_params", message)
    }

    /// 422 with the complaint of one field, about something that cannot be expressed here.
    pub fn inexpressible(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, code: "invalid_params", ..Self::invalid(field, message) }
    }

    /// The same complaint about a field of a body.
    #[must_use]
    pub fn about(self, field: &str) -> Self {
        Self::invalid(field, self.message)
    }

    /// 422 `operation_failed`: the state of things does not allow it.
    pub fn operation_failed(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "operation_failed", message)
    }

    /// 422 of a sign-up that is there already: its field is one that no request has, as published.
    pub fn signed_up(message: impl Into<String>) -> Self {
        Self { is_signed_up: true, ..Self::operation_failed(message) }
    }

    /// 429 with the headers of the limit.
    pub fn rate_limited(allowance: Allowance) -> Self {
        let message = "Too many requests: wait for the seconds in Retry-After.";
        let error = Self::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message);
        Self { allowance: Some(allowance), ..error }
    }

    /// 503. Log the cause where it is handled; it is not shown.
    pub fn unavailable() -> Self {
        let message = "The service cannot do this now. Try again, with the same event_id or Idempotency-Key.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "internal_error", message)
    }

    /// Its sentence.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Its code.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl From<FieldError> for RewardsError {
    fn from(error: FieldError) -> Self {
        Self::invalid(error.param, error.message)
    }
}

impl From<JsonError> for RewardsError {
    fn from(error: JsonError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string())
    }
}

impl From<BodyNotFields> for RewardsError {
    fn from(error: BodyNotFields) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string())
    }
}

impl From<BodyError> for RewardsError {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLarge { .. } => "body_too_large",
            BodyError::Encoded => "unsupported_media_type",
            BodyError::TooSlow => "request_timeout",
            BodyError::Broken => "invalid_json",
        };
        Self::new(error.status(), code, error.to_string())
    }
}

impl From<Error> for RewardsError {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid { param, message } => {
                let message = format!("{param} {}.", message.trim_end_matches('.'));
                Self::invalid(param, message)
            }
            Error::NotFound(noun) => Self::not_found(noun),
            Error::UnknownCursor => Self::invalid_params("The list cannot go on after an object that is not in it."),
            Error::Conflict { message, .. } => Self::operation_failed(message),
            Error::Forbidden { message, .. } => Self::new(StatusCode::FORBIDDEN, "forbidden", message),
            Error::Busy => Self::unavailable(),
            Error::Store(error) => {
                tracing::error!(%error, "a request of the rewards API could not be done");
                Self::unavailable()
            }
        }
    }
}

impl IntoResponse for RewardsError {
    fn into_response(self) -> Response {
        let mut body = json!({"message": self.message, "code": self.code});
        if !self.errors.is_empty() {
            body["errors"] = json!(self.errors);
        }
        if self.is_signed_up {
            body["transaction_id"] = body["message"].clone();
        }
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
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

    async fn shown(error: RewardsError) -> (u16, String) {
        let response = error.into_response();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), 4096).await.expect("a body");
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn bodies_have_the_published_shape() {
        for (error, status, body) in [
            (RewardsError::unauthorized(), 401, r#"{"message":"Unauthorized","code":"unauthorized"}"#),
            (RewardsError::forbidden(), 403, r#"{"message":"Invalid user type","code":"forbidden"}"#),
            (RewardsError::not_found("webhook"), 404, r#"{"message":"No webhook matches.","code":"not_found"}"#),
            (
                RewardsError::invalid("url", "url must be https."),
                400,
                r#"{"message":"url must be https.","code":"invalid_record","errors":{"url":["url must be https."]}}"#,
            ),
            (
                Error::invalid("amount", "must be positive").into(),
                400,
                r#"{"message":"amount must be positive.","code":"invalid_record","errors":{"amount":["amount must be positive."]}}"#,
            ),
            (RewardsError::invalid_params("No."), 422, r#"{"message":"No.","code":"invalid_params"}"#),
            (RewardsError::operation_failed("No."), 422, r#"{"message":"No.","code":"operation_failed"}"#),
        ] {
            assert_eq!(shown(error).await, (status, body.to_owned()));
        }
    }
}
