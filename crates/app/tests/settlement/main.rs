//! Settlements on both engines, by what they promise.

mod accounts;
mod brokers;
mod confirmation;
mod events;
mod fixture;
mod keys;
mod money;
mod nodes;
mod programs;
mod race;
mod records;
mod rewards;
mod sources;
mod wide;
