//! What the reference says of payouts; see `schema` for what these types are not.

use super::schema::pages;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

type Object = Map<String, Value>;

pages! {
    PayoutPage of Payout,
}

/// What is paid to one partner, or to one customer, in one unit.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": 31, "program": "1201", "partner": "ib_2044", "customer": null, "unit": "USD", "amount": "400.00", "status": "pending",
    "method": "wire", "details": {}, "commissions": 1, "until": "2026-02-28T23:59:59.999999Z", "error": null, "has_issues": false,
    "created": "2026-03-01T08:00:00Z", "finished": null}))]
pub struct Payout {
    /// Its number.
    pub id: i64,
    /// Its program.
    pub program: String,
    /// Which partner is paid; null where a customer is.
    #[schema(required)]
    pub partner: Option<String>,
    /// Which customer is paid.
    #[schema(required)]
    pub customer: Option<i64>,
    /// ISO 4217, or a reward unit.
    pub unit: String,
    /// Decimal, major units.
    pub amount: String,
    /// `pending`, `processing`, `completed`, `failed` or `cancelled`.
    pub status: String,
    /// How, as the partner's `payout` had it.
    #[schema(required)]
    pub method: Option<String>,
    /// Where to, as the partner's `payout` had it.
    #[schema(required)]
    pub details: Option<Object>,
    /// How many it pays.
    pub commissions: i64,
    /// Their numbers, where one payout is read.
    pub commission_ids: Option<Vec<i64>>,
    /// ISO 8601, UTC.
    pub until: String,
    /// Whether nobody confirmed within a day that its reward was delivered (`fulfilment_pending` of the rewards webhooks).
    pub has_issues: bool,
    /// Why it failed.
    #[schema(required)]
    pub error: Option<String>,
    /// ISO 8601, UTC.
    pub created: String,
    /// ISO 8601, UTC.
    #[schema(required)]
    pub finished: Option<String>,
}

/// Which payouts are made.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"program": "1201", "until": "2026-02-28"}))]
pub struct NewPayouts {
    /// In which program.
    pub program: String,
    /// An instant, or a date (in the program's zone), which it holds whole; now where it is left out.
    pub until: Option<String>,
}

/// The payouts of a run, and who got none.
#[derive(Debug, ToSchema)]
pub struct PayoutRun {
    /// `list`.
    pub object: String,
    /// Those that were made.
    pub data: Vec<Payout>,
    /// `false`.
    pub has_more: bool,
    /// `null`.
    #[schema(required)]
    pub next_cursor: Option<i64>,
    /// Each with `partner`, `unit`, `amount` and `reason`.
    pub skipped: Vec<Object>,
}

/// Why a payout failed.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"error": "The bank account is closed."}))]
pub struct PayoutFailure {
    /// In a sentence.
    #[schema(max_length = 1000)]
    pub error: String,
}

/// Which payouts.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PayoutFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last one you have seen.
    pub starting_after: Option<i64>,
    /// Of one program.
    pub program: Option<String>,
    /// Of one partner.
    pub partner: Option<String>,
    /// In one status.
    pub status: Option<String>,
    /// In one unit.
    pub unit: Option<String>,
    /// `true`: only those that nobody confirmed.
    pub has_issues: Option<bool>,
}

/// What one payout pays, signed by the account; `headwater statement verify` checks it.
#[derive(Debug, ToSchema)]
pub struct PayoutStatement {
    /// `format`, `account`, `payout`, `program`, `partner` or `customer`, `unit`, `amount`, `status`, `method`, `created`, `until`,
    /// `paid`, `made`; `commissions` and `receivables`, each with `id`, `customer`, `rule`, `period`, `for_period`, `amount` and
    /// `corrects`; `totals`; `entries` of the ledger.
    pub statement: Object,
    /// The ed25519 key that signed it, in hex.
    pub public_key: String,
    /// Of the `statement` object without insignificant space, in hex.
    pub signature: String,
}
