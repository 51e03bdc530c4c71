//! The partner ledger: double entry, append-only, one hash chain per account.
//!
//! Each transaction adds up to nothing per unit; a mistake is corrected by another transaction. Balances are what the
//! entries add up to: positive in `accrued`, `held`, `payable` is what the program owes, negative in `receivable` what a
//! partner owes. `life` moves a commission, `origin` says where it comes from, `denial` what a denied one concerns;
//! `netting` keeps one side of a debt, `statement` lets a partner check it all, `payout_statement` one payout.

mod denial;
mod hash;
mod life;
mod netting;
mod origin;
pub mod payout_statement;
mod posting;
pub mod statement;

pub use denial::{Before, Contradiction, Decided, Share, Shares, TakenFrom};
pub use hash::{GENESIS, entry_hash};
pub use life::{Act, NotAllowed, Stage};
pub use netting::netting;
pub use origin::Origin;
pub use posting::{AccountName, Owner, Transfer, accrual};
