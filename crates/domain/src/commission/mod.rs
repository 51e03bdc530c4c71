//! Commissions: a pure function of facts (`commissions.md`). `evaluate` says what every cell of a person is worth now;
//! `postings` is the difference to what was posted.
//!
//! One file per rule kind (`flat`, `cpa`, `per_lot`); `lint` makes a [`Plan`] of a document and refuses what this
//! version does not have yet (`later`). Never reads a clock, never rounds but once per cell.

mod cell;
mod condition;
mod cpa;
mod evaluate;
mod exchange;
mod explain;
mod flat;
mod later;
mod lint;
mod per_lot;
mod plan;
mod posting;
mod reader;
mod terms;

pub use cell::{CellKey, Payee, Scope};
pub use condition::{ConditionState, Conditions, Within, WithinFrom};
pub use cpa::Cpa;
pub use evaluate::{ConditionReport, Evaluation, Held, Worth, conditions, evaluate};
pub use exchange::{ExchangeRates, Quote};
pub use flat::Flat;
pub use lint::{LintError, lint};
pub use per_lot::{LotFactor, PerLot, Rate, Side};
pub use plan::{Kind, OncePer, Pays, Plan, PlanVersion, Rule, When};
pub use posting::{PostedCell, Posting, postings};
pub use terms::{Binding, CustomerView, PartnerTerms, PersonView, Terms};

/// Why a fact is not priced yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeldReason {
    /// No exchange rate for its date.
    NoExchangeRate,
    /// Nobody knows the customer yet.
    UnknownCustomer,
    /// The customer is nobody's at its date.
    Unattributed,
    /// It leaves the range of exact numbers, or lacks a detail.
    NotEvaluable,
    /// No rate fits.
    NoRate,
    /// The partner was suspended at its date.
    PartnerSuspended,
}

impl HeldReason {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoExchangeRate => "no_exchange_rate",
            Self::UnknownCustomer => "unknown_customer",
            Self::Unattributed => "unattributed",
            Self::NotEvaluable => "not_evaluable",
            Self::NoRate => "no_rate",
            Self::PartnerSuspended => "partner_suspended",
        }
    }
}
