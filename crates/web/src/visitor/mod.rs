//! The visitor's side: the public redirect and what a request says about who clicks.

pub mod click;
pub mod cookie;
pub mod country;
pub mod device;
