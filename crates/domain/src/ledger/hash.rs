//! The chain: every entry carries the hash of the one before it in its account, so a changed or missing entry shows.

use crate::money::Decimal;
use crate::time::Instant;
use sha2::{Digest as _, Sha256};

/// What the first entry of an account names as its predecessor.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The hash of one entry: SHA-256, in hex, over its predecessor's hash and its own fields, one per line.
pub fn entry_hash(
    previous: &str,
    ledger_account: i64,
    number: i64,
    transaction: i64,
    amount: Decimal,
    at: Instant,
) -> String {
    let text = format!("{previous}\n{ledger_account}\n{number}\n{transaction}\n{amount}\n{}", at.0);
    hex::encode(Sha256::digest(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_counts() {
        let hash = |n, amount| entry_hash(GENESIS, 1, n, 9, Decimal(amount), Instant(5));
        assert_eq!(hash(1, 10), hash(1, 10));
        assert_ne!(hash(1, 10), hash(2, 10));
        assert_ne!(hash(1, 10), hash(1, 11));
        assert_eq!(hash(1, 10).len(), 64);
    }
}
