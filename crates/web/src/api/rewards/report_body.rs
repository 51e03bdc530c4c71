//! A report as it is asked for and shown: its columns, its rows, and the same as CSV (`rewards-api.md` §8).
//!
//! Amounts are minor units of one currency: a campaign's own, else that of the account's first campaign; what is in other
//! currencies and units stands beside them under its own name. Shares are percents with two decimals.

use super::amount;
use super::asked::{Address, Direction, Known, Query, one_of, yes_or_no};
use super::page::Page;
use super::problem::RewardsError;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use headwater_app::app::App;
use headwater_app::csv;
use headwater_app::report::{Grouping, Report, ReportBy, ReportFailure, ReportKey, ReportOf, ReportRequest, Tally};
use headwater_domain::ids::{AccountId, PartnerId};
use headwater_domain::money::{Currency, Decimal, MICROS, Unit};
use headwater_domain::time::{Date, Instant, Zone};
use http::header;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Every column.
pub const COLUMNS: [&str; 19] = [
    "active_customers",
    "monthly_churn",
    "clicks_count",
    "net_revenue_amount",
    "revenue_amount",
    "referrals_count",
    "customers_count",
    "sales_count",
    "refunds_count",
    "cancelled_customers_count",
    "promoter_earnings_amount",
    "non_link_customers",
    "referrals_to_customers_cr",
    "3m_epc",
    "6m_epc",
    "clicks_to_customers_cr",
    "clicks_to_referrals_cr",
    "promoter_paid_amount",
    "signups_count",
];
/// What every report reads in brackets.
pub(super) const KNOWN: Known<'static> = Known { sortings: &COLUMNS, several: &["columns"], ..Known::NOTHING };
const GROUPINGS: [&str; 4] = ["day", "week", "month", "year"];

/// What a query asks of a report.
#[derive(Debug)]
pub struct Asked {
    columns: Vec<String>,
    part: Option<String>,
    sorting: Option<(String, Direction)>,
    page: Page,
    request: ReportRequest,
}

/// Reads a query; everything but `q`, `sorting` and the page is required.
pub fn asked(query_text: &str, by: ReportBy, partner: Option<PartnerId>) -> Result<Asked, RewardsError> {
    let query = Query::parse(query_text, &KNOWN)?;
    let missing = |name: &str| RewardsError::invalid_params(format!("{name} is required."));
    let columns = columns(&query)?;
    if columns.is_empty() {
        return Err(missing("columns"));
    }
    let grouping = one_of("group_by", query.text("group_by"), &GROUPINGS)?.and_then(Grouping::parse);
    let from = moment(&query, "start_date", false)?.ok_or_else(|| missing("start_date"))?;
    let to = moment(&query, "end_date", true)?.ok_or_else(|| missing("end_date"))?;
    let request = ReportRequest {
        partner,
        by,
        from,
        to,
        grouping: grouping.ok_or_else(|| missing("group_by"))?,
        with_months: columns.iter().any(|column| column.ends_with("_epc")),
    };
    Ok(Asked {
        columns,
        part: query.search(),
        sorting: query.sorting()?.map(|(name, direction)| (name.to_owned(), direction)),
        page: Page::parse_of_short(&query)?,
        request,
    })
}

/// `columns[]=a&columns[]=b`, `columns[0]=a`, `columns=a,b`, or `columns=a&columns=b`; each once.
fn columns(query: &Query) -> Result<Vec<String>, RewardsError> {
    let mut columns: Vec<String> = Vec::new();
    for value in query.several("columns") {
        for column in value.split(',').map(str::trim).filter(|column| !column.is_empty()) {
            // The name of the row itself is shown in any case.
            if !COLUMNS.contains(&column) && !matches!(column, "url" | "source" | "sub_id") {
                let message = format!("columns must be some of {}.", COLUMNS.join(", "));
                return Err(RewardsError::invalid_params(message));
            }
            if !columns.iter().any(|known| known == column) {
                columns.push(column.to_owned());
            }
        }
    }
    Ok(columns)
}

