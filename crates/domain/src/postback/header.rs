//! The headers that the owner of a webhook adds to its deliveries.
//!
//! Leaves those that we set to `signature` and `envelope`. Invariant: an own header is plain text and takes the place of
//! none that frames, names or signs a message.

/// How many there may be, and how long each part.
const HEADERS_MAX: usize = 20;
const NAME_BYTES_MAX: usize = 100;
const VALUE_BYTES_MAX: usize = 1000;

/// Names that belong to the connection or to us.
const RESERVED: [&str; 17] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-event-id",
    "x-event-type",
    "x-webhook-signature",
];
const RESERVED_STARTS: [&str; 3] = ["fx-", "proxy-", "webhook-"];

/// Why own headers are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// More than there may be.
    #[error("must be at most {HEADERS_MAX}")]
    TooMany,
    /// No name of a header.
    #[error("has {0:?}, which is no name of a header")]
    Name(String),
    /// A name that belongs to the connection or to us.
    #[error("has {0:?}, which is not yours to set")]
    Reserved(String),
    /// The value of this one is not visible ASCII.
    #[error("has a value under {0:?} that is not visible ASCII of at most {VALUE_BYTES_MAX} characters")]
    Value(String),
}

/// Whether these headers may be added.
///
/// # Errors
/// [`HeaderError`], of the first that may not.
pub fn check_own<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), HeaderError> {
    let mut seen: Vec<String> = Vec::new();
    for (name, value) in headers {
        let lower = name.to_ascii_lowercase();
        if seen.len() == HEADERS_MAX {
            return Err(HeaderError::TooMany);
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(is_token) || seen.contains(&lower) {
            return Err(HeaderError::Name(name.to_owned()));
        }
        if RESERVED.contains(&lower.as_str()) || RESERVED_STARTS.iter().any(|start| lower.starts_with(start)) {
            return Err(HeaderError::Reserved(name.to_owned()));
        }
        if value.len() > VALUE_BYTES_MAX || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(HeaderError::Value(name.to_owned()));
        }
        seen.push(lower);
    }
    Ok(())
}

/// `tchar` of RFC 9110 §5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_headers_are_plain_and_take_nobodys_place() {
        let check = |name: &str, value: &str| check_own([(name, value)].into_iter());
        for (name, value) in [("X-Tenant", "a b"), ("Authorization", "Bearer x"), ("X_A", "")] {
            assert_eq!(check(name, value), Ok(()), "{name}");
        }
        for name in ["", "A B", "A:", "Ä", &"a".repeat(101)] {
            assert_eq!(check(name, "x"), Err(HeaderError::Name(name.to_owned())), "{name}");
        }
        for name in
            ["Host", "content-length", "X-WEBHOOK-SIGNATURE", "Webhook-Id", "FX-Signature", "Proxy-Authorization"]
        {
            assert_eq!(check(name, "x"), Err(HeaderError::Reserved(name.to_owned())), "{name}");
        }
        for value in ["a\r\nHost: evil", "ä", "\0", &"a".repeat(1001)] {
            assert_eq!(check("X-A", value), Err(HeaderError::Value("X-A".to_owned())), "{value:?}");
        }
        let twice = [("X-A", "1"), ("x-a", "2")];
        assert!(check_own(twice.into_iter()).is_err());
        let names: Vec<String> = (0..21).map(|number| format!("x-{number}")).collect();
        assert_eq!(check_own(names.iter().map(|name| (name.as_str(), ""))), Err(HeaderError::TooMany));
    }
}
