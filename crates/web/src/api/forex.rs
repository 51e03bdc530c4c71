//! The forex dialect (Track360 OAuth): bulk customers, transactions, daily rows and trades (`forex-api.md`).
//!
//! A request is all or nothing. `token` gives out access tokens, `caller` takes them, `tables` are the published fields,
//! `pushes` takes records in, `lists` shows them.

pub mod caller;
pub mod lists;
pub mod page;
pub mod pushes;
pub mod records;
pub mod tables;
pub mod token;
