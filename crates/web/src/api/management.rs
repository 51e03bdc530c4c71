//! Our own management API, `/api/v1`.

pub mod audit;
pub mod commissions;
pub mod customers;
pub mod exchange_rates;
pub mod fact_schema;
pub mod facts;
pub mod held;
pub mod key_schema;
pub mod keys;
pub mod ledger;
pub mod money_schema;
pub mod onboarding;
pub mod partner_schema;
pub mod partners;
pub mod payout_schema;
pub mod payouts;
pub mod plan_schema;
pub mod plans;
pub mod program_schema;
pub mod programs;
pub mod schema;
pub mod simulation_schema;
pub mod simulations;
pub mod webhook_deliveries;
mod wire;
mod zone;
