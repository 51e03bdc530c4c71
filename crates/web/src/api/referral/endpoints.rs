//! `/api/postback_endpoints`: create, list, read, patch, rotate, test, delete, deliveries, retry (`referral-api.md` §9).

use super::endpoint_schema as schema;
use super::endpoint_schema::{
    Deleted, DeliveryFilters, DeliveryList, EndpointChange, EndpointList, EndpointPage, EndpointWithSecret,
    NewEndpoint, Rotation, TestOutcome,
};
use super::events::refused;
use crate::asked::{Path, Query};
use crate::auth::with_secret_key;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::idempotency::{Attempted, given};
use crate::json::field::parse_object;
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::delivery::{Delivery, DeliveryError, delivery_get, delivery_list, delivery_retry, endpoint_test};
use headwater_app::endpoint::{
    Endpoint, EndpointError, EndpointInput, EndpointPatch, endpoint_create, endpoint_delete, endpoint_get,
    endpoint_list, endpoint_rotate_secret, endpoint_update,
};
use headwater_app::keep::Keep;
use headwater_domain::ids::DeliveryId;
use headwater_domain::postback::signature::Secret;
use headwater_domain::postback::subscription::{DeliveryStatus, EndpointStatus, PayloadStyle};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// Create an endpoint
///
/// The one answer that shows its `signing_secret`.
#[utoipa::path(post, path = "/api/postback_endpoints", operation_id = "endpoint_create", tag = "Postback endpoints",
    request_body = NewEndpoint, responses((status = 201, description = "The endpoint with its secret", body = EndpointWithSecret)))]
pub async fn create(State(state): State<WebState>, headers: HeaderMap, attempt: Attempted, body: Body) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
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
        let keep = keep(&state, attempt, StatusCode::CREATED);
        let (now, account) = (state.app.clock.now(), caller.credential.account);
        let made = endpoint_create(&state.app.outbox, account, input, now, keep).await.map_err(failed)?;
        state.app.refresh_committed().await;
        Ok((StatusCode::CREATED, Json(with_secret(&made))).into_response())
    })
}

/// List endpoints
///
/// Newest first, without secrets.
#[utoipa::path(get, path = "/api/postback_endpoints", operation_id = "endpoint_list", tag = "Postback endpoints",
    params(EndpointPage), responses((status = 200, description = "A page of endpoints", body = EndpointList)))]
pub async fn list(State(state): State<WebState>, query: Result<Query, ApiError>, headers: HeaderMap) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let page = query?.page()?;
        let after = page.starting_after.as_deref();
        let listed = endpoint_list(&state.app.outbox, caller.credential.account, after, page.limit).await;
        let (endpoints, more) = listed.map_err(|e| match e {
            EndpointError::NotFound => Page::bad_cursor(),
            other => failed(other),
        })?;
        Ok(Json(listing(&endpoints.iter().map(to_wire).collect::<Vec<_>>(), more)).into_response())
    })
}

/// Read an endpoint
#[utoipa::path(get, path = "/api/postback_endpoints/{id}", operation_id = "endpoint_read", tag = "Postback endpoints",
    params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K")),
    responses((status = 200, description = "The endpoint", body = schema::Endpoint)))]
pub async fn get(State(state): State<WebState>, id: Result<Path<String>, ApiError>, headers: HeaderMap) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let Path(id) = id?;
        let endpoint = endpoint_get(&state.app.outbox, caller.credential.account, &id).await.map_err(failed)?;
        Ok(Json(to_wire(&endpoint)).into_response())
    })
}

/// Change an endpoint
///
/// What is left out stays as it is. Enabling an endpoint again forgets the failures that disabled it.
#[utoipa::path(patch, path = "/api/postback_endpoints/{id}", operation_id = "endpoint_patch", tag = "Postback endpoints",
    params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K")), request_body = EndpointChange,
    responses((status = 200, description = "The endpoint as it is now", body = schema::Endpoint)))]
pub async fn patch(
    State(state): State<WebState>,
    id: Result<Path<String>, ApiError>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let Path(id) = id?;
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        fields.refuse_null(&["url", "enabled_events", "metadata", "status"])?;
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

/// Rotate the secret
///
/// The new secret is shown once; the old one signs beside it for the grace.
#[utoipa::path(post, path = "/api/postback_endpoints/{id}/rotate_secret", operation_id = "endpoint_rotate_secret",
    tag = "Postback endpoints", params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K")),
    request_body(content = Option<Rotation>, description = "May be empty"),
    responses((status = 200, description = "The endpoint with its new secret", body = EndpointWithSecret)))]
pub async fn rotate(
    State(state): State<WebState>,
    id: Result<Path<String>, ApiError>,
    headers: HeaderMap,
    attempt: Attempted,
    body: Body,
) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let Path(id) = id?;
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let grace = if body.is_empty() { None } else { parse_object(&body)?.optional_integer("grace_seconds")? };
        let (now, account) = (state.app.clock.now(), caller.credential.account);
        let keep = keep(&state, attempt, StatusCode::OK);
        let rotated = endpoint_rotate_secret(&state.app.outbox, account, &id, grace.unwrap_or(0), now, keep).await;
        let made = rotated.map_err(failed)?;
        state.app.refresh_committed().await;
        Ok(Json(with_secret(&made)).into_response())
    })
}

/// Send a test event
///
/// Makes up a REGISTRATION and delivers it, signed with the real secret, with `livemode: false`. It is tried once,
/// never retried, and earns nothing.
#[utoipa::path(post, path = "/api/postback_endpoints/{id}/test", operation_id = "endpoint_test", tag = "Postback endpoints",
    params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K")),
    responses((status = 200, description = "What the receiver did", body = TestOutcome)))]
