//! Paying: payouts marked as paid or unpaid, taken out of sight, and sent together as payments (`rewards-api.md` §7).
//!
//! Nothing is sent from here: an operator sends and says so. Leaves the moves to the operations.

use super::asked::number_in_path;
use super::batches::{self, start};
use super::caller::{Caller, with_rewards_key};
use super::commissions::between_commas;
use super::ids::{self, IDS_MAX};
use super::payouts::{amounts, total};
use super::problem::RewardsError;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::idempotency::{Attempted, given};
use crate::json::field::parse_object;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::batch::BatchAction;
use headwater_app::payout::payments::Payments;
use headwater_app::payout::shown::{PayoutOrder, PayoutShownFilter};
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::payout::PayoutStatus;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Mark payouts as paid
#[utoipa::path(post, path = "/api/v2/company/payouts/mark_as_paid", operation_id = "rewards_payout_mark_as_paid", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "`{data, meta}`: the batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn mark_as_paid(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::PayoutMarkAsPaid).await
}

/// Mark payouts as unpaid
#[utoipa::path(post, path = "/api/v2/company/payouts/mark_as_unpaid", operation_id = "rewards_payout_mark_as_unpaid",
    tag = "Rewards", security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "`{data, meta}`: the batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn mark_as_unpaid(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::PayoutMarkAsUnpaid).await
}

/// Delete payouts
///
/// They are no longer shown here; their commissions can be paid by others.
#[utoipa::path(delete, path = "/api/v2/company/payouts/destroy", operation_id = "rewards_payout_destroy", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "`{data, meta}`: the batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn destroy(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::PayoutDestroy).await
}

async fn act(state: WebState, headers: HeaderMap, body: Body, action: BatchAction) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let ids = ids::ids(&parse_object(&body)?)?;
        // What they are about is read before they are moved: some are no longer shown then.
        let meta = meta(&state, &caller, action, &ids).await?;
        let story = start(&state, &caller, action, ids, Map::new()).await?;
        Ok(batches::answer(&story, json!({"data": batches::to_wire(&story), "meta": meta})))
    })
}

/// What those that can be moved add up to: each unit for itself, `total` of money. What was moved before, or cannot be, is in
/// none of the figures.
async fn meta(state: &WebState, caller: &Caller, action: BatchAction, ids: &[i64]) -> Result<Value, RewardsError> {
    let filter = PayoutShownFilter { ids: Some(between_commas(ids)), ..PayoutShownFilter::default() };
    let most = i64::try_from(IDS_MAX).unwrap_or(i64::MAX);
    let order = (PayoutOrder::CreatedAt, true);
    let mut shown = state.app.payouts_shown(caller.account, filter, None, order, 1, most).await?;
    shown.rows.retain(|row| PayoutStatus::parse(&row.status).is_some_and(|status| is_movable(action, status)));
    let promoters: BTreeSet<_> = shown.rows.iter().filter_map(|row| row.promoter.as_ref().map(|p| p.id)).collect();
    let sums = || shown.rows.iter().map(|row| (row.amount, row.unit));
    let money = total(sums().filter(|(_, unit)| unit.is_money()));
    Ok(json!({
        "total": money,
        "total_incl_tax": money,
        "amounts": amounts(sums()),
        "payouts_count": shown.rows.len(),
        "promoters_count": promoters.len(),
        "all_promoters_count": promoters.len(),
    }))
}

/// Whether the action moves a payout of this status.
fn is_movable(action: BatchAction, status: PayoutStatus) -> bool {
    match action {
        BatchAction::PayoutMarkAsPaid => status.may_become(PayoutStatus::Completed),
        BatchAction::PayoutMarkAsUnpaid => status == PayoutStatus::Completed,
        _ => matches!(status, PayoutStatus::Pending | PayoutStatus::Failed | PayoutStatus::Cancelled),
    }
}

/// Gather payments
///
/// All pending payouts of money whose promoter is paid by this method.
#[utoipa::path(post, path = "/api/v2/company/payouts/create_payments_batch", operation_id = "rewards_payments_create",
    tag = "Rewards", security(("rewards_key" = [])), request_body = Value,
    responses((status = 201, description = "`{data, meta}`: the payments", body = Value)))]
pub async fn create_payments(
    State(state): State<WebState>,
    attempted: Attempted,
    headers: HeaderMap,
    body: Body,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let method = parse_object(&body)?.required_string("method")?;
        let answer = |made: &Payments| json!({"data": to_wire(made), "meta": {"failed": []}});
        let render = move |made: &Payments| given(StatusCode::CREATED, &answer(made));
        let keep = state.app.keep(attempted.map(|Extension(attempt)| attempt), render);
        let payments = state.app.payments_create(caller.account, &method, &caller.actor(), keep).await?;
        Ok((StatusCode::CREATED, Json(answer(&payments))).into_response())
    })
}

/// Confirm payments
///
/// Their payouts are under way.
#[utoipa::path(post, path = "/api/v2/company/payments_batches/{id}/pay", operation_id = "rewards_payments_pay", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "The payments' number")),
    responses((status = 200, description = "`{data}`: the payments", body = Value)))]
pub async fn pay(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = number_in_path(&id, "payments batch")?;
        let payments = state.app.payments_pay(caller.account, id, &caller.actor()).await?;
        Ok(Json(json!({"data": to_wire(&payments)})).into_response())
    })
}

/// Give up payments
///
/// Those that were not confirmed; their payouts can be sent by others.
#[utoipa::path(delete, path = "/api/v2/company/payments_batches/{id}", operation_id = "rewards_payments_delete", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "The payments' number")),
    responses((status = 200, description = "`{data}`: the payments as they were", body = Value)))]
pub async fn delete_payments(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = number_in_path(&id, "payments batch")?;
        let payments = state.app.payments_read(caller.account, id).await?;
        state.app.payments_delete(caller.account, id, &caller.actor()).await?;
        Ok(Json(json!({"data": to_wire(&payments)})).into_response())
    })
}

fn to_wire(payments: &Payments) -> Value {
    let batch = &payments.batch;
    let at = |at: Option<i64>| at.map(|at| Instant(at).iso8601());
    let promoters: BTreeSet<_> = payments.payouts.iter().filter_map(|row| row.partner_id).collect();
    let amounts = payments.payouts.iter().filter_map(|row| {
        let currency = headwater_domain::money::Currency::parse(&row.unit)?;
        Some((Decimal(row.amount), Unit::Currency(currency)))
    });
    json!({
        "id": batch.id,
        "status": batch.status,
        "method": batch.method,
        "ext_reference": null,
        "ext_id": null,
        "scheduled_at": null,
        "created_at": Instant(batch.created_at).iso8601(),
        "processing_started_at": at(batch.processing_started_at),
        "completed_at": at(batch.completed_at),
        "is_payable": batch.status == "awaiting_confirmation",
        "is_retriable": batch.status == "failed",
        "is_payment_otp_required": false,
        "total": total(amounts),
        "promoters_count": promoters.len(),
        "payout_ids": payments.payouts.iter().map(|row| row.id).collect::<Vec<_>>(),
        "error": batch.error,
    })
}
