//! The partner's referrals.
//!
//! It may add some by hand, and change or take back those that it added and that never bought; whoever came by a link or
//! bought something is the company's customer, and only the company changes or forgets it.

use super::own_membership;
use crate::api::rewards::asked::{Address, Direction, Known, Query, number_in_path, one_of};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::commissions::numbers;
use crate::api::rewards::page::{PER_PAGE, Page};
use crate::api::rewards::problem::RewardsError;
use crate::api::rewards::referrals::{named_again, to_wire as whole};
use crate::api::rewards::track::named;
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::json::field::parse_object;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::app::App;
use headwater_app::directory::Partner;
use headwater_app::referral::{NewReferral, Referral, ReferralChange, ReferralFilter, ReferralOrder};
use headwater_domain::ids::CustomerId;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

const FILTERS: [&str; 5] = ["type", "state", "created_at..", "customer_since..", "campaign_id[]"];
const SORTINGS: [&str; 2] = ["state", "email"];
/// Without `moved`: what became somebody else's is not shown to a partner.
const STATES: [&str; 7] = ["subscribed", "signup", "active", "cancelled", "refunded", "denied", "pending"];
const SHOWN: [&str; 9] =
    ["id", "uid", "email", "state", "metadata", "created_at", "customer_since", "entry_source", "promoter_campaign"];
/// Who added a referral that a partner added.
const BY_HAND: &str = "manual_affiliate";

/// List the partner's referrals
#[utoipa::path(get, path = "/api/v2/affiliate/referrals", operation_id = "affiliate_referral_list", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "A page of referrals, newest first, or by `sorting[state]` or `sorting[email]`", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let query = Query::parse(&address.query, &Known { filters: &FILTERS, sortings: &SORTINGS, ..Known::NOTHING })?;
        let page = Page::parse(&query, PER_PAGE)?;
        let kind = one_of("filters[type]", query.filter("type"), &["lead", "customer"])?;
        let (created, since) = (query.filter_period("created_at")?, query.filter_period("customer_since")?);
        let number = |at: Option<Instant>| at.map(|at| at.0);
        let filter = ReferralFilter {
            account_id: caller.account.0,
            program_ids: numbers(&query, "campaign_id")?,
            partner_id: Some(partner.id.0),
            part: query.search(),
            is_customer: kind.map(|kind| kind == "customer"),
            state: one_of("filters[state]", query.filter("state"), &STATES)?.map(str::to_owned),
            created_from: number(created.0),
            created_to: number(created.1),
            since_from: number(since.0),
            since_to: number(since.1),
            order: query.sorting()?.map(|(name, direction)| {
                let order = if name == "state" { ReferralOrder::State } else { ReferralOrder::Email };
                (order, direction == Direction::Descending)
            }),
            ..ReferralFilter::default()
        };
        let (rows, total) = state.app.referral_list(filter, page.per_page, page.offset()).await?;
        Ok(page.answer(&address, rows.iter().map(|row| to_wire(&state.app, row)).collect(), total))
    })
}

/// Add a referral
#[utoipa::path(post, path = "/api/v2/affiliate/referrals", operation_id = "affiliate_referral_create", tag = "Affiliate",
    security(("partner_token" = [])), request_body = Value, responses((status = 200, description = "The referral", body = Value)))]
pub async fn create(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        fields.required_string("email")?;
        let member = own_membership(&state.app, &partner, fields.required_integer("promoter_campaign_id")?)?;
        let named = named(&fields)?;
        let made = NewReferral { entry_source: BY_HAND, ..NewReferral::default() };
        let made = state.app.referral_create(caller.account, &member, &named, made).await?;
        Ok(Json(to_wire(&state.app, &made)).into_response())
    })
}

/// Change a referral that the partner added
#[utoipa::path(put, path = "/api/v2/affiliate/referrals/{id}", operation_id = "affiliate_referral_update", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The referral as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let before = added(&state.app, &partner, &id).await?;
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let said = named_again(&parse_object(&body)?, &before)?;
        let change = ReferralChange { email: said.email, uid: said.uid, ..ReferralChange::default() };
        let referral = state.app.referral_patch(caller.account, before.id(), change).await?;
        Ok(Json(to_wire(&state.app, &referral)).into_response())
    })
}

/// Take back a referral that the partner added
#[utoipa::path(delete, path = "/api/v2/affiliate/referrals/{id}", operation_id = "affiliate_referral_delete", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 204, description = "It is forgotten")))]
pub async fn delete(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let referral = added(&state.app, &partner, &id).await?;
        state.app.customer_erase(caller.account, referral.id()).await?;
        Ok(StatusCode::NO_CONTENT.into_response())
    })
}

/// A referral of the partner's that it may change.
async fn added(app: &App, partner: &Partner, id: &str) -> Result<Referral, RewardsError> {
    let found = app.referral_read(partner.account, CustomerId(number_in_path(id, "referral")?)).await?;
    if found.row.partner_id != Some(partner.id.0) {
        return Err(RewardsError::not_found("referral"));
    }
    let is_added = found.attributes().get("entry_source").and_then(Value::as_str) == Some(BY_HAND);
    if is_added && found.row.customer_since.is_none() {
        return Ok(found);
    }
    let message = "Only a referral that you added, and that never bought, can be changed.";
    Err(RewardsError::new(StatusCode::FORBIDDEN, "forbidden", message))
}

fn to_wire(app: &App, referral: &Referral) -> Value {
    let mut all = whole(app, referral);
    let mut shown = Map::new();
    for name in SHOWN {
        shown.insert(name.to_owned(), all[name].take());
    }
    Value::Object(shown)
}
