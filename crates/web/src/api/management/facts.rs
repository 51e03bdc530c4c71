//! `/facts/{id}` and `/facts/{id}/explain`.

use super::commissions::explanation;
use super::fact_schema::{Fact, FactExplanation};
use super::wire::{Answer, Caller, number, refused};
use crate::asked::Path;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use headwater_app::fact::StoredFactRow;
use headwater_domain::commission::RuleVerdict;
use headwater_domain::ids::FactId;
use headwater_domain::time::Instant;
use serde_json::{Value, json};

/// Read a fact
///
/// With all its revisions.
#[utoipa::path(get, path = "/facts/{id}", operation_id = "fact_read", tag = "Facts",
    params(("id" = i64, Path, description = "The fact's number", example = 90418)),
    responses((status = 200, description = "The fact", body = Fact)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = FactId(number(&id, "fact")?);
    let story = state.app.fact_read(caller.account, id).await.map_err(refused)?;
    let mut object = to_wire(&story.fact);
    object["revisions"] = story.revisions.iter().map(to_wire).collect();
    Ok(Json(object))
}

/// Explain a fact
///
/// What it paid and how, or why nothing.
#[utoipa::path(get, path = "/facts/{id}/explain", operation_id = "fact_explain", tag = "Facts",
    params(("id" = i64, Path, description = "The fact's number", example = 90418)),
    responses((status = 200, description = "The explanation", body = FactExplanation)))]
pub async fn explain(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = FactId(number(&id, "fact")?);
    let explained = state.app.fact_explain(caller.account, id).await.map_err(refused)?;
    let story = explained.story;
    let commissions = story.commissions.iter().map(|row| {
        let mut object = explanation(row);
        object["commission"] = row.id.into();
        object
    });
    let commissions: Vec<_> = commissions.collect();
    let reason = match story.held.first() {
        Some(held) => Some(held.reason.as_str()),
        None if explained.is_superseded => Some("superseded"),
        None if commissions.is_empty() => Some("nothing_due"),
        None => None,
    };
    Ok(Json(json!({
        "fact": id.0, "commissions": commissions, "held": story.held.iter().map(super::held::to_wire).collect::<Vec<_>>(),
        "reason": reason, "rules": explained.rules.iter().map(rule_to_wire).collect::<Vec<_>>(),
    })))
}

/// What one rule says of the fact.
fn rule_to_wire(verdict: &RuleVerdict) -> Value {
    json!({
        "plan": verdict.plan, "version": verdict.version, "rule": &*verdict.rule, "reason": verdict.reason,
        "detail": verdict.detail,
    })
}

fn to_wire(row: &StoredFactRow) -> Value {
    json!({
        "id": row.id, "type": row.kind, "key": row.fact_key, "revision": row.revision, "customer": row.customer_id,
        "at": Instant(row.at).iso8601(), "body": serde_json::from_str::<Value>(&row.body).unwrap_or_default(),
        "source": row.source, "event": row.event_id, "received": Instant(row.received_at).iso8601(),
    })
}
