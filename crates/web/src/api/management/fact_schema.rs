//! What the reference says of clients, their facts and what is held; see `schema` for what these types are not.

use super::schema::pages;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

type Object = Map<String, Value>;

pages! {
    HeldPage of Held,
}

/// A client: the person, its accounts and who brought it.
#[derive(Debug, ToSchema)]
pub struct Customer {
    /// Its number, the `clientId` of events.
    pub id: i64,
    /// Its program.
    pub program: String,
    /// `email` and `name`; both `null` without the permission `pii:read`.
    pub person: Object,
    /// Its trading accounts.
    pub accounts: Vec<Object>,
    /// Who brought it, and the evidence.
    #[schema(required)]
    pub attribution: Option<Object>,
    /// The same over time.
    pub attributions: Vec<Object>,
    /// Types of its events.
    pub events: Vec<String>,
    /// When it met the plan's qualification.
    #[schema(required)]
    pub qualified: Option<String>,
    /// Where it is read: the plan's `qualification` (`rule` is `null`) and the conditions of each `cpa`, each condition with its
    /// value now and what is missing.
    pub qualification: Option<Vec<Object>>,
    /// ISO 8601, UTC.
    pub created: String,
}

/// Whose a client is from now on.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"partner": "ib_2044", "at": "2026-02-01T00:00:00Z", "reason": "came with a paper form"}))]
pub struct Attribution {
    /// The partner's id.
    pub partner: String,
    /// From when on: a date or an instant; now where it is not given.
    pub at: Option<String>,
    /// Why: it stays with the binding.
    pub reason: String,
}

/// One revision of a fact.
#[derive(Debug, ToSchema)]
pub struct Fact {
    /// Its number.
    pub id: i64,
    /// `event`, `deposit`, `trade` and so on.
    #[schema(rename = "type")]
    pub kind: String,
    /// The sender's key: revisions share it.
    pub key: String,
    /// The sender's revision.
    #[schema(required)]
    pub revision: Option<i64>,
    /// Whose it is.
    pub customer: i64,
    /// When it happened.
    pub at: String,
    /// What it says.
    pub body: Value,
    /// The dialect that brought it.
    pub source: String,
    /// The event it was made of.
    #[schema(required)]
    pub event: Option<i64>,
    /// When it came.
    pub received: String,
    /// Where one fact is read: all revisions, oldest first.
    pub revisions: Option<Vec<Value>>,
}

/// Why a fact paid what it paid, or nothing.
#[derive(Debug, ToSchema)]
pub struct FactExplanation {
    /// The fact.
    pub fact: i64,
    /// Each posting with its explanation.
    pub commissions: Vec<Object>,
    /// Why it waits.
    pub held: Vec<Held>,
    /// In one word, where nothing was posted.
    #[schema(required)]
    pub reason: Option<String>,
    /// What every rule of the plan at the fact's date says of it now.
    pub rules: Vec<RuleOfFact>,
}

/// What a rule says of a fact.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"plan": "standard-ib", "version": 2, "rule": "lots", "reason": "when", "detail": "when.country: FR is not among DE, AT"}))]
pub struct RuleOfFact {
    /// The plan.
    pub plan: String,
    /// Its version.
    pub version: i64,
    /// The rule, by its id in the plan.
    pub rule: String,
    /// In one word; `counted` where the fact counts.
    pub reason: String,
    /// In a sentence.
    pub detail: String,
}

/// Why something is dismissed.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"reason": "A test account."}))]
pub struct Dismissal {
    /// In a sentence.
    #[schema(max_length = 1000)]
    pub reason: String,
}

/// What became of a retry.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "7310.no_rate", "held": false}))]
pub struct Retried {
    /// The item.
    pub id: String,
    /// Whether it waits still.
    pub held: bool,
}

/// Which held facts.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct HeldFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last one you have seen.
    pub starting_after: Option<String>,
    /// For one reason.
    #[param(example = "no_rate")]
    pub reason: Option<String>,
}

/// A fact that cannot be priced yet, and why.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "7310.no_rate", "fact_id": 7310, "reason": "no_rate", "since": "2026-02-03T10:15:00Z",
    "detail": "EUR to USD on 2026-02-03"}))]
pub struct Held {
    /// The fact and the reason.
    pub id: String,
    /// The fact.
    pub fact_id: i64,
    /// In one word.
    pub reason: String,
    /// ISO 8601, UTC.
    pub since: String,
    /// In a sentence.
    pub detail: String,
}
