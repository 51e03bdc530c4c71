//! Which facts conditions look at: the others need not be put in order.
//!
//! Leaves counting to `condition`. Invariant: a fact that counts is looked at.

use super::Conditions;
use crate::fact::{Fact, FactBody};

impl Conditions {
    /// Whether nothing that a customer does is asked for: then every fact is a moment.
    pub(in crate::commission) fn ask_for_nothing(&self) -> bool {
        self.min_first_deposit.is_none()
            && self.min_net_deposit.is_none()
            && self.min_deposits.is_none()
            && self.min_lots.is_none()
            && self.min_spread_cost.is_none()
            && self.min_trades.is_none()
            && !self.kyc_approved
    }

    /// Whether only the country or the account type is asked for: then they are met at the registration.
    pub(in crate::commission) fn ask_only_where(&self) -> bool {
        let asks_where = !self.countries.is_empty() || !self.account_types.is_empty();
        asks_where && self.ask_for_nothing() && self.partner.is_none() && self.within.is_none()
    }

    /// Whether the fact may be among what is counted: a year of trading says nothing of a first deposit.
    pub(super) fn look_at(&self, fact: &Fact) -> bool {
        let trading = self.min_lots.is_some() || self.min_spread_cost.is_some();
        self.ask_for_nothing()
            || match &fact.body {
                FactBody::Money { .. } => true,
                FactBody::Event { .. } => self.kyc_approved,
                FactBody::TradingDay(_) => trading,
                FactBody::Trade(_) => trading || self.min_trades.is_some(),
                FactBody::Kpi { .. } | FactBody::Sale { .. } | FactBody::Refund { .. } => false,
            }
    }
}
