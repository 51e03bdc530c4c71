//! The life of a commission: money goes `pending → approved → (payable after the hold) → in a payout → paid`, a reward
//! `pending → approved → fulfilled`; either may be denied. What was paid or fulfilled can be taken back again.
//!
//! One pure function says what may follow what and where the amount goes; whoever moves a commission asks it, and the store
//! repeats its guard in each UPDATE. No entry is ever edited: a move back is another entry.

use super::denial::{Decided, TakenFrom};
use super::posting::AccountName;

/// Where a commission stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// Waits for a decision; in `accrued`.
    Pending,
    /// Approved, before the end of its hold; in `held`.
    Held,
    /// Approved and due; in `payable`.
    Payable,
    /// Part of a payout that is on its way; still in `payable`, because a debt is one until it is paid.
    InPayout,
    /// Paid.
    Paid,
    /// A reward that its receiver has; in `paid`.
    Fulfilled {
        /// Whether its hold was over before: where it goes back to.
        due: bool,
    },
    /// Refused; nothing is owed for it.
    Denied,
}

/// What can be done with a commission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Somebody approves it; `due`: its hold is over already.
    Approve {
        /// Whether its hold is over.
        due: bool,
    },
    /// Somebody refuses it.
    Deny,
    /// Its hold ends.
    FallDue,
    /// A payout takes it.
    Take,
    /// Its payout failed or was cancelled.
    Release,
    /// Its payout arrived.
    Pay,
    /// Its payout did not arrive after all.
    Unpay,
    /// Its receiver has the reward.
    Fulfil,
    /// Its receiver has the reward not after all.
    Unfulfil,
    /// Somebody refuses what was approved.
    Withdraw,
    /// Somebody approves what was refused.
    Reconsider {
        /// Whether its hold is over.
        due: bool,
    },
}

/// The stage does not allow the act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a commission that is {} cannot be changed like this", .0.status())]
pub struct NotAllowed(pub Stage);

impl Stage {
    /// The stage of a stored row: its status, and whether it has fallen due.
    pub fn of(status: &str, is_due: bool) -> Option<Self> {
        Some(match (status, is_due) {
            ("pending", _) => Self::Pending,
            ("approved", false) => Self::Held,
            ("approved", true) => Self::Payable,
            ("in_payout", _) => Self::InPayout,
            ("paid", _) => Self::Paid,
            ("fulfilled", due) => Self::Fulfilled { due },
            ("denied", _) => Self::Denied,
            _ => return None,
        })
    }

