//! Who calls: `X-API-Key` to a credential, and its rate limit. It runs before a body is read.
//!
//! Leaves to others: what the credential may do there (the handlers, with [`permitted`]).

use crate::problem::ApiError;
use crate::state::WebState;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use headwater_app::key::{Credential, KeyKind};
use std::sync::Arc;

/// Lets a secret key through; the handlers find it as an `Extension<Arc<Credential>>`.
pub async fn secret_key(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    let text = request.headers().get("x-api-key").map(|value| value.to_str().unwrap_or_default());
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return ApiError::missing_api_key().into_response();
    };
    let Some(credential) = state.app.authenticate(text) else {
        return ApiError::invalid_api_key().into_response();
    };
    let allowance = state.rate.take(&credential.id, state.app.clock.now());
    if !allowance.is_granted() {
        return ApiError::rate_limited(allowance).into_response();
    }
    let mut response = if credential.kind == KeyKind::Secret {
        request.extensions_mut().insert(credential);
        next.run(request).await
    } else {
        ApiError::forbidden("This path takes a secret key.").into_response()
    };
    allowance.add_to(response.headers_mut());
    response
}

/// Refuses a key without the permission.
pub fn permitted(credential: &Arc<Credential>, permission: &str) -> Result<(), ApiError> {
    if credential.may(permission) {
        return Ok(());
    }
    Err(ApiError::forbidden(format!("This key lacks the permission {permission}.")))
}
