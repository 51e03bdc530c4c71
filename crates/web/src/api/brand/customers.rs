//! `POST /tracking/events/customers`: customers are made and changed in bulk (`brand-api.md` §3).

use super::caller::{Brand, BrandError, brand};
use super::results::{Read, Sent, body, check_size, settle, split};
use crate::json::table::{self, Column, Kind, Row, Spelling, TEXT_CHARACTERS_MAX, refusal};
use crate::once::{Start, start};
use crate::state::WebState;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::brand::{Registered, TRACKING_DATA_CHARACTERS_MAX};
use headwater_app::ingest::{CustomerRecord, Field, Record, Referrer};
use headwater_domain::codes;
use headwater_domain::time::Zone;
use http::{HeaderMap, Uri};
use serde_json::Value;

const TEXT: Kind = Kind::Text(TEXT_CHARACTERS_MAX);

/// The published fields.
pub const COLUMNS: &[Column] = &[
    Column { name: "customerId", kind: Kind::Id, is_required: true },
    Column { name: "regtime", kind: Kind::Moment, is_required: false },
    Column { name: "country", kind: TEXT, is_required: false },
    Column { name: "firstName", kind: TEXT, is_required: false },
    Column { name: "lastName", kind: TEXT, is_required: false },
    Column { name: "tracking_data", kind: Kind::Text(TRACKING_DATA_CHARACTERS_MAX), is_required: false },
    Column { name: "person_id", kind: Kind::Id, is_required: false },
    Column { name: "email", kind: Kind::Email, is_required: false },
];

/// Push customers
///
/// Made or changed, each with its own answer: 207 where some are refused, 422 where all are.
#[utoipa::path(post, path = "/tracking/events/customers", operation_id = "brand_customers", tag = "Brand",
    security(("brand_token" = [])),
    request_body(content = Value, description = "An array of 1 to 1,000 records"),
    responses((status = 200, description = "What became of each record", body = Value)))]
pub async fn push(State(state): State<WebState>, uri: Uri, headers: HeaderMap, sent: Body) -> Response {
    let caller = match brand(&state, &headers) {
        Ok(caller) => caller,
        Err(error) => return error.into_response(),
    };
    let outcome = async {
        let bytes = body(&headers, sent).await?;
        let open = match start(&state, caller.key, &uri, &headers, &bytes).await? {
            Start::Answered(response) => return Ok(response),
            Start::Open(open) => open,
        };
        let work = async {
            let read = read_all(&state, &caller, &bytes).await?;
            settle(&state, &caller, read, open.attempt()).await
        };
        let outcome = work.await;
        open.end(&state, outcome).await
    };
    let outcome = outcome.await;
    caller.answer(outcome)
}

async fn read_all(state: &WebState, caller: &Brand, bytes: &bytes::Bytes) -> Result<Vec<Read>, BrandError> {
    let program = &caller.program;
    let registered = state.app.registered_tracking(program.account, program.id);
    let zone = Zone::parse(&program.settings.time_zone).unwrap_or(Zone::UTC);
    let rows: Vec<_> = split(bytes)?
        .into_iter()
        .map(|record| check_size(record).and_then(|()| table::read(COLUMNS, Spelling::AnyCase, record, &zone)))
        .collect();
    let ids = rows.iter().flatten().filter_map(|row| row.text("customerId")).collect();
    let known = state.app.customers_known(program.id, ids).await?;
    let mut read = Vec::with_capacity(rows.len());
    let mut made = Vec::new();
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(refusals) => {
                read.push(Err(refusals));
                continue;
            }
        };
        let id = row.text("customerId").unwrap_or_default();
        if row.moment("regtime").is_none() && !known.contains(&id) && !made.contains(&id) {
            let message = "regtime is required for a new customer: send YYYY-MM-DD HH:mm.";
            read.push(Err(vec![refusal("regtime", "required", message)]));
            continue;
        }
        made.push(id.clone());
        let referrer = referrer(state, caller, &registered, &row).await?;
        let record = from_wire(&row, id.clone(), referrer, &zone);
        read.push(Ok(Sent { id: Some(id.clone()), customer: id, records: vec![Record::Customer(Box::new(record))] }));
    }
    Ok(read)
}

async fn referrer(
    state: &WebState,
    caller: &Brand,
    registered: &Registered,
    row: &Row<'_>,
) -> Result<Referrer, BrandError> {
    let Some(value) = row.text("tracking_data").filter(|value| !value.is_empty()) else { return Ok(Referrer::Unsaid) };
    Ok(state.app.tracked(caller.program.account, caller.program.id, registered, &value).await?)
}

fn from_wire(row: &Row<'_>, customer: String, referrer: Referrer, zone: &Zone) -> CustomerRecord {
    let field = |name: &str, value: Option<String>| match value {
        Some(value) => Field::Set(value),
        None if row.is_cleared(name) => Field::Clear,
        None => Field::Keep,
    };
    let mut attributes = row.attributes();
    for name in ["firstName", "lastName", "tracking_data", "regtime"] {
        let written = row.written(name).or_else(|| row.is_cleared(name).then_some(Value::Null));
        attributes.extend(written.map(|value| (name.to_owned(), value)));
    }
    let names: Vec<_> = ["firstName", "lastName"].into_iter().filter_map(|name| row.text(name)).collect();
    let name = Some(names.join(" ").trim().to_owned()).filter(|name| !name.is_empty());
    // Recommended, not required: other consistent codes are kept as they are.
    let country = row.text("country").map(|text| codes::country(&text).unwrap_or(text)).filter(|text| !text.is_empty());
    let email = row.text("email").map(|email| email.trim().to_lowercase());
    CustomerRecord {
        customer,
        number: None,
        revision: None,
        registered_at: row.moment("regtime").map(|stated| zone.moment(stated)),
        email: field("email", email),
        person: row.text("person_id"),
        name: name.map_or(Field::Keep, Field::Set),
        country: field("country", country),
        account_type: Field::Keep,
        campaign: Field::Keep,
        attributes,
        referrer,
        split: Vec::new(),
    }
}
