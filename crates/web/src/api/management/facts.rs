//! `/facts/{id}` and `/facts/{id}/explain`.

use super::commissions::explanation;
use super::wire::{Answer, Caller, number, refused};
use crate::state::WebState;
use axum::Json;
use axum::extract::{Path, State};
use headwater_app::fact::StoredFactRow;
use headwater_domain::ids::FactId;
use headwater_domain::time::Instant;
use serde_json::{Value, json};

/// `GET /facts/{id}`: a fact with its revisions.
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = FactId(number(&id, "fact")?);
    let story = state.app.fact_read(caller.account, id).await.map_err(refused)?;
    let mut object = to_wire(&story.fact);
    object["revisions"] = story.revisions.iter().map(to_wire).collect();
    Ok(Json(object))
}

/// `GET /facts/{id}/explain`: what it paid and how, or why nothing.
pub async fn explain(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = FactId(number(&id, "fact")?);
    let story = state.app.fact_read(caller.account, id).await.map_err(refused)?;
    let commissions = story.commissions.iter().map(|row| {
        let mut object = explanation(row);
        object["commission"] = row.id.into();
        object
    });
    let commissions: Vec<_> = commissions.collect();
    let reason = match story.held.first() {
        Some(held) => Some(held.reason.as_str()),
        None if commissions.is_empty() => Some("nothing_due"),
        None => None,
    };
    Ok(Json(json!({
        "fact": id.0, "commissions": commissions, "held": story.held.iter().map(super::held::to_wire).collect::<Vec<_>>(),
        "reason": reason,
    })))
}

fn to_wire(row: &StoredFactRow) -> Value {
    json!({
        "id": row.id, "type": row.kind, "key": row.fact_key, "revision": row.revision, "customer": row.customer_id,
        "at": Instant(row.at).iso8601(), "body": serde_json::from_str::<Value>(&row.body).unwrap_or_default(),
        "source": row.source, "event": row.event_id, "received": Instant(row.received_at).iso8601(),
    })
}
