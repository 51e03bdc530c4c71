//! `POST /api/referral/events/track` and its alias, confirm and reject, and the list (`referral-api.md` §6–8).

use super::track_request::{TrackRequest, parse};
use crate::auth::{Authorized, authenticate, secret_key};
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::json::field::parse_object;
use crate::page::Page;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::error::Error;
use headwater_app::key::KeyKind;
use headwater_app::settle::{Answer, Command, Idempotency, Track};
use headwater_app::track::{ClickSignal, EventFilter};
use headwater_domain::ids::{EventId, LinkId, PersonId, ProgramId, from_prefixed};
use headwater_domain::link::LINK_PREFIX;
use headwater_domain::money::Currency;
use headwater_domain::time::Instant;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use sha2::{Digest as _, Sha256};

/// Longer keys are refused (`conventions.md` §6).
const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// Records one event.
pub async fn track(State(state): State<WebState>, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let authorized = match authenticate(&state, &headers) {
        Ok(authorized) => authorized,
        Err(error) => return with_origin(error.into_response(), &headers),
    };
    let outcome = track_authorized(&state, &authorized, &uri, &headers, body).await;
    with_origin(authorized.answer(outcome), &headers)
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
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let text = key.to_str().ok().filter(|k| !k.is_empty() && k.len() <= IDEMPOTENCY_KEY_BYTES_MAX);
    let text = text.ok_or_else(|| {
        ApiError::invalid("Idempotency-Key", "Idempotency-Key must be 1 to 255 visible ASCII characters.")
    })?;
    let query = uri.query().unwrap_or_default();
    let fingerprint = hex::encode(Sha256::digest(format!("{fingerprint}?{query}").as_bytes()));
    Ok(Some(Idempotency { scope: format!("POST {} {text}", uri.path()), fingerprint }))
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
        Answer::EventUnknown | Answer::Recorded(_) | Answer::Repriced => Err(unknown_event()),
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
        Error::Conflict { code, message, .. } => ApiError::conflict(code, message),
        Error::Forbidden { message, .. } => ApiError::forbidden(message),
        Error::Busy => ApiError::unavailable(),
        Error::Store(error) => {
            tracing::error!(%error, "an operation failed in the store");
            ApiError::unavailable()
        }
    }
}

/// Makes an unverified event count.
pub async fn confirm(
    State(state): State<WebState>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let authorized = match secret_key(&state, &headers, Some("events:track")) {
        Ok(authorized) => authorized,
        Err(error) => return error.into_response(),
    };
    let outcome = async {
        let event = seen_event(&state, &authorized, &id).await?;
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let (mut amount, mut currency) = (None, None);
        if !body.is_empty() {
            let fields = parse_object(&body)?;
            amount = fields.optional_decimal("amount")?;
            currency = fields.optional_string("currency")?;
        }
        let currency = currency
            .map(|code| {
                Currency::parse(&code).ok_or_else(|| {
                    let message = "currency must be an ISO 4217 code, such as USD.";
                    ApiError::new(StatusCode::BAD_REQUEST, "invalid_currency", message).with_param("currency")
                })
            })
            .transpose()?;
        let account = authorized.credential.account;
        let amount = amount.map(|a| (a.value, a.text));
        event_answer(state.app.settle(Command::Confirm { account, event, amount, currency }).await)
    };
    let outcome = outcome.await;
    authorized.answer(outcome)
}

/// Refuses an unverified event.
pub async fn reject(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    let authorized = match secret_key(&state, &headers, Some("events:track")) {
        Ok(authorized) => authorized,
        Err(error) => return error.into_response(),
    };
    let outcome = async {
        let event = seen_event(&state, &authorized, &id).await?;
        event_answer(state.app.settle(Command::Reject { account: authorized.credential.account, event }).await)
    };
    let outcome = outcome.await;
    authorized.answer(outcome)
}

/// Events, newest first.
pub async fn list(
    State(state): State<WebState>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let authorized = match secret_key(&state, &headers, Some("events:read")) {
        Ok(authorized) => authorized,
        Err(error) => return error.into_response(),
    };
    let outcome = listed(&state, &authorized, &query).await;
    authorized.answer(outcome)
}

async fn listed(state: &WebState, authorized: &Authorized, query: &[(String, String)]) -> Result<Response, ApiError> {
    let page = Page::from_query(query)?;
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
    query: &[(String, String)],
    page: &Page,
) -> Result<Option<EventFilter>, ApiError> {
    let account = authorized.credential.account;
    let asked = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let flag = |name: &str| match asked(name) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(ApiError::invalid(name, format!("{name} must be true or false."))),
    };
    let time = |name: &str| {
        let text = asked(name);
        let parsed = text.map(Instant::parse);
        match parsed {
            Some(None) => Err(ApiError::invalid(name, format!("{name} must be an ISO 8601 time with a zone."))),
            Some(at) => Ok(at),
            None => Ok(None),
        }
    };
    let mut filter = EventFilter {
        is_conversion: flag("isConversion")?,
        is_verified: flag("verified")?,
        from: time("from")?,
        to: time("to")?,
        event_type: asked("eventType").map(str::to_owned),
        programs: authorized.credential.programs.clone(),
        ..EventFilter::all(account)
    };
    if let Some(text) = &page.starting_after {
        filter.before = Some(EventId(text.parse().map_err(|_| Page::bad_cursor())?));
    }
    let directory = state.app.directory();
    if let Some(name) = asked("partnerId") {
        let Some(partner) = directory.partner(account, name) else { return Ok(None) };
        filter.partner = Some(partner.id);
    }
    if let Some(name) = asked("linkId") {
        let link = from_prefixed(LINK_PREFIX, name).and_then(|id| directory.link(account, LinkId(id)));
        let Some(link) = link else { return Ok(None) };
        filter.link = Some(LinkId(link.id));
    }
    if let Some(client) = asked("clientId") {
        let id = client.parse().map(PersonId);
        filter.client = Some(id.map_err(|_| ApiError::invalid("clientId", "clientId must be a number."))?);
    }
    Ok(Some(filter))
}

/// The event of this id, where the key sees its program.
async fn seen_event(state: &WebState, authorized: &Authorized, id: &str) -> Result<EventId, ApiError> {
    let event = id.parse().map(EventId).map_err(|_| unknown_event())?;
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

/// What a browser asks before it sends; the key itself decides when the request comes.
pub async fn preflight(headers: HeaderMap) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let out = response.headers_mut();
    out.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("POST"));
    out.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static("X-API-Key, Content-Type, Idempotency-Key"),
    );
    out.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    with_origin(response, &headers)
}

/// Lets the page that sent the request read the answer. Keys are not cookies, so echoing the origin gives a foreign
/// page nothing that it could not ask for by itself; which origins may track is decided by the key.
fn with_origin(mut response: Response, headers: &HeaderMap) -> Response {
    if let Some(origin) = headers.get(header::ORIGIN) {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
    }
    response
}
