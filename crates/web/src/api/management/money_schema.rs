//! What the reference says of commissions, the ledger and exchange rates; see `schema` for what these types are not.

use super::schema::pages;
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

pages! {
    CommissionPage of Commission, DeedPage of Deed, EntryPage of LedgerEntry, RatePage of StoredRate,
}

/// One posting: an amount that a partner or a client earned, or a correction of one.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": 7101, "partner": "ib_2044", "customer": 512, "rule": "cpa", "level": 0, "status": "pending",
    "unit": "USD", "amount": "400.00", "period": "2026-02", "for_period": "2026-02", "payable_at": "2026-02-03T10:15:00Z",
    "fact": 90418, "corrects": null, "created": "2026-02-03T10:15:00Z"}))]
pub struct Commission {
    /// Its number.
    pub id: i64,
    /// Who earned it; `null` where a client did.
    #[schema(required)]
    pub partner: Option<String>,
    /// By whom.
    pub customer: i64,
    /// By which rule of the plan.
    pub rule: String,
    /// How far above the client's partner: 0 is that partner.
    pub level: i64,
    /// `pending`, `approved`, `in_payout`, `paid`, `denied` or `fulfilled`.
    pub status: String,
    /// ISO 4217, or a reward unit.
    pub unit: String,
    /// Signed decimal, major units.
    pub amount: String,
    /// When it was posted.
    pub period: String,
    /// What it was earned for.
    pub for_period: String,
    /// ISO 8601, UTC.
    pub payable_at: String,
    /// The fact that made it.
    pub fact: i64,
    /// The posting before it in the same cell.
    #[schema(required)]
    pub corrects: Option<i64>,
    /// ISO 8601, UTC.
    pub created: String,
}

/// Why a commission is what it is. Beside these it has what its rule looked at.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"commission": 7101, "plan": "standard", "version": 1, "rule": "cpa", "exact": "400", "rounded": "400.00",
    "posted_before": "0", "posted_after": "400", "reason": null}))]
pub struct Explanation {
    /// The commission.
    pub commission: i64,
    /// The plan that priced it.
    pub plan: String,
    /// Its version.
    pub version: i64,
    /// The rule, by its id in the plan.
    pub rule: Option<String>,
    /// What is due, before the one rounding.
    pub exact: Option<String>,
    /// What is due.
    pub rounded: Option<String>,
    /// What was posted before.
    pub posted_before: Option<String>,
    /// What is posted now: the commission is the difference.
    pub posted_after: Option<String>,
    /// In one word, where nothing is due.
    #[schema(required)]
    pub reason: Option<String>,
    /// What the rule looked at and computed.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// Which commissions.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CommissionFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last one you have seen.
    pub starting_after: Option<i64>,
    /// Of one partner.
    pub partner: Option<String>,
    /// Of one client.
    pub customer: Option<i64>,
    /// By one rule.
    pub rule: Option<String>,
    /// In one status; `payable` is `approved` with the hold over.
    pub status: Option<String>,
    /// In one unit.
    pub unit: Option<String>,
    /// Posted in one period, such as `2026-02`.
    pub period: Option<String>,
}

/// An entry of the double-entry ledger. The entries of one transaction add up to nothing.
#[derive(Debug, ToSchema)]
pub struct LedgerEntry {
    /// Its number.
    pub id: i64,
    /// Which entries belong together.
    pub transaction_id: i64,
    /// Where it is.
    pub account: LedgerAccount,
    /// Signed decimal, major units.
    pub amount: String,
    /// ISO 4217, or a reward unit.
    pub unit: String,
    /// Over this entry and the hash before it.
    pub hash: String,
    /// The hash of the account's entry before it.
    pub previous_hash: String,
    /// ISO 8601, UTC.
    pub at: String,
    /// What it books.
    #[schema(required)]
    pub commission: Option<i64>,
    /// What it pays.
    #[schema(required)]
    pub payout: Option<i64>,
}

/// An account of the ledger.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"program": "1201", "owner": "partner:7", "unit": "USD", "name": "pending"}))]
pub struct LedgerAccount {
    /// Its program.
    pub program: String,
    /// Whose it is: `partner:<number>`, `customer:<number>` or `house`.
    pub owner: String,
    /// ISO 4217, or a reward unit.
    pub unit: String,
    /// What it holds.
    pub name: String,
}

