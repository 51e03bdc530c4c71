//! Our own management API, `/api/v1`.

pub mod audit;
pub mod commissions;
pub mod customers;
pub mod exchange_rates;
pub mod facts;
pub mod held;
pub mod keys;
pub mod ledger;
pub mod money_schema;
pub mod onboarding;
pub mod partners;
pub mod payout_schema;
pub mod payouts;
pub mod plans;
pub mod programs;
pub mod schema;
pub mod simulation_schema;
pub mod simulations;
pub mod webhook_deliveries;
mod wire;
mod zone;
