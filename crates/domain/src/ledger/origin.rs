//! Where a commission comes from, as it is stored with it.
//!
//! Leaves to `denial` what commissions of one origin have to do with each other. Invariant: all revisions of a fact, and the
//! refunds of a sale, have one origin.

use sha2::{Digest as _, Sha256};

/// Where a commission comes from: the key of a fact, of a refund that of its sale, as a number that stands for it within a
/// cell. All revisions of a fact have one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(u64);

impl Origin {
    /// The origin of facts with this key.
    pub fn of(key: &str) -> Self {
        let hash = Sha256::digest(key.as_bytes());
        Self(hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// As a commission is stored with them.
    pub fn to_stored(origins: &[Self]) -> String {
        origins.iter().map(|origin| format!("{:016x}", origin.0)).collect::<Vec<_>>().join(" ")
    }

    /// Those of a stored commission; `None`: the text is none of [`Self::to_stored`].
    pub fn from_stored(text: &str) -> Option<Vec<Self>> {
        text.split_ascii_whitespace().map(|word| u64::from_str_radix(word, 16).ok().map(Self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_they_were_stored() {
        let origins = [Origin::of("sale-1"), Origin::of("sale-2")];
        let stored = Origin::to_stored(&origins);
        assert_eq!(stored.len(), 33);
        assert_eq!(Origin::from_stored(&stored).as_deref(), Some(origins.as_slice()));
        assert_eq!(Origin::from_stored(""), Some(vec![]));
        assert_eq!(Origin::from_stored("sale-1"), None);
    }
}
