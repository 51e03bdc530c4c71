//! `/plans`: save a version, list, read, activate.

use super::plan_schema;
use super::plan_schema::{Activation, PlanActivation, PlanDocument, PlanPage, PlanSaved};
use super::schema::Paging;
use super::wire::{
    Answer, Caller, Created, Query, instant, json as json_body, object, only, refuse_null, refused, zone_of,
};
use crate::asked::Path;
use crate::idempotency::{Attempted, given};
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::directory::PlanHistory;
use headwater_app::error::Error;
use headwater_app::plan::PlanFailure;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// List plans
///
/// By name.
#[utoipa::path(get, path = "/plans", operation_id = "plan_list", tag = "Plans",
    params(Paging),
    responses((status = 200, description = "A page of plans", body = PlanPage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = query.page()?;
    let directory = state.app.directory();
    let all: Vec<_> = directory.plans(caller.account).collect();
    page.of_all(&all, |(name, _)| (*name).to_owned(), |(name, plan)| to_wire(name, plan)).map(Json)
}

/// Save a plan
///
/// As the next version of its name. A first version is in force at once; a later one when it is activated. A document
/// with mistakes is refused with all of them: `plan_refused`.
#[utoipa::path(post, path = "/plans", operation_id = "plan_create", tag = "Plans",
    request_body = PlanDocument,
    responses((status = 201, description = "The version that was saved", body = PlanSaved)))]
pub async fn create(
    State(state): State<WebState>,
    caller: Caller,
    headers: HeaderMap,
    attempt: Attempted,
    body: Body,
) -> Created {
    let document = json_body(&headers, body).await?;
    let saved = document.clone();
    let keep = state.app.keep(attempt.map(|extension| extension.0), move |made| {
        given(StatusCode::CREATED, &saved_to_wire(made, &saved))
    });
    let made = state.app.plan_save(caller.account, &document, keep).await.map_err(|failure| match failure {
        PlanFailure::Refused(mistakes) => {
            let all: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            let path = mistakes.first().map(|mistake| mistake.path.clone()).unwrap_or_default();
            ApiError::new(StatusCode::BAD_REQUEST, "plan_refused", all.join("; ")).with_param(path)
        }
        PlanFailure::Other(error) => refused(error),
    })?;
    Ok((StatusCode::CREATED, Json(saved_to_wire(&made, &document))))
}

fn saved_to_wire((name, version): &(String, i64), document: &Value) -> Value {
    json!({"name": name, "version": version, "plan": document})
}

/// Read a plan
///
/// With all its versions, and from when which one is in force.
#[utoipa::path(get, path = "/plans/{name}", operation_id = "plan_read", tag = "Plans",
    params(("name" = String, Path, description = "The plan's name", example = "standard")),
    responses((status = 200, description = "The plan", body = plan_schema::Plan)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(name): Path<String>) -> Answer {
    found(&state, &caller, &name)
}

/// Read a plan's versions
///
/// The same as reading the plan.
#[utoipa::path(get, path = "/plans/{name}/versions", operation_id = "plan_versions", tag = "Plans",
    params(("name" = String, Path, description = "The plan's name", example = "standard")),
    responses((status = 200, description = "The plan", body = plan_schema::Plan)))]
pub async fn versions(State(state): State<WebState>, caller: Caller, Path(name): Path<String>) -> Answer {
    found(&state, &caller, &name)
}

fn found(state: &WebState, caller: &Caller, name: &str) -> Answer {
    let directory = state.app.directory();
    let plan = directory.plan(caller.account, name).ok_or_else(|| refused(Error::NotFound("plan")))?;
    Ok(Json(to_wire(name, plan)))
}

/// Put a version in force
#[utoipa::path(post, path = "/plans/{name}/activate", operation_id = "plan_activate", tag = "Plans",
    params(("name" = String, Path, description = "The plan's name", example = "standard")),
    request_body = Activation,
    responses((status = 200, description = "From when it is in force", body = PlanActivation)))]
pub async fn activate(
    State(state): State<WebState>,
    caller: Caller,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = object(&headers, body).await?;
    only(&fields, &["version", "from"])?;
    let version = fields.get("version").and_then(Value::as_i64);
    let version = version.ok_or_else(|| ApiError::invalid("version", "version must be a version's number."))?;
    refuse_null(&fields, &["version", "from"])?;
    let from = instant(&fields, "from", &zone_of(&state, caller.account))?.unwrap_or_else(|| state.app.clock.now());
    state.app.plan_activate(caller.account, &name, version, from).await.map_err(refused)?;
    Ok(Json(json!({"name": name, "version": version, "from": from.iso8601()})))
}

fn to_wire(name: &str, plan: &PlanHistory) -> Value {
    let document = |text: &str| serde_json::from_str::<Value>(text).unwrap_or_default();
    let versions: Vec<_> = plan
        .versions
        .iter()
        .map(|(number, row)| json!({"version": number, "plan": document(&row.document), "created": Instant(row.created_at).iso8601()}))
        .collect();
    let activations: Vec<_> = plan
        .activations
        .iter()
        .map(|(from, number)| json!({"version": number, "from": Instant(*from).iso8601()}))
        .collect();
    let newest = plan.versions.last_key_value();
    json!({
        "name": name, "version": newest.map(|(number, _)| number), "plan": newest.map(|(_, row)| document(&row.document)),
        "versions": versions, "activations": activations,
    })
}
