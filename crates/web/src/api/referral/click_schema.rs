//! What the reference says of clicks; see `event_schema` for what these types are not.

use super::link_schema::Utm;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

type Object = Map<String, Value>;

/// A visit to a link.
#[derive(Debug, ToSchema)]
pub struct Click {
    /// Click ID.
    pub id: i64,
    /// The link, if one was named.
    #[schema(rename = "linkId", required)]
    pub link_id: Option<String>,
    /// Its partner.
    #[schema(rename = "partnerId", required)]
    pub partner_id: Option<String>,
    /// Its program.
    #[schema(rename = "programId")]
    pub program_id: String,
    /// The value of the cookie `FYNXT_SESSION_ID`.
    #[schema(rename = "sessionId")]
    pub session_id: String,
    /// Masked to /24 or /48 without the permission `pii:read`.
    #[schema(required)]
    pub ip: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[schema(required)]
    pub country: Option<String>,
    /// A subdivision.
    #[schema(required)]
    pub region: Option<String>,
    /// A city.
    #[schema(required)]
    pub city: Option<String>,
    /// `desktop`, `mobile`, `tablet`, `bot` or `other`.
    #[schema(rename = "deviceType")]
    pub device_type: String,
    /// The browser.
    #[schema(required)]
    pub browser: Option<String>,
    /// The system.
    #[schema(required)]
    pub os: Option<String>,
    /// As it was sent.
    #[schema(rename = "userAgent", required)]
    pub user_agent: Option<String>,
    /// As it was sent.
    #[schema(required)]
    pub referer: Option<String>,
    /// A hash.
    #[schema(required)]
    pub fingerprint: Option<String>,
    /// Labels of the campaign.
    pub utm: Utm,
    /// Where the visitor was sent.
    #[schema(rename = "landingPage", required)]
    pub landing_page: Option<String>,
    /// The language.
    #[schema(required)]
    pub lang: Option<String>,
    /// Everything else in the link's query.
    pub params: Object,
    /// ISO 8601, UTC.
    pub timestamp: String,
    /// `accepted` or `rejected`.
    pub status: String,
    /// Why it was rejected.
    #[schema(rename = "rejectReason", required)]
    pub reject_reason: Option<String>,
    /// What was odd, such as `is_bot` and `is_prefetch`.
    #[schema(rename = "fraudFlags")]
    pub fraud_flags: Vec<String>,
}

/// A page of clicks.
#[derive(Debug, ToSchema)]
pub struct ClickList {
    /// `list`.
    pub object: String,
    /// Newest first.
    pub data: Vec<Click>,
    /// Whether there are more.
    pub has_more: bool,
    /// The last id of this page, where there are more.
    #[schema(required)]
    pub next_cursor: Option<i64>,
}

/// Which clicks.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ClickFilters {
    /// How many, from 1 to 100.
    #[param(minimum = 1, maximum = 100, default = 25)]
    pub limit: Option<i64>,
    /// The id of the last click you have seen.
    pub starting_after: Option<i64>,
    /// Of one partner.
    #[param(rename = "partnerId", example = "ib_2044")]
    pub partner_id: Option<String>,
    /// Of one link.
    #[param(rename = "linkId")]
    pub link_id: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[param(example = "DE")]
    pub country: Option<String>,
    /// Of one visitor.
    #[param(rename = "sessionId")]
    pub session_id: Option<String>,
    /// From this date (in the program's zone) or instant on.
    #[param(example = "2026-02-01")]
    pub from: Option<String>,
    /// Before this date or instant.
    pub to: Option<String>,
}
