//! Referrals: list, create, read, change, forget, and what is done about several. A referral is a customer.
//!
//! Leaves tracking to `track`, and to the engine what is made of a split: who gets how much of the direct commission.

use super::asked::{Address, Known, Query, number_in_path, one_of};
use super::batches;
use super::caller::with_rewards_key;
use super::commissions::{between_commas, numbers};
use super::ids::ids;
use super::memberships;
use super::page::{PER_PAGE, Page};
use super::problem::RewardsError;
use super::promoter_body::refuse_cleared;
use super::track::{named, referral_named};
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::app::App;
use headwater_app::batch::BatchAction;
use headwater_app::membership::Membership;
use headwater_app::referral::{Named, NewReferral, Referral, ReferralChange, ReferralFilter};
use headwater_domain::ids::{AccountId, CustomerId, MembershipId};
use headwater_domain::money::{Decimal, MICROS};
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::sync::Arc;

const FILTERS: [&str; 7] =
    ["type", "promoter_id", "campaign_id[]", "state", "customer_since..", "created_at..", "cancelled_at.."];
pub(super) const STATES: [&str; 8] =
    ["subscribed", "signup", "active", "cancelled", "refunded", "denied", "pending", "moved"];
const FRAUD_CHECKS: [&str; 4] = ["no_suspicion", "same_ip_suspicion", "same_promoter_email", "ad_source"];
/// Each gets a part of every commission.
const SPLIT_PARTNERS_MAX: usize = 100;
const TEXTS: [&str; 4] = ["first_name", "last_name", "website", "comment"];

/// List referrals
///
/// Each once, as whoever has it now. `filters[state]=moved` lists instead whom promoters lost to another one, each of them with
/// the membership that it was moved from.
#[utoipa::path(get, path = "/api/v2/company/referrals", operation_id = "rewards_referral_list", tag = "Rewards",
    security(("rewards_key" = [])), responses((status = 200, description = "A page of referrals, newest first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &Known { filters: &FILTERS, has_ids: true, ..Known::NOTHING })?;
        let page = Page::parse(&query, PER_PAGE)?;
        let kind = one_of("filters[type]", query.filter("type"), &["lead", "customer"])?;
        let (created, since, cancelled) = (
            query.filter_period("created_at")?,
            query.filter_period("customer_since")?,
            query.filter_period("cancelled_at")?,
        );
        let number = |at: Option<Instant>| at.map(|at| at.0);
        let filter = ReferralFilter {
            account_id: caller.account.0,
            program_ids: numbers(&query, "campaign_id")?,
            partner_id: query.filter_numbers("promoter_id")?.first().copied(),
            ids: query.ids()?.map(|ids| between_commas(&ids)),
            part: query.search(),
            is_customer: kind.map(|kind| kind == "customer"),
            state: one_of("filters[state]", query.filter("state"), &STATES)?.map(str::to_owned),
            created_from: number(created.0),
            created_to: number(created.1),
            since_from: number(since.0),
            since_to: number(since.1),
            cancelled_from: number(cancelled.0),
            cancelled_to: number(cancelled.1),
            order: None,
        };
        let (rows, total) = state.app.referral_list(filter, page.per_page, page.offset()).await?;
        Ok(page.answer(&address, rows.iter().map(|row| to_wire(&state.app, row)).collect(), total))
    })
}

/// Create a referral
#[utoipa::path(post, path = "/api/v2/company/referrals", operation_id = "rewards_referral_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The referral", body = Value)))]
pub async fn create(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let split = split(&fields)?.unwrap_or_default();
        let id = MembershipId(fields.required_integer("promoter_campaign_id")?);
        let unknown = |_| RewardsError::invalid("promoter_campaign_id", "promoter_campaign_id names no membership.");
        let membership = state.app.membership_read(caller.account, id).map_err(unknown)?;
        let username = fields.optional_line("username", 500)?;
        let named = named(&fields)?;
        let made = NewReferral { name: username, entry_source: "api", split };
        let referral = state.app.referral_create(caller.account, &membership, &named, made).await?;
        Ok(Json(to_wire(&state.app, &referral)).into_response())
    })
}

/// Read a referral
///
/// `find_by` email, uid or username makes the id that value.
#[utoipa::path(get, path = "/api/v2/company/referrals/{id}", operation_id = "rewards_referral_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number, or what `find_by` says")),
    responses((status = 200, description = "The referral", body = Value)))]
pub async fn read(
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    address: Address,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let referral = find(&state.app, caller.account, &address, None, &id).await?;
        Ok(Json(to_wire(&state.app, &referral)).into_response())
    })
}

