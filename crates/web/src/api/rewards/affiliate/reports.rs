//! What the partner brought and earned, over time and by the sub ids of its links.

use crate::api::rewards::asked::Address;
use crate::api::rewards::caller::with_partner_token;
use crate::api::rewards::report_body::{answer, asked, download as csv};
use crate::api::rewards::reports::{DownloadQuery, ReportQuery, RowsQuery, report_type};
use crate::state::WebState;
use axum::extract::State;
use axum::response::Response;
use headwater_app::report::ReportBy;
use http::HeaderMap;

/// Report on the partner over time
#[utoipa::path(get, path = "/api/v2/affiliate/reports/overview", operation_id = "affiliate_report_overview", tag = "Affiliate",
    security(("partner_token" = [])),
    params(ReportQuery),
    responses((status = 200, description = "`[{period, id, data}]`, every period", body = Value)))]
pub async fn overview(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let asked = asked(&address.query, ReportBy::Overview, Some(partner.id))?;
        answer(&state.app, caller.account, &address, asked).await
    })
}

/// Report on the partner by sub id
#[utoipa::path(get, path = "/api/v2/affiliate/reports/sub_ids", operation_id = "affiliate_report_sub_ids", tag = "Affiliate",
    security(("partner_token" = [])),
    params(ReportQuery, RowsQuery),
    responses((status = 200, description = "`[{sub_id, id, data, sub_data}]`; what came by other links has an empty one", body = Value)))]
pub async fn sub_ids(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let asked = asked(&address.query, ReportBy::SubIds, Some(partner.id))?;
        answer(&state.app, caller.account, &address, asked).await
    })
}

/// Download a report on the partner
#[utoipa::path(get, path = "/api/v2/affiliate/reports/download", operation_id = "affiliate_report_download", tag = "Affiliate",
    security(("partner_token" = [])),
    params(ReportQuery, DownloadQuery),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")))]
pub async fn download(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_partner_token!(state, headers, |caller, partner| {
        let kinds = ["overview", "traffic_sources", "urls", "sub_ids"];
        let asked = asked(&address.query, report_type(&address, &kinds)?, Some(partner.id))?;
        csv(&state.app, caller.account, &address.query, asked).await
    })
}
