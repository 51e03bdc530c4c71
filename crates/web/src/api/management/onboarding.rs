//! `/programs/{id}/onboarding`: how far a broker's integration has come.

use super::wire::{Answer, Caller, number, refused};
use crate::state::WebState;
use axum::Json;
use axum::extract::{Path, State};
use headwater_app::onboarding::Step;
use headwater_domain::ids::ProgramId;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// How far an integration has come
///
/// Eight steps, told from what is there.
#[utoipa::path(get, path = "/programs/{id}/onboarding", operation_id = "program_onboarding", tag = "Programs",
    params(("id" = String, Path, description = "The program's number", example = "1201")),
    responses((status = 200, description = "The steps, and how many are done", body = Onboarding)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = ProgramId(number(&id, "program")?);
    let steps = state.app.onboarding(caller.account, id).await.map_err(refused)?;
    let completed = steps.iter().filter(|step| step.is_done).count();
    let shown: Vec<_> = steps.iter().map(to_wire).collect();
    Ok(Json(json!({"program": id.to_string(), "completed": completed, "total": shown.len(), "steps": shown})))
}

/// The checklist of a program.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the description of an answer that is written as JSON")]
pub struct Onboarding {
    /// The program's number.
    #[schema(example = "1201")]
    program: String,
    /// Steps that are done.
    completed: i64,
    /// All steps.
    total: i64,
    /// In the order in which an integration takes them.
    steps: Vec<OnboardingStep>,
}

/// A step of an integration.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "the description of an answer that is written as JSON")]
pub struct OnboardingStep {
    /// For programs: stable.
    #[schema(example = "customers")]
    id: String,
    /// Which phase it belongs to.
    phase: String,
    /// How long that phase usually takes.
    phase_length: String,
    /// For people: what has to be there.
    title: String,
    /// Whether it is.
    done: bool,
    /// How many of it are there, where it is counted.
    count: Option<i64>,
}

fn to_wire(step: &Step) -> Value {
    json!({
        "id": step.id, "phase": step.phase, "phase_length": step.phase_length, "title": step.title, "done": step.is_done,
        "count": step.count,
    })
}
