//! `/partners`: list, create, read, patch, suspend, restore, move.

use super::partner_schema;
use super::partner_schema::{NewPartner, PartnerChange, PartnerMove, PartnerPage};
use super::schema::{At, Paging};
use super::wire::{
    Answer, Caller, Created, Query, instant, object, only, partner_name, refuse_null, refused, text, zone_of,
};
use crate::asked::Path;
use crate::idempotency::{Attempted, given};
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::directory::Partner;
use headwater_app::partner::PartnerRequest;
use headwater_domain::ids::ProgramId;
use headwater_domain::money::Decimal;
use headwater_domain::payout::PayoutSettings;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// List partners
///
/// Newest first.
#[utoipa::path(get, path = "/partners", operation_id = "partner_list", tag = "Partners",
    params(Paging),
    responses((status = 200, description = "A page of partners", body = PartnerPage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = query.page()?;
    let mut all = state.app.directory().partners(caller.account);
    all.reverse();
    page.of_all(&all, |partner| partner.row.external_id.clone(), |partner| to_wire(&state, partner)).map(Json)
}

/// Create a partner
#[utoipa::path(post, path = "/partners", operation_id = "partner_create", tag = "Partners",
    request_body = NewPartner,
    responses((status = 201, description = "The partner", body = partner_schema::Partner)))]
pub async fn create(
    State(state): State<WebState>,
    caller: Caller,
    headers: HeaderMap,
    attempt: Attempted,
    body: Body,
) -> Created {
    let fields = object(&headers, body).await?;
    only(&fields, &["id", "name", "email", "program", "parent", "plan", "rates", "payout", "metadata"])?;
    let payout = payout(&fields)?;
    let (shown, paid) = (state.clone(), payout.clone().unwrap_or_default().to_json());
    let keep = state.app.keep(attempt.map(|extension| extension.0), move |partner| {
        let mut object = to_wire(&shown, partner);
        object["payout"] = paid.clone();
        given(StatusCode::CREATED, &object)
    });
    let partner = state.app.partner_create(caller.account, from_wire(&fields)?, keep).await.map_err(refused)?;
    let mut object = to_wire(&state, &partner);
    object["payout"] = payout_put(&state, &partner, payout).await?;
    Ok((StatusCode::CREATED, Json(object)))
}

/// Read a partner
///
/// With its balances.
#[utoipa::path(get, path = "/partners/{id}", operation_id = "partner_read", tag = "Partners",
    params(("id" = String, Path, description = "Your id of the partner, else its number", example = "ib_2044")),
    responses((status = 200, description = "The partner with its balances", body = partner_schema::Partner)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(name): Path<String>) -> Answer {
    let partner = state.app.partner_read(caller.account, &name).map_err(refused)?;
    let mut object = to_wire(&state, &partner);
    object["payout"] = payout_to_wire(&state, &partner).await?;
    object["balances"] = super::ledger::balances_of(&state, caller.account, partner.id).await?;
    Ok(Json(object))
}

/// Change a partner
///
/// What is left out stays as it is; `null` clears `email`, `program`, `plan` and `parent`.
#[utoipa::path(patch, path = "/partners/{id}", operation_id = "partner_patch", tag = "Partners",
    params(("id" = String, Path, description = "Your id of the partner, else its number", example = "ib_2044")),
    request_body = PartnerChange,
    responses((status = 200, description = "The partner as it is now", body = partner_schema::Partner)))]
pub async fn patch(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = object(&headers, body).await?;
    only(&fields, &["name", "email", "program", "parent", "plan", "rates", "payout", "metadata"])?;
    refuse_null(&fields, &["name", "rates", "metadata"])?;
    let payout = payout(&fields)?;
    let partner = state.app.partner_patch(caller.account, &name, from_wire(&fields)?).await.map_err(refused)?;
    let mut object = to_wire(&state, &partner);
    object["payout"] = payout_put(&state, &partner, payout).await?;
    Ok(Json(object))
}

/// Move a partner
///
/// Puts it under another partner, or under none, from `at` on.
#[utoipa::path(post, path = "/partners/{id}/move", operation_id = "partner_move", tag = "Partners",
    params(("id" = String, Path, description = "Your id of the partner, else its number", example = "ib_2044")),
    request_body = PartnerMove, responses((status = 200, description = "The partner as it is now", body = partner_schema::Partner)))]
pub async fn move_(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = object(&headers, body).await?;
    only(&fields, &["parent", "at"])?;
    if !fields.contains_key("parent") {
        return Err(ApiError::invalid("parent", "parent is required: send the id of a partner, or null for none."));
    }
    let at = instant(&fields, "at", &zone_of(&state, caller.account))?;
    let parent = text(&fields, "parent")?;
    let moved = state.app.partner_move(caller.account, &name, parent.as_deref(), at).await;
    Ok(Json(to_wire(&state, &*moved.map_err(refused)?)))
}

