//! What every handler can reach.

use crate::client_address::TrustedProxies;
use crate::limits::rate::RateLimit;
use crate::visitor::country::Countries;
use headwater_app::app::App;
use headwater_domain::ids::KeyId;
use std::sync::Arc;

/// Requests a minute of one secret key (`conventions.md` §7).
const REQUESTS_PER_MINUTE: u32 = 600;
/// Keys that are remembered for it.
const KEYS_MAX: usize = 10_000;

/// Cheap to clone.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "tables have no useful debug form")]
pub struct WebState {
    /// The operations.
    pub app: Arc<App>,
    /// Requests per key.
    pub rate: Arc<RateLimit<KeyId>>,
    /// Whose forwarding headers are believed.
    pub proxies: TrustedProxies,
    /// Where addresses are.
    pub countries: Arc<Countries>,
}

impl WebState {
    /// All parts, with the usual limit.
    pub fn new(app: Arc<App>, proxies: TrustedProxies, countries: Arc<Countries>) -> Self {
        Self { app, rate: Arc::new(RateLimit::new(REQUESTS_PER_MINUTE, KEYS_MAX)), proxies, countries }
    }
}
