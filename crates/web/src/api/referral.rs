//! The referral dialect.

pub mod caller;
pub mod clicks;
pub mod endpoint_schema;
pub mod endpoints;
pub mod events;
pub mod handlers;
pub mod links;
pub mod schema;
mod track_request;
