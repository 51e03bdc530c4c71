//! `/api/v2/company/batch_processes`, and the batch as every call about several objects answers it (`rewards-api.md` §4).
//!
//! 200 where all is done within the call, 202 where it goes on; a call that moved nothing at all is 422. Leaves what is
//! done to the operations.

use super::asked::{Address, Known, Query, number_in_path, one_of};
use super::caller::{Caller, with_rewards_key};
use super::commissions::between_commas;
use super::ids;
use super::page::{PER_PAGE, Page};
use super::problem::RewardsError;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::json::field::parse_object;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::batch::{BatchAction, BatchRequest, BatchStory};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

const KNOWN: Known<'static> = Known { filters: &["status[]"], flat: &["status"], ..Known::NOTHING };
const STATUSES: [&str; 5] = ["pending", "in_progress", "completed", "failed", "stopped"];

/// List batches
///
/// Those in progress, or those of the statuses that are named; newest first.
#[utoipa::path(get, path = "/api/v2/company/batch_processes", operation_id = "rewards_batch_list", tag = "Rewards",
    security(("rewards_key" = [])),
    params(("filters[status]" = Option<String>, Query, description = "pending, in_progress, completed, failed or stopped; one or several"), ("page" = Option<String>, Query, description = "From 1"), ("per_page" = Option<String>, Query, description = "At most 100; 20")),
    responses((status = 200, description = "A page; totals are in headers", body = Value)))]
pub async fn list(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| listed(&state, &caller, &address).await)
}

/// How far batches are
///
/// Of those in progress: the number of each, with its progress from 0 to 100.
#[utoipa::path(get, path = "/api/v2/company/batch_processes/progress", operation_id = "rewards_batch_progress", tag = "Rewards",
    security(("rewards_key" = [])),
    params(("page" = Option<String>, Query, description = "From 1"), ("per_page" = Option<String>, Query, description = "At most 100; 20")),
    responses((status = 200, description = "A page; totals are in headers", body = Value)))]
pub async fn progress(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let (page, stories, total) = asked(&state, &caller, &address).await?;
        let progress = stories.iter().map(|story| (story.batch.id.to_string(), story.progress().into()));
        Ok(page.answer_body(&address, &Value::Object(progress.collect()), total))
    })
}

async fn listed(state: &WebState, caller: &Caller, address: &Address) -> Result<Response, RewardsError> {
    let (page, stories, total) = asked(state, caller, address).await?;
    Ok(page.answer(address, stories.iter().map(to_wire).collect(), total))
}

async fn asked(
    state: &WebState,
    caller: &Caller,
    address: &Address,
) -> Result<(Page, Vec<BatchStory>, i64), RewardsError> {
    let query = Query::parse(&address.query, &KNOWN)?;
    let page = Page::parse(&query, PER_PAGE)?;
    let mut asked = query.filter_list("status");
    if asked.len() < 2 {
        asked = query.filter_or_plain("status")?.into_iter().collect();
    } else if query.text("status").is_some() {
        return Err(RewardsError::invalid_params("filters[status] and status disagree."));
    }
    for status in &asked {
        one_of("status", Some(status), &STATUSES)?;
    }
    // Both words are read for a batch that goes on; ours is one.
    let word = |status: &&str| if *status == "pending" { "in_progress".to_owned() } else { (*status).to_owned() };
    let statuses = (!asked.is_empty()).then(|| between_commas(&asked.iter().map(word).collect::<Vec<_>>()));
    let total = state.app.batch_count(caller.account, statuses.clone()).await?;
    let stories = state.app.batch_list(caller.account, statuses, page.page, page.per_page).await?;
    Ok((page, stories, total))
}

/// Read a batch
///
/// It can be read until 30 days after its end.
#[utoipa::path(get, path = "/api/v2/company/batch_processes/{id}", operation_id = "rewards_batch_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "The batch's number")),
    responses((status = 200, description = "The batch", body = Value)))]
pub async fn get(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = number_in_path(&id, "batch")?;
        Ok(Json(to_wire(&state.app.batch_read(caller.account, id).await?)).into_response())
    })
}

/// Carries out an action on the ids of a body, and answers with its batch.
pub async fn act(state: WebState, headers: HeaderMap, body: Body, action: BatchAction) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let ids = ids::ids(&parse_object(&body)?)?;
        let story = start(&state, &caller, action, ids, Map::new()).await?;
        Ok(answer(&story, to_wire(&story)))
    })
}

/// Starts an action; what is over and moved nothing is an error.
pub async fn start(
    state: &WebState,
    caller: &Caller,
    action: BatchAction,
    ids: Vec<i64>,
    parameters: Map<String, Value>,
) -> Result<BatchStory, RewardsError> {
    let request = BatchRequest { action, ids, parameters, actor: caller.actor() };
    let story = state.app.batch_start(caller.account, request).await?;
    if story.batch.finished_at.is_some() && story.is_refused() {
        let errors: Vec<_> = story.errors.iter().map(said).collect();
        let errors: Vec<_> = errors.iter().map(|error| error.trim_end_matches('.')).collect();
        return Err(RewardsError::operation_failed(format!("Nothing was done: {}.", errors.join("; "))));
    }
    Ok(story)
}

/// A body about a batch, with the status that says whether it is over.
pub fn answer(story: &BatchStory, body: Value) -> Response {
    let status = if story.batch.finished_at.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(body)).into_response()
}

/// A batch as it is shown.
pub fn to_wire(story: &BatchStory) -> Value {
    let batch = &story.batch;
    let meta: Value = serde_json::from_str(&batch.parameters).unwrap_or_else(|_| json!({}));
    json!({
        "id": batch.id,
        "status": batch.status,
        "total": batch.total,
        "selected_total": batch.total,
        "processed_count": batch.processed,
        "failed_count": batch.failed,
        "action_label": batch.action,
        "created_at": Instant(batch.created_at).iso8601(),
        "updated_at": Instant(batch.updated_at).iso8601(),
        "meta": meta,
        "progress": story.progress(),
        "processing_errors": story.errors.iter().map(said).collect::<Vec<_>>(),
    })
}

fn said((id, words): &(i64, String)) -> String {
    format!("{id}: {words}")
}
