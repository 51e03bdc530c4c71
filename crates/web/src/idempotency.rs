//! `Idempotency-Key` on every POST: the same request is answered once and told again (`conventions.md` §6).
//!
//! A layer around the routes: it looks the key up before the operation, and hands the operation an [`Attempt`], so that
//! what makes something keeps its answer in its own transaction. The answers of the others, which can be repeated
//! without harm, are kept after them. A twin that comes while the first is running is refused on this node; on another
//! node the store decides, and the loser is told the winner's answer.
//!
//! Leaves to others: tracking, whose keys are settled with their events (`api::referral::events`), the brand and the forex
//! dialect (`once`), the rewards dialect (`api::rewards::once`), and what an answer says. Only answers of success are kept, so a refused request can be mended and sent again under its key.

use crate::auth::authenticate;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::problem::ApiError;
use crate::state::WebState;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, OriginalUri, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use headwater_app::keep::{Attempt, Given, Known};
use headwater_app::key::Credential;
use headwater_domain::ids::KeyId;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Longer keys are refused (`conventions.md` §6).
const KEY_BYTES_MAX: usize = 255;
/// No answer to a POST is longer.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The attempt of a request, where it has one.
pub type Attempted = Option<Extension<Attempt>>;

/// Attempts that are being carried out on this node.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<HashSet<(KeyId, String)>>>);

/// Ends with its request, however that ends.
#[derive(Debug)]
pub(crate) struct RunningGuard(Running, (KeyId, String));

impl Running {
    /// Begins an attempt, unless it is being carried out.
    pub(crate) fn start(&self, attempt: &Attempt) -> Option<RunningGuard> {
        let entry = (attempt.key, attempt.scope.clone());
        let started = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(entry.clone());
        started.then(|| RunningGuard(self.clone(), entry))
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
    }
}

/// The caller's key, if one was sent.
pub fn key_of(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    let mut given = headers.get_all("idempotency-key").iter();
    let Some(key) = given.next() else { return Ok(None) };
    let text = key.to_str().ok().filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX);
    if given.next().is_some() || text.is_none() {
        let message = "Idempotency-Key must be sent once, as 1 to 255 visible ASCII characters.";
        return Err(ApiError::invalid("Idempotency-Key", message));
    }
    Ok(text)
}

/// SHA-256 over the body's canonical JSON (sorted keys, no insignificant space, numbers by their value) and the query.
pub fn fingerprint(body: &[u8], query: Option<&str>) -> String {
    // Read as a whole first: that bounds its depth.
    let is_json = serde_json::from_slice::<Value>(body).is_ok();
    let canonical = std::str::from_utf8(body).ok().filter(|_| is_json).and_then(canonical);
    let canonical = canonical.map_or_else(|| body.to_vec(), String::into_bytes);
    let mut hash = Sha256::new();
    hash.update(Sha256::digest(canonical));
    hash.update(query.unwrap_or_default().as_bytes());
    hex::encode(hash.finalize())
}

/// The text of a value that depends neither on the order of its keys, nor on how its numbers and texts are written.
fn canonical(text: &str) -> Option<String> {
    Some(match text.trim_start().as_bytes().first()? {
        b'{' => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
            let member = |(name, value): (String, &RawValue)| Some((Value::from(name), canonical(value.get())?));
            let members: Option<Vec<_>> = members.into_iter().map(member).collect();
            let members = members?.into_iter().map(|(name, value)| format!("{name}:{value}"));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        b'[' => {
            let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
            let items: Option<Vec<_>> = items.into_iter().map(|item| canonical(item.get())).collect();
            format!("[{}]", items?.join(","))
        }
        b'-' | b'0'..=b'9' => number(text.trim()),
        _ => serde_json::from_str::<Value>(text).ok()?.to_string(),
    })
}

/// A number by its value, with all of its digits: `1111.0`, `1111` and `1.111e3` are one.
fn number(text: &str) -> String {
    let (written, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, unsigned) = written.strip_prefix('-').map_or(("", written), |unsigned| ("-", unsigned));
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    let moved = i64::try_from(digits.len() - significant.len())
        .ok()
        .zip(i64::try_from(fraction.len()).ok())
        .and_then(|(zeros, places)| zeros.checked_sub(places));
    let exponent = exponent.parse::<i64>().ok().zip(moved).and_then(|(exponent, moved)| exponent.checked_add(moved));
    match (significant.trim_start_matches('0'), exponent) {
        ("", _) => "0".to_owned(),
        (digits, Some(exponent)) => format!("{sign}{digits}e{exponent}"),
        // No number that anybody reads: as it is written.
        (_, None) => text.to_owned(),
    }
}

