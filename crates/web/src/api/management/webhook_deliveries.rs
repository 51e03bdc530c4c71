//! `/webhooks/{id}/deliveries/…/retry`: dead letters of a rewards webhook, queued again singly or by filter.
//!
//! The rewards dialect refuses a retry once `max_retries` is reached, as its origin does; the owner of the server may ask all
//! the same. Leaves the list of deliveries to that dialect.

use super::schema::{WebhookDeadLetters, WebhookRequeued};
use super::wire::{Answer, Caller, instant, number, object, only, refused, text, zone_of};
use crate::asked::Path;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::delivery::DeadLetterFilter;
use headwater_domain::ids::EndpointId;
use http::HeaderMap;
use serde_json::json;

/// Retry dead letters
///
/// Queues every delivery of the webhook that has failed for good, each with a whole row of attempts before it.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/retry", operation_id = "webhook_dead_letters_retry", tag = "Webhooks",
    params(("id" = String, Path, description = "The webhook's number", example = "12")), request_body = WebhookDeadLetters,
    responses((status = 200, description = "How many were queued", body = WebhookRequeued)))]
pub async fn retry_all(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let webhook = number(&id, "webhook").map(EndpointId)?;
    let fields = object(&headers, body).await?;
    only(&fields, &["event_type", "from", "to"])?;
    let zone = zone_of(&state, caller.account);
    let filter = DeadLetterFilter {
        event_type: text(&fields, "event_type")?,
        from_at: instant(&fields, "from", &zone)?.map(|at| at.0),
        to_at: instant(&fields, "to", &zone)?.map(|at| at.0),
    };
    let queued = state.app.webhook_dead_letters_retry(caller.account, webhook, filter).await.map_err(refused)?;
    Ok(Json(json!({ "queued": queued })))
}

/// Retry a delivery
///
/// One delivery of the webhook, due now, also where its attempts have reached `max_retries`.
#[utoipa::path(post, path = "/webhooks/{id}/deliveries/{delivery_id}/retry", operation_id = "webhook_delivery_retry",
    tag = "Webhooks",
    params(
        ("id" = String, Path, description = "The webhook's number", example = "12"),
        ("delivery_id" = String, Path, description = "The delivery's number", example = "7310")
    ),
    responses((status = 200, description = "That it was queued", body = WebhookRequeued)))]
pub async fn retry_one(
    State(state): State<WebState>,
    caller: Caller,
    Path((id, delivery_id)): Path<(String, String)>,
) -> Answer {
    let webhook = number(&id, "webhook").map(EndpointId)?;
    let delivery = number(&delivery_id, "delivery")?;
    state.app.webhook_delivery_requeue(caller.account, webhook, delivery).await.map_err(refused)?;
    Ok(Json(json!({ "queued": 1 })))
}
