//! `POST /tracking/events/activities`: deposits, lots and any agreed KPI, one event or one day a record
//! (`brand-api.md` §4). What a record counts is the operation's part (`app::kpi`).

use super::caller::brand;
use super::results::{Read, Sent, body, check_size, settle, split};
use crate::json::table::{self, Column, Kind, Refusal, Row, Spelling, TEXT_CHARACTERS_MAX};
use crate::once::{Start, start};
use crate::state::WebState;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use headwater_app::ingest::Record;
use headwater_app::kpi::{Activity, Other, facts_of};
use headwater_domain::money::Decimal;
use headwater_domain::program::Settings;
use headwater_domain::time::{Instant, Zone};
use http::{HeaderMap, Uri};
use serde_json::Value;
use serde_json::value::RawValue;

/// The reserved fields.
pub const COLUMNS: &[Column] = &[
    Column { name: "eventname", kind: Kind::Id, is_required: true },
    Column { name: "customerid", kind: Kind::Id, is_required: true },
    Column { name: "eventid", kind: Kind::Text(TEXT_CHARACTERS_MAX), is_required: false },
    Column { name: "createtime", kind: Kind::Moment, is_required: false },
    Column { name: "Value", kind: Kind::DecimalText, is_required: false },
    Column { name: "Currency", kind: Kind::Currency, is_required: false },
];

/// Push activity
///
/// Deposits, lots and agreed KPIs, each with its own answer: 207 where some are refused, 422 where all are.
#[utoipa::path(post, path = "/tracking/events/activities", operation_id = "brand_activities", tag = "Brand",
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
        let settings = &caller.program.settings;
        let zone = Zone::parse(&settings.time_zone).unwrap_or(Zone::UTC);
        let now = state.app.clock.now();
        let open = match start(&state, caller.key, &uri, &headers, &bytes).await? {
            Start::Answered(response) => return Ok(response),
            Start::Open(open) => open,
        };
        let work = async {
            let read = split(&bytes)?.into_iter().map(|record| from_wire(record, settings, &zone, now)).collect();
            settle(&state, &caller, read, open.attempt()).await
        };
        let outcome = work.await;
        open.end(&state, outcome).await
    };
    let outcome = outcome.await;
    caller.answer(outcome)
}

/// How many activities of a body can be read: what reading alone costs, for measurements.
pub fn activities_read(bytes: &Bytes) -> usize {
    let settings = Settings::default();
    let is_read = |record: &&RawValue| from_wire(record, &settings, &Zone::UTC, Instant(0)).is_ok();
    split(bytes).map_or(0, |found| found.into_iter().filter(is_read).count())
}

fn from_wire(record: &RawValue, settings: &Settings, zone: &Zone, now: Instant) -> Read {
    check_size(record)?;
    let row = table::read(COLUMNS, Spelling::AnyCase, record, zone)?;
    let activity = activity(&row);
    let facts = facts_of(&activity, settings, zone, now)
        .map_err(|refused| vec![Refusal { field: refused.field, rule: refused.rule, message: refused.message }])?;
    let mut records: Vec<_> = facts.into_iter().map(|fact| Record::Fact(Box::new(fact))).collect();
    if let (Some(Record::Fact(first)), Some(written)) = (records.first_mut(), row.written("createtime")) {
        first.attributes.insert("createtime".to_owned(), written);
    }
    Ok(Sent { id: activity.event_id, customer: activity.customer, records })
}

fn activity(row: &Row<'_>) -> Activity {
    let other = |(name, raw): &(String, &str)| {
        let value: Value = serde_json::from_str(raw).unwrap_or_default();
        let number = Decimal::parse(value.as_str().unwrap_or(raw)).ok();
        Other { name: name.clone(), number, value }
    };
    Activity {
        customer: row.text("customerid").unwrap_or_default(),
        event_name: row.text("eventname").unwrap_or_default(),
        event_id: row.text("eventid").filter(|id| !id.is_empty()),
        stated: row.moment("createtime"),
        value: row.number("Value"),
        currency: row.currency("Currency"),
        others: row.others.iter().map(other).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::fact::FactBody;

    fn read(text: &str) -> Read {
        let record: &RawValue = serde_json::from_str(text).expect("JSON");
        from_wire(record, &Settings::default(), &Zone::UTC, Instant(0))
    }

    #[test]
    fn numbers_are_exact_whether_in_strings_or_not() {
        for value in ["\"12.45\"", "12.45"] {
            let text = format!(r#"{{"EventName":"Lots","customerId":"c","createtime":"2025-07-21","value":{value}}}"#);
            let sent = read(&text).expect("activity");
            let Some(Record::Fact(fact)) = sent.records.first() else { panic!("a fact") };
            let FactBody::TradingDay(day) = &fact.body else { panic!("a trading day") };
            assert_eq!(day.lots, Decimal(12_450_000));
        }
    }

    #[test]
    fn every_complaint_names_its_field() {
        let refusals =
            read(r#"{"customerid":"","Value":"1e5","Currency":"XXQ","createtime":"soon"}"#).expect_err("bad");
        let found: Vec<_> = refusals.iter().map(|r| format!("{} {}", r.field, r.rule)).collect();
        let expected = [
            "customerid min_length",
            "Value decimal",
            "Currency iso4217",
            "createtime date_time",
            "eventname required",
        ];
        assert_eq!(found, expected);
    }
}
