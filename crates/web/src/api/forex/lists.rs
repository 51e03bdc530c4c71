//! The four lists: what was pushed, as it stands now, with its published fields first and then whatever else was sent.

use super::caller::{Client, ForexError, client};
use super::page::{Asked, Shown};
use super::tables::{CUSTOMERS, TRADES, TRADING_ACTIVITY, TRANSACTIONS};
use crate::json::table::{Column, Kind};
use crate::state::WebState;
use axum::extract::{Query, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::ingest::Source;
use headwater_app::listing::{CustomerFilter, FactFilter, ListedCustomer, ListedFact};
use headwater_app::oauth::Scope;
use headwater_domain::ids::PartnerId;
use headwater_domain::time::{Instant, Stated, Zone};
use http::HeaderMap;
use serde_json::{Map, Value, json};

const DAY_SECONDS: i64 = 86_400;
const KINDS: &str = ",deposit,withdrawal,bonus,adjustment,chargeback,ib_rebate,";

type Pairs = Query<Vec<(String, String)>>;

/// List customers
///
/// Oldest first, each record as it stands now.
#[utoipa::path(get, path = "/api/v1/forex/customers", operation_id = "forex_customer_list", tag = "Forex",
    security(("access_token" = [])),
    params(("page" = Option<String>, Query, description = "From 1"), ("per_page" = Option<String>, Query, description = "At most 500; 50"), ("cursor" = Option<String>, Query, description = "The last next_cursor; wins over page"), ("affiliate_id" = Option<String>, Query, description = "Of this partner"), ("country_code" = Option<String>, Query, description = "ISO 3166-1 alpha-2"), ("kyc_status_id" = Option<String>, Query, description = "With this status"), ("modified_since" = Option<String>, Query, description = "ISO 8601")),
    responses((status = 200, description = "A page and where it stands", body = Value)))]
pub async fn customers(State(state): State<WebState>, query: Pairs, headers: HeaderMap) -> Response {
    let caller = match client(&state, &headers, Scope::Read).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let outcome = customer_page(&state, &caller, query.0).await;
    caller.answer(outcome)
}

async fn customer_page(
    state: &WebState,
    caller: &Client,
    pairs: Vec<(String, String)>,
) -> Result<Response, ForexError> {
    let asked = Asked::parse(pairs, &["affiliate_id", "country_code", "kyc_status_id", "modified_since"])?;
    let program = &caller.program;
    let partner = asked.text("affiliate_id").map(|name| {
        let found = state.app.directory().partner(program.account, name).map(|partner| partner.id.0);
        // A partner that does not exist has no customers.
        found.unwrap_or(0)
    });
    let filter = CustomerFilter {
        account_id: program.account.0,
        program_id: program.id.0,
        partner_id: partner,
        country: asked.text("country_code").map(str::to_ascii_uppercase),
        attribute: asked.text("kyc_status_id").map(|status| pair("kyc_status_id", status)),
        revised_since: moment(&asked, "modified_since", caller)?.map(|(at, _)| at.0),
    };
    let (rows, total) = state.app.customers_listed(filter, asked.part()).await?;
    let directory = state.app.directory();
    let name = |id: i64| directory.partner_by_id(program.account, PartnerId(id)).map(|p| p.row.external_id.clone());
    let shown = rows.iter().map(|row| (row.id, customer(row, row.partner_id.and_then(&name).as_deref()))).collect();
    Ok(asked.answer(shown, total))
}

/// List transactions
///
/// Oldest first, each record as it stands now.
#[utoipa::path(get, path = "/api/v1/forex/transactions", operation_id = "forex_transaction_list", tag = "Forex",
    security(("access_token" = [])),
    params(("page" = Option<String>, Query, description = "From 1"), ("per_page" = Option<String>, Query, description = "At most 500; 50"), ("cursor" = Option<String>, Query, description = "The last next_cursor; wins over page"), ("customer_id" = Option<String>, Query, description = "Of this customer"), ("transaction_type" = Option<String>, Query, description = "Of this type"), ("status" = Option<String>, Query, description = "With this status"), ("date_from" = Option<String>, Query, description = "ISO 8601"), ("date_to" = Option<String>, Query, description = "ISO 8601; of a day all of it")),
    responses((status = 200, description = "A page and where it stands", body = Value)))]
