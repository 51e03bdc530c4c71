//! `POST /api/postback_endpoints/{id}/deliveries/retry`: an endpoint's dead letters, queued again by filter.

use super::endpoints::delivery_failed;

use crate::asked::Path;
use crate::auth::with_secret_key;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::json::field::parse_object;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::delivery::{DeadLetterFilter, dead_letters_retry};
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::json;
use utoipa::ToSchema;

/// Which dead letters; all of them where nothing is said.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"event_type": "FIRST_DEPOSIT", "from": "2026-02-01T00:00:00Z"}))]
pub struct DeadLetters {
    /// Of events of this type.
    pub event_type: Option<String>,
    /// Made at this instant or later.
    pub from: Option<String>,
    /// Made before this instant.
    pub to: Option<String>,
}

/// How many were queued.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"queued": 12}))]
pub struct Requeued {
    /// How many.
    pub queued: u64,
}

/// Retry dead letters
///
/// Queues every delivery of the endpoint that has failed for good, each with a whole row of attempts before it.
#[utoipa::path(post, path = "/api/postback_endpoints/{id}/deliveries/retry", operation_id = "dead_letters_retry",
    tag = "Postback endpoints", params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K")),
    request_body = DeadLetters, responses((status = 200, description = "How many were queued", body = Requeued)))]
pub async fn retry(
    State(state): State<WebState>,
    id: Result<Path<String>, ApiError>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let Path(id) = id?;
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let instant = |key: &str| -> Result<Option<i64>, ApiError> {
            let Some(text) = fields.optional_string(key)? else { return Ok(None) };
            let at = Instant::parse(&text);
            let wrong = || ApiError::invalid(key, format!("{key} must be an instant, as in 2026-02-01T00:00:00Z."));
            at.map(|at| Some(at.0)).ok_or_else(wrong)
        };
        let filter = DeadLetterFilter {
            event_type: fields.optional_string("event_type")?,
            from_at: instant("from")?,
            to_at: instant("to")?,
        };
        let (account, now) = (caller.credential.account, state.app.clock.now());
        let queued = dead_letters_retry(&state.app.outbox, account, &id, filter, now).await;
        let queued = queued.map_err(delivery_failed)?;
        Ok(Json(json!({"queued": queued})).into_response())
    })
}
