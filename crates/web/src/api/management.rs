//! Our own management API, `/api/v1`.

pub mod commissions;
pub mod customers;
pub mod exchange_rates;
pub mod facts;
pub mod keys;
pub mod ledger;
pub mod onboarding;
pub mod partners;
pub mod plans;
pub mod programs;
mod wire;
