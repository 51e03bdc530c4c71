//! `POST /commissions`: a sale that somebody reports by hand, or a commission without one (`rewards-api.md` §6).
//!
//! Answers with an array, because one sale may pay several tiers. Leaves what a sale pays to the plan: a sale by hand is the
//! same fact as a tracked one. Invariant: under one `Idempotency-Key` a sale without an `event_id` is one fact, also where its
//! answer was lost.

use super::amount;
use super::asked::one_of;
use super::caller::{Caller, with_rewards_key};
use super::campaigns::refused;
use super::once::key_of_attempt;
use super::problem::RewardsError;
use super::track;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::idempotency::{Attempted, given};
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::commission::custom::CustomCommission;
use headwater_app::commission::shown::{ShownFilter, ShownOrder};
use headwater_app::error::Error;
use headwater_app::keep::Attempt;
use headwater_app::referral::{Named, Referral};
use headwater_app::tracking::{BILLING_PERIOD, Bought, PLAN, TrackFailure, Visitor};
use headwater_domain::ids::{CommissionId, CustomerId, MembershipId, ProgramId};
use headwater_domain::money::{Currency, Decimal, Unit};
use headwater_domain::postback::entity::CommissionEntity;
use headwater_domain::time::{Date, Instant, Zone};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

const NOTE_CHARS_MAX: usize = 2000;
const UNITS: [&str; 6] = ["cash", "points", "credits", "free_months", "mon_discount", "discount_per"];
/// Tiers of one sale.
const OF_ONE_SALE_MAX: i64 = 100;

/// Make commissions
///
/// Of a sale (`commission_type` `sale`, `referral_id`, `sale_amount`), or without one (`custom`, `promoter_campaign_id`,
/// `amount`). What a sale pays is in the campaign's rewards, so its `unit` is refused; the `event_date` of a custom commission says
/// in which month it counts. With `reward_id` it gives a `custom` reward of the campaign, in that reward's unit and, where no
/// `amount` is said, its amount. Nobody is sent mail: `notify_promoter` changes nothing.
#[utoipa::path(post, path = "/api/v2/company/commissions", operation_id = "rewards_commission_create", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The commissions", body = Value),
        (status = 409, description = "This `event_id` was seen already", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let attempt = attempted.map(|Extension(attempt)| attempt);
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        fields.optional_bool("notify_promoter")?;
        let made = match fields.required_string("commission_type")?.as_str() {
            "sale" => of_sale(&state, &caller, &fields, attempt.as_ref()).await?,
            "custom" => vec![custom(&state, &caller, &fields, attempt).await?],
            _ => {
                let message = "commission_type must be sale or custom.";
                return Err(RewardsError::invalid("commission_type", message));
            }
        };
        Ok(Json(to_wire(&made)).into_response())
    })
}

fn to_wire(made: &[CommissionEntity]) -> Value {
    made.iter().map(CommissionEntity::to_json).collect()
}

async fn of_sale(
    state: &WebState,
    caller: &Caller,
    fields: &Fields<'_>,
    attempt: Option<&Attempt>,
) -> Result<Vec<CommissionEntity>, RewardsError> {
    if fields.raw("unit").is_some_and(|unit| unit != "null") {
        let message = "unit cannot be chosen for a sale: what it pays is in the rewards of its campaign.";
        return Err(RewardsError::inexpressible("unit", message));
    }
    let referral = state.app.referral_read(caller.account, CustomerId(fields.required_integer("referral_id")?)).await?;
    let amount_minor = fields.required_integer("sale_amount")?;
    let (internal, external) = (note(fields, "internal_note")?, note(fields, "external_note")?);
    let attributes = said(fields)?;
    let currency = currency(fields)?;
    let at = event_date(state, caller, &referral, fields)?;
    let event_id = track::text(fields, "event_id")?.filter(|key| !key.trim().is_empty());
    // A sale by hand without a key of its own is never the same as another, but where it is the same request.
    let of_attempt = attempt.filter(|_| event_id.is_none()).map(key_of_attempt);
    let event_id = event_id.or_else(|| of_attempt.clone());
    let event_id = event_id.unwrap_or_else(|| format!("manual-{}", state.app.next_id(state.app.clock.now())));
    let bought = Bought {
        named: Named::new(referral.row.email.as_deref(), referral.uid().as_deref()),
        visitor: Visitor::default(),
        event_id,
        amount_minor,
        currency,
        sale_event_id: None,
        at,
        attributes,
    };
    let ids: Vec<i64> = match (state.app.track_sale(caller.account, bought).await, of_attempt) {
        (Ok(tracked), _) => tracked.commissions.iter().map(|row| row.id).collect(),
        // It was carried out, and its answer was lost.
        (Err(TrackFailure::Repeated), Some(key)) => of_event(state, caller, key).await?,
        (Err(failure), _) => return Err(track::refused(failure, track::SALE_AMOUNT)),
    };
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    state.app.commissions_reported(caller.account, &ids, &caller.actor()).await?;
    if internal.is_some() || external.is_some() {
        for id in &ids {
            let (internal, external) = (internal.clone(), external.clone());
            state.app.commission_notes_put(caller.account, CommissionId(*id), internal, external).await?;
        }
    }
    Ok(state.app.commissions_shown_by_id(caller.account, ids).await?)
}

