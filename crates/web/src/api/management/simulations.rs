//! `/simulations`: a draft plan over recorded history.

use super::simulation_schema::{NewSimulation, Simulation};
use super::wire::{Answer, Caller, Created, number, object, only, refused, text};
use crate::asked::Path;
use crate::json::field::VALIDATION_FAILED;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::simulate::{SimulationRequest, SimulationRow};
use headwater_domain::commission::{Plan, lint};
use headwater_domain::ids::ProgramId;
use headwater_domain::time::{Date, Instant};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

/// Simulate a plan
///
/// What the draft would have paid for the facts of a window, per partner and client, against what was posted for them.
/// Nothing but its result is written. A large one is `running` when it is answered: read it again. Two run at a time; a
/// third is told to come back.
#[utoipa::path(post, path = "/simulations", operation_id = "simulation_create", tag = "Simulations",
    request_body = NewSimulation, responses((status = 201, description = "The simulation", body = Simulation)))]
pub async fn create(State(state): State<WebState>, caller: Caller, headers: HeaderMap, body: Body) -> Created {
    let fields = object(&headers, body).await?;
    only(&fields, &["plan", "version", "program", "from", "to"])?;
    let program = match fields.get("program") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    let program = program.map(ProgramId);
    let program =
        program.ok_or_else(|| ApiError::invalid("program", "program is required: send the id of a program."))?;
    let plan = plan(&state, &caller, &fields)?;
    let (from, to) = (day(&fields, "from")?, day(&fields, "to")?);
    if to <= from {
        return Err(ApiError::invalid("to", "to must be after from."));
    }
    let asked = SimulationRequest { account: caller.account, program, plan, from, to };
    let made = state.app.simulation_create(asked, &Value::Object(fields)).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(to_wire(&made))))
}

/// Read a simulation
#[utoipa::path(get, path = "/simulations/{id}", operation_id = "simulation_read", tag = "Simulations",
    params(("id" = i64, Path, description = "The simulation's number", example = 31)),
    responses((status = 200, description = "The simulation", body = Simulation)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let found = state.app.simulation_read(caller.account, number(&id, "simulation")?).await.map_err(refused)?;
    Ok(Json(to_wire(&found)))
}

/// A document, or the name of a saved plan with a `version`.
fn plan(state: &WebState, caller: &Caller, fields: &Map<String, Value>) -> Result<Plan, ApiError> {
    let document = match fields.get("plan") {
        Some(document @ Value::Object(_)) => document.clone(),
        Some(Value::String(name)) => {
            let directory = state.app.directory();
            let unknown = || refused(headwater_app::error::Error::NotFound("plan"));
            let history = directory.plan(caller.account, name).ok_or_else(unknown)?;
            let asked = fields.get("version").map(|version| version.as_i64().unwrap_or_default());
            let number = asked.or_else(|| history.versions.keys().next_back().copied());
            let version = number.and_then(|number| history.versions.get(&number)).ok_or_else(|| {
                ApiError::invalid("version", "version must be the number of a saved version of this plan.")
            })?;
            serde_json::from_str(&version.document).unwrap_or_default()
        }
        _ => return Err(ApiError::invalid("plan", "plan is required: send a plan document, or a plan's name.")),
    };
    lint(&document).map_err(|mistakes| {
        let first = mistakes.first().map(|mistake| format!("plan.{mistake}")).unwrap_or_default();
        let param = mistakes.first().map(|mistake| format!("plan.{}", mistake.path)).unwrap_or_default();
        ApiError::new(StatusCode::BAD_REQUEST, VALIDATION_FAILED, first).with_param(param)
    })
}

/// A date, or the day of an instant.
fn day(fields: &Map<String, Value>, key: &str) -> Result<Date, ApiError> {
    let wrong = || ApiError::invalid(key, format!("{key} must be a date, as in 2026-01-31."));
    let given = text(fields, key)?.ok_or_else(wrong)?;
    let day = given.parse().ok().filter(|_| given.len() == 10);
    let instant = || Instant::parse(&given).map(|at| headwater_domain::time::Zone::UTC.day_of(at));
    day.or_else(instant).ok_or_else(wrong)
}

fn to_wire(row: &SimulationRow) -> Value {
    let asked: Value = serde_json::from_str(&row.asked).unwrap_or_default();
    let mut object: Map<String, Value> = Map::new();
    object.insert("id".into(), row.id.into());
    object.insert("status".into(), row.status.clone().into());
    object.insert("program".into(), row.program_id.to_string().into());
    for key in ["plan", "version", "from", "to"] {
        object.insert(key.into(), asked.get(key).cloned().unwrap_or(Value::Null));
    }
    if let Ok(Value::Object(found)) = serde_json::from_str(&row.body) {
        object.extend(found);
    }
    object.insert("created".into(), Instant(row.created_at).iso8601().into());
    object.insert("finished".into(), row.finished_at.map(|at| Instant(at).iso8601()).into());
    Value::Object(object)
}
