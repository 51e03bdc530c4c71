//! What every handler shares.

use crate::client_address::TrustedProxies;
use crate::idempotency::Running;
use crate::limits::rate::RateLimit;
use crate::visitor::country::Countries;
use headwater_app::app::App;
use headwater_domain::ids::{AccountId, KeyId, PartnerId, ProgramId};
use std::sync::Arc;

/// Requests a minute per key of the referral dialect and the management API (`conventions.md` §7).
const REQUESTS_PER_MINUTE: u32 = 600;
/// Keys whose buckets are remembered.
const KEYS_MAX: usize = 100_000;
/// Requests a minute of the brand dialect for each program, and of the forex dialect for each access token (the same); of inbound postbacks for each program (ours).
const BULK_REQUESTS_PER_MINUTE: u32 = 1000;
/// Requests a minute of the rewards dialect for each account, and of its affiliate API for each partner (ours: no partner
/// uses up what its account has).
const REWARDS_REQUESTS_PER_MINUTE: u32 = 400;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub struct WebState {
    /// The operations.
    pub app: Arc<App>,
    /// Requests per key.
    pub rate: Arc<RateLimit<KeyId>>,
    /// Requests of the brand dialect per program.
    pub brand_rate: Arc<RateLimit<ProgramId>>,
    /// Requests of the forex dialect per access token, by its hash.
    pub bearer_rate: Arc<RateLimit<String>>,
    /// Requests of the rewards dialect per account.
    pub rewards_rate: Arc<RateLimit<AccountId>>,
    /// Requests of the affiliate API per partner.
    pub partner_rate: Arc<RateLimit<PartnerId>>,
    /// Inbound postbacks per program.
    pub postback_rate: Arc<RateLimit<ProgramId>>,
    /// Requests under an `Idempotency-Key` that are being carried out.
    pub running: Running,
    /// Where addresses are.
    pub countries: Arc<Countries>,
    /// Whose forwarding headers are believed.
    pub proxies: TrustedProxies,
    /// The metrics page.
    pub metrics: fn() -> String,
}

impl WebState {
    /// With the published limits.
    pub fn new(app: Arc<App>, countries: Arc<Countries>, proxies: TrustedProxies, metrics: fn() -> String) -> Self {
        let rate = Arc::new(RateLimit::new(REQUESTS_PER_MINUTE, KEYS_MAX));
        let brand_rate = Arc::new(RateLimit::new(BULK_REQUESTS_PER_MINUTE, KEYS_MAX));
        let bearer_rate = Arc::new(RateLimit::new(BULK_REQUESTS_PER_MINUTE, KEYS_MAX));
        let rewards_rate = Arc::new(RateLimit::new(REWARDS_REQUESTS_PER_MINUTE, KEYS_MAX));
        let partner_rate = Arc::new(RateLimit::new(REWARDS_REQUESTS_PER_MINUTE, KEYS_MAX));
        let postback_rate = Arc::new(RateLimit::new(BULK_REQUESTS_PER_MINUTE, KEYS_MAX));
        Self {
            app,
            rate,
            brand_rate,
            bearer_rate,
            postback_rate,
            rewards_rate,
            partner_rate,
            running: Running::default(),
            countries,
            proxies,
            metrics,
        }
    }
}
