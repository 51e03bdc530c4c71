//! One operation is one path and one transaction, whichever dialect called.

pub mod cases;
pub mod click;
pub mod link;
