//! A payout's statement: which commissions one payout pays and what it takes back, signed, so that who is paid can check it
//! alone.
//!
//! The form around it, the key and the signature are those of `statement`. It holds when what it pays and what it takes back
//! add up to its amount, each ledger entry is what its hash says, the entries of each transaction add up to nothing, and
//! those of the account `paid` add up to the amount, or to nothing while it is not paid.

use super::statement::{Broken, FORMAT_OF_PAYOUT, Reader, StatementEntry, StatementKey, Verified, amount_text, signed};
use super::{AccountName, entry_hash};
use crate::money::Decimal;
use crate::payout::PayoutStatus;
use crate::time::Instant;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// A commission that a payout pays, or where its amount is below nothing, one that takes back what was paid before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in the statement")]
pub struct PaidCommission {
    pub id: i64,
    /// Whose trading or buying it is for; `None` where it was made by hand, or whoever reads it may not know.
    pub customer: Option<i64>,
    pub rule: String,
    pub period: String,
    pub for_period: String,
    pub amount: Decimal,
    pub corrects: Option<i64>,
}

/// A ledger entry of a payout with the account that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in the statement")]
pub struct PayoutEntry {
    pub ledger_account: i64,
    /// The name of that account of the payee: `payable`, `paid`, …
    pub name: String,
    pub entry: StatementEntry,
}

/// A payout's statement before it is signed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in the statement")]
pub struct PayoutStatement {
    pub account: i64,
    pub payout: i64,
    pub program: String,
    /// The operator's id of the partner that is paid; `None` where a customer is.
    pub partner: Option<String>,
    pub customer: Option<i64>,
    pub unit: String,
    pub amount: Decimal,
    pub status: String,
    pub method: Option<String>,
    pub created: Instant,
    pub until: Instant,
    pub paid: Option<Instant>,
    pub made: Instant,
    pub commissions: Vec<PaidCommission>,
    pub entries: Vec<PayoutEntry>,
}

impl PayoutStatement {
    /// What it pays and what it takes back, each added up; `None` where a sum leaves 64 bits.
    pub fn totals(&self) -> Option<(Decimal, Decimal)> {
        let sum = |is_earned: bool| {
            let amounts = self.commissions.iter().map(|commission| commission.amount);
            amounts.filter(|amount| (amount.0 >= 0) == is_earned).try_fold(Decimal::ZERO, Decimal::checked_add)
        };
        Some((sum(true)?, sum(false)?))
    }
}

/// The signed text of a payout's statement; `None` where a sum leaves 64 bits.
pub fn render(statement: &PayoutStatement, key: &StatementKey) -> Option<String> {
    let unit = statement.unit.as_str();
    let amount = |amount| amount_text(amount, unit);
    let time = |at: Instant| Value::from(at.iso8601());
    let (earned, taken_back) = statement.totals()?;
    let mut text = format!("{{\"statement\":{{\"format\":\"{FORMAT_OF_PAYOUT}\"");
    for (key, value) in [
        ("account", statement.account.into()),
        ("payout", statement.payout.into()),
        ("program", statement.program.as_str().into()),
        ("partner", statement.partner.as_deref().into()),
        ("customer", statement.customer.into()),
        ("unit", unit.into()),
        ("amount", amount(statement.amount).into()),
        ("status", statement.status.as_str().into()),
        ("method", statement.method.as_deref().into()),
        ("created", time(statement.created)),
        ("until", time(statement.until)),
        ("paid", statement.paid.map_or(Value::Null, time)),
        ("made", time(statement.made)),
    ] {
        let _ = write!(text, ",\"{key}\":{value}");
    }
    for (list, is_earned) in [("commissions", true), ("receivables", false)] {
        let of_list = statement.commissions.iter().filter(|commission| (commission.amount.0 >= 0) == is_earned);
        let lines = of_list.map(|commission| {
            json!({
                "id": commission.id, "customer": commission.customer, "rule": commission.rule, "period": commission.period,
                "for_period": commission.for_period, "amount": amount(commission.amount), "corrects": commission.corrects,
            })
        });
        write_list(&mut text, list, lines);
    }
    let totals =
        json!({"commissions": amount(earned), "receivables": amount(taken_back), "payout": amount(statement.amount)});
    let _ = write!(text, ",\n\"totals\":{totals}");
    let lines = statement.entries.iter().map(|PayoutEntry { ledger_account, name, entry }| {
        json!({
            "ledger_account": ledger_account, "name": name, "number": entry.number, "id": entry.id,
            "transaction_id": entry.transaction, "amount": amount(entry.amount), "at": entry.at.iso8601(),
            "commission": entry.commission, "previous_hash": entry.previous_hash, "hash": entry.hash,
        })
    });
    write_list(&mut text, "entries", lines);
    text.push('}');
    Some(signed(text, key))
}

fn write_list(text: &mut String, name: &str, lines: impl Iterator<Item = Value>) {
    let lines: Vec<String> = lines.map(|line| format!("\n{line}")).collect();
    let _ = write!(text, ",\n\"{name}\":[{}]", lines.join(","));
}

