//! What the partner earned.
//!
//! What the team notes for itself is not shown, and whose sale a commission of a lower level came from only where the
//! program shows the tree. What is not shown is not searched or sorted by either: it could be read letter by letter.

use crate::api::rewards::asked::{Address, Query};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::commissions::{KNOWN, between_commas, filter, order};
use crate::api::rewards::page::{PER_PAGE, Page};
use crate::state::WebState;
use axum::extract::State;
use axum::response::Response;
use headwater_domain::ids::ProgramId;
use headwater_domain::postback::entity::CommissionEntity;
use http::HeaderMap;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// What is shown of a commission.
const SHOWN: [&str; 22] = [
    "id",
    "status",
    "external_note",
    "created_at",
    "status_updated_at",
    "promoter_campaign",
    "referral",
    "reward",
    "commission_type",
    "sale_amount",
    "original_sale_amount",
    "original_sale_currency",
    "plan_id",
    "tier",
    "unit",
    "currency",
    "amount",
    "is_paid",
    "is_fulfilled",
    "fulfilled_at",
    "payout_id",
    "recipient",
];

/// List the partner's commissions
///
/// The filters and sortings are those of the company's list. `filters[promoter_id]` names a partner below, where the
/// program shows it.
#[utoipa::path(get, path = "/api/v2/affiliate/commissions", operation_id = "affiliate_commission_list", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "A page, newest first; totals are in headers", body = Value)))]
pub async fn list(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let query = Query::parse(&address.query, &KNOWN)?;
        let page = Page::parse(&query, PER_PAGE)?;
        let (mut filter, order) = (filter(&query)?, order(&query)?);
        let visible = state.app.tree_programs(&partner);
        let asked = filter.promoter_id.take().unwrap_or(partner.id.0);
        filter.earner_id = Some(asked);
        filter.sees_below_in = Some(between_commas(&visible.iter().map(|id| id.0).collect::<Vec<_>>()));
        if asked != partner.id.0 {
            let below = state.app.partners_below(&partner);
            if !below.iter().any(|of| of.partner.id.0 == asked) {
                return Ok(page.answer(&address, Vec::new(), 0));
            }
            let wanted = query.filter_numbers("campaign_id")?;
            let programs = visible.iter().map(|id| id.0).filter(|id| wanted.is_empty() || wanted.contains(id));
            filter.campaign_ids = Some(between_commas(&programs.collect::<Vec<_>>()));
        }
        let shown = state.app.commissions_shown(caller.account, filter, order, page.page, page.per_page).await?;
        let rows = shown.rows.iter().map(|commission| to_wire(commission, &visible)).collect();
        Ok(page.answer(&address, rows, shown.total))
    })
}

fn to_wire(commission: &CommissionEntity, visible: &BTreeSet<ProgramId>) -> Value {
    let mut whole = commission.to_json();
    let mut shown = Map::new();
    for name in SHOWN {
        let value = whole[name].take();
        // What has no reward or sale of its own says nothing of one.
        if value.is_null() && matches!(name, "reward" | "sale_amount" | "original_sale_amount") {
            continue;
        }
        shown.insert(name.to_owned(), value);
    }
    if commission.tier > 1 && !visible.contains(&ProgramId(commission.campaign.id)) {
        shown.insert("referral".into(), Value::Null);
    }
    Value::Object(shown)
}
