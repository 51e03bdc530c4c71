//! `/api/v2/company/reports`: what the account's promoters brought and earned (`rewards-api.md` §8).
//!
//! Leaves columns and rows to `report_body`, and what is counted to the operation.

use super::asked::{Address, Query, one_of};
use super::caller::with_rewards_key;
use super::problem::RewardsError;
use super::report_body::{COLUMNS, answer, asked, download as csv};
use crate::state::WebState;
use axum::extract::State;
use axum::response::Response;
use headwater_app::report::ReportBy;
use http::HeaderMap;

/// Report over time
#[utoipa::path(get, path = "/api/v2/company/reports/overview", operation_id = "rewards_report_overview", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("columns[]" = String, Query, description = "One or several of the columns"),
        ("group_by" = String, Query, description = "day, week, month or year, in UTC"),
        ("start_date" = String, Query, description = "A date, or ISO 8601"),
        ("end_date" = String, Query, description = "A date, which is all in it, or ISO 8601, which is not"),
    ),
    responses((status = 200, description = "`[{period, id, data}]`, every period", body = Value)))]
pub async fn overview(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = asked(&address.query, ReportBy::Overview, None)?;
        answer(&state.app, caller.account, &address, asked).await
    })
}

/// Report by campaign
#[utoipa::path(get, path = "/api/v2/company/reports/campaigns", operation_id = "rewards_report_campaigns", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("columns[]" = String, Query, description = "One or several of the columns"),
        ("group_by" = String, Query, description = "day, week, month or year, in UTC"),
        ("start_date" = String, Query, description = "A date, or ISO 8601"),
        ("end_date" = String, Query, description = "A date, which is all in it, or ISO 8601, which is not"),
        ("q" = Option<String>, Query, description = "In the name of the row"),
        ("sorting[clicks_count]" = Option<String>, Query, description = "asc or desc; likewise every column"),
        ("page" = Option<String>, Query, description = "From 1; without one, the first 1000 rows"),
    ),
    responses((status = 200, description = "`[{…, id, data, sub_data}]`; periods without anything are left out", body = Value)))]
pub async fn campaigns(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = asked(&address.query, ReportBy::Campaigns, None)?;
        answer(&state.app, caller.account, &address, asked).await
    })
}

/// Report by promoter
#[utoipa::path(get, path = "/api/v2/company/reports/promoters", operation_id = "rewards_report_promoters", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("columns[]" = String, Query, description = "One or several of the columns"),
        ("group_by" = String, Query, description = "day, week, month or year, in UTC"),
        ("start_date" = String, Query, description = "A date, or ISO 8601"),
        ("end_date" = String, Query, description = "A date, which is all in it, or ISO 8601, which is not"),
        ("q" = Option<String>, Query, description = "In the name of the row"),
        ("sorting[clicks_count]" = Option<String>, Query, description = "asc or desc; likewise every column"),
        ("page" = Option<String>, Query, description = "From 1; without one, the first 1000 rows"),
    ),
    responses((status = 200, description = "`[{…, id, data, sub_data}]`; periods without anything are left out", body = Value)))]
pub async fn promoters(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = asked(&address.query, ReportBy::Promoters, None)?;
        answer(&state.app, caller.account, &address, asked).await
    })
}

/// Report by where visitors came from
#[utoipa::path(get, path = "/api/v2/company/reports/traffic_sources", operation_id = "rewards_report_traffic_sources", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("columns[]" = String, Query, description = "One or several of the columns"),
        ("group_by" = String, Query, description = "day, week, month or year, in UTC"),
        ("start_date" = String, Query, description = "A date, or ISO 8601"),
        ("end_date" = String, Query, description = "A date, which is all in it, or ISO 8601, which is not"),
        ("q" = Option<String>, Query, description = "In the name of the row"),
        ("sorting[clicks_count]" = Option<String>, Query, description = "asc or desc; likewise every column"),
        ("page" = Option<String>, Query, description = "From 1; without one, the first 1000 rows"),
    ),
    responses((status = 200, description = "`[{…, id, data, sub_data}]`; periods without anything are left out", body = Value)))]
pub async fn traffic_sources(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = asked(&address.query, ReportBy::Sources, None)?;
        answer(&state.app, caller.account, &address, asked).await
    })
}

/// Report by landing page
#[utoipa::path(get, path = "/api/v2/company/reports/urls", operation_id = "rewards_report_urls", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("columns[]" = String, Query, description = "One or several of the columns"),
        ("group_by" = String, Query, description = "day, week, month or year, in UTC"),
        ("start_date" = String, Query, description = "A date, or ISO 8601"),
        ("end_date" = String, Query, description = "A date, which is all in it, or ISO 8601, which is not"),
        ("q" = Option<String>, Query, description = "In the name of the row"),
        ("sorting[clicks_count]" = Option<String>, Query, description = "asc or desc; likewise every column"),
        ("page" = Option<String>, Query, description = "From 1; without one, the first 1000 rows"),
    ),
    responses((status = 200, description = "`[{…, id, data, sub_data}]`; periods without anything are left out", body = Value)))]
pub async fn urls(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = asked(&address.query, ReportBy::Urls, None)?;
        answer(&state.app, caller.account, &address, asked).await
    })
}

/// Download a report
///
/// As CSV: a line for each row and period, or with `totals` one for each row.
#[utoipa::path(get, path = "/api/v2/company/reports/download", operation_id = "rewards_report_download", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("columns[]" = String, Query, description = "One or several of the columns"),
        ("group_by" = String, Query, description = "day, week, month or year, in UTC"),
        ("start_date" = String, Query, description = "A date, or ISO 8601"),
        ("end_date" = String, Query, description = "A date, which is all in it, or ISO 8601, which is not"),
        ("report_type" = String, Query, description = "overview, campaigns, promoters, traffic_sources or urls"),
        ("totals" = Option<String>, Query, description = "true: the whole range, not each period"),
    ),
    responses((status = 200, description = "CSV", body = String, content_type = "text/csv")))]
pub async fn download(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let kinds = ["overview", "campaigns", "promoters", "traffic_sources", "urls"];
        let asked = asked(&address.query, report_type(&address, &kinds)?, None)?;
        csv(&state.app, caller.account, &address.query, asked).await
    })
}

/// Which report a download is of.
pub(super) fn report_type(address: &Address, kinds: &[&str]) -> Result<ReportBy, RewardsError> {
    let query = Query::parse(&address.query, &[], &COLUMNS)?;
    match one_of("report_type", query.text("report_type"), kinds)? {
        Some("campaigns") => Ok(ReportBy::Campaigns),
        Some("promoters") => Ok(ReportBy::Promoters),
        Some("traffic_sources") => Ok(ReportBy::Sources),
        Some("urls") => Ok(ReportBy::Urls),
        Some("sub_ids") => Ok(ReportBy::SubIds),
        Some(_) => Ok(ReportBy::Overview),
        None => Err(RewardsError::invalid_params("report_type is required.")),
    }
}
