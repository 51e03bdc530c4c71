//! `/commissions`: list, read, explain, approve, deny.

use super::money_schema as schema;
use super::money_schema::{Commission, CommissionFilters, Decided, Decision};
use super::wire::{Answer, Caller, Query, actor, after, asked, number, object, only, partner_name, refused, rows};
use crate::asked::Path;
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use headwater_app::commission::{CommissionFilter, CommissionRow, Verdict};
use headwater_domain::commission::full_explanation;
use headwater_domain::ids::CommissionId;
use headwater_domain::ledger::statement::amount_text;
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::{Map, Value, json};

/// Commissions that one request may decide.
const IDS_MAX: usize = 1000;
/// What `status` may ask for; `payable` is `approved` with the hold over.
const STATUSES: [&str; 7] = ["pending", "approved", "payable", "in_payout", "paid", "denied", "fulfilled"];

/// List commissions
///
/// Newest first.
#[utoipa::path(get, path = "/commissions", operation_id = "commission_list", tag = "Commissions",
    params(CommissionFilters),
    responses((status = 200, description = "A page of commissions", body = schema::CommissionPage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = Page::from_query(&query)?;
    let partner = match asked(&query, "partner") {
        None => None,
        Some(name) => match state.app.partner_read(caller.account, &name) {
            Ok(partner) => Some(partner.id.0),
            Err(_) => return Ok(Json(page.to_wire(Vec::new()))),
        },
    };
    let customer = match asked(&query, "customer").map(|text| text.parse()) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Ok(Json(page.to_wire(Vec::new()))),
    };
    let status = asked(&query, "status");
    if status.as_ref().is_some_and(|status| !STATUSES.contains(&status.as_str())) {
        return Err(ApiError::invalid("status", format!("status must be one of {}.", STATUSES.join(", "))));
    }
    let filter = CommissionFilter {
        partner_id: partner,
        customer_id: customer,
        rule: asked(&query, "rule"),
        status,
        unit: asked(&query, "unit"),
        period: asked(&query, "period"),
        fact_id: None,
        is_due: None,
        before_id: after(&page)?,
    };
    let found = state.app.commission_list(caller.account, filter, rows(&page)).await.map_err(refused)?;
    Ok(Json(page.to_wire(found.iter().map(|row| to_wire(&state, row)).collect())))
}

/// Read a commission
#[utoipa::path(get, path = "/commissions/{id}", operation_id = "commission_read", tag = "Commissions",
    params(("id" = i64, Path, description = "The commission's number", example = 7101)),
    responses((status = 200, description = "The commission", body = Commission)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = CommissionId(number(&id, "commission")?);
    let row = state.app.commission_read(caller.account, id).await.map_err(refused)?;
    Ok(Json(to_wire(&state, &row)))
}

/// Explain a commission
///
/// The plan and the rule, the inputs, the exact and the rounded amount.
#[utoipa::path(get, path = "/commissions/{id}/explain", operation_id = "commission_explain", tag = "Commissions",
    params(("id" = i64, Path, description = "The commission's number", example = 7101)),
    responses((status = 200, description = "The explanation", body = schema::Explanation)))]
pub async fn explain(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let id = CommissionId(number(&id, "commission")?);
    let row = state.app.commission_read(caller.account, id).await.map_err(refused)?;
    let mut explanation = explanation(&row);
    explanation["commission"] = row.id.into();
    Ok(Json(explanation))
}

/// Approve commissions
///
/// What is pending is owed from now on. Those that cannot be decided are named in `failed`.
#[utoipa::path(post, path = "/commissions/approve", operation_id = "commission_approve", tag = "Commissions",
    request_body = Decision, responses((status = 200, description = "What was decided", body = Decided)))]
pub async fn approve(State(state): State<WebState>, caller: Caller, headers: HeaderMap, body: Body) -> Answer {
    decide(state, caller, headers, body, Verdict::Approve).await
}

/// Deny commissions
///
/// What is pending is not owed. Those that cannot be decided are named in `failed`.
#[utoipa::path(post, path = "/commissions/deny", operation_id = "commission_deny", tag = "Commissions",
    request_body = Decision, responses((status = 200, description = "What was decided", body = Decided)))]
pub async fn deny(State(state): State<WebState>, caller: Caller, headers: HeaderMap, body: Body) -> Answer {
    decide(state, caller, headers, body, Verdict::Deny).await
}

async fn decide(state: WebState, caller: Caller, headers: HeaderMap, body: Body, verdict: Verdict) -> Answer {
    let fields = object(&headers, body).await?;
    only(&fields, &["ids"])?;
    let ids = ids(&fields)?;
    let decided = state.app.commissions_decide(caller.account, ids, verdict, actor(&caller)).await.map_err(refused)?;
    let failed: Vec<_> = decided
        .failed
        .iter()
        .map(|undecided| json!({"id": undecided.id, "code": undecided.code, "message": undecided.message}))
        .collect();
    let done: Vec<_> = decided.done.iter().map(|row| to_wire(&state, row)).collect();
    Ok(Json(json!({"object": "list", "data": done, "failed": failed})))
}

/// Numbers, or their decimal strings.
fn ids(fields: &Map<String, Value>) -> Result<Vec<i64>, ApiError> {
    let wrong = || ApiError::invalid("ids", format!("ids must be an array of 1 to {IDS_MAX} commission ids."));
    let items = fields.get("ids").and_then(Value::as_array).ok_or_else(wrong)?;
    if items.is_empty() || items.len() > IDS_MAX {
        return Err(wrong());
    }
    let id = |item: &Value| item.as_i64().or_else(|| item.as_str()?.parse().ok());
    items.iter().map(|item| id(item).ok_or_else(wrong)).collect()
}

/// The stored explanation, with the plan that priced it.
pub(super) fn explanation(row: &CommissionRow) -> Value {
    let mut explanation = full_explanation(&row.explanation);
    explanation["plan"] = row.plan.clone().into();
    explanation["version"] = row.plan_number.into();
    if explanation.get("reason").is_none() {
        explanation["reason"] = Value::Null;
    }
    explanation
}

/// The commission object.
pub(super) fn to_wire(state: &WebState, row: &CommissionRow) -> Value {
    let account = headwater_domain::ids::AccountId(row.account_id);
    json!({
        "id": row.id,
        "partner": row.partner_id.map(|id| partner_name(state, account, id)),
        "customer": row.customer_id.or(Some(row.person_id).filter(|person| *person != 0)),
        "rule": row.rule,
        "level": row.level,
        "status": row.status,
        "unit": row.unit,
        "amount": amount(row.amount, &row.unit),
        "period": row.period,
        "for_period": row.for_period,
        "payable_at": Instant(row.payable_at).iso8601(),
        // One that was made by hand has none.
        "fact": Some(row.fact_id).filter(|fact| *fact != 0),
        "corrects": row.corrects,
        "created": Instant(row.created_at).iso8601(),
    })
}

/// A signed decimal in major units, with the digits of its unit.
pub(super) fn amount(micros: i64, unit: &str) -> String {
    amount_text(Decimal(micros), unit)
}
