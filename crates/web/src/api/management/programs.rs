//! `/programs`: list, create, read, patch.

use super::program_schema;
use super::program_schema::{ProgramPage, ProgramSettings};
use super::schema::Paging;
use super::wire::{Answer, Caller, Created, Query, number, object, refused};
use crate::asked::Path;
use crate::idempotency::{Attempted, given};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::directory::Program;
use headwater_domain::ids::ProgramId;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// List programs
///
/// Newest first.
#[utoipa::path(get, path = "/programs", operation_id = "program_list", tag = "Programs",
    params(Paging),
    responses((status = 200, description = "A page of programs", body = ProgramPage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = query.page()?;
    let directory = state.app.directory();
    let mut all: Vec<_> = directory.programs(caller.account).filter(|program| caller.sees(program.id)).collect();
    all.reverse();
    page.of_all(&all, |program| program.id.to_string(), |program| to_wire(program)).map(Json)
}

/// Create a program
#[utoipa::path(post, path = "/programs", operation_id = "program_create", tag = "Programs",
    request_body = ProgramSettings,
    responses((status = 201, description = "The program", body = program_schema::Program)))]
pub async fn create(
    State(state): State<WebState>,
    caller: Caller,
    headers: HeaderMap,
    attempt: Attempted,
    body: Body,
) -> Created {
    let fields = object(&headers, body).await?;
    let keep =
        state.app.keep(attempt.map(|extension| extension.0), |program| given(StatusCode::CREATED, &to_wire(program)));
    let program = state.app.program_create(caller.account, &fields, keep).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(to_wire(&program))))
}

/// Read a program
#[utoipa::path(get, path = "/programs/{id}", operation_id = "program_read", tag = "Programs",
    params(("id" = String, Path, description = "The program's number", example = "1201")),
    responses((status = 200, description = "The program", body = program_schema::Program)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = ProgramId(number(&id, "program")?);
    Ok(Json(to_wire(&*state.app.program_read(caller.account, id).map_err(refused)?)))
}

/// Change a program
///
/// What is left out stays as it is.
#[utoipa::path(patch, path = "/programs/{id}", operation_id = "program_patch", tag = "Programs",
    params(("id" = String, Path, description = "The program's number", example = "1201")),
    request_body = ProgramSettings,
    responses((status = 200, description = "The program as it is now", body = program_schema::Program)))]
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

/// Make a new postback token
///
/// For `key=` of `/postback`. It is shown once; the one before it opens nothing any more. It can be sent again.
#[utoipa::path(post, path = "/programs/{id}/rotate_postback_token", operation_id = "program_rotate_postback_token",
    tag = "Programs",
    params(("id" = String, Path, description = "The program's number", example = "1201")),
    responses((status = 200, description = "The token", body = program_schema::PostbackToken)))]
pub async fn rotate_postback_token(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = ProgramId(number(&id, "program")?);
    let token = state.app.postback_token_rotate(caller.account, id).await.map_err(refused)?;
    Ok(Json(json!({"postback_token": token})))
}

fn to_wire(program: &Program) -> Value {
    let mut object = program.settings.to_json();
    // It is kept as a hash, and whether there is one is nobody's business but the sender's.
    object.remove("postback_token");
    object.insert("id".into(), program.id.to_string().into());
    object.insert("name".into(), program.row.name.clone().into());
    object.insert("site_url".into(), program.row.site_url.clone().into());
    object.insert("created".into(), Instant(program.row.created_at).iso8601().into());
    Value::Object(object)
}