pub async fn transactions(State(state): State<WebState>, query: Pairs, headers: HeaderMap) -> Response {
    let filters = ["customer_id", "transaction_type", "status", "date_from", "date_to"];
    facts(state, query, headers, TRANSACTIONS, &filters).await
}

/// List daily trading
///
/// Oldest first, each record as it stands now.
#[utoipa::path(get, path = "/api/v1/forex/trading-activity", operation_id = "forex_trading_list", tag = "Forex",
    security(("access_token" = [])),
    params(("page" = Option<String>, Query, description = "From 1"), ("per_page" = Option<String>, Query, description = "At most 500; 50"), ("cursor" = Option<String>, Query, description = "The last next_cursor; wins over page"), ("customer_id" = Option<String>, Query, description = "Of this customer"), ("instrument" = Option<String>, Query, description = "In this instrument"), ("date_from" = Option<String>, Query, description = "ISO 8601"), ("date_to" = Option<String>, Query, description = "ISO 8601; of a day all of it")),
    responses((status = 200, description = "A page and where it stands", body = Value)))]
pub async fn trading_activity(State(state): State<WebState>, query: Pairs, headers: HeaderMap) -> Response {
    facts(state, query, headers, TRADING_ACTIVITY, &["date_from", "date_to", "instrument", "customer_id"]).await
}

/// List single trades
///
/// Oldest first, each record as it stands now.
#[utoipa::path(get, path = "/api/v1/forex/trades", operation_id = "forex_trade_list", tag = "Forex",
    security(("access_token" = [])),
    params(("page" = Option<String>, Query, description = "From 1"), ("per_page" = Option<String>, Query, description = "At most 500; 50"), ("cursor" = Option<String>, Query, description = "The last next_cursor; wins over page"), ("customer_id" = Option<String>, Query, description = "Of this customer"), ("instrument" = Option<String>, Query, description = "In this instrument"), ("date_from" = Option<String>, Query, description = "ISO 8601"), ("date_to" = Option<String>, Query, description = "ISO 8601; of a day all of it")),
    responses((status = 200, description = "A page and where it stands", body = Value)))]
pub async fn trades(State(state): State<WebState>, query: Pairs, headers: HeaderMap) -> Response {
    facts(state, query, headers, TRADES, &["date_from", "date_to", "instrument", "customer_id"]).await
}

async fn facts(
    state: WebState,
    query: Pairs,
    headers: HeaderMap,
    columns: &'static [Column],
    filters: &[&str],
) -> Response {
    let caller = match client(&state, &headers, Scope::Read).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let outcome = fact_page(&state, &caller, query.0, columns, filters).await;
    caller.answer(outcome)
}

async fn fact_page(
    state: &WebState,
    caller: &Client,
    pairs: Vec<(String, String)>,
    columns: &'static [Column],
    filters: &[&str],
) -> Result<Response, ForexError> {
    let asked = Asked::parse(pairs, filters)?;
    let kinds = match (columns.first().map(|column| column.name), asked.text("transaction_type")) {
        (Some("transaction_id"), kind) if kind.is_none_or(|kind| KINDS.contains(&format!(",{kind},"))) => {
            KINDS.to_owned()
        }
        (Some("transaction_id"), _) => {
            let message = "transaction_type must be one of the published types.";
            return Err(ForexError::bad_parameter("transaction_type", "enum", message));
        }
        (Some("trade_id"), _) => ",trade,".to_owned(),
        _ => ",trading_day,".to_owned(),
    };
    let of_body = ["status", "instrument"].into_iter().find_map(|name| Some(pair(name, asked.text(name)?)));
    let filter = FactFilter {
        account_id: caller.program.account.0,
        program_id: caller.program.id.0,
        source: Source::Forex.name().to_owned(),
        kinds,
        kind: asked.text("transaction_type").map(str::to_owned),
        customer: asked.text("customer_id").map(str::to_owned),
        from_at: moment(&asked, "date_from", caller)?.map(|(at, _)| at.0),
        to_at: moment(&asked, "date_to", caller)?.map(|(_, end)| end.0),
        pair: of_body,
    };
    let (rows, total) = state.app.facts_listed(filter, asked.part()).await?;
    let shown = rows.iter().map(|row| (row.id, fact(row, columns))).collect();
    Ok(asked.answer(shown, total))
}

