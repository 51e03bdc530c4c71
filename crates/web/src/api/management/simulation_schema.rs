//! What the reference says of simulations; see `schema` for what these types are not.

use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What is asked.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"program": "1201", "from": "2026-01-01", "to": "2026-03-01", "plan": {"name": "draft", "currency": "USD",
    "rules": [{"id": "cpa", "kind": "cpa", "amount": "500", "qualify": {"min_first_deposit": "250"}}]}}))]
pub struct NewSimulation {
    /// A plan document, or the name of a saved plan.
    pub plan: Value,
    /// Of the named plan; the newest where it is not given.
    pub version: Option<i64>,
    /// The program's id.
    pub program: String,
    /// Facts from the start of this day on, in the plan's zone,
    pub from: String,
    /// and before the start of this one.
    pub to: String,
}

/// Posted against simulated.
#[derive(Debug, ToSchema)]
pub struct ComparedAmount {
    /// The partner, in the list of partners.
    pub partner: Option<String>,
    /// The customer, in the list of customers.
    pub customer: Option<String>,
    /// ISO 4217, or a reward unit.
    pub unit: String,
    /// What was posted for these facts, and not denied: decimal, major units.
    pub posted: String,
    /// By the draft.
    pub simulated: String,
    /// Simulated less posted.
    pub difference: String,
}

/// What a draft would have paid.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": 31, "status": "done", "program": "1201", "plan": "draft", "version": 2, "from": "2026-01-01",
    "to": "2026-03-01", "persons": 1, "facts": 2, "totals": [{"unit": "USD", "posted": "400.00", "simulated": "500.00",
    "difference": "100.00"}], "partners": [{"partner": "ib_2044", "unit": "USD", "posted": "400.00", "simulated": "500.00",
    "difference": "100.00"}], "partners_left_out": 0, "customers": [{"customer": "7002", "unit": "USD", "posted": "400.00",
    "simulated": "500.00", "difference": "100.00"}], "customers_left_out": 0, "gain": 1, "lose": 0, "customers_gain": 1,
    "customers_lose": 0, "held": {}, "created": "2026-03-01T08:00:00Z",
    "finished": "2026-03-01T08:00:01Z"}))]
pub struct Simulation {
    /// Its number.
    pub id: i64,
    /// `running`, `done` or `failed`.
    pub status: String,
    /// The program's id.
    pub program: String,
    /// As it was asked.
    pub plan: Value,
    /// As it was asked.
    #[schema(required)]
    pub version: Option<i64>,
    /// As it was asked.
    pub from: String,
    /// As it was asked.
    pub to: String,
    /// Persons that were looked at.
    pub persons: Option<i64>,
    /// Facts of the window.
    pub facts: Option<i64>,
    /// By unit.
    pub totals: Option<Vec<ComparedAmount>>,
    /// Who gains most leads, who loses most comes last.
    pub partners: Option<Vec<ComparedAmount>>,
    /// Of a very long list what is in the middle.
    pub partners_left_out: Option<i64>,
    /// What is paid for each client's facts, to whomever, in the same order.
    pub customers: Option<Vec<ComparedAmount>>,
    /// Of a very long list what is in the middle.
    pub customers_left_out: Option<i64>,
    /// Partners that would get more.
    pub gain: Option<i64>,
    /// Partners that would get less.
    pub lose: Option<i64>,
    /// Clients for whom more would be paid.
    pub customers_gain: Option<i64>,
    /// Clients for whom less would be paid.
    pub customers_lose: Option<i64>,
    /// Facts of the window that the draft would hold, by reason.
    pub held: Option<BTreeMap<String, i64>>,
    /// When it was asked.
    pub created: String,
    /// When it was done.
    #[schema(required)]
    pub finished: Option<String>,
}
