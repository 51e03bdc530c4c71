//! From `x-api-key` to a brand, and the error body of this dialect: `{"success": false, "error": {"code", "message"}}`.
//!
//! Leaves errors of single records to `results`.

use crate::body::BodyError;
use crate::json::records::BodyNotRecords;
use crate::limits::rate::Allowance;
use crate::once::NotStarted;
use crate::state::WebState;
use axum::Json;
use axum::response::{IntoResponse, Response};
use headwater_app::directory::Program;
use headwater_app::error::Error;
use headwater_app::key::KeyKind;
use headwater_domain::ids::KeyId;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use std::sync::Arc;

/// After an error of ours: a retry is safe, and soon is soon enough.
const RETRY_AFTER_SECONDS: u32 = 1;

/// A brand that may go on.
#[derive(Debug)]
pub struct Brand {
    /// Its program.
    pub program: Arc<Program>,
    /// Its token.
    pub key: KeyId,
    allowance: Allowance,
}

/// A request that is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrandError {
    status: StatusCode,
    code: &'static str,
    message: String,
    allowance: Option<Allowance>,
}

/// The brand whose token this is, within its program's rate.
pub fn brand(state: &WebState, headers: &HeaderMap) -> Result<Brand, BrandError> {
    let unknown = || BrandError::new(StatusCode::UNAUTHORIZED, "invalid_token", "Send your brand token as x-api-key.");
    let given = headers.get("x-api-key").and_then(|value| value.to_str().ok()).ok_or_else(unknown)?;
    let credential = state.app.authenticate(given.trim()).ok_or_else(unknown)?;
    let program = credential.program.filter(|_| credential.kind == KeyKind::Brand).ok_or_else(|| {
        BrandError::new(StatusCode::FORBIDDEN, "forbidden", "This key does not open this API: use a brand token.")
    })?;
    let allowance = state.brand_rate.take(&program, state.app.clock.now());
    if !allowance.is_granted() {
        let message = "Too many requests: wait for the seconds in Retry-After.";
        let error = BrandError::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", message);
        return Err(BrandError { allowance: Some(allowance), ..error });
    }
    let program = state.app.program_read(credential.account, program).map_err(|_| unknown())?;
    Ok(Brand { program, key: credential.id, allowance })
}

impl Brand {
    /// The answer, with what is left of the minute.
    pub fn answer(&self, outcome: Result<Response, BrandError>) -> Response {
        let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
        self.allowance.add_to(response.headers_mut());
        response
    }
}

impl BrandError {
    /// Any error; the message is a whole sentence.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), allowance: None }
    }
}

impl From<BodyError> for BrandError {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLarge { .. } => "payload_too_large",
            BodyError::Encoded => "unsupported_media_type",
            BodyError::TooSlow | BodyError::Broken => "invalid_json",
        };
        Self::new(error.status(), code, error.to_string())
    }
}

impl From<BodyNotRecords> for BrandError {
    fn from(error: BodyNotRecords) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string())
    }
}

impl From<NotStarted> for BrandError {
    fn from(refused: NotStarted) -> Self {
        let status = match refused {
            NotStarted::BadKey => StatusCode::BAD_REQUEST,
            NotStarted::InProgress => StatusCode::CONFLICT,
            NotStarted::Reused => StatusCode::UNPROCESSABLE_ENTITY,
            NotStarted::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, refused.code(), refused.to_string())
    }
}

impl From<Error> for BrandError {
    fn from(error: Error) -> Self {
        match error {
            Error::Busy => {}
            error => tracing::error!(%error, "records of a brand could not be taken"),
        }
        let message = "The service cannot do this now. A retry is safe.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "internal_error", message)
    }
}

impl IntoResponse for BrandError {
    fn into_response(self) -> Response {
        let body = json!({"success": false, "error": {"code": self.code, "message": self.message}});
        let mut response = (self.status, Json(body)).into_response();
        if self.status.is_server_error() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
        }
        if let Some(allowance) = self.allowance {
            allowance.add_to(response.headers_mut());
        }
        response
    }
}
