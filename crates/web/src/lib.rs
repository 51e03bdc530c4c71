//! Everything that comes in over HTTP.

pub mod client_address;
pub mod json;
pub mod limits;
pub mod listener;
