//! `POST /api/referral/events/track` and its alias, confirm and reject, and the list (`referral-api.md` §6–8).

use super::event_schema::{Confirmation, Event, EventFilters, EventList, TrackEvent};
use super::track_request::{TrackRequest, parse};
use crate::asked::{Path, Query, plain_number};
use crate::auth::{Authorized, authenticate, with_secret_key};
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::idempotency::key_of;
use crate::json::field::{DecimalText, parse_object};
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::error::Error;
use headwater_app::key::{Credential, KeyKind};
use headwater_app::settle::{Answer, Command, Idempotency, Track};
use headwater_app::track::{ClickSignal, EventFilter};
use headwater_domain::event::{EVENT_TYPES, State as Decision, is_known};
use headwater_domain::ids::{AccountId, EventId, LinkId, PersonId, ProgramId, from_prefixed};
use headwater_domain::link::LINK_PREFIX;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Zone;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use sha2::{Digest as _, Sha256};

/// Track an event
///
/// The core write: attributes the event by its click, else by its session, finds or creates the client by its email,
/// works out what is owed, and queues a delivery to every subscribed endpoint. Takes a secret key, or a publishable key
/// from one of its origins; a money event from a browser waits until a secret key confirms it.
///
/// The same `eventId` with the same content is answered with the first event; with other content it is refused.
#[utoipa::path(post, path = "/api/referral/events/track", operation_id = "event_track", tag = "Events",
    request_body = TrackEvent, responses((status = 200, description = "The event", body = Event)))]
pub async fn track(State(state): State<WebState>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    tracked(&state, &uri, &headers, body).await
}

/// Track an event (alias)
///
/// `POST /api/referral/events/track` under its other published name.
#[utoipa::path(post, path = "/v1/referral/events", operation_id = "event_track_alias", tag = "Events",
    request_body = TrackEvent, responses((status = 200, description = "The event", body = Event)))]
pub async fn track_alias(State(state): State<WebState>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    tracked(&state, &uri, &headers, body).await
}

async fn tracked(state: &WebState, uri: &Uri, headers: &HeaderMap, body: Body) -> Response {
    let authorized = match authenticate(state, headers) {
        Ok(authorized) => authorized,
        Err(error) => return shared_with(error.into_response(), state, headers, None),
    };
    let outcome = track_authorized(state, &authorized, uri, headers, body).await;
    shared_with(authorized.answer(outcome), state, headers, Some(&authorized.credential))
}

async fn track_authorized(
    state: &WebState,
    authorized: &Authorized,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let credential = &authorized.credential;
    match credential.kind {
        KeyKind::Secret if credential.may("events:track") => {}
        KeyKind::Publishable => check_origin(&credential.origins, headers)?,
        _ => return Err(ApiError::forbidden("This key may not track events.")),
    }
    let body = read(headers, body, REFERRAL_BYTES_MAX).await?;
    let now = state.app.clock.now();
    let request = parse(&body, now)?;
    let trusted = credential.kind == KeyKind::Secret;
    if !trusted && matches!(request.signals.click, Some(ClickSignal::Number(_))) {
        let message = "A publishable key must send the click token, not a number.";
        return Err(ApiError::forbidden(message).with_param("clickId"));
    }
    let named = request.program.as_deref();
    let program = state.app.program_of_event(credential, named, &request.signals).await.map_err(refused)?;
    let idempotency = idempotency(headers, uri, &request.fingerprint)?;
    let (touch, touch_reason) =
        state.app.resolve_signals(credential.account, program, &request.signals, now).await.map_err(refused)?;
    let track = command(request, authorized, program, trusted, idempotency, touch, touch_reason);
    event_answer(state.app.settle(Command::Track(Box::new(track))).await)
}

fn command(
    request: TrackRequest,
    authorized: &Authorized,
    program: ProgramId,
    trusted: bool,
    idempotency: Option<Idempotency>,
    touch: Option<headwater_domain::attribution::Touch>,
    touch_reason: Option<&'static str>,
) -> Track {
    Track {
        account: authorized.credential.account,
        program,
        key: authorized.credential.id,
        trusted,
        event_type: request.event_type,
        touch,
        touch_reason,
        email_key: request.email_key,
        name: request.name,
        amount: request.amount.map(|amount| (amount.value, amount.text)),
        currency: request.currency,
        metadata: request.metadata,
        data: request.data,
        event_key: request.event_key,
        fingerprint: request.fingerprint,
        occurred_at: request.occurred_at,
        idempotency,
    }
}

