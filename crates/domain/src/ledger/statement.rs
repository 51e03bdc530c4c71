//! A statement: what happened in a partner's ledger accounts in a window, signed, so that the partner can check it alone.
//!
//! The text is JSON with one entry per line; what is signed is the `statement` object without insignificant space, so a
//! file that was formatted anew still verifies. A statement holds when each account's entries follow one another by
//! number and hash, add up from the opening balance to the closing one, and the signature is of all that.

use super::{GENESIS, entry_hash, payout_statement};
use crate::money::{Currency, Decimal, Unit};
use crate::time::Instant;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::Sha256;
use std::fmt::Write as _;

/// The first thing in a statement: which form the rest has.
const FORMAT: &str = "headwater-statement-1";
/// The same of a payout's.
pub(super) const FORMAT_OF_PAYOUT: &str = "headwater-payout-statement-1";

/// The key of an account's statements: ed25519, derived from the master key, so every node signs alike.
#[derive(Debug)]
pub struct StatementKey(Ed25519KeyPair);

impl StatementKey {
    /// The key of this account under this master key.
    pub fn derive(master_key: &[u8; 32], account: i64) -> Self {
        let mut mac = Hmac::<Sha256>::new_from_slice(master_key).expect("HMAC takes keys of any length");
        mac.update(format!("headwater statement key {account}").as_bytes());
        let seed = mac.finalize().into_bytes();
        Self(Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed is any 32 bytes"))
    }

    /// The half that partners may know, in hex.
    pub fn public(&self) -> String {
        hex::encode(self.0.public_key().as_ref())
    }
}

/// Where an account stood: its balance, how many entries it had, and the hash of the last.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in the statement")]
pub struct Standing {
    pub balance: Decimal,
    pub entries: i64,
    pub hash: String,
}

impl Standing {
    /// Before the first entry.
    pub fn empty() -> Self {
        Self { balance: Decimal::ZERO, entries: 0, hash: GENESIS.to_owned() }
    }
}

/// One line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in the statement")]
pub struct StatementEntry {
    pub number: i64,
    pub id: i64,
    pub transaction: i64,
    pub amount: Decimal,
    pub at: Instant,
    pub commission: Option<i64>,
    pub payout: Option<i64>,
    pub previous_hash: String,
    pub hash: String,
}

/// One ledger account in a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in the statement")]
pub struct StatementAccount {
    pub ledger_account: i64,
    pub program: String,
    pub owner: String,
    pub unit: String,
    pub name: String,
    pub opening: Standing,
    pub entries: Vec<StatementEntry>,
    pub closing: Standing,
}

/// A statement before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in the statement")]
pub struct Statement {
    pub account: i64,
    pub partner: String,
    /// `None`: from the first entry.
    pub from: Option<Instant>,
    pub to: Instant,
    pub made: Instant,
    pub accounts: Vec<StatementAccount>,
}

/// What a statement that holds says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The key that signed it, in hex.
    pub public_key: String,
    /// Whose it is: the partner, or the customer that a payout pays.
    pub partner: String,
    /// How many accounts were checked.
    pub accounts: usize,
    /// How many entries were checked.
    pub entries: usize,
    /// Of which payout it is, where it is of one.
    pub payout: Option<VerifiedPayout>,
}

/// What a payout's statement that holds says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedPayout {
    /// Its number.
    pub id: i64,
    /// With its unit, as in `400.00 USD`.
    pub amount: String,
    /// How many commissions add up to it.
    pub commissions: usize,
}

/// The first thing in a statement that does not hold: its line in the file, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct Broken {
    /// From 1.
    pub line: usize,
    /// A sentence.
    pub message: String,
}

/// The signed text of a statement.
pub fn render(statement: &Statement, key: &StatementKey) -> String {
    let time = |at: Option<Instant>| at.map_or(Value::Null, |at| at.iso8601().into());
    let mut text = format!(
        "{{\"statement\":{{\"format\":\"{FORMAT}\",\"account\":{},\"partner\":{},\"from\":{},\"to\":{},\"made\":{},\"accounts\":[",
        statement.account,
        Value::from(statement.partner.as_str()),
        time(statement.from),
        time(Some(statement.to)),
        time(Some(statement.made)),
    );
    for (index, account) in statement.accounts.iter().enumerate() {
        text.push_str(if index == 0 { "\n" } else { ",\n" });
        render_account(&mut text, account);
    }
    text.push_str("\n]}");
    signed(text, key)
}

