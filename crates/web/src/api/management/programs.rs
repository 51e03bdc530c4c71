//! `/programs`: list, create, read, patch.

use super::wire::{Answer, Caller, Created, number, object, refused};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use headwater_app::directory::Program;
use headwater_domain::ids::ProgramId;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// `GET /programs`.
pub async fn list(State(state): State<WebState>, caller: Caller) -> Answer {
    let directory = state.app.directory();
    let data: Vec<_> = directory.programs(caller.account).filter(|p| caller.sees(p.id)).map(|p| to_wire(p)).collect();
    Ok(Json(json!({"object": "list", "data": data, "has_more": false, "next_cursor": null})))
}

/// `POST /programs`.
pub async fn create(State(state): State<WebState>, caller: Caller, headers: HeaderMap, body: Body) -> Created {
    let fields = object(&headers, body).await?;
    let program = state.app.program_create(caller.account, &fields).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(to_wire(&program))))
}

/// `GET /programs/{id}`.
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = ProgramId(number(&id, "program")?);
    Ok(Json(to_wire(&*state.app.program_read(caller.account, id).map_err(refused)?)))
}

/// `PATCH /programs/{id}`.
pub async fn patch(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let id = ProgramId(number(&id, "program")?);
    let fields = object(&headers, body).await?;
    let program = state.app.program_patch(caller.account, id, &fields).await.map_err(refused)?;
    Ok(Json(to_wire(&program)))
}

fn to_wire(program: &Program) -> Value {
    let mut object = program.settings.to_json();
    object.insert("id".into(), program.id.to_string().into());
    object.insert("name".into(), program.row.name.clone().into());
    object.insert("site_url".into(), program.row.site_url.clone().into());
    object.insert("created".into(), Instant(program.row.created_at).iso8601().into());
    Value::Object(object)
}
