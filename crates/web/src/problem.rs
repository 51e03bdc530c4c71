//! The one error body of the referral dialect and of our own API: `{"error": {"code", "message", "param"}}`.
//!
//! `param` is there only where one parameter is at fault. A 5xx never says what happened inside; the log does. Which
//! operation fails how is left to its handler: this file knows the shape, and the cases that every route shares.

use crate::body::BodyError;
use crate::json::field::{BodyNotFields, FieldError, VALIDATION_FAILED};
use crate::json::strict::JsonError;
use crate::limits::rate::Allowance;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

/// After an error of ours: a retry is safe, and soon is soon enough.
const RETRY_AFTER_SECONDS: u64 = 1;

/// An error, ready to be answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    param: Option<String>,
    retry_after_seconds: Option<u64>,
    allowance: Option<Allowance>,
}

/// The body of every answer that is not 2xx.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    /// For programs: stable.
    #[schema(example = "validation_failed")]
    pub code: String,
    /// For people: what is wrong and what to do.
    #[schema(example = "landing_page must start with a single slash.")]
    pub message: String,
    /// The parameter at fault, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "landing_page")]
    pub param: Option<String>,
}

impl ApiError {
    /// Any error of this dialect. The message is a whole sentence.
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, code, message, param: None, retry_after_seconds: None, allowance: None }
    }

    /// Names the parameter at fault.
    #[must_use]
    pub fn with_param(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// A parameter is invalid: 400 `validation_failed`.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, VALIDATION_FAILED, message).with_param(param)
    }

    /// 401: no `X-API-Key`.
    pub fn missing_api_key() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "missing_api_key", "Send your API key in the X-API-Key header.")
    }

    /// 401: unknown, expired or revoked.
    pub fn invalid_api_key() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "invalid_api_key", "This API key is not valid.")
    }

    /// 403: the key has no right to this, or belongs to another dialect.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", message)
    }

    /// 404 with the code of the missing thing, as in `link_not_found`.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    /// 409 with its code.
    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }

    /// 429 with the headers of the limit.
    pub fn rate_limited(allowance: Allowance) -> Self {
        let error = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "rate_limited",
            "Too many requests: wait for the seconds in Retry-After.",
        );
        Self { allowance: Some(allowance), ..error }
    }

    /// 500: our fault. Log the cause where it is handled; it is not shown.
    pub fn internal() -> Self {
        Self::ours(StatusCode::INTERNAL_SERVER_ERROR, "Something went wrong on our side. A retry is safe.")
    }

    /// 503: the store cannot be reached or is full, or too much is waiting.
    pub fn unavailable() -> Self {
        Self::ours(StatusCode::SERVICE_UNAVAILABLE, "The service cannot do this now. A retry is safe.")
    }

    fn ours(status: StatusCode, message: &str) -> Self {
        Self { retry_after_seconds: Some(RETRY_AFTER_SECONDS), ..Self::new(status, "internal_error", message) }
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its code.
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error.code, error.message).with_param(error.param)
    }
}

impl From<JsonError> for ApiError {
    fn from(error: JsonError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string())
    }
}

impl From<BodyNotFields> for ApiError {
    fn from(error: BodyNotFields) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", error.to_string())
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLarge { .. } => "body_too_large",
            BodyError::Encoded => "unsupported_media_type",
            BodyError::TooSlow => "request_timeout",
            BodyError::Broken => "invalid_body",
        };
        Self::new(error.status(), code, error.to_string())
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let detail = ErrorDetail { code: self.code.to_owned(), message: self.message, param: self.param };
        let mut response = (self.status, axum::Json(ErrorBody { error: detail })).into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
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
    use crate::json::field;
    use axum::body::to_bytes;

    async fn shown(response: Response) -> (u16, Option<String>, String) {
        let retry_after = response.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 4096).await.expect("a body");
        (status, retry_after, String::from_utf8(body.to_vec()).expect("text"))
    }

    #[tokio::test]
    async fn bodies_have_the_published_shape() {
        let fields = field::parse_object(br#"{"data":{"amount":1e5}}"#).expect("an object");
        let data = fields.optional_object("data").expect("an object").expect("given");
        let amount = data.required_decimal("amount").expect_err("an exponent");
        let refused = Allowance { limit: 600, remaining: 0, reset_seconds: 60, retry_after_seconds: Some(7) };
        for (error, status, retry_after, start) in [
            (
                ApiError::invalid("landing_page", "landing_page must start with a single slash."),
                400,
                None,
                r#"{"error":{"code":"validation_failed","message":"landing_page must start with a single slash.","param":"landing_page"}}"#,
            ),
            (amount.into(), 400, None, r#"{"error":{"code":"validation_failed","message":"data.amount must be a JSON"#),
            (
                field::parse_object(b"").expect_err("empty").into(),
                400,
                None,
                r#"{"error":{"code":"invalid_json","message":"The body is not acceptable JSON: it is empty at byte 0."}}"#,
            ),
            (ApiError::missing_api_key(), 401, None, r#"{"error":{"code":"missing_api_key""#),
            (BodyError::TooLarge { bytes_max: 9 }.into(), 413, None, r#"{"error":{"code":"body_too_large""#),
            (BodyError::Encoded.into(), 415, None, r#"{"error":{"code":"unsupported_media_type""#),
            (ApiError::rate_limited(refused), 429, Some("7"), r#"{"error":{"code":"rate_limited""#),
            (ApiError::internal(), 500, Some("1"), r#"{"error":{"code":"internal_error""#),
            (ApiError::unavailable(), 503, Some("1"), r#"{"error":{"code":"internal_error""#),
        ] {
            let (got_status, got_retry_after, body) = shown(error.into_response()).await;
            assert_eq!((got_status, got_retry_after.as_deref()), (status, retry_after), "{body}");
            assert!(body.starts_with(start), "{body}");
        }
    }
}
