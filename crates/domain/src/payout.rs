//! Payouts: when one is made, what may become of it, and what a partner or a program says about it.
//!
//! A payout is one partner's due commissions of one unit, paid together. It is `pending` until the operator says what
//! happened: `completed`, `failed` or `cancelled`; then it never changes again.

use crate::money::Decimal;
use serde_json::{Map, Value, json};

/// Where a payout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutStatus {
    /// Made; the money is on its way.
    Pending,
    /// It arrived.
    Completed,
    /// It did not arrive; its commissions can be paid again.
    Failed,
    /// It was never sent; its commissions can be paid again.
    Cancelled,
}

impl PayoutStatus {
    /// The name on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Pending, Self::Completed, Self::Failed, Self::Cancelled].into_iter().find(|s| s.name() == name)
    }

    /// Whether it may become `next`.
    pub fn may_become(self, next: Self) -> bool {
        self == Self::Pending && next != Self::Pending
    }
}

/// A partner's `payout` setting.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PayoutSettings {
    /// How the partner wants to be paid, in the operator's words: `bank`, `wise`, …
    pub method: Option<String>,
    /// Nothing is paid below this; `None`: what the program says.
    pub minimum: Option<Decimal>,
    /// Where to: an address, an account number; the operator's own keys.
    pub details: Map<String, Value>,
}

/// A payout setting that cannot be used: its path and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{param} {message}")]
pub struct PayoutSettingError {
    /// The path in the request.
    pub param: String,
    /// What is wrong and what to do.
    pub message: &'static str,
}

impl PayoutSettings {
    /// Reads `{method?, minimum?, details?}`.
    pub fn from_json(value: &Value) -> Result<Self, PayoutSettingError> {
        let wrong = |key: &str, message| {
            let param = if key.is_empty() { "payout".to_owned() } else { format!("payout.{key}") };
            PayoutSettingError { param, message }
        };
        let fields = value.as_object().ok_or_else(|| wrong("", "must be an object"))?;
        let mut settings = Self::default();
        for (key, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            match key.as_str() {
                "method" => {
                    let text = value.as_str().filter(|text| !text.is_empty() && text.len() <= 100);
                    let text = text.ok_or_else(|| wrong(key, "must be a name of at most 100 characters"))?;
                    settings.method = Some(text.to_owned());
                }
                "minimum" => {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    let minimum = Decimal::parse(&text).ok().filter(|minimum| *minimum >= Decimal::ZERO);
                    settings.minimum = Some(minimum.ok_or_else(|| wrong(key, "must be a decimal of 0 or more"))?);
                }
                "details" => {
                    let details = value.as_object().ok_or_else(|| wrong(key, "must be an object"))?;
                    settings.details.clone_from(details);
                }
                _ => return Err(wrong(key, "is not known here")),
            }
        }
        Ok(settings)
    }

    /// The stored form and the one on the wire.
    pub fn to_json(&self) -> Value {
        json!({"method": self.method, "minimum": self.minimum.map(|m| m.to_string()), "details": self.details})
    }
}

/// Whether a partner to whom `due` is owed gets a payout: something is owed, and no less than the minimum.
pub fn is_paid(due: Decimal, minimum: Option<Decimal>) -> bool {
    due > Decimal::ZERO && minimum.is_none_or(|minimum| due >= minimum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payout_ends_once() {
        let all = [PayoutStatus::Pending, PayoutStatus::Completed, PayoutStatus::Failed, PayoutStatus::Cancelled];
        for from in all {
            assert_eq!(PayoutStatus::parse(from.name()), Some(from));
            for to in all {
                assert_eq!(from.may_become(to), from == PayoutStatus::Pending && to != from, "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn the_minimum_is_reached_and_nothing_is_never_paid() {
        for (due, minimum, paid) in
            [(1, None, true), (0, None, false), (-1, None, false), (50, Some(50), true), (49, Some(50), false)]
        {
            assert_eq!(is_paid(Decimal(due), minimum.map(Decimal)), paid, "{due} {minimum:?}");
        }
    }

    #[test]
    fn settings_read_back_what_they_wrote() {
        let settings = json!({"method": "bank", "minimum": "50.5", "details": {"iban": "DE00"}});
        let settings = PayoutSettings::from_json(&settings).expect("valid");
        assert_eq!(PayoutSettings::from_json(&settings.to_json()), Ok(settings));
        for (wrong, param) in [
            (json!([]), "payout"),
            (json!({"minimum": "-1"}), "payout.minimum"),
            (json!({"minimum": "1e5"}), "payout.minimum"),
            (json!({"method": ""}), "payout.method"),
            (json!({"iban": "DE00"}), "payout.iban"),
        ] {
            assert_eq!(PayoutSettings::from_json(&wrong).expect_err("refused").param, param);
        }
    }
}
