//! Every route on one screen.

use crate::api::brand;
use crate::api::forex::{lists, pushes, tables, token};
use crate::api::management::{
    commissions, customers, exchange_rates, facts, keys, ledger, onboarding, partners, plans, programs,
};
use crate::api::referral::{endpoints, events, handlers};
use crate::auth::require_secret_key;
use crate::problem::{unknown_method, unknown_route};
use crate::reference::{finish_document, metrics_routes, reference_routes, state_routes};
use crate::request_log::log_requests;
use crate::state::WebState;
use crate::visitor::click::VisitorState;
use crate::{script, visitor};
use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, post};
use headwater_app::secrets::random;
use std::sync::Arc;
use utoipa::openapi::OpenApi;

/// The whole HTTP surface.
pub fn routes(state: &WebState) -> Result<Router, serde_json::Error> {
    let document = finish_document(document(), env!("CARGO_PKG_VERSION"));
    let checked = Arc::clone(&state.app);
    let clock = state.app.clock.clone();
    let visitors = VisitorState::new(
        Arc::clone(&state.app.clicks),
        Arc::clone(&state.countries),
        state.proxies.clone(),
        Arc::new(move || clock.now()),
        random::<16>,
    );
    let router = Router::new()
        .merge(referral(state.clone()))
        .merge(brand(state.clone()))
        .merge(forex(state.clone()))
        .merge(management(state.clone()))
        .merge(visitor::click::routes(visitors))
        .merge(script::routes())
        .merge(reference_routes(&document)?)
        .merge(metrics_routes(state.metrics))
        .merge(state_routes(move || {
            let app = Arc::clone(&checked);
            async move { if app.is_reachable().await { Ok(()) } else { Err("the store does not answer") } }
        }))
        .fallback(unknown_route)
        .method_not_allowed_fallback(unknown_method);
    Ok(log_requests(router))
}

fn referral(state: WebState) -> Router {
    let track = post(events::track).options(events::preflight);
    Router::new()
        .route("/api/referral/links", post(handlers::link_create).get(handlers::link_list))
        .route("/api/referral/links/{id}", get(handlers::link_read).patch(handlers::link_patch))
        .route("/api/referral/clicks", get(handlers::click_list))
        .route("/api/referral/events", get(events::list))
        .route("/api/referral/events/track", track.clone())
        .route("/v1/referral/events", track)
        .route("/api/referral/events/{id}/confirm", post(events::confirm))
        .route("/api/referral/events/{id}/reject", post(events::reject))
        .route("/api/postback_endpoints", post(endpoints::create).get(endpoints::list))
        .route("/api/postback_endpoints/{id}", get(endpoints::get).patch(endpoints::patch).delete(endpoints::delete))
        .route("/api/postback_endpoints/{id}/rotate_secret", post(endpoints::rotate))
        .route("/api/postback_endpoints/{id}/test", post(endpoints::test))
        .route("/api/postback_endpoints/{id}/deliveries", get(endpoints::deliveries))
        .route("/api/postback_endpoints/{id}/deliveries/{delivery_id}", get(endpoints::delivery))
        .route("/api/postback_endpoints/{id}/deliveries/{delivery_id}/retry", post(endpoints::retry))
        .with_state(state)
}

/// The brand dialect: write only.
fn brand(state: WebState) -> Router {
    Router::new()
        .route("/tracking/events/customers", post(brand::customers::push))
        .route("/tracking/events/activities", post(brand::activities::push))
        .with_state(state)
}

/// The forex dialect and its access tokens.
fn forex(state: WebState) -> Router {
    Router::new()
        .route("/oauth/token", post(token::issue))
        .route("/api/v1/forex/customers", post(pushes::customers).get(lists::customers))
        .route("/api/v1/forex/transactions", post(pushes::transactions).get(lists::transactions))
        .route("/api/v1/forex/trading-activity", post(pushes::trading_activity).get(lists::trading_activity))
        .route("/api/v1/forex/trades", post(pushes::trades).get(lists::trades))
        .route("/api/v1/forex/schemas/customers", get(tables::customers))
        .route("/api/v1/forex/schemas/transactions", get(tables::transactions))
        .route("/api/v1/forex/schemas/trading-activity", get(tables::trading_activity))
        .route("/api/v1/forex/schemas/trades", get(tables::trades))
        .with_state(state)
}

fn management(state: WebState) -> Router {
    let keyed = from_fn_with_state(state.clone(), require_secret_key);
    let routes = Router::new()
        .route("/programs", get(programs::list).post(programs::create))
        .route("/programs/{id}", get(programs::read).patch(programs::patch))
        .route("/programs/{id}/onboarding", get(onboarding::read))
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
        .route("/keys/{id}", delete(keys::revoke));
    Router::new().nest("/api/v1", routes.route_layer(keyed)).with_state(state)
}

/// The published description; operations are added with their annotations.
fn document() -> OpenApi {
    OpenApi::default()
}
