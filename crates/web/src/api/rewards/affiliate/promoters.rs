//! The partner itself, and the partners below that it may see.

use crate::api::rewards::asked::{Address, Known, Query};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::page::Page;
use crate::api::rewards::promoters::{AllFigures, shown, stats};
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_domain::time::Instant;
use http::HeaderMap;
use serde_json::json;

/// Read the partner
#[utoipa::path(get, path = "/api/v2/affiliate/promoters/current", operation_id = "affiliate_promoter_current", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "The partner of the token", body = Value)))]
pub async fn current(State(state): State<WebState>, headers: HeaderMap) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let figures = state.app.figures(caller.account, Some(partner.id)).await?;
        let mut object = shown(&state.app, &partner, &figures).await?;
        if let Some(object) = object.as_object_mut() {
            // What the team says of it among itself, and who is above.
            for name in ["note", "fraud_suspicions", "is_customized", "password_setup_url", "parent_promoter"] {
                object.remove(name);
            }
        }
        if object["first_event_at"].is_null()
            && let Some(object) = object.as_object_mut()
        {
            object.remove("first_event_at");
        }
        let method = state.app.partner_payout(caller.account, partner.id).await?.method;
        object["selected_payout_method"] = method.unwrap_or_else(|| "not_set".into()).into();
        object["pending_contract_documents"] = json!([]);
        if object["custom_fields"].is_null() {
            object["custom_fields"] = json!({});
        }
        Ok(Json(object).into_response())
    })
}

/// List the partners below
///
/// Those that are members of a campaign with `tree_visible`, with what they brought there; nearest first.
#[utoipa::path(get, path = "/api/v2/affiliate/promoters/sub_affiliates", operation_id = "affiliate_sub_affiliate_list", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "The partners below that it may see", body = Value)))]
pub async fn sub_affiliates(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let page = Page::parse_of_short(&Query::parse(&address.query, &Known::NOTHING)?)?;
        let below = state.app.partners_below(&partner);
        let visible = state.app.tree_programs(&partner);
        let mut figures =
            if below.is_empty() { AllFigures::new() } else { state.app.figures(caller.account, None).await? };
        figures.retain(|(_, program), _| visible.contains(program));
        Ok(page.answer_all(&address, &below, |of| {
            let row = &of.partner.row;
            json!({
                "id": row.id, "name": row.name, "email": row.email, "level": of.depth,
                "stats": stats(&state.app, caller.account, of.partner.id, &figures),
                "joined_at": Instant(row.created_at).iso8601(),
            })
        }))
    })
}
