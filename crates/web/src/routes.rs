//! Every route in one file.
//!
//! A route is registered by the description that its handler carries, so the reference (`document`) has them all and
//! nothing else.

use crate::api::forex::{lists, pushes, tables, token};
use crate::api::management::{
    audit, commissions, customers, exchange_rates, facts, held, keys, ledger, onboarding, partners, payouts, plans,
    programs, simulations, webhook_deliveries as requeue,
};
use crate::api::referral::{dead_letters, endpoints, events, handlers};
use crate::api::rewards::{
    self, affiliate, batches, campaigns, chart, commission_actions, commission_create, memberships, payout_actions,
    products, promo_codes, promoters, referrals, reports, reward, track, webhook_deliveries, webhooks,
};
use crate::api::{brand, postback};
use crate::auth::require_secret_key;
use crate::document::finish_document;
use crate::idempotency::answer_once;
use crate::reference::{metrics_routes, reference_routes, state_routes};
use crate::request_log::log_requests;
use crate::script;
use crate::state::WebState;
use crate::unknown::{unknown_method, unknown_route};
use crate::visitor::click::{self, VisitorState};
use axum::Router;
use axum::middleware::from_fn_with_state;
use headwater_app::secrets::random;
use std::sync::Arc;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The whole HTTP surface.
pub fn routes(state: &WebState) -> Result<Router, serde_json::Error> {
    let document = finish_document(described(), env!("CARGO_PKG_VERSION"));
    let checked = Arc::clone(&state.app);
    let clock = state.app.clock.clone();
    let visitors = VisitorState::new(
        Arc::clone(&state.app.clicks),
        Arc::clone(&state.countries),
        state.proxies.clone(),
        Arc::new(move || clock.now()),
        random::<16>,
    );
    let once = from_fn_with_state(state.clone(), answer_once);
    let keyed = from_fn_with_state(state.clone(), require_secret_key);
    let referral: Router<WebState> = referral().into();
    let management: Router<WebState> = management().into();
    let rewards: Router<WebState> = rewards().into();
    let router = Router::new()
        .merge(referral.route_layer(once.clone()))
        .merge(Router::from(tracking()))
        .merge(Router::from(bulk()))
        .merge(rewards.route_layer(from_fn_with_state(state.clone(), rewards::once::answer_once)))
        .merge(Router::from(inbound()))
        .merge(management.route_layer(once).route_layer(keyed))
        .with_state(state.clone())
        .merge(Router::from(visitor()).with_state(visitors))
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

/// What the routes say of themselves.
pub fn described() -> OpenApi {
    let mut document =
        referral().merge(tracking()).merge(bulk()).merge(rewards()).merge(inbound()).merge(management()).into_openapi();
    document.merge(visitor().into_openapi());
    document
}

fn referral() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(handlers::link_create, handlers::link_list))
        .routes(routes!(handlers::link_read, handlers::link_patch))
        .routes(routes!(handlers::click_list))
        .routes(routes!(events::list))
        .routes(routes!(events::confirm))
        .routes(routes!(events::reject))
        .routes(routes!(endpoints::create, endpoints::list))
        .routes(routes!(endpoints::get, endpoints::patch, endpoints::delete))
        .routes(routes!(endpoints::rotate))
        .routes(routes!(endpoints::test))
        .routes(routes!(endpoints::deliveries))
        .routes(routes!(endpoints::delivery))
        .routes(routes!(endpoints::retry))
        .routes(routes!(dead_letters::retry))
}

/// Their idempotency keys are settled with their events.
fn tracking() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(events::track, events::preflight))
        .routes(routes!(events::track_alias, events::preflight_alias))
}

/// What servers report by an address alone.
fn inbound() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(postback::get, postback::post))
        .routes(routes!(postback::get_gif, postback::post_gif))
}

/// The brand and the forex dialect, which judge an `Idempotency-Key` themselves (`once`).
fn bulk() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(brand::customers::push))
        .routes(routes!(brand::activities::push))
        .routes(routes!(token::issue))
        .routes(routes!(pushes::customers, lists::customers))
        .routes(routes!(pushes::transactions, lists::transactions))
        .routes(routes!(pushes::trading_activity, lists::trading_activity))
        .routes(routes!(pushes::trades, lists::trades))
        .routes(routes!(tables::customers))
        .routes(routes!(tables::transactions))
        .routes(routes!(tables::trading_activity))
        .routes(routes!(tables::trades))
}

