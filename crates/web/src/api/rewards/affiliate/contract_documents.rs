//! Contracts to sign: this server keeps none, so the list is empty and there is nothing to sign.

use crate::api::rewards::asked::{Address, Known, Query, number_in_path};
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::page::{PER_PAGE, Page};
use crate::api::rewards::problem::RewardsError;
use crate::asked::Path;
use crate::state::WebState;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;

/// List contract documents
///
/// Always empty: documents do not exist on this server, because contracts are kept elsewhere. Filters and pages are checked all
/// the same.
#[utoipa::path(get, path = "/api/v2/affiliate/contract_documents", operation_id = "affiliate_contract_list", tag = "Affiliate",
    security(("partner_token" = [])), responses((status = 200, description = "An empty list", body = Value)))]
pub async fn list(State(state): State<WebState>, headers: HeaderMap, address: Address) -> Response {
    with_partner_token!(state, headers, |_caller, _partner| {
        let page = Page::parse(&Query::parse(&address.query, &Known::NOTHING)?, PER_PAGE)?;
        Ok(page.answer(&address, Vec::new(), 0))
    })
}

/// Sign a contract document
///
/// This server keeps none, so each number is answered with 404.
#[utoipa::path(post, path = "/api/v2/affiliate/contract_documents/{id}/sign", operation_id = "affiliate_contract_sign", tag = "Affiliate",
    security(("partner_token" = [])), params(("id" = String, Path, description = "Its number")), request_body = Value,
    responses((status = 200, description = "The signed document", body = Value), (status = 404, description = "No document has this number", body = Value)))]
pub async fn sign(State(state): State<WebState>, headers: HeaderMap, Path(id): Path<String>) -> Response {
    with_partner_token!(state, headers, |_caller, _partner| {
        number_in_path(&id, "contract_document")?;
        Err(RewardsError::not_found("contract_document"))
    })
}