/// A moment; a date stands for its day in UTC, as an end for all of it.
fn moment(query: &Query, name: &str, is_end: bool) -> Result<Option<Instant>, RewardsError> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let wrong = || RewardsError::invalid_params(format!("{name} must be a date, or ISO 8601 with a zone."));
    match text.parse::<Date>() {
        Ok(day) if !text.contains('T') => {
            Ok(Some(if is_end { Zone::UTC.end_of(day) } else { Zone::UTC.start_of(day) }))
        }
        _ => Instant::parse(text).map(Some).ok_or_else(wrong),
    }
}

/// Makes the report and answers with it.
pub async fn answer(app: &App, account: AccountId, address: &Address, asked: Asked) -> Result<Response, RewardsError> {
    let report = make(app, account, &asked).await?;
    if asked.request.by == ReportBy::Overview {
        let of = report.rows.get(&ReportKey::All).cloned().unwrap_or_default();
        let currency = currency(app, account, &ReportKey::All);
        let none = Tally::default();
        let rows = (0..report.periods.len())
            .map(|place| period(&report, place, of.periods.get(&place).unwrap_or(&none), currency, &asked.columns));
        return Ok(Json(rows.collect::<Vec<_>>()).into_response());
    }
    let rows = sorted(app, account, &asked, &report);
    Ok(asked.page.answer_all(address, &rows, |(key, of)| {
        let currency = currency(app, account, key);
        let mut row = named(app, account, asked.request.by, key);
        row["data"] = data(&of.total, currency, &asked.columns);
        let periods = of.periods_with_any();
        row["sub_data"] =
            periods.map(|(place, tally)| period(&report, place, tally, currency, &asked.columns)).collect();
        row
    }))
}

/// The same as CSV: a line for each row and period, or with `totals` one for each row.
pub async fn download(app: &App, account: AccountId, query: &str, asked: Asked) -> Result<Response, RewardsError> {
    let totals = yes_or_no("totals", Query::parse(query, &KNOWN)?.text("totals"))? == Some(true);
    let report = make(app, account, &asked).await?;
    let columns: Vec<_> = asked.columns.iter().filter(|column| COLUMNS.contains(&column.as_str())).collect();
    let by = match asked.request.by {
        ReportBy::Overview => "",
        ReportBy::Campaigns => "campaign",
        ReportBy::Promoters => "promoter",
        ReportBy::Sources => "source",
        ReportBy::Urls => "url",
        ReportBy::SubIds => "sub_id",
    };
    let first = [by, if totals { "" } else { "period" }].into_iter().filter(|name| !name.is_empty());
    let mut lines = vec![first.map(str::to_owned).chain(columns.iter().map(|c| (*c).clone())).collect::<Vec<_>>()];
    for (key, of) in sorted(app, account, &asked, &report) {
        let currency = currency(app, account, key);
        let mut line = |period: Option<&str>, tally: &Tally| {
            let name = (!by.is_empty()).then(|| label(app, account, key));
            let cells = columns.iter().map(|column| shown(column, tally, currency).to_string());
            lines.push(name.into_iter().chain(period.map(str::to_owned)).chain(cells).collect());
        };
        if totals {
            line(None, &of.total);
        } else {
            of.periods_with_any().for_each(|(place, tally)| line(Some(&report.periods[place]), tally));
        }
    }
    let text: String = lines.iter().map(|line| csv::line(line.iter().map(String::as_str))).collect();
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"report.csv\""),
    ];
    Ok((headers, text).into_response())
}

async fn make(app: &App, account: AccountId, asked: &Asked) -> Result<Report, RewardsError> {
    app.report(account, asked.request.clone()).await.map_err(|failure| match failure {
        ReportFailure::Other(error) => error.into(),
        refused => RewardsError::invalid_params(refused.to_string()),
    })
}

/// Rows in whose name the search is, in the order that is asked for; else by number or name.
fn sorted<'r>(app: &App, account: AccountId, asked: &Asked, report: &'r Report) -> Vec<(&'r ReportKey, &'r ReportOf)> {
    let fits = |key: &ReportKey| {
        asked.part.as_ref().is_none_or(|part| {
            *key == ReportKey::All || label(app, account, key).to_lowercase().contains(part.as_str())
        })
    };
    let mut rows: Vec<_> = report.rows.iter().filter(|(key, _)| fits(key)).collect();
    if let Some((column, direction)) = &asked.sorting {
        rows.sort_by_key(|(key, of)| figure(column, &of.total, currency(app, account, key)));
        if *direction == Direction::Descending {
            rows.reverse();
        }
    }
    rows
}

