//! One operation is one path and one transaction, whichever dialect called.

pub mod click;
pub mod clock;
pub mod delivery;
pub mod endpoint;
pub mod link;
pub mod outbox;
pub mod secrets;
