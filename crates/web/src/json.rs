//! JSON as it comes in: checked as text first (`strict`), then read field by field (`field`), numbers exactly.

pub mod field;
pub mod strict;
