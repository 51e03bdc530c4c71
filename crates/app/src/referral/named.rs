//! By what callers name a human: an email, an id of their own, or both; and under which id a customer is recorded for it.

use super::Referral;
use crate::error::{Error, Result};
use crate::ingest::{CustomerRecord, Field, Referrer};
use crate::partner::is_email;
use serde_json::Map;

/// Before the email of a customer whose caller gave no id.
pub(super) const EMAIL_PREFIX: &str = "email:";
/// Where the caller's id stands of a customer that was first known by its email.
pub(super) const UID: &str = "uid";

/// By what a caller names a human.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// Trimmed and in lower case.
    pub email: Option<String>,
    /// The caller's own id.
    pub uid: Option<String>,
}

impl Named {
    /// Reads the two; empty texts are none.
    pub fn new(email: Option<&str>, uid: Option<&str>) -> Self {
        let text = |text: Option<&str>| text.map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        Self { email: text(email).map(|email| email.to_lowercase()), uid: text(uid) }
    }

    /// Whether it names nobody.
    pub fn is_blank(&self) -> bool {
        self.email.is_none() && self.uid.is_none()
    }

    /// Refuses an email that can be none; `known` is one that was recorded already, and stands however it is.
    ///
    /// # Errors
    /// [`Error::Invalid`] of `email`.
    pub(crate) fn email_check(&self, known: Option<&str>) -> Result<()> {
        match self.email.as_deref() {
            Some(email) if Some(email) != known && !is_email(email) => {
                Err(Error::invalid("email", "must be an email address"))
            }
            _ => Ok(()),
        }
    }

    /// Which of its names it shares with a referral that it was found as.
    pub(super) fn shared_with(&self, referral: &Referral) -> &'static str {
        if self.uid.is_some() && self.uid == referral.uid() { "uid" } else { "email" }
    }

    /// The id under which a new customer is recorded.
    pub(crate) fn own_id(&self) -> Option<String> {
        self.uid.clone().or_else(|| self.email.as_ref().map(|email| format!("{EMAIL_PREFIX}{email}")))
    }

    /// What a record says of a customer that is named so.
    pub(crate) fn record(&self, customer: String, referrer: Referrer) -> CustomerRecord {
        let mut attributes = Map::new();
        if let (Some(uid), true) = (&self.uid, customer.starts_with(EMAIL_PREFIX)) {
            attributes.insert(UID.into(), uid.clone().into());
        }
        CustomerRecord {
            customer,
            number: None,
            revision: None,
            registered_at: None,
            email: self.email.clone().map_or(Field::Keep, Field::Set),
            person: self.uid.clone(),
            name: Field::Keep,
            country: Field::Keep,
            account_type: Field::Keep,
            campaign: Field::Keep,
            attributes,
            referrer,
            split: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_referral_without_an_id_is_known_by_its_email() {
        let named = Named::new(Some(" North@Example.org "), Some(" "));
        assert_eq!(named.own_id().as_deref(), Some("email:north@example.org"));
        let record = Named::new(None, Some("u-77")).record("email:north@example.org".into(), Referrer::Unsaid);
        assert_eq!((record.person.as_deref(), record.attributes["uid"].as_str()), (Some("u-77"), Some("u-77")));
        assert!(Named::new(Some(""), None).is_blank());
    }
}
