//! Promoters: list, create, read, change, and what is done about several. A promoter is a partner.
//!
//! Leaves their memberships to `memberships`. Invariant: balances of two units are never added up.

use super::asked::{Address, Known, Query, one_of};
use super::batches;
use super::caller::{Caller, with_rewards_key};
use super::ids::ids;
use super::memberships;
use super::once::key_of_attempt;
use super::page::{PER_PAGE, Page};
use super::problem::RewardsError;
use super::promoter_body::{from_wire, program_in, refuse_cleared, state_asked};
use super::promoter_filter::{KNOWN, fitting};
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::idempotency::Attempted;
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::app::App;
use headwater_app::batch::BatchAction;
use headwater_app::directory::Partner;
use headwater_app::membership::MemberState;
use headwater_app::promoter::{Figures, FindBy, archived_at, cust_id, said};
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::money::{Currency, Unit};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub(super) type AllFigures = BTreeMap<(PartnerId, ProgramId), Figures>;

/// List promoters
///
/// Newest first, or by `sorting[…]`. `filters[inactivity][metric]` (`click`, `referral`, `customer`, `sale`) with `[days]` are those
/// that had none of it for so long. Nobody logs in here with a password, so `filters[last_login_at]` finds nobody.
#[utoipa::path(get, path = "/api/v2/company/promoters", operation_id = "rewards_promoter_list", tag = "Rewards",
    security(("rewards_key" = [])),
    responses((status = 200, description = "`{data, meta: {pending_count}}`, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &KNOWN)?;
        let page = Page::parse(&query, PER_PAGE)?;
        let app = &state.app;
        let figures = app.figures(caller.account, None).await?;
        let all = fitting(app, caller.account, &query, &figures).await?;
        let mut rows = Vec::new();
        for partner in page.of_all(&all) {
            rows.push(shown(app, partner, &figures).await?);
        }
        let directory = app.directory();
        let pending = directory.memberships(caller.account).filter(|m| m.state == MemberState::Pending).count();
        let total = i64::try_from(all.len()).unwrap_or(i64::MAX);
        Ok(page.answer_body(&address, &json!({"data": rows, "meta": {"pending_count": pending}}), total))
    })
}

/// Create a promoter
///
/// A member of `initial_campaign_id`, else of the first campaign, under the promoter `parent_promoter_id`, named there by `ref_token`.
#[utoipa::path(post, path = "/api/v2/company/promoters", operation_id = "rewards_promoter_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 201, description = "The promoter", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let program = program_in(&fields, "initial_campaign_id")?;
        let wanted = state_asked(&state.app, caller.account, program, &fields)?;
        let attempt = attempted.map(|Extension(attempt)| key_of_attempt(&attempt));
        let made = state.app.promoter_create(caller.account, from_wire(&fields)?, program, wanted, attempt).await?;
        let object = shown(&state.app, &made, &AllFigures::new()).await?;
        Ok((StatusCode::CREATED, Json(object)).into_response())
    })
}

/// Read a promoter
///
/// `find_by` `email`, `cust_id`, `auth_token`, `ref_token` or `promo_code` makes the id that value.
#[utoipa::path(get, path = "/api/v2/company/promoters/{id}", operation_id = "rewards_promoter_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number, or what `find_by` says")),
    responses((status = 200, description = "The promoter", body = Value)))]
pub async fn read(
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    address: Address,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let partner = find(&state.app, caller.account, &address, None, &id).await?;
        let figures = state.app.figures(caller.account, Some(partner.id)).await?;
        Ok(Json(shown(&state.app, &partner, &figures).await?).into_response())
    })
}

/// Change a promoter
#[utoipa::path(put, path = "/api/v2/company/promoters/{id}", operation_id = "rewards_promoter_update", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number, or what `find_by` says")),
    request_body = Value, responses((status = 200, description = "The promoter as it is now", body = Value)))]
pub async fn update(
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    address: Address,
    body: Body,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let said = fields.optional_string("find_by")?;
        let before = find(&state.app, caller.account, &address, said.as_deref(), &id).await?;
        fields.refuse_null(&["name"])?;
        refuse_cleared(&fields, "email", before.row.email.is_some())?;
        refuse_cleared(&fields, "cust_id", cust_id(&before).is_some())?;
        let asked = from_wire(&fields)?;
        if asked.ref_token.is_some() {
            let message = "ref_token is a membership's: change it under /promoter_campaigns/{id}.";
            return Err(RewardsError::inexpressible("ref_token", message));
        }
        let partner = state.app.promoter_patch(caller.account, before.id, asked).await?;
        let figures = state.app.figures(caller.account, Some(partner.id)).await?;
        Ok(Json(shown(&state.app, &partner, &figures).await?).into_response())
    })
}