/// Change a referral
#[utoipa::path(put, path = "/api/v2/company/referrals/{id}", operation_id = "rewards_referral_update", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "Its number, or what `find_by` says")),
    request_body = Value, responses((status = 200, description = "The referral as it is now", body = Value)))]
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
        let by = fields.optional_string("find_by")?;
        let before = find(&state.app, caller.account, &address, by.as_deref(), &id).await?;
        fields.refuse_null(&["fraud_check"])?;
        let split = split(&fields)?;
        let said = named_again(&fields, &before)?;
        refuse_cleared(&fields, "username", before.row.name.is_some())?;
        let mut attributes = Map::new();
        let check = fields.optional_string("fraud_check")?;
        if let Some(check) =
            one_of("fraud_check", check.as_deref(), &FRAUD_CHECKS).map_err(|error| error.about("fraud_check"))?
        {
            attributes.insert("fraud_check".into(), check.into());
        }
        for name in TEXTS {
            if fields.is_null(name) {
                attributes.insert(name.into(), Value::Null);
                continue;
            }
            // The comment is a note.
            let text =
                if name == "comment" { fields.optional_lines(name, 2000) } else { fields.optional_line(name, 2000) };
            if let Some(text) = text? {
                attributes.insert(name.into(), text.into());
            }
        }
        if let Some(metadata) = fields.raw("metadata").and_then(|text| serde_json::from_str::<Value>(text).ok()) {
            if !metadata.is_object() && !metadata.is_null() {
                return Err(RewardsError::invalid("metadata", "metadata must be an object."));
            }
            attributes.insert("metadata".into(), metadata);
        }
        let name = fields.optional_line("username", 500)?;
        let mut id = before.id();
        if let Some(to) = new_member(&state.app, caller.account, &fields, &before)? {
            // Before the rest: whoever is to share with the new promoter shares with it.
            id = state.app.referral_move(caller.account, id, &to, false, state.app.clock.now()).await?.id();
        }
        let change = ReferralChange { email: said.email, uid: said.uid, name, attributes, split };
        let referral = state.app.referral_patch(caller.account, id, change).await?;
        Ok(Json(to_wire(&state.app, &referral)).into_response())
    })
}

/// The membership that a change gives the referral to, where it is another one; what it earned before stays where it is.
fn new_member(
    app: &App,
    account: AccountId,
    fields: &Fields<'_>,
    before: &Referral,
) -> Result<Option<Arc<Membership>>, RewardsError> {
    const MEMBER: &str = "promoter_campaign_id";
    refuse_cleared(fields, MEMBER, before.membership.is_some())?;
    let Some(id) = fields.optional_integer(MEMBER)?.map(MembershipId) else { return Ok(None) };
    if before.membership.as_ref().is_some_and(|member| member.id == id) {
        return Ok(None);
    }
    let unknown = |_| RewardsError::invalid(MEMBER, format!("{MEMBER} names no membership."));
    app.membership_read(account, id).map(Some).map_err(unknown)
}

/// By what a change names a referral; it keeps what it is named by.
pub(super) fn named_again(fields: &Fields<'_>, before: &Referral) -> Result<Named, RewardsError> {
    let said = named(fields)?;
    let each = [("email", before.row.email.is_some(), &said.email), ("uid", before.uid().is_some(), &said.uid)];
    for (name, is_there, text) in each {
        refuse_cleared(fields, name, is_there)?;
        if is_there && fields.raw(name).is_some() && text.is_none() {
            return Err(RewardsError::invalid(name, format!("{name} can not be blank.")));
        }
    }
    Ok(said)
}

/// Delete referrals
///
/// Who they are is forgotten; their facts and what was paid for them stay.
#[utoipa::path(delete, path = "/api/v2/company/referrals", operation_id = "rewards_referral_delete", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn delete(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    batches::act(state, headers, body, BatchAction::ReferralDelete).await
}

/// Approve referrals
///
/// Those that wait, and with each the commissions that waited for its sake alone.
#[utoipa::path(post, path = "/api/v2/company/referrals/approve", operation_id = "rewards_referral_approve", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn approve(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    batches::act(state, headers, body, BatchAction::ReferralApprove).await
}

/// Enable referrals
#[utoipa::path(post, path = "/api/v2/company/referrals/enable", operation_id = "rewards_referral_enable", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn enable(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    batches::act(state, headers, body, BatchAction::ReferralEnable).await
}

/// Disable referrals
///
/// Their sales are not tracked any more, and what waits for their approval goes on waiting.
#[utoipa::path(post, path = "/api/v2/company/referrals/disable", operation_id = "rewards_referral_disable", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn disable(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    batches::act(state, headers, body, BatchAction::ReferralDisable).await
}

