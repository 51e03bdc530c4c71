//! `/audit`: who did what.

use super::money_schema as schema;
use super::money_schema::DeedFilters;
use super::wire::{Answer, Caller, Query, after, asked, refused, rows};
use crate::page::Page;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use headwater_app::audit::{Deed, DeedFilter};
use headwater_domain::time::Instant;
use serde_json::{Value, json};

/// List who did what
///
/// Decisions about commissions, payouts and held facts, newest first, each with the key that made it.
#[utoipa::path(get, path = "/audit", operation_id = "audit_list", tag = "Ledger", params(DeedFilters),
    responses((status = 200, description = "A page of deeds", body = schema::DeedPage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = Page::from_query(&query)?;
    let filter = DeedFilter {
        actor: asked(&query, "actor"),
        action: asked(&query, "action"),
        object: asked(&query, "object"),
        before_id: after(&page)?,
    };
    let found = state.app.deed_list(caller.account, filter, rows(&page)).await.map_err(refused)?;
    Ok(Json(page.to_wire(found.iter().map(to_wire).collect())))
}

fn to_wire(deed: &Deed) -> Value {
    let detail: Value = serde_json::from_str(&deed.detail).unwrap_or(Value::Null);
    json!({
        "id": deed.id, "at": Instant(deed.at).iso8601(), "actor": deed.actor, "action": deed.action, "object": deed.object,
        "detail": detail,
    })
}