/// Accept promoters
#[utoipa::path(post, path = "/api/v2/company/promoters/accept", operation_id = "rewards_promoter_accept", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn accept(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        become_all(&state, &caller, &headers, body, BatchAction::PromoterAccept).await
    })
}

/// Reject promoters
///
/// A rejected member brings no new referrals and earns nothing in this campaign.
#[utoipa::path(post, path = "/api/v2/company/promoters/reject", operation_id = "rewards_promoter_reject", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn reject(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        become_all(&state, &caller, &headers, body, BatchAction::PromoterReject).await
    })
}

/// Block promoters
///
/// A blocked member brings no new referrals and earns nothing in this campaign.
#[utoipa::path(post, path = "/api/v2/company/promoters/block", operation_id = "rewards_promoter_block", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn block(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        become_all(&state, &caller, &headers, body, BatchAction::PromoterBlock).await
    })
}

/// Add promoters to a campaign
#[utoipa::path(post, path = "/api/v2/company/promoters/add_to_campaign", operation_id = "rewards_promoter_add", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn add_to_campaign(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        become_all(&state, &caller, &headers, body, BatchAction::PromoterAddToCampaign).await
    })
}

/// Archive promoters
///
/// Takes them off the lists; what they earn stays theirs.
#[utoipa::path(post, path = "/api/v2/company/promoters/archive", operation_id = "rewards_promoter_archive", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn archive(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        act_all(&state, &caller, &parse_object(&body)?, BatchAction::PromoterArchive, json!({})).await
    })
}

/// Restore promoters
#[utoipa::path(post, path = "/api/v2/company/promoters/restore", operation_id = "rewards_promoter_restore", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn restore(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        act_all(&state, &caller, &parse_object(&body)?, BatchAction::PromoterRestore, json!({})).await
    })
}

/// Move promoters to another campaign
///
/// Their token goes with them. With `soft_move_referrals` their referrals follow: what these do from now on is the new campaign's. Else
/// these stay in the campaign that they are in.
#[utoipa::path(post, path = "/api/v2/company/promoters/move_to_campaign", operation_id = "rewards_promoter_move", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn move_to_campaign(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let is_soft = fields.optional_bool("soft_move_referrals")?.unwrap_or(false);
        let from = campaign(&state.app, caller.account, &fields, "from_campaign_id")?;
        let to = campaign(&state.app, caller.account, &fields, "to_campaign_id")?;
        if from == to {
            let message = "to_campaign_id must be another campaign than from_campaign_id.";
            return Err(RewardsError::invalid("to_campaign_id", message));
        }
        let parameters = json!({"from_campaign_id": from.0, "to_campaign_id": to.0, "soft_move_referrals": is_soft});
        act_all(&state, &caller, &fields, BatchAction::PromoterMoveToCampaign, parameters).await
    })
}

/// Assign a parent to promoters
#[utoipa::path(post, path = "/api/v2/company/promoters/assign_parent", operation_id = "rewards_promoter_parent", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn assign_parent(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let parent = fields.required_integer("parent_promoter_id")?;
        if state.app.directory().partner_by_id(caller.account, PartnerId(parent)).is_none() {
            let message = "parent_promoter_id must be the id of a promoter.";
            return Err(RewardsError::invalid("parent_promoter_id", message));
        }
        let parameters = json!({ "parent_promoter_id": parent });
        act_all(&state, &caller, &fields, BatchAction::PromoterAssignParent, parameters).await
    })
}

async fn become_all(
    state: &WebState,
    caller: &Caller,
    headers: &HeaderMap,
    body: Body,
    action: BatchAction,
) -> Result<Response, RewardsError> {
    let body = read_body(headers, body, REFERRAL_BYTES_MAX).await?;
    let fields = parse_object(&body)?;
    let program = campaign(&state.app, caller.account, &fields, "campaign_id")?;
    act_all(state, caller, &fields, action, json!({"campaign_id": program.0})).await
}

async fn act_all(
    state: &WebState,
    caller: &Caller,
    fields: &Fields<'_>,
    action: BatchAction,
    parameters: Value,
) -> Result<Response, RewardsError> {
    fields.optional_bool("drip_emails")?;
    let parameters = parameters.as_object().cloned().unwrap_or_default();
    let story = batches::start(state, caller, action, ids(fields)?, parameters).await?;
    Ok(batches::answer(&story, batches::to_wire(&story)))
}

