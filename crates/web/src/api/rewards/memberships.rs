//! Memberships (`promoter_campaigns`): list, search, change, their links and their figures by day.
//!
//! Leaves letting in and barring to the calls about promoters, which may name several.

use super::amount;
use super::asked::{Address, Known, Query, number_in_path, one_of};
use super::caller::with_rewards_key;
use super::campaigns;
use super::page::{PER_PAGE, Page};
use super::problem::RewardsError;
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::app::App;
use headwater_app::campaign::{LISTS, REF_TOKEN_PARAMETER};
use headwater_app::link;
use headwater_app::membership::{MemberState, Membership, MembershipChange};
use headwater_app::promoter::Figures;
use headwater_domain::ids::{AccountId, MembershipId};
use headwater_domain::money::{Currency, Unit};
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use url::Url;

/// Rows of a search.
const FOUND_MAX: usize = 5;
const LINKS_MAX: usize = 1000;
const KNOWN: Known<'static> =
    Known { filters: &["campaign_id[]", "promoter_id[]", "state"], has_ids: true, ..Known::NOTHING };
/// Whether a member has rewards of its own, in the order of the lists.
const CUSTOMIZED: [&str; 2] = ["promoter_rewards_customized", "referral_rewards_customized"];
/// Every state by its name.
const STATES: [&str; 5] = ["pending", "accepted", "rejected", "blocked", "inactive"];

/// List memberships
#[utoipa::path(get, path = "/api/v2/company/promoter_campaigns", operation_id = "rewards_membership_list", tag = "Rewards",
    security(("rewards_key" = [])), responses((status = 200, description = "A page of memberships, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &KNOWN)?;
        let page = Page::parse(&query, PER_PAGE)?;
        let (campaigns, promoters) = (query.filter_numbers("campaign_id")?, query.filter_numbers("promoter_id")?);
        let (ids, wanted) = (query.ids()?, one_of("filters[state]", query.filter("state"), &STATES)?);
        let mut all = matching(&state.app, caller.account, query.search().as_deref());
        all.retain(|membership| {
            (campaigns.is_empty() || campaigns.contains(&membership.program.0))
                && (promoters.is_empty() || promoters.contains(&membership.partner.0))
                && ids.as_ref().is_none_or(|ids| ids.contains(&membership.id.0))
                && wanted.is_none_or(|wanted| membership.state.name() == wanted)
        });
        let mut rows = Vec::new();
        for membership in page.of_all(&all) {
            rows.push(shown(&state.app, membership).await?);
        }
        Ok(page.answer(&address, rows, i64::try_from(all.len()).unwrap_or(i64::MAX)))
    })
}

/// Search memberships
///
/// By a part of the promoter's email or name, or of the token; at most five.
#[utoipa::path(get, path = "/api/v2/company/promoter_campaigns/search", operation_id = "rewards_membership_search", tag = "Rewards",
    security(("rewards_key" = [])), responses((status = 200, description = "At most five memberships", body = Value)))]
pub async fn search(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &Known::NOTHING)?;
        let part = query.search().ok_or_else(|| RewardsError::invalid_params("q is required."))?;
        let mut rows = Vec::new();
        for membership in matching(&state.app, caller.account, Some(&part)).iter().take(FOUND_MAX) {
            rows.push(shown(&state.app, membership).await?);
        }
        Ok(Json(Value::Array(rows)).into_response())
    })
}

/// Change a membership
///
/// `state`, `ref_token`, `coupon`, `display_coupon`, `direct_url`. Its rewards are its campaign's, and refused.
#[utoipa::path(put, path = "/api/v2/company/promoter_campaigns/{id}", operation_id = "rewards_membership_update", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The membership as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = MembershipId(number_in_path(&id, "promoter_campaign")?);
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        rewards_stay(&state.app, &*state.app.membership_read(caller.account, id)?, &fields)?;
        let change = from_wire(&fields)?;
        let membership = state.app.membership_patch(caller.account, id, change).await?;
        Ok(Json(shown(&state.app, &membership).await?).into_response())
    })
}

