//! `/exchange-rates`: list, and `POST` `[{date, from, to, rate}]`.

use super::money_schema as schema;
use super::money_schema::{RateFilters, Saved};
use super::wire::{Answer, Caller, Created, Query, asked, json as json_body, refused, rows, text};
use crate::json::field::VALIDATION_FAILED;
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::exchange::{DayRate, ExchangeRateRow, RateFilter};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

/// Rates that one request may set.
const RATES_MAX: usize = 10_000;

/// List exchange rates
///
/// Newest day first.
#[utoipa::path(get, path = "/exchange-rates", operation_id = "exchange_rate_list", tag = "Exchange rates",
    params(RateFilters), responses((status = 200, description = "A page of rates", body = schema::RatePage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = Page::from_query(&query)?;
    let after = page.starting_after.as_deref().map(|id| place(id).ok_or_else(Page::bad_cursor)).transpose()?;
    let upper = |name: &str| asked(&query, name).map(|code| code.to_ascii_uppercase());
    let filter =
        RateFilter { from_currency: upper("from"), to_currency: upper("to"), day: asked(&query, "date"), after };
    let found = state.app.exchange_rate_list(caller.account, filter, rows(&page)).await.map_err(refused)?;
    Ok(Json(page.to_wire(found.iter().map(to_wire).collect())))
}

/// Day, from, to: what a rate is known by.
fn place(id: &str) -> Option<(String, String, String)> {
    let mut parts = id.split(':').map(str::to_owned);
    let place = (parts.next()?, parts.next()?, parts.next()?);
    let is_rate = place.0.len() == 10 && place.1.len() == 3 && place.2.len() == 3;
    (is_rate && parts.next().is_none()).then_some(place)
}

fn to_wire(row: &ExchangeRateRow) -> Value {
    json!({
        "id": format!("{}:{}:{}", row.day, row.from_currency, row.to_currency), "date": row.day,
        "from": row.from_currency, "to": row.to_currency, "rate": row.rate,
    })
}

/// Set exchange rates
///
/// All or none. A day that has a rate gets the new one.
#[utoipa::path(post, path = "/exchange-rates", operation_id = "exchange_rate_create", tag = "Exchange rates",
    request_body = Vec<schema::DayRate>,
    responses((status = 201, description = "How many were set", body = Saved)))]
pub async fn create(State(state): State<WebState>, caller: Caller, headers: HeaderMap, body: Body) -> Created {
    let Value::Array(items) = json_body(&headers, body).await? else {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_json", "The body must be a JSON array."));
    };
    if items.is_empty() || items.len() > RATES_MAX {
        let message = format!("Send an array of 1 to {RATES_MAX} rates.");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, VALIDATION_FAILED, message));
    }
    let rates = items.iter().enumerate().map(|(index, item)| from_wire(index, item)).collect::<Result<Vec<_>, _>>()?;
    let saved = rates.len();
    state.app.exchange_rates_put(caller.account, rates).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(json!({"saved": saved}))))
}

fn from_wire(index: usize, item: &Value) -> Result<DayRate, ApiError> {
    let wrong = |key: &str, rest: &str| ApiError::invalid(format!("[{index}].{key}"), format!("{key} must be {rest}."));
    let empty = Map::new();
    let fields = item.as_object().unwrap_or(&empty);
    let currency = |key: &str| {
        let code = text(fields, key)?.and_then(|code| Currency::parse(&code));
        code.ok_or_else(|| wrong(key, "an ISO 4217 currency code"))
    };
    let date = text(fields, "date")?.filter(|date| date.len() == 10);
    let date = date.filter(|date| Instant::parse(&format!("{date}T00:00:00Z")).is_some());
    let rate = fields.get("rate").map(|rate| rate.as_str().map_or_else(|| rate.to_string(), str::to_owned));
    let rate = rate.and_then(|text| Decimal::parse(&text).ok()).filter(|rate| rate.0 > 0);
    let (from, to) = (currency("from")?, currency("to")?);
    if from == to {
        return Err(wrong("to", "another currency than from: a currency is worth itself"));
    }
    Ok(DayRate {
        date: date.ok_or_else(|| wrong("date", "a date, as in 2026-01-31"))?,
        from,
        to,
        rate: rate.ok_or_else(|| wrong("rate", "a decimal above 0"))?,
    })
}
