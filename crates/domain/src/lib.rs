//! The rules, which can be run by hand on paper: facts, attribution, commission, ledger, signatures, retry.
//!
//! No clock, no randomness, no I/O and no floating point: whatever a rule needs is an argument.

pub mod attribution;
pub mod click;
pub mod codes;
pub mod commission;
pub mod event;
pub mod fact;
pub mod ids;
pub mod inbound;
pub mod kpi;
pub mod ledger;
pub mod link;
pub mod money;
pub mod payout;
pub mod postback;
pub mod program;
pub mod seal;
pub mod source;
pub mod time;
