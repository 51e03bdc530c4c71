//! How the partner wants to be paid.
//!
//! A partner is paid by one method, the same that the management API shows as its `payout`. Its number here is the
//! partner's; a second one is refused, so that none replaces the other unseen.

use crate::api::rewards::asked::{Address, Known, Query, number_in_path};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::page::Page;
use crate::api::rewards::problem::RewardsError;
use crate::asked::Path;
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::directory::Partner;
use headwater_app::partner::is_email;
use headwater_domain::payout::PayoutSettings;
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::{Map, Value, json};

/// Each method, and what its details must say.
const METHODS: [(&str, &[&str]); 6] = [
    ("paypal", &["paypal_email"]),
    ("bank", &["bank_country", "account_holder_name"]),
    ("wise", &["wise_email"]),
    ("crypto", &["wallet_address", "crypto_currency"]),
    ("custom", &[]),
    ("dots", &[]),
];
const DETAILS_BYTES_MAX: usize = 16 * 1024;

/// List the partner's payout methods
#[utoipa::path(get, path = "/api/v2/affiliate/payout_methods", operation_id = "affiliate_payout_method_list", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "`{data, meta}`: one, or none", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let page = Page::parse_of_short(&Query::parse(&address.query, &Known::NOTHING)?)?;
        let own = state.app.partner_payout(caller.account, partner.id).await?;
        let data: Vec<_> = to_wire(&partner, &own).into_iter().collect();
        let meta =
            json!({"selected_payout_methods": own.method.iter().collect::<Vec<_>>(), "payout_method_options": {}});
        let body = json!({"data": page.of_all(&data), "meta": meta});
        Ok(page.answer_body(&address, &body, i64::try_from(data.len()).unwrap_or(i64::MAX)))
    })
}

/// Set the partner's payout method
#[utoipa::path(post, path = "/api/v2/affiliate/payout_methods", operation_id = "affiliate_payout_method_create", tag = "Affiliate",
    security(("partner_token" = [])), request_body = Value, responses((status = 200, description = "The method", body = Value)))]
pub async fn create(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let mut own = state.app.partner_payout(caller.account, partner.id).await?;
        let fields = parse_object(&body)?;
        fields.required_string("method")?;
        let asked = from_wire(&fields, None)?;
        if own.method.is_some() {
            let message =
                "There is a payout method already, and one is all that is used: change it, or delete it first.";
            return Err(RewardsError::operation_failed(message));
        }
        (own.method, own.details) = asked;
        state.app.partner_payout_put(caller.account, partner.id, &own).await?;
        Ok(Json(to_wire(&partner, &own)).into_response())
    })
}

/// Read the partner's payout method
#[utoipa::path(get, path = "/api/v2/affiliate/payout_methods/{id}", operation_id = "affiliate_payout_method_read", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The method", body = Value)))]
pub async fn read(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_partner_token!(state, headers, |_caller, partner| {
        let own = own(&state, &partner, &id).await?;
        Ok(Json(to_wire(&partner, &own)).into_response())
    })
}

/// Change the partner's payout method
#[utoipa::path(put, path = "/api/v2/affiliate/payout_methods/{id}", operation_id = "affiliate_payout_method_update", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The method as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let mut own = own(&state, &partner, &id).await?;
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        (own.method, own.details) = from_wire(&parse_object(&body)?, own.method.as_deref())?;
        state.app.partner_payout_put(caller.account, partner.id, &own).await?;
        Ok(Json(to_wire(&partner, &own)).into_response())
    })
}

/// Delete the partner's payout method
///
/// Payouts that are made already keep it.
#[utoipa::path(delete, path = "/api/v2/affiliate/payout_methods/{id}", operation_id = "affiliate_payout_method_delete", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The method as it was", body = Value)))]
pub async fn delete(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let own = own(&state, &partner, &id).await?;
        let without = PayoutSettings { method: None, minimum: own.minimum, details: Map::new() };
        state.app.partner_payout_put(caller.account, partner.id, &without).await?;
        Ok(Json(to_wire(&partner, &own)).into_response())
    })
}

async fn own(state: &WebState, partner: &Partner, id: &str) -> Result<PayoutSettings, RewardsError> {
    let own = state.app.partner_payout(partner.account, partner.id).await?;
    let is_it = number_in_path(id, "payout_method")? == partner.id.0 && own.method.is_some();
    if is_it { Ok(own) } else { Err(RewardsError::not_found("payout_method")) }
}

/// Method and details; `known` is the method that stays where none is named.
fn from_wire(fields: &Fields<'_>, known: Option<&str>) -> Result<(Option<String>, Map<String, Value>), RewardsError> {
    let named = fields.optional_string("method")?;
    let name = named.as_deref().or(known).unwrap_or_default();
    let all = METHODS.map(|(method, _)| method).join(", ");
    let wrong = || RewardsError::invalid("method", format!("method must be one of {all}."));
    let (method, needed) = METHODS.into_iter().find(|(method, _)| *method == name).ok_or_else(wrong)?;
    for (name, only) in [("is_disabled", false), ("is_selected", true)] {
        if fields.optional_bool(name)?.is_some_and(|said| said != only) {
            let message = format!("{name} must be {only}: the one method is in use; delete it to be paid by none.");
            return Err(RewardsError::inexpressible(name, message));
        }
    }
    let raw = fields.raw("details").filter(|raw| raw.len() <= DETAILS_BYTES_MAX);
    let details: Option<Map<String, Value>> = raw.and_then(|raw| serde_json::from_str(raw).ok());
    let wrong = || RewardsError::invalid("details", "details is required, an object of texts.");
    let details = details.filter(|details| details.values().all(Value::is_string)).ok_or_else(wrong)?;
    let has = |key: &&&str| details.get(**key).and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
    if let Some(missing) = needed.iter().find(|key| !has(key)) {
        let field = format!("details.{missing}");
        return Err(RewardsError::invalid(field.clone(), format!("{field} is required.")));
    }
    let mistaken = |key: &&&str| key.ends_with("_email") && !details[**key].as_str().is_some_and(is_email);
    if let Some(mistaken) = needed.iter().find(mistaken) {
        let field = format!("details.{mistaken}");
        return Err(RewardsError::invalid(field.clone(), format!("{field} must be an email address.")));
    }
    Ok((Some(method.to_owned()), details))
}

fn to_wire(partner: &Partner, own: &PayoutSettings) -> Option<Value> {
    let method = own.method.as_ref()?;
    Some(json!({
        "id": partner.id.0, "method": method, "date_added": Instant(partner.row.created_at).iso8601(), "is_disabled": false,
        "meta": {}, "is_selected": true, "details": own.details, "managed_payouts": false,
    }))
}
