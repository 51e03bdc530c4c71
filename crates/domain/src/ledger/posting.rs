//! Accounts and the transfers between them.

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

/// The transaction of a posting: the program's expense against what the payee has earned. `approved` says whether it
/// was approved as it was made, `due` whether its hold is over.
pub fn accrual(payee: Owner, amount: Decimal, approved: bool, due: bool) -> Transfer {
    let to = match (approved, due) {
        (false, _) => AccountName::Accrued,
        (true, false) => AccountName::Held,
        (true, true) => AccountName::Payable,
    };
    Transfer { from: (Owner::Program, AccountName::Expense), to: (payee, to), amount }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_adds_up_to_nothing() {
        for amount in [Decimal(400_000_000), Decimal(-1)] {
            let entries = accrual(Owner::Partner(PartnerId(1)), amount, true, false).entries();
            assert_eq!(entries.iter().map(|(_, a)| a.0).sum::<i64>(), 0);
            assert_eq!(entries[1], ((Owner::Partner(PartnerId(1)), AccountName::Held), amount));
        }
    }
}
