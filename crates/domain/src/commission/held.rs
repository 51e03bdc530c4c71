//! Why a fact, or a part of what it is worth, is not paid (`commissions.md` §2).

use crate::ids::FactId;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// Why a fact is not priced yet, or is refused.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum HeldReason { $($(#[$doc])* $variant,)+ }
        impl HeldReason {
            /// The name on the wire.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
            /// Reads [`Self::name`].
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

reasons! {
    /// No exchange rate for its date.
    NoExchangeRate = "no_exchange_rate",
    /// Nobody knows the customer yet.
    UnknownCustomer = "unknown_customer",
    /// The customer is nobody's at its date.
    Unattributed = "unattributed",
    /// It leaves the range of exact numbers, or lacks a detail.
    NotEvaluable = "not_evaluable",
    /// No rate fits.
    NoRate = "no_rate",
    /// A refund whose sale is not there.
    UnknownSale = "unknown_sale",
    /// A refund above what is left of its sale.
    OverRefund = "over_refund",
    /// The partner was suspended at its date.
    PartnerSuspended = "partner_suspended",
    /// All that it would pay is above the plan's budget.
    Budget = "budget",
    /// Another source is the truth for this figure.
    SecondSource = "second_source",
    /// The trade was open too short.
    MinDuration = "min_duration",
    /// The price moved too little.
    MinMove = "min_move",
    /// The price did not move.
    ZeroMove = "zero_move",
    /// The trade took the equity below zero.
    NegativeEquity = "negative_equity",
}

/// A fact that is not paid, or not wholly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The fact.
    pub fact: FactId,
    /// Why.
    pub reason: HeldReason,
    /// What is missing, for people.
    pub detail: String,
}
