//! The session id: 128 bits as 26 characters. It names a visitor's browser and is never derived from a click.
//!
//! The first 48 bits are when it was made and the other 80 are random (the layout of a ULID): new ones stand side by side
//! in every index, where random ones would each touch a page of their own (`docs/adr/0005-click-rows.md`).

use super::base32;
use crate::time::Instant;

/// Bits of random; before them stand the milliseconds since 1970.
const RANDOM_BITS: u32 = 80;

/// The value of the cookie `FYNXT_SESSION_ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u128);

impl SessionId {
    /// A new one, made now; of the random bytes ten are used.
    pub fn new(now: Instant, random: [u8; 16]) -> Self {
        let random = u128::from_be_bytes(random) & ((1 << RANDOM_BITS) - 1);
        // Before 1970 there are no visitors, and 48 bits of milliseconds last until the year 10889.
        let milliseconds = u128::try_from(now.0 / 1000).unwrap_or(0);
        Self((milliseconds << RANDOM_BITS) | random)
    }

    /// Reads what [`std::fmt::Display`] writes, in either case; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: &[u8; 26] = text.as_bytes().try_into().ok()?;
        // 26 digits are 130 bits: the first may only hold three.
        let first = u128::from(base32::digit(bytes[0])?);
        if first > 7 {
            return None;
        }
        Some(Self((first << 125) | base32::read(&bytes[1..])?))
    }
}

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = String::with_capacity(26);
        base32::push(&mut text, self.0 >> 125, 1);
        base32::push(&mut text, self.0, 25);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn other_texts_are_no_session() {
        for text in ["", "0", "80000000000000000000000000", "0000000000000000000000000o", "000000000000000000000000000"]
        {
            assert_eq!(SessionId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn later_sessions_stand_after_earlier_ones_and_differ_within_a_millisecond() {
        let at = |micros: i64| Instant(1_770_000_000_000_000 + micros);
        let first = SessionId::new(at(0), [255; 16]);
        assert!(first < SessionId::new(at(1000), [0; 16]));
        assert!(first.to_string() < SessionId::new(at(1000), [0; 16]).to_string(), "as text too");
        assert_ne!(first, SessionId::new(at(0), [254; 16]));
    }

    proptest! {
        #[test]
        fn text_and_back(bytes: [u8; 16]) {
            let session = SessionId(u128::from_be_bytes(bytes));
            let text = session.to_string();
            prop_assert_eq!(text.len(), 26);
            prop_assert_eq!(SessionId::parse(&text), Some(session));
            prop_assert_eq!(SessionId::parse(&text.to_uppercase()), Some(session));
        }
    }
}