/// A pair as the store's JSON has it.
fn pair(name: &str, value: &str) -> String {
    format!("{}:{}", Value::from(name), Value::from(value))
}

/// The beginning and the end of what a parameter names: of a day all of it.
fn moment(asked: &Asked, name: &str, caller: &Client) -> Result<Option<(Instant, Instant)>, ForexError> {
    let Some(text) = asked.text(name) else { return Ok(None) };
    let zone = Zone::parse(&caller.program.settings.time_zone).unwrap_or(Zone::UTC);
    match zone.read(text) {
        Some(Stated::Day(day)) => {
            // Noon of the next day is on the next day, whatever its clocks do.
            let next = zone.day_of(zone.start_of(day).plus_seconds(DAY_SECONDS + DAY_SECONDS / 2));
            Ok(Some((zone.start_of(day), zone.start_of(next))))
        }
        Some(Stated::Moment(at)) => Ok(Some((at, Instant(at.0 + 1)))),
        None => {
            let message = format!("{name} must be an ISO 8601 day or time.");
            Err(ForexError::bad_parameter(name, "date_time", &message))
        }
    }
}

fn customer(row: &ListedCustomer, partner: Option<&str>) -> Shown {
    let attributes = object(row.attributes.as_deref());
    let mut shown = Shown::default();
    for column in CUSTOMERS {
        let value = match column.name {
            "customer_id" => json!(row.external_id),
            "signup_date" => json!(Instant(row.registered_at).iso8601()),
            "last_modified_date" => json!(row.revision.map(|at| Instant(at).iso8601())),
            "affiliate_id" => json!(partner),
            "campaign_id" => json!(row.campaign),
            "country_code" => json!(row.country),
            "trading_account_type" => json!(row.account_type),
            "email" => json!(row.email),
            name => attributes.get(name).cloned().unwrap_or_default(),
        };
        shown.put(column.name, &value);
    }
    put_others(&mut shown, &attributes, CUSTOMERS);
    shown
}

fn fact(row: &ListedFact, columns: &'static [Column]) -> Shown {
    let body = object(Some(&row.body));
    let attributes = object(row.data.as_deref());
    let mut shown = Shown::default();
    for column in columns {
        let stored = match column.name {
            "amount_currency" => "amount",
            "lots_traded" => "lots",
            name => name,
        };
        let value = match column.name {
            "transaction_id" | "trade_id" => json!(row.fact_key),
            "customer_id" => json!(row.customer),
            "transaction_type" => json!(row.kind),
            "transaction_date" => json!(Instant(row.at).iso8601()),
            "last_modified_date" => json!(row.revision.map(|at| Instant(at).iso8601())),
            _ => body.get(stored).or_else(|| attributes.get(stored)).cloned().unwrap_or_default(),
        };
        match (column.kind, &value) {
            // Our own facts hold decimals as text, so that no digit is lost.
            (Kind::Number(_), Value::String(text)) => shown.put_number(column.name, Some(text)),
            _ => shown.put(column.name, &value),
        }
    }
    put_others(&mut shown, &attributes, columns);
    shown
}

fn put_others(shown: &mut Shown, attributes: &Map<String, Value>, columns: &[Column]) {
    let is_published = |name: &String| columns.iter().any(|column| column.name == name);
    for (name, value) in attributes.iter().filter(|(name, _)| !is_published(name)) {
        shown.put(name, value);
    }
}

fn object(text: Option<&str>) -> Map<String, Value> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}
