//! `/payouts`: list, read, run, and what became of one.

use super::commissions::amount;
use super::payout_schema::{NewPayouts, Payout, PayoutFailure, PayoutFilters, PayoutPage, PayoutRun, PayoutStatement};
use super::wire::{
    Answer, Caller, Created, Query, actor, after, asked, number, object, only, partner_name, refused, rows, text,
};
use super::zone::{Edge, moment};
use crate::asked::Path;
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::error::Error;
use headwater_app::payout::{PayoutFilter, PayoutRow};
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::payout::PayoutStatus;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode, header};
use serde_json::{Map, Value, json};

/// Characters of what `fail` says.
const ERROR_CHARACTERS_MAX: usize = 1000;

/// List payouts
///
/// Newest first.
#[utoipa::path(get, path = "/payouts", operation_id = "payout_list", tag = "Payouts", params(PayoutFilters),
    responses((status = 200, description = "A page of payouts", body = PayoutPage)))]
pub async fn list(State(state): State<WebState>, caller: Caller, query: Query) -> Answer {
    let page = Page::from_query(&query)?;
    let status = asked(&query, "status");
    if status.as_ref().is_some_and(|status| PayoutStatus::parse(status).is_none()) {
        return Err(ApiError::invalid("status", "status must be pending, processing, completed, failed or cancelled."));
    }
    let partner = match asked(&query, "partner") {
        None => None,
        Some(name) => match state.app.partner_read(caller.account, &name) {
            Ok(partner) => Some(partner.id.0),
            Err(_) => return Ok(Json(page.to_wire(Vec::new()))),
        },
    };
    let program_id = match asked(&query, "program").map(|text| text.parse()) {
        None => None,
        Some(Ok(id)) => Some(id),
        Some(Err(_)) => return Ok(Json(page.to_wire(Vec::new()))),
    };
    let has_issues = match asked(&query, "has_issues").as_deref() {
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(ApiError::invalid("has_issues", "has_issues must be true or false.")),
    };
    let filter = PayoutFilter {
        program_id,
        partner_id: partner,
        status,
        unit: asked(&query, "unit"),
        has_issues,
        before_id: after(&page)?,
    };
    let found = state.app.payout_list(caller.account, filter, rows(&page)).await.map_err(refused)?;
    Ok(Json(page.to_wire(found.iter().map(|row| to_wire(&state, row)).collect())))
}

/// Read a payout
///
/// With the numbers of its commissions.
#[utoipa::path(get, path = "/payouts/{id}", operation_id = "payout_read", tag = "Payouts",
    params(("id" = i64, Path, description = "The payout's number", example = 31)),
    responses((status = 200, description = "The payout", body = Payout)))]
pub async fn read(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer {
    let story = state.app.payout_read(caller.account, number(&id, "payout")?).await.map_err(refused)?;
    let mut object = to_wire(&state, &story.payout);
    object["commission_ids"] = story.commissions.into();
    Ok(Json(object))
}

/// Read a payout's statement
///
/// Signed: saved as it is, `headwater statement verify` checks it without this server.
#[utoipa::path(get, path = "/payouts/{id}/statement", operation_id = "payout_statement", tag = "Payouts",
    params(("id" = i64, Path, description = "The payout's number", example = 31)),
    responses((status = 200, description = "The statement", body = PayoutStatement)))]
pub async fn statement(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let text = state.app.payout_statement(caller.account, number(&id, "payout")?, None).await.map_err(refused)?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text).into_response())
}

/// Read a payments file
///
/// What a bank is given of payouts that are sent together: CSV with a header, a line for each payout.
#[utoipa::path(get, path = "/payments/{id}/file", operation_id = "payments_file", tag = "Payouts",
    params(("id" = i64, Path, description = "The number of the payments batch", example = 31)),
    responses((status = 200, description = "The file", body = String, content_type = "text/csv")))]
pub async fn payments_file(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let text = state.app.payments_file(caller.account, number(&id, "payments_batch")?).await.map_err(refused)?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], text).into_response())
}

/// Run payouts
///
/// One payout for each partner and unit over its minimum, of what is payable until then.
#[utoipa::path(post, path = "/payouts", operation_id = "payout_create", tag = "Payouts", request_body = NewPayouts,
    responses((status = 201, description = "The payouts that were made", body = PayoutRun)))]
