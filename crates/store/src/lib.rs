//! SQL is here and nowhere else: one text for SQLite and PostgreSQL.
//!
//! `backend` runs statements; every other module is one noun with its queries. Operations, rules and the JSON of any
//! dialect live in other crates.

pub mod api_key;
pub mod audit;
pub mod backend;
pub mod bare;
pub mod batch_process;
pub mod books;
pub mod cell;
pub mod circle;
pub mod click;
pub mod commission;
pub mod commission_shown;
pub mod counter;
pub mod customer;
pub mod delivery;
pub mod directory;
pub mod endpoint;
pub mod event;
pub mod exchange;
pub mod fact;
pub mod held;
pub mod history;
pub mod idempotency;
pub mod inbox;
pub mod ingest;
pub mod ledger;
pub mod link;
pub mod listing;
pub mod membership;
pub mod migrate;
pub mod node;
pub mod oauth;
mod open;
pub mod outcome;
pub mod partner;
pub mod payout;
pub mod payout_shown;
pub mod person_state;
pub mod plan;
pub mod pricing_lock;
pub mod promo_code;
pub mod referral;
pub mod referral_move;
pub mod report;
pub mod repricing;
pub mod reward;
pub mod same_click;
pub mod scratch;
pub mod seal_check;
pub mod settlement;
pub mod simulation;
pub mod tenant;
pub mod upgrade;
pub mod webhook;

pub use open::{Place, Store};
