//! The partner's links: the one of each campaign, which its token makes, and those that it made itself.
//!
//! `name` and `sub_id` stand in a link's metadata. A link is never deleted, since clicks and money point to it: it is
//! paused and leaves the list.

use super::{open_membership, own_membership};
use crate::api::rewards::asked::{Address, Known, Query, number_in_path};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::page::Page;
use crate::api::rewards::problem::RewardsError;
use crate::api::rewards::{campaigns, memberships};
use crate::asked::{Path, plain_number};
use crate::body::{REFERRAL_BYTES_MAX, read as read_body};
use crate::idempotency::{Attempted, given};
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::directory::Partner;
use headwater_app::link::{self, LinkFailure, LinkRequest};
use headwater_app::report::{LINK_NAME, LINK_SUB_ID};
use headwater_domain::link::{Link, LinkStatus};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value, json};
use url::Url;

const LINKS_MAX: usize = 1000;
const NAME_CHARACTERS_MAX: usize = 200;

/// List the partner's links
#[utoipa::path(get, path = "/api/v2/affiliate/referral_links", operation_id = "affiliate_link_list", tag = "Affiliate",
    security(("partner_token" = [])),
    params(("promoter_campaign_id" = Option<String>, Query, description = "Of this membership; of all where it is left out")),
    responses((status = 200, description = "Its links, those of the campaigns first", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let query = Query::parse(&address.query, &Known { flat: &["promoter_campaign_id"], ..Known::NOTHING })?;
        let page = Page::parse_of_short(&query)?;
        let members = match query.text("promoter_campaign_id") {
            None => state.app.memberships_of(caller.account, partner.id),
            Some(text) => {
                let wrong = || RewardsError::invalid_params("promoter_campaign_id must be a whole number from 1 on.");
                vec![own_membership(&state.app, &partner, plain_number(text).ok_or_else(wrong)?)?]
            }
        };
        let mut rows: Vec<Value> = members
            .iter()
            .map(|member| {
                let program = state.app.program_read(caller.account, member.program).ok();
                json!({
                    "id": null, "name": program.as_ref().map(|p| p.row.name.clone()), "url": memberships::ref_link(&state.app, member),
                    "is_default": true, "source": "campaign", "sub_id": null,
                    "campaign": program.as_ref().map(|program| campaigns::named(program)),
                })
            })
            .collect();
        let programs: Vec<_> = members.iter().map(|member| member.program).collect();
        let clicks = &state.app.clicks;
        let own = link::list(clicks, caller.account, Some(&programs), Some(partner.id), None, LINKS_MAX);
        rows.extend(own.iter().filter(|link| link.status == LinkStatus::Active).map(|l| to_wire(&state, &partner, l)));
        Ok(page.answer_all(&address, &rows, Value::clone))
    })
}

/// Create a link of the partner's
///
/// `url` is where visitors land, on a site of the campaign.
#[utoipa::path(post, path = "/api/v2/affiliate/referral_links", operation_id = "affiliate_link_create", tag = "Affiliate",
    security(("partner_token" = [])), request_body = Value, responses((status = 200, description = "The link", body = Value)))]
pub async fn create(State(state): State<WebState>, attempted: Attempted, headers: HeaderMap, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let member = open_membership(&state.app, &partner, fields.required_integer("promoter_campaign_id")?)?;
        let program = state.app.program_read(caller.account, member.program)?;
        let landing_page = fields.optional_string_up_to("url", 2048)?.filter(|url| !url.is_empty());
        let asked = LinkRequest {
            partner_id: partner.row.external_id.clone(),
            landing_page: landing_page.unwrap_or_else(|| program.settings.default_landing_page.clone()),
            program_id: Some(program.id.to_string()),
            metadata: metadata(&fields, Map::new())?,
            ..LinkRequest::default()
        };
        let now = state.app.clock.now();
        let (shown, own) = (state.clone(), partner.clone());
        let render = move |made: &Link| given(StatusCode::OK, &to_wire(&shown, &own, made));
        let keep = state.app.keep(attempted.map(|Extension(attempt)| attempt), render);
        let made = link::create(&state.app.clicks, caller.account, None, &asked, now, keep).await;
        Ok(Json(to_wire(&state, &partner, &made.map_err(refused)?)).into_response())
    })
}

