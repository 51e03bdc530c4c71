//! One operation is one path and one transaction, whichever dialect called.
//!
//! `app` holds what runs; `settle` is the heart, a batch of events in and answers out; every other module is one noun.

pub mod app;
pub mod audit;
pub mod brand;
pub mod cases;
pub mod click;
pub mod clock;
pub mod commission;
pub mod customer;
pub mod delivery;
pub mod directory;
pub mod endpoint;
pub mod error;
pub mod exchange;
pub mod fact;
pub mod held;
pub mod history;
pub mod ingest;
pub mod keep;
pub mod key;
pub mod kpi;
pub mod ledger;
pub mod link;
pub mod listing;
pub mod node;
pub mod oauth;
pub mod onboarding;
pub mod outbox;
pub mod partner;
pub mod payout;
pub mod plan;
pub mod postback;
pub mod program;
pub mod progress;
pub mod reprice;
pub mod secrets;
pub mod settle;
pub mod simulate;
pub mod statement;
pub mod tenant;
pub mod track;
pub mod verify;
