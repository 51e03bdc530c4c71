//! The four pushes: a request is read, judged and recorded as a whole, or refused with everything that is wrong in it.

use super::caller::{Client, Complaint, ForexError, client};
use super::records::{Place, Pushed, customer, trade, trading_day, transaction};
use super::tables::{CUSTOMERS, RECORDS_MAX, TRADES, TRADING_ACTIVITY, TRANSACTIONS};
use crate::body::{BULK_BYTES_MAX, read};
use crate::idempotency::given;
use crate::json::records::{Shape, records};
use crate::json::table::{self, Column, Refusal, Row, Spelling, refusal};
use crate::once::{Start, start};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use headwater_app::ingest::{Ingest, RecordStatus, Recorded, Rejection, Seen, Source};
use headwater_app::keep::Attempt;
use headwater_app::oauth::Scope;
use headwater_app::track::{ClickSignal, Signals};
use headwater_domain::attribution::Touch;
use headwater_domain::time::Zone;
use http::{HeaderMap, StatusCode, Uri};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashSet};
use std::ops::Range;
use std::sync::Arc;

/// What one record may hold.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// What is pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entity {
    Customers,
    Transactions,
    TradingActivity,
    Trades,
}

/// Push customers
///
/// All or nothing.
#[utoipa::path(post, path = "/api/v1/forex/customers", operation_id = "forex_customer_push", tag = "Forex",
    security(("access_token" = [])),
    request_body(content = Value, description = "An array of 1 to 1,000 records, or {\"data\": […]}"),
    responses((status = 200, description = "How many were created, updated and unchanged", body = Value)))]
pub async fn customers(State(state): State<WebState>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    push(state, uri, headers, body, Entity::Customers).await
}

/// Push transactions
///
/// All or nothing.
#[utoipa::path(post, path = "/api/v1/forex/transactions", operation_id = "forex_transaction_push", tag = "Forex",
    security(("access_token" = [])),
    request_body(content = Value, description = "An array of 1 to 1,000 records, or {\"data\": […]}"),
    responses((status = 200, description = "How many were created, updated and unchanged", body = Value)))]
pub async fn transactions(State(state): State<WebState>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    push(state, uri, headers, body, Entity::Transactions).await
}

/// Push daily trading
///
/// All or nothing.
#[utoipa::path(post, path = "/api/v1/forex/trading-activity", operation_id = "forex_trading_push", tag = "Forex",
    security(("access_token" = [])),
    request_body(content = Value, description = "An array of 1 to 1,000 records, or {\"data\": […]}"),
    responses((status = 200, description = "How many were created, updated and unchanged", body = Value)))]
pub async fn trading_activity(State(state): State<WebState>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    push(state, uri, headers, body, Entity::TradingActivity).await
}

/// Push single trades
///
/// All or nothing.
#[utoipa::path(post, path = "/api/v1/forex/trades", operation_id = "forex_trade_push", tag = "Forex",
    security(("access_token" = [])),
    request_body(content = Value, description = "An array of 1 to 1,000 records, or {\"data\": […]}"),
    responses((status = 200, description = "How many were created, updated and unchanged", body = Value)))]
pub async fn trades(State(state): State<WebState>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    push(state, uri, headers, body, Entity::Trades).await
}

