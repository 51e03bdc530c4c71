//! Accounts and the transfers between them.

use super::life::Stage;
use crate::ids::{CustomerId, PartnerId};
use crate::money::Decimal;
use std::fmt;

/// Whose account it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The program's own side.
    Program,
    /// A partner.
    Partner(PartnerId),
    /// A customer.
    Customer(CustomerId),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program => f.write_str("program"),
            Self::Partner(id) => write!(f, "partner:{id}"),
            Self::Customer(id) => write!(f, "customer:{id}"),
        }
    }
}

/// The accounts of each (program, owner, unit).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountName {
    /// Earned, not yet approved.
    Accrued,
    /// Approved, waiting for the end of the hold.
    Held,
    /// Approved and due, until it is paid. Never below nothing: what is, is in `Receivable`.
    Payable,
    /// What was paid, ever.
    Paid,
    /// What a partner was paid too much, below nothing; the next payout takes it back.
    Receivable,
    /// What commissions cost the program.
    Expense,
    /// What falls to the house in place of a partner.
    House,
}

impl AccountName {
    /// The name on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accrued => "accrued",
            Self::Held => "held",
            Self::Payable => "payable",
            Self::Paid => "paid",
            Self::Receivable => "receivable",
            Self::Expense => "expense",
            Self::House => "house",
        }
    }
}

/// One balanced transaction of two entries: `amount` leaves one account and enters the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Where the amount leaves.
    pub from: (Owner, AccountName),
    /// Where it enters.
    pub to: (Owner, AccountName),
    /// May be negative: a correction takes back.
    pub amount: Decimal,
}

impl Transfer {
    /// A move between the accounts of a payee; `Expense` is always the program's.
    pub fn between(payee: Owner, (from, to): (AccountName, AccountName), amount: Decimal) -> Self {
        let owner = |name| if name == AccountName::Expense { Owner::Program } else { payee };
        Self { from: (owner(from), from), to: (owner(to), to), amount }
    }

    /// Its two entries, which add up to nothing.
    pub fn entries(&self) -> [((Owner, AccountName), Decimal); 2] {
        [(self.from, self.amount.negated()), (self.to, self.amount)]
    }
}

/// The transactions of a posting that stands at `stage`: the program's expense against what the payee has earned. What is
/// denied from the start is earned and taken back, so that every commission is in the books.
pub fn accrual(payee: Owner, amount: Decimal, stage: Stage) -> Vec<Transfer> {
    let to = match stage {
        Stage::Pending | Stage::Denied => AccountName::Accrued,
        Stage::Held => AccountName::Held,
        Stage::Payable | Stage::InPayout | Stage::Paid | Stage::Fulfilled { .. } => AccountName::Payable,
    };
    let earned = Transfer::between(payee, (AccountName::Expense, to), amount);
    let taken_back = Transfer::between(payee, (AccountName::Accrued, AccountName::Expense), amount);
    if stage == Stage::Denied { vec![earned, taken_back] } else { vec![earned] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_adds_up_to_nothing() {
        let partner = Owner::Partner(PartnerId(1));
        for amount in [Decimal(400_000_000), Decimal(-1)] {
            let transfers = accrual(partner, amount, Stage::Held);
            let entries = transfers[0].entries();
            assert_eq!(entries.iter().map(|(_, a)| a.0).sum::<i64>(), 0);
            assert_eq!(entries[1], ((partner, AccountName::Held), amount));
            assert_eq!(transfers.len(), 1);
        }
    }

    #[test]
    fn what_is_denied_from_the_start_leaves_nothing() {
        let transfers = accrual(Owner::Partner(PartnerId(1)), Decimal(-400), Stage::Denied);
        let mut balances = std::collections::BTreeMap::new();
        for (account, amount) in transfers.iter().flat_map(Transfer::entries) {
            *balances.entry(account).or_insert(0) += amount.0;
        }
        assert!(balances.len() == 2 && balances.values().all(|balance| *balance == 0), "{balances:?}");
    }
}
