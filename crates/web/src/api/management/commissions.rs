//! `/commissions`: list, read, explain.

use super::money_schema as schema;
use super::money_schema::{Commission, CommissionFilters};
use super::wire::{Answer, Caller, Query, after, asked, number, partner_name, refused, rows};
use crate::asked::Path;
use crate::page::Page;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use headwater_app::commission::{CommissionFilter, CommissionRow};
use headwater_domain::ids::CommissionId;
use headwater_domain::money::{Currency, Decimal, Unit};
use headwater_domain::time::Instant;
use serde_json::{Value, json};

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
    let customer = asked(&query, "customer").map(|text| number(&text, "customer")).transpose()?;
    let filter = CommissionFilter {
        partner_id: partner,
        customer_id: customer,
        rule: asked(&query, "rule"),
        status: asked(&query, "status"),
        unit: asked(&query, "unit"),
        period: asked(&query, "period"),
        fact_id: None,
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

/// The stored explanation, with the plan that priced it.
pub(super) fn explanation(row: &CommissionRow) -> Value {
    let mut explanation: Value = serde_json::from_str(&row.explanation).unwrap_or_default();
    if !explanation.is_object() {
        explanation = json!({});
    }
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
        "customer": row.customer_id.unwrap_or(row.person_id),
        "rule": row.rule,
        "level": row.level,
        "status": row.status,
        "unit": row.unit,
        "amount": amount(row.amount, &row.unit),
        "period": row.period,
        "for_period": row.for_period,
        "payable_at": Instant(row.payable_at).iso8601(),
        "fact": row.fact_id,
        "corrects": row.corrects,
        "created": Instant(row.created_at).iso8601(),
    })
}

/// A signed decimal in major units, with the digits of its unit.
pub(super) fn amount(micros: i64, unit: &str) -> String {
    let currency = Currency::parse(unit).or_else(|| Currency::parse("USD"));
    let digits = currency.and_then(|currency| Unit::parse(unit, currency)).map_or(2, Unit::minor_digits);
    Decimal(micros).to_text(digits)
}
