//! What the partner was paid and is to be paid.

use crate::api::rewards::asked::{Address, Known, Query};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::page::{PER_PAGE, Page};
use crate::api::rewards::payouts::{Asked, KNOWN, asked, due};
use crate::api::rewards::problem::RewardsError;
use crate::asked::Path;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::directory::Partner;
use headwater_app::payout::shown::{PayoutGrouping, PayoutSummed};
use headwater_domain::postback::entity::PayoutEntity;
use http::{HeaderMap, header};
use serde_json::{Value, json};

/// List the partner's payouts
#[utoipa::path(get, path = "/api/v2/affiliate/payouts", operation_id = "affiliate_payout_list", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "`{data, meta}`, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let query = Query::parse(&address.query, &KNOWN)?;
        let page = Page::parse(&query, PER_PAGE)?;
        let Asked { mut filter, method, order } = asked(&state, caller.account, &query)?;
        filter.payee_id = Some(partner.id.0);
        let method = method.as_deref();
        let shown = state.app.payouts_shown(caller.account, filter, method, order, page.page, page.per_page).await?;
        let data: Vec<_> = shown.rows.iter().map(PayoutEntity::to_json).collect();
        let body = json!({"data": data, "meta": meta(&state, &partner).await?});
        Ok(page.answer_body(&address, &body, shown.total))
    })
}

/// Read the statement of one of the partner's payouts
///
/// Signed: saved as it is, `headwater statement verify` checks it without this server.
#[utoipa::path(get, path = "/api/v2/affiliate/payouts/{id}/statement", operation_id = "affiliate_payout_statement", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "The payout's number")),
    responses((status = 200, description = "The statement", body = Value)))]
pub async fn statement(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let id = id.parse().map_err(|_| RewardsError::not_found("payout"))?;
        let text = state.app.payout_statement(caller.account, id, Some(partner.id)).await?;
        Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
    })
}

/// Add up what is due to the partner
#[utoipa::path(get, path = "/api/v2/affiliate/payouts/due_stats", operation_id = "affiliate_payout_due_stats", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "`{meta, data: {next, overdue, custom}}`", body = Value)))]
pub async fn due_stats(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        // It has no filters: one that is asked for is refused.
        Query::parse(&address.query, &Known::NOTHING)?;
        let own = PayoutSummed { payee_id: Some(partner.id.0), ..PayoutSummed::default() };
        let sums = state.app.payout_sums(caller.account, own, PayoutGrouping::DuePeriod).await?;
        let body = json!({"meta": meta(&state, &partner).await?, "data": due(&sums, state.app.clock.now())});
        Ok(Json(body).into_response())
    })
}

/// Under which terms it is paid: what it set itself, else what its first campaign says.
async fn meta(state: &WebState, partner: &Partner) -> Result<Value, RewardsError> {
    let own = state.app.partner_payout(partner.account, partner.id).await?;
    let directory = state.app.directory();
    let members = state.app.memberships_of(partner.account, partner.id);
    let program = members.first().and_then(|member| directory.program(partner.account, member.program));
    let least = own.minimum.or(program.and_then(|program| program.settings.payout_minimum));
    let least = least.map(|least| serde_json::from_str::<Value>(&least.to_string()).unwrap_or_default());
    let selected: Vec<_> = own.method.into_iter().collect();
    let mut meta = json!({"selected_payout_methods": selected, "payout_method_options": {}, "managed_payouts": false});
    meta["min_payment"] = least.unwrap_or_else(|| 0.into());
    Ok(meta)
}
