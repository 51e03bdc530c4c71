//! What the reference says of the management API's JSON and queries. Nothing is parsed or rendered with these types;
//! that both agree is shown on a running server (`crates/headwater/tests/it/reference.rs`).

use super::money_schema::Balance;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

type Object = Map<String, Value>;

/// Pages of lists, each with its own name, so that the reference leads from a page to its objects.
macro_rules! pages {
    ($($name:ident of $object:ident),+ $(,)?) => {$(
        /// A page of a list.
        #[derive(Debug, ToSchema)]
        pub struct $name {
            /// `list`.
            pub object: String,
            /// The objects.
            pub data: Vec<$object>,
            /// Whether there are more.
            pub has_more: bool,
            /// What to send as `starting_after` for the next page, where there are more.
            #[schema(required)]
            pub next_cursor: Option<Value>,
        }
    )+};
}
pub(super) use pages;

pages! {
    ProgramPage of Program, PartnerPage of Partner, PlanPage of Plan, HeldPage of Held, KeyPage of Key,
}

/// Which part of a list.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The `next_cursor` of the page before.
    pub starting_after: Option<String>,
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

/// From when something holds.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"at": "2026-03-01"}))]
pub struct At {
    /// A date in the program's zone or an instant, also in the past; now where it is left out.
    pub at: Option<String>,
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

/// Which dead letters of a webhook; all of them where nothing is said.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"event_type": "commission.updated", "from": "2026-02-01"}))]
pub struct WebhookDeadLetters {
    /// Of this name.
    pub event_type: Option<String>,
    /// Made at this date or instant or later.
    pub from: Option<String>,
    /// Made before it.
    pub to: Option<String>,
}

/// What was queued again.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"queued": 12}))]
pub struct WebhookRequeued {
    /// How many deliveries.
    pub queued: u64,
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
