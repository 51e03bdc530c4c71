//! The referral dialect.

pub mod error;
