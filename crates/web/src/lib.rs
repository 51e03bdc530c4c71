//! Everything that comes in over HTTP.

pub mod visitor;
