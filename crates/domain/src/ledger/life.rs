//! The life of a commission: money goes `pending → approved → (payable after the hold) → in a payout → paid`, a reward
//! `pending → approved → fulfilled`; either may be denied. What was paid or fulfilled can be taken back again.
//!
//! One pure function says what may follow what and where the amount goes; whoever moves a commission asks it, and the store
//! repeats its guard in each UPDATE. No entry is ever edited: a move back is another entry.

use super::posting::AccountName;
use crate::money::Decimal;

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

/// What a cell had before a new commission is posted in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// The sum of its commissions.
    pub posted: Decimal,
    /// How much of that was denied.
    pub denied: Decimal,
    /// Whether the last of them was.
    pub is_last_denied: bool,
}

impl Before {
    /// A cell in which nothing was posted.
    pub const NOTHING: Self = Self { posted: Decimal::ZERO, denied: Decimal::ZERO, is_last_denied: false };
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
        match self {
            Self::Pending => "pending",
            Self::Denied => "denied",
            Self::Held | Self::Payable | Self::InPayout | Self::Paid | Self::Fulfilled { .. } => "approved",
        }
    }

    /// Where a new commission stands. One that takes back what was denied was never owed, and is denied with it. It takes
    /// back the latest first: where that was owed, only what is left beyond it was denied. Where it takes back of both,
    /// somebody has to look.
    pub fn posted(amount: Decimal, before: Before, approved: bool, due: bool) -> Self {
        let covers = |sum: Decimal| amount.0.checked_add(sum.0).is_some_and(|left| left >= 0);
        let owed = Decimal(before.posted.0.saturating_sub(before.denied.0));
        let takes_back_of_denied =
            amount < Decimal::ZERO && (before.is_last_denied || (before.denied > Decimal::ZERO && !covers(owed)));
        if takes_back_of_denied {
            let is_all_denied = before.is_last_denied || owed <= Decimal::ZERO;
            return if is_all_denied && covers(before.denied) { Self::Denied } else { Self::Pending };
        }
        match (approved, due) {
            (true, true) => Self::Payable,
            (true, false) => Self::Held,
            (false, _) => Self::Pending,
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
    fn what_takes_back_a_denied_commission_is_denied_with_it() {
        let before = |posted, denied, is_last_denied| Before {
            posted: Decimal(posted),
            denied: Decimal(denied),
            is_last_denied,
        };
        for (amount, before, approved, due, expected) in [
            (400, Before::NOTHING, true, true, Stage::Payable),
            (400, Before::NOTHING, true, false, Stage::Held),
            (400, Before::NOTHING, false, true, Stage::Pending),
            (-400, before(400, 0, false), true, true, Stage::Payable),
            (-400, before(400, 400, true), true, true, Stage::Denied),
            (-100, before(400, 400, true), false, true, Stage::Denied),
            (-401, before(400, 400, true), true, true, Stage::Pending),
            (-300, before(-100, -100, true), true, true, Stage::Pending),
            (50, before(400, 400, true), true, true, Stage::Payable),
            // Two that were denied, taken back at once.
            (-600, before(600, 600, true), true, true, Stage::Denied),
            // The last was owed: it is taken back first, and alone where it is enough.
            (-200, before(600, 400, false), true, true, Stage::Payable),
            (-300, before(600, 400, false), true, true, Stage::Pending),
            (-600, before(600, 400, false), true, true, Stage::Pending),
            // The last was owed and is taken back already: only what was denied is left.
            (-400, before(400, 400, false), true, true, Stage::Denied),
        ] {
            let stage = Stage::posted(Decimal(amount), before, approved, due);
            assert_eq!(stage, expected, "{amount} {before:?} {approved} {due}");
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
