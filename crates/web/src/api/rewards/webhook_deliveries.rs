//! `/api/v2/company/webhooks/{id}/webhook_deliveries`: what a webhook was sent (`rewards-api.md` §10).
//!
//! What a delivery is about is read from the body that was sent, so it is told as the receiver was told.

use super::asked::{Address, Known, Query, number_in_path};
use super::caller::with_rewards_key;
use super::page::{PER_PAGE_OF_WEBHOOKS, Page};
use super::webhooks::webhook_id;
use crate::state::WebState;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::webhook::WebhookDelivery;
use headwater_domain::postback::rewards_event;
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::{Value, json};

/// How much of an answer or an error is shown.
const TEXT_CHARS_MAX: usize = 1000;

/// List a webhook's deliveries
///
/// Newest first.
#[utoipa::path(get, path = "/api/v2/company/webhooks/{id}/webhook_deliveries", operation_id = "rewards_delivery_list",
    tag = "Rewards", security(("rewards_key" = [])),
    params(("id" = String, Path, description = "The webhook's number"), ("page" = Option<String>, Query, description = "From 1"), ("per_page" = Option<String>, Query, description = "At most 100; 25")),
    responses((status = 200, description = "A page; totals are in headers", body = Value)))]
pub async fn list(
    State(state): State<WebState>,
    Path(id): Path<String>,
    address: Address,
    headers: HeaderMap,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let page = Page::parse(&Query::parse(&address.query, &Known::NOTHING)?, PER_PAGE_OF_WEBHOOKS)?;
        let id = webhook_id(&id)?;
        let listed = state.app.webhook_deliveries(caller.account, id, page.per_page, page.offset()).await;
        let (deliveries, total) = listed?;
        Ok(page.answer(&address, deliveries.iter().map(to_wire).collect(), total))
    })
}

/// Read a webhook's delivery
#[utoipa::path(get, path = "/api/v2/company/webhooks/{id}/webhook_deliveries/{delivery_id}",
    operation_id = "rewards_delivery_read", tag = "Rewards", security(("rewards_key" = [])),
    params(("id" = String, Path, description = "The webhook's number"), ("delivery_id" = String, Path, description = "The delivery's number")),
    responses((status = 200, description = "The delivery", body = Value)))]
pub async fn get(
    State(state): State<WebState>,
    Path((id, delivery_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let delivery_id = number_in_path(&delivery_id, "delivery")?;
        let delivery = state.app.webhook_delivery(caller.account, webhook_id(&id)?, delivery_id).await?;
        Ok(Json(to_wire(&delivery)).into_response())
    })
}

/// Retry a webhook's delivery
///
/// Queues it at once, with no attempts made; refused once its failed attempts have reached `max_retries`.
#[utoipa::path(post, path = "/api/v2/company/webhooks/{id}/webhook_deliveries/{delivery_id}/retry_delivery",
    operation_id = "rewards_delivery_retry", tag = "Rewards", security(("rewards_key" = [])),
    params(("id" = String, Path, description = "The webhook's number"), ("delivery_id" = String, Path, description = "The delivery's number")),
    responses((status = 200, description = "The delivery, queued", body = Value)))]
pub async fn retry(
    State(state): State<WebState>,
    Path((id, delivery_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let delivery_id = number_in_path(&delivery_id, "delivery")?;
        let delivery = state.app.webhook_delivery_retry(caller.account, webhook_id(&id)?, delivery_id).await?;
        Ok(Json(to_wire(&delivery)).into_response())
    })
}

fn to_wire(row: &WebhookDelivery) -> Value {
    let payload: Value = serde_json::from_str(&row.body).unwrap_or(Value::Null);
    let attempts = row.attempts - row.attempts_before;
    let status = match row.status.as_str() {
        "pending" if attempts > 0 => "retrying",
        "cancelled" => "failed",
        other => other,
    };
    let is_refused = row.last_status.is_some_and(|status| !(200..300).contains(&status));
    let refused = row.last_status.filter(|_| is_refused).map(|status| format!("The receiver answered {status}."));
    let error = row.last_error.clone().or(refused);
    let delivered_at = row.finished_at.filter(|_| row.status == "delivered").map(|at| Instant(at).iso8601());
    // The older envelope names its event apart, and is about a commission.
    let is_asked = row.event_type == rewards_event::FULFILMENT_PENDING;
    let at = |pointer: &str| payload.pointer(pointer).cloned();
    let event_id = at(if is_asked { "/event/id" } else { "/event_id" });
    let entity_type = if is_asked { Some("commission".into()) } else { at("/entity_type") };
    let entity_id = at(if is_asked { "/data/id" } else { "/entity_id" }).filter(|id| id.as_i64() != Some(0));
    json!({
        "id": row.id,
        "event_id": event_id,
        "event_type": row.event_type,
        "action": payload.get("action"),
        "entity_type": entity_type,
        "entity_id": entity_id,
        "status": status,
        "attempts": attempts,
        "last_error": error.as_deref().map(cut),
        "response_code": row.last_status,
        "response_body": row.last_response.as_deref().map(cut),
        "object_changes": payload.get("changes"),
        "payload": payload,
        "created_at": Instant(row.created_at).iso8601(),
        "delivered_at": delivered_at,
    })
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_told_as_its_receiver_was_told() {
        let body = r#"{"event_id":"e","event_type":"commission.updated","action":"updated","entity_type":"commission",
            "entity_id":7101,"changes":{"status":["pending","approved"]},"data":{"id":7101},"timestamp":"t"}"#;
        let row = WebhookDelivery {
            id: 5,
            event_type: "commission.updated".to_owned(),
            body: body.to_owned(),
            status: "pending".to_owned(),
            attempts: 3,
            attempts_before: 1,
            last_status: Some(503),
            last_error: None,
            last_response: Some("x".repeat(1001)),
            created_at: 0,
            finished_at: None,
        };
        let wire = to_wire(&row);
        assert_eq!(
            (&wire["status"], &wire["attempts"], &wire["response_code"]),
            (&"retrying".into(), &2.into(), &503.into())
        );
        assert_eq!((&wire["entity_id"], &wire["entity_type"]), (&7101.into(), &"commission".into()));
        assert_eq!(wire["object_changes"]["status"][1], "approved");
        assert_eq!(wire["last_error"], "The receiver answered 503.");
        assert_eq!(wire["response_body"].as_str().map(str::len), Some(1000));
        assert_eq!((&wire["payload"]["data"]["id"], &wire["delivered_at"]), (&7101.into(), &Value::Null));
        let delivered =
            WebhookDelivery { status: "delivered".to_owned(), last_status: Some(204), finished_at: Some(0), ..row };
        let wire = to_wire(&delivered);
        assert_eq!((&wire["last_error"], &wire["delivered_at"]), (&Value::Null, &"1970-01-01T00:00:00Z".into()));
    }
}
