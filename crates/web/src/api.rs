//! The dialects, each in a folder of its own that imports no other.

pub mod brand;
pub mod forex;
pub mod management;
pub mod postback;
pub mod referral;
pub mod rewards;
