//! `GET /webhooks/event_types`: the names that a subscription can have.

use super::caller::with_rewards_key;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_domain::postback::rewards_event;
use http::HeaderMap;
use serde_json::json;

/// List event types
///
/// Every name that a webhook can listen to, sorted.
#[utoipa::path(get, path = "/api/v2/company/webhooks/event_types", operation_id = "rewards_event_types", tag = "Rewards",
    security(("rewards_key" = [])), responses((status = 200, description = "`{data: […]}`", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |_caller| Ok(Json(json!({"data": rewards_event::names()})).into_response()))
}