/// List the links of a membership
#[utoipa::path(get, path = "/api/v2/company/promoter_campaigns/{id}/referral_links", operation_id = "rewards_membership_links",
    tag = "Rewards", security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "Its links, the default one first", body = Value)))]
pub async fn links(
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    address: Address,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let page = Page::parse_of_short(&Query::parse(&address.query, &Known::NOTHING)?)?;
        let id = MembershipId(number_in_path(&id, "promoter_campaign")?);
        let membership = state.app.membership_read(caller.account, id)?;
        let directory = state.app.directory();
        let partner = directory.partner_by_id(caller.account, membership.partner).cloned();
        let partner = partner.ok_or_else(|| RewardsError::not_found("promoter"))?;
        let programs = [membership.program];
        let clicks = &state.app.clicks;
        let own = link::list(clicks, caller.account, Some(&programs), Some(membership.partner), None, LINKS_MAX);
        let mut rows = vec![json!({"id": null, "url": ref_link(&state.app, &membership), "is_default": true})];
        let public = Url::parse(&state.app.public_url()).ok();
        rows.extend(own.iter().map(|link| {
            let url = public.as_ref().map(|public| link.address(public, &partner.row.external_id).to_string());
            json!({"id": link.public_id(), "url": url, "landing_page": link.landing_page.as_str(), "is_default": false,
                "created_at": link.created.iso8601()})
        }));
        Ok(page.answer_all(&address, &rows, Value::clone))
    })
}

/// What a member is paid is its campaign's. What is shown of that may be sent back; anything else cannot be carried out.
fn rewards_stay(app: &App, membership: &Membership, fields: &Fields<'_>) -> Result<(), RewardsError> {
    let program = app.program_read(membership.account, membership.program)?;
    for ((list, _), flag) in LISTS.into_iter().zip(CUSTOMIZED) {
        let said: Value = fields.raw(list).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let own = program.settings.campaign.get(list).cloned().unwrap_or_else(|| json!([]));
        if !said.is_null() && said != own {
            let message =
                format!("{list} are those of the campaign for every member: change them there, or leave it out.");
            return Err(RewardsError::inexpressible(list, message));
        }
        if fields.optional_bool(flag)? == Some(true) {
            let message = format!("{flag} must be false: what a member is paid is its campaign's.");
            return Err(RewardsError::inexpressible(flag, message));
        }
    }
    Ok(())
}

fn from_wire(fields: &Fields<'_>) -> Result<MembershipChange, RewardsError> {
    fields.refuse_null(&["state", "ref_token"])?;
    let state = fields.optional_string("state")?;
    let unknown = || RewardsError::invalid("state", format!("state must be one of {}.", STATES.join(", ")));
    let state = state.map(|name| MemberState::parse(&name).ok_or_else(unknown)).transpose()?;
    let mut data = Map::new();
    for name in ["coupon", "display_coupon", "direct_url"] {
        if fields.is_null(name) {
            data.insert(name.into(), Value::Null);
        } else if let Some(text) = fields.optional_line(name, 2048)? {
            data.insert(name.into(), text.into());
        }
    }
    let is_web = |text: &str| Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if data.get("direct_url").and_then(Value::as_str).is_some_and(|text| !text.is_empty() && !is_web(text)) {
        return Err(RewardsError::invalid("direct_url", "direct_url must be an http or https URL."));
    }
    Ok(MembershipChange { state, ref_token: fields.optional_string("ref_token")?, data })
}

