//! `/ledger`: entries and balances.

use super::commissions::amount;
use super::money_schema as schema;
use super::money_schema::{Balance, BalanceFilters, EntryFilters};
use super::wire::{Answer, Caller, Query, after, asked, refused, rows};
use crate::page::Page;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use headwater_app::ledger::{BalanceRow, EntryFilter, EntryRow};
use headwater_domain::time::Instant;
use serde_json::{Value, json};

/// List ledger entries
///
/// Newest first.
#[utoipa::path(get, path = "/ledger/entries", operation_id = "entry_list", tag = "Ledger",
    params(EntryFilters),
    responses((status = 200, description = "A page of entries", body = schema::EntryPage)))]
pub async fn entries(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = Page::from_query(&query)?;
    let filter = EntryFilter {
        program_id: asked(&query, "program").and_then(|text| text.parse().ok()),
        owner: asked(&query, "owner"),
        unit: asked(&query, "unit"),
        name: asked(&query, "name"),
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
    let found = state.app.balance_list(caller.account, asked(&query, "owner")).await.map_err(refused)?;
    Ok(Json(found.iter().map(balance_to_wire).collect()))
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
    })
}

/// One balance.
pub(super) fn balance_to_wire(row: &BalanceRow) -> Value {
    json!({
        "account": {"program": row.program_id.to_string(), "owner": row.owner, "unit": row.unit, "name": row.name},
        "balance": amount(row.balance, &row.unit),
    })
}