/// Suspend a partner
///
/// From `at` on it brings no new clients and earns nothing. An empty body is as good as `{}`.
#[utoipa::path(post, path = "/partners/{id}/suspend", operation_id = "partner_suspend", tag = "Partners",
    params(("id" = String, Path, description = "Your id of the partner, else its number", example = "ib_2044")),
    request_body(content = Option<At>, description = "May be empty"),
    responses((status = 200, description = "The partner as it is now", body = partner_schema::Partner)))]
pub async fn suspend(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    suspended(&state, &caller, &name, true, &headers, body).await
}

/// Restore a partner
///
/// Ends a suspension from `at` on. An empty body is as good as `{}`.
#[utoipa::path(post, path = "/partners/{id}/restore", operation_id = "partner_restore", tag = "Partners",
    params(("id" = String, Path, description = "Your id of the partner, else its number", example = "ib_2044")),
    request_body(content = Option<At>, description = "May be empty"),
    responses((status = 200, description = "The partner as it is now", body = partner_schema::Partner)))]
pub async fn restore(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    suspended(&state, &caller, &name, false, &headers, body).await
}

async fn suspended(
    state: &WebState,
    caller: &Caller,
    name: &str,
    suspended: bool,
    headers: &HeaderMap,
    body: Body,
) -> Answer {
    let bytes = crate::body::read(headers, body, crate::body::REFERRAL_BYTES_MAX).await?;
    let fields = if bytes.is_empty() { Map::new() } else { object(headers, Body::from(bytes)).await? };
    only(&fields, &["at"])?;
    let at = instant(&fields, "at", &zone_of(state, caller.account))?;
    let changed = state.app.partner_suspend(caller.account, name, suspended, at).await;
    Ok(Json(to_wire(state, &*changed.map_err(refused)?)))
}

fn from_wire(fields: &Map<String, Value>) -> Result<PartnerRequest, ApiError> {
    // `null` clears where absence keeps.
    let clearable = |key: &str| fields.contains_key(key).then(|| text(fields, key)).transpose();
    let number = |text: String| {
        text.parse().map(ProgramId).map_err(|_| ApiError::invalid("program", "program must be the id of a program."))
    };
    let metadata = match fields.get("metadata") {
        None | Some(Value::Null) => None,
        Some(value @ Value::Object(_)) => Some(value.to_string()),
        Some(_) => return Err(ApiError::invalid("metadata", "metadata must be an object.")),
    };
    Ok(PartnerRequest {
        id: text(fields, "id")?,
        name: text(fields, "name")?,
        email: clearable("email")?,
        program: clearable("program")?.map(|id| id.map(number).transpose()).transpose()?,
        parent: clearable("parent")?,
        plan: clearable("plan")?,
        rates: fields.get("rates").filter(|value| !value.is_null()).map(rates).transpose()?,
        metadata,
        ..PartnerRequest::default()
    })
}

/// How the partner is paid, if given; `null` clears it.
fn payout(fields: &Map<String, Value>) -> Result<Option<PayoutSettings>, ApiError> {
    match fields.get("payout") {
        None => Ok(None),
        Some(Value::Null) => Ok(Some(PayoutSettings::default())),
        Some(value) => PayoutSettings::from_json(value).map(Some).map_err(|error| {
            let message = format!("{} {}.", error.param, error.message);
            ApiError::invalid(error.param, message)
        }),
    }
}

async fn payout_put(state: &WebState, partner: &Partner, payout: Option<PayoutSettings>) -> Result<Value, ApiError> {
    if let Some(settings) = payout {
        state.app.partner_payout_put(partner.account, partner.id, &settings).await.map_err(refused)?;
    }
    payout_to_wire(state, partner).await
}

async fn payout_to_wire(state: &WebState, partner: &Partner) -> Result<Value, ApiError> {
    Ok(state.app.partner_payout(partner.account, partner.id).await.map_err(refused)?.to_json())
}

/// A rate is a JSON number or a decimal string.
fn rates(value: &Value) -> Result<BTreeMap<String, Decimal>, ApiError> {
    let wrong = || ApiError::invalid("rates", "rates must be an object of rules and their rates.");
    let rate = |value: &Value| Decimal::parse(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let entries = value.as_object().ok_or_else(wrong)?.iter();
    entries.map(|(rule, value)| Ok((rule.clone(), rate(value).map_err(|_| wrong())?))).collect()
}

fn to_wire(state: &WebState, partner: &Partner) -> Value {
    let now = state.app.clock.now();
    let row = &partner.row;
    let rates: Map<String, Value> =
        partner.rates.iter().map(|(k, rate)| (k.clone(), rate.to_string().into())).collect();
    json!({
        "id": row.external_id,
        "number": row.id,
        "name": row.name,
        "email": row.email,
        "program": row.program_id.map(|id| id.to_string()),
        "parent": partner.parent_at(now).map(|id| partner_name(state, partner.account, id.0)),
        "plan": row.plan,
        "rates": rates,
        "status": if partner.is_suspended_at(now) { "suspended" } else { "active" },
        "metadata": serde_json::from_str::<Value>(&row.metadata).unwrap_or_default(),
        "created": Instant(row.created_at).iso8601(),
    })
}
