//! Links and clicks over HTTP: key, body, operation, answer.

use super::click_schema::{ClickFilters, ClickList};
use super::events::zone_of;
use super::link_schema::{Link, LinkChange, LinkFilters, LinkList, NewLink};
use super::{clicks, links};
use crate::asked::{Path, Query};
use crate::auth::with_secret_key;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::idempotency::Attempted;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use url::Url;

/// Where links point.
fn redirector(state: &WebState) -> Result<Url, ApiError> {
    Url::parse(&state.app.public_url()).map_err(|_| ApiError::internal())
}

/// Create a link
///
/// Makes a referral link for a partner. The answer has the whole URL to distribute, with the encrypted partner token
/// where that was asked for.
#[utoipa::path(post, path = "/api/referral/links", operation_id = "link_create", tag = "Links", request_body = NewLink,
    responses((status = 201, description = "The link", body = Link)))]
pub async fn link_create(
    State(state): State<WebState>,
    headers: HeaderMap,
    attempt: Attempted,
    body: Body,
) -> Response {
    with_secret_key!(state, headers, "links", |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let attempt = attempt.map(|extension| extension.0);
        let link = links::create(&state.app, &caller.caller(), &redirector(&state)?, &body, attempt).await?;
        state.app.refresh_committed().await;
        Ok((StatusCode::CREATED, Json(link)).into_response())
    })
}

/// Read a link
///
/// With its click and event counters of the last 30 days.
#[utoipa::path(get, path = "/api/referral/links/{id}", operation_id = "link_read", tag = "Links",
    params(("id" = String, Path, description = "The link's id", example = "ln_01J8ZP6V4C")),
    responses((status = 200, description = "The link with its counters", body = Link)))]
pub async fn link_read(
    State(state): State<WebState>,
    id: Result<Path<String>, ApiError>,
    headers: HeaderMap,
) -> Response {
    with_secret_key!(state, headers, "links", |caller| {
        let (Path(id), now) = (id?, state.app.clock.now());
        let link = links::read(&state.app.clicks, &caller.caller(), &redirector(&state)?, &id, now).await?;
        Ok(Json(link).into_response())
    })
}

/// List links
///
/// Newest first, without counters.
#[utoipa::path(get, path = "/api/referral/links", operation_id = "link_list", tag = "Links", params(LinkFilters),
    responses((status = 200, description = "A page of links", body = LinkList)))]
pub async fn link_list(State(state): State<WebState>, query: Result<Query, ApiError>, headers: HeaderMap) -> Response {
    with_secret_key!(state, headers, "links", |caller| {
        let list = links::list(&state.app.clicks, &caller.caller(), &redirector(&state)?, &query?)?;
        Ok(Json(list).into_response())
    })
}

/// Change a link
///
/// Pauses or resumes it, or replaces its metadata. Links are never deleted: clicks and commissions point to them.
#[utoipa::path(patch, path = "/api/referral/links/{id}", operation_id = "link_patch", tag = "Links",
    params(("id" = String, Path, description = "The link's id", example = "ln_01J8ZP6V4C")), request_body = LinkChange,
    responses((status = 200, description = "The link as it is now", body = Link)))]
pub async fn link_patch(
    State(state): State<WebState>,
    id: Result<Path<String>, ApiError>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    with_secret_key!(state, headers, "links", |caller| {
        let Path(id) = id?;
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let link = links::patch(&state.app.clicks, &caller.caller(), &redirector(&state)?, &id, &body).await?;
        state.app.refresh_committed().await;
        Ok(Json(link).into_response())
    })
}

/// List clicks
///
/// With everything that is known of the visit, for attribution audits and fraud work. Addresses are masked for keys
/// without the permission `pii:read`.
#[utoipa::path(get, path = "/api/referral/clicks", operation_id = "click_list", tag = "Clicks", params(ClickFilters),
    responses((status = 200, description = "A page of clicks", body = ClickList)))]
pub async fn click_list(State(state): State<WebState>, query: Result<Query, ApiError>, headers: HeaderMap) -> Response {
    with_secret_key!(state, headers, "clicks:read", |caller| {
        let zone = zone_of(&state, &caller);
        let list = clicks::list(&state.app.clicks, &caller.caller(), &query?, &zone).await?;
        Ok(Json(list).into_response())
    })
}
