//! The partner ledger: double entry, append-only, one hash chain per account.
//!
//! Each transaction adds up to nothing per unit; a mistake is corrected by another transaction. Balances are what the
//! entries add up to: positive in `accrued`, `held` and `payable` is what the program owes.

mod hash;
mod posting;

pub use hash::{GENESIS, entry_hash};
pub use posting::{AccountName, Owner, Transfer, accrual};
