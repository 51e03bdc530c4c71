//! What the reference says of keys; see `schema` for what these types are not.

use super::schema::pages;
use serde_json::Value;
use utoipa::ToSchema;

pages! {
    KeyPage of Key,
}

/// What a new key is for.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"kind": "publishable", "program": "1201", "origins": ["https://broker.example"]}))]
pub struct NewKey {
    /// `secret`, `publishable`, `brand`, `oauth`, `rewards` or `partner`.
    pub kind: String,
    /// The one program it is bound to.
    pub program: Option<String>,
    /// The partner whose user a `partner` key is for.
    pub partner: Option<String>,
    /// From where a browser may use a publishable key.
    pub origins: Option<Vec<String>>,
    /// What a secret key is limited to; all where it is left out.
    pub programs: Option<Vec<String>>,
    /// Of `links`, `events:track`, `events:read`, `clicks:read`, `pii:read`, `endpoints`; all where it is left out.
    pub permissions: Option<Vec<String>>,
    /// A date or an instant.
    pub expires_at: Option<String>,
}

/// A new key, shown once.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": 12, "kind": "publishable", "key": "pk_4f1c…", "client_id": null, "account_id": "1"}))]
pub struct IssuedKey {
    /// Its number.
    pub id: i64,
    /// What it opens.
    pub kind: String,
    /// Its text: keep it, it is not shown again.
    pub key: String,
    /// The id of an OAuth client.
    #[schema(required)]
    pub client_id: Option<String>,
    /// The account that it is of: `Account-ID` of the rewards dialect.
    pub account_id: String,
}

/// A key, without its text.
#[derive(Debug, ToSchema)]
pub struct Key {
    /// Its number.
    pub id: i64,
    /// What it opens.
    pub kind: String,
    /// The last four characters.
    pub hint: String,
    /// The one program it is bound to.
    #[schema(required)]
    pub program: Option<String>,
    /// The partner whose user it is for.
    #[schema(required)]
    pub partner: Option<String>,
    /// What it is limited to; empty is all.
    pub programs: Vec<String>,
    /// From where a browser may use it.
    pub origins: Vec<String>,
    /// What it may do.
    pub permissions: Vec<String>,
    /// ISO 8601, UTC.
    #[schema(required)]
    pub expires_at: Option<String>,
    /// ISO 8601, UTC.
    #[schema(required)]
    pub revoked_at: Option<String>,
    /// ISO 8601, UTC.
    pub created: String,
}
