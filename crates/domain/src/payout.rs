//! Payouts: what may become of one, who is paid, and what a partner or a program says about it.
//!
//! A payout is one payee's approved commissions of one unit, settled together: money of a run, or one reward alone. What
//! may follow what is here and nowhere else; where its commissions stand then is `ledger::Stage`.

use crate::ids::{CustomerId, PartnerId};
use crate::ledger::{Act, Owner};
use crate::money::Decimal;
use serde_json::{Map, Value, json};

/// Where a payout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PayoutStatus {
    /// Made; nothing was sent yet.
    Pending,
    /// The money is on its way.
    Processing,
    /// It arrived; the reward is delivered.
    Completed,
    /// It did not arrive; its commissions can be paid again.
    Failed,
    /// It was never sent; its commissions can be paid again.
    Cancelled,
}

impl PayoutStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Processing, Self::Completed, Self::Failed, Self::Cancelled];

    /// The name on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether it may become `next` (`rewards-api.md` §7).
    pub fn may_become(self, next: Self) -> bool {
        use PayoutStatus::{Cancelled, Completed, Failed, Pending, Processing};
        matches!(
            (self, next),
            (Pending, Processing | Completed | Cancelled)
                | (Processing, Completed | Failed)
                | (Completed | Failed, Pending)
        )
    }

    /// What a move does with each commission of a payout of money, or of a reward; `None`: nothing.
    pub fn act(self, next: Self, is_money: bool) -> Option<Act> {
        use PayoutStatus::{Cancelled, Completed, Failed, Pending};
        match (self, next, is_money) {
            (_, Completed, true) => Some(Act::Pay),
            (_, Completed, false) => Some(Act::Fulfil),
            (_, Failed | Cancelled, true) => Some(Act::Release),
            (Completed, Pending, true) => Some(Act::Unpay),
            (Completed, Pending, false) => Some(Act::Unfulfil),
            (Failed, Pending, true) => Some(Act::Take),
            _ => None,
        }
    }

    /// Whether its commissions are its own, so that no other payout can take them.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Processing | Self::Completed)
    }
}

/// How a payout came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutOrigin {
    /// A run over everything that is due.
    Run,
    /// Somebody picked its commissions.
    Picked,
    /// The approval of the one reward that it is for.
    Reward,
}

impl PayoutOrigin {
    /// The name in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Picked => "picked",
            Self::Reward => "reward",
        }
    }
}

/// Who is paid, of a stored row: a partner, or a customer.
pub fn payee(partner: Option<i64>, customer: Option<i64>) -> Owner {
    match (partner, customer) {
        (Some(partner), _) => Owner::Partner(PartnerId(partner)),
        (None, Some(customer)) => Owner::Customer(CustomerId(customer)),
        (None, None) => Owner::Program,
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
    fn these_moves_are_allowed_and_no_others() {
        use PayoutStatus::{Cancelled, Completed, Failed, Pending, Processing};
        let all = PayoutStatus::ALL;
        let allowed: Vec<_> = all
            .into_iter()
            .flat_map(|from| all.into_iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(*to))
            .collect();
        assert_eq!(
            allowed,
            [
                (Pending, Processing),
                (Pending, Completed),
                (Pending, Cancelled),
                (Processing, Completed),
                (Processing, Failed),
                (Completed, Pending),
                (Failed, Pending),
            ]
        );
        assert!(all.into_iter().all(|status| PayoutStatus::parse(status.name()) == Some(status)));
    }

    /// From wherever the commissions of a payout stand, its moves lead to where they stand next.
    #[test]
    fn commissions_follow_their_payout() {
        use crate::ledger::Stage;
        let stands = |status: PayoutStatus, is_money| match (status, is_money) {
            (PayoutStatus::Pending | PayoutStatus::Processing, true) => Stage::InPayout,
            (PayoutStatus::Completed, true) => Stage::Paid,
            (PayoutStatus::Completed, false) => Stage::Fulfilled { due: true },
            _ => Stage::Payable,
        };
        for (from, to) in PayoutStatus::ALL.into_iter().flat_map(|from| PayoutStatus::ALL.map(|to| (from, to))) {
            for is_money in [true, false] {
                if !from.may_become(to) {
                    continue;
                }
                let before = stands(from, is_money);
                let after = from.act(to, is_money).map_or(Ok(before), |act| before.after(act).map(|(next, _)| next));
                assert_eq!(after, Ok(stands(to, is_money)), "{from:?} {to:?} {is_money}");
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
