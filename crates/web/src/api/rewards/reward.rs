//! Rewards: list, create, read, change, hide.
//!
//! Leaves what a reward pays to the plans of the campaigns that have it.

use super::asked::{Address, Known, Query, number_in_path, one_of};
use super::caller::with_rewards_key;
use super::campaigns::{document, refused};
use super::page::{PER_PAGE, Page};
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::idempotency::{Attempted, given};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::reward::{REWARDS_MAX, Reward};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// Whose rewards a list may be of.
const SCOPES: [&str; 2] = ["promoters", "referrals"];

/// List rewards
#[utoipa::path(get, path = "/api/v2/company/rewards", operation_id = "rewards_reward_list", tag = "Rewards",
    security(("rewards_key" = [])),
    params(("scope" = Option<String>, Query, description = "promoters or referrals: whose rewards; of both where it is left out")),
    responses((status = 200, description = "A page of rewards, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &Known::NOTHING)?;
        let page = Page::parse(&query, PER_PAGE)?;
        if let Some(scope) = one_of("scope", query.text("scope"), &SCOPES)? {
            let (mut all, _) = state.app.reward_list(caller.account, REWARDS_MAX, 0).await?;
            all.retain(|reward| reward.document.get("is_promoter_reward") == Some(&(scope == SCOPES[0]).into()));
            return Ok(page.answer_all(&address, &all, to_wire));
        }
        let (rows, total) = state.app.reward_list(caller.account, page.per_page, page.offset()).await?;
        Ok(page.answer(&address, rows.iter().map(to_wire).collect(), total))
    })
}

/// Create a reward
///
/// An amount or a percent of a sale, in money or in a reward unit. What a plan cannot say is refused with the field's name.
#[utoipa::path(post, path = "/api/v2/company/rewards", operation_id = "rewards_reward_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 201, description = "The reward", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        let render = |made: &Reward| given(StatusCode::CREATED, &to_wire(made));
        let keep = state.app.keep(attempted.map(|Extension(attempt)| attempt), render);
        let reward = state.app.reward_create(caller.account, asked, keep).await.map_err(refused)?;
        Ok((StatusCode::CREATED, Json(to_wire(&reward))).into_response())
    })
}

/// Read a reward
#[utoipa::path(get, path = "/api/v2/company/rewards/{id}", operation_id = "rewards_reward_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The reward", body = Value)))]
pub async fn read(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let reward = state.app.reward_read(caller.account, number_in_path(&id, "reward")?).await?;
        Ok(Json(to_wire(&reward)).into_response())
    })
}

/// Change a reward
///
/// Also in the plans of the campaigns that have it: a new version of each, in force at once.
#[utoipa::path(put, path = "/api/v2/company/rewards/{id}", operation_id = "rewards_reward_update", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The reward as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = number_in_path(&id, "reward")?;
        let asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        let reward = state.app.reward_patch(caller.account, id, asked).await.map_err(refused)?;
        Ok(Json(to_wire(&reward)).into_response())
    })
}

/// Hide a reward
///
/// Takes it off the lists. Campaigns that have it go on paying it.
#[utoipa::path(post, path = "/api/v2/company/rewards/{id}/hide", operation_id = "rewards_reward_hide", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The reward as it is now", body = Value)))]
pub async fn hide(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let reward = state.app.reward_hide(caller.account, number_in_path(&id, "reward")?).await?;
        Ok(Json(to_wire(&reward)).into_response())
    })
}

/// A reward as other objects name it.
pub fn named(reward: &Reward) -> Value {
    json!({"id": reward.row.id, "name": reward.document.get("name")})
}

fn to_wire(reward: &Reward) -> Value {
    let mut object = Value::Object(reward.document.clone());
    object["id"] = reward.row.id.into();
    object["is_hidden"] = reward.row.is_hidden.into();
    object["hide_reward"] = reward.row.is_hidden.into();
    object["created_at"] = Instant(reward.row.created_at).iso8601().into();
    object
}
