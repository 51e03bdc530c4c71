//! Approving, denying, fulfilling and paying commissions, several at once (`rewards-api.md` §4, §6).
//!
//! Each call is one action of a batch; leaves the batch to `batches` and the rules to the operations.

use super::batches::act;
use crate::state::WebState;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use headwater_app::batch::BatchAction;
use http::HeaderMap;

/// Approve commissions
///
/// Up to five are approved within the call; more go on in a batch (202). An approved reward has a payout at once.
#[utoipa::path(post, path = "/api/v2/company/commissions/approve", operation_id = "rewards_commission_approve", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn approve(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::CommissionApprove).await
}

/// Deny commissions
///
/// Nothing is issued for them. One that was approved can be denied while nothing of it was paid.
#[utoipa::path(post, path = "/api/v2/company/commissions/deny", operation_id = "rewards_commission_deny", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn deny(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::CommissionDeny).await
}

/// Mark commissions as fulfilled
///
/// For rewards that are not cash and were delivered: the payout of each is completed.
#[utoipa::path(post, path = "/api/v2/company/commissions/mark_fulfilled", operation_id = "rewards_commission_mark_fulfilled",
    tag = "Rewards", security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn mark_fulfilled(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::CommissionMarkFulfilled).await
}

/// Mark commissions as unfulfilled
///
/// The payout of each is pending again.
#[utoipa::path(post, path = "/api/v2/company/commissions/mark_unfulfilled",
    operation_id = "rewards_commission_mark_unfulfilled", tag = "Rewards", security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn mark_unfulfilled(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::CommissionMarkUnfulfilled).await
}

/// Make payouts of commissions
///
/// Those of one promoter, unit and campaign go into one payout.
#[utoipa::path(post, path = "/api/v2/company/commissions/generate_payouts",
    operation_id = "rewards_commission_generate_payouts", tag = "Rewards", security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn generate_payouts(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::CommissionGeneratePayouts).await
}

/// Delete commissions
///
/// They are no longer shown here; the ledger takes them back with entries of its own.
#[utoipa::path(delete, path = "/api/v2/company/commissions/destroy", operation_id = "rewards_commission_destroy", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The batch, which is over", body = Value), (status = 202, description = "The batch, which goes on", body = Value)))]
pub async fn destroy(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    act(state, headers, body, BatchAction::CommissionDestroy).await
}
