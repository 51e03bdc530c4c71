//! Tracking: `/api/v2/track/{signup,sale,refund,cancellation}`, each answered with the event that it made.
//!
//! Leaves what a fact is to `app::tracking`. Invariant: an `event_id` that was seen is 409, whatever else the request says.

use super::amount;
use super::asked::one_of;
use super::caller::{Caller, with_rewards_key};
use super::once::key_of_attempt;
use super::problem::RewardsError;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::idempotency::Attempted;
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::app::App;
use headwater_app::referral::{Named, Referral};
use headwater_app::tracking::{BILLING_PERIOD, Bought, PLAN, TrackFailure, Tracked, Visitor};
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::money::{Currency, Unit};
use headwater_domain::postback::entity::CommissionEntity;
use headwater_domain::time::Instant;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::sync::Arc;

/// This server sends no mail; whoever says so twice may.
const NO_MAIL: &str = "skip_email_notification";
/// For how long a sale may be paid.
pub(super) const BILLING_PERIODS: [&str; 3] = ["monthly", "yearly", "one_time"];
const KEY_CHARACTERS_MAX: usize = 255;
/// Clocks of callers may go ahead by this much, as in the referral API.
const FUTURE_SECONDS_MAX: i64 = 300;

/// Track a sign-up
///
/// A visitor becomes a referral of whom `tid` (the session) or `ref_id` (a member's token) names.
#[utoipa::path(post, path = "/api/v2/track/signup", operation_id = "rewards_track_signup", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The event", body = Value)))]
pub async fn signup(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let (named, visitor, mut attributes) = (named(&fields)?, visitor(&fields)?, Map::new());
        if let Some(ip) = fields.optional_string("ip")?.filter(|ip| !ip.is_empty()) {
            let wrong = |_| RewardsError::invalid("ip", "ip must be an IP address.");
            attributes.insert("ip".to_owned(), ip.trim().parse::<IpAddr>().map_err(wrong)?.to_string().into());
        }
        fields.optional_bool(NO_MAIL)?;
        let at = instant(&fields, "created_at")?;
        if at.is_some_and(|at| at > state.app.clock.now().plus_seconds(FUTURE_SECONDS_MAX)) {
            return Err(RewardsError::invalid("created_at", "created_at must be at most 5 minutes ahead."));
        }
        let made = state.app.track_signup(caller.account, &named, &visitor, at, attributes).await;
        let made = made.map_err(|failure| refused(failure, "signup"))?;
        Ok(Json(event(&state.app, &caller, "signup", &made, &Map::new()).await?).into_response())
    })
}

/// Track a sale
///
/// A referral buys. With `tid`, `ref_id` or `promo_code` its sign-up may be left out: both are made together.
#[utoipa::path(post, path = "/api/v2/track/sale", operation_id = "rewards_track_sale", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The event and its commissions", body = Value),
        (status = 409, description = "This `event_id` was seen already", body = Value)))]
pub async fn sale(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let bought = bought(&parse_object(&body)?)?;
        let attributes = bought.attributes.clone();
        let made = state.app.track_sale(caller.account, bought).await.map_err(|failure| refused(failure, "sale"))?;
        Ok(Json(event(&state.app, &caller, "sale", &made, &attributes).await?).into_response())
    })
}

/// Track a refund
///
/// Of the sale that `sale_event_id` names, else of the latest one that has so much left. 204 where nothing is done: there is no
/// such sale, or nothing is left of it; a refund of a sale that is named and not known yet waits for it.
#[utoipa::path(post, path = "/api/v2/track/refund", operation_id = "rewards_track_refund", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The event and its commissions", body = Value),
        (status = 204, description = "Nothing to do"),
        (status = 409, description = "This `event_id` was seen already", body = Value)))]
pub async fn refund(State(state): State<WebState>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let bought = bought(&parse_object(&body)?)?;
        let attributes = bought.attributes.clone();
        let made =
            state.app.track_refund(caller.account, bought).await.map_err(|failure| refused(failure, "refund"))?;
        let Some(made) = made else { return Ok(StatusCode::NO_CONTENT.into_response()) };
        let mut shown = event(&state.app, &caller, "refund", &made, &attributes).await?;
        add_older_keys(&state.app, caller.account, &mut shown, &made);
        Ok(Json(shown).into_response())
    })
}

