//! Answers that a caller's `Idempotency-Key` brings back: looked up before an operation, kept with its effect.
//!
//! An operation that makes something takes a [`Keep`] and writes the answer in its own transaction, so that there is no
//! moment at which the thing exists and its answer does not (`conventions.md` §6). Operations that can be repeated
//! without harm are kept afterwards, by [`App::answer_keep`]. Settling events has its own batch of keys (`settle`).
//!
//! Answers may show a secret once, so every one of them is sealed. Leaves to others: what an answer looks like, and
//! which requests are equal (the fingerprint).

use crate::app::App;
use crate::error::Result;
use crate::secrets::Secrets;
use headwater_domain::ids::KeyId;
use headwater_store::backend::{Error as StoreError, Tx};
use headwater_store::idempotency::{KeptAnswer, answer_insert, answer_read};
use std::fmt;
use std::sync::Arc;

/// Before the text of a sealed answer; the answers of events are plain JSON.
const SEALED: &str = "sealed:";

/// One request under a caller's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The credential.
    pub key: KeyId,
    /// Method, path and the caller's key.
    pub scope: String,
    /// SHA-256 over the canonical request.
    pub fingerprint: String,
}

/// An answer as it was given: a status of the caller's protocol, and the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// What is known of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing: it is new.
    New,
    /// It was answered.
    Answered(Given),
    /// Its key was used for another request.
    OtherRequest,
}

type Render<T> = Box<dyn Fn(&T) -> Option<Given> + Send + Sync>;

/// The attempt, what seals its answer, when it came, and how it is answered.
type Kept<T> = (Attempt, Secrets, i64, Render<T>);

/// How the answer about a `T` that is being made is kept, where the caller sent a key.
pub struct Keep<T>(Option<Arc<Kept<T>>>);

impl<T> fmt::Debug for Keep<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Keep").field(&self.attempt()).finish()
    }
}

impl<T> Clone for Keep<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Keep<T> {
    /// The caller sent no key.
    pub const fn nothing() -> Self {
        Self(None)
    }

    /// The caller's attempt, where there is one.
    pub(crate) fn attempt(&self) -> Option<&Attempt> {
        self.0.as_deref().map(|(attempt, ..)| attempt)
    }

    /// Inside the operation's transaction, after its effect. Where another node has answered the same attempt
    /// meanwhile, the whole transaction is given up: that answer stands.
    pub(crate) async fn keep(&self, tx: &Tx<'_>, made: &T) -> Result<(), StoreError> {
        let Some((attempt, secrets, now, render)) = self.0.as_deref() else { return Ok(()) };
        let Some(given) = render(made) else { return Ok(()) };
        let row = kept(attempt, secrets, *now, &given);
        if answer_insert(tx, &row).await? {
            return Ok(());
        }
        Err(StoreError::Abandoned("the same request was answered by another node".into()))
    }
}

impl App {
    /// Keeps what `render` says of the thing that an operation makes.
    pub fn keep<T>(&self, attempt: Option<Attempt>, render: impl Fn(&T) -> Given + Send + Sync + 'static) -> Keep<T> {
        self.keep_if(attempt, move |made| Some(render(made)))
    }

    /// The same, where not every answer is kept: a refusal is not, so that the mended request can have its key.
    pub fn keep_if<T>(
        &self,
        attempt: Option<Attempt>,
        render: impl Fn(&T) -> Option<Given> + Send + Sync + 'static,
    ) -> Keep<T> {
        Keep(attempt.map(|attempt| {
            let render: Render<T> = Box::new(render);
            Arc::new((attempt, self.secrets.clone(), self.clock.now().0, render))
        }))
    }

    /// Whether an attempt was made before.
    pub async fn answer_known(&self, attempt: &Attempt) -> Result<Known> {
        let (key, scope) = (attempt.key.0, attempt.scope.clone());
        let found = self.store.money.read(async move |tx| answer_read(tx, key, &scope).await).await?;
        let Some(row) = found else { return Ok(Known::New) };
        if row.fingerprint != attempt.fingerprint {
            return Ok(Known::OtherRequest);
        }
        let body = match row.body.strip_prefix(SEALED) {
            None => row.body,
            Some(sealed) => {
                let opened = self.secrets.open(sealed, &attempt.scope).ok().and_then(|b| String::from_utf8(b).ok());
                opened.ok_or_else(|| StoreError::Refused("a kept answer does not open".into()))?
            }
        };
        Ok(Known::Answered(Given { status: u16::try_from(row.status).unwrap_or(200), body }))
    }

    /// Keeps the answer of an operation that could be repeated without harm, after it was done.
    pub async fn answer_keep(&self, attempt: &Attempt, given: &Given) -> Result<()> {
        let row = kept(attempt, &self.secrets, self.clock.now().0, given);
        self.store.money.write(async move |tx| answer_insert(tx, &row).await).await?;
        Ok(())
    }
}

fn kept(attempt: &Attempt, secrets: &Secrets, now: i64, given: &Given) -> KeptAnswer {
    KeptAnswer {
        key_id: attempt.key.0,
        scope: attempt.scope.clone(),
        fingerprint: attempt.fingerprint.clone(),
        status: i64::from(given.status),
        body: format!("{SEALED}{}", secrets.seal(given.body.as_bytes(), &attempt.scope)),
        created_at: now,
    }
}