/// What the signature of a statement that `verify` reads is of; gives what it says of itself.
pub(super) fn verify_body(statement: &Value, reader: &mut Reader<'_>) -> Result<Verified, Broken> {
    let unreadable = |reader: &Reader<'_>| reader.broken("this cannot be read");
    reader.go_to("\"amount\"");
    let amount = decimal(&statement["amount"]).ok_or_else(|| unreadable(reader))?;
    let mut sums = Vec::new();
    let mut commissions = 0;
    for (list, is_earned) in [("commissions", true), ("receivables", false)] {
        reader.go_to(&format!("\"{list}\":"));
        let mut sum = Decimal::ZERO;
        for commission in statement[list].as_array().ok_or_else(|| unreadable(reader))? {
            reader.go_to("\"amount\"");
            let amount = decimal(&commission["amount"]).ok_or_else(|| unreadable(reader))?;
            if (amount.0 >= 0) != is_earned {
                return Err(reader.broken(&format!("an amount of {list} has the wrong sign")));
            }
            sum = sum.checked_add(amount).ok_or_else(|| unreadable(reader))?;
            commissions += 1;
        }
        sums.push((list, sum));
    }
    reader.go_to("\"totals\"");
    let totals = &statement["totals"];
    for (list, sum) in &sums {
        if decimal(&totals[*list]) != Some(*sum) {
            return Err(reader.broken(&format!("the total of {list} is not what they add up to")));
        }
    }
    let whole = sums.iter().try_fold(Decimal::ZERO, |whole, (_, sum)| whole.checked_add(*sum));
    if whole != Some(amount) || decimal(&totals["payout"]) != Some(amount) {
        return Err(reader.broken("the payout is not what its commissions and receivables add up to"));
    }
    let is_paid = statement["status"] == PayoutStatus::Completed.name();
    let (accounts, entries) = verify_entries(statement, if is_paid { amount } else { Decimal::ZERO }, reader)?;
    let payee = match (statement["partner"].as_str(), statement["customer"].as_i64()) {
        (Some(partner), None) => partner.to_owned(),
        (None, Some(customer)) => format!("customer {customer}"),
        _ => return Err(reader.broken("it does not say who is paid")),
    };
    let (payout, unit) = (statement["payout"].as_i64(), statement["unit"].as_str());
    let paid = payout.zip(unit).ok_or_else(|| unreadable(reader))?;
    let amount = format!("{} {}", amount_text(amount, paid.1), paid.1);
    let payout = Some(super::statement::VerifiedPayout { id: paid.0, amount, commissions });
    Ok(Verified { public_key: String::new(), partner: payee, accounts, entries, payout })
}

/// Gives how many accounts and entries were checked.
fn verify_entries(statement: &Value, paid: Decimal, reader: &mut Reader<'_>) -> Result<(usize, usize), Broken> {
    reader.go_to("\"entries\"");
    let entries = statement["entries"].as_array().ok_or_else(|| reader.broken("it has no list of entries"))?;
    let mut heads: BTreeMap<i64, (i64, String)> = BTreeMap::new();
    let mut transactions: BTreeMap<i64, i128> = BTreeMap::new();
    let mut of_paid = 0_i128;
    for entry in entries {
        reader.go_to("\"hash\"");
        let unreadable = || reader.broken("the entry cannot be read");
        let number = |key: &str| entry[key].as_i64().ok_or_else(unreadable);
        let text = |key: &str| entry[key].as_str().ok_or_else(unreadable);
        let (account, place, transaction) = (number("ledger_account")?, number("number")?, number("transaction_id")?);
        let amount = decimal(&entry["amount"]).ok_or_else(unreadable)?;
        let at = Instant::parse(text("at")?).ok_or_else(unreadable)?;
        let previous = text("previous_hash")?;
        let hash = entry_hash(previous, account, place, transaction, amount, at);
        if text("hash")? != hash {
            return Err(reader.broken(&format!("entry {place} was changed: its hash is of something else")));
        }
        let follows =
            heads.get(&account).is_none_or(|(last, hash)| place > *last && (place > last + 1 || previous == hash));
        if !follows {
            return Err(reader.broken(&format!("entry {place} does not follow the one before it")));
        }
        heads.insert(account, (place, hash));
        *transactions.entry(transaction).or_default() += i128::from(amount.0);
        if text("name")? == AccountName::Paid.name() {
            of_paid += i128::from(amount.0);
        }
    }
    if transactions.values().any(|sum| *sum != 0) {
        return Err(reader.broken("the entries of a transaction do not add up to nothing"));
    }
    if of_paid != i128::from(paid.0) {
        return Err(reader.broken("the entries are not of what was paid"));
    }
    Ok((heads.len(), entries.len()))
}

fn decimal(value: &Value) -> Option<Decimal> {
    Decimal::parse(value.as_str()?).ok()
}

#[cfg(test)]
#[path = "payout_statement_tests.rs"]
mod tests;
