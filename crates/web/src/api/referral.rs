//! The referral dialect.

pub mod caller;
pub mod clicks;
pub mod endpoints;
pub mod error;
pub mod events;
pub mod handlers;
pub mod links;
pub mod page;
mod track_request;