/// The rewards dialect, whose layer (`rewards::once`) judges an `Idempotency-Key`.
fn rewards() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(webhooks::event_types))
        .routes(routes!(webhooks::list, webhooks::create))
        .routes(routes!(webhooks::test))
        .routes(routes!(webhooks::get, webhooks::put, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhook_deliveries::list))
        .routes(routes!(webhook_deliveries::get))
        .routes(routes!(webhook_deliveries::retry))
        .routes(routes!(rewards::commissions::list, commission_create::create))
        .routes(routes!(rewards::commissions::get, rewards::commissions::put))
        .routes(routes!(commission_actions::approve))
        .routes(routes!(commission_actions::deny))
        .routes(routes!(commission_actions::mark_fulfilled))
        .routes(routes!(commission_actions::mark_unfulfilled))
        .routes(routes!(commission_actions::generate_payouts))
        .routes(routes!(commission_actions::destroy))
        .routes(routes!(rewards::payouts::list))
        .routes(routes!(rewards::payouts::stats))
        .routes(routes!(rewards::payouts::due_stats))
        .routes(routes!(rewards::payouts::group_by_promoters))
        .routes(routes!(payout_actions::mark_as_paid))
        .routes(routes!(payout_actions::mark_as_unpaid))
        .routes(routes!(payout_actions::destroy))
        .routes(routes!(payout_actions::create_payments))
        .routes(routes!(payout_actions::pay))
        .routes(routes!(payout_actions::delete_payments))
        .routes(routes!(batches::list))
        .routes(routes!(batches::progress))
        .routes(routes!(batches::get))
        .merge(rewards_people())
}

/// Promoters, their memberships and referrals, campaigns, rewards, and tracking.
fn rewards_people() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(track::signup))
        .routes(routes!(track::sale))
        .routes(routes!(track::refund))
        .routes(routes!(track::cancellation))
        .routes(routes!(campaigns::list, campaigns::create))
        .routes(routes!(campaigns::read, campaigns::update, campaigns::delete))
        .routes(routes!(reward::list, reward::create))
        .routes(routes!(reward::read, reward::update))
        .routes(routes!(reward::hide))
        .routes(routes!(products::list, products::create))
        .routes(routes!(products::read, products::update, products::delete))
        .routes(routes!(promo_codes::list, promo_codes::create))
        .routes(routes!(promo_codes::read, promo_codes::update, promo_codes::delete))
        .routes(routes!(promoters::list, promoters::create))
        .routes(routes!(promoters::read, promoters::update))
        .routes(routes!(promoters::accept))
        .routes(routes!(promoters::reject))
        .routes(routes!(promoters::block))
        .routes(routes!(promoters::archive))
        .routes(routes!(promoters::restore))
        .routes(routes!(promoters::add_to_campaign))
        .routes(routes!(promoters::move_to_campaign))
        .routes(routes!(promoters::assign_parent))
        .routes(routes!(memberships::list))
        .routes(routes!(memberships::search))
        .routes(routes!(memberships::update))
        .routes(routes!(memberships::links))
        .routes(routes!(chart::membership))
        .routes(routes!(chart::promoter))
        .routes(routes!(referrals::list, referrals::create, referrals::delete))
        .routes(routes!(referrals::read, referrals::update))
        .routes(routes!(referrals::approve))
        .routes(routes!(referrals::enable))
        .routes(routes!(referrals::disable))
        .routes(routes!(referrals::move_to_promoter))
        .routes(routes!(reports::overview))
        .routes(routes!(reports::campaigns))
        .routes(routes!(reports::promoters))
        .routes(routes!(reports::traffic_sources))
        .routes(routes!(reports::urls))
        .routes(routes!(reports::download))
        .merge(rewards_affiliate())
}

