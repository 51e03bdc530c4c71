//! Clicks without a store: the token that proves one, the cipher that hides a partner, and which click stands.
//!
//! Leaves to others: where rows are kept (`store::click`), the redirect itself (`web::visitor`). Keys, nonces, random
//! bytes and the time are arguments.

pub mod advertisement;
mod base32;
pub mod formx;
pub mod keys;
pub mod session;
pub mod token;
pub mod visitor;
