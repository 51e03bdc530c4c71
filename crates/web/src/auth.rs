//! From `X-API-Key` to a credential with a right, before a body is read.

use crate::api::referral::caller::Caller;
use crate::limits::rate::Allowance;
use crate::problem::ApiError;
use crate::state::WebState;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use headwater_app::key::{Credential, KeyKind};
use http::HeaderMap;
use std::sync::Arc;

/// A caller that may go on.
#[derive(Debug)]
pub struct Authorized {
    /// Who it is.
    pub credential: Arc<Credential>,
    /// What is left of its minute.
    pub allowance: Allowance,
}

/// A credential of any kind, within its rate.
pub fn authenticate(state: &WebState, headers: &HeaderMap) -> Result<Authorized, ApiError> {
    let mut all = headers.get_all("x-api-key").iter();
    let given = all.next().ok_or_else(ApiError::missing_api_key)?;
    if all.next().is_some() {
        return Err(ApiError::invalid("X-API-Key", "X-API-Key must be sent once."));
    }
    let text = given.to_str().map_err(|_| ApiError::invalid_api_key())?.trim();
    let credential = state.app.authenticate(text).ok_or_else(ApiError::invalid_api_key)?;
    let allowance = state.rate.take(&credential.id, state.app.clock.now());
    if allowance.is_granted() {
        Ok(Authorized { credential, allowance })
    } else {
        Err(ApiError::rate_limited(allowance))
    }
}

/// A secret key with this permission (`None`: any).
pub fn secret_key(state: &WebState, headers: &HeaderMap, permission: Option<&str>) -> Result<Authorized, ApiError> {
    let authorized = authenticate(state, headers)?;
    if authorized.credential.kind != KeyKind::Secret {
        return Err(ApiError::forbidden("This key does not open this API: use a secret key (sk_…)."));
    }
    match permission {
        Some(permission) if !authorized.credential.may(permission) => {
            Err(ApiError::forbidden(format!("This key lacks the permission {permission}.")))
        }
        _ => Ok(authorized),
    }
}

/// Runs a handler's work for a secret key with this permission, and answers with what is left of the key's minute.
macro_rules! with_secret_key {
    ($state:expr, $headers:expr, $permission:expr, |$caller:ident| $work:expr) => {{
        let $caller = match $crate::auth::secret_key(&$state, &$headers, Some($permission)) {
            Ok(authorized) => authorized,
            Err(error) => return axum::response::IntoResponse::into_response(error),
        };
        let outcome: Result<axum::response::Response, $crate::problem::ApiError> = async { $work }.await;
        $caller.answer(outcome)
    }};
}
pub(crate) use with_secret_key;

impl Authorized {
    /// As the handlers of links and clicks know it.
    pub fn caller(&self) -> Caller {
        let credential = &self.credential;
        Caller {
            account: credential.account,
            programs: (!credential.programs.is_empty()).then(|| credential.programs.clone()),
            reads_personal_data: credential.may("pii:read"),
        }
    }

    /// The answer, with what is left of the minute.
    pub fn answer(&self, outcome: Result<Response, ApiError>) -> Response {
        let mut response = outcome.unwrap_or_else(IntoResponse::into_response);
        self.allowance.add_to(response.headers_mut());
        response
    }
}

/// Lets an unlimited secret key through to the management API, whose objects belong to the whole account. The handlers find it as an `Extension<Arc<Credential>>`.
pub async fn require_secret_key(State(state): State<WebState>, mut request: Request, next: Next) -> Response {
    match secret_key(&state, request.headers(), None) {
        Err(error) => error.into_response(),
        Ok(authorized) if !authorized.credential.is_unlimited() => {
            let message = "This key is limited to programs or permissions: the management API takes one that is not.";
            authorized.answer(Err(ApiError::forbidden(message)))
        }
        Ok(authorized) => {
            request.extensions_mut().insert(Arc::clone(&authorized.credential));
            let response = next.run(request).await;
            authorized.answer(Ok(response))
        }
    }
}
