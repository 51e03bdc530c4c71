//! What the reference says of partners; see `schema` for what these types are not.

use super::money_schema::Balance;
use super::schema::pages;
use serde_json::{Map, Value};
use utoipa::ToSchema;

type Object = Map<String, Value>;

pages! {
    PartnerPage of Partner,
}

/// What a new partner is made of.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "ib_2044", "name": "Alpha Media", "email": "office@alpha.example", "parent": "ib_1000"}))]
pub struct NewPartner {
    /// Yours; else its number.
    #[schema(max_length = 128)]
    pub id: Option<String>,
    /// Its name.
    #[schema(max_length = 500)]
    pub name: String,
    /// Its address.
    pub email: Option<String>,
    /// The program of its links that name none.
    pub program: Option<String>,
    /// The partner above it.
    pub parent: Option<String>,
    /// A plan of its own, by name.
    pub plan: Option<String>,
    /// Rates of its own: rule to decimal.
    pub rates: Option<Object>,
    /// How it is paid.
    pub payout: Option<Object>,
    /// Free JSON.
    pub metadata: Option<Object>,
}

/// What of a partner can be changed. What is left out stays; `null` clears `email`, `program`, `plan` and `parent`.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"email": "desk@alpha.example", "plan": null}))]
pub struct PartnerChange {
    /// Its name.
    #[schema(max_length = 500)]
    pub name: Option<String>,
    /// Its address.
    pub email: Option<String>,
    /// The program of its links that name none.
    pub program: Option<String>,
    /// The partner above it, from now on.
    pub parent: Option<String>,
    /// A plan of its own, by name.
    pub plan: Option<String>,
    /// Replaces all of them.
    pub rates: Option<Object>,
    /// How it is paid; `null` clears it.
    pub payout: Option<Object>,
    /// Replaces all of it.
    pub metadata: Option<Object>,
}

/// A partner.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "ib_2044", "number": 7, "name": "Alpha Media", "email": "office@alpha.example", "program": null,
    "parent": "ib_1000", "plan": null, "rates": {}, "status": "active", "metadata": {}, "created": "2026-02-03T10:11:12Z"}))]
pub struct Partner {
    /// Yours, else its number.
    pub id: String,
    /// Its number.
    pub number: i64,
    /// Its name.
    pub name: String,
    /// Its address.
    #[schema(required)]
    pub email: Option<String>,
    /// The program of its links that name none.
    #[schema(required)]
    pub program: Option<String>,
    /// The partner above it now.
    #[schema(required)]
    pub parent: Option<String>,
    /// A plan of its own.
    #[schema(required)]
    pub plan: Option<String>,
    /// Rates of its own.
    pub rates: Object,
    /// `active` or `suspended`, now.
    pub status: String,
    /// Yours.
    pub metadata: Object,
    /// ISO 8601, UTC.
    pub created: String,
    /// How it is paid.
    pub payout: Option<Object>,
    /// Where one partner is read.
    pub balances: Option<Vec<Balance>>,
}

/// From when a partner has another parent.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"parent": "ib_1000", "at": "2026-03-01"}))]
pub struct PartnerMove {
    /// The partner above it; `null` is none.
    #[schema(required)]
    pub parent: Option<String>,
    /// A date in the program's zone or an instant, also in the past; now where it is left out.
    pub at: Option<String>,
}
