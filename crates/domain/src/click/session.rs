//! The session id: 128 random bits as 26 characters. It names a visitor's browser and is never derived from a click.

use super::base32;

/// The value of the cookie `FYNXT_SESSION_ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u128);

impl SessionId {
    /// From 16 random bytes.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
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

    proptest! {
        #[test]
        fn text_and_back(bytes: [u8; 16]) {
            let session = SessionId::from_random(bytes);
            let text = session.to_string();
            prop_assert_eq!(text.len(), 26);
            prop_assert_eq!(SessionId::parse(&text), Some(session));
            prop_assert_eq!(SessionId::parse(&text.to_uppercase()), Some(session));
        }
    }
}