fn campaign(app: &App, account: AccountId, fields: &Fields<'_>, name: &str) -> Result<ProgramId, RewardsError> {
    let id = ProgramId(fields.required_integer(name)?);
    let unknown = |_| RewardsError::invalid(name, format!("{name} names no campaign."));
    app.campaign_read(account, id).map(|program| program.id).map_err(unknown)
}

/// The promoter of a path; a change may say in its body by what it is named, as is published, or like the others in its query.
async fn find(
    app: &App,
    account: AccountId,
    address: &Address,
    in_body: Option<&str>,
    id: &str,
) -> Result<Arc<Partner>, RewardsError> {
    let query = Query::parse(&address.query, &Known::NOTHING)?;
    let words = ["id", "email", "cust_id", "auth_token", "ref_token", "promo_code"];
    let by = match one_of("find_by", query.text("find_by").or(in_body), &words)? {
        Some("email") => FindBy::Email,
        Some("cust_id") => FindBy::CustId,
        Some("auth_token") => FindBy::AuthToken,
        Some("ref_token") => FindBy::RefToken,
        Some("promo_code") => FindBy::PromoCode,
        _ => FindBy::Id,
    };
    Ok(app.promoter_find(account, by, id).await?)
}

/// The figures of a partner, by program.
fn of_partner(figures: &AllFigures, partner: PartnerId) -> impl Iterator<Item = (ProgramId, &Figures)> {
    let range = figures.range((partner, ProgramId(0))..=(partner, ProgramId(i64::MAX)));
    range.map(|((_, program), of)| (*program, of))
}

/// Over all memberships; revenue is that of the account's first program's currency.
pub(super) fn stats(app: &App, account: AccountId, partner: PartnerId, figures: &AllFigures) -> Value {
    let directory = app.directory();
    let own = directory.default_program(account).map(|program| program.settings.currency.clone());
    let mut all = Figures::default();
    for (program, of) in of_partner(figures, partner) {
        all.add_counts(of);
        let currency = directory.program(account, program).map(|program| program.settings.currency.clone());
        if currency == own {
            all.revenue = all.revenue.checked_add(of.revenue).unwrap_or(all.revenue);
        }
    }
    memberships::stats(&all, own.and_then(|code| Currency::parse(&code)).map(Unit::Currency))
}

pub(super) async fn shown(app: &Arc<App>, partner: &Partner, figures: &AllFigures) -> Result<Value, RewardsError> {
    let (account, now) = (partner.account, app.clock.now());
    let said = said(partner);
    let of = |name: &str| said.get(name).cloned().unwrap_or(Value::Null);
    let none = Figures::default();
    let members = app.memberships_of(account, partner.id);
    let members: Vec<Value> = members
        .iter()
        .map(|member| {
            memberships::to_wire(app, member, figures.get(&(partner.id, member.program)).unwrap_or(&none), &[])
        })
        .collect();
    let suspicions: BTreeSet<&String> = of_partner(figures, partner.id).flat_map(|(_, of)| &of.suspicions).collect();
    let directory = app.directory();
    let parent = partner.parent_at(now).and_then(|parent| directory.partner_by_id(account, parent));
    Ok(json!({
        "id": partner.row.id, "email": partner.row.email, "name": partner.row.name, "cust_id": cust_id(partner),
        "note": of("note"), "stats": stats(app, account, partner.id, figures), "is_customized": false,
        "fraud_suspicions": suspicions, "is_confirmed": true, "invoice_details_status": "pending",
        "profile": said.get("profile").cloned().unwrap_or_else(|| json!({})),
        "joined_at": Instant(partner.row.created_at).iso8601(), "last_login_at": null, "archived_at": archived_at(partner),
        "custom_fields": of("custom_fields"), "password_setup_url": null, "first_event_at": null,
        "promoter_campaigns": members, "balances": app.balances(account, partner.id).await?,
        "track_ad_traffic": null, "selected_payout_method": selected_method(app, partner).await?,
        "parent_promoter": parent.map(|p| json!({"id": p.row.id, "email": p.row.email, "name": p.row.name})),
    }))
}

/// How a promoter is paid now.
async fn selected_method(app: &Arc<App>, partner: &Partner) -> Result<Value, RewardsError> {
    let own = app.partner_payout(partner.account, partner.id).await?;
    let added = Instant(partner.row.created_at).iso8601();
    Ok(own.method.map_or(
        Value::Null,
        |method| json!({"id": partner.id.0, "method": method, "date_added": added, "is_disabled": false}),
    ))
}
