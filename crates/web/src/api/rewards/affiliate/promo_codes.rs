//! The partner's promo codes.

use super::open_membership;
use crate::api::rewards::asked::{Address, Known, Query, number_in_path};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::campaigns::document;
use crate::api::rewards::page::{PER_PAGE, Page};
use crate::api::rewards::problem::RewardsError;
use crate::api::rewards::promo_codes::{code, member_in, missing_member, stays, stays_with, to_wire};
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::idempotency::{Attempted, given};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::directory::Partner;
use headwater_app::promo_code::{CodeMaker, PromoCode};
use http::{HeaderMap, StatusCode};

/// Codes of one membership that are shown.
const CODES_MAX: i64 = 1000;

/// List the partner's promo codes
#[utoipa::path(get, path = "/api/v2/affiliate/promo_codes", operation_id = "affiliate_promo_code_list", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "A page of codes, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let page = Page::parse(&Query::parse(&address.query, &Known::NOTHING)?, PER_PAGE)?;
        let mut all = Vec::new();
        for member in state.app.memberships_of(caller.account, partner.id) {
            all.extend(state.app.promo_code_list(caller.account, Some(member.id), CODES_MAX, 0).await?.0);
        }
        all.sort_by_key(|row| std::cmp::Reverse(row.id));
        Ok(page.answer_all(&address, &all, to_wire))
    })
}

/// Create a promo code of the partner's
#[utoipa::path(post, path = "/api/v2/affiliate/promo_codes", operation_id = "affiliate_promo_code_create", tag = "Affiliate",
    security(("partner_token" = [])), request_body = Value, responses((status = 200, description = "The code", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let mut asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        let code = code(&mut asked)?.ok_or_else(|| RewardsError::invalid("code", "code is required."))?;
        let named = member_in(&mut asked)?.ok_or_else(missing_member)?;
        let member = open_membership(&state.app, &partner, named.0)?;
        let render = |made: &PromoCode| given(StatusCode::OK, &to_wire(made));
        let keep = state.app.keep(attempted.map(|Extension(attempt)| attempt), render);
        let by = CodeMaker::Promoter;
        let row = state.app.promo_code_create(caller.account, member.id, &code, asked, by, keep).await?;
        Ok(Json(to_wire(&row)).into_response())
    })
}

/// Change a promo code of the partner's
#[utoipa::path(put, path = "/api/v2/affiliate/promo_codes/{id}", operation_id = "affiliate_promo_code_update", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The code as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let before = made_by_itself(own_code(&state, &partner, &id).await?)?;
        open_membership(&state.app, &partner, before.membership.0)?;
        let mut asked = document(&read_body(&headers, body, REFERRAL_BYTES_MAX).await?)?;
        stays(&asked)?;
        let code = code(&mut asked)?;
        stays_with(&before, member_in(&mut asked)?)?;
        let by = CodeMaker::Promoter;
        let row = state.app.promo_code_patch(caller.account, before.id, code.as_deref(), asked, by).await?;
        Ok(Json(to_wire(&row)).into_response())
    })
}

/// Archive a promo code of the partner's
///
/// One that it made itself; those of the company are the company's (403).
#[utoipa::path(delete, path = "/api/v2/affiliate/promo_codes/{id}", operation_id = "affiliate_promo_code_delete", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The code, archived", body = Value)))]
pub async fn delete(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let code = made_by_itself(own_code(&state, &partner, &id).await?)?;
        let row = state.app.promo_code_archive(caller.account, code.id).await?;
        Ok(Json(to_wire(&row)).into_response())
    })
}

/// What the company made is the company's to change.
fn made_by_itself(code: PromoCode) -> Result<PromoCode, RewardsError> {
    if code.maker == CodeMaker::Promoter {
        return Ok(code);
    }
    Err(RewardsError::new(StatusCode::FORBIDDEN, "forbidden", "This promo code was made by the company."))
}

async fn own_code(state: &WebState, partner: &Partner, id: &str) -> Result<PromoCode, RewardsError> {
    let row = state.app.promo_code_read(partner.account, number_in_path(id, "promo_code")?).await?;
    let member = state.app.membership_read(partner.account, row.membership)?;
    if member.partner == partner.id { Ok(row) } else { Err(RewardsError::not_found("promo_code")) }
}
