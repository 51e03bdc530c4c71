//! The brand dialect (Track360 push): a broker pushes its customers and their activity (`brand-api.md`).
//!
//! Two routes, both bulk: a request's good records are committed together, and each record gets its own answer.

pub mod activities;
pub mod caller;
pub mod customers;
pub mod results;
