//! Settlements on both engines, by what they promise.

mod accounts;
mod batches;
mod brokers;
mod circles;
mod confirmation;
mod denials;
mod denied;
mod events;
mod fixture;
mod keys;
mod money;
mod nodes;
mod overtaken;
mod payees;
mod programs;
mod race;
mod records;
mod refunds;
mod rewards;
mod simulate;
mod sources;
mod splits;
mod together;
mod upgrades;
mod verified;
mod wide;