pub async fn create(State(state): State<WebState>, caller: Caller, headers: HeaderMap, body: Body) -> Created {
    let fields = object(&headers, body).await?;
    only(&fields, &["program", "until"])?;
    let program = match fields.get("program") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => return Err(ApiError::invalid("program", "program is required: send the id of a program.")),
    };
    let program = program.map(ProgramId).ok_or_else(|| refused(Error::NotFound("program")))?;
    let until = text(&fields, "until")?;
    let until = moment(&state, caller.account, Some(program), "until", until.as_deref(), Edge::End)?;
    let until = until.unwrap_or_else(|| state.app.clock.now());
    let run = state.app.payout_run(caller.account, program, until, &actor(&caller)).await.map_err(refused)?;
    let made: Vec<_> = run.made.iter().map(|row| to_wire(&state, row)).collect();
    let skipped: Vec<_> = run
        .skipped
        .iter()
        .map(|skipped| {
            json!({
                "partner": partner_name(&state, caller.account, skipped.partner.0), "unit": skipped.unit,
                "amount": amount(skipped.amount.0, &skipped.unit), "reason": skipped.reason,
            })
        })
        .collect();
    let body = json!({"object": "list", "data": made, "has_more": false, "next_cursor": null, "skipped": skipped});
    Ok((StatusCode::CREATED, Json(body)))
}

/// Complete a payout
///
/// It was paid. An empty body is as good as `{}`.
#[utoipa::path(post, path = "/payouts/{id}/complete", operation_id = "payout_complete", tag = "Payouts",
    params(("id" = i64, Path, description = "The payout's number", example = 31)),
    responses((status = 200, description = "The payout as it is now", body = Payout)))]
pub async fn complete(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = fields_or_none(&headers, body).await?;
    only(&fields, &[])?;
    finish(&state, &caller, &id, PayoutStatus::Completed, None).await
}

/// Fail a payout
///
/// It was not paid; what it held is payable again.
#[utoipa::path(post, path = "/payouts/{id}/fail", operation_id = "payout_fail", tag = "Payouts",
    params(("id" = i64, Path, description = "The payout's number", example = 31)), request_body = PayoutFailure,
    responses((status = 200, description = "The payout as it is now", body = Payout)))]
pub async fn fail(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = fields_or_none(&headers, body).await?;
    only(&fields, &["error"])?;
    finish(&state, &caller, &id, PayoutStatus::Failed, Some(said(&fields)?)).await
}

/// Cancel a payout
///
/// It shall not be paid; what it held is payable again. An empty body is as good as `{}`.
#[utoipa::path(post, path = "/payouts/{id}/cancel", operation_id = "payout_cancel", tag = "Payouts",
    params(("id" = i64, Path, description = "The payout's number", example = 31)),
    responses((status = 200, description = "The payout as it is now", body = Payout)))]
pub async fn cancel(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer {
    let fields = fields_or_none(&headers, body).await?;
    only(&fields, &[])?;
    finish(&state, &caller, &id, PayoutStatus::Cancelled, None).await
}

async fn fields_or_none(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, ApiError> {
    let bytes = crate::body::read(headers, body, crate::body::REFERRAL_BYTES_MAX).await?;
    if bytes.is_empty() { Ok(Map::new()) } else { object(headers, Body::from(bytes)).await }
}

async fn finish(state: &WebState, caller: &Caller, id: &str, status: PayoutStatus, error: Option<String>) -> Answer {
    let id = number(id, "payout")?;
    let done = state.app.payout_finish(caller.account, id, status, error, &actor(caller)).await.map_err(refused)?;
    Ok(Json(to_wire(state, &done)))
}

fn said(fields: &Map<String, Value>) -> Result<String, ApiError> {
    let text = text(fields, "error")?.filter(|text| text.chars().count() <= ERROR_CHARACTERS_MAX);
    let wrong = || {
        ApiError::invalid("error", format!("error is required: say why, in at most {ERROR_CHARACTERS_MAX} characters."))
    };
    text.ok_or_else(wrong)
}

fn to_wire(state: &WebState, row: &PayoutRow) -> Value {
    let settings: Value = serde_json::from_str(&row.settings).unwrap_or_default();
    json!({
        "id": row.id,
        "program": row.program_id.to_string(),
        "partner": row.partner_id.map(|partner| partner_name(state, AccountId(row.account_id), partner)),
        "customer": row.customer_id,
        "unit": row.unit,
        "amount": amount(row.amount, &row.unit),
        "status": row.status,
        "method": settings["method"],
        "details": settings["details"],
        "commissions": row.commissions,
        "until": Instant(row.until_at).iso8601(),
        "error": row.error,
        "has_issues": row.has_issues,
        "created": Instant(row.created_at).iso8601(),
        "finished": row.finished_at.map(|at| Instant(at).iso8601()),
    })
}
