//! Everything that comes in over HTTP.

pub mod api;
pub mod auth;
pub mod body;
pub mod client_address;
pub mod json;
pub mod limits;
pub mod listener;
pub mod page;
pub mod problem;
pub mod reference;
pub mod request_log;
pub mod routes;
pub mod state;
pub mod visitor;
