//! `/keys`: list, issue, revoke.

use super::key_schema;
use super::key_schema::{KeyPage, NewKey};
use super::schema::Paging;
use super::wire::{Answer, Caller, Created, Query, instant, number, object, only, refused, text, zone_of};
use crate::asked::Path;
use crate::idempotency::{Attempted, given};
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::directory::Directory;
use headwater_app::error::Error;
use headwater_app::key::{Credential, IssuedKey, KeyKind, KeyRequest, PERMISSIONS};
use headwater_domain::ids::{AccountId, KeyId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};

/// List keys
///
/// Newest first, without their texts.
#[utoipa::path(get, path = "/keys", operation_id = "key_list", tag = "Keys",
    params(Paging),
    responses((status = 200, description = "A page of keys", body = KeyPage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = query.page()?;
    let directory = state.app.directory();
    let mut all = directory.credentials(caller.account);
    all.reverse();
    page.of_all(&all, |key| key.id.to_string(), |key| to_wire(&directory, key)).map(Json)
}

/// Issue a key
///
/// The one answer that shows its text. A key gives no more than it has: neither a permission nor a program.
#[utoipa::path(post, path = "/keys", operation_id = "key_issue", tag = "Keys",
    request_body = NewKey,
    responses((status = 201, description = "The key", body = key_schema::IssuedKey)))]
pub async fn issue(
    State(state): State<WebState>,
    caller: Caller,
    headers: HeaderMap,
    attempt: Attempted,
    body: Body,
) -> Created {
    let fields = object(&headers, body).await?;
    only(&fields, &["kind", "program", "partner", "origins", "programs", "permissions", "expires_at"])?;
    let kind = text(&fields, "kind")?.and_then(|name| KeyKind::parse(&name));
    let kind = kind.ok_or_else(|| {
        ApiError::invalid("kind", "kind must be secret, publishable, brand, oauth, rewards or partner.")
    })?;
    let default: Vec<_> = if kind == KeyKind::Secret { PERMISSIONS.map(str::to_owned).into() } else { Vec::new() };
    let permissions = texts(&fields, "permissions")?.unwrap_or(default);
    if let Some(more) = permissions.iter().find(|p| !PERMISSIONS.contains(&p.as_str()) || !caller.may(p)) {
        return Err(
            ApiError::forbidden(format!("This key cannot give the permission {more}.")).with_param("permissions")
        );
    }
    let program = |text: String| {
        let id = text.parse().ok().map(ProgramId).filter(|id| caller.sees(*id));
        let known = id.filter(|id| state.app.directory().program(caller.account, *id).is_some());
        known.ok_or_else(|| ApiError::invalid("program", "program must be the id of a program."))
    };
    let named = text(&fields, "program")?.map(program).transpose()?;
    let programs = texts(&fields, "programs")?;
    let programs = programs.map_or_else(
        || Ok(caller.programs.clone()),
        |ids| ids.into_iter().map(program).collect::<Result<Vec<_>, _>>(),
    )?;
    let partner = partner(&state, &caller, kind, text(&fields, "partner")?)?;
    let request = KeyRequest {
        kind,
        program: named.or(caller.program),
        partner,
        origins: texts(&fields, "origins")?.unwrap_or_default(),
        programs,
        permissions,
        expires_at: instant(&fields, "expires_at", &zone_of(&state, caller.account))?,
    };
    let account = caller.account;
    let keep = state.app.keep(attempt.map(|extension| extension.0), move |issued| {
        given(StatusCode::CREATED, &issued_to_wire(account, kind, issued))
    });
    let issued = state.app.key_issue(caller.account, request, keep).await.map_err(refused)?;
    Ok((StatusCode::CREATED, Json(issued_to_wire(account, kind, &issued))))
}

fn issued_to_wire(account: AccountId, kind: KeyKind, issued: &IssuedKey) -> Value {
    json!({"id": issued.id.0, "kind": kind.name(), "key": issued.text, "client_id": issued.client_id,
        "account_id": account.to_string()})
}

/// Revoke a key
///
/// Dead at once on this node, within seconds on others.
#[utoipa::path(delete, path = "/keys/{id}", operation_id = "key_revoke", tag = "Keys",
    params(("id" = i64, Path, description = "The key's number", example = 12)),
    responses((status = 204, description = "It opens nothing any more")))]
pub async fn revoke(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = KeyId(number(&id, "key")?);
    let known = state.app.directory().credentials(caller.account).iter().any(|key| key.id == id);
    if !known {
        return Err(refused(Error::NotFound("key")));
    }
    state.app.key_revoke(caller.account, id).await.map_err(refused)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whose user a partner key is for. Its user sees all that the partner has, so a key that is limited makes none.
fn partner(
    state: &WebState,
    caller: &Caller,
    kind: KeyKind,
    name: Option<String>,
) -> Result<Option<PartnerId>, ApiError> {
    let Some(name) = name else { return Ok(None) };
    if kind == KeyKind::Partner && !caller.is_unlimited() {
        return Err(ApiError::forbidden("A key that is limited cannot make a partner key.").with_param("kind"));
    }
    let found = state.app.directory().partner(caller.account, &name).map(|partner| partner.id);
    found.map(Some).ok_or_else(|| ApiError::invalid("partner", "partner must be the id of a partner."))
}

fn texts(fields: &Map<String, Value>, key: &str) -> Result<Option<Vec<String>>, ApiError> {
    let wrong = || ApiError::invalid(key, format!("{key} must be an array of strings."));
    let Some(value) = fields.get(key).filter(|value| !value.is_null()) else { return Ok(None) };
    let items = value.as_array().ok_or_else(wrong)?.iter();
    items.map(|v| v.as_str().map(str::to_owned)).collect::<Option<_>>().map(Some).ok_or_else(wrong)
}

fn to_wire(directory: &Directory, key: &Credential) -> Value {
    let time = |at: Option<i64>| at.map(|at| Instant(at).iso8601());
    let partner = key.partner.and_then(|id| directory.partner_by_id(key.account, id));
    json!({
        "partner": partner.map(|partner| &partner.row.external_id),
        "id": key.id.0, "kind": key.kind.name(), "hint": key.row.hint, "program": key.program.map(|id| id.to_string()),
        "programs": key.programs.iter().map(ToString::to_string).collect::<Vec<_>>(), "origins": key.origins,
        "permissions": key.permissions, "expires_at": time(key.row.expires_at), "revoked_at": time(key.row.revoked_at),
        "created": Instant(key.row.created_at).iso8601(),
    })
}