/// Track a cancellation
///
/// A referral stops buying; what it bought stays.
#[utoipa::path(post, path = "/api/v2/track/cancellation", operation_id = "rewards_track_cancellation", tag = "Rewards",
    security(("rewards_key" = [])), request_body = Value,
    responses((status = 200, description = "The event", body = Value)))]
pub async fn cancellation(
    State(state): State<WebState>,
    attempted: Attempted,
    headers: HeaderMap,
    body: Body,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let named = named(&parse_object(&body)?)?;
        let key = attempted.map(|Extension(attempt)| key_of_attempt(&attempt));
        let made = state.app.track_cancellation(caller.account, &named, key).await;
        let made = made.map_err(|failure| refused(failure, "cancellation"))?;
        let mut shown = event(&state.app, &caller, "cancellation", &made, &Map::new()).await?;
        shown["type"] = "cancellation".into();
        Ok(Json(shown).into_response())
    })
}

/// A text; numbers, as callers send for their ids, are taken as they are written.
pub(super) fn text(fields: &Fields<'_>, name: &str) -> Result<Option<String>, RewardsError> {
    let raw = fields.raw(name).filter(|raw| raw.bytes().all(|byte| byte.is_ascii_digit()));
    match raw {
        Some(digits) => Ok(Some(digits.to_owned())),
        None => Ok(fields.optional_line(name, KEY_CHARACTERS_MAX)?),
    }
}

/// A whole number from 0 on; callers send it as text, too.
fn count(fields: &Fields<'_>, name: &str) -> Result<Option<i64>, RewardsError> {
    let Some(raw) = fields.raw(name).filter(|raw| *raw != "null" && *raw != "\"\"") else { return Ok(None) };
    let number = in_quotes(raw)
        .unwrap_or(raw)
        .parse()
        .ok()
        .filter(|number| (0..=headwater_domain::ids::ID_MAX).contains(number));
    let wrong = || RewardsError::invalid(name, format!("{name} must be a whole number from 0 on."));
    number.map(Some).ok_or_else(wrong)
}