/// What a partner's own user calls.
fn rewards_affiliate() -> OpenApiRouter<WebState> {
    OpenApiRouter::new()
        .routes(routes!(affiliate::promoters::current))
        .routes(routes!(affiliate::promoters::sub_affiliates))
        .routes(routes!(affiliate::campaigns::list))
        .routes(routes!(affiliate::campaigns::update))
        .routes(routes!(affiliate::commissions::list))
        .routes(routes!(affiliate::payouts::list))
        .routes(routes!(affiliate::payouts::due_stats))
        .routes(routes!(affiliate::payouts::statement))
        .routes(routes!(affiliate::payout_methods::list, affiliate::payout_methods::create))
        .routes(routes!(
            affiliate::payout_methods::read,
            affiliate::payout_methods::update,
            affiliate::payout_methods::delete
        ))
        .routes(routes!(affiliate::promo_codes::list, affiliate::promo_codes::create))
        .routes(routes!(affiliate::promo_codes::update, affiliate::promo_codes::delete))
        .routes(routes!(affiliate::referral_links::list, affiliate::referral_links::create))
        .routes(routes!(affiliate::referral_links::update, affiliate::referral_links::delete))
        .routes(routes!(affiliate::referrals::list, affiliate::referrals::create))
        .routes(routes!(affiliate::referrals::update, affiliate::referrals::delete))
        .routes(routes!(affiliate::reports::overview))
        .routes(routes!(affiliate::reports::sub_ids))
        .routes(routes!(affiliate::reports::download))
        .routes(routes!(affiliate::contract_documents::list))
        .routes(routes!(affiliate::contract_documents::sign))
}

fn management() -> OpenApiRouter<WebState> {
    let routes = OpenApiRouter::new()
        .routes(routes!(programs::list, programs::create))
        .routes(routes!(programs::read, programs::patch))
        .routes(routes!(programs::rotate_postback_token))
        .routes(routes!(onboarding::read))
        .routes(routes!(partners::list, partners::create))
        .routes(routes!(partners::read, partners::patch))
        .routes(routes!(partners::move_))
        .routes(routes!(partners::suspend))
        .routes(routes!(partners::restore))
        .routes(routes!(plans::list, plans::create))
        .routes(routes!(plans::read))
        .routes(routes!(plans::versions))
        .routes(routes!(plans::activate))
        .routes(routes!(customers::read))
        .routes(routes!(customers::attribute))
        .routes(routes!(customers::erase))
        .routes(routes!(facts::read))
        .routes(routes!(facts::explain))
        .routes(routes!(requeue::retry_all))
        .routes(routes!(requeue::retry_one))
        .routes(routes!(held::list))
        .routes(routes!(held::retry))
        .routes(routes!(held::dismiss))
        .routes(routes!(audit::list))
        .routes(routes!(commissions::list))
        .routes(routes!(commissions::approve))
        .routes(routes!(commissions::deny))
        .routes(routes!(commissions::read))
        .routes(routes!(commissions::explain))
        .routes(routes!(ledger::entries))
        .routes(routes!(ledger::balances))
        .routes(routes!(ledger::statement))
        .routes(routes!(ledger::statement_key))
        .routes(routes!(payouts::list, payouts::create))
        .routes(routes!(payouts::read))
        .routes(routes!(payouts::complete))
        .routes(routes!(payouts::fail))
        .routes(routes!(payouts::cancel))
        .routes(routes!(payouts::statement))
        .routes(routes!(payouts::payments_file))
        .routes(routes!(exchange_rates::list, exchange_rates::create))
        .routes(routes!(simulations::create))
        .routes(routes!(simulations::read))
        .routes(routes!(keys::list, keys::issue))
        .routes(routes!(keys::revoke));
    OpenApiRouter::new().nest("/api/v1", routes)
}

fn visitor() -> OpenApiRouter<VisitorState> {
    OpenApiRouter::new()
        .routes(routes!(click::click))
        .routes(routes!(script::script))
        .routes(routes!(script::script_alias))
}

#[cfg(test)]
mod tests {
    /// `OpenApiRouter::routes` takes a path from a description; `Router::route` would take one that nobody described.
    #[test]
    fn nothing_is_registered_without_a_description() {
        let source = include_str!("routes.rs");
        let body = source.split("mod tests").next().expect("the code");
        assert!(!body.contains(".route(") && !body.contains(".route_service("), "register it with .routes(routes!(…))");
        for (file, source) in
            [("visitor/click.rs", include_str!("visitor/click.rs")), ("script.rs", include_str!("script.rs"))]
        {
            assert!(!source.contains(".route("), "{file} registers a route by itself");
        }
    }
}