/// The layer. A request without the header passes untouched, and one without a valid key of ours goes on to be refused.
pub async fn answer_once(State(state): State<WebState>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key("idempotency-key") {
        return next.run(request).await;
    }
    let admitted = request.extensions().get::<Arc<Credential>>().cloned();
    let is_counted = admitted.is_some();
    let key = request.headers().get("x-api-key").and_then(|key| key.to_str().ok());
    let Some(credential) = admitted.or_else(|| state.app.authenticate(key?.trim())) else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    // What is answered here costs the key a request, as it would in the handler.
    let answer = |outcome: Result<Response, ApiError>| {
        if is_counted {
            return outcome.unwrap_or_else(ApiError::into_response);
        }
        match authenticate(&state, &headers) {
            Ok(authorized) => authorized.answer(outcome),
            Err(error) => error.into_response(),
        }
    };
    let (named, body) = match key_and_body(&parts, body).await {
        Ok(read) => read,
        Err(error) => return answer(Err(error)),
    };
    let path = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |uri| uri.path());
    let scope = format!("POST {path} {named}");
    let attempt = Attempt { key: credential.id, scope, fingerprint: fingerprint(&body, parts.uri.query()) };
    let Some(_running) = state.running.start(&attempt) else {
        let message = "A request with this Idempotency-Key is being carried out: ask again in a moment.";
        return answer(Err(ApiError::conflict("idempotency_in_progress", message)));
    };
    if let Some(known) = known_answer(&state, &attempt).await {
        return answer(known);
    }
    let mut request = Request::from_parts(parts, Body::from(body));
    request.extensions_mut().insert(attempt.clone());
    let response = next.run(request).await;
    if response.status().is_server_error()
        && let Some(Ok(known)) = known_answer(&state, &attempt).await
    {
        // Another node was faster, or our own commit arrived though its answer did not.
        return known;
    }
    if response.status().is_success() { kept(&state, &attempt, response).await } else { response }
}

async fn key_and_body(parts: &Parts, body: Body) -> Result<(String, Bytes), ApiError> {
    let named = key_of(&parts.headers)?.unwrap_or_default().to_owned();
    Ok((named, read(&parts.headers, body, REFERRAL_BYTES_MAX).await?))
}

/// `None` where the attempt is new.
async fn known_answer(state: &WebState, attempt: &Attempt) -> Option<Result<Response, ApiError>> {
    match state.app.answer_known(attempt).await {
        Ok(Known::New) => None,
        Ok(Known::OtherRequest) => {
            let message = "This Idempotency-Key was used for another request.";
            Some(Err(ApiError::conflict("idempotency_key_reused", message)))
        }
        Ok(Known::Answered(given)) => Some(Ok(replayed(given))),
        Err(error) => {
            tracing::error!(%error, "a kept answer could not be looked up");
            Some(Err(ApiError::unavailable()))
        }
    }
}

/// An answer as it was given, and says so.
pub(crate) fn replayed(given: Given) -> Response {
    let status = StatusCode::from_u16(given.status).unwrap_or(StatusCode::OK);
    let mut response = (status, [(header::CONTENT_TYPE, "application/json")], given.body).into_response();
    response.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    response
}

/// Keeps the answer of an operation that did not keep it itself.
pub(crate) async fn kept(state: &WebState, attempt: &Attempt, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, ANSWER_BYTES_MAX).await else { return ApiError::internal().into_response() };
    let given = Given { status: parts.status.as_u16(), body: String::from_utf8_lossy(&bytes).into_owned() };
    if let Err(error) = state.app.answer_keep(attempt, &given).await {
        // The operation can be repeated without harm, so the caller loses nothing.
        tracing::warn!(%error, "an answer was not kept under its Idempotency-Key");
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// What an operation keeps, as its handler will answer it.
pub fn given(status: StatusCode, body: &Value) -> Given {
    Given { status: status.as_u16(), body: body.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requests_have_one_fingerprint() {
        let of = |text: &str| fingerprint(text.as_bytes(), None);
        assert_eq!(of(r#"{"a":1,"b":[{"c":2,"d":3}]}"#), of(" {\"b\": [{\"d\":3,\"c\":2}], \"a\":1}"));
        for same in ["1111.0", "1111.00", "1.111e3", "11110E-1", "1111e+0"] {
            assert_eq!(of(&format!(r#"{{"amount":{same}}}"#)), of(r#"{"amount": 1111}"#), "{same}");
        }
        assert_eq!(of("[-0, 0.00, 0e9]"), of("[0,0,0]"));
        assert_eq!(of(r#"["\u00e9"]"#), of("[\"é\"]"));
        let differ = [
            ("{}", ""),
            (r#"{"a":1}"#, r#"{"a":2}"#),
            ("[1,2]", "[2,1]"),
            ("x", "y"),
            ("[1]", "[-1]"),
            ("[1]", "[10]"),
            ("[0.1]", "[0.01]"),
            (r#"["1"]"#, "[1]"),
            ("[9007199254740993]", "[9007199254740992.0]"),
            ("[0.12345678901234567890]", "[0.12345678901234567891]"),
            ("[1e99999999999999999999]", "[2e99999999999999999999]"),
        ];
        for (one, other) in differ {
            assert_ne!(of(one), of(other), "{one} {other}");
        }
        assert_ne!(fingerprint(b"{}", None), fingerprint(b"{}", Some("a=1")));
    }

    #[test]
    fn a_key_is_sent_once_and_is_short_and_visible() {
        let keys = |values: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append("idempotency-key", HeaderValue::from_static(value));
            }
            key_of(&headers).map(|key| key.map(str::to_owned)).map_err(|error| error.code())
        };
        assert_eq!(keys(&[]), Ok(None));
        assert_eq!(keys(&["order-1"]), Ok(Some("order-1".to_owned())));
        assert_eq!(keys(&["a", "b"]), Err("validation_failed"));
        assert_eq!(keys(&[""]), Err("validation_failed"));
        assert_eq!(keys(&[Box::leak("k".repeat(256).into_boxed_str())]), Err("validation_failed"));
    }

    #[test]
    fn an_attempt_runs_once_at_a_time() {
        let running = Running::default();
        let attempt = Attempt { key: KeyId(1), scope: "POST /x k".into(), fingerprint: String::new() };
        let first = running.start(&attempt);
        assert!(first.is_some() && running.start(&attempt).is_none());
        drop(first);
        assert!(running.start(&attempt).is_some());
    }
}
