//! `/plans`: save a version, list, read, activate.

use super::wire::{Answer, Caller, Created, instant, json as json_body, object, only, refused};
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use headwater_app::directory::PlanHistory;
use headwater_app::error::Error;
use headwater_app::plan::PlanFailure;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// `GET /plans`.
pub async fn list(State(state): State<WebState>, caller: Caller) -> Answer {
    let directory = state.app.directory();
    let data: Vec<_> = directory.plans(caller.account).map(|(name, plan)| to_wire(name, plan)).collect();
    Ok(Json(json!({"object": "list", "data": data, "has_more": false, "next_cursor": null})))
}

/// `POST /plans`: 201 `{name, version, plan}`.
pub async fn create(State(state): State<WebState>, caller: Caller, headers: HeaderMap, body: Body) -> Created {
    let document = json_body(&headers, body).await?;
    let (name, version) = state.app.plan_save(caller.account, &document).await.map_err(|failure| match failure {
        PlanFailure::Refused(mistakes) => {
            let all: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
            let path = mistakes.first().map(|mistake| mistake.path.clone()).unwrap_or_default();
            ApiError::new(StatusCode::BAD_REQUEST, "plan_refused", all.join("; ")).with_param(path)
        }
        PlanFailure::Other(error) => refused(error),
    })?;
    Ok((StatusCode::CREATED, Json(json!({"name": name, "version": version, "plan": document}))))
}

/// `GET /plans/{name}` and `/plans/{name}/versions`.
pub async fn read(State(state): State<WebState>, caller: Caller, Path(name): Path<String>) -> Answer {
    let directory = state.app.directory();
    let plan = directory.plan(caller.account, &name).ok_or_else(|| refused(Error::NotFound("plan")))?;
    Ok(Json(to_wire(&name, plan)))
}

/// `POST /plans/{name}/activate` `{version, from}`.
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
    let from = instant(&fields, "from")?.unwrap_or_else(|| state.app.clock.now());
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
