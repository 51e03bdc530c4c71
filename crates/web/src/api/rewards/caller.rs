//! From `Authorization: Bearer rk_…` and `Account-ID` to a caller within its minute.
//!
//! The account comes from the key alone; the header must agree with it. Every valid credential of another dialect is
//! told so with 403, everybody else gets 401. A partner's user token opens the affiliate API and nothing else.

use super::problem::RewardsError;
use crate::limits::rate::Allowance;
use crate::state::WebState;
use axum::response::{IntoResponse as _, Response};
use headwater_app::directory::Partner;
use headwater_app::key::{Credential, KeyKind};
use headwater_domain::ids::AccountId;
use http::{HeaderMap, header};
use std::sync::Arc;

/// Whoever may go on.
#[derive(Debug)]
pub struct Caller {
    /// Its account.
    pub account: AccountId,
    /// Its key.
    pub credential: Arc<Credential>,
    allowance: Allowance,
}

/// The caller whose key this is, for the account that it names, within that account's rate.
pub async fn caller(state: &WebState, headers: &HeaderMap) -> Result<Caller, RewardsError> {
    let credential = credential(state, headers, KeyKind::Rewards).await?;
    let allowance = allowance(state, credential.account)?;
    Ok(Caller { account: credential.account, credential, allowance })
}

/// The user of a partner, within the rate of that partner.
pub async fn affiliate(state: &WebState, headers: &HeaderMap) -> Result<(Caller, Arc<Partner>), RewardsError> {
    let credential = credential(state, headers, KeyKind::Partner).await?;
    let account = credential.account;
    let partner = credential.partner.and_then(|id| state.app.directory().partner_by_id(account, id).cloned());
    let partner = partner.ok_or_else(RewardsError::forbidden)?;
    let allowance = state.partner_rate.take(&partner.id, state.app.clock.now());
    if !allowance.is_granted() {
        return Err(RewardsError::rate_limited(allowance));
    }
    Ok((Caller { account, credential, allowance }, partner))
}

/// The credential of this kind that a request shows, for the account that it names.
async fn credential(state: &WebState, headers: &HeaderMap, kind: KeyKind) -> Result<Arc<Credential>, RewardsError> {
    let Some(text) = bearer_text(headers) else {
        let other = headers.get("x-api-key").and_then(|value| value.to_str().ok());
        let is_key = other.is_some_and(|text| state.app.authenticate(text.trim()).is_some());
        return Err(if is_key { RewardsError::forbidden() } else { RewardsError::unauthorized() });
    };
    let Some(credential) = state.app.authenticate(text) else {
        let is_token = state.app.oauth_bearer(text).await?.is_some();
        return Err(if is_token { RewardsError::forbidden() } else { RewardsError::unauthorized() });
    };
    if credential.kind != kind || !names_account(headers, credential.account) {
        return Err(RewardsError::forbidden());
    }
    Ok(credential)
}

/// The text of an `Authorization: Bearer` header.
pub fn bearer_text(headers: &HeaderMap) -> Option<&str> {
    let (scheme, text) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| text.trim())
}

/// Whether `Account-ID` is there once and names this account.
pub fn names_account(headers: &HeaderMap, account: AccountId) -> bool {
    let mut given = headers.get_all("account-id").iter();
    let named = given.next().and_then(|value| value.to_str().ok()).is_some_and(|id| id.trim() == account.to_string());
    named && given.next().is_none()
}

/// One request of the account's minute.
pub fn allowance(state: &WebState, account: AccountId) -> Result<Allowance, RewardsError> {
    let allowance = state.rewards_rate.take(&account, state.app.clock.now());
    if allowance.is_granted() { Ok(allowance) } else { Err(RewardsError::rate_limited(allowance)) }
}

impl Caller {
    /// The answer, with what is left of the minute.
    pub fn answer(&self, outcome: Result<Response, RewardsError>) -> Response {
        let mut response = outcome.unwrap_or_else(RewardsError::into_response);
        self.allowance.add_to(response.headers_mut());
        response
    }

    /// Who is written down for what it does.
    pub fn actor(&self) -> String {
        format!("key:{}", self.credential.id)
    }
}

/// Runs a handler's work for a rewards key, and answers with what is left of the account's minute.
macro_rules! with_rewards_key {
    ($state:expr, $headers:expr, |$caller:ident| $work:expr) => {{
        let $caller = match $crate::api::rewards::caller::caller(&$state, &$headers).await {
            Ok(caller) => caller,
            Err(error) => return axum::response::IntoResponse::into_response(error),
        };
        let outcome: Result<axum::response::Response, $crate::api::rewards::problem::RewardsError> =
            async { $work }.await;
        $caller.answer(outcome)
    }};
}
pub(crate) use with_rewards_key;

/// Runs a handler's work for a partner's user, and answers with what is left of the partner's minute.
macro_rules! with_partner_token {
    ($state:expr, $headers:expr, |$caller:ident, $partner:ident| $work:expr) => {{
        let ($caller, $partner) = match $crate::api::rewards::caller::affiliate(&$state, &$headers).await {
            Ok(known) => known,
            Err(error) => return axum::response::IntoResponse::into_response(error),
        };
        let outcome: Result<axum::response::Response, $crate::api::rewards::problem::RewardsError> =
            async { $work }.await;
        $caller.answer(outcome)
    }};
}
pub(crate) use with_partner_token;

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn the_account_is_named_once_and_exactly() {
        for (given, expected) in [
            (&[("account-id", "7")][..], true),
            (&[("account-id", " 7 ")], true),
            (&[], false),
            (&[("account-id", "8")], false),
            (&[("account-id", "07")], false),
            (&[("account-id", "7"), ("account-id", "7")], false),
        ] {
            assert_eq!(names_account(&headers(given), AccountId(7)), expected, "{given:?}");
        }
    }

    #[test]
    fn a_bearer_is_read_in_any_case() {
        assert_eq!(bearer_text(&headers(&[("authorization", "bearer rk_1")])), Some("rk_1"));
        assert_eq!(bearer_text(&headers(&[("authorization", "Basic rk_1")])), None);
        assert_eq!(bearer_text(&headers(&[])), None);
    }
}