fn label(app: &App, account: AccountId, key: &ReportKey) -> String {
    let directory = app.directory();
    match key {
        ReportKey::All => String::new(),
        ReportKey::Campaign(id) => directory.program(account, *id).map(|p| p.row.name.clone()).unwrap_or_default(),
        ReportKey::Promoter(id) => {
            let partner = directory.partner_by_id(account, *id);
            partner.map(|p| p.row.email.clone().unwrap_or_else(|| p.row.name.clone())).unwrap_or_default()
        }
        ReportKey::Text(text) => text.clone(),
    }
}

/// The start of a row: what it is of.
fn named(app: &App, account: AccountId, by: ReportBy, key: &ReportKey) -> Value {
    let directory = app.directory();
    match key {
        ReportKey::All => json!({}),
        ReportKey::Campaign(id) => {
            let program = directory.program(account, *id);
            json!({"campaign": program.map(|program| super::campaigns::named(program)), "id": id.0})
        }
        ReportKey::Promoter(id) => {
            let partner = directory.partner_by_id(account, *id);
            let partner = partner
                .map(|p| json!({"id": p.row.id, "email": p.row.email.clone().unwrap_or_default(), "name": p.row.name}));
            json!({"promoter": partner, "id": id.0})
        }
        ReportKey::Text(text) => {
            let name = match by {
                ReportBy::Urls => "url",
                ReportBy::SubIds => "sub_id",
                _ => "source",
            };
            let mut row = json!({"id": text});
            row[name] = text.as_str().into();
            row
        }
    }
}

pub(super) fn currency(app: &App, account: AccountId, key: &ReportKey) -> Option<Currency> {
    let directory = app.directory();
    let program = match key {
        ReportKey::Campaign(id) => directory.program(account, *id),
        _ => directory.default_program(account),
    };
    program.and_then(|program| Currency::parse(&program.settings.currency))
}

fn period(report: &Report, place: usize, tally: &Tally, currency: Option<Currency>, columns: &[String]) -> Value {
    let name = &report.periods[place];
    json!({"period": name, "id": name, "data": data(tally, currency, columns)})
}

fn data(tally: &Tally, currency: Option<Currency>, columns: &[String]) -> Value {
    let known = columns.iter().filter(|column| COLUMNS.contains(&column.as_str()));
    let mut data: Map<String, Value> = known.map(|column| (column.clone(), shown(column, tally, currency))).collect();
    data.insert("revenue_by_currency".into(), by_unit(&tally.revenue, currency));
    data.insert("earnings_by_unit".into(), by_unit(&tally.earned, currency));
    Value::Object(data)
}

/// Sums by the name of their unit; those of nothing are left out.
fn by_unit(sums: &BTreeMap<String, Decimal>, currency: Option<Currency>) -> Value {
    let unit = |name: &str| Currency::parse(name).map(Unit::Currency).or_else(|| Unit::parse(name, currency?));
    let shown = sums.iter().filter(|(_, sum)| **sum != Decimal::ZERO);
    Value::Object(shown.filter_map(|(name, sum)| Some((name.clone(), amount::to_wire(*sum, unit(name)?)))).collect())
}

/// A column as it is shown.
pub(super) fn shown(column: &str, tally: &Tally, currency: Option<Currency>) -> Value {
    let figure = figure(column, tally, currency);
    let is_money = column.ends_with("_amount") || column.ends_with("_epc");
    // A unit without minor digits shows counts and percents as they are.
    amount::to_wire(figure, currency.filter(|_| is_money).map_or(Unit::Points, Unit::Currency))
}

