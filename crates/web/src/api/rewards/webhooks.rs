//! `/api/v2/company/webhooks`: subscriptions to what happens (`rewards-api.md` §5, §10).
//!
//! Leaves what is delivered, signed and tried again to the operations. Invariant: a secret is in the answer that made it
//! and in no other, and a password in none.

use super::asked::{Address, Known, Query, number_in_path};
use super::caller::with_rewards_key;
use super::page::{PER_PAGE_OF_WEBHOOKS, Page};
use super::problem::RewardsError;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::idempotency::{Attempted, given};
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::webhook::{TrialRequest, Webhook, WebhookChange};
use headwater_domain::ids::{EndpointId, ProgramId};
use headwater_domain::postback::retry::Profile;
use headwater_domain::postback::rewards_event;
use headwater_domain::postback::signature::Secret;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// In a list of campaigns: all of them. Our own numbers start at 1000.
const ALL_CAMPAIGNS: i64 = 1;

/// List event types
///
/// Every name that a webhook can listen to, sorted.
#[utoipa::path(get, path = "/api/v2/company/webhooks/event_types", operation_id = "rewards_event_types", tag = "Rewards",
    security(("rewards_key" = [])), responses((status = 200, description = "`{data: […]}`", body = Value)))]
pub async fn event_types(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |_caller| {
        Query::parse(&address.query, &Known::NOTHING)?;
        Ok(Json(json!({"data": rewards_event::names()})).into_response())
    })
}

/// List webhooks
///
/// Newest first, without secrets.
#[utoipa::path(get, path = "/api/v2/company/webhooks", operation_id = "rewards_webhook_list", tag = "Rewards",
    security(("rewards_key" = [])),
    params(("page" = Option<String>, Query, description = "From 1"), ("per_page" = Option<String>, Query, description = "At most 100; 25")),
    responses((status = 200, description = "A page; totals are in headers", body = Value)))]
pub async fn list(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let page = Page::parse(&Query::parse(&address.query, &Known::NOTHING)?, PER_PAGE_OF_WEBHOOKS)?;
        let (webhooks, total) = state.app.webhook_list(caller.account, page.per_page, page.offset()).await?;
        Ok(page.answer(&address, webhooks.iter().map(to_wire).collect(), total))
    })
}

/// Create a webhook
///
/// The one answer that shows its `secret_key`.
#[utoipa::path(post, path = "/api/v2/company/webhooks", operation_id = "rewards_webhook_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 201, description = "The webhook with its secret", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let change = change(&parse_object(&body)?)?;
        let render = |made: &(Webhook, Secret)| given(StatusCode::CREATED, &with_secret(made));
        let keep = state.app.keep(attempted.map(|Extension(attempt)| attempt), render);
        let made = state.app.webhook_create(caller.account, change, keep).await?;
        Ok((StatusCode::CREATED, Json(with_secret(&made))).into_response())
    })
}

/// Read a webhook
#[utoipa::path(get, path = "/api/v2/company/webhooks/{id}", operation_id = "rewards_webhook_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "The webhook's number")),
    responses((status = 200, description = "The webhook", body = Value)))]
pub async fn get(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let webhook = state.app.webhook_read(caller.account, webhook_id(&id)?).await?;
        Ok(Json(to_wire(&webhook)).into_response())
    })
}

/// Change a webhook
///
/// What is left out stays as it is.
#[utoipa::path(put, path = "/api/v2/company/webhooks/{id}", operation_id = "rewards_webhook_change", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "The webhook's number")), request_body = Value,
    responses((status = 200, description = "The webhook as it is now", body = Value)))]
pub async fn put(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = webhook_id(&id)?;
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let change = change(&parse_object(&body)?)?;
        let webhook = state.app.webhook_update(caller.account, id, change).await?;
        Ok(Json(to_wire(&webhook)).into_response())
    })
}

/// Delete a webhook
///
/// Its deliveries are dropped with it; what is being sent finishes.
#[utoipa::path(delete, path = "/api/v2/company/webhooks/{id}", operation_id = "rewards_webhook_delete", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "The webhook's number")),
    responses((status = 200, description = "The webhook as it was", body = Value)))]
pub async fn delete(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let webhook = state.app.webhook_delete(caller.account, webhook_id(&id)?).await?;
        Ok(Json(to_wire(&webhook)).into_response())
    })
}

/// Rotate a webhook's secret
///
/// The new secret is shown once. A delivery that was made before keeps its old one on retry.
#[utoipa::path(post, path = "/api/v2/company/webhooks/{id}/rotate_secret", operation_id = "rewards_webhook_rotate",
    tag = "Rewards", security(("rewards_key" = [])), params(("id" = String, Path, description = "The webhook's number")),
    responses((status = 200, description = "The webhook with its new secret", body = Value)))]
pub async fn rotate(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let made = state.app.webhook_rotate_secret(caller.account, webhook_id(&id)?).await?;
        Ok(Json(with_secret(&made)).into_response())
    })
}

/// Try a receiver
///
/// Sends one made-up delivery, signed with a secret that is thrown away, and says what the receiver answered.
#[utoipa::path(post, path = "/api/v2/company/webhooks/test", operation_id = "rewards_webhook_test", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "What the receiver did", body = Value)))]
pub async fn test(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let request = TrialRequest {
            url: fields.required_string("url")?,
            event_type: fields.required_string("event_type")?,
            headers: own_headers(&fields)?.unwrap_or_default(),
            basic_auth_user: fields.optional_string("basic_auth_user")?,
            basic_auth_password: fields.optional_string("basic_auth_password")?,
        };
        let trial = state.app.webhook_try(caller.account, request).await?;
        let attempt = trial.attempt.as_ref();
        Ok(Json(json!({
            "status": if trial.is_delivered { "delivered" } else { "failed" },
            "response_code": attempt.and_then(|attempt| attempt.status),
            "response_body": attempt.and_then(|attempt| attempt.response.as_deref()),
            "error": attempt.and_then(|attempt| attempt.error.as_deref()),
            "duration_ms": attempt.map(|attempt| attempt.duration_millis),
        }))
        .into_response())
    })
}

