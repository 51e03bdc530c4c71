//! The rules of what goes out: what a message says, how it is signed, where it may go, when it is tried again.
//!
//! Pure: the network is in `headwater-outbound`, the queue in the store. Nothing here reads a clock, draws a random
//! number or resolves a name; the wall around internal networks ([`target`]) is judged here and enforced there.

pub mod entity;
pub mod envelope;
pub mod header;
pub mod retry;
pub mod rewards_event;
pub mod signature;
pub mod subscription;
pub mod target;

use crate::ids::{self, DeliveryId, EndpointId};
use crate::time::Instant;

pub use target::Cidr;

/// How public ids of deliveries start.
pub const DELIVERY_PREFIX: &str = "pbd_";
/// How public ids of endpoints start.
pub const ENDPOINT_PREFIX: &str = "pe_";

/// `pbd_…`, from the row's number and the instant it was made: the `id` of the envelope, the same over all retries.
pub fn delivery_public_id(id: DeliveryId, created_at: Instant) -> String {
    ids::to_prefixed(DELIVERY_PREFIX, id.0, created_at)
}

/// `pe_…`, from the row's number and the instant it was made.
pub fn endpoint_public_id(id: EndpointId, created_at: Instant) -> String {
    ids::to_prefixed(ENDPOINT_PREFIX, id.0, created_at)
}