async fn push(state: WebState, uri: Uri, headers: HeaderMap, body: Body, entity: Entity) -> Response {
    let caller = match client(&state, &headers, Scope::Write).await {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let outcome = async {
        let bytes = read(&headers, body, BULK_BYTES_MAX).await?;
        let open = match start(&state, caller.key, &uri, &headers, &bytes).await? {
            Start::Answered(response) => return Ok(response),
            Start::Open(open) => open,
        };
        let work = async {
            let (pushed, unknown_fields) = read_all(&state, &caller, entity, &bytes).await?;
            settle(&state, &caller, pushed, unknown_fields, open.attempt()).await
        };
        let outcome = work.await;
        open.end(&state, outcome).await
    };
    let outcome = outcome.await;
    caller.answer(outcome)
}

type All = (Vec<Pushed>, BTreeSet<String>);

async fn read_all(state: &WebState, caller: &Client, entity: Entity, bytes: &Bytes) -> Result<All, ForexError> {
    let found = records(bytes, Shape::OrEnvelope)?;
    let unprocessable = |code, message: String| Err(ForexError::new(StatusCode::UNPROCESSABLE_ENTITY, code, message));
    if found.is_empty() {
        return unprocessable("validation_failed", "Send at least one record.".into());
    }
    if found.len() > RECORDS_MAX {
        return unprocessable("too_many_records", format!("Send at most {RECORDS_MAX} records in one request."));
    }
    let program = &caller.program;
    let zone = Zone::parse(&program.settings.time_zone).unwrap_or(Zone::UTC);
    let partner = |name: &str| state.app.directory().partner(program.account, name).map(|partner| partner.id);
    let place = Place { zone: &zone, partner: &partner };
    let received = found.len();
    let (mut pushed, mut unknown_fields, mut complaints) = (Vec::new(), BTreeSet::new(), Vec::new());
    let mut keys = HashSet::new();
    for (index, record) in found.into_iter().enumerate() {
        let mut complain = |refusals: Vec<Refusal>| {
            complaints.extend(refusals.into_iter().map(|refusal| Complaint { index, refusal }));
        };
        if record.get().len() > RECORD_BYTES_MAX {
            let message = format!("A record must have at most {RECORD_BYTES_MAX} bytes.");
            complain(vec![refusal("", "max_length", &message)]);
            continue;
        }
        let row = match table::read(entity.columns(), Spelling::Exact, record, &zone) {
            Ok(row) => row,
            Err(refusals) => {
                complain(refusals);
                continue;
            }
        };
        unknown_fields.extend(row.others.iter().map(|(name, _)| name.clone()));
        let read = match entity {
            Entity::Customers => customer(&row, &place, touch(state, caller, &row).await?),
            Entity::Transactions => transaction(&row, &place),
            Entity::TradingActivity => trading_day(&row, &place),
            Entity::Trades => trade(&row, &place),
        };
        match read {
            Ok(read) if !keys.insert(read.key.0.clone()) => {
                let message = format!("{} is that of an earlier record of this request.", read.key.1);
                complain(vec![refusal(read.key.1, "unique", &message)]);
            }
            Ok(read) => pushed.push(read),
            Err(refusals) => complain(refusals),
        }
    }
    if !complaints.is_empty() {
        return Err(ForexError::refused(complaints, received));
    }
    Ok((pushed, unknown_fields))
}

/// How many trading days of a body can be read: what reading alone costs, for measurements.
pub fn trading_days_read(bytes: &Bytes) -> usize {
    let place = Place { zone: &Zone::UTC, partner: &|_| None };
    let is_read = |record: &&RawValue| {
        let row = table::read(TRADING_ACTIVITY, Spelling::Exact, record, &Zone::UTC);
        row.is_ok_and(|row| trading_day(&row, &place).is_ok())
    };
    records(bytes, Shape::OrEnvelope).map_or(0, |found| found.into_iter().filter(is_read).count())
}

/// What the click of a customer leads to; a click that leads nowhere is no error, since the partner is named.
async fn touch(state: &WebState, caller: &Client, row: &Row<'_>) -> Result<Option<Touch>, ForexError> {
    let Some(token) = row.text("click_id").filter(|token| !token.is_empty()) else { return Ok(None) };
    let signals = Signals { click: Some(ClickSignal::Token(token)), session: None };
    let (account, program, now) = (caller.program.account, caller.program.id, state.app.clock.now());
    Ok(state.app.resolve_signals(account, program, &signals, now).await?.0)
}

async fn settle(
    state: &WebState,
    caller: &Client,
    pushed: Vec<Pushed>,
    unknown_fields: BTreeSet<String>,
    attempt: Option<Attempt>,
) -> Result<Response, ForexError> {
    let received = pushed.len();
    let mut records = Vec::new();
    let mut parts = Parts::with_capacity(received);
    for record in pushed {
        let from = records.len();
        records.extend(record.records);
        parts.push((record.customer, from..records.len()));
    }
    let asked = Arc::new((parts, unknown_fields));
    let (account, program) = (caller.program.account, caller.program.id);
    let kept = Arc::clone(&asked);
    let keep = state.app.keep_if(attempt, move |recorded: &Vec<Recorded>| {
        let body = answer(&kept.0, &kept.1, recorded).ok()?;
        Some(given(StatusCode::OK, &body))
    });
    let ingest =
        Ingest { account, program, source: Source::Forex, all_or_nothing: true, records, keep, seen: Seen::Anything };
    let recorded = state.app.record(ingest).await?;
    let body = answer(&asked.0, &asked.1, &recorded).map_err(|complaints| ForexError::refused(complaints, received))?;
    Ok(Json(body).into_response())
}

/// The customer of each record, and its canonical records.
type Parts = Vec<(String, Range<usize>)>;

fn answer(parts: &Parts, unknown_fields: &BTreeSet<String>, recorded: &[Recorded]) -> Result<Value, Vec<Complaint>> {
    let complaint = |(index, (customer, range)): (usize, &(String, Range<usize>))| {
        Some(Complaint { index, refusal: refused(&recorded[range.clone()], customer)? })
    };
    let complaints: Vec<_> = parts.iter().enumerate().filter_map(complaint).collect();
    if !complaints.is_empty() {
        return Err(complaints);
    }
    let count = |wanted: &[RecordStatus]| {
        parts.iter().filter(|(_, range)| wanted.contains(&recorded[range.start].status)).count()
    };
    let mut data = json!({
        "received": parts.len(), "created": count(&[RecordStatus::Created]), "updated": count(&[RecordStatus::Updated]),
        "unchanged": count(&[RecordStatus::Unchanged, RecordStatus::Stale]), "unknown_fields": unknown_fields,
    });
    let held = count(&[RecordStatus::Held]);
    if held > 0 {
        data["held"] = held.into();
    }
    Ok(json!({"data": data}))
}

fn refused(parts: &[Recorded], customer: &str) -> Option<Refusal> {
    parts.iter().find_map(|part| match &part.status {
        RecordStatus::Rejected(rejection) => Some(refusal_of(rejection, customer)),
        _ => None,
    })
}

fn refusal_of(rejection: &Rejection, customer: &str) -> Refusal {
    match rejection {
        Rejection::UnknownCustomer => refusal("customer_id", "reference", &format!("Unknown customer {customer}.")),
        Rejection::Conflict => refusal("", "conflict", "This record came before with other content."),
        Rejection::StatusTransition(from, to) => {
            refusal("status", "invalid_status_transition", &format!("{to} does not follow on {from}."))
        }
        Rejection::Immutable(what) => {
            let field = match *what {
                "type" => "transaction_type",
                "customer" => "customer_id",
                "amount" => "amount_currency",
                other => other,
            };
            refusal(field, "immutable", &format!("{field} of an approved transaction does not change."))
        }
        Rejection::Unusable(why) => refusal("", "unusable", &format!("This record cannot be used: {why}.")),
    }
}

impl Entity {
    fn columns(self) -> &'static [Column] {
        match self {
            Self::Customers => CUSTOMERS,
            Self::Transactions => TRANSACTIONS,
            Self::TradingActivity => TRADING_ACTIVITY,
            Self::Trades => TRADES,
        }
    }
}