pub async fn test(State(state): State<WebState>, id: Result<Path<String>, ApiError>, headers: HeaderMap) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let Path(id) = id?;
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

/// Delete an endpoint
///
/// Stops new deliveries and empties the retry queue; what is in flight finishes. There is no undelete. Dead letters stay
/// visible for 30 days, and are never sent again.
#[utoipa::path(delete, path = "/api/postback_endpoints/{id}", operation_id = "endpoint_delete", tag = "Postback endpoints",
    params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K")),
    responses((status = 200, description = "It is gone", body = Deleted)))]
pub async fn delete(State(state): State<WebState>, id: Result<Path<String>, ApiError>, headers: HeaderMap) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let (Path(id), now) = (id?, state.app.clock.now());
        endpoint_delete(&state.app.outbox, caller.credential.account, &id, now).await.map_err(failed)?;
        state.app.refresh_committed().await;
        Ok(Json(json!({"id": id, "deleted": true})).into_response())
    })
}

/// List deliveries
///
/// The log of an endpoint, newest first.
#[utoipa::path(get, path = "/api/postback_endpoints/{id}/deliveries", operation_id = "delivery_list", tag = "Postback endpoints",
    params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K"), DeliveryFilters),
    responses((status = 200, description = "A page of deliveries", body = DeliveryList)))]
pub async fn deliveries(
    State(state): State<WebState>,
    id: Result<Path<String>, ApiError>,
    query: Result<Query, ApiError>,
    headers: HeaderMap,
) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let (Path(id), query) = (id?, query?);
        let page = query.page()?;
        let unknown = || ApiError::invalid("status", "status must be pending, delivered, failed or cancelled.");
        let status = query.text("status").map(|name| DeliveryStatus::parse(name).ok_or_else(unknown)).transpose()?;
        let (now, account) = (state.app.clock.now(), caller.credential.account);
        let after = page.starting_after.as_deref();
        let listed = delivery_list(&state.app.outbox, account, &id, status, after, page.limit, now).await;
        let (rows, more) = listed.map_err(|error| match error {
            DeliveryError::NotFound => Page::bad_cursor(),
            other => delivery_failed(other),
        })?;
        Ok(Json(listing(&rows.iter().map(delivery_to_wire).collect::<Vec<_>>(), more)).into_response())
    })
}

/// Read a delivery
///
/// With each of its attempts.
#[utoipa::path(get, path = "/api/postback_endpoints/{id}/deliveries/{delivery_id}", operation_id = "delivery_read",
    tag = "Postback endpoints",
    params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K"),
        ("delivery_id" = String, Path, description = "The delivery's id", example = "pbd_01J8ZQ4T9V")),
    responses((status = 200, description = "The delivery", body = schema::Delivery)))]
pub async fn delivery(
    State(state): State<WebState>,
    ids: Result<Path<(String, String)>, ApiError>,
    headers: HeaderMap,
) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let (Path((id, delivery_id)), now) = (ids?, state.app.clock.now());
        let found = delivery_get(&state.app.outbox, caller.credential.account, &id, &delivery_id, now).await;
        Ok(Json(delivery_to_wire(&found.map_err(delivery_failed)?)).into_response())
    })
}

/// Retry a delivery
///
/// Queues it again at once, with a whole row of attempts before it.
#[utoipa::path(post, path = "/api/postback_endpoints/{id}/deliveries/{delivery_id}/retry", operation_id = "delivery_retry",
    tag = "Postback endpoints",
    params(("id" = String, Path, description = "The endpoint's id", example = "pe_01J8ZQ0A7K"),
        ("delivery_id" = String, Path, description = "The delivery's id", example = "pbd_01J8ZQ4T9V")),
    responses((status = 200, description = "The delivery, queued", body = schema::Delivery)))]
pub async fn retry(
    State(state): State<WebState>,
    ids: Result<Path<(String, String)>, ApiError>,
    headers: HeaderMap,
) -> Response {
    with_secret_key!(state, headers, "endpoints", |caller| {
        let (Path((id, delivery_id)), now) = (ids?, state.app.clock.now());
        let queued = delivery_retry(&state.app.outbox, caller.credential.account, &id, &delivery_id, now).await;
        let queued = queued.map_err(delivery_failed)?;
        state.app.outbox.ring();
        Ok(Json(delivery_to_wire(&queued)).into_response())
    })
}

fn keep(state: &WebState, attempt: Attempted, status: StatusCode) -> Keep<(Endpoint, Secret)> {
    state.app.keep(attempt.map(|extension| extension.0), move |made| given(status, &with_secret(made)))
}

fn with_secret((endpoint, secret): &(Endpoint, Secret)) -> Value {
    let mut wire = to_wire(endpoint);
    wire["signing_secret"] = secret.whsec().into();
    wire
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

pub(super) fn delivery_failed(error: DeliveryError) -> ApiError {
    match error {
        DeliveryError::Endpoint(error) => failed(error),
        DeliveryError::NotRetryable => ApiError::conflict(
            "delivery_not_retryable",
            "The delivery is being sent, it was a test, or its client was forgotten.",
        ),
        DeliveryError::NotFound => {
            ApiError::not_found("delivery_not_found", "No delivery matches this id.").with_param("delivery_id")
        }
        DeliveryError::EndpointDeleted => {
            ApiError::conflict("endpoint_deleted", "The endpoint is deleted: its deliveries cannot be sent again.")
        }
        DeliveryError::Store(error) => refused(error.into()),
    }
}
