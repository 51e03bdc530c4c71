//! `/customers/{id}`: a person, its accounts and its attribution.

use super::schema::Customer;
use super::wire::{Answer, Caller, partner_name, refused};
use crate::asked::Path;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use headwater_domain::time::Instant;
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
        "partner": partner_name(&state, caller.account, row.partner_id), "link": row.link_id, "click": row.click_id,
        "from": Instant(row.from_at).iso8601(), "clicked": row.clicked_at.map(|at| Instant(at).iso8601()),
        "evidence": row.evidence, "reason": row.reason, "recorded": Instant(row.recorded_at).iso8601(),
    })).collect();
    Ok(Json(json!({
        "id": person.id,
        "program": person.program_id.to_string(),
        "person": {"email": email, "name": person.name.as_deref().filter(|_| caller.may("pii:read"))},
        "accounts": accounts,
        "attribution": bindings.last(),
        "attributions": bindings,
        "events": person.event_types.split_whitespace().collect::<Vec<_>>(),
        "qualified": person.qualified_at.map(|at| Instant(at).iso8601()),
        "created": Instant(person.created_at).iso8601(),
    })))
}
