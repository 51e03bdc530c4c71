//! `POST /exchange-rates` `[{date, from, to, rate}]`.

use super::money_schema as schema;
use super::money_schema::Saved;
use super::wire::{Caller, Created, json as json_body, refused, text};
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::exchange::DayRate;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

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
    Ok(DayRate {
        date: date.ok_or_else(|| wrong("date", "a date, as in 2026-01-31"))?,
        from: currency("from")?,
        to: currency("to")?,
        rate: rate.ok_or_else(|| wrong("rate", "a decimal above 0"))?,
    })
}
