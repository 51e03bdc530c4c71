//! What an endpoint wants to hear, in which envelope, and whether it is on (`referral-api.md` §9).
//!
//! Leaves to others: which event types exist (`event`), and the row. Invariant: a list of
//! types is never empty, so an endpoint without interest cannot be saved by accident.

use crate::event;

/// How many types one list may name: far above the number that exists.
const TYPES_MAX: usize = 100;
/// The event types that an endpoint hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnabledEvents {
    /// `["*"]`: all, later ones too.
    All,
    /// These, in the order given, without doubles.
    Listed(Vec<String>),
}

/// Why a list of event types is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventsError {
    /// Nothing is listed.
    #[error("must name at least one event type, or \"*\"")]
    Empty,
    /// There is no such type.
    #[error("names {0:?}, which is no event type")]
    Unknown(String),
    /// More names than there can be types.
    #[error("names too many event types")]
    TooMany,
}

impl EnabledEvents {
    /// From the list of a request. A `*` beside other names swallows them.
    ///
    /// # Errors
    /// [`EventsError`]: empty, unknown, too many.
    pub fn parse<S: AsRef<str>>(names: &[S]) -> Result<Self, EventsError> {
        if names.is_empty() {
            return Err(EventsError::Empty);
        }
        if names.len() > TYPES_MAX {
            return Err(EventsError::TooMany);
        }
        let mut listed: Vec<String> = Vec::with_capacity(names.len());
        let mut all = false;
        for name in names.iter().map(AsRef::as_ref) {
            if name == "*" {
                all = true;
            } else if !event::is_known(name) {
                return Err(EventsError::Unknown(name.to_owned()));
            } else if !listed.iter().any(|seen| seen == name) {
                listed.push(name.to_owned());
            }
        }
        Ok(if all { Self::All } else { Self::Listed(listed) })
    }

    /// The list as it is shown: `["*"]`, or the names.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Self::All => vec!["*"],
            Self::Listed(names) => names.iter().map(String::as_str).collect(),
        }
    }

    /// The column's text: a JSON array.
    pub fn to_json(&self) -> String {
        serde_json::Value::from(self.names()).to_string()
    }

    /// Reads what [`Self::to_json`] wrote. Names are taken as they are: a type that was retired stays listed.
    pub fn from_json(text: &str) -> Self {
        let names: Vec<String> = serde_json::from_str(text).unwrap_or_default();
        if names.iter().any(|name| name == "*") { Self::All } else { Self::Listed(names) }
    }

    /// Whether an event of this type is delivered. [`event::REFERRAL_INITIATED`] needs no rule of its own: it reaches
    /// exactly those who list it or `*`, as every type does.
    pub fn want(&self, event_type: &str) -> bool {
        match self {
            Self::All => true,
            Self::Listed(names) => names.iter().any(|name| name == event_type),
        }
    }
}

/// Which envelope an endpoint gets (`postbacks.md` §2–4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PayloadStyle {
    /// `{id, event_id, event_type, created, livemode, data}`.
    #[default]
    Referral,
    /// `{event_id, event_type, action, entity_type, entity_id, changes, data, timestamp}`.
    Rewards,
    /// `{type, timestamp, data}`.
    Standard,
}

impl PayloadStyle {
    /// `referral`, `rewards` or `standard`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "referral" => Some(Self::Referral),
            "rewards" => Some(Self::Rewards),
            "standard" => Some(Self::Standard),
            _ => None,
        }
    }

    /// What [`Self::parse`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Referral => "referral",
            Self::Rewards => "rewards",
            Self::Standard => "standard",
        }
    }
}

/// Whether new deliveries are made for an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointStatus {
    /// It gets deliveries.
    Enabled,
    /// Switched off: by its owner, by a 410, or after five days of failures. What waits stays until it is on again.
    Disabled,
    /// Deleted, for good. Its dead letters stay visible for 30 days.
    Deleted,
}

impl EndpointStatus {
    /// `enabled`, `disabled` or `deleted`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "enabled" => Some(Self::Enabled),
            "disabled" => Some(Self::Disabled),
            "deleted" => Some(Self::Deleted),
            _ => None,
        }
    }

    /// What [`Self::parse`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Deleted => "deleted",
        }
    }
}

/// Where a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// It waits for its first or next attempt, or is being tried.
    Pending,
    /// A receiver took it.
    Delivered,
    /// All attempts failed: a dead letter.
    Failed,
    /// Its endpoint was deleted before it got through.
    Cancelled,
}

impl DeliveryStatus {
    /// `pending`, `delivered`, `failed` or `cancelled`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "pending" => Some(Self::Pending),
            "delivered" => Some(Self::Delivered),
            "failed" => Some(Self::Failed),
            "cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// What [`Self::parse`] reads.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::event::REFERRAL_INITIATED;

    fn parse(names: &[&str]) -> Result<EnabledEvents, EventsError> {
        EnabledEvents::parse(names)
    }

    #[test]
    fn a_touch_reaches_only_those_who_ask_for_it() {
        assert!(parse(&["*"]).expect("valid").want(REFERRAL_INITIATED));
        assert!(parse(&[REFERRAL_INITIATED]).expect("valid").want(REFERRAL_INITIATED));
        assert!(!parse(&["REGISTRATION", "FIRST_DEPOSIT"]).expect("valid").want(REFERRAL_INITIATED));
    }

    #[test]
    fn an_empty_or_unknown_list_is_refused() {
        assert_eq!(parse(&[]), Err(EventsError::Empty));
        assert_eq!(parse(&["registration"]), Err(EventsError::Unknown("registration".to_owned())));
        assert_eq!(parse(&["*", "NOPE"]), Err(EventsError::Unknown("NOPE".to_owned())));
    }

    #[test]
    fn lists_survive_their_column() {
        for names in [vec!["*"], vec!["REGISTRATION"], vec!["FIRST_DEPOSIT", "REGISTRATION", "FIRST_DEPOSIT"]] {
            let events = parse(&names).expect("valid");
            assert_eq!(EnabledEvents::from_json(&events.to_json()), events);
        }
        assert_eq!(parse(&["REGISTRATION", "*"]), Ok(EnabledEvents::All));
    }

    #[test]
    fn names_are_read_back() {
        for style in [PayloadStyle::Referral, PayloadStyle::Rewards, PayloadStyle::Standard] {
            assert_eq!(PayloadStyle::parse(style.name()), Some(style));
        }
        for status in [EndpointStatus::Enabled, EndpointStatus::Disabled, EndpointStatus::Deleted] {
            assert_eq!(EndpointStatus::parse(status.name()), Some(status));
        }
        for status in
            [DeliveryStatus::Pending, DeliveryStatus::Delivered, DeliveryStatus::Failed, DeliveryStatus::Cancelled]
        {
            assert_eq!(DeliveryStatus::parse(status.name()), Some(status));
        }
    }
}
