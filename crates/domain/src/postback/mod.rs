//! The rules of what goes out: what a message says, how it is signed, where it may go, when it is tried again.
//!
//! Pure: the network is in `headwater-outbound`, the queue in the store. Nothing here reads a clock, draws a random
//! number or resolves a name; the wall around internal networks ([`target`]) is judged here and enforced there.

pub mod envelope;
pub mod retry;
pub mod signature;
pub mod subscription;
pub mod target;