    /// The status on the wire and in the store. The end of the hold changes no status: `payable_at` says when it is.
    pub fn status(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Held | Self::Payable => "approved",
            Self::InPayout => "in_payout",
            Self::Paid => "paid",
            Self::Fulfilled { .. } => "fulfilled",
            Self::Denied => "denied",
        }
    }

    /// What has been decided about it, whatever became of it since: `pending`, `approved` or `denied`.
    pub fn decision(self) -> &'static str {
        self.decided().name()
    }

    /// The same.
    pub fn decided(self) -> Decided {
        match self {
            Self::Pending => Decided::Pending,
            Self::Denied => Decided::Denied,
            Self::Held | Self::Payable | Self::InPayout | Self::Paid | Self::Fulfilled { .. } => Decided::Approved,
        }
    }

    /// Where a new commission stands. One that takes back what was denied was never owed, and is denied with it. Where it
    /// takes back of both, somebody has to look.
    pub fn posted(taken_from: TakenFrom, approved: bool, due: bool) -> Self {
        match (taken_from, approved, due) {
            (TakenFrom::Denied, ..) => Self::Denied,
            (TakenFrom::Both, ..) | (TakenFrom::Owed, false, _) => Self::Pending,
            (TakenFrom::Owed, true, true) => Self::Payable,
            (TakenFrom::Owed, true, false) => Self::Held,
        }
    }

    /// What follows, and between which of the payee's accounts the amount moves. `Expense` is the program's. What a
    /// payout of money pays moves as one sum for the whole payout, not commission by commission.
    pub fn after(self, act: Act) -> Result<(Self, Option<(AccountName, AccountName)>), NotAllowed> {
        use AccountName::{Accrued, Expense, Held, Paid, Payable};
        Ok(match (self, act) {
            (Self::Pending, Act::Approve { due: false }) => (Self::Held, Some((Accrued, Held))),
            (Self::Pending, Act::Approve { due: true }) => (Self::Payable, Some((Accrued, Payable))),
            (Self::Pending, Act::Deny) => (Self::Denied, Some((Accrued, Expense))),
            (Self::Held, Act::FallDue) => (Self::Payable, Some((Held, Payable))),
            (Self::Payable, Act::Take) | (Self::Paid, Act::Unpay) => (Self::InPayout, None),
            (Self::InPayout, Act::Release) => (Self::Payable, None),
            (Self::InPayout, Act::Pay) => (Self::Paid, None),
            (Self::Held, Act::Fulfil) => (Self::Fulfilled { due: false }, Some((Held, Paid))),
            (Self::Payable, Act::Fulfil) => (Self::Fulfilled { due: true }, Some((Payable, Paid))),
            (Self::Fulfilled { due: false }, Act::Unfulfil) => (Self::Held, Some((Paid, Held))),
            (Self::Fulfilled { due: true }, Act::Unfulfil) => (Self::Payable, Some((Paid, Payable))),
            (Self::Held, Act::Withdraw) => (Self::Denied, Some((Held, Expense))),
            (Self::Payable, Act::Withdraw) => (Self::Denied, Some((Payable, Expense))),
            (Self::Denied, Act::Reconsider { due: false }) => (Self::Held, Some((Expense, Held))),
            (Self::Denied, Act::Reconsider { due: true }) => (Self::Payable, Some((Expense, Payable))),
            (stage, _) => return Err(NotAllowed(stage)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Owner, Transfer};
    use crate::money::Decimal;

    const STAGES: [Stage; 8] = [
        Stage::Pending,
        Stage::Held,
        Stage::Payable,
        Stage::InPayout,
        Stage::Paid,
        Stage::Fulfilled { due: false },
        Stage::Fulfilled { due: true },
        Stage::Denied,
    ];
    const ACTS: [Act; 13] = [
        Act::Approve { due: false },
        Act::Approve { due: true },
        Act::Deny,
        Act::FallDue,
        Act::Take,
        Act::Release,
        Act::Pay,
        Act::Unpay,
        Act::Fulfil,
        Act::Unfulfil,
        Act::Withdraw,
        Act::Reconsider { due: false },
        Act::Reconsider { due: true },
    ];

    #[test]
    fn these_moves_are_allowed_and_no_others() {
        let allowed: Vec<_> = STAGES
            .iter()
            .flat_map(|from| ACTS.iter().filter_map(|act| Some((*from, *act, from.after(*act).ok()?.0))))
            .collect();
        assert_eq!(
            allowed,
            [
                (Stage::Pending, Act::Approve { due: false }, Stage::Held),
                (Stage::Pending, Act::Approve { due: true }, Stage::Payable),
                (Stage::Pending, Act::Deny, Stage::Denied),
                (Stage::Held, Act::FallDue, Stage::Payable),
                (Stage::Held, Act::Fulfil, Stage::Fulfilled { due: false }),
                (Stage::Held, Act::Withdraw, Stage::Denied),
                (Stage::Payable, Act::Take, Stage::InPayout),
                (Stage::Payable, Act::Fulfil, Stage::Fulfilled { due: true }),
                (Stage::Payable, Act::Withdraw, Stage::Denied),
                (Stage::InPayout, Act::Release, Stage::Payable),
                (Stage::InPayout, Act::Pay, Stage::Paid),
                (Stage::Paid, Act::Unpay, Stage::InPayout),
                (Stage::Fulfilled { due: false }, Act::Unfulfil, Stage::Held),
                (Stage::Fulfilled { due: true }, Act::Unfulfil, Stage::Payable),
                (Stage::Denied, Act::Reconsider { due: false }, Stage::Held),
                (Stage::Denied, Act::Reconsider { due: true }, Stage::Payable),
            ]
        );
    }

    /// Every account that a stage's amount is in: what a move takes it from is where it was.
    #[test]
    fn an_amount_is_moved_from_where_it_is() {
        let place = |stage| match stage {
            Stage::Pending => AccountName::Accrued,
            Stage::Held => AccountName::Held,
            Stage::Payable | Stage::InPayout => AccountName::Payable,
            Stage::Paid | Stage::Fulfilled { .. } => AccountName::Paid,
            Stage::Denied => AccountName::Expense,
        };
        for from in STAGES {
            for act in ACTS {
                let Ok((to, moved)) = from.after(act) else { continue };
                match moved {
                    Some(accounts) => assert_eq!(accounts, (place(from), place(to)), "{from:?} {act:?}"),
                    // One sum for the whole payout.
                    None => assert!(matches!(act, Act::Take | Act::Release | Act::Pay | Act::Unpay), "{act:?}"),
                }
            }
        }
    }

    #[test]
    fn what_is_denied_goes_back_to_expense() {
        let payee = Owner::Customer(crate::ids::CustomerId(4));
        let (_, accounts) = Stage::Pending.after(Act::Deny).expect("allowed");
        let moved = Transfer::between(payee, accounts.expect("it moves"), Decimal(5));
        assert_eq!(moved.from, (payee, AccountName::Accrued));
        assert_eq!(moved.to, (Owner::Program, AccountName::Expense));
    }

    #[test]
    fn a_stage_is_read_back_from_its_row() {
        for stage in STAGES {
            let is_due =
                matches!(stage, Stage::Payable | Stage::InPayout | Stage::Paid | Stage::Fulfilled { due: true });
            assert_eq!(Stage::of(stage.status(), is_due), Some(stage));
        }
        assert_eq!(Stage::of("payable", false), None);
    }
}
