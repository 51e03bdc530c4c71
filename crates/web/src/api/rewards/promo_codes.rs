//! Promo codes: list, create, read, change, archive.

use super::asked::{Address, Known, Query, number_in_path};
use super::caller::with_rewards_key;
use super::campaigns::document;
use super::page::{PER_PAGE, Page};
use super::problem::RewardsError;
use crate::asked::{Path, plain_number};
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::idempotency::{Attempted, given};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::promo_code::{CodeMaker, PromoCode};
use headwater_domain::ids::MembershipId;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

const MEMBER: &str = "promoter_campaign_id";
/// Published without brackets.
const KNOWN: Known<'static> =
    Known { filters: &["promoter_campaign_id"], flat: &["promoter_campaign_id"], ..Known::NOTHING };

/// List promo codes
#[utoipa::path(get, path = "/api/v2/company/promo_codes", operation_id = "rewards_promo_code_list", tag = "Rewards",
    security(("rewards_key" = [])), responses((status = 200, description = "A page of codes, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &KNOWN)?;
        let page = Page::parse(&query, PER_PAGE)?;
        let wrong = || RewardsError::invalid_params("promoter_campaign_id must be a whole number from 1 on.");
        let of = query.filter_or_plain("promoter_campaign_id")?;
        let of = of.map(|text| plain_number(text).ok_or_else(wrong)).transpose()?.map(MembershipId);
        let (rows, total) = state.app.promo_code_list(caller.account, of, page.per_page, page.offset()).await?;
        Ok(page.answer(&address, rows.iter().map(to_wire).collect(), total))
    })
}

/// Create a promo code
///
/// A sale that names it is its member's.
#[utoipa::path(post, path = "/api/v2/company/promo_codes", operation_id = "rewards_promo_code_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 201, description = "The code", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let mut asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        let code = code(&mut asked)?.ok_or_else(|| RewardsError::invalid("code", "code is required."))?;
        let membership = member_in(&mut asked)?.ok_or_else(missing_member)?;
        let render = |made: &PromoCode| given(StatusCode::CREATED, &to_wire(made));
        let keep = state.app.keep(attempted.map(|Extension(attempt)| attempt), render);
        let by = CodeMaker::Company;
        let row = state.app.promo_code_create(caller.account, membership, &code, asked, by, keep).await?;
        Ok((StatusCode::CREATED, Json(to_wire(&row))).into_response())
    })
}

/// Read a promo code
#[utoipa::path(get, path = "/api/v2/company/promo_codes/{id}", operation_id = "rewards_promo_code_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The code", body = Value)))]
pub async fn read(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = number_in_path(&id, "promo_code")?;
        Ok(Json(to_wire(&state.app.promo_code_read(caller.account, id).await?)).into_response())
    })
}

/// Change a promo code
#[utoipa::path(put, path = "/api/v2/company/promo_codes/{id}", operation_id = "rewards_promo_code_update", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The code as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = number_in_path(&id, "promo_code")?;
        let mut asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        stays(&asked)?;
        let code = code(&mut asked)?;
        let before = state.app.promo_code_read(caller.account, id).await?;
        stays_with(&before, member_in(&mut asked)?)?;
        let by = CodeMaker::Company;
        let row = state.app.promo_code_patch(caller.account, id, code.as_deref(), asked, by).await?;
        Ok(Json(to_wire(&row)).into_response())
    })
}

/// Archive a promo code
///
/// No sale is anybody's by it any more. Its text stays taken for promoters; the company may give it out again.
#[utoipa::path(delete, path = "/api/v2/company/promo_codes/{id}", operation_id = "rewards_promo_code_delete", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The code, archived", body = Value)))]
pub async fn delete(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = number_in_path(&id, "promo_code")?;
        Ok(Json(to_wire(&state.app.promo_code_archive(caller.account, id).await?)).into_response())
    })
}

pub(super) fn code(asked: &mut Map<String, Value>) -> Result<Option<String>, RewardsError> {
    match asked.remove("code") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(code)) => Ok(Some(code)),
        Some(_) => Err(RewardsError::invalid("code", "code must be a string.")),
    }
}

/// A code can become another one, and not none.
pub(super) fn stays(asked: &Map<String, Value>) -> Result<(), RewardsError> {
    match asked.get("code") {
        Some(Value::Null) => {
            Err(RewardsError::invalid("code", "code cannot be cleared: send a value, or leave it out."))
        }
        _ => Ok(()),
    }
}

/// Whose a code is to be.
pub(super) fn member_in(asked: &mut Map<String, Value>) -> Result<Option<MembershipId>, RewardsError> {
    match asked.remove(MEMBER) {
        None | Some(Value::Null) => Ok(None),
        Some(id) => match id.as_i64() {
            Some(id) => Ok(Some(MembershipId(id))),
            None => Err(RewardsError::invalid(MEMBER, format!("{MEMBER} must be a whole number."))),
        },
    }
}

pub(super) fn missing_member() -> RewardsError {
    RewardsError::invalid(MEMBER, format!("{MEMBER} is required: send the number of a membership."))
}

/// A code is its member's for good: sales that named it are.
pub(super) fn stays_with(row: &PromoCode, member: Option<MembershipId>) -> Result<(), RewardsError> {
    if member.is_none_or(|member| member == row.membership) {
        return Ok(());
    }
    let message = format!("{MEMBER} cannot be changed: delete the code, and create it for the other membership.");
    Err(RewardsError::inexpressible(MEMBER, message))
}

/// A code as it is shown.
pub fn to_wire(code: &PromoCode) -> Value {
    let of = |name: &str| code.said.get(name).cloned().unwrap_or(Value::Null);
    json!({
        "id": code.id, "code": code.code, "promoter_campaign_id": code.membership.0, "reward_id": of("reward_id"),
        "reward": code.reward.as_ref().map(|(id, name)| json!({"id": id, "name": name})),
        "description": of("description"), "details": of("details"), "metadata": of("metadata"), "ext_id": null,
        "created_at": code.created.iso8601(), "archived_at": code.archived.map(Instant::iso8601),
    })
}
