//! The dialects, each in a folder of its own that imports no other.

pub mod management;
pub mod referral;
