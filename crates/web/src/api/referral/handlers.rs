//! Links and clicks over HTTP: key, body, operation, answer.

use super::{clicks, links};
use crate::auth::secret_key;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use url::Url;

type Pairs = Vec<(String, String)>;

/// Where links point.
fn redirector(state: &WebState) -> Result<Url, ApiError> {
    Url::parse(&state.app.public_url()).map_err(|_| ApiError::internal())
}

/// `POST /api/referral/links`
pub async fn link_create(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    let caller = match secret_key(&state, &headers, Some("links")) {
        Ok(authorized) => authorized,
        Err(error) => return error.into_response(),
    };
    let outcome = async {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let now = state.app.clock.now();
        let link = links::create(&state.app.clicks, &caller.caller(), &redirector(&state)?, &body, now).await?;
        state.app.refresh_committed().await;
        Ok((StatusCode::CREATED, Json(link)).into_response())
    };
    let outcome = outcome.await;
    caller.answer(outcome)
}

/// `GET /api/referral/links/{id}`
pub async fn link_read(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let caller = match secret_key(&state, &headers, Some("links")) {
        Ok(authorized) => authorized,
        Err(error) => return error.into_response(),
    };
    let outcome = async {
        let now = state.app.clock.now();
        let link = links::read(&state.app.clicks, &caller.caller(), &redirector(&state)?, &id, now).await?;
        Ok(Json(link).into_response())
    };
    let outcome = outcome.await;
    caller.answer(outcome)
}

/// `GET /api/referral/links`
pub async fn link_list(State(state): State<WebState>, Query(query): Query<Pairs>, headers: HeaderMap) -> Response {
    let caller = match secret_key(&state, &headers, Some("links")) {
        Ok(authorized) => authorized,
        Err(error) => return error.into_response(),
    };
    let listed = redirector(&state).and_then(|to| links::list(&state.app.clicks, &caller.caller(), &to, &query));
    caller.answer(listed.map(|list| Json(list).into_response()))
}

/// `PATCH /api/referral/links/{id}`
pub async fn link_patch(
    State(state): State<WebState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let caller = match secret_key(&state, &headers, Some("links")) {
        Ok(authorized) => authorized,
        Err(error) => return error.into_response(),
    };
    let outcome = async {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let link = links::patch(&state.app.clicks, &caller.caller(), &redirector(&state)?, &id, &body).await?;
        state.app.refresh_committed().await;
        Ok(Json(link).into_response())
    };
    let outcome = outcome.await;
    caller.answer(outcome)
}

/// `GET /api/referral/clicks`
pub async fn click_list(State(state): State<WebState>, Query(query): Query<Pairs>, headers: HeaderMap) -> Response {
    let caller = match secret_key(&state, &headers, Some("clicks:read")) {
        Ok(authorized) => authorized,
        Err(error) => return error.into_response(),
    };
    let listed = clicks::list(&state.app.clicks, &caller.caller(), &query).await;
    caller.answer(listed.map(|list| Json(list).into_response()))
}
