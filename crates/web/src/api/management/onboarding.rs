//! `/programs/{id}/onboarding`: how far a broker's integration has come.

use super::wire::{Answer, Caller, number, refused};
use crate::state::WebState;
use axum::Json;
use axum::extract::{Path, State};
use headwater_app::onboarding::Step;
use headwater_domain::ids::ProgramId;
use serde_json::{Value, json};

/// `GET /programs/{id}/onboarding`.
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = ProgramId(number(&id, "program")?);
    let steps = state.app.onboarding(caller.account, id).await.map_err(refused)?;
    let completed = steps.iter().filter(|step| step.is_done).count();
    let shown: Vec<_> = steps.iter().map(to_wire).collect();
    Ok(Json(json!({"program": id.to_string(), "completed": completed, "total": shown.len(), "steps": shown})))
}

fn to_wire(step: &Step) -> Value {
    json!({
        "id": step.id, "phase": step.phase, "phase_length": step.phase_length, "title": step.title, "done": step.is_done,
        "count": step.count,
    })
}
