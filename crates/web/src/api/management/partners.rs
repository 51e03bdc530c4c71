//! `/partners`: list, create, read, patch, suspend, restore, move.

use super::wire::{Answer, Caller, Created, instant, object, only, partner_name, refused, text};
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use headwater_app::directory::Partner;
use headwater_app::partner::PartnerRequest;
use headwater_domain::ids::ProgramId;
use headwater_domain::money::Decimal;
use headwater_domain::payout::PayoutSettings;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// `GET /partners`, newest first.
pub async fn list(State(state): State<WebState>, caller: Caller, query: super::wire::Query) -> Answer {
    let page = Page::from_query(&query)?;
    let mut all = state.app.directory().partners(caller.account);
    all.reverse();
    let from = match &page.starting_after {
        None => 0,
        Some(id) => 1 + all.iter().position(|p| p.row.external_id == *id).ok_or_else(Page::bad_cursor)?,
    };
    let shown = all.iter().skip(from).take(page.limit + 1);
    Ok(Json(page.to_wire(shown.map(|partner| to_wire(&state, partner)).collect())))
}

/// `POST /partners`.
pub async fn create(State(state): State<WebState>, caller: Caller, headers: HeaderMap, body: Body) -> Created {
    let fields = object(&headers, body).await?;
    only(&fields, &["id", "name", "email", "program", "parent", "plan", "rates", "payout", "metadata"])?;
    let payout = payout(&fields)?;
    let partner = state.app.partner_create(caller.account, from_wire(&fields)?).await.map_err(refused)?;
    let mut object = to_wire(&state, &partner);
    object["payout"] = payout_put(&state, &partner, payout).await?;
    Ok((StatusCode::CREATED, Json(object)))
}

/// `GET /partners/{id}`, with balances.
pub async fn read(State(state): State<WebState>, caller: Caller, Path(name): Path<String>) -> Answer {
    let partner = state.app.partner_read(caller.account, &name).map_err(refused)?;
    let mut object = to_wire(&state, &partner);
    object["payout"] = payout_to_wire(&state, &partner).await?;
    object["balances"] = super::ledger::balances_of(&state, caller.account, partner.id).await?;
    Ok(Json(object))
}

/// `PATCH /partners/{id}`.
pub async fn patch(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = object(&headers, body).await?;
    only(&fields, &["name", "email", "program", "plan", "rates", "payout", "metadata"])?;
    let payout = payout(&fields)?;
    let partner = state.app.partner_patch(caller.account, &name, from_wire(&fields)?).await.map_err(refused)?;
    let mut object = to_wire(&state, &partner);
    object["payout"] = payout_put(&state, &partner, payout).await?;
    Ok(Json(object))
}

/// `POST /partners/{id}/{change}`: `move`, `suspend`, `restore`. An empty body is as good as `{}`.
pub async fn change(
    State(state): State<WebState>,
    caller: Caller,
    Path((name, change)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let empty = headers.get("content-length").is_none_or(|length| length == "0");
    let fields = if empty { Map::new() } else { object(&headers, body).await? };
    let at = instant(&fields, "at")?;
    let (app, account) = (&state.app, caller.account);
    let partner = match change.as_str() {
        "move" => app.partner_move(account, &name, text(&fields, "parent")?.as_deref(), at).await,
        "suspend" => app.partner_suspend(account, &name, true, at).await,
        "restore" => app.partner_suspend(account, &name, false, at).await,
        _ => return Err(crate::problem::unknown_route().await),
    };
    Ok(Json(to_wire(&state, &*partner.map_err(refused)?)))
}

fn from_wire(fields: &Map<String, Value>) -> Result<PartnerRequest, ApiError> {
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
        email: text(fields, "email")?,
        program: text(fields, "program")?.map(number).transpose()?,
        parent: text(fields, "parent")?,
        plan: text(fields, "plan")?,
        rates: fields.get("rates").filter(|value| !value.is_null()).map(rates).transpose()?,
        metadata,
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
