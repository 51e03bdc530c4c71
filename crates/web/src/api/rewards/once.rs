//! `Idempotency-Key` of the rewards dialect: a POST is carried out once and answered alike (`conventions.md` §6).
//!
//! A layer around its routes. What makes a commission by hand, a webhook, a reward, a product, a promo code, a link or payments keeps its
//! answer in its own transaction; a campaign, which takes several, is found by its attempt and ended, and so is a promoter, of whom more is told than its transaction knows; every other answer of success is
//! kept after its operation, which either can be repeated without harm or finds by a natural key that it was done. Leaves to others: refusing strangers (the handlers), and `api::rewards::caller` what a request costs. Invariant: a
//! request that was refused leaves its key free.

use super::caller::{affiliate, bearer_text, caller, names_account};
use super::problem::RewardsError;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::idempotency::kept;
use crate::once::{NotStarted, Start, start};
use crate::state::WebState;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use headwater_app::keep::Attempt;
use headwater_app::key::KeyKind;
use http::{HeaderMap, Method, StatusCode};
use sha2::{Digest as _, Sha256};

/// The layer. A request without the header, or without a key of this dialect, goes on untouched.
pub async fn answer_once(State(state): State<WebState>, request: Request, next: Next) -> Response {
    if request.method() != Method::POST || !request.headers().contains_key("idempotency-key") {
        return next.run(request).await;
    }
    let known = bearer_text(request.headers()).and_then(|text| state.app.authenticate(text));
    let Some(credential) = known.filter(|known| {
        matches!(known.kind, KeyKind::Rewards | KeyKind::Partner) && names_account(request.headers(), known.account)
    }) else {
        return next.run(request).await;
    };
    let (parts, body) = request.into_parts();
    let body = match read(&parts.headers, body, REFERRAL_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return counted(&state, &parts.headers, credential.kind, Err(error.into())).await,
    };
    let open = match start(&state, credential.id, &parts.uri, &parts.headers, &body).await {
        Ok(Start::Open(open)) => open,
        Ok(Start::Answered(response)) => {
            return counted(&state, &parts.headers, credential.kind, Ok(response)).await;
        }
        Err(refused) => return counted(&state, &parts.headers, credential.kind, Err(refused.into())).await,
    };
    let attempt = open.attempt();
    let mut request = Request::from_parts(parts, Body::from(body));
    if let Some(attempt) = &attempt {
        request.extensions_mut().insert(attempt.clone());
    }
    let response = next.run(request).await;
    let outcome = match attempt {
        Some(attempt) if response.status().is_success() => Ok(kept(&state, &attempt, response).await),
        _ => Err(response),
    };
    open.end(&state, outcome).await.unwrap_or_else(|refused| refused)
}

/// What is answered here costs a request, as it would in the handler.
async fn counted(
    state: &WebState,
    headers: &HeaderMap,
    kind: KeyKind,
    outcome: Result<Response, RewardsError>,
) -> Response {
    let caller = match kind {
        KeyKind::Partner => affiliate(state, headers).await.map(|(caller, _)| caller),
        _ => caller(state, headers).await,
    };
    match caller {
        Ok(caller) => caller.answer(outcome),
        Err(refused) => refused.into_response(),
    }
}

/// The key of a fact whose caller gave it none: the same attempt makes the same fact, also where its answer was lost.
pub fn key_of_attempt(attempt: &Attempt) -> String {
    let mut hash = Sha256::new();
    hash.update(format!("{} {} {}", attempt.key, attempt.scope, attempt.fingerprint));
    format!("once-{}", hex::encode(hash.finalize()))
}

impl From<NotStarted> for RewardsError {
    fn from(refused: NotStarted) -> Self {
        let message = refused.to_string();
        match refused {
            NotStarted::BadKey => Self::invalid("Idempotency-Key", message),
            NotStarted::InProgress => Self::new(StatusCode::CONFLICT, refused.code(), message),
            NotStarted::Reused => Self::new(StatusCode::UNPROCESSABLE_ENTITY, refused.code(), message),
            NotStarted::Unavailable => Self::unavailable(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::ids::KeyId;

    #[test]
    fn each_attempt_has_a_key_of_its_own() {
        let attempt = |key, scope: &str, fingerprint: &str| {
            key_of_attempt(&Attempt { key: KeyId(key), scope: scope.into(), fingerprint: fingerprint.into() })
        };
        let one = attempt(1, "POST /x k", "f");
        assert_eq!(one, attempt(1, "POST /x k", "f"));
        for other in [attempt(2, "POST /x k", "f"), attempt(1, "POST /x l", "f"), attempt(1, "POST /x k", "g")] {
            assert_ne!(one, other);
        }
    }
}
