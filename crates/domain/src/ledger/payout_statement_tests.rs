//! A payout's statement adds up in every unit, in any formatting, and shows every change.

use super::*;
use crate::ledger::GENESIS;
use crate::ledger::statement::verify;

/// A payout of these amounts in millionths; paid, with its entries, or not.
fn sample(unit: &str, amounts: &[i64], is_paid: bool) -> (PayoutStatement, StatementKey) {
    let amount = Decimal(amounts.iter().sum());
    let at = Instant(1_790_000_000_000_000);
    let entry = |ledger_account: i64, name: &str, amount: Decimal| {
        let hash = entry_hash(GENESIS, ledger_account, 1, 900, amount, at);
        PayoutEntry {
            ledger_account,
            name: name.into(),
            entry: StatementEntry {
                number: 1,
                id: 90 + ledger_account,
                transaction: 900,
                amount,
                at,
                commission: None,
                payout: Some(31),
                previous_hash: GENESIS.into(),
                hash,
            },
        }
    };
    let paid = vec![entry(7, "payable", amount.negated()), entry(8, "paid", amount)];
    let commissions = (1..).zip(amounts).map(|(id, amount)| PaidCommission {
        id,
        customer: Some(905),
        rule: "share \"x\"".into(),
        period: "2026-09".into(),
        for_period: "2026-08".into(),
        amount: Decimal(*amount),
        corrects: (*amount < 0).then_some(1),
    });
    let statement = PayoutStatement {
        account: 1,
        payout: 31,
        program: "1201".into(),
        partner: Some("ib_2044".into()),
        customer: None,
        unit: unit.into(),
        amount,
        status: if is_paid { "completed" } else { "pending" }.into(),
        method: Some("bank".into()),
        created: at,
        until: at,
        paid: is_paid.then_some(at),
        made: at,
        commissions: commissions.collect(),
        entries: if is_paid { paid } else { Vec::new() },
    };
    (statement, StatementKey::derive(&[7; 32], 1))
}

#[test]
fn it_adds_up_in_every_unit_and_any_formatting() {
    for (unit, amounts, shown) in [
        ("USD", vec![400_000_000, 12_500_000, -30_000_000], "382.50 USD"),
        ("JPY", vec![1_200_000_000, -200_000_000], "1000 JPY"),
        ("BHD", vec![12_345_000, -5_000], "12.340 BHD"),
        ("points", vec![250_000_000], "250 points"),
        ("points", vec![-250_000_000], "-250 points"),
        ("mon_discount", vec![5_500_000], "5.50 mon_discount"),
    ] {
        for is_paid in [false, true] {
            let (statement, key) = sample(unit, &amounts, is_paid);
            let text = render(&statement, &key).expect("within 64 bits");
            let verified = verify(&text, Some(&key.public())).unwrap_or_else(|broken| panic!("{broken}\n{text}"));
            let payout = verified.payout.expect("of a payout");
            assert_eq!((payout.id, payout.amount.as_str(), payout.commissions), (31, shown, amounts.len()));
            assert_eq!((verified.partner.as_str(), verified.public_key), ("ib_2044", key.public()));
            assert_eq!(verified.entries, if is_paid { 2 } else { 0 });
            let value: Value = serde_json::from_str(&text).expect("JSON");
            verify(&serde_json::to_string_pretty(&value).expect("JSON"), None).expect("holds");
            verify(&value.to_string(), None).expect("holds");
        }
    }
}

#[test]
fn every_digit_that_is_another_one_is_found() {
    let (statement, key) = sample("USD", &[400_000_000, -30_000_000], true);
    let text = render(&statement, &key).expect("within 64 bits");
    let mut digits = 0;
    for (index, byte) in text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
        let mut changed = text.clone().into_bytes();
        changed[index] = if byte == b'9' { b'0' } else { byte + 1 };
        let changed = String::from_utf8(changed).expect("ASCII");
        assert!(verify(&changed, Some(&key.public())).is_err(), "digit {index}");
        digits += 1;
    }
    assert!(digits > 100);
}

/// Signed by whoever has the key: what it says must still fit together.
#[test]
fn a_signature_does_not_make_sums_right() {
    let (good, key) = sample("USD", &[400_000_000, -30_000_000], true);
    let broken = |change: fn(&mut PayoutStatement)| {
        let mut statement = good.clone();
        change(&mut statement);
        verify(&render(&statement, &key).expect("within 64 bits"), None).expect_err("it does not hold").message
    };
    for (change, message) in [
        ((|s| s.amount = Decimal(1)) as fn(&mut PayoutStatement), "add up to"),
        (|s| drop(s.commissions.pop()), "add up to"),
        (|s| drop(s.entries.pop()), "add up to nothing"),
        (|s| s.entries.clear(), "what was paid"),
        (|s| s.status = "pending".into(), "what was paid"),
        (|s| s.entries[1].entry.amount = Decimal(1), "was changed"),
        (|s| s.entries[1].ledger_account = 9, "was changed"),
        (|s| s.partner = None, "who is paid"),
    ] {
        let said = broken(change);
        assert!(said.contains(message), "{said}");
    }
}

#[test]
fn a_sum_beyond_64_bits_is_no_statement() {
    let (mut statement, key) = sample("USD", &[1], false);
    for commission in [i64::MAX, i64::MAX] {
        statement.commissions.push(PaidCommission { amount: Decimal(commission), ..statement.commissions[0].clone() });
    }
    assert_eq!(render(&statement, &key), None);
}
