//! The visitor's script, under both of its published names.

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;

const SCRIPT: &str = include_str!("../../../sdk/js/fynxt-referral-v1.js");

async fn script() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, SCRIPT)
}

/// One file, two names.
pub fn routes() -> Router {
    Router::new().route("/fynxt-referral-v1.js", get(script)).route("/fynxt.js", get(script))
}