/// What stands between quotes.
fn in_quotes(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// By what a request names a human.
pub fn named(fields: &Fields<'_>) -> Result<Named, RewardsError> {
    Ok(Named::new(text(fields, "email")?.as_deref(), text(fields, "uid")?.as_deref()))
}

fn visitor(fields: &Fields<'_>) -> Result<Visitor, RewardsError> {
    Ok(Visitor { tid: text(fields, "tid")?, ref_id: text(fields, "ref_id")?, promo_code: text(fields, "promo_code")? })
}

fn instant(fields: &Fields<'_>, name: &str) -> Result<Option<Instant>, RewardsError> {
    let Some(text) = fields.optional_string(name)? else { return Ok(None) };
    let wrong = || RewardsError::invalid(name, format!("{name} must be ISO 8601 with a zone."));
    Instant::parse(&text).map(Some).ok_or_else(wrong)
}

/// What is kept beside a fact.
fn keep(fields: &Fields<'_>, attributes: &mut Map<String, Value>, names: &[&str]) -> Result<(), RewardsError> {
    for name in names {
        if let Some(value) = text(fields, name)? {
            attributes.insert((*name).to_owned(), value.into());
        }
    }
    Ok(())
}

/// The caller's id of an event, without the blanks around it: `7` and ` 7` are one event.
pub(super) fn event_key(fields: &Fields<'_>, name: &str) -> Result<Option<String>, RewardsError> {
    let key = text(fields, name)?.map(|key| key.trim().to_owned());
    Ok(key.filter(|key| !key.is_empty()))
}

fn bought(fields: &Fields<'_>) -> Result<Bought, RewardsError> {
    let event_id = event_key(fields, "event_id")?;
    let event_id = event_id.ok_or_else(|| RewardsError::invalid("event_id", "event_id is required."))?;
    fields.optional_bool(NO_MAIL)?;
    let amount_minor = match fields.raw("amount").and_then(in_quotes) {
        Some(digits) => digits.parse().map_err(|_| fields.error("amount", "", "must be a whole number below 2^53"))?,
        None => fields.required_integer("amount")?,
    };
    let currency = fields.optional_string("currency")?;
    let unknown = || RewardsError::invalid("currency", "currency must be an ISO 4217 code.");
    let currency = currency.map(|code| Currency::parse(&code).ok_or_else(unknown)).transpose()?;
    let mut attributes = Map::new();
    keep(fields, &mut attributes, &[PLAN, "promo_code"])?;
    let period = fields.optional_string(BILLING_PERIOD)?;
    if let Some(period) =
        one_of(BILLING_PERIOD, period.as_deref(), &BILLING_PERIODS).map_err(|error| error.about(BILLING_PERIOD))?
    {
        attributes.insert(BILLING_PERIOD.to_owned(), period.into());
    }
    for name in ["quantity", "mrr"] {
        if let Some(number) = count(fields, name)? {
            attributes.insert(name.to_owned(), number.to_string().into());
        }
    }
    let (named, visitor) = (named(fields)?, visitor(fields)?);
    let sale_event_id = event_key(fields, "sale_event_id")?;
    Ok(Bought { named, visitor, event_id, amount_minor, currency, sale_event_id, at: None, attributes })
}

/// What the amount of a sale by hand is called.
pub const SALE_AMOUNT: &str = "sale_amount";

/// A failure of tracking as this dialect answers it.
pub fn refused(failure: TrackFailure, what: &str) -> RewardsError {
    let message = failure.to_string();
    match failure {
        TrackFailure::Blank => RewardsError::invalid("email", format!("Error. {message}")),
        TrackFailure::UnknownVisitor
        | TrackFailure::UnknownReferral
        | TrackFailure::Unbrought
        | TrackFailure::Disabled
        | TrackFailure::Banned => RewardsError::new(StatusCode::NOT_FOUND, "not_found", message),
        TrackFailure::SignedUp => RewardsError::signed_up(message),
        TrackFailure::Repeated => RewardsError::new(StatusCode::CONFLICT, "conflict", message),
        TrackFailure::Amount => {
            let field = if what == SALE_AMOUNT { SALE_AMOUNT } else { "amount" };
            RewardsError::invalid(field, format!("{field} {}.", message.trim_start_matches("amount ")))
        }
        TrackFailure::Currency => RewardsError::invalid("currency", format!("{message}.")),
        TrackFailure::Other(error) => {
            tracing::debug!(what, "tracking was not done");
            error.into()
        }
    }
}

/// The event as both published shapes have it.
async fn event(
    app: &Arc<App>,
    caller: &Caller,
    kind: &str,
    made: &Tracked,
    attributes: &Map<String, Value>,
) -> Result<Value, RewardsError> {
    let minor = made.amount.map(|(amount, currency)| amount::to_wire(amount, Unit::Currency(currency)));
    let own = program_currency(app, caller.account, &made.referral);
    let foreign = made.amount.map(|(_, currency)| currency).filter(|currency| Some(*currency) != own);
    let commissions = made.commissions.iter().map(|row| row.id).collect::<Vec<_>>();
    let commissions = if commissions.is_empty() {
        Vec::new()
    } else {
        app.commissions_shown_by_id(caller.account, commissions).await?
    };
    let commissions: Vec<Value> = commissions.iter().map(CommissionEntity::to_json).collect();
    Ok(json!({
        "id": made.id.0, "etype": kind, "sale_amount": minor, "original_sale_amount": made.said_minor,
        "original_sale_currency": foreign.map(|currency| currency.code().to_owned()), "event_id": made.event_id,
        "plan_id": attributes.get(PLAN), "billing_period": attributes.get(BILLING_PERIOD),
        "created_at": made.at.iso8601(), "referral": referral_named(&made.referral), "commissions": commissions,
    }))
}

fn program_currency(app: &App, account: AccountId, referral: &Referral) -> Option<Currency> {
    let program = app.program_read(account, ProgramId(referral.row.program_id)).ok()?;
    Currency::parse(&program.settings.currency)
}

/// A referral as other objects name it.
pub fn referral_named(referral: &Referral) -> Value {
    json!({"id": referral.row.id, "email": referral.row.email, "uid": referral.uid()})
}

/// What the older published answer of a refund has beside the other's keys.
fn add_older_keys(app: &App, account: AccountId, shown: &mut Value, made: &Tracked) {
    let partner = made.referral.row.partner_id.map(PartnerId);
    let directory = app.directory();
    let partner = partner.and_then(|partner| directory.partner_by_id(account, partner));
    let first = shown["commissions"].get(0).cloned().unwrap_or_default();
    shown["type"] = "refund".into();
    shown["amount_cents"] = shown["sale_amount"].clone();
    shown["negative"] = true.into();
    shown["reward"] = first;
    shown["lead"] = referral_named(&made.referral);
    shown["promoter"] = partner.map_or(Value::Null, |partner| json!({"id": partner.id.0, "email": partner.row.email}));
}
