//! The referral dialect.

pub mod caller;
pub mod click_schema;
pub mod clicks;
pub mod dead_letters;
pub mod endpoint_schema;
pub mod endpoints;
pub mod event_schema;
pub mod events;
pub mod handlers;
pub mod link_schema;
pub mod links;
mod track_request;