pub(super) fn webhook_id(text: &str) -> Result<EndpointId, RewardsError> {
    number_in_path(text, "webhook").map(EndpointId)
}

/// What a body says of a webhook; what cannot be cleared is not taken as `null`.
fn change(fields: &Fields<'_>) -> Result<WebhookChange, RewardsError> {
    fields.refuse_null(&["url", "event_types", "active", "timeout", "max_retries", "retry_profile"])?;
    let cleared = |name: &str| fields.raw(name).is_some();
    let description = fields.optional_string("description")?;
    let user = fields.optional_string("basic_auth_user")?.filter(|user| !user.is_empty());
    let profile = fields.optional_string("retry_profile")?.map(|name| {
        let message = "retry_profile must be linear20, exp2 or long.";
        Profile::parse(&name).ok_or_else(|| RewardsError::invalid("retry_profile", message))
    });
    Ok(WebhookChange {
        url: fields.optional_string("url")?,
        event_types: fields.optional_strings("event_types")?,
        programs: campaigns(fields)?,
        description: cleared("description").then_some(description),
        is_active: fields.optional_bool("active")?,
        timeout_seconds: fields.optional_integer("timeout")?,
        max_retries: fields.optional_integer("max_retries")?,
        retry_profile: profile.transpose()?,
        headers: own_headers(fields)?,
        basic_auth_user: cleared("basic_auth_user").then_some(user),
        basic_auth_password: fields.optional_string("basic_auth_password")?,
        is_basic_auth_enabled: fields.optional_bool("basic_auth_enabled")?,
    })
}

/// `campaign_ids`: `[1]` alone and none mean all; beside others, 1 is a campaign like them, which nobody has.
fn campaigns(fields: &Fields<'_>) -> Result<Option<Vec<ProgramId>>, RewardsError> {
    let Some(text) = fields.raw("campaign_ids").filter(|text| *text != "null") else { return Ok(None) };
    let wrong = || RewardsError::invalid("campaign_ids", "campaign_ids must be a list of campaigns, or [1] for all.");
    let ids: Vec<i64> = serde_json::from_str(text).map_err(|_| wrong())?;
    let all = ids == [ALL_CAMPAIGNS];
    Ok(Some(if all { Vec::new() } else { ids.into_iter().map(ProgramId).collect() }))
}

fn own_headers(fields: &Fields<'_>) -> Result<Option<BTreeMap<String, String>>, RewardsError> {
    let Some(headers) = fields.optional_object("headers")? else { return Ok(None) };
    let mut own = BTreeMap::new();
    for name in headers.names() {
        headers.refuse_null(&[name])?;
        let value = headers.optional_string(name)?;
        own.insert(name.to_owned(), value.unwrap_or_default());
    }
    Ok(Some(own))
}

fn to_wire(webhook: &Webhook) -> Value {
    let campaigns: Vec<i64> = webhook.programs.iter().map(|program| program.0).collect();
    json!({
        "id": webhook.id.0,
        "url": webhook.url,
        "event_types": webhook.event_types,
        "campaign_ids": if campaigns.is_empty() { vec![ALL_CAMPAIGNS] } else { campaigns },
        "description": webhook.description,
        "active": webhook.is_active,
        "timeout": webhook.timeout_seconds,
        "max_retries": webhook.max_retries,
        "retry_profile": webhook.retry_profile.name(),
        "headers": webhook.headers,
        "basic_auth_user": webhook.basic_auth_user,
        "basic_auth_enabled": webhook.is_basic_auth_enabled,
        "created_at": webhook.created_at.iso8601(),
        "updated_at": webhook.updated_at.iso8601(),
    })
}

fn with_secret((webhook, secret): &(Webhook, Secret)) -> Value {
    let mut wire = to_wire(webhook);
    wire["secret_key"] = secret.secret_key().into();
    wire
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_change(body: &str) -> Result<WebhookChange, &'static str> {
        change(&parse_object(body.as_bytes()).expect("an object")).map_err(|error| error.code())
    }

    #[test]
    fn one_means_all_campaigns() {
        let programs = |body: &str| read_change(body).expect(body).programs;
        assert_eq!(programs("{}"), None);
        assert_eq!(programs(r#"{"campaign_ids":[1]}"#), Some(vec![]));
        assert_eq!(programs(r#"{"campaign_ids":[1,1201]}"#), Some(vec![ProgramId(1), ProgramId(1201)]));
        assert_eq!(programs(r#"{"campaign_ids":[1201,1202]}"#), Some(vec![ProgramId(1201), ProgramId(1202)]));
        assert_eq!(read_change(r#"{"campaign_ids":"1"}"#).expect_err("text"), "invalid_record");
    }

    #[test]
    fn null_clears_what_can_be_cleared() {
        let cleared = read_change(r#"{"description":null,"basic_auth_user":null}"#).expect("a change");
        assert_eq!((cleared.description, cleared.basic_auth_user), (Some(None), Some(None)));
        for body in
            [r#"{"url":null}"#, r#"{"event_types":null}"#, r#"{"retry_profile":"fast"}"#, r#"{"headers":{"a":1}}"#]
        {
            assert_eq!(read_change(body).expect_err(body), "invalid_record", "{body}");
        }
    }
}
