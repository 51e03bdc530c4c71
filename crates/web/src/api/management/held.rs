//! `/held`: facts that wait, retry, dismiss.
//!
//! A fact can be held for several reasons; the id of an item names both, as in `7310.no_rate`.

use super::fact_schema;
use super::fact_schema::{Dismissal, Held, HeldFilters, Retried};
use super::wire::{Answer, Caller, Query, actor, asked, object, only, refused, rows, text};
use crate::asked::{Path, plain_number};
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::error::Error;
use headwater_app::held::{HeldPlace, HeldRow};
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::{Value, json};

/// Characters of why something is dismissed.
const REASON_CHARACTERS_MAX: usize = 1000;

/// List held facts
///
/// Those that cannot be priced yet and that nobody dismissed, newest first.
#[utoipa::path(get, path = "/held", operation_id = "held_list", tag = "Facts", params(HeldFilters),
    responses((status = 200, description = "A page of held facts", body = fact_schema::HeldPage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = Page::from_query(&query)?;
    let after = page.starting_after.as_deref().map(|id| place(id).ok_or_else(Page::bad_cursor)).transpose()?;
    let reason = asked(&query, "reason");
    let found = state.app.held_list(caller.account, reason, after, rows(&page)).await.map_err(refused)?;
    Ok(Json(page.to_wire(found.iter().map(to_wire).collect())))
}

/// Retry a held fact
///
/// Prices its person anew.
#[utoipa::path(post, path = "/held/{id}/retry", operation_id = "held_retry", tag = "Facts",
    params(("id" = String, Path, description = "The item's id", example = "7310.no_rate")),
    responses((status = 200, description = "Whether it is held still", body = Retried)))]
pub async fn retry(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let place = place(&id).ok_or_else(|| refused(Error::NotFound("held")))?;
    let held = state.app.held_retry(caller.account, place).await.map_err(refused)?;
    Ok(Json(json!({"id": id, "held": held})))
}

/// Dismiss a held fact
///
/// Takes it off the list, with a reason that is kept. It is not priced by that.
#[utoipa::path(post, path = "/held/{id}/dismiss", operation_id = "held_dismiss", tag = "Facts",
    params(("id" = String, Path, description = "The item's id", example = "7310.no_rate")), request_body = Dismissal,
    responses((status = 200, description = "The item", body = Held)))]
pub async fn dismiss(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = object(&headers, body).await?;
    only(&fields, &["reason"])?;
    let note = text(&fields, "reason")?.filter(|text| text.chars().count() <= REASON_CHARACTERS_MAX);
    let note = note.ok_or_else(|| {
        let message = format!("reason is required: say why, in at most {REASON_CHARACTERS_MAX} characters.");
        ApiError::invalid("reason", message)
    })?;
    let place = place(&id).ok_or_else(|| refused(Error::NotFound("held")))?;
    let row = state.app.held_dismiss(caller.account, place, note, actor(&caller)).await.map_err(refused)?;
    Ok(Json(to_wire(&row)))
}

fn place(id: &str) -> Option<HeldPlace> {
    let (fact, reason) = id.split_once('.')?;
    let is_reason = !reason.is_empty() && reason.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_reason.then_some(HeldPlace { fact_id: plain_number(fact)?, reason: reason.to_owned() })
}

/// One item of the list.
pub(super) fn to_wire(row: &HeldRow) -> Value {
    json!({
        "id": format!("{}.{}", row.fact_id, row.reason), "fact_id": row.fact_id, "reason": row.reason,
        "since": Instant(row.since).iso8601(), "detail": row.detail,
    })
}