/// Move referrals to another promoter
///
/// Of the same campaign, with `move_associated_commissions` also what they earned before; or of another campaign, from now on.
#[utoipa::path(post, path = "/api/v2/company/referrals/move_to_promoter", operation_id = "rewards_referral_move", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value, responses((status = 200, description = "The batch", body = Value)))]
pub async fn move_to_promoter(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let to = MembershipId(fields.required_integer("promoter_campaign_id")?);
        let to = state.app.membership_read(caller.account, to)?;
        let with_commissions = fields.optional_bool("move_associated_commissions")?.unwrap_or(false);
        let parameters = json!({"promoter_campaign_id": to.id.0, "move_associated_commissions": with_commissions});
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        let story =
            batches::start(&state, &caller, BatchAction::ReferralMoveToPromoter, ids(&fields)?, parameters).await?;
        Ok(batches::answer(&story, batches::to_wire(&story)))
    })
}

/// Who shares the referral's commissions: memberships and whole percents; `None` where nothing is said of it. An empty list
/// and `null` are nobody.
fn split(fields: &Fields<'_>) -> Result<Option<Vec<(MembershipId, Decimal)>>, RewardsError> {
    let Some(text) = fields.raw("split_details") else { return Ok(None) };
    let refused = |message: &str| RewardsError::invalid("split_details", message);
    let list = match serde_json::from_str::<Value>(text) {
        Ok(Value::Null) => return Ok(Some(Vec::new())),
        Ok(Value::Array(list)) => list,
        _ => return Err(refused("split_details must be a list; [] ends the split.")),
    };
    if list.len() > SPLIT_PARTNERS_MAX {
        return Err(refused("split_details may name 100 promoters at most."));
    }
    let part = |(index, part): (usize, &Value)| {
        let wrong = |name: &str, rest: &str| refused(&format!("split_details[{index}].{name} must be {rest}."));
        let id = part.get("promoter_campaign_id").and_then(Value::as_i64);
        let id = id.ok_or_else(|| wrong("promoter_campaign_id", "a whole number"))?;
        let percent = part.get("percentage").and_then(Value::as_i64).filter(|percent| (0..=100).contains(percent));
        let percent = percent.ok_or_else(|| wrong("percentage", "a whole number from 0 to 100"))?;
        Ok((MembershipId(id), Decimal(percent * MICROS)))
    };
    list.iter().enumerate().map(part).collect::<Result<Vec<_>, _>>().map(Some)
}

/// The referral of a path; a change may say in its body by what it is named, as is published, or like the others in its query.
async fn find(
    app: &App,
    account: AccountId,
    address: &Address,
    in_body: Option<&str>,
    id: &str,
) -> Result<Referral, RewardsError> {
    let query = Query::parse(&address.query, &Known::NOTHING)?;
    let by = one_of("find_by", query.text("find_by").or(in_body), &["id", "email", "uid", "username"])?;
    let named = match by {
        Some("email") => Named::new(Some(id), None),
        Some("uid") => Named::new(None, Some(id)),
        Some("username") => {
            let filter =
                ReferralFilter { account_id: account.0, part: Some(id.to_lowercase()), ..ReferralFilter::default() };
            let (found, _) = app.referral_list(filter, 100, 0).await?;
            let found = found.into_iter().find(|referral| referral.row.name.as_deref() == Some(id));
            return found.ok_or_else(|| RewardsError::not_found("referral"));
        }
        _ => return Ok(app.referral_read(account, CustomerId(number_in_path(id, "referral")?)).await?),
    };
    app.referral_named(account, None, &named).await?.ok_or_else(|| RewardsError::not_found("referral"))
}

pub(super) fn to_wire(app: &App, referral: &Referral) -> Value {
    let attributes = referral.attributes();
    let of = |name: &str| attributes.get(name).cloned().unwrap_or(Value::Null);
    let mut object = referral_named(referral);
    let row = &referral.row;
    object["state"] = row.state.clone().into();
    object["metadata"] = attributes.get("metadata").cloned().unwrap_or_else(|| json!({}));
    object["entry_source"] = attributes.get("entry_source").cloned().unwrap_or_else(|| "api".into());
    object["created_at"] = Instant(row.created_at).iso8601().into();
    object["customer_since"] = json!(row.customer_since.map(|at| Instant(at).iso8601()));
    object["cancelled_at"] = json!(row.cancelled_at.map(|at| Instant(at).iso8601()));
    object["promoter_campaign"] = json!(referral.membership.as_ref().map(|member| memberships::named(app, member)));
    object["fraud_check"] = attributes.get("fraud_check").cloned().unwrap_or_else(|| "no_suspicion".into());
    object["username"] = json!(row.name);
    object["split_details"] = referral.split_details(app);
    object["created_by_user_email"] = Value::Null;
    object["is_expired"] = false.into();
    for name in TEXTS {
        object[name] = of(name);
    }
    object
}
