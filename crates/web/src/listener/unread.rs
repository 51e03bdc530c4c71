//! What a handler left unread of a body, as for an answer that needs none: a connection is kept only where its next request is
//! at hand.
//!
//! hyper closes a connection whose body was not read to its end, and says nothing: the client's next request, already on its
//! way, would be lost. So a short rest is read and thrown away before the answer goes out, and over a longer one the answer
//! says that the connection closes.

use axum::body::Body;
use bytes::Bytes;
use http::{Request, header};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// A longer rest is not worth reading.
const REST_BYTES_MAX: usize = 64 * 1024;
/// How long an answer waits for the rest of its request.
const REST_WITHIN: Duration = Duration::from_millis(200);

/// A body that its handler and the front door both hold.
#[derive(Clone)]
struct Shared(Arc<Mutex<Incoming>>);

impl Shared {
    fn with<T>(&self, of: impl FnOnce(Pin<&mut Incoming>) -> T) -> T {
        of(Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl hyper::body::Body for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.with(|body| body.poll_frame(context))
    }
    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }
    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}

/// What may be left of a body once its request is answered.
pub(super) struct Rest {
    body: Option<Shared>,
    /// Whether the client sends its body only when it is asked to.
    waits: bool,
}

/// The request for its handler, and what to ask after the answer.
pub(super) fn watched(request: Request<Incoming>) -> (Request<Body>, Rest) {
    let waits = request.headers().contains_key(header::EXPECT);
    if request.body().is_end_stream() {
        return (request.map(Body::new), Rest { body: None, waits });
    }
    let (head, body) = request.into_parts();
    let shared = Shared(Arc::new(Mutex::new(body)));
    (Request::from_parts(head, Body::new(shared.clone())), Rest { body: Some(shared), waits })
}

impl Rest {
    /// Reads what is left; `false` where that is too much, or does not come.
    pub(super) async fn read(self) -> bool {
        let Some(mut body) = self.body else { return true };
        if body.is_end_stream() {
            return true;
        }
        let stated = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
        if self.waits || stated > REST_BYTES_MAX {
            return false;
        }
        let read = async {
            let mut count = 0;
            while let Some(frame) = body.frame().await {
                count += frame.ok()?.data_ref().map_or(0, Bytes::len);
                if count > REST_BYTES_MAX {
                    return None;
                }
            }
            Some(())
        };
        tokio::time::timeout(REST_WITHIN, read).await.is_ok_and(|read| read.is_some())
    }
}
