//! One side of a debt: what is due to a payee is in `payable` while it is above nothing, and in `receivable` while it is
//! below, so that a partner who was paid too much shows as one who owes, and the next amounts pay that off first.

use super::posting::{AccountName, Owner, Transfer};
use crate::money::Decimal;

/// The transfer after which one of the two balances is nothing and both have their sign; `None` where that holds.
pub fn netting(payee: Owner, payable: Decimal, receivable: Decimal) -> Option<Transfer> {
    let amount = if payable < Decimal::ZERO {
        payable
    } else if receivable < Decimal::ZERO {
        payable.min(receivable.negated())
    } else {
        // Nothing is ever moved into `receivable` beyond what it lacks, so it is not above nothing.
        return None;
    };
    let accounts = (AccountName::Payable, AccountName::Receivable);
    (amount != Decimal::ZERO).then(|| Transfer::between(payee, accounts, amount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PartnerId;
    use proptest::prelude::*;

    fn after(payable: i64, receivable: i64) -> (i64, i64) {
        let transfer = netting(Owner::Partner(PartnerId(1)), Decimal(payable), Decimal(receivable));
        transfer.map_or((payable, receivable), |t| (payable - t.amount.0, receivable + t.amount.0))
    }

    #[test]
    fn a_debt_has_one_side() {
        for ((payable, receivable), expected) in [
            ((100, 0), (100, 0)),
            ((-30, 0), (0, -30)),
            ((100, -30), (70, 0)),
            ((20, -30), (0, -10)),
            ((-20, -30), (0, -50)),
            ((0, -30), (0, -30)),
            ((0, 0), (0, 0)),
        ] {
            assert_eq!(after(payable, receivable), expected, "{payable} {receivable}");
        }
    }

    proptest! {
        #[test]
        fn netting_keeps_the_sum_and_is_done_once(payable in -1000_i64..1000, receivable in -1000_i64..=0) {
            let (p, r) = after(payable, receivable);
            prop_assert_eq!(p + r, payable + receivable);
            prop_assert!(p >= 0 && r <= 0 && (p == 0 || r == 0));
            prop_assert_eq!(after(p, r), (p, r));
        }
    }
}
