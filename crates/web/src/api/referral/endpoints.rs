//! `/api/postback_endpoints`: create, list, read, patch, rotate, test, delete, deliveries, retry (`referral-api.md` §9).

use super::events::refused;
use crate::auth::secret_key;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::json::field::parse_object;
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::delivery::{Delivery, DeliveryError, delivery_get, delivery_list, delivery_retry, endpoint_test};
use headwater_app::endpoint::{
    Endpoint, EndpointError, EndpointInput, EndpointPatch, endpoint_create, endpoint_delete, endpoint_get,
    endpoint_list, endpoint_rotate_secret, endpoint_update,
};
use headwater_domain::ids::DeliveryId;
use headwater_domain::postback::subscription::{DeliveryStatus, EndpointStatus, PayloadStyle};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

type Pairs = Vec<(String, String)>;

/// Runs a handler's body for a secret key with the permission `endpoints`.
macro_rules! authorized {
    ($state:expr, $headers:expr, |$caller:ident| $work:expr) => {{
        let $caller = match secret_key(&$state, &$headers, Some("endpoints")) {
            Ok(authorized) => authorized,
            Err(error) => return error.into_response(),
        };
        let outcome: Result<Response, ApiError> = async { $work }.await;
        $caller.answer(outcome)
    }};
}

/// Registers an endpoint; the only answer that shows its secret.
pub async fn create(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    authorized!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let style = match fields.optional_string("payload_style")? {
            None => PayloadStyle::default(),
            Some(name) => PayloadStyle::parse(&name).ok_or_else(|| {
                ApiError::invalid("payload_style", "payload_style must be referral, rewards or standard.")
            })?,
        };
        let input = EndpointInput {
            url: fields.required_string("url")?,
            enabled_events: fields.required_strings("enabled_events")?,
            description: fields.optional_string("description")?,
            metadata: metadata(&fields)?.unwrap_or_else(|| "{}".into()),
            payload_style: style,
        };
        let now = state.app.clock.now();
        let (endpoint, secret) =
            endpoint_create(&state.app.outbox, caller.credential.account, input, now).await.map_err(failed)?;
        state.app.refresh_committed().await;
        let mut wire = to_wire(&endpoint);
        wire["signing_secret"] = secret.whsec().into();
        Ok((StatusCode::CREATED, Json(wire)).into_response())
    })
}

/// Endpoints, newest first, without secrets.
pub async fn list(State(state): State<WebState>, Query(query): Query<Pairs>, headers: HeaderMap) -> Response {
    authorized!(state, headers, |caller| {
        let page = Page::from_query(&query)?;
        let after = page.starting_after.as_deref();
        let listed = endpoint_list(&state.app.outbox, caller.credential.account, after, page.limit).await;
        let (endpoints, more) = listed.map_err(|e| match e {
            EndpointError::NotFound => Page::bad_cursor(),
            other => failed(other),
        })?;
        Ok(Json(listing(&endpoints.iter().map(to_wire).collect::<Vec<_>>(), more)).into_response())
    })
}

/// One endpoint.
pub async fn get(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    authorized!(state, headers, |caller| {
        let endpoint = endpoint_get(&state.app.outbox, caller.credential.account, &id).await.map_err(failed)?;
        Ok(Json(to_wire(&endpoint)).into_response())
    })
}

/// Changes what is given.
pub async fn patch(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    authorized!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let status = match fields.optional_string("status")?.as_deref() {
            None => None,
            Some("enabled") => Some(EndpointStatus::Enabled),
            Some("disabled") => Some(EndpointStatus::Disabled),
            Some(_) => return Err(ApiError::invalid("status", "status must be enabled or disabled.")),
        };
        let described = fields.raw("description").is_some();
        let change = EndpointPatch {
            url: fields.optional_string("url")?,
            enabled_events: fields.optional_strings("enabled_events")?,
            description: if described { Some(fields.optional_string("description")?) } else { None },
            metadata: metadata(&fields)?,
            status,
        };
        let changed = endpoint_update(&state.app.outbox, caller.credential.account, &id, change).await;
        state.app.refresh_committed().await;
        Ok(Json(to_wire(&changed.map_err(failed)?)).into_response())
    })
}

/// A new secret, shown once; the old one signs beside it for the grace.
pub async fn rotate(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    authorized!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let grace = if body.is_empty() { None } else { parse_object(&body)?.optional_integer("grace_seconds")? };
        let (now, account) = (state.app.clock.now(), caller.credential.account);
        let rotated = endpoint_rotate_secret(&state.app.outbox, account, &id, grace.unwrap_or(0), now).await;
        let (endpoint, secret) = rotated.map_err(failed)?;
        state.app.refresh_committed().await;
        let mut wire = to_wire(&endpoint);
        wire["signing_secret"] = secret.whsec().into();
        Ok(Json(wire).into_response())
    })
}

/// Makes up a REGISTRATION and delivers it, once.
pub async fn test(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    authorized!(state, headers, |caller| {
        let (now, account) = (state.app.clock.now(), caller.credential.account);
        let program = state.app.program_named(account, None).map_err(refused)?;
        let fresh = DeliveryId(state.app.next_id(now));
        let sent = endpoint_test(&state.app.outbox, account, &id, program, fresh, now).await;
        let delivery = sent.map_err(delivery_failed)?;
        let attempt = delivery.attempts.last();
        Ok(Json(json!({
            "delivery_id": delivery.public_id,
            "delivered": delivery.row.status == "delivered",
            "response_status": attempt.and_then(|a| a.status),
            "duration_ms": attempt.map(|a| a.duration_millis),
            "error": attempt.and_then(|a| a.error.clone()),
        }))
        .into_response())
    })
}