/// The text of a document whose `statement` is written, closed and signed.
pub(super) fn signed(mut text: String, key: &StatementKey) -> String {
    let document = parse(&format!("{text}}}")).expect("what was written above is JSON");
    let signature = hex::encode(key.0.sign(signed_bytes(&document["statement"]).as_bytes()).as_ref());
    let _ = write!(text, ",\n\"public_key\":\"{}\",\n\"signature\":\"{signature}\"}}\n", key.public());
    text
}

fn render_account(text: &mut String, account: &StatementAccount) {
    let standing = |s: &Standing| {
        json!({"balance": amount_text(s.balance, &account.unit), "entries": s.entries, "hash": s.hash}).to_string()
    };
    let name = json!({"program": account.program, "owner": account.owner, "unit": account.unit, "name": account.name});
    let _ = write!(
        text,
        "{{\"account\":{name},\"ledger_account\":{},\"opening\":{},\"entries\":[",
        account.ledger_account,
        standing(&account.opening)
    );
    for (index, entry) in account.entries.iter().enumerate() {
        let line = json!({
            "number": entry.number, "id": entry.id, "transaction_id": entry.transaction,
            "amount": amount_text(entry.amount, &account.unit), "at": entry.at.iso8601(), "commission": entry.commission,
            "payout": entry.payout, "previous_hash": entry.previous_hash, "hash": entry.hash,
        });
        let _ = write!(text, "{}{line}", if index == 0 { "\n" } else { ",\n" });
    }
    let _ = write!(text, "\n],\"closing\":{}}}", standing(&account.closing));
}

/// A signed decimal in major units, with the digits of its unit. Where no currency says better, two.
pub fn amount_text(amount: Decimal, unit: &str) -> String {
    let currency = Currency::parse(unit).or_else(|| Currency::parse("USD"));
    let digits = currency.and_then(|currency| Unit::parse(unit, currency)).map_or(2, Unit::minor_digits);
    amount.to_text(digits)
}

/// Checks a statement; `key` is the public key that the reader trusts, where it has one.
pub fn verify(text: &str, key: Option<&str>) -> Result<Verified, Broken> {
    let broken = |line: usize, message: &str| Broken { line, message: message.to_owned() };
    let document = parse(text).map_err(|error| broken(error.line().max(1), "this is no JSON"))?;
    let statement = &document["statement"];
    let verify_body = match statement["format"].as_str() {
        Some(FORMAT) => verify_accounts,
        Some(FORMAT_OF_PAYOUT) => payout_statement::verify_body,
        _ => return Err(broken(1, "this is no statement that this version knows")),
    };
    check_keys(text, &document)?;
    let verified = verify_body(statement, &mut Reader { text, offset: 0 })?;
    let public_key = document["public_key"].as_str().unwrap_or_default();
    let line = line_of(text, text.rfind("\"public_key\"").unwrap_or_default());
    if let Some(trusted) = key
        && !trusted.eq_ignore_ascii_case(public_key)
    {
        return Err(broken(line, "the statement was signed with another key than the given one"));
    }
    let line = line_of(text, text.rfind("\"signature\"").unwrap_or_default());
    let bytes = |text: &str| hex::decode(text).unwrap_or_default();
    let signature = bytes(document["signature"].as_str().unwrap_or_default());
    UnparsedPublicKey::new(&ED25519, bytes(public_key))
        .verify(signed_bytes(statement).as_bytes(), &signature)
        .map_err(|_| broken(line, "the signature is not of this statement"))?;
    Ok(Verified { public_key: public_key.to_owned(), ..verified })
}

fn verify_accounts(statement: &Value, reader: &mut Reader<'_>) -> Result<Verified, Broken> {
    let accounts = statement["accounts"].as_array().ok_or_else(|| reader.broken("the statement has no accounts"))?;
    let mut entries = 0;
    for account in accounts {
        entries += verify_account(account, reader)?;
    }
    let partner = statement["partner"].as_str().unwrap_or_default().to_owned();
    Ok(Verified { public_key: String::new(), partner, accounts: accounts.len(), entries, payout: None })
}