fn idempotency(headers: &HeaderMap, uri: &Uri, fingerprint: &str) -> Result<Option<Idempotency>, ApiError> {
    let Some(key) = key_of(headers)? else { return Ok(None) };
    let query = uri.query().unwrap_or_default();
    let fingerprint = hex::encode(Sha256::digest(format!("{fingerprint}?{query}").as_bytes()));
    Ok(Some(Idempotency { scope: format!("POST {} {key}", uri.path()), fingerprint }))
}

fn event_answer(outcome: Result<Answer, Error>) -> Result<Response, ApiError> {
    match outcome.map_err(refused)? {
        Answer::Event { json, replayed } => {
            let mut response = ([(header::CONTENT_TYPE, "application/json")], json).into_response();
            if replayed {
                response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
            }
            Ok(response)
        }
        Answer::IdempotencyReused => {
            Err(ApiError::conflict("idempotency_key_reused", "This Idempotency-Key was used for another request."))
        }
        Answer::EventKeyReused => {
            let message = "This eventId was used for an event with other content.";
            Err(ApiError::conflict("idempotency_key_reused", message).with_param("eventId"))
        }
        // Pricing again is never an answer to an event.
        Answer::EventUnknown | Answer::Recorded(_) | Answer::Overtaken | Answer::Repriced => Err(unknown_event()),
        Answer::NotUnverified => {
            Err(ApiError::conflict("event_not_unverified", "Only an unverified event can be confirmed or rejected."))
        }
    }
}

fn unknown_event() -> ApiError {
    ApiError::not_found("event_not_found", "No event matches this id.").with_param("event_id")
}

/// What an operation refused, in this dialect.
pub fn refused(error: Error) -> ApiError {
    match error {
        Error::Invalid { param, message } => {
            let text = format!("{param} {message}.");
            ApiError::invalid(param, text)
        }
        Error::NotFound(noun) => ApiError::not_found("not_found", format!("No {noun} matches.")),
        Error::UnknownCursor => Page::bad_cursor(),
        Error::Conflict { code, message, .. } => ApiError::conflict(code, message),
        Error::Forbidden { message, .. } => ApiError::forbidden(message),
        Error::Busy => ApiError::unavailable(),
        Error::Store(error) => {
            tracing::error!(%error, "an operation failed in the store");
            ApiError::unavailable()
        }
    }
}

/// Confirm an event
///
/// Makes an unverified event of a browser count, with your amount and currency where you send them. It can be sent again.
#[utoipa::path(post, path = "/api/referral/events/{id}/confirm", operation_id = "event_confirm", tag = "Events",
    params(("id" = i64, Path, description = "The event's number", example = 90417)),
    request_body(content = Option<Confirmation>, description = "May be empty"),
    responses((status = 200, description = "The event, verified", body = Event)))]
pub async fn confirm(
    State(state): State<WebState>,
    id: Result<Path<String>, ApiError>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    with_secret_key!(state, headers, "events:track", |caller| {
        let event = seen_event(&state, &caller, &id?.0).await?;
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let (amount, currency) = if body.is_empty() { (None, None) } else { confirmation(&body)? };
        let account = caller.credential.account;
        let given = amount.clone().map(|amount| (amount.value, amount.text));
        let outcome = state.app.settle(Command::Confirm { account, event, amount: given, currency }).await;
        decided(&state, outcome, account, event, Decision::Verified, amount.map(|a| a.value), currency).await
    })
}

fn confirmation(body: &[u8]) -> Result<(Option<DecimalText>, Option<Currency>), ApiError> {
    let fields = parse_object(body)?;
    let amount = fields.optional_decimal("amount")?;
    if amount.as_ref().is_some_and(|amount| amount.value < Decimal::ZERO) {
        return Err(ApiError::invalid("amount", "amount must not be negative: the event says the direction."));
    }
    let wrong = || {
        let message = "currency must be an ISO 4217 code, such as USD.";
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_currency", message).with_param("currency")
    };
    let currency = fields.optional_string("currency")?;
    Ok((amount, currency.map(|code| Currency::parse(&code).ok_or_else(wrong)).transpose()?))
}

