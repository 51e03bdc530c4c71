//! Every route on one screen.

use crate::api::referral::{endpoints, error, events, handlers};
use crate::reference::{finish_document, metrics_routes, reference_routes, state_routes};
use crate::request_log::log_requests;
use crate::state::WebState;
use crate::visitor::click::VisitorState;
use crate::{script, visitor};
use axum::Router;
use axum::routing::{get, post};
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
        .merge(visitor::click::routes(visitors))
        .merge(script::routes())
        .merge(reference_routes(&document)?)
        .merge(metrics_routes(state.metrics))
        .merge(state_routes(move || {
            let app = Arc::clone(&checked);
            async move { if app.store.is_reachable().await { Ok(()) } else { Err("the store does not answer") } }
        }))
        .fallback(error::unknown_route)
        .method_not_allowed_fallback(error::unknown_method);
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

/// The published description; operations are added with their annotations.
fn document() -> OpenApi {
    OpenApi::default()
}
