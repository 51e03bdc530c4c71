//! Links of the referral dialect: create, read with counters, list, change.

use super::caller::Caller;
use crate::asked::Query;
use crate::idempotency::given;
use crate::json::field::{Fields, parse_object};
use crate::page::Page;
use crate::problem::ApiError;
use headwater_app::app::App;
use headwater_app::click::Clicks;
use headwater_app::keep::Attempt;
use headwater_app::link::{self, LinkFailure, LinkRequest, LinkStats};
use headwater_domain::link::{Link, LinkStatus, STATS_WINDOW_DAYS};
use headwater_domain::time::Instant;
use http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use url::Url;

/// 2 KB, as the contract says.
const METADATA_BYTES_MAX: usize = 2048;

/// `POST /api/referral/links`: 201 with the link.
pub async fn create(
    app: &App,
    caller: &Caller,
    redirector: &Url,
    body: &[u8],
    attempt: Option<Attempt>,
) -> Result<Value, ApiError> {
    let asked = from_wire(&parse_object(body)?)?;
    let programs = caller.programs.as_deref();
    let (clicks, maker, to) = (Arc::clone(&app.clicks), caller.clone(), redirector.clone());
    let keep =
        app.keep(attempt, move |link: &Link| given(StatusCode::CREATED, &to_wire(&clicks, &maker, &to, link, None)));
    let now = app.clock.now();
    let link = link::create(&app.clicks, caller.account, programs, &asked, now, keep).await.map_err(refused)?;
    Ok(to_wire(&app.clicks, caller, redirector, &link, None))
}

/// `GET /api/referral/links/:id`, with the counters of the last 30 days.
pub async fn read(
    clicks: &Clicks,
    caller: &Caller,
    redirector: &Url,
    id: &str,
    now: Instant,
) -> Result<Value, ApiError> {
    let link = link::read(clicks, caller.account, caller.programs.as_deref(), id).map_err(refused)?;
    let stats = link::stats(clicks, caller.account, link.id, now).await.map_err(refused)?;
    Ok(to_wire(clicks, caller, redirector, &link, Some(&stats)))
}

/// `GET /api/referral/links?partnerId=`.
pub fn list(clicks: &Clicks, caller: &Caller, redirector: &Url, query: &Query) -> Result<Value, ApiError> {
    let page = query.page()?;
    let programs = caller.programs.as_deref();
    let partner = match query.text("partnerId") {
        None => None,
        Some(name) => match clicks.directory().partner_named(caller.account, name) {
            Some(partner) => Some(partner.id),
            None => return Ok(page.to_wire(Vec::new())),
        },
    };
    let after = match &page.starting_after {
        None => None,
        Some(id) => Some(link::read(clicks, caller.account, programs, id).map_err(|_| Page::bad_cursor())?.id),
    };
    let links = link::list(clicks, caller.account, programs, partner, after, page.limit);
    Ok(page.to_wire(links.iter().map(|link| to_wire(clicks, caller, redirector, link, None)).collect()))
}

/// `PATCH /api/referral/links/:id`: `{status, metadata}`.
pub async fn patch(
    clicks: &Clicks,
    caller: &Caller,
    redirector: &Url,
    id: &str,
    body: &[u8],
) -> Result<Value, ApiError> {
    let fields = parse_object(body)?;
    fields.refuse_null(&["status", "metadata"])?;
    let status = fields.optional_string("status")?;
    let status = status
        .map(|name| {
            LinkStatus::parse(&name).ok_or_else(|| ApiError::invalid("status", "status must be active or paused."))
        })
        .transpose()?;
    let metadata = metadata(&fields)?;
    let programs = caller.programs.as_deref();
    let link = link::patch(clicks, caller.account, programs, id, status, metadata).await.map_err(refused)?;
    Ok(to_wire(clicks, caller, redirector, &link, None))
}

/// The parameters of a new link.
pub fn from_wire(fields: &Fields<'_>) -> Result<LinkRequest, ApiError> {
    let mut utm = Vec::new();
    if let Some(labels) = fields.optional_object("utm")? {
        for name in labels.names() {
            let value = labels.optional_string(name)?.unwrap_or_default();
            utm.push((name.to_owned(), value));
        }
    }
    Ok(LinkRequest {
        partner_id: fields.required_string("partner_id")?,
        landing_page: fields.required_string("landing_page")?,
        encrypt_partner_id: fields.optional_bool("encrypt_partner_id")?.unwrap_or(false),
        utm,
        region_routing: fields.optional_bool("region_routing")?.unwrap_or(false),
        lang: fields.optional_string("lang")?.filter(|lang| !lang.is_empty()),
        program_id: fields.optional_string("program_id")?,
        metadata: metadata(fields)?.unwrap_or_else(|| "{}".into()),
    })
}

fn metadata(fields: &Fields<'_>) -> Result<Option<String>, ApiError> {
    if fields.optional_object("metadata")?.is_none() {
        return Ok(None);
    }
    let text = fields.raw("metadata").unwrap_or("{}");
    if text.len() > METADATA_BYTES_MAX {
        let message = format!("metadata must have at most {METADATA_BYTES_MAX} bytes.");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "metadata_too_large", message).with_param("metadata"));
    }
    Ok(Some(text.to_owned()))
}

/// The link object.
pub fn to_wire(clicks: &Clicks, caller: &Caller, redirector: &Url, link: &Link, stats: Option<&LinkStats>) -> Value {
    let directory = clicks.directory();
    let partner = directory
        .partner(caller.account, link.partner)
        .map_or_else(|| link.partner.to_string(), |partner| partner.external_id.clone());
    let utm: Map<String, Value> = link.utm.pairs().map(|(key, value)| (key.to_owned(), value.into())).collect();
    json!({
        "id": link.public_id(),
        "object": "link",
        "partner_id": partner,
        "landing_page": link.landing_page.as_str(),
        "encrypt_partner_id": link.formx.is_some(),
        "region_routing": link.region_routing,
        "lang": link.lang,
        "utm": utm,
        "url": link.address(redirector, &partner).as_str(),
        "program_id": link.program.to_string(),
        "tracking_id": link.tracking_id,
        "status": link.status.name(),
        "metadata": serde_json::from_str::<Value>(&link.metadata).unwrap_or_default(),
        "created": link.created.iso8601(),
        "stats": stats.map(stats_to_wire),
    })
}

fn stats_to_wire(stats: &LinkStats) -> Value {
    let by_type: Map<String, Value> =
        stats.events.iter().map(|count| (count.event_type.clone(), count.events.into())).collect();
    json!({
        "window_days": STATS_WINDOW_DAYS,
        "clicks": stats.clicks.clicks,
        "unique_clicks": stats.clicks.unique_clicks,
        "events": stats.events.iter().map(|count| count.events).sum::<i64>(),
        "events_by_type": by_type,
        "conversions": stats.events.iter().map(|count| count.conversions).sum::<i64>(),
    })
}

/// The operation's failure in this dialect.
pub fn refused(failure: LinkFailure) -> ApiError {
    match failure {
        LinkFailure::UnknownPartner => {
            ApiError::not_found("partner_not_found", failure.to_string()).with_param("partner_id")
        }
        LinkFailure::UnknownProgram => ApiError::invalid("program_id", failure.to_string()),
        LinkFailure::UnknownLink => ApiError::not_found("link_not_found", failure.to_string()).with_param("link_id"),
        LinkFailure::Refused(error) => ApiError::invalid(error.param(), error.to_string()),
        LinkFailure::Store(error) => {
            tracing::error!(%error, "a link operation failed");
            ApiError::unavailable()
        }
    }
}
