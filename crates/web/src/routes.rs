//! Every route on one screen.

use crate::api::management::{commissions, customers, exchange_rates, facts, keys, ledger, partners, plans, programs};
use crate::auth;
use crate::problem::{unknown_method, unknown_route};
use crate::reference::{finish_document, reference_routes, state_routes};
use crate::state::WebState;
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use http::header;

const SCRIPT: &str = include_str!("../../../sdk/js/fynxt-referral-v1.js");

/// The whole server but `/metrics`, whose text the binary has (`reference::metrics_routes`).
pub fn routes(state: WebState) -> Result<Router, serde_json::Error> {
    let document = finish_document(utoipa::openapi::OpenApi::default(), env!("CARGO_PKG_VERSION"));
    let app = std::sync::Arc::clone(&state.app);
    let ready = move || {
        let app = std::sync::Arc::clone(&app);
        async move { app.refresh().await }
    };
    let keyed = Router::new()
        .nest("/api/v1", management())
        // ADD HERE: the referral dialect (links, clicks, events, endpoints).
        .layer(from_fn_with_state(state.clone(), auth::secret_key))
        .with_state(state);
    // ADD HERE: `visitor::click::routes(…)`, and the routes that publishable keys may call.
    Ok(Router::new()
        .merge(keyed)
        .merge(scripts())
        .merge(state_routes(ready))
        .merge(reference_routes(&document)?)
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method))
}

fn management() -> Router<WebState> {
    Router::new()
        .route("/programs", get(programs::list).post(programs::create))
        .route("/programs/{id}", get(programs::read).patch(programs::patch))
        .route("/partners", get(partners::list).post(partners::create))
        .route("/partners/{id}", get(partners::read).patch(partners::patch))
        .route("/partners/{id}/{change}", post(partners::change))
        .route("/plans", get(plans::list).post(plans::create))
        .route("/plans/{name}", get(plans::read))
        .route("/plans/{name}/versions", get(plans::read))
        .route("/plans/{name}/activate", post(plans::activate))
        .route("/customers/{id}", get(customers::read))
        .route("/facts/{id}", get(facts::read))
        .route("/facts/{id}/explain", get(facts::explain))
        .route("/held", get(facts::held))
        .route("/commissions", get(commissions::list))
        .route("/commissions/{id}", get(commissions::read))
        .route("/commissions/{id}/explain", get(commissions::explain))
        .route("/ledger/entries", get(ledger::entries))
        .route("/ledger/balances", get(ledger::balances))
        .route("/exchange-rates", post(exchange_rates::create))
        .route("/keys", get(keys::list).post(keys::issue))
        .route("/keys/{id}", delete(keys::revoke))
}

/// The visitor's script, under both of its names.
fn scripts() -> Router {
    let script = async || ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT);
    Router::new().route("/fynxt-referral-v1.js", get(script)).route("/fynxt.js", get(script))
}
