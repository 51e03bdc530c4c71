//! One line in the log for each request, and the id that finds it.
//!
//! The line holds the method, the route's pattern, the status and how long the answer took; never the path as it was
//! sent, the query, a header or an address, for those carry keys, click tokens and people. The same numbers go to
//! `headwater_http_request_seconds` by route and status class, whose label values are bounded by the route table.
//!
//! A caller's `X-Request-Id` is kept where it is short and plain, so that it cannot forge a line; else we make one.

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The request's id; in the extensions of every request that passed [`log_requests`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub String);

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const REQUEST_ID_BYTES_MAX: usize = 64;

/// Adds the layer to all routes and the fallback of this router.
pub fn log_requests(router: Router) -> Router {
    router.layer(from_fn(log_request))
}

async fn log_request(mut request: Request, next: Next) -> Response {
    let id = request.headers().get(REQUEST_ID).and_then(plain_id).unwrap_or_else(make_id);
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    request.extensions_mut().insert(RequestId(id.clone()));
    let start = tokio::time::Instant::now();
    let mut response = next.run(request).await;
    let took = start.elapsed();
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    let status = response.status().as_u16();
    let duration_micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    // A method is any token the client likes: the log shows only those that mean something.
    let method = if method.is_idempotent() || method == http::Method::POST || method == http::Method::PATCH {
        method.as_str()
    } else {
        "other"
    };
    tracing::info!(target: "headwater::request", method, route, status, duration_micros, request_id = id, "request");
    let class = ["other", "1xx", "2xx", "3xx", "4xx", "5xx"].get(usize::from(status / 100)).copied().unwrap_or("other");
    metrics::histogram!("headwater_http_request_seconds", "route" => route, "status" => class).record(took);
    response
}

fn plain_id(given: &HeaderValue) -> Option<String> {
    let text = given.to_str().ok()?;
    let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    (is_plain && (1..=REQUEST_ID_BYTES_MAX).contains(&text.len())).then(|| text.to_owned())
}

/// Sixteen digits that differ within a process and, by its random key, between processes. No secret.
fn make_id() -> String {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{:016x}", KEY.hash_one(COUNT.fetch_add(1, Ordering::Relaxed)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use std::fmt::Write as _;
    use std::sync::{Arc, Mutex};
    use tower::ServiceExt as _;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};

    /// Collects every field of every event of this thread, as text.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, "{}={value:?} ", field.name());
        }
    }

    impl tracing::Subscriber for Lines {
        fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
            metadata.target() == "headwater::request"
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            self.0.lock().expect("no panic").push(line.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[tokio::test]
    async fn one_line_a_request_without_keys_or_people() {
        let lines = Lines::default();
        let _guard = tracing::subscriber::set_default(lines.clone());
        let router = Router::new().route("/links/{id}", get(async |id: axum::Extension<RequestId>| id.0.0));
        let router = log_requests(router.fallback(async || http::StatusCode::NOT_FOUND));
        for (path, sent_id) in [
            ("/links/ln_secret?email=ann@example.com", "abc-1"),
            ("/links/ln_secret", "two words"),
            ("/secret/path", ""),
        ] {
            let request = Request::get(path).header("x-api-key", "sk_secret").header(REQUEST_ID, sent_id);
            let response = router.clone().oneshot(request.body(Body::empty()).expect("a request")).await;
            let id = response.expect("infallible").headers()[REQUEST_ID].to_str().expect("text").to_owned();
            assert_eq!(id == sent_id, sent_id == "abc-1");
            assert!(!id.is_empty() && !id.contains(' '));
        }
        let lines = lines.0.lock().expect("no panic");
        assert_eq!(lines.len(), 3);
        assert!(lines[0].contains(r#"method="GET" route="/links/{id}" status=200"#), "{}", lines[0]);
        assert!(lines[0].contains(r#"request_id="abc-1""#), "{}", lines[0]);
        assert!(lines[2].contains(r#"route="unmatched" status=404"#), "{}", lines[2]);
        for line in lines.iter() {
            assert!(!line.contains("secret") && !line.contains("example.com") && !line.contains("two words"), "{line}");
        }
    }

    #[test]
    fn made_ids_differ() {
        assert_ne!(make_id(), make_id());
    }
}
