//! `/ledger`: entries, balances, a partner's signed statement and the key that signs it.

use super::commissions::amount;
use super::money_schema as schema;
use super::money_schema::{Balance, BalanceFilters, EntryFilters, StatementKey, StatementQuery};
use super::wire::{Answer, Caller, Query, after, asked, refused, rows};
use super::zone::{Edge, moment};
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use headwater_app::ledger::{BalanceFilter, BalanceRow, EntryFilter, EntryRow};
use headwater_app::statement::StatementRequest;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use http::header;
use serde_json::{Value, json};

/// List ledger entries
///
/// Newest first.
#[utoipa::path(get, path = "/ledger/entries", operation_id = "entry_list", tag = "Ledger",
    params(EntryFilters),
    responses((status = 200, description = "A page of entries", body = schema::EntryPage)))]
pub async fn entries(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = Page::from_query(&query)?;
    let asked = asked_account(&state, &caller, &query)?;
    let filter = EntryFilter {
        program_id: asked.program_id,
        owner: asked.owner,
        unit: asked.unit,
        name: asked.name,
        before_id: after(&page)?,
    };
    let found = state.app.entry_list(caller.account, filter, rows(&page)).await.map_err(refused)?;
    Ok(Json(page.to_wire(found.iter().map(entry_to_wire).collect())))
}

/// List balances
#[utoipa::path(get, path = "/ledger/balances", operation_id = "balance_list", tag = "Ledger",
    params(BalanceFilters),
    responses((status = 200, description = "Every balance", body = Vec<Balance>)))]
pub async fn balances(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let filter = asked_account(&state, &caller, &query)?;
    let found = state.app.balance_list(caller.account, filter).await.map_err(refused)?;
    Ok(Json(found.iter().map(balance_to_wire).collect()))
}

/// Read a partner's statement
///
/// Signed: saved as it is, `headwater statement verify` checks it without this server.
#[utoipa::path(get, path = "/ledger/statement", operation_id = "statement_read", tag = "Ledger", params(StatementQuery),
    responses((status = 200, description = "The statement", body = schema::Statement)))]
pub async fn statement(State(state): State<WebState>, caller: Caller, query: Query) -> Result<Response, ApiError> {
    let partner = asked(&query, "partner")
        .ok_or_else(|| ApiError::invalid("partner", "partner is required: send the id of a partner."))?;
    let program = program(&state, &caller, &query)?;
    let known = state.app.partner_read(caller.account, &partner).map_err(refused)?;
    let zone_of = program.or(known.row.program_id.map(ProgramId));
    let time = |name| moment(&state, caller.account, zone_of, name, asked(&query, name).as_deref(), Edge::Start);
    let asked = StatementRequest { partner, program, from: time("from")?, to: time("to")? };
    let text = state.app.statement(caller.account, asked).await.map_err(refused)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// Read the statements' key
///
/// What partners need to know to check who signed.
#[utoipa::path(get, path = "/ledger/statement/key", operation_id = "statement_key", tag = "Ledger",
    responses((status = 200, description = "The public key", body = StatementKey)))]
pub async fn statement_key(State(state): State<WebState>, caller: Caller) -> Answer {
    Ok(Json(json!({"algorithm": "ed25519", "public_key": state.app.statement_public_key(caller.account)})))
}

fn program(state: &WebState, caller: &Caller, query: &Query) -> Result<Option<ProgramId>, ApiError> {
    let Some(text) = asked(query, "program") else { return Ok(None) };
    let id = text.parse().ok().map(ProgramId);
    let known = id.filter(|id| state.app.directory().program(caller.account, *id).is_some());
    known.map(Some).ok_or_else(|| ApiError::invalid("program", "program must be the id of a program."))
}

/// Accounts by their parts; `partner` is the operator's id of one, `owner` the ledger's own name.
fn asked_account(state: &WebState, caller: &Caller, query: &Query) -> Result<BalanceFilter, ApiError> {
    let owner = match asked(query, "partner") {
        None => asked(query, "owner"),
        Some(name) => {
            // Nobody of this name: no account has this owner.
            let id = state.app.partner_read(caller.account, &name).map_or(PartnerId(0), |partner| partner.id);
            Some(owner_of(id))
        }
    };
    Ok(BalanceFilter {
        program_id: program(state, caller, query)?.map(|id| id.0),
        owner,
        unit: asked(query, "unit"),
        name: asked(query, "name"),
    })
}

fn owner_of(partner: PartnerId) -> String {
    format!("partner:{partner}")
}

/// The balances of one partner.
pub(super) async fn balances_of(state: &WebState, account: AccountId, partner: PartnerId) -> Result<Value, ApiError> {
    let filter = BalanceFilter { owner: Some(owner_of(partner)), ..BalanceFilter::default() };
    let found = state.app.balance_list(account, filter).await.map_err(refused)?;
    Ok(found.iter().map(balance_to_wire).collect())
}

fn entry_to_wire(row: &EntryRow) -> Value {
    json!({
        "id": row.id,
        "transaction_id": row.transaction_id,
        "account": {"program": row.program_id.to_string(), "owner": row.owner, "unit": row.unit, "name": row.name},
        "amount": amount(row.amount, &row.unit),
        "unit": row.unit,
        "hash": row.hash,
        "previous_hash": row.previous_hash,
        "at": Instant(row.at).iso8601(),
        "commission": row.commission_id,
        "payout": row.payout_id,
    })
}

fn balance_to_wire(row: &BalanceRow) -> Value {
    json!({
        "account": {"program": row.program_id.to_string(), "owner": row.owner, "unit": row.unit, "name": row.name},
        "balance": amount(row.balance, &row.unit),
    })
}