/// A decision that was made before is answered as then, so that a caller which has not heard can ask again.
async fn decided(
    state: &WebState,
    outcome: Result<Answer, Error>,
    account: AccountId,
    event: EventId,
    made: Decision,
    amount: Option<Decimal>,
    currency: Option<Currency>,
) -> Result<Response, ApiError> {
    if matches!(outcome, Ok(Answer::NotUnverified))
        && let Some(event) = state.app.event_decided(account, event, made, amount, currency).await.map_err(refused)?
    {
        return event_answer(Ok(Answer::Event { json: event.to_json(), replayed: false }));
    }
    event_answer(outcome)
}

/// Reject an event
///
/// Refuses an unverified event of a browser. It can be sent again.
#[utoipa::path(post, path = "/api/referral/events/{id}/reject", operation_id = "event_reject", tag = "Events",
    params(("id" = i64, Path, description = "The event's number", example = 90417)),
    responses((status = 200, description = "The event, rejected", body = Event)))]
pub async fn reject(State(state): State<WebState>, id: Result<Path<String>, ApiError>, headers: HeaderMap) -> Response {
    with_secret_key!(state, headers, "events:track", |caller| {
        let event = seen_event(&state, &caller, &id?.0).await?;
        let account = caller.credential.account;
        let outcome = state.app.settle(Command::Reject { account, event }).await;
        decided(&state, outcome, account, event, Decision::Rejected, None, None).await
    })
}

/// List events
///
/// Newest first.
#[utoipa::path(get, path = "/api/referral/events", operation_id = "event_list", tag = "Events", params(EventFilters),
    responses((status = 200, description = "A page of events", body = EventList)))]
pub async fn list(State(state): State<WebState>, query: Result<Query, ApiError>, headers: HeaderMap) -> Response {
    with_secret_key!(state, headers, "events:read", |caller| listed(&state, &caller, &query?).await)
}

async fn listed(state: &WebState, authorized: &Authorized, query: &Query) -> Result<Response, ApiError> {
    let page = query.page()?;
    let Some(filter) = filter_of(state, authorized, query, &page)? else {
        return Ok(axum::Json(page.to_wire(Vec::new())).into_response());
    };
    let limit = i64::try_from(page.limit + 1).expect("at most a hundred and one");
    let events = state.app.event_list(filter, limit).await.map_err(refused)?;
    let has_more = events.len() > page.limit;
    let shown = &events[..events.len().min(page.limit)];
    let next = shown.last().filter(|_| has_more).map_or_else(|| "null".to_owned(), |e| e.id.to_string());
    let data: Vec<_> = shown.iter().map(headwater_domain::event::Event::to_json).collect();
    let data = data.join(",");
    let json = format!("{{\"object\":\"list\",\"data\":[{data}],\"has_more\":{has_more},\"next_cursor\":{next}}}");
    Ok(([(header::CONTENT_TYPE, "application/json")], json).into_response())
}

/// `None` where a filter names something that does not exist, so nothing can fit.
fn filter_of(
    state: &WebState,
    authorized: &Authorized,
    query: &Query,
    page: &Page,
) -> Result<Option<EventFilter>, ApiError> {
    let account = authorized.credential.account;
    let zone = zone_of(state, authorized);
    let time = |name: &str| query.instant(name, &zone);
    let kind = query.text("eventType");
    if kind.is_some_and(|kind| !is_known(kind)) {
        let message = format!("eventType must be one of {}.", EVENT_TYPES.join(", "));
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "unknown_event_type", message).with_param("eventType"));
    }
    let mut filter = EventFilter {
        is_conversion: query.flag("isConversion")?,
        is_verified: query.flag("verified")?,
        from: time("from")?,
        to: time("to")?,
        event_type: kind.map(str::to_owned),
        client: query.number("clientId")?.map(PersonId),
        before: page.after_number()?.map(EventId),
        programs: authorized.credential.programs.clone(),
        ..EventFilter::all(account)
    };
    let directory = state.app.directory();
    if let Some(name) = query.text("partnerId") {
        let Some(partner) = directory.partner(account, name) else { return Ok(None) };
        filter.partner = Some(partner.id);
    }
    if let Some(name) = query.text("linkId") {
        let link = from_prefixed(LINK_PREFIX, name).and_then(|id| directory.link(account, LinkId(id)));
        let Some(link) = link else { return Ok(None) };
        filter.link = Some(LinkId(link.id));
    }
    Ok(Some(filter))
}

