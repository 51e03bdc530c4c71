//! The referral dialect (`docs/api/referral.md`).

pub mod error;
