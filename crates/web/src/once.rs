//! `Idempotency-Key` of the dialects with error bodies of their own: brand and forex, which know their callers only inside their
//! handlers, and rewards, which has a layer (`api::rewards::once`).
//!
//! Whoever has the body starts an attempt, hands it to the operation, which keeps the answer in its own
//! transaction, and ends it with the outcome. What a kept answer looks like, and which errors a dialect has for the
//! cases of [`NotStarted`], is left to the dialect; the layer of the other dialects is `idempotency`. Invariant: a request that
//! changed nothing leaves its key free.

use crate::idempotency::{RunningGuard, fingerprint, key_of, replayed};
use crate::state::WebState;
use axum::response::Response;
use headwater_app::keep::{Attempt, Known};
use headwater_domain::ids::KeyId;
use http::{HeaderMap, Uri};

/// The beginning of a request that may have a key.
#[derive(Debug)]
pub enum Start {
    /// It was answered before: this is the answer.
    Answered(Response),
    /// It is to be carried out.
    Open(Open),
}

/// A request that is being carried out, and cannot be started again on this node until this is dropped.
#[derive(Debug)]
pub struct Open(Option<(Attempt, RunningGuard)>);

/// Why an attempt cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotStarted {
    /// The header is there twice, is empty or too long.
    #[error("Idempotency-Key must be sent once, as 1 to 255 visible ASCII characters.")]
    BadKey,
    /// A twin is being carried out.
    #[error("A request with this Idempotency-Key is being carried out: ask again in a moment.")]
    InProgress,
    /// The key stands for another request.
    #[error("This Idempotency-Key was used for another request.")]
    Reused,
    /// The store does not answer.
    #[error("The service cannot do this now. A retry is safe.")]
    Unavailable,
}

impl NotStarted {
    /// The code that all dialects have for it (`conventions.md` §8); only the status differs.
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadKey => "validation_failed",
            Self::InProgress => "idempotency_in_progress",
            Self::Reused => "idempotency_key_reused",
            Self::Unavailable => "internal_error",
        }
    }
}

/// Looks up what is known of a POST of this credential.
pub async fn start(
    state: &WebState,
    key: KeyId,
    uri: &Uri,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Start, NotStarted> {
    let Some(named) = key_of(headers).map_err(|_| NotStarted::BadKey)? else { return Ok(Start::Open(Open(None))) };
    let scope = format!("POST {} {named}", uri.path());
    let attempt = Attempt { key, scope, fingerprint: fingerprint(body, uri.query()) };
    let running = state.running.start(&attempt).ok_or(NotStarted::InProgress)?;
    match known(state, &attempt).await? {
        Some(response) => Ok(Start::Answered(response)),
        None => Ok(Start::Open(Open(Some((attempt, running))))),
    }
}

impl Open {
    /// For the operation, which keeps the answer under it.
    pub fn attempt(&self) -> Option<Attempt> {
        self.0.as_ref().map(|(attempt, _)| attempt.clone())
    }

    /// The outcome; where it failed although another node, or our own commit whose answer was lost, answered the same
    /// request meanwhile, that answer.
    pub async fn end<E>(self, state: &WebState, outcome: Result<Response, E>) -> Result<Response, E> {
        if let (Err(_), Some((attempt, _))) = (&outcome, &self.0)
            && let Ok(Some(response)) = known(state, attempt).await
        {
            return Ok(response);
        }
        outcome
    }
}

async fn known(state: &WebState, attempt: &Attempt) -> Result<Option<Response>, NotStarted> {
    match state.app.answer_known(attempt).await {
        Ok(Known::New) => Ok(None),
        Ok(Known::Answered(given)) => Ok(Some(replayed(given))),
        Ok(Known::OtherRequest) => Err(NotStarted::Reused),
        Err(error) => {
            tracing::error!(%error, "a kept answer could not be looked up");
            Err(NotStarted::Unavailable)
        }
    }
}
