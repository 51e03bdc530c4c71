//! Databases, builders and a clock for the tests. Never a part of the binary.
//!
//! Every test of the store and of an operation runs on both engines: [`on_both_stores!`] makes two tests of one body.

pub mod count;
pub mod database;
