//! `POST /commissions`: a sale that somebody reports by hand, or a commission without one (`rewards-api.md` §6).
//!
//! Answers with an array, because one sale may pay several tiers. Leaves what a sale pays to the plan: a sale by hand is the
//! same fact as a tracked one.

use super::amount;
use super::asked::one_of;
use super::caller::{Caller, with_rewards_key};
use super::problem::RewardsError;
use super::track;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::commission::custom::CustomCommission;
use headwater_app::error::Error;
use headwater_app::referral::{Named, Referral};
use headwater_app::tracking::{BILLING_PERIOD, Bought, PLAN, Visitor};
use headwater_domain::ids::{CommissionId, CustomerId, MembershipId, ProgramId};
use headwater_domain::money::{Currency, Unit};
use headwater_domain::postback::entity::CommissionEntity;
use headwater_domain::time::{Date, Instant, Zone};
use http::{HeaderMap, StatusCode};
use serde_json::Map;

const NOTE_CHARS_MAX: usize = 2000;
const UNITS: [&str; 6] = ["cash", "points", "credits", "free_months", "mon_discount", "discount_per"];
const BILLING_PERIODS: [&str; 3] = ["monthly", "yearly", "one_time"];

/// Make commissions
///
/// Of a sale (`commission_type` `sale`, `referral_id`, `sale_amount`), or without one (`custom`, `promoter_campaign_id`,
/// `amount`).
#[utoipa::path(post, path = "/api/v2/company/commissions", operation_id = "rewards_commission_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The commissions", body = Value),
        (status = 409, description = "This `event_id` was seen already", body = Value)))]
pub async fn create(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let made = match fields.required_string("commission_type")?.as_str() {
            "sale" => of_sale(&state, &caller, &fields).await?,
            "custom" => vec![custom(&state, &caller, &fields).await?],
            _ => {
                let message = "commission_type must be sale or custom.";
                return Err(RewardsError::invalid("commission_type", message));
            }
        };
        Ok(Json(made.iter().map(CommissionEntity::to_json).collect::<Vec<_>>()).into_response())
    })
}

async fn of_sale(
    state: &WebState,
    caller: &Caller,
    fields: &Fields<'_>,
) -> Result<Vec<CommissionEntity>, RewardsError> {
    let referral = state.app.referral_read(caller.account, CustomerId(fields.required_integer("referral_id")?)).await?;
    let amount_minor = fields.required_integer("sale_amount")?;
    let (internal, external) = (note(fields, "internal_note")?, note(fields, "external_note")?);
    let mut attributes = Map::new();
    if let Some(plan) = fields.optional_string("plan_id")? {
        attributes.insert(PLAN.to_owned(), plan.into());
    }
    let what = BILLING_PERIOD;
    let period = fields.optional_string(what)?;
    if let Some(period) = one_of(what, period.as_deref(), &BILLING_PERIODS).map_err(|e| field_error(what, &e))? {
        attributes.insert(what.to_owned(), period.into());
    }
    let at = event_date(state, caller, &referral, fields)?;
    let event_id = fields.optional_string("event_id")?.filter(|key| !key.trim().is_empty());
    // A sale by hand without a key of its own is never the same as another.
    let event_id = event_id.unwrap_or_else(|| format!("manual-{}", state.app.next_id(state.app.clock.now())));
    let bought = Bought {
        named: Named::new(referral.row.email.as_deref(), referral.uid().as_deref()),
        visitor: Visitor::default(),
        event_id,
        amount_minor,
        currency: None,
        sale_event_id: None,
        at,
        attributes,
    };
    let tracked = state.app.track_sale(caller.account, bought).await;
    let tracked = tracked.map_err(|failure| track::refused(failure, track::SALE_AMOUNT))?;
    let ids: Vec<i64> = tracked.commissions.iter().map(|row| row.id).collect();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    if internal.is_some() || external.is_some() {
        for id in &ids {
            let (internal, external) = (internal.clone(), external.clone());
            state.app.commission_notes_put(caller.account, CommissionId(*id), internal, external).await?;
        }
    }
    Ok(state.app.commissions_shown_by_id(caller.account, ids).await?)
}

/// When a sale by hand happened: a day in its campaign's zone, which counts from its start, or a moment. Not ahead of now.
fn event_date(
    state: &WebState,
    caller: &Caller,
    referral: &Referral,
    fields: &Fields<'_>,
) -> Result<Option<Instant>, RewardsError> {
    let Some(text) = fields.optional_string("event_date")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let program = state.app.program_read(caller.account, ProgramId(referral.row.program_id))?;
    let zone = Zone::parse(&program.settings.time_zone).unwrap_or(Zone::UTC);
    let at = text.parse::<Date>().map_or_else(|_| Instant::parse(&text), |day| Some(zone.start_of(day)));
    let wrong =
        || RewardsError::invalid("event_date", "event_date must be a date that is not ahead, as in 2026-01-31.");
    at.filter(|at| *at <= state.app.clock.now()).map(Some).ok_or_else(wrong)
}

async fn custom(state: &WebState, caller: &Caller, fields: &Fields<'_>) -> Result<CommissionEntity, RewardsError> {
    let membership = MembershipId(fields.required_integer("promoter_campaign_id")?);
    let directory = state.app.directory();
    let member = directory.membership(caller.account, membership);
    let member = member.ok_or_else(|| RewardsError::not_found("promoter campaign"))?;
    let program = state.app.program_read(caller.account, member.program)?;
    let currency = Currency::parse(&program.settings.currency);
    let currency = currency.ok_or_else(|| RewardsError::invalid("unit", "The campaign has no currency."))?;
    let named = fields.optional_string("unit")?;
    let unit = match one_of("unit", named.as_deref(), &UNITS).map_err(|error| field_error("unit", &error))? {
        None | Some("cash") => Unit::Currency(currency),
        Some(name) => Unit::parse(name, currency).expect("each of these names is a unit"),
    };
    let custom = CustomCommission {
        membership,
        unit: Some(unit),
        amount: amount::required(fields, "amount", unit)?,
        event_id: fields.optional_string("event_id")?.filter(|key| !key.trim().is_empty()),
        internal_note: note(fields, "internal_note")?,
        external_note: note(fields, "external_note")?,
        made_by: None,
    };
    let made = state.app.commission_custom(caller.account, custom, &caller.actor()).await;
    made.map_err(|error| match error {
        Error::Conflict { message, .. } => RewardsError::new(StatusCode::CONFLICT, "conflict", message),
        other => other.into(),
    })
}

fn note(fields: &Fields<'_>, name: &str) -> Result<Option<String>, RewardsError> {
    Ok(fields.optional_string_up_to(name, NOTE_CHARS_MAX)?.filter(|note| !note.is_empty()))
}

/// The complaint about a word of a query, about a field of a body.
fn field_error(field: &str, error: &RewardsError) -> RewardsError {
    RewardsError::invalid(field, error.message())
}
