//! The visitor's script, under both of its published names.

use axum::response::{IntoResponse as _, Response};
use http::header;

const SCRIPT: &str = include_str!("../../../sdk/js/fynxt-referral-v1.js");

fn answer() -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/javascript; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, SCRIPT).into_response()
}

/// The browser script
///
/// Put it into your pages; it keeps the referral and reports events with a publishable key.
#[utoipa::path(get, path = "/fynxt-referral-v1.js", operation_id = "script", tag = "Visitor", security(()),
    responses((status = 200, description = "JavaScript", body = String, content_type = "text/javascript")))]
pub async fn script() -> Response {
    answer()
}

/// The browser script (alias)
///
/// The same file under its other published name.
#[utoipa::path(get, path = "/fynxt.js", operation_id = "script_alias", tag = "Visitor", security(()),
    responses((status = 200, description = "JavaScript", body = String, content_type = "text/javascript")))]
pub async fn script_alias() -> Response {
    answer()
}
