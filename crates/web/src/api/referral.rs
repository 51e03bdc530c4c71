//! The referral dialect.

pub mod caller;
pub mod clicks;
pub mod links;
