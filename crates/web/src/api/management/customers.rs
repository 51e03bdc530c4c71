//! `/customers/{id}`: a person, its accounts, its attribution and how far it is; binding it by hand, and forgetting it.

use super::fact_schema::{Attribution, Customer};
use super::wire::{Answer, Caller, object, only, partner_name, refused, text};
use super::zone::{Edge, moment};
use crate::asked::Path;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::customer::CustomerStory;
use headwater_app::progress::Progress;
use headwater_domain::ids::ProgramId;
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::{Value, json};

/// Read a client
///
/// The person, its accounts, and who brought it with the evidence.
#[utoipa::path(get, path = "/customers/{id}", operation_id = "customer_read", tag = "Customers",
    params(("id" = String, Path, description = "The broker's id of the account, else the client's number, the `clientId` of events",
        example = "512")),
    responses((status = 200, description = "The client", body = Customer)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = state.app.customer_named(caller.account, &id).await.map_err(refused)?;
    let story = state.app.customer_read(caller.account, id).await.map_err(refused)?;
    let progress = state.app.customer_progress(caller.account, id).await.map_err(refused)?;
    let mut client = to_wire(&state, &caller, &story);
    client["qualification"] = progress.iter().map(progress_to_wire).collect();
    Ok(Json(client))
}

/// Bind a client by hand
///
/// From an instant on it is this partner's. The reason stays with the binding, and what that is worth is posted anew.
#[utoipa::path(post, path = "/customers/{id}/attribute", operation_id = "customer_attribute", tag = "Customers",
    params(("id" = String, Path, description = "The broker's id of the account, else the client's number", example = "512")),
    request_body = Attribution, responses((status = 200, description = "The client", body = Customer)))]
pub async fn attribute(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = object(&headers, body).await?;
    only(&fields, &["partner", "at", "reason"])?;
    let required = |key: &str| text(&fields, key)?.ok_or_else(|| ApiError::invalid(key, format!("{key} is required.")));
    let (partner, reason) = (required("partner")?, required("reason")?);
    let id = state.app.customer_named(caller.account, &id).await.map_err(refused)?;
    let program = state.app.customer_read(caller.account, id).await.map_err(refused)?.person.program_id;
    let at = text(&fields, "at")?;
    let at = moment(&state, caller.account, Some(ProgramId(program)), "at", at.as_deref(), Edge::Start)?;
    let story = state.app.customer_attribute(caller.account, id, &partner, at, &reason).await.map_err(refused)?;
    Ok(Json(to_wire(&state, &caller, &story)))
}

/// Forget a client
///
/// Its personal data are erased; what was earned by it stays in the books.
#[utoipa::path(post, path = "/customers/{id}/erase", operation_id = "customer_erase", tag = "Customers",
    params(("id" = String, Path, description = "The broker's id of the account, else the client's number", example = "512")),
    responses((status = 200, description = "What is left", body = Customer)))]
pub async fn erase(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = state.app.customer_named(caller.account, &id).await.map_err(refused)?;
    let story = state.app.customer_erase(caller.account, id).await.map_err(refused)?;
    Ok(Json(to_wire(&state, &caller, &story)))
}

fn progress_to_wire(progress: &Progress) -> Value {
    let states = progress.report.states.iter();
    let states = states.map(|state| {
        json!({"condition": state.name, "needed": state.needed, "value": state.value, "missing": state.missing})
    });
    json!({
        "rule": progress.rule,
        "met": progress.report.missing.is_empty(),
        "conditions": states.collect::<Vec<_>>(),
        "missing": progress.report.missing,
    })
}

fn to_wire(state: &WebState, caller: &Caller, story: &CustomerStory) -> Value {
    let person = &story.person;
    let email = caller.may("pii:read").then_some(person.email_key.as_str()).filter(|email| !email.is_empty());
    let accounts: Vec<_> = story
        .accounts
        .iter()
        .map(|row| {
            json!({
                "id": row.id, "external_id": row.external_id, "country": row.country, "account_type": row.account_type,
                "registered": Instant(row.registered_at).iso8601(),
            })
        })
        .collect();
    let bindings: Vec<Value> = story.bindings.iter().map(|row| json!({
        "partner": partner_name(state, caller.account, row.partner_id), "link": row.link_id, "click": row.click_id,
        "from": Instant(row.from_at).iso8601(), "clicked": row.clicked_at.map(|at| Instant(at).iso8601()),
        "evidence": row.evidence, "reason": row.reason, "recorded": Instant(row.recorded_at).iso8601(),
    })).collect();
    json!({
        "id": person.id,
        "program": person.program_id.to_string(),
        "person": {"email": email, "name": person.name.as_deref().filter(|_| caller.may("pii:read"))},
        "accounts": accounts,
        "attribution": bindings.last(),
        "attributions": bindings,
        "events": person.event_types.split_whitespace().collect::<Vec<_>>(),
        "qualified": person.qualified_at.map(|at| Instant(at).iso8601()),
        "created": Instant(person.created_at).iso8601(),
    })
}