/// The commissions of the one sale that has this key.
async fn of_event(state: &WebState, caller: &Caller, key: String) -> Result<Vec<i64>, RewardsError> {
    let filter = ShownFilter { part: Some(key), ..ShownFilter::default() };
    let order = (ShownOrder::default(), false);
    let shown = state.app.commissions_shown(caller.account, filter, order, 1, OF_ONE_SALE_MAX).await?;
    Ok(shown.rows.iter().map(|row| row.id).collect())
}

/// What is kept beside a commission, and shown again.
fn said(fields: &Fields<'_>) -> Result<Map<String, Value>, RewardsError> {
    let mut said = Map::new();
    if let Some(plan) = track::text(fields, "plan_id")? {
        said.insert(PLAN.to_owned(), plan.into());
    }
    let (what, period) = (BILLING_PERIOD, fields.optional_string(BILLING_PERIOD)?);
    if let Some(period) = one_of(what, period.as_deref(), &track::BILLING_PERIODS).map_err(|e| e.about(what))? {
        said.insert(what.to_owned(), period.into());
    }
    Ok(said)
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

async fn custom(
    state: &WebState,
    caller: &Caller,
    fields: &Fields<'_>,
    attempt: Option<Attempt>,
) -> Result<CommissionEntity, RewardsError> {
    let membership = MembershipId(fields.required_integer("promoter_campaign_id")?);
    let directory = state.app.directory();
    let member = directory.membership(caller.account, membership);
    let member = member.ok_or_else(|| RewardsError::not_found("promoter campaign"))?;
    let program = state.app.program_read(caller.account, member.program)?;
    let own = Currency::parse(&program.settings.currency);
    let own = own.ok_or_else(|| RewardsError::invalid("unit", "The campaign has no currency."))?;
    let reward_id = fields.optional_integer("reward_id")?;
    let offered = match reward_id {
        Some(id) => Some(state.app.reward_by_hand(caller.account, program.id, id).await.map_err(refused)?),
        None => None,
    };
    let unit = unit(fields, own, offered.as_deref())?;
    let by_reward = offered.iter().flatten().find(|(of_reward, _)| *of_reward == unit).map(|(_, amount)| *amount);
    let amount = match by_reward.filter(|_| fields.raw("amount").is_none_or(|amount| amount == "null")) {
        Some(amount) => amount,
        None => amount::required(fields, "amount", unit)?,
    };
    let custom = CustomCommission {
        membership,
        reward_id,
        unit: Some(unit),
        amount,
        event_id: track::text(fields, "event_id")?.filter(|key| !key.trim().is_empty()),
        event_date: custom_date(fields)?,
        internal_note: note(fields, "internal_note")?,
        external_note: note(fields, "external_note")?,
        said: said(fields)?,
    };
    let render = |made: &CommissionEntity| given(StatusCode::OK, &to_wire(std::slice::from_ref(made)));
    let keep = state.app.keep(attempt, render);
    let made = state.app.commission_custom(caller.account, custom, &caller.actor(), keep).await;
    made.map_err(|error| match error {
        Error::Conflict { message, .. } => RewardsError::new(StatusCode::CONFLICT, "conflict", message),
        other => other.into(),
    })
}

/// What a commission by hand is counted in: what is named, else what its reward is given in, else the campaign's money. A
/// `currency` beside it has to be the campaign's, for nothing is exchanged here.
fn unit(fields: &Fields<'_>, own: Currency, given: Option<&[(Unit, Decimal)]>) -> Result<Unit, RewardsError> {
    let named = fields.optional_string("unit")?;
    let named = one_of("unit", named.as_deref(), &UNITS).map_err(|error| error.about("unit"))?;
    let unit = match (named, given) {
        (None, Some([(unit, _)])) => *unit,
        (None, Some(_)) => {
            return Err(RewardsError::invalid("unit", "unit is required: the reward is given in several."));
        }
        (None | Some("cash"), _) => Unit::Currency(own),
        (Some(name), _) => Unit::parse(name, own).expect("each of these names is a unit"),
    };
    if given.is_some_and(|given| given.iter().all(|(of_reward, _)| *of_reward != unit)) {
        return Err(RewardsError::invalid("unit", "unit must be one that the reward is given in."));
    }
    match currency(fields)? {
        Some(named) if Unit::Currency(named) != unit => {
            let message = format!(
                "currency must be {own}, that of the campaign, and goes with the unit cash alone.",
                own = own.code()
            );
            Err(RewardsError::inexpressible("currency", message))
        }
        _ => Ok(unit),
    }
}

fn currency(fields: &Fields<'_>) -> Result<Option<Currency>, RewardsError> {
    let unknown = || RewardsError::invalid("currency", "currency must be an ISO 4217 code.");
    let code = fields.optional_string("currency")?.filter(|code| !code.is_empty());
    code.map(|code| Currency::parse(&code).ok_or_else(unknown)).transpose()
}

/// The day that a commission by hand is for; of a moment, its day in UTC.
fn custom_date(fields: &Fields<'_>) -> Result<Option<Date>, RewardsError> {
    let Some(text) = fields.optional_string("event_date")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    let wrong = || RewardsError::invalid("event_date", "event_date must be a date, as in 2026-01-31.");
    let day = text.parse::<Date>().ok().or_else(|| Instant::parse(&text).map(|at| Zone::UTC.day_of(at)));
    day.map(Some).ok_or_else(wrong)
}

fn note(fields: &Fields<'_>, name: &str) -> Result<Option<String>, RewardsError> {
    Ok(fields.optional_lines(name, NOTE_CHARS_MAX)?.filter(|note| !note.is_empty()))
}
