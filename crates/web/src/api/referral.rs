//! The referral dialect.

pub mod caller;
pub mod clicks;
pub mod endpoints;
pub mod events;
pub mod handlers;
pub mod links;
mod track_request;