/// Rename a link of the partner's
#[utoipa::path(put, path = "/api/v2/affiliate/referral_links/{id}", operation_id = "affiliate_link_update", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The link as it is now", body = Value)))]
pub async fn update(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>, body: Body) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let before = own_link(&state, &partner, &id)?;
        let body = read_body(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let url = fields.optional_string("url")?.filter(|url| !url.is_empty());
        let shown = [to_wire(&state, &partner, &before)["url"].clone(), before.landing_page.as_str().into()];
        if url.is_some_and(|url| !shown.contains(&url.into())) {
            let message = "url cannot be changed, since clicks point to it: make another link.";
            return Err(RewardsError::inexpressible("url", message));
        }
        let text = metadata(&fields, said(&before))?;
        let changed = link::patch(&state.app.clicks, caller.account, None, &before.public_id(), None, Some(text)).await;
        Ok(Json(to_wire(&state, &partner, &changed.map_err(refused)?)).into_response())
    })
}

/// Delete a link of the partner's
///
/// Visitors that still follow it are redirected, and nobody has brought them.
#[utoipa::path(delete, path = "/api/v2/affiliate/referral_links/{id}", operation_id = "affiliate_link_delete", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")),
    responses((status = 200, description = "The link as it was", body = Value)))]
pub async fn delete(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let link = own_link(&state, &partner, &id)?;
        let paused = Some(LinkStatus::Paused);
        link::patch(&state.app.clicks, caller.account, None, &link.public_id(), paused, None).await.map_err(refused)?;
        Ok(Json(to_wire(&state, &partner, &link)).into_response())
    })
}

fn own_link(state: &WebState, partner: &Partner, id: &str) -> Result<Link, RewardsError> {
    let id = number_in_path(id, "referral_link")?;
    let own = link::list(&state.app.clicks, partner.account, None, Some(partner.id), None, usize::MAX - 1);
    let found = own.into_iter().find(|link| link.id.0 == id && link.status == LinkStatus::Active);
    found.ok_or_else(|| RewardsError::not_found("referral_link"))
}

fn said(link: &Link) -> Map<String, Value> {
    serde_json::from_str(&link.metadata).unwrap_or_default()
}

/// The metadata with what a body says; `null` clears.
fn metadata(fields: &Fields<'_>, mut said: Map<String, Value>) -> Result<String, RewardsError> {
    for (name, key) in [("name", LINK_NAME), ("sub_id", LINK_SUB_ID)] {
        if fields.is_null(name) {
            said.remove(key);
        } else if let Some(text) = fields.optional_line(name, NAME_CHARACTERS_MAX)? {
            said.insert(key.to_owned(), text.into());
        }
    }
    Ok(Value::Object(said).to_string())
}

fn to_wire(state: &WebState, partner: &Partner, link: &Link) -> Value {
    let said = said(link);
    let of = |key: &str| said.get(key).cloned().unwrap_or(Value::Null);
    let program = state.app.program_read(partner.account, link.program).ok();
    let public = Url::parse(&state.app.public_url()).ok();
    let url = public.map(|public| link.address(&public, &partner.row.external_id).to_string());
    let name = said.get(LINK_NAME).cloned().unwrap_or_else(|| link.tracking_id.clone().into());
    json!({
        "id": link.id.0, "name": name, "url": url, "is_default": false, "source": "promoter",
        "sub_id": of(LINK_SUB_ID), "landing_page": link.landing_page.as_str(),
        "campaign": program.as_ref().map(|program| campaigns::named(program)),
    })
}

fn refused(failure: LinkFailure) -> RewardsError {
    match failure {
        // By its name in the other dialects.
        LinkFailure::Refused(error) => {
            RewardsError::invalid("url", error.to_string().replacen("landing_page", "url", 1))
        }
        LinkFailure::Store(error) => {
            tracing::error!(%error, "a link of the affiliate API could not be written");
            RewardsError::unavailable()
        }
        other => RewardsError::operation_failed(other.to_string()),
    }
}
