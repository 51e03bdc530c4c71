//! JSON as it comes in: checked as text first (`strict`), then read field by field (`field`) or record by record
//! (`records`, `table`), numbers exactly.

pub mod field;
mod kind;
pub mod records;
pub mod strict;
pub mod table;
