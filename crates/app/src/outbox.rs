//! What the operations on endpoints and deliveries share: the store, the sealing keys, the open ranges and the bell.
//!
//! Secrets are sealed for one endpoint each, so a sealed secret that is moved to another row does not open. Leaves to
//! others: sending (`headwater-outbound`), and writing the deliveries of an event (with the event, in its transaction).

use crate::secrets::Secrets;
use headwater_domain::ids::EndpointId;
use headwater_domain::postback::signature::Secret;
use headwater_domain::postback::target::Cidr;
use headwater_store::Store;
use headwater_store::backend::Error;
use std::fmt;
use std::sync::Arc;
use tokio::sync::Notify;

/// The context of every operation here.
#[derive(Clone)]
pub struct Outbox {
    pub(crate) store: Store,
    secrets: Secrets,
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
    pub fn new(store: Store, secrets: Secrets, allow: &[Cidr]) -> Self {
        Self { store, secrets, allow: allow.into(), bell: Arc::default() }
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
        self.secrets.seal(secret.as_bytes(), &context(endpoint))
    }

    /// A password of Basic authentication as its column holds it.
    pub(crate) fn seal_password(&self, endpoint: EndpointId, password: &str) -> String {
        self.secrets.seal(password.as_bytes(), &password_context(endpoint))
    }

    /// The password in a column.
    pub(crate) fn open_password(&self, endpoint: EndpointId, column: &str) -> Result<String, Error> {
        let closed = |why: &dyn fmt::Display| Error::Refused(format!("password of endpoint {endpoint}: {why}"));
        let bytes = self.secrets.open(column, &password_context(endpoint)).map_err(|e| closed(&e))?;
        String::from_utf8(bytes).map_err(|e| closed(&e))
    }

    /// The secret in a column.
    pub(crate) fn open(&self, endpoint: EndpointId, column: &str) -> Result<Secret, Error> {
        let closed = |why: &dyn fmt::Display| Error::Refused(format!("endpoint {endpoint}: {why}"));
        let bytes = self.secrets.open(column, &context(endpoint)).map_err(|e| closed(&e))?;
        Secret::from_bytes(&bytes).map_err(|e| closed(&e))
    }
}

fn password_context(endpoint: EndpointId) -> String {
    format!("basic_auth {endpoint}")
}

fn context(endpoint: EndpointId) -> String {
    format!("endpoint {endpoint}")
}
