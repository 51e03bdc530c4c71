//! Every object has one number; this file gives each kind of number its own type and makes new ones.
//!
//! Numbers of busy tables (clicks, events, facts, postings, deliveries) are time-ordered, so an index grows at its
//! end and a time window is a range of keys. Numbers of configuration (programs, partners, links) are small counters
//! kept by the store. All are from 1 to 2^53 − 1, which JSON readers keep exactly (`docs/adr/0003-ids.md`).

use crate::time::Instant;
use std::fmt;

/// The largest number that we hand out: JSON readers with binary floating point keep it exactly.
pub const ID_MAX: i64 = (1 << 53) - 1;

/// 2025-01-01T00:00:00Z in milliseconds: the zero of time-ordered numbers. 41 bits of it last until 2094.
const EPOCH_MILLIS: i64 = 1_735_689_600_000;
const NODE_BITS: u32 = 6;
const SEQUENCE_BITS: u32 = 6;

/// How many nodes can make numbers at the same time.
pub const NODES_MAX: u8 = 1 << NODE_BITS;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { self.0.fmt(f) }
        }
    )+};
}

ids! {
    /// The tenant: one operator.
    AccountId
    /// One partner program of one brand; starts at 1000.
    ProgramId
    /// An introducing broker, affiliate or promoter.
    PartnerId
    /// A partner in a program; the rewards dialect's `promoter_campaign`.
    MembershipId
    /// A partner's entry point; below 2^40, because the click token carries it.
    LinkId
    /// One visit to a link; time-ordered.
    ClickId
    /// The human behind one or several customers; the referral dialect's `clientId`.
    PersonId
    /// A trading account or client record.
    CustomerId
    /// One business event; time-ordered.
    EventId
    /// One canonical fact; time-ordered.
    FactId
    /// One posting that a partner or customer can see; time-ordered.
    CommissionId
    /// One balanced ledger transaction; time-ordered.
    TransactionId
    /// One ledger entry; time-ordered.
    EntryId
    /// A postback endpoint.
    EndpointId
    /// One outbound message to one endpoint; time-ordered.
    DeliveryId
    /// One credential.
    KeyId
}

/// Makes time-ordered numbers for one node. It never goes back, even when the clock does.
#[derive(Debug)]
pub struct IdSource {
    node: u8,
    last_slot: i64,
}

impl IdSource {
    /// `node` is below [`NODES_MAX`]; `greatest` is the greatest time-ordered number in the store, or 0.
    pub fn new(node: u8, greatest: i64) -> Self {
        assert!(node < NODES_MAX, "node {node} is out of range");
        let mut source = Self { node, last_slot: 0 };
        source.observe(greatest);
        source
    }

    /// Numbers from now on are greater than this one, which another node may have made.
    pub fn observe(&mut self, id: i64) {
        let sequence_max = (1 << SEQUENCE_BITS) - 1;
        let made_by = (id >> SEQUENCE_BITS) & (i64::from(NODES_MAX) - 1);
        // Within one millisecond every number of a greater node is greater: ours go on in the next one.
        let seen = if made_by > i64::from(self.node) { slot_of(id) | sequence_max } else { slot_of(id) };
        self.last_slot = self.last_slot.max(seen);
    }

    /// The next number. More than 64 in one millisecond borrow from the milliseconds that follow.
    pub fn next(&mut self, now: Instant) -> i64 {
        let slot = first_slot_at(now);
        self.last_slot = slot.max(self.last_slot + 1);
        let millis = self.last_slot >> SEQUENCE_BITS;
        let sequence = self.last_slot & ((1 << SEQUENCE_BITS) - 1);
        (((millis << NODE_BITS) | i64::from(self.node)) << SEQUENCE_BITS) | sequence
    }
}

/// The smallest time-ordered number that can have been made at `at` or later: a time window as a range of keys.
pub fn first_id_at(at: Instant) -> i64 {
    (first_slot_at(at) << NODE_BITS).max(1)
}

