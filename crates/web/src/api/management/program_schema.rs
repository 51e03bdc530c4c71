//! What the reference says of programs; see `schema` for what these types are not.

use super::schema::pages;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::ToSchema;

type Object = Map<String, Value>;

pages! {
    ProgramPage of Program,
}

/// A program's settings. On create, `name` and `site_url` are required; on change, what is left out stays.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"name": "Partners", "site_url": "https://broker.example", "attribution": "first_click",
    "window_days": 30, "time_zone": "Europe/Athens", "currency": "USD", "plan": "standard"}))]
pub struct ProgramSettings {
    /// Its name.
    pub name: Option<String>,
    /// Where its visitors land.
    pub site_url: Option<String>,
    /// Other sites, for links with region routing.
    pub regional_domains: Option<Vec<RegionalDomain>>,
    /// `first_click` or `last_click`.
    #[schema(default = "first_click")]
    pub attribution: Option<String>,
    /// How many days a click attributes a new client.
    #[schema(minimum = 1, maximum = 3650, default = 30)]
    pub window_days: Option<i64>,
    /// An IANA name, or `NY+7` for a trading day that closes at 17:00 in New York.
    #[schema(default = "UTC")]
    pub time_zone: Option<String>,
    /// ISO 4217.
    #[schema(default = "USD")]
    pub currency: Option<String>,
    /// The name of a saved plan; `null` is none.
    pub plan: Option<String>,
    /// Overrides the plan's; `null` does not.
    pub auto_approve: Option<bool>,
    /// What a payout has at least: a decimal, in the program's currency.
    pub payout_minimum: Option<String>,
    /// Whether a partner's user sees the partners below its own, in the affiliate API.
    #[schema(default = false)]
    pub tree_visible: Option<bool>,
    /// What the rewards dialect keeps of it: its lists of rewards, and how its links name a member.
    pub campaign: Option<Object>,
    /// Where a visitor goes whose link cannot be used.
    #[schema(default = "/")]
    pub default_landing_page: Option<String>,
    /// Whether address and browser may attribute.
    #[schema(default = false)]
    pub fingerprint: Option<bool>,
    /// Event types that a publishable key cannot make count, beside money.
    pub unverified_types: Option<Vec<String>>,
    /// Which way is the truth for which figure: `push`, `forex`, `pull` or `events`.
    pub sources: Option<BTreeMap<String, String>>,
    /// Whether activity may come before its customer: `reject`, or `hold`.
    #[schema(default = "reject")]
    pub unknown_customer: Option<String>,
    /// `acquisition`: a customer keeps the plan version that was in force when it registered; or `current`.
    #[schema(default = "current")]
    pub plan_of: Option<String>,
    /// What senders of `/postback` show as `key`: 16 to 200 characters; `null` is none. It is never shown again.
    #[schema(write_only)]
    pub postback_token: Option<String>,
    /// Addresses and ranges whose `/postback` needs no key.
    pub postback_ips: Option<Vec<String>>,
    /// What senders of `/postback` call events, each with its event type; empty: as they are called here.
    pub postback_events: Option<BTreeMap<String, String>>,
    /// What the event names of pushed activity mean (`docs/api/brand.md`).
    pub kpis: Option<Vec<Value>>,
}

/// A new token for `/postback`.
#[derive(Debug, ToSchema)]
pub struct PostbackToken {
    /// Shown this once.
    #[schema(example = "pt_3f0c…")]
    pub postback_token: String,
}

/// A regional site.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"url": "https://broker.de", "countries": ["DE", "AT"]}))]
pub struct RegionalDomain {
    /// Its base URL.
    pub url: String,
    /// ISO 3166-1 alpha-2.
    pub countries: Vec<String>,
}

/// A program.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "1201", "name": "Partners", "site_url": "https://broker.example", "attribution": "first_click",
    "window_days": 30, "time_zone": "UTC", "currency": "USD", "plan": "standard", "created": "2026-02-03T10:11:12Z"}))]
pub struct Program {
    /// Its number.
    pub id: String,
    /// ISO 8601, UTC.
    pub created: String,
    /// All of them.
    #[serde(flatten)]
    pub settings: ProgramSettings,
}
