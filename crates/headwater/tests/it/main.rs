//! The real binary, started as an operator starts it, and asked over HTTP.
//!
//! Each claim runs on both stores where it has a store. Leaves rules to the crates that hold them.

#[macro_use]
mod engines;

mod bench;
mod brand;
mod broker;
mod command_line;
mod customers;
mod forex;
mod guide;
mod idempotency;
mod keys;
mod killed;
mod killed_batch;
mod killed_paying;
mod money;
mod oauth_libraries;
mod plan_diff;
mod plan_of;
mod postback_inbound;
mod postback_signature;
mod rate_limit;
mod receiver;
mod reference;
mod rewards;
mod rewards_affiliate;
mod rewards_bodies;
mod rewards_by_hand;
mod rewards_campaigns;
mod rewards_conditions;
mod rewards_fulfilment;
mod rewards_hidden;
mod rewards_lists;
mod rewards_members;
mod rewards_moves;
mod rewards_once;
mod rewards_owed;
mod rewards_payouts;
mod rewards_people;
mod rewards_promo_codes;
mod rewards_published;
mod rewards_queries;
mod rewards_reports;
mod rewards_splits;
mod rewards_strict;
mod rewards_told;
mod rewards_track;
mod rewards_upgrades;
mod rewards_waiting;
mod rewards_webhooks;
mod same_event;
mod same_request;
mod server;
mod starting;
mod strict_input;
mod track360;
