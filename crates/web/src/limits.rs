//! How much one caller may do.

pub mod rate;
