//! What became of each record of a request, as this dialect says it (`brand-api.md` §5).
//!
//! A record is one or several canonical ones; its answer is theirs together. Leaves reading records to their routes.

use super::caller::{Brand, BrandError};
use crate::body::{BULK_BYTES_MAX, read};
use crate::idempotency::given;
use crate::json::records::{Shape, records};
use crate::json::table::Refusal;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use headwater_app::ingest::{Ingest, Record, RecordStatus, RecordWarning, Recorded, Rejection, Seen, Source};
use headwater_app::keep::Attempt;
use http::{HeaderMap, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::ops::Range;
use std::sync::Arc;

/// Records of one request.
const RECORDS_MAX: usize = 1000;
/// What one record may hold.
const RECORD_BYTES_MAX: usize = 16 * 1024;

/// A record that was read: by what its sender knows it, and what it is in canonical records.
#[derive(Debug)]
pub struct Sent {
    /// `customerId` or `eventid`.
    pub id: Option<String>,
    /// Whose it is.
    pub customer: String,
    /// At least one.
    pub records: Vec<Record>,
}

/// A record's answer before the settlement.
pub type Read = Result<Sent, Vec<Refusal>>;

/// The bytes of a bulk body.
pub async fn body(headers: &HeaderMap, body: Body) -> Result<Bytes, BrandError> {
    Ok(read(headers, body, BULK_BYTES_MAX).await?)
}

/// Its records, unread.
pub fn split(bytes: &Bytes) -> Result<Vec<&RawValue>, BrandError> {
    let found = records(bytes, Shape::OrOne)?;
    if found.is_empty() {
        let message = "The body must have at least one record.";
        return Err(BrandError::new(StatusCode::BAD_REQUEST, "invalid_json", message));
    }
    if found.len() > RECORDS_MAX {
        let message = format!("Send at most {RECORDS_MAX} records in one request.");
        return Err(BrandError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_records", message));
    }
    Ok(found)
}

/// A record that is too large to be kept, before it is read.
pub fn check_size(record: &RawValue) -> Result<(), Vec<Refusal>> {
    if record.get().len() <= RECORD_BYTES_MAX {
        return Ok(());
    }
    let message = format!("A record must have at most {RECORD_BYTES_MAX} bytes.");
    Err(vec![Refusal { field: String::new(), rule: "max_length", message }])
}

/// Records what can be, and answers for each record.
pub async fn settle(
    state: &WebState,
    brand: &Brand,
    read: Vec<Read>,
    attempt: Option<Attempt>,
) -> Result<Response, BrandError> {
    let mut records = Vec::new();
    let mut pending = Pending::with_capacity(read.len());
    for record in read {
        pending.push(record.map(|sent| {
            let from = records.len();
            records.extend(sent.records);
            (sent.id, sent.customer, from..records.len())
        }));
    }
    let pending = Arc::new(pending);
    let (status, body) = if records.is_empty() {
        answer(&pending, &[])
    } else {
        let (account, program) = (brand.program.account, brand.program.id);
        let asked = Arc::clone(&pending);
        let keep = state.app.keep_if(attempt, move |recorded: &Vec<Recorded>| {
            let (status, body) = answer(&asked, recorded);
            status.is_success().then(|| given(status, &body))
        });
        let ingest = Ingest {
            account,
            program,
            source: Source::Push,
            all_or_nothing: false,
            records,
            keep,
            seen: Seen::Anything,
        };
        answer(&pending, &state.app.record(ingest).await?)
    };
    Ok((status, Json(body)).into_response())
}

/// What a record waits for: its id, its customer and its canonical records, or why it has none.
type Waiting = Result<(Option<String>, String, Range<usize>), Vec<Refusal>>;
type Pending = Vec<Waiting>;

fn answer(pending: &Pending, recorded: &[Recorded]) -> (StatusCode, Value) {
    let mut accepted = 0;
    let mut one = |(index, record): (usize, &Waiting)| {
        let outcome = match record {
            Ok((id, customer, range)) => {
                let parts = &recorded[range.clone()];
                together(parts, customer).map(|status| (id, status, warnings(parts)))
            }
            Err(refusals) => Err(refusals.clone()),
        };
        match outcome {
            Ok((id, status, warnings)) => {
                accepted += 1;
                json!({"index": index, "id": id, "status": status, "warnings": warnings})
            }
            Err(refusals) => {
                let errors: Vec<_> = refusals.iter().map(error_to_wire).collect();
                json!({"index": index, "id": null, "status": "rejected", "errors": errors})
            }
        }
    };
    let results: Vec<_> = pending.iter().enumerate().map(&mut one).collect();
    let received = results.len();
    let status = match accepted {
        0 => StatusCode::UNPROCESSABLE_ENTITY,
        all if all == received => StatusCode::OK,
        _ => StatusCode::MULTI_STATUS,
    };
    let body = json!({
        "success": accepted == received, "received": received, "accepted": accepted, "rejected": received - accepted,
        "results": results,
    });
    (status, body)
}

fn error_to_wire(refusal: &Refusal) -> Value {
    let field = Some(&refusal.field).filter(|field| !field.is_empty());
    json!({"field": field, "code": refusal.rule, "message": refusal.message})
}

/// The status of a record from those of the canonical records that it is.
fn together(parts: &[Recorded], customer: &str) -> Result<&'static str, Vec<Refusal>> {
    let refused = parts.iter().find_map(|part| match &part.status {
        RecordStatus::Rejected(rejection) => Some(refusal_of(rejection, customer)),
        _ => None,
    });
    if let Some(refusal) = refused {
        return Err(vec![refusal]);
    }
    let all = |status: &[RecordStatus]| parts.iter().all(|part| status.contains(&part.status));
    Ok(if parts.iter().any(|part| part.status == RecordStatus::Held) {
        "held"
    } else if all(&[RecordStatus::Unchanged, RecordStatus::Stale]) {
        "duplicate"
    } else if all(&[RecordStatus::Created]) {
        "created"
    } else {
        "updated"
    })
}

fn refusal_of(rejection: &Rejection, customer: &str) -> Refusal {
    let refusal = |field: &str, rule, message: String| Refusal { field: field.to_owned(), rule, message };
    match rejection {
        Rejection::UnknownCustomer => {
            refusal("customerid", "customer_not_found", format!("No customer {customer} for this brand."))
        }
        Rejection::Conflict => {
            refusal("eventid", "conflict", "This eventid came before with other content; the first one stands.".into())
        }
        Rejection::StatusTransition(from, to) => {
            refusal("status", "invalid_status_transition", format!("{to} does not follow on {from}."))
        }
        Rejection::Immutable(what) => refusal(what, "immutable", format!("{what} does not change any more.")),
        Rejection::Unusable(why) => refusal("", "unusable", format!("This record cannot be used: {why}.")),
    }
}

fn warnings(parts: &[Recorded]) -> Vec<&'static str> {
    let mut names: Vec<_> =
        parts.iter().flat_map(|part| &part.warnings).map(|warning| warning_name(*warning)).collect();
    names.dedup();
    names
}

fn warning_name(warning: RecordWarning) -> &'static str {
    match warning {
        RecordWarning::AttributionLocked => "attribution_locked",
        RecordWarning::ClickOfAnotherPartner => "click_of_another_partner",
        RecordWarning::PartnerSuspended => "partner_suspended",
        RecordWarning::ClickTooOld => "click_outside_window",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_status_is_that_of_its_parts_together() {
        use RecordStatus::{Created, Held, Rejected, Stale, Unchanged, Updated};
        for (parts, expected) in [
            (vec![Created, Created], Some("created")),
            (vec![Created, Unchanged], Some("updated")),
            (vec![Updated, Unchanged], Some("updated")),
            (vec![Unchanged, Stale], Some("duplicate")),
            (vec![Held, Held], Some("held")),
            (vec![Created, Rejected(Rejection::Conflict)], None),
        ] {
            let recorded = |status| Recorded { status, warnings: Vec::new(), fact: None, customer: None };
            let parts: Vec<_> = parts.into_iter().map(recorded).collect();
            assert_eq!(together(&parts, "c").ok(), expected, "{parts:?}");
        }
    }
}
