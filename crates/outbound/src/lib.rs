//! Everything that goes out: postbacks and pulls, behind one guard on where it may connect.
//!
//! [`egress`] is the only module that opens connections; what is sent, and when, is decided elsewhere.

pub mod delivery;
pub mod egress;