/// What is on an account.
#[derive(Debug, ToSchema)]
pub struct Balance {
    /// Where.
    pub account: LedgerAccount,
    /// Signed decimal, major units.
    pub balance: String,
}

/// Which entries.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EntryFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last one you have seen.
    pub starting_after: Option<i64>,
    /// Of one program.
    pub program: Option<String>,
    /// Of one partner.
    pub partner: Option<String>,
    /// Of one owner.
    pub owner: Option<String>,
    /// In one unit.
    pub unit: Option<String>,
    /// Of one name.
    pub name: Option<String>,
}

/// What somebody did.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": 7400, "at": "2026-02-03T10:15:00Z", "actor": "key:3", "action": "commission.approved",
    "object": "commission:7101", "detail": {}}))]
pub struct Deed {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: String,
    /// Who: `key:` and the number of an API key.
    pub actor: String,
    /// What: the kind of thing and what it became.
    pub action: String,
    /// To what: its kind and number.
    pub object: String,
    /// What else is worth knowing.
    #[schema(value_type = Object)]
    pub detail: Value,
}

/// Which deeds.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DeedFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last one you have seen.
    pub starting_after: Option<i64>,
    /// Of one key, as in `key:3`.
    pub actor: Option<String>,
    /// Of one kind, as in `payout.completed`.
    pub action: Option<String>,
    /// To one thing, as in `commission:7101`.
    pub object: Option<String>,
}

/// Which commissions are decided.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"ids": [7101, 7102]}))]
pub struct Decision {
    /// At most 1000.
    #[schema(min_items = 1, max_items = 1000)]
    pub ids: Vec<i64>,
}

/// What was decided, and what could not be.
#[derive(Debug, ToSchema)]
pub struct Decided {
    /// `list`.
    pub object: String,
    /// Those that have the status now.
    pub data: Vec<Commission>,
    /// The others, each with `id`, `code` and `message`.
    pub failed: Vec<BTreeMap<String, Value>>,
}

/// Which statement.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatementQuery {
    /// Whose.
    #[param(example = "ib_2044")]
    pub partner: String,
    /// Of one program.
    pub program: Option<String>,
    /// From this date (in the program's zone) or instant on.
    pub from: Option<String>,
    /// Before this date or instant.
    pub to: Option<String>,
}

/// A signed statement, as `headwater statement verify` reads it.
#[derive(Debug, ToSchema)]
pub struct Statement {
    /// Its parts.
    #[serde(flatten)]
    pub parts: BTreeMap<String, Value>,
}

/// The key that signs statements.
#[derive(Debug, ToSchema)]
pub struct StatementKey {
    /// `ed25519`.
    pub algorithm: String,
    /// The public key.
    pub public_key: String,
}

/// Whose balances.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BalanceFilters {
    /// Of one partner.
    pub partner: Option<String>,
    /// Of one program.
    pub program: Option<String>,
    /// Of one owner, such as `partner:7`.
    pub owner: Option<String>,
    /// In one unit.
    pub unit: Option<String>,
    /// Of one name.
    pub name: Option<String>,
}

/// The rate of a day.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"date": "2026-02-03", "from": "EUR", "to": "USD", "rate": "1.0843"}))]
pub struct DayRate {
    /// `YYYY-MM-DD`.
    pub date: String,
    /// ISO 4217.
    pub from: String,
    /// ISO 4217.
    pub to: String,
    /// One unit of `from` in units of `to`: a decimal above 0, as a string or a number.
    pub rate: String,
}

/// A rate of a day.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "2026-02-03:EUR:USD", "date": "2026-02-03", "from": "EUR", "to": "USD", "rate": "1.0843"}))]
pub struct StoredRate {
    /// Day, from, to.
    pub id: String,
    /// `YYYY-MM-DD`.
    pub date: String,
    /// ISO 4217.
    pub from: String,
    /// ISO 4217.
    pub to: String,
    /// One unit of `from` in units of `to`.
    pub rate: String,
}

/// Which rates.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RateFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last one you have seen.
    pub starting_after: Option<String>,
    /// From one currency.
    pub from: Option<String>,
    /// To one currency.
    pub to: Option<String>,
    /// Of one day.
    pub date: Option<String>,
}

/// How many were set.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"saved": 1}))]
pub struct Saved {
    /// How many.
    pub saved: i64,
}
