//! What the reference says of plans and their versions; see `schema` for what these types are not.

use super::schema::pages;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

type Object = Map<String, Value>;

pages! {
    PlanPage of Plan,
}

/// A commission plan.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"name": "standard", "currency": "USD", "qualification": {"min_first_deposit": "250"},
    "rules": [{"id": "cpa", "kind": "cpa", "amount": "400"}, {"id": "lots", "kind": "per_lot", "rate": "6"}]}))]
pub struct PlanDocument {
    /// Its name: the next version of the plan that has it.
    pub name: String,
    /// ISO 4217.
    pub currency: String,
    /// Everything else, as the plan's grammar has it.
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

/// A version that was saved.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"name": "standard", "version": 1, "plan": {"name": "standard", "currency": "USD", "rules": []}}))]
pub struct PlanSaved {
    /// The plan.
    pub name: String,
    /// From 1.
    pub version: i64,
    /// The document.
    pub plan: PlanDocument,
}

/// A plan with its versions.
#[derive(Debug, ToSchema)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// The newest.
    #[schema(required)]
    pub version: Option<i64>,
    /// The newest document.
    pub plan: Object,
    /// All documents.
    pub versions: Vec<PlanVersion>,
    /// From when which version is in force.
    pub activations: Vec<PlanActivation>,
}

/// A saved version.
#[derive(Debug, ToSchema)]
pub struct PlanVersion {
    /// From 1.
    pub version: i64,
    /// The document.
    pub plan: Object,
    /// ISO 8601, UTC.
    pub created: String,
}

/// Which version is in force from when.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"version": 2, "from": "2026-03-01"}))]
pub struct Activation {
    /// A saved version.
    pub version: i64,
    /// A date in the program's zone or an instant, also in the past; now where it is left out.
    pub from: Option<String>,
}

/// A version that is in force.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"version": 2, "from": "2026-03-01T00:00:00Z"}))]
pub struct PlanActivation {
    /// The plan, in the answer of an activation.
    pub name: Option<String>,
    /// The version.
    pub version: i64,
    /// ISO 8601, UTC.
    pub from: String,
}
