//! `/api/v2/company/reports`: what the account's promoters brought and earned (`rewards-api.md` §8).
//!
//! Each is one report by something else. Leaves columns and rows to `report_body`, and what is counted to the operation.

use super::asked::{Address, Query, one_of};
use super::caller::with_rewards_key;
use super::problem::RewardsError;
use super::report_body::{KNOWN, answer, asked, download as csv};
use crate::state::WebState;
use axum::extract::State;
use axum::response::Response;
use headwater_app::report::ReportBy;
use http::HeaderMap;

/// What every report is asked for; the reference shows it.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`report_body` reads the query, which has brackets; this describes it")]
pub struct ReportQuery {
    /// One or several of the columns
    #[param(rename = "columns[]")]
    columns: String,
    /// day, week, month or year, in UTC
    group_by: String,
    /// A date, or ISO 8601
    start_date: String,
    /// A date, which is all in it, or ISO 8601, which is not
    end_date: String,
}

/// What a report with rows is asked for, too.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`report_body` reads the query, which has brackets; this describes it")]
pub struct RowsQuery {
    /// In the name of the row
    q: Option<String>,
    /// asc or desc; likewise every column
    #[param(rename = "sorting[clicks_count]")]
    sorting: Option<String>,
    /// From 1; without one, the first 1000 rows
    page: Option<String>,
}

/// What a download is asked for, too.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`report_type` and `report_body` read the query; this describes it")]
pub struct DownloadQuery {
    /// Which report: overview, `traffic_sources` or urls; of the company also campaigns or promoters, of a partner also `sub_ids`
    report_type: String,
    /// true: the whole range, not each period
    totals: Option<String>,
}

async fn report(state: WebState, headers: HeaderMap, address: Address, by: ReportBy) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let asked = asked(&address.query, by, None)?;
        answer(&state.app, caller.account, &address, asked).await
    })
}

/// Report over time
#[utoipa::path(get, path = "/api/v2/company/reports/overview", operation_id = "rewards_report_overview", tag = "Rewards",
    security(("rewards_key" = [])), params(ReportQuery),
    responses((status = 200, description = "`[{period, id, data}]`, every period", body = Value)))]
pub async fn overview(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    report(state, headers, address, ReportBy::Overview).await
}

/// Report by campaign
#[utoipa::path(get, path = "/api/v2/company/reports/campaigns", operation_id = "rewards_report_campaigns", tag = "Rewards",
    security(("rewards_key" = [])), params(ReportQuery, RowsQuery),
    responses((status = 200, description = "`[{…, id, data, sub_data}]`; periods without anything are left out", body = Value)))]
pub async fn campaigns(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    report(state, headers, address, ReportBy::Campaigns).await
}

/// Report by promoter
#[utoipa::path(get, path = "/api/v2/company/reports/promoters", operation_id = "rewards_report_promoters", tag = "Rewards",
    security(("rewards_key" = [])), params(ReportQuery, RowsQuery),
    responses((status = 200, description = "`[{…, id, data, sub_data}]`; periods without anything are left out", body = Value)))]
pub async fn promoters(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    report(state, headers, address, ReportBy::Promoters).await
}

/// Report by where visitors came from
#[utoipa::path(get, path = "/api/v2/company/reports/traffic_sources", operation_id = "rewards_report_traffic_sources", tag = "Rewards",
    security(("rewards_key" = [])), params(ReportQuery, RowsQuery),
    responses((status = 200, description = "`[{…, id, data, sub_data}]`; periods without anything are left out", body = Value)))]
pub async fn traffic_sources(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    report(state, headers, address, ReportBy::Sources).await
}

/// Report by landing page
#[utoipa::path(get, path = "/api/v2/company/reports/urls", operation_id = "rewards_report_urls", tag = "Rewards",
    security(("rewards_key" = [])), params(ReportQuery, RowsQuery),
    responses((status = 200, description = "`[{…, id, data, sub_data}]`; periods without anything are left out", body = Value)))]
pub async fn urls(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    report(state, headers, address, ReportBy::Urls).await
}

/// Download a report
///
/// As CSV: a line for each row and period, or with `totals` one for each row.
#[utoipa::path(get, path = "/api/v2/company/reports/download", operation_id = "rewards_report_download", tag = "Rewards",
    security(("rewards_key" = [])),
    params(ReportQuery, DownloadQuery),
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
    let query = Query::parse(&address.query, &KNOWN)?;
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