/// When a time-ordered number was made, to the millisecond (borrowed numbers lie a little ahead).
pub fn made_at(id: i64) -> Instant {
    Instant::from_millis((id >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MILLIS)
}

fn first_slot_at(at: Instant) -> i64 {
    (at.millis() - EPOCH_MILLIS).max(0) << SEQUENCE_BITS
}

fn slot_of(id: i64) -> i64 {
    let millis = id >> (NODE_BITS + SEQUENCE_BITS);
    (millis << SEQUENCE_BITS) | (id & ((1 << SEQUENCE_BITS) - 1))
}

/// Crockford base32, as in ULIDs, upper case.
const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// The public form of a number: a prefix and a ULID (48 bits of milliseconds, then 80 bits that hold the number).
///
/// The number can be read back from the text with [`from_prefixed`], so that no table needs an index for it.
pub fn to_prefixed(prefix: &str, number: i64, made: Instant) -> String {
    let millis = u128::from(made.millis().unsigned_abs()) & ((1 << 48) - 1);
    let value = (millis << 80) | u128::from(number.unsigned_abs());
    let mut text = String::with_capacity(prefix.len() + 26);
    text.push_str(prefix);
    for shift in (0..26).rev() {
        let digit = (value >> (shift * 5)) & 31;
        text.push(char::from(CROCKFORD[usize::try_from(digit).expect("five bits fit")]));
    }
    text
}

/// The number in a public id, or `None` where the text is not one of ours. The caller still compares the whole text
/// with [`to_prefixed`] of the row found, so that a made-up time does not pass.
pub fn from_prefixed(prefix: &str, text: &str) -> Option<i64> {
    let digits = text.strip_prefix(prefix)?;
    if digits.len() != 26 {
        return None;
    }
    let mut value: u128 = 0;
    for byte in digits.bytes() {
        let digit = CROCKFORD.iter().position(|c| *c == byte)?;
        value = (value << 5) | u128::try_from(digit).ok()?;
    }
    let number = i64::try_from(value & ((1 << 80) - 1)).ok()?;
    (1..=ID_MAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_although_the_clock_goes_back() {
        let mut ids = IdSource::new(3, 0);
        let first = ids.next(Instant::from_millis(1_800_000_000_000));
        let second = ids.next(Instant::from_millis(1_799_999_000_000));
        assert!(second > first);
        assert!(second <= ID_MAX);
    }

    #[test]
    fn a_restart_continues_after_the_greatest_number() {
        let mut ids = IdSource::new(0, 0);
        let mut last = 0;
        for _ in 0..1000 {
            last = ids.next(Instant::from_millis(1_800_000_000_000));
        }
        let mut again = IdSource::new(5, last);
        assert!(again.next(Instant::from_millis(1_800_000_000_000)) > last);
    }

    #[test]
    fn two_nodes_never_make_the_same_number() {
        let at = Instant::from_millis(1_800_000_000_000);
        let (mut a, mut b) = (IdSource::new(0, 0), IdSource::new(1, 0));
        let ours: Vec<_> = (0..500).map(|_| a.next(at)).collect();
        assert!((0..500).map(|_| b.next(at)).all(|id| !ours.contains(&id)));
    }

    #[test]
    fn what_was_observed_of_any_node_is_less_than_what_follows() {
        let now = Instant::from_millis(1_800_000_000_000);
        for (one, other) in [(0, 1), (1, 0), (0, NODES_MAX - 1)] {
            let (mut one, mut other) = (IdSource::new(one, 0), IdSource::new(other, 0));
            let mut last = 0;
            for round in 0..300 {
                let source = if round % 2 == 0 { &mut one } else { &mut other };
                source.observe(last);
                let next = source.next(now);
                assert!(next > last, "round {round}: {next} after {last}");
                last = next;
            }
        }
    }

    #[test]
    fn public_ids_hold_their_number() {
        let text = to_prefixed("ln_", 77, Instant::from_millis(1_770_113_472_000));
        assert_eq!(text.len(), 29);
        assert_eq!(from_prefixed("ln_", &text), Some(77));
        assert_eq!(from_prefixed("pe_", &text), None);
        assert_eq!(from_prefixed("ln_", "ln_short"), None);
    }

    #[test]
    fn a_window_starts_at_its_first_number() {
        let at = Instant::from_millis(1_800_000_000_123);
        let id = IdSource::new(0, 0).next(at);
        assert!(id >= first_id_at(at));
        assert!(id < first_id_at(Instant::from_millis(1_800_000_000_124)));
        assert_eq!(made_at(id), at);
    }
}
