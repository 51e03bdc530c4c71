//! Charts: one figure of a promoter, or of one of its memberships, period by period.
//!
//! A chart is a report of one column (`app::report`) in the shape that is published for it; the longer its range, the longer its
//! periods. Leaves what a figure is to `report_body`.

use super::asked::{Address, Known, Query, number_in_path, one_of, yes_or_no};
use super::caller::{Caller, with_rewards_key};
use super::problem::RewardsError;
use super::report_body::{currency, shown};
use crate::asked::Path;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::promoter::FindBy;
use headwater_app::report::{Grouping, ReportBy, ReportFailure, ReportKey, ReportRequest, Tally};
use headwater_domain::ids::{MembershipId, PartnerId};
use headwater_domain::time::{Date, Zone};
use http::HeaderMap;
use serde_json::{Value, json};

/// Each selection, and the column of a report that it is.
const SELECTIONS: [(&str, &str); 5] = [
    ("revenue", "revenue_amount"),
    ("clicks", "clicks_count"),
    ("referrals", "referrals_count"),
    ("customers", "customers_count"),
    ("cancellations", "cancelled_customers_count"),
];
/// A chart without a range shows the last 30 days.
const DAYS: i64 = 30;
const DAY_SECONDS: i64 = 86_400;
/// From how many days on a chart has longer periods.
const GROUPINGS: [(i64, &str); 4] = [(0, "day"), (93, "week"), (730, "month"), (3650, "year")];

/// How a chart is asked for: every chart takes these.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ChartQuery {
    /// A date; 30 days ago
    pub period_from: Option<String>,
    /// A date, which is all in it; today
    pub period_to: Option<String>,
    /// revenue (default), clicks, referrals, customers or cancellations
    pub selection: Option<String>,
}

/// What a chart is asked for.
struct Chart {
    from: Date,
    to: Date,
    selection: &'static str,
    column: &'static str,
    group_by: &'static str,
    with_totals: bool,
}

/// Its rows, by the names of their periods, and the whole range.
struct Drawn {
    rows: Vec<(String, Value)>,
    total: Value,
}

/// Read a chart of a promoter
///
/// One figure of the promoter, in all its campaigns, by day, week, month or year (UTC) as the range is long.
#[utoipa::path(get, path = "/api/v2/company/promoters/{id}/chart_data", operation_id = "rewards_promoter_chart", tag = "Rewards",
    security(("rewards_key" = [])),
    params(("id" = String, Path, description = "The promoter's number"), ChartQuery),
    responses((status = 200, description = "`selection_items` are pairs of a period and its value", body = Value)))]
pub async fn promoter(
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    address: Address,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let partner = state.app.promoter_find(caller.account, FindBy::Id, &id).await?;
        let chart = asked(&state, &address)?;
        let drawn = draw(&state, &caller, &chart, partner.id, ReportKey::All).await?;
        let rows: Vec<Value> = drawn.rows.into_iter().map(|(name, value)| json!([name, value])).collect();
        Ok(Json(body(&chart, &rows)).into_response())
    })
}

/// Read a chart of a membership
///
/// One figure of the membership by day, week, month or year (UTC) as the range is long.
#[utoipa::path(get, path = "/api/v2/company/promoter_campaigns/{id}/chart_data", operation_id = "rewards_membership_chart",
    tag = "Rewards", security(("rewards_key" = [])),
    params(
        ("id" = String, Path, description = "Its number"),
        ChartQuery,
        ("with_totals" = Option<String>, Query, description = "true: with `totals`, the value of the whole range"),
    ),
    responses((status = 200, description = "`selection_items` are objects of `date`, the period, and `value`", body = Value)))]
pub async fn membership(
    State(state): State<WebState>,
    headers: HeaderMap,
    Path(id): Path<String>,
    address: Address,
) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = MembershipId(number_in_path(&id, "promoter_campaign")?);
        let member = state.app.membership_read(caller.account, id)?;
        let chart = asked(&state, &address)?;
        let key = ReportKey::Campaign(member.program);
        let drawn = draw(&state, &caller, &chart, member.partner, key).await?;
        let rows: Vec<Value> =
            drawn.rows.into_iter().map(|(name, value)| json!({"date": name, "value": value})).collect();
        let mut body = body(&chart, &rows);
        if chart.with_totals {
            body["totals"] = drawn.total;
        }
        Ok(Json(body).into_response())
    })
}

fn body(chart: &Chart, rows: &[Value]) -> Value {
    json!({
        "period_from": chart.from.to_string(), "period_to": chart.to.to_string(), "selection": chart.selection,
        "selection_items": rows, "group_by": chart.group_by,
    })
}

fn asked(state: &WebState, address: &Address) -> Result<Chart, RewardsError> {
    let query = Query::parse(&address.query, &Known::NOTHING)?;
    let now = state.app.clock.now();
    let date = |name: &str| {
        let wrong = || RewardsError::invalid_params(format!("{name} must be a date, as in 2026-01-31."));
        query.text(name).map(|text| text.parse::<Date>().map_err(|_| wrong())).transpose()
    };
    let to = date("period_to")?.unwrap_or_else(|| Zone::UTC.day_of(now));
    let before = Zone::UTC.start_of(to).plus_seconds(-DAYS * DAY_SECONDS);
    let from = date("period_from")?.unwrap_or_else(|| Zone::UTC.day_of(before));
    if from > to {
        return Err(RewardsError::invalid_params("period_from must not be after period_to."));
    }
    let words = SELECTIONS.map(|(name, _)| name);
    let named = one_of("selection", query.text("selection"), &words)?;
    let (selection, column) = SELECTIONS.into_iter().find(|(name, _)| Some(*name) == named).unwrap_or(SELECTIONS[0]);
    let days = (Zone::UTC.end_of(to).0 - Zone::UTC.start_of(from).0) / (DAY_SECONDS * 1_000_000);
    let grouping = GROUPINGS.into_iter().rev().find(|(least, _)| days >= *least);
    let group_by = grouping.map_or("day", |(_, name)| name);
    let with_totals = yes_or_no("with_totals", query.text("with_totals"))? == Some(true);
    Ok(Chart { from, to, selection, column, group_by, with_totals })
}

async fn draw(
    state: &WebState,
    caller: &Caller,
    chart: &Chart,
    partner: PartnerId,
    key: ReportKey,
) -> Result<Drawn, RewardsError> {
    let asked = ReportRequest {
        partner: Some(partner),
        by: if key == ReportKey::All { ReportBy::Overview } else { ReportBy::Campaigns },
        from: Zone::UTC.start_of(chart.from),
        to: Zone::UTC.end_of(chart.to),
        grouping: Grouping::parse(chart.group_by).expect("each of these names is a grouping"),
        with_months: false,
    };
    let report = state.app.report(caller.account, asked).await.map_err(|failure| match failure {
        ReportFailure::Other(error) => error.into(),
        refused => RewardsError::invalid_params(refused.to_string()),
    })?;
    let own = currency(&state.app, caller.account, &key);
    let of = report.rows.get(&key).cloned().unwrap_or_default();
    let none = Tally::default();
    let value = |tally: &Tally| shown(chart.column, tally, own);
    let rows = report.periods.iter().enumerate().map(|(place, name)| {
        let tally = of.periods.get(&place).unwrap_or(&none);
        (name.clone(), value(tally))
    });
    Ok(Drawn { rows: rows.collect(), total: value(&of.total) })
}
