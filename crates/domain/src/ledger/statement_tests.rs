//! A statement holds as it was made, in any formatting, and shows every change with its line.

use super::*;

fn sample() -> (Statement, StatementKey) {
    let mut standing = Standing::empty();
    let mut entries = Vec::new();
    for (index, amount) in [400_000_000, -30_000_000, 12_500_000].into_iter().enumerate() {
        let number = standing.entries + 1;
        let at = Instant(1_790_000_000_000_000 + i64::try_from(index).expect("small"));
        let hash = entry_hash(&standing.hash, 7, number, 900 + number, Decimal(amount), at);
        let previous_hash = std::mem::replace(&mut standing.hash, hash.clone());
        standing.entries = number;
        standing.balance = Decimal(standing.balance.0 + amount);
        entries.push(StatementEntry {
            number,
            id: 90 + number,
            transaction: 900 + number,
            amount: Decimal(amount),
            at,
            commission: Some(5),
            payout: None,
            previous_hash,
            hash,
        });
    }
    let account = |ledger_account, name: &str, entries, closing| StatementAccount {
        ledger_account,
        program: "1000".into(),
        owner: "partner:1".into(),
        unit: "USD".into(),
        name: name.into(),
        opening: Standing::empty(),
        entries,
        closing,
    };
    let statement = Statement {
        account: 1,
        partner: "a \"quoted\" name".into(),
        from: None,
        to: Instant(1_790_000_001_000_000),
        made: Instant(1_790_000_002_000_000),
        accounts: vec![account(6, "held", Vec::new(), Standing::empty()), account(7, "payable", entries, standing)],
    };
    (statement, StatementKey::derive(&[7; 32], 1))
}

#[test]
fn a_statement_holds_as_it_was_saved_and_formatted_anew() {
    let (statement, key) = sample();
    let text = render(&statement, &key);
    let verified = verify(&text, Some(&key.public())).expect("holds");
    assert_eq!((verified.accounts, verified.entries), (2, 3));
    assert_eq!(verified.partner, "a \"quoted\" name");
    let value: Value = serde_json::from_str(&text).expect("JSON");
    verify(&serde_json::to_string_pretty(&value).expect("JSON"), None).expect("holds");
    verify(&value.to_string(), None).expect("holds");
}

#[test]
fn what_was_changed_is_named_with_its_line() {
    let (statement, key) = sample();
    let text = render(&statement, &key);
    let line_with = |part: &str| 1 + text.lines().position(|line| line.contains(part)).expect(part);
    for (from, to, line, message) in [
        ("\"-30.00\"", "\"-3.00\"", line_with("\"-30.00\""), "entry 2 was changed"),
        ("\"number\":3", "\"number\":4", line_with("\"number\":3"), "one is missing"),
        ("\"balance\":\"382.50\"", "\"balance\":\"482.50\"", line_with("\"382.50\""), "add up"),
        ("quoted", "other", line_with("\"signature\""), "the signature"),
        ("\"commission\":5", "\"commission\":6", line_with("\"signature\""), "the signature"),
    ] {
        let broken = verify(&text.replacen(from, to, 1), None).expect_err(from);
        assert_eq!(broken.line, line, "{from}: {broken}");
        assert!(broken.message.contains(message), "{from}: {broken}");
    }
}

#[test]
fn what_is_not_signed_is_refused() {
    let (statement, key) = sample();
    let text = render(&statement, &key);
    for (from, to, message) in [
        ("{\"statement\"", "{\"note\":\"paid in full\",\"statement\"", "`note` is no part"),
        ("\"signature\"", "\"balance\":\"9.00\",\"signature\"", "`balance` is no part"),
        ("{\"statement\"", "{\"statement\":{\"partner\":\"x\"},\"statement\"", "twice"),
        ("\"amount\":\"-30.00\"", "\"amount\":\"-3.00\",\"amount\":\"-30.00\"", "twice"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let broken = verify(&changed, None).expect_err(from);
        assert!(broken.message.contains(message), "{from}: {broken}");
    }
}

#[test]
fn no_character_can_be_changed_unseen() {
    let (statement, key) = sample();
    let text = render(&statement, &key);
    for (index, byte) in text.bytes().enumerate() {
        // A hexadecimal digit may be written in either case; everything else counts.
        let other = if byte == b'7' { b'8' } else { b'7' };
        let mut changed = text.clone().into_bytes();
        changed[index] = other;
        let changed = String::from_utf8(changed).expect("ASCII");
        let is_space = byte == b'\n';
        assert!(verify(&changed, Some(&key.public())).is_err() || is_space, "byte {index} of {text}");
    }
}

#[test]
fn a_cut_tail_shows() {
    let (mut statement, key) = sample();
    let last = statement.accounts[1].entries.pop().expect("three entries");
    let broken = verify(&render(&statement, &key), None).expect_err("cut");
    assert!(broken.message.contains("add up"), "{broken}");
    // Even where the forger signs it again, the key is not the one the partner knows.
    let standing = &mut statement.accounts[1].closing;
    *standing = Standing { balance: Decimal(370_000_000), entries: 2, hash: last.previous_hash };
    let forged = render(&statement, &StatementKey::derive(&[8; 32], 1));
    verify(&forged, None).expect("it is consistent in itself");
    let broken = verify(&forged, Some(&key.public())).expect_err("another key");
    assert!(broken.message.contains("another key"), "{broken}");
}
