//! The referral dialect.

pub mod caller;
pub mod clicks;
pub mod error;
pub mod links;
pub mod page;
