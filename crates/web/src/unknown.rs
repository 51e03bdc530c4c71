//! What is answered where nothing is: no such path, or no such method, in the error body of the dialect whose path it is.
//!
//! The bodies are the dialects'; here stands only which prefix is whose. The router adds `Allow` to a wrong method.

use crate::api::brand::caller::BrandError;
use crate::api::forex::caller::ForexError;
use crate::api::rewards::problem::RewardsError;
use crate::problem::ApiError;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, Uri};

/// The router's fallback: no such path.
pub async fn unknown_route(uri: Uri) -> Response {
    refusal(uri.path(), StatusCode::NOT_FOUND, "not_found", "There is nothing at this path.")
}

/// The router's fallback for a path that exists.
pub async fn unknown_method(uri: Uri) -> Response {
    let message = "This path does not take this method.";
    refusal(uri.path(), StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

fn refusal(path: &str, status: StatusCode, code: &'static str, message: &str) -> Response {
    let is_below =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_below("/tracking/events") {
        return BrandError::new(status, code, message).into_response();
    }
    if is_below("/api/v1/forex") {
        return ForexError::new(status, code, message).into_response();
    }
    if is_below("/api/v2") {
        return RewardsError::new(status, code, message).into_response();
    }
    ApiError::new(status, code, message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use http::Request;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    type Form<'a> = &'a dyn Fn(&str, &str) -> Value;

    #[tokio::test]
    async fn unknown_paths_and_methods_are_answered_in_the_form_of_their_dialect() {
        let mut router = Router::new();
        for path in ["/known", "/tracking/events/customers", "/api/v1/forex/customers", "/api/v2/company/known"] {
            router = router.route(path, get(async || ""));
        }
        let router = router.fallback(unknown_route).method_not_allowed_fallback(unknown_method);
        let general = |code: &str, message: &str| json!({"error": {"code": code, "message": message}});
        let brand = |code: &str, message: &str| json!({"success": false, "error": {"code": code, "message": message}});
        let rewards = |code: &str, message: &str| json!({"message": message, "code": code});
        let forms: [(&str, &str, Form<'_>); 4] = [
            ("/known", "/tracking/eventss", &general),
            ("/tracking/events/customers", "/tracking/events/x", &brand),
            ("/api/v1/forex/customers", "/api/v1/forex", &general),
            ("/api/v2/company/known", "/api/v2/company/promoters/1", &rewards),
        ];
        for (known, unknown, form) in forms {
            for (method, path, status, code, message) in [
                ("GET", unknown, 404, "not_found", "There is nothing at this path."),
                ("DELETE", known, 405, "method_not_allowed", "This path does not take this method."),
            ] {
                let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
                let response = router.clone().oneshot(request).await.expect("infallible");
                assert_eq!(response.status().as_u16(), status, "{path}");
                assert_eq!(response.headers().contains_key("allow"), status == 405, "{path}");
                let body = to_bytes(response.into_body(), 4096).await.expect("a body");
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                assert_eq!(body, form(code, message), "{method} {path}");
            }
        }
    }
}
