//! Campaigns: list, create, read, change, delete. A campaign is a program.
//!
//! Leaves what rewards make of a plan to `app::campaign`. Invariant: what is shown is what the program is set to.

use super::asked::{Address, Known, Query, number_in_path};
use super::caller::with_rewards_key;
use super::once::key_of_attempt;
use super::page::{PER_PAGE, Page};
use super::problem::RewardsError;
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::idempotency::Attempted;
use crate::json::strict;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::campaign::{LISTS, REF_TOKEN_PARAMETER};
use headwater_app::directory::Program;
use headwater_app::reward::RewardFailure;
use headwater_domain::ids::ProgramId;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

/// List campaigns
#[utoipa::path(get, path = "/api/v2/company/campaigns", operation_id = "rewards_campaign_list", tag = "Rewards",
    security(("rewards_key" = [])), responses((status = 200, description = "A page of campaigns, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let page = Page::parse(&Query::parse(&address.query, &Known::NOTHING)?, PER_PAGE)?;
        let mut all = state.app.campaign_list(caller.account);
        all.reverse();
        Ok(page.answer_all(&address, &all, |program| to_wire(program)))
    })
}

/// Create a campaign
///
/// With the rewards that it pays promoters and referrals; what its plan cannot say is refused with the field's name.
#[utoipa::path(post, path = "/api/v2/company/campaigns", operation_id = "rewards_campaign_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 201, description = "The campaign", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        let attempt = attempted.map(|Extension(attempt)| key_of_attempt(&attempt));
        let program = state.app.campaign_create(caller.account, &asked, attempt).await.map_err(refused)?;
        Ok((StatusCode::CREATED, Json(to_wire(&program))).into_response())
    })
}

/// Read a campaign
#[utoipa::path(get, path = "/api/v2/company/campaigns/{id}", operation_id = "rewards_campaign_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The campaign", body = Value)))]
pub async fn read(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let program = state.app.campaign_read(caller.account, ProgramId(number_in_path(&id, "campaign")?))?;
        Ok(Json(to_wire(&program)).into_response())
    })
}

/// Change a campaign
///
/// What is left out stays. New lists of rewards are in force at once.
#[utoipa::path(put, path = "/api/v2/company/campaigns/{id}", operation_id = "rewards_campaign_update", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The campaign as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = ProgramId(number_in_path(&id, "campaign")?);
        let asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        let program = state.app.campaign_patch(caller.account, id, &asked).await.map_err(refused)?;
        Ok(Json(to_wire(&program)).into_response())
    })
}

/// Delete a campaign
///
/// Takes it off the lists; its members, referrals and books stay.
#[utoipa::path(delete, path = "/api/v2/company/campaigns/{id}", operation_id = "rewards_campaign_delete", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The campaign as it was", body = Value)))]
pub async fn delete(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let program = state.app.campaign_archive(caller.account, ProgramId(number_in_path(&id, "campaign")?)).await?;
        Ok(Json(to_wire(&program)).into_response())
    })
}

/// A body that is kept as it was said.
pub fn document(body: &[u8]) -> Result<Map<String, Value>, RewardsError> {
    let text = strict::check(body)?;
    serde_json::from_str(text)
        .map_err(|_| RewardsError::new(StatusCode::BAD_REQUEST, "invalid_json", "The body must be a JSON object."))
}

/// A field that cannot be used is 400; one that a plan cannot say 422.
pub fn refused(failure: RewardFailure) -> RewardsError {
    match failure {
        RewardFailure::Refused(refused) => {
            let message = format!("{} {}.", refused.field, refused.message.trim_end_matches('.'));
            if refused.is_understood {
                RewardsError::inexpressible(refused.field, message)
            } else {
                RewardsError::invalid(refused.field, message)
            }
        }
        RewardFailure::Other(error) => error.into(),
    }
}

/// A campaign as other objects name it.
pub fn named(program: &Program) -> Value {
    json!({"id": program.id.0, "name": program.row.name, "color": program.settings.campaign.get("color")})
}

fn to_wire(program: &Program) -> Value {
    let kept = |name: &str, default: Value| program.settings.campaign.get(name).cloned().unwrap_or(default);
    let mut object = json!({
        "id": program.id.0, "name": program.row.name, "landing_url": program.row.site_url,
        "ref_token_param": kept("ref_token_param", REF_TOKEN_PARAMETER.into()),
        "visitor_cookie_life": program.settings.window_days,
        "auto_approve": program.settings.auto_approve,
        "auto_approve_promoters": kept("auto_approve_promoters", true.into()), "is_private": kept("is_private", false.into()),
        "track_ad_traffic": kept("track_ad_traffic", "allow".into()), "upgrade_details": kept("upgrade_details", Value::Null), "color": kept("color", Value::Null),
        "description": kept("description", Value::Null), "currency": program.settings.currency,
        "plan": program.settings.plan, "archived_at": kept("archived_at", Value::Null),
        "created_at": Instant(program.row.created_at).iso8601(),
    });
    for (list, _) in LISTS {
        object[list] = kept(list, json!([]));
    }
    object
}
