//! What needs no key: the reference (`/openapi.json`, `/docs`), and how the server is (`/health`, `/ready`, `/metrics`).
//!
//! The document is assembled elsewhere (`document`, `routes`). The reader is readable offline: its page loads only files that are built in, and its content security
//! policy lets it load nothing else and run no inline script. Inline style is allowed on these pages alone, because
//! Swagger UI sets style attributes.
//!
//! What "ready" means and what is measured, others know: both come in as functions.

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use utoipa::openapi::OpenApi;

/// A check that takes longer is a "not ready".
const READY_TIMEOUT: Duration = Duration::from_secs(2);

const DOCUMENT_PATH: &str = "/openapi.json";

const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// The routes of the reference: `/openapi.json`, `/docs`, `/docs/…`.
pub fn reference_routes(document: &OpenApi) -> Result<Router, serde_json::Error> {
    let text = Bytes::from(serde_json::to_vec(document)?);
    // No validator: it would send the document's address to a server of the Swagger project.
    let config = Arc::new(
        utoipa_swagger_ui::Config::from(DOCUMENT_PATH).validator_url("none").use_base_layout().deep_linking(true),
    );
    let file = move |path: String| {
        let config = Arc::clone(&config);
        async move { reader_file(&path, config) }
    };
    let by_path = file.clone();
    Ok(Router::new()
        .route(DOCUMENT_PATH, get(async move || ([(header::CONTENT_TYPE, "application/json")], text.clone())))
        // The page names its files relative to a folder.
        .route("/docs", get(async || (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/docs/")])))
        .route("/docs/", get(async move || file(String::new()).await))
        .route("/docs/{*path}", get(async move |Path(path): Path<String>| by_path(path).await)))
}

fn reader_file(path: &str, config: Arc<utoipa_swagger_ui::Config<'static>>) -> Response {
    let Ok(Some(file)) = utoipa_swagger_ui::serve(path, config) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut response = Response::new(Body::from(file.bytes.into_owned()));
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CONTENT_SECURITY_POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// `/health` (alive) and `/ready`: `check` says why the server cannot work now, for the log; the answer does not say it.
pub fn state_routes<C, F, E>(check: C) -> Router
where
    C: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: std::fmt::Display + Send + 'static,
{
    state_routes_within(READY_TIMEOUT, check)
}

fn state_routes_within<C, F, E>(timeout: Duration, check: C) -> Router
where
    C: Fn() -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), E>> + Send,
    E: std::fmt::Display + Send + 'static,
{
    let ready = async move || match tokio::time::timeout(timeout, check()).await {
        Ok(Ok(())) => (StatusCode::OK, "ready\n").into_response(),
        Ok(Err(reason)) => not_ready(&reason),
        Err(_) => not_ready(&"the check took too long"),
    };
    Router::new().route("/health", get(async || "alive\n")).route("/ready", get(ready))
}

fn not_ready(reason: &dyn std::fmt::Display) -> Response {
    tracing::warn!(%reason, "not ready");
    (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "5")], "not ready\n").into_response()
}

/// `/metrics`, in the text form of Prometheus. Its own router, because it can be moved to its own listener.
pub fn metrics_routes(render: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    let metrics = async move || ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], render());
    Router::new().route("/metrics", get(metrics))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::finish_document;
    use axum::body::to_bytes;
    use http::Request;
    use tower::ServiceExt as _;

    async fn fetch(router: &Router, path: &str) -> (StatusCode, http::HeaderMap, String) {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, 16 << 20).await.expect("a body");
        (parts.status, parts.headers, String::from_utf8_lossy(&bytes).into_owned())
    }

    fn reference() -> Router {
        let document = finish_document(OpenApi::default(), "1.2.3");
        reference_routes(&document).expect("a document")
    }

    #[tokio::test]
    async fn the_document_is_served_as_json() {
        let (status, headers, text) = fetch(&reference(), "/openapi.json").await;
        assert_eq!((status, &headers["content-type"]), (StatusCode::OK, &HeaderValue::from_static("application/json")));
        let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(document["info"]["version"], "1.2.3");
    }

    #[tokio::test]
    async fn the_reader_loads_only_files_that_are_built_in() {
        let router = reference();
        let (status, headers, page) = fetch(&router, "/docs/").await;
        assert_eq!(status, StatusCode::OK);
        assert!(headers["content-type"].to_str().expect("text").starts_with("text/html"));
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(policy.contains("script-src 'self';") && policy.starts_with("default-src 'none'"));
        assert!(!page.contains("http:") && !page.contains("https:") && !page.contains("style>"), "{page}");
        let mut loaded = 0;
        for part in page.split(['"', '\'']).filter(|part| part.contains(".js") || part.contains(".css")) {
            let path = format!("/docs/{}", part.trim_start_matches("./"));
            assert_eq!(fetch(&router, &path).await.0, StatusCode::OK, "{path}");
            loaded += 1;
        }
        assert_eq!(loaded, 5);
        for script in page.split("<script").skip(1) {
            let (attributes, rest) = script.split_once('>').expect("a tag");
            assert!(attributes.contains("src="), "{script}");
            assert!(rest.split("</script>").next().is_some_and(|inline| inline.trim().is_empty()), "{script}");
        }
        let (_, _, start) = fetch(&router, "/docs/swagger-initializer.js").await;
        assert!(start.contains("/openapi.json") && start.contains(r#""validatorUrl": "none""#), "{start}");
        assert!(!start.contains("http"), "{start}");
        assert_eq!(fetch(&router, "/docs").await.1["location"], "/docs/");
        assert_eq!(fetch(&router, "/docs/nothing.js").await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn ready_follows_its_check_and_health_does_not() {
        for (outcome, status) in [(Ok(()), 200), (Err("the password is wrong"), 503)] {
            let router = state_routes(move || async move { outcome });
            let (got, headers, text) = fetch(&router, "/ready").await;
            assert_eq!(got.as_u16(), status);
            assert_eq!(headers.contains_key("retry-after"), status == 503);
            assert!(!text.contains("password"));
            assert_eq!(fetch(&router, "/health").await.0, StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn a_check_that_hangs_is_not_ready() {
        let router = state_routes_within(Duration::from_millis(5), std::future::pending::<Result<(), String>>);
        assert_eq!(fetch(&router, "/ready").await.0, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn metrics_are_what_the_recorder_renders() {
        let router = metrics_routes(|| "clicks_total 7\n".to_owned());
        assert_eq!(fetch(&router, "/metrics").await.2, "clicks_total 7\n");
    }
}
