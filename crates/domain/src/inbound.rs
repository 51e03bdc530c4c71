//! Who may report a program's events by an address alone (S2S postbacks), and by which names (`postbacks.md` §10).
//!
//! A caller has the program's token, of which a hash is kept, or comes from one of its addresses. Leaves reading the
//! request to its route. Invariant: a program that has set neither takes no postback.

use crate::event::EVENT_TYPES;
use crate::postback::Cidr;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::net::IpAddr;
use subtle::ConstantTimeEq as _;

/// Before a hash, which stands where a token is set. Nobody may choose a token that looks like one.
pub const HASHED: &str = "sha256:";
/// A token is at least this long: 16 random characters are too many to guess through the rate limit.
const TOKEN_CHARACTERS: std::ops::RangeInclusive<usize> = 16..=200;
/// Addresses, and names of events.
const ENTRIES_MAX: usize = 100;

/// What a program takes by S2S.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inbound {
    /// The hash of the token, after [`HASHED`].
    token: Option<String>,
    addresses: Vec<Cidr>,
    /// What the sender calls events; empty: as they are called here.
    events: BTreeMap<String, String>,
}

impl Inbound {
    /// Whether this is the program's token, by its hash ([`hashed`]).
    pub fn admits(&self, hash: &str) -> bool {
        self.token.as_ref().is_some_and(|kept| bool::from(kept.as_bytes().ct_eq(hash.as_bytes())))
    }

    /// Whether this address needs no token.
    pub fn admits_address(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|range| range.contains(address.to_canonical()))
    }

    /// The event type that a sender's name stands for, if it is on the list.
    pub fn event_type(&self, name: &str) -> Option<&str> {
        if self.events.is_empty() {
            return EVENT_TYPES.into_iter().find(|known| known.eq_ignore_ascii_case(name));
        }
        self.events.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, kind)| kind.as_str())
    }

    /// Takes over a setting; `None` where it is another one's.
    pub(crate) fn put(&mut self, key: &str, value: &Value) -> Option<Result<(), &'static str>> {
        Some(match key {
            "postback_token" => token(value).map(|token| self.token = token),
            "postback_ips" => addresses(value).map(|addresses| self.addresses = addresses),
            "postback_events" => events(value).map(|events| self.events = events),
            _ => return None,
        })
    }

    /// The settings as they are stored.
    pub(crate) fn write(&self, settings: &mut Map<String, Value>) {
        let addresses = self.addresses.iter().map(|range| Value::from(range.to_string())).collect();
        let events = self.events.iter().map(|(name, kind)| (name.clone(), kind.as_str().into())).collect();
        settings.insert("postback_token".into(), self.token.clone().into());
        settings.insert("postback_ips".into(), Value::Array(addresses));
        settings.insert("postback_events".into(), Value::Object(events));
    }
}

/// What is kept of a token.
pub fn hashed(token: &str) -> String {
    format!("{HASHED}{}", hex::encode(Sha256::digest(token.as_bytes())))
}

fn token(value: &Value) -> Result<Option<String>, &'static str> {
    const FORM: &str = "must be 16 to 200 visible ASCII characters, or null";
    if value.is_null() {
        return Ok(None);
    }
    let text = value.as_str().ok_or(FORM)?;
    if text.starts_with(HASHED) {
        return Ok(Some(text.to_owned()));
    }
    let is_plain = TOKEN_CHARACTERS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain { Ok(Some(hashed(text))) } else { Err(FORM) }
}

fn addresses(value: &Value) -> Result<Vec<Cidr>, &'static str> {
    const FORM: &str =
        "must be a list of at most 100 addresses, or ranges such as 10.0.0.0/8 that start at their first address";
    let list = value.as_array().filter(|list| list.len() <= ENTRIES_MAX).ok_or(FORM)?;
    let read = |item: &Value| item.as_str().and_then(|text| Cidr::parse(text).ok());
    list.iter().map(read).collect::<Option<_>>().ok_or(FORM)
}

fn events(value: &Value) -> Result<BTreeMap<String, String>, &'static str> {
    const FORM: &str = "must be an object of at most 100 names of the sender, each to an event type";
    let object = value.as_object().filter(|object| object.len() <= ENTRIES_MAX).ok_or(FORM)?;
    let read = |(name, kind): (&String, &Value)| {
        let kind = kind.as_str().filter(|kind| EVENT_TYPES.contains(kind))?;
        (!name.is_empty()).then(|| (name.clone(), kind.to_owned()))
    };
    object.iter().map(read).collect::<Option<_>>().ok_or(FORM)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn inbound(settings: &Value) -> Inbound {
        let mut inbound = Inbound::default();
        for (key, value) in settings.as_object().expect("an object") {
            inbound.put(key, value).expect("one of ours").expect(key);
        }
        inbound
    }

    #[test]
    fn a_token_or_an_address_admits_and_nothing_does_by_default() {
        let (token, address) = ("0123456789abcdef", IpAddr::from([10, 1, 2, 3]));
        let open = inbound(&json!({"postback_token": token, "postback_ips": ["10.0.0.0/8"]}));
        assert!(open.admits(&hashed(token)) && open.admits_address(address));
        assert!(open.admits_address("::ffff:10.1.2.3".parse().expect("an address")));
        assert!(!open.admits(&hashed("0123456789abcdeF")) && !open.admits_address(IpAddr::from([11, 1, 2, 3])));
        let closed = Inbound::default();
        assert!(!closed.admits(&hashed("")) && !closed.admits(&hashed(token)) && !closed.admits_address(address));
    }

    #[test]
    fn a_token_is_kept_as_a_hash_that_opens_nothing() {
        let mut settings = Map::new();
        inbound(&json!({"postback_token": "0123456789abcdef"})).write(&mut settings);
        let kept = settings["postback_token"].as_str().expect("a hash").to_owned();
        assert!(kept.starts_with(HASHED) && !kept.contains("0123456789abcdef"));
        let again = inbound(&Value::Object(settings));
        assert!(again.admits(&hashed("0123456789abcdef")) && !again.admits(&hashed(&kept)));
    }

    #[test]
    fn names_are_those_of_the_list_or_our_own() {
        assert_eq!(Inbound::default().event_type("first_deposit"), Some("FIRST_DEPOSIT"));
        assert_eq!(Inbound::default().event_type("dep"), None);
        let listed = inbound(&json!({"postback_events": {"dep": "FIRST_DEPOSIT"}}));
        assert_eq!((listed.event_type("DEP"), listed.event_type("FIRST_DEPOSIT")), (Some("FIRST_DEPOSIT"), None));
    }
}