/// The number of a column: counts and percents in whole ones, money in major units.
fn figure(column: &str, tally: &Tally, currency: Option<Currency>) -> Decimal {
    let money = |sums: &BTreeMap<String, Decimal>| {
        let own = currency.and_then(|currency| sums.get(currency.code()).copied());
        own.unwrap_or(Decimal::ZERO)
    };
    let count = |count: i64| Decimal(count.saturating_mul(MICROS));
    match column {
        "active_customers" => count(tally.active),
        "clicks_count" => count(tally.clicks),
        // A referral is made by a sign-up, or by the sale that skips it.
        "referrals_count" | "signups_count" => count(tally.referrals),
        "customers_count" => count(tally.customers),
        "sales_count" => count(tally.sales),
        "refunds_count" => count(tally.refunds),
        "cancelled_customers_count" => count(tally.cancelled),
        "non_link_customers" => count(tally.linkless),
        "revenue_amount" => money(&tally.revenue),
        "net_revenue_amount" => {
            let net = money(&tally.revenue).checked_sub(money(&tally.earned));
            net.unwrap_or(Decimal::ZERO)
        }
        "promoter_earnings_amount" => money(&tally.earned),
        "promoter_paid_amount" => money(&tally.paid),
        "monthly_churn" => percent(tally.cancelled, tally.active),
        "referrals_to_customers_cr" => percent(tally.customers, tally.referrals),
        "clicks_to_customers_cr" => percent(tally.customers, tally.clicks),
        "clicks_to_referrals_cr" => percent(tally.referrals, tally.clicks),
        "3m_epc" => per_click(money(&tally.months[0].0), tally.months[0].1),
        "6m_epc" => per_click(money(&tally.months[1].0), tally.months[1].1),
        _ => Decimal::ZERO,
    }
}

/// A share in percent, cut after two decimals; nothing of nothing is 0.
fn percent(part: i64, whole: i64) -> Decimal {
    if whole == 0 {
        return Decimal::ZERO;
    }
    let hundredths = i128::from(part) * 10_000 / i128::from(whole);
    i64::try_from(hundredths * i128::from(MICROS) / 100).map_or(Decimal::ZERO, Decimal)
}

fn per_click(earned: Decimal, clicks: i64) -> Decimal {
    earned.0.checked_div(clicks).map_or(Decimal::ZERO, Decimal)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: &str = "group_by=day&start_date=2026-01-01&end_date=2026-01-31T00:00:00Z";

    #[test]
    fn what_a_report_needs_is_named_where_it_is_missing() {
        let read = |query: &str| asked(query, ReportBy::Overview, None);
        for columns in [
            "columns[]=sales_count&columns[]=clicks_count",
            "columns=sales_count,clicks_count",
            "columns=sales_count&columns=clicks_count",
            "columns[0]=sales_count&columns[1]=clicks_count",
        ] {
            assert_eq!(read(&format!("{columns}&{RANGE}")).expect(columns).columns, ["sales_count", "clicks_count"]);
        }
        for (query, word) in [
            (RANGE.to_owned(), "columns"),
            (format!("columns[]=gold&{RANGE}"), "columns"),
            (RANGE.replace("group_by=day", "columns[]=sales_count"), "group_by"),
            ("columns[]=sales_count&group_by=hour".to_owned(), "group_by"),
            ("columns[]=sales_count&group_by=day&end_date=2026-01-01".to_owned(), "start_date"),
            (format!("columns[]=sales_count&sorting[name]=asc&{RANGE}"), "sorting"),
        ] {
            let error = read(&query).expect_err(&query);
            assert!(error.code() == "invalid_params" && error.message().contains(word), "{query}: {}", error.message());
        }
    }

    #[test]
    fn shares_of_nothing_are_nothing_and_money_stays_in_its_currency() {
        let usd = Currency::parse("USD");
        let sums =
            |of: &[(&str, i64)]| of.iter().map(|(name, sum)| ((*name).to_owned(), Decimal(sum * MICROS))).collect();
        let tally = Tally {
            clicks: 3,
            referrals: 1,
            earned: sums(&[("EUR", 5), ("USD", 7), ("points", 250)]),
            ..Tally::default()
        };
        assert_eq!(shown("clicks_to_referrals_cr", &tally, usd).to_string(), "33.33");
        assert_eq!(shown("referrals_to_customers_cr", &Tally::default(), usd), json!(0));
        assert_eq!(shown("promoter_earnings_amount", &tally, usd), json!(700));
        assert_eq!(shown("net_revenue_amount", &tally, usd), json!(-700));
        assert_eq!(by_unit(&tally.earned, usd), json!({"EUR": 500, "USD": 700, "points": 250}));
    }
}
