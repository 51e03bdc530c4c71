//! Everything that comes in over HTTP.
//!
//! `listener` is the front door, `routes` every route on one screen, `api` one folder per dialect, `visitor` the public
//! redirect. A handler parses, calls one operation, and renders.

pub mod api;
pub mod asked;
pub mod auth;
pub mod body;
pub mod client_address;
pub mod document;
pub mod idempotency;
pub mod json;
pub mod limits;
pub mod listener;
pub mod once;
pub mod page;
pub mod problem;
pub mod reference;
pub mod request_log;
pub mod routes;
mod script;
pub mod state;
mod unknown;
pub mod visitor;