/// What the signature does not cover could say anything: a key beside those three, or one that is there twice, of which a
/// reader may see the one and this check the other.
fn check_keys(text: &str, document: &Value) -> Result<(), Broken> {
    let signed = ["statement", "public_key", "signature"];
    let unsigned =
        document.as_object().into_iter().flatten().map(|(key, _)| key).find(|key| !signed.contains(&&***key));
    if let Some(key) = unsigned {
        let line = line_of(text, text.find(&format!("{}", Value::from(key.as_str()))).unwrap_or_default());
        return Err(Broken { line, message: format!("`{key}` is no part of a statement, and not signed") });
    }
    if keys_in(text) != keys_in(&document.to_string()) {
        return Err(Broken {
            line: 1,
            message: "a key is there twice: which of them was signed cannot be seen".into(),
        });
    }
    Ok(())
}

/// How many keys a JSON text has, each time that they are there: its colons outside of strings.
fn keys_in(text: &str) -> usize {
    let (mut is_text, mut is_escaped, mut keys) = (false, false, 0);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_text,
            b'"' => is_text = !is_text,
            b':' if !is_text => keys += 1,
            _ => {}
        }
    }
    keys
}

/// Gives how many entries were checked.
fn verify_account(account: &Value, reader: &mut Reader<'_>) -> Result<usize, Broken> {
    reader.go_to("\"opening\"");
    let mut standing = standing(&account["opening"]).ok_or_else(|| reader.broken("the opening cannot be read"))?;
    if standing.entries == 0 && standing != Standing::empty() {
        return Err(reader.broken("an account without entries opens with something"));
    }
    let ledger_account = account["ledger_account"].as_i64().unwrap_or_default();
    let entries = account["entries"].as_array().ok_or_else(|| reader.broken("the account has no list of entries"))?;
    for entry in entries {
        reader.go_to("\"number\"");
        let unreadable = || reader.broken("the entry cannot be read");
        let number = entry["number"].as_i64().ok_or_else(unreadable)?;
        let amount = entry["amount"].as_str().and_then(|text| Decimal::parse(text).ok()).ok_or_else(unreadable)?;
        let at = entry["at"].as_str().and_then(Instant::parse).ok_or_else(unreadable)?;
        let transaction = entry["transaction_id"].as_i64().ok_or_else(unreadable)?;
        if number != standing.entries + 1 {
            let message = format!("entry {number} follows entry {}: one is missing or too many", standing.entries);
            return Err(reader.broken(&message));
        }
        if entry["previous_hash"] != standing.hash.as_str() {
            return Err(reader.broken(&format!("entry {number} does not follow the one before it")));
        }
        let hash = entry_hash(&standing.hash, ledger_account, number, transaction, amount, at);
        if entry["hash"] != hash.as_str() {
            return Err(reader.broken(&format!("entry {number} was changed: its hash is of something else")));
        }
        let balance = standing.balance.checked_add(amount).ok_or_else(unreadable)?;
        standing = Standing { balance, entries: number, hash };
    }
    reader.go_to("\"closing\"");
    if self::standing(&account["closing"]).as_ref() != Some(&standing) {
        return Err(reader.broken("the closing is not what the opening and the entries add up to"));
    }
    Ok(entries.len())
}

fn standing(value: &Value) -> Option<Standing> {
    Some(Standing {
        balance: Decimal::parse(value["balance"].as_str()?).ok()?,
        entries: value["entries"].as_i64()?,
        hash: value["hash"].as_str()?.to_owned(),
    })
}

/// The key is the same whichever space and lines the text has.
fn signed_bytes(statement: &Value) -> String {
    statement.to_string()
}

fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text)
}

/// Where in the text the check has come to, so that what is broken has a line.
pub(super) struct Reader<'t> {
    text: &'t str,
    offset: usize,
}

impl Reader<'_> {
    pub(super) fn go_to(&mut self, key: &str) {
        let rest = self.text.get(self.offset..).unwrap_or_default();
        if let Some(found) = rest.find(key) {
            self.offset += found + key.len();
        }
    }

    pub(super) fn broken(&self, message: &str) -> Broken {
        Broken { line: line_of(self.text, self.offset), message: message.to_owned() }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
#[path = "statement_tests.rs"]
mod tests;