/// Memberships whose promoter or token has this part in it, newest first.
fn matching(app: &App, account: AccountId, part: Option<&str>) -> Vec<Arc<Membership>> {
    let directory = app.directory();
    let fits = |membership: &Membership| {
        let Some(part) = part else { return true };
        let partner = directory.partner_by_id(account, membership.partner);
        let texts = partner.map(|p| [Some(p.row.name.clone()), p.row.email.clone()]).into_iter().flatten().flatten();
        texts.chain([membership.row.ref_token.clone()]).any(|text| text.to_lowercase().contains(part))
    };
    let mut all: Vec<_> = directory.memberships(account).filter(|membership| fits(membership)).cloned().collect();
    all.reverse();
    all
}

async fn figures_of(app: &App, membership: &Membership) -> Result<Figures, RewardsError> {
    let figures = app.figures(membership.account, Some(membership.partner)).await?;
    Ok(figures.get(&(membership.partner, membership.program)).cloned().unwrap_or_default())
}

/// What revenue of its program is in.
pub fn unit_of(app: &App, membership: &Membership) -> Option<Unit> {
    let program = app.program_read(membership.account, membership.program).ok()?;
    Currency::parse(&program.settings.currency).map(Unit::Currency)
}

/// Where a member sends visitors: our redirect, which names it by its token.
pub fn ref_link(app: &App, membership: &Membership) -> String {
    let program = app.program_read(membership.account, membership.program).ok();
    let parameter = program.as_ref().and_then(|program| program.settings.campaign.get("ref_token_param")?.as_str());
    let name = parameter.unwrap_or(REF_TOKEN_PARAMETER).trim_start_matches('?');
    format!("{}/click?{name}={}", app.public_url(), membership.row.ref_token)
}

/// What a membership brought, as it is shown.
pub fn stats(figures: &Figures, unit: Option<Unit>) -> Value {
    json!({
        "clicks_count": figures.clicks, "referrals_count": figures.referrals, "sales_count": figures.sales,
        "customers_count": figures.customers, "active_customers_count": figures.active_customers,
        "revenue_amount": unit.map(|unit| amount::to_wire(figures.revenue, unit)),
    })
}

/// A membership as commissions and referrals name it.
pub fn named(app: &App, membership: &Membership) -> Value {
    let directory = app.directory();
    let partner = directory.partner_by_id(membership.account, membership.partner);
    let program = directory.program(membership.account, membership.program);
    json!({
        "id": membership.id.0, "campaign_id": membership.program.0, "promoter_id": membership.partner.0,
        "created_at": Instant(membership.row.created_at).iso8601(),
        "promoter": partner.map(|p| json!({"id": p.row.id, "email": p.row.email, "name": p.row.name})),
        "campaign": program.map(|program| campaigns::named(program)),
    })
}

/// A membership, whole.
pub fn to_wire(app: &App, membership: &Membership, figures: &Figures, codes: &[Value]) -> Value {
    let data = membership.data();
    let of = |name: &str| data.get(name).cloned().unwrap_or(Value::Null);
    let mut object = named(app, membership);
    object["state"] = membership.state.name().into();
    object["stats"] = stats(figures, unit_of(app, membership));
    for name in ["coupon", "display_coupon", "direct_url"] {
        object[name] = of(name);
    }
    object["ref_token"] = membership.row.ref_token.clone().into();
    object["ref_link"] = ref_link(app, membership).into();
    object["promo_codes"] = json!(codes);
    let program = app.program_read(membership.account, membership.program).ok();
    for (list, _) in LISTS {
        let rewards = program.as_ref().and_then(|program| program.settings.campaign.get(list).cloned());
        object[list] = rewards.unwrap_or_else(|| json!([]));
    }
    for flag in CUSTOMIZED {
        object[flag] = false.into();
    }
    object
}

pub(super) async fn shown(app: &App, membership: &Membership) -> Result<Value, RewardsError> {
    let figures = figures_of(app, membership).await?;
    let (codes, _) = app.promo_code_list(membership.account, Some(membership.id), 100, 0).await?;
    let codes: Vec<Value> = codes.iter().map(super::promo_codes::to_wire).collect();
    Ok(to_wire(app, membership, &figures, &codes))
}