/// The zone in which a caller's dates are days: that of its first program.
pub fn zone_of(state: &WebState, authorized: &Authorized) -> Zone {
    let credential = &authorized.credential;
    let directory = state.app.directory();
    let program = directory.programs(credential.account).find(|program| credential.sees(program.id));
    program.and_then(|program| Zone::parse(&program.settings.time_zone)).unwrap_or(Zone::UTC)
}

/// The event of this id, where the key sees its program.
async fn seen_event(state: &WebState, authorized: &Authorized, id: &str) -> Result<EventId, ApiError> {
    let event = plain_number(id).map(EventId).ok_or_else(unknown_event)?;
    let program = state.app.event_program(authorized.credential.account, event).await.map_err(refused)?;
    if program.is_some_and(|program| authorized.credential.sees(program)) { Ok(event) } else { Err(unknown_event()) }
}

/// A browser's request must come from an origin of its key.
fn check_origin(origins: &[String], headers: &HeaderMap) -> Result<(), ApiError> {
    let origin = headers.get(header::ORIGIN).and_then(|o| o.to_str().ok());
    if origin.is_some_and(|origin| origins.iter().any(|allowed| allowed == origin)) {
        return Ok(());
    }
    Err(ApiError::forbidden("This publishable key works from its registered origins only."))
}

/// Preflight
///
/// What a browser asks before it tracks from another origin. Only origins of publishable keys are let in.
#[utoipa::path(options, path = "/api/referral/events/track", operation_id = "event_track_preflight", tag = "Events",
    security(()), responses((status = 204, description = "What may be sent; nothing of it from unknown origins")))]
pub async fn preflight(State(state): State<WebState>, headers: HeaderMap) -> Response {
    allowed_from(&state, &headers)
}

/// Preflight (alias)
///
/// What a browser asks before it tracks at `/v1/referral/events`.
#[utoipa::path(options, path = "/v1/referral/events", operation_id = "event_track_alias_preflight", tag = "Events",
    security(()), responses((status = 204, description = "What may be sent; nothing of it from unknown origins")))]
pub async fn preflight_alias(State(state): State<WebState>, headers: HeaderMap) -> Response {
    allowed_from(&state, &headers)
}

/// The key is not in a preflight, so any publishable key's origin is let ask; the key decides when the request comes.
fn allowed_from(state: &WebState, headers: &HeaderMap) -> Response {
    let mut response = shared_with(StatusCode::NO_CONTENT.into_response(), state, headers, None);
    let out = response.headers_mut();
    if out.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
        let sent = HeaderValue::from_static("X-API-Key, Content-Type, Idempotency-Key");
        out.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, sent);
        out.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    response
}

/// Lets the page that sent the request read the answer, where its origin is one of the publishable key's; without such a
/// key, one of any publishable key, so that a page with a wrong key can read what is wrong.
fn shared_with(mut response: Response, state: &WebState, headers: &HeaderMap, key: Option<&Credential>) -> Response {
    let headers_out = response.headers_mut();
    headers_out.append(header::VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = headers.get(header::ORIGIN) else { return response };
    let text = origin.to_str().unwrap_or_default();
    let is_allowed = match key.filter(|key| key.kind == KeyKind::Publishable) {
        Some(key) => key.origins.iter().any(|allowed| allowed == text),
        None => state.app.origin_is_known(text),
    };
    if is_allowed {
        headers_out.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let shown =
            "Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Idempotent-Replayed, X-Request-Id";
        headers_out.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(shown));
    }
    response
}
