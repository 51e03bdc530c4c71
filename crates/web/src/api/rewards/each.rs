//! Calls about several promoters or referrals: each id is done for itself, and the batch that says how it went.
//!
//! Leaves commissions and payouts, whose batches survive a restart, to their own. Invariant: one id that cannot be done
//! changes nothing for the others; if none can be, the call is refused.

use super::problem::RewardsError;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use headwater_app::error::{Error, Result};
use headwater_domain::time::Instant;
use serde_json::json;

/// Does `act` for each id in turn, and answers with the finished batch.
pub async fn each<F>(
    label: &str,
    now: Instant,
    ids: Vec<i64>,
    mut act: impl FnMut(i64) -> F,
) -> Result<Response, RewardsError>
where
    F: Future<Output = Result<()>>,
{
    let total = ids.len();
    let mut complaints = Vec::new();
    for id in ids {
        match act(id).await {
            Ok(()) => {}
            Err(error @ (Error::Busy | Error::Store(_))) => return Err(error.into()),
            Err(error) => complaints.push(format!("{id}: {error}")),
        }
    }
    if complaints.len() == total {
        return Err(RewardsError::operation_failed(complaints.join("; ")));
    }
    let body = json!({
        "id": null, "status": "completed", "total": total, "selected_total": total, "processed_count": total,
        "failed_count": complaints.len(), "action_label": label, "created_at": now.iso8601(), "updated_at": now.iso8601(),
        "meta": {}, "progress": 100, "processing_errors": complaints,
    });
    Ok(Json(body).into_response())
}
