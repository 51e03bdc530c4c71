//! What the reference says of links; see `event_schema` for what these types are not.

use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

type Object = Map<String, Value>;

/// What a new link is made of.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"partner_id": "ib_2044", "landing_page": "/en/open-account", "encrypt_partner_id": true,
    "utm": {"source": "youtube", "campaign": "q2-launch"}, "lang": "en"}))]
pub struct NewLink {
    /// Identifier of the IB or affiliate that owns the link.
    pub partner_id: String,
    /// Path on the program's site where visitors land: one slash first, no scheme, no host.
    #[schema(max_length = 2048)]
    pub landing_page: String,
    /// Puts the partner into the URL as `Formx=…` instead of `ref=…`.
    #[schema(default = false)]
    pub encrypt_partner_id: Option<bool>,
    /// Appended to the URL as `utm_…`.
    pub utm: Option<Utm>,
    /// Sends each click to the regional domain of the visitor's country.
    #[schema(default = false)]
    pub region_routing: Option<bool>,
    /// ISO 639-1, where wanted with a region: adds `lang=`.
    pub lang: Option<String>,
    /// The program whose attribution, window and plan apply; else the partner's own, else the account's first.
    pub program_id: Option<String>,
    /// Free JSON, at most 2 KB.
    pub metadata: Option<Object>,
}

/// Labels of a campaign.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"source": "youtube", "campaign": "q2-launch"}))]
pub struct Utm {
    /// `utm_source`.
    pub source: Option<String>,
    /// `utm_medium`.
    pub medium: Option<String>,
    /// `utm_campaign`.
    pub campaign: Option<String>,
    /// `utm_term`.
    pub term: Option<String>,
    /// `utm_content`.
    pub content: Option<String>,
}

/// What of a link can be changed. A field that is left out stays as it is.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"status": "paused"}))]
pub struct LinkChange {
    /// `active` or `paused`.
    pub status: Option<LinkStatus>,
    /// Replaces all of it.
    pub metadata: Option<Object>,
}

/// Whether a link takes visitors.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum LinkStatus {
    /// It does.
    Active,
    /// Visitors are redirected to the default page, and nothing is attributed.
    Paused,
}

/// A link.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"id": "ln_01J8ZP6V4C", "object": "link", "partner_id": "ib_2044",
    "landing_page": "/en/open-account", "encrypt_partner_id": true, "region_routing": false, "lang": "en",
    "utm": {"source": "youtube", "campaign": "q2-launch"},
    "url": "https://go.zenithfx.com/click?Formx=01c0ffee&utm_source=youtube&utm_campaign=q2-launch&landingpage=%2Fen%2Fopen-account&lang=en&lid=ln_01J8ZP6V4C",
    "program_id": "1201", "tracking_id": "t7Qk2m", "status": "active", "metadata": {},
    "created": "2026-02-03T10:11:12Z", "stats": null}))]
pub struct Link {
    /// `ln_…`.
    pub id: String,
    /// `link`.
    pub object: String,
    /// The partner that owns it.
    pub partner_id: String,
    /// Where visitors land.
    pub landing_page: String,
    /// Whether the URL hides the partner.
    pub encrypt_partner_id: bool,
    /// Whether clicks go to regional domains.
    pub region_routing: bool,
    /// Its language.
    #[schema(required)]
    pub lang: Option<String>,
    /// Its labels.
    pub utm: Utm,
    /// Ready to distribute.
    pub url: String,
    /// Its program.
    pub program_id: String,
    /// Six characters for people.
    pub tracking_id: String,
    /// Whether it takes visitors.
    pub status: LinkStatus,
    /// Yours.
    pub metadata: Object,
    /// ISO 8601, UTC.
    pub created: String,
    /// Only where one link is read.
    #[schema(required)]
    pub stats: Option<LinkStats>,
}

/// The counters of a link's last days.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"window_days": 30, "clicks": 812, "unique_clicks": 640, "events": 57,
    "events_by_type": {"REGISTRATION": 44, "FIRST_DEPOSIT": 13}, "conversions": 11}))]
pub struct LinkStats {
    /// 30.
    pub window_days: i64,
    /// Clicks that counted.
    pub clicks: i64,
    /// Sessions among them.
    pub unique_clicks: i64,
    /// Verified events.
    pub events: i64,
    /// The same by type.
    pub events_by_type: Object,
    /// Events with `isConversion`.
    pub conversions: i64,
}

/// A page of links.
#[derive(Debug, ToSchema)]
pub struct LinkList {
    /// `list`.
    pub object: String,
    /// Newest first.
    pub data: Vec<Link>,
    /// Whether there are more.
    pub has_more: bool,
    /// The last id of this page, where there are more.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Which links.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinkFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last link you have seen.
    pub starting_after: Option<String>,
    /// Of one partner.
    #[param(rename = "partnerId", example = "ib_2044")]
    pub partner_id: Option<String>,
}