/// No undelete.
pub async fn delete(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    authorized!(state, headers, |caller| {
        let now = state.app.clock.now();
        endpoint_delete(&state.app.outbox, caller.credential.account, &id, now).await.map_err(failed)?;
        state.app.refresh_committed().await;
        Ok(Json(json!({"id": id, "deleted": true})).into_response())
    })
}

/// The log of an endpoint.
pub async fn deliveries(
    State(state): State<WebState>,
    Path(id): Path<String>,
    Query(query): Query<Pairs>,
    headers: HeaderMap,
) -> Response {
    authorized!(state, headers, |caller| {
        let page = Page::from_query(&query)?;
        let status = match query.iter().find(|(n, _)| n == "status") {
            None => None,
            Some((_, name)) => Some(
                DeliveryStatus::parse(name)
                    .ok_or_else(|| ApiError::invalid("status", "status names no state of a delivery."))?,
            ),
        };
        let (now, account) = (state.app.clock.now(), caller.credential.account);
        let after = page.starting_after.as_deref();
        let listed = delivery_list(&state.app.outbox, account, &id, status, after, page.limit, now).await;
        let (rows, more) = listed.map_err(delivery_failed)?;
        Ok(Json(listing(&rows.iter().map(delivery_to_wire).collect::<Vec<_>>(), more)).into_response())
    })
}

/// One delivery with its attempts.
pub async fn delivery(
    State(state): State<WebState>,
    Path((id, delivery_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    authorized!(state, headers, |caller| {
        let now = state.app.clock.now();
        let found = delivery_get(&state.app.outbox, caller.credential.account, &id, &delivery_id, now).await;
        Ok(Json(delivery_to_wire(&found.map_err(delivery_failed)?)).into_response())
    })
}

/// Queues a delivery again.
pub async fn retry(
    State(state): State<WebState>,
    Path((id, delivery_id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    authorized!(state, headers, |caller| {
        let now = state.app.clock.now();
        let queued = delivery_retry(&state.app.outbox, caller.credential.account, &id, &delivery_id, now).await;
        let queued = queued.map_err(delivery_failed)?;
        state.app.outbox.ring();
        Ok(Json(delivery_to_wire(&queued)).into_response())
    })
}

fn metadata(fields: &crate::json::field::Fields<'_>) -> Result<Option<String>, ApiError> {
    Ok(fields.optional_object("metadata")?.and_then(|_| fields.raw("metadata").map(str::to_owned)))
}

fn listing(data: &[Value], has_more: bool) -> Value {
    let next = data.last().filter(|_| has_more).map(|last| last["id"].clone());
    json!({"object": "list", "data": data, "has_more": has_more, "next_cursor": next})
}

fn to_wire(endpoint: &Endpoint) -> Value {
    let metadata: Value = serde_json::from_str(&endpoint.metadata).unwrap_or_default();
    json!({
        "id": endpoint.public_id,
        "object": "postback_endpoint",
        "url": endpoint.url,
        "enabled_events": endpoint.enabled_events.names(),
        "description": endpoint.description,
        "metadata": metadata,
        "payload_style": endpoint.payload_style.name(),
        "status": endpoint.status.name(),
        "created": endpoint.created_at.iso8601(),
        "signing_secret_hint": endpoint.secret_hint,
    })
}

fn delivery_to_wire(delivery: &Delivery) -> Value {
    let row = &delivery.row;
    let attempts: Vec<_> = delivery
        .attempts
        .iter()
        .map(|a| {
            json!({"number": a.number, "at": Instant(a.at).iso8601(), "response_status": a.status,
                "duration_ms": a.duration_millis, "response": a.response, "error": a.error})
        })
        .collect();
    json!({
        "id": delivery.public_id,
        "object": "delivery",
        "event_id": row.event_id,
        "event_type": row.event_type,
        "status": row.status,
        "attempts": row.attempts,
        "next_attempt_at": (row.status == "pending").then(|| Instant(row.due_at).iso8601()),
        "response_status": row.last_status,
        "error": row.last_error,
        "reason": row.reason,
        "livemode": !row.is_test,
        "created": Instant(row.created_at).iso8601(),
        "finished": row.finished_at.map(|at| Instant(at).iso8601()),
        "body": row.body,
        "attempt_log": attempts,
    })
}

fn failed(error: EndpointError) -> ApiError {
    let message = format!("{error}.");
    match error {
        EndpointError::NotFound => {
            ApiError::not_found("endpoint_not_found", "No postback endpoint matches this id.").with_param("endpoint_id")
        }
        EndpointError::Url(target) => ApiError::new(StatusCode::BAD_REQUEST, target.code(), message).with_param("url"),
        EndpointError::Events(_) => ApiError::invalid("enabled_events", message),
        EndpointError::Description => ApiError::invalid("description", message),
        EndpointError::Metadata => {
            ApiError::new(StatusCode::BAD_REQUEST, "metadata_too_large", message).with_param("metadata")
        }
        EndpointError::Status => ApiError::invalid("status", message),
        EndpointError::Grace => ApiError::invalid("grace_seconds", message),
        EndpointError::Store(error) => refused(error.into()),
    }
}

fn delivery_failed(error: DeliveryError) -> ApiError {
    match error {
        DeliveryError::Endpoint(error) => failed(error),
        DeliveryError::NotRetryable => {
            ApiError::conflict("delivery_not_retryable", "The delivery is being sent, or it was a test.")
        }
        DeliveryError::NotFound => {
            ApiError::not_found("delivery_not_found", "No delivery matches this id.").with_param("delivery_id")
        }
        DeliveryError::EndpointDeleted => {
            ApiError::conflict("endpoint_deleted", "The endpoint is deleted: its deliveries cannot be sent again.")
        }
        DeliveryError::Store(error) => refused(error.into()),
    }
}
