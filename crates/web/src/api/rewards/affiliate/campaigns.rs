//! The partner's campaigns, and its token in each.

use super::{open_membership, own_membership};
use crate::api::rewards::asked::{Address, Known, Query, number_in_path};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::page::Page;
use crate::api::rewards::{campaigns, memberships};
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::json::field::parse_object;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::campaign::is_archived;
use headwater_app::membership::MembershipChange;
use http::HeaderMap;

/// List the partner's campaigns
#[utoipa::path(get, path = "/api/v2/affiliate/campaigns", operation_id = "affiliate_campaign_list", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "Those of which it is a member", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let page = Page::parse_of_short(&Query::parse(&address.query, &Known::NOTHING)?)?;
        let directory = state.app.directory();
        let own = state.app.memberships_of(caller.account, partner.id);
        let programs: Vec<_> =
            own.iter().filter_map(|member| directory.program(caller.account, member.program)).collect();
        let programs: Vec<_> = programs.into_iter().filter(|program| !is_archived(program)).collect();
        Ok(page.answer_all(&address, &programs, |program| campaigns::named(program)))
    })
}

/// Change the partner's token in a campaign
#[utoipa::path(put, path = "/api/v2/affiliate/promoter_campaigns/{id}", operation_id = "affiliate_membership_update",
    tag = "Affiliate", security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")),
    request_body = Value, responses((status = 200, description = "The membership as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let id = number_in_path(&id, "promoter_campaign")?;
        own_membership(&state.app, &partner, id)?;
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let token = parse_object(&body)?.required_string("ref_token")?;
        let before = open_membership(&state.app, &partner, id)?;
        let change = MembershipChange { ref_token: Some(token), ..MembershipChange::default() };
        let membership = state.app.membership_patch(caller.account, before.id, change).await?;
        Ok(Json(memberships::shown(&state.app, &membership).await?).into_response())
    })
}
