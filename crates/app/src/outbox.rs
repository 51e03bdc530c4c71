//! What the operations on endpoints and deliveries share: the store, the master key, the open ranges and the bell.
//!
//! Secrets are sealed for one endpoint each, so a sealed secret that is moved to another row does not open. Leaves to
//! others: sending (`headwater-outbound`), and writing the deliveries of an event (with the event, in its transaction).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use headwater_domain::ids::EndpointId;
use headwater_domain::postback::signature::Secret;
use headwater_domain::postback::target::Cidr;
use headwater_domain::seal;
use headwater_store::Store;
use headwater_store::backend::Error;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;

/// The context of every operation here.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) store: Store,
    master_key: [u8; 32],
    pub(crate) allow: Arc<[Cidr]>,
    bell: Arc<Notify>,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("allow", &self.allow).finish_non_exhaustive()
    }
}

impl Outbox {
    /// `allow` are the ranges of `HEADWATER_EGRESS_ALLOW`.
    pub fn new(store: Store, master_key: [u8; 32], allow: &[Cidr]) -> Self {
        Self { store, master_key, allow: allow.into(), bell: Arc::default() }
    }

    /// Wakes the delivery worker of this node: called after the commit that added deliveries.
    pub fn ring(&self) {
        self.bell.notify_one();
    }

    /// Waits for the bell.
    pub async fn rung(&self) {
        self.bell.notified().await;
    }

    /// A secret as its column holds it.
    pub(crate) fn seal(&self, endpoint: EndpointId, secret: &Secret) -> String {
        let sealed = seal::seal(&self.master_key, random_bytes(), secret.as_bytes(), &context(endpoint));
        BASE64.encode(sealed)
    }

    /// The secret in a column.
    pub(crate) fn open(&self, endpoint: EndpointId, column: &str) -> Result<Secret, Error> {
        let closed =
            || Error::Refused(format!("the secret of endpoint {endpoint} does not open under this master key"));
        let sealed = BASE64.decode(column).map_err(|_| closed())?;
        let bytes = seal::open(&self.master_key, &sealed, &context(endpoint)).map_err(|_| closed())?;
        Secret::from_bytes(&bytes).map_err(|_| closed())
    }
}

fn context(endpoint: EndpointId) -> Vec<u8> {
    format!("endpoint {endpoint}").into_bytes()
}

/// Fresh random bytes of the operating system.
pub(crate) fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes, or nothing can be safe");
    bytes
}
