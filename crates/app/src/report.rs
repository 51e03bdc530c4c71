//! Reports of an account, or of one partner: clicks, referrals, sales and what was earned, by period and by campaign,
//! promoter, source, URL or sub id.
//!
//! Figures are read from what is stored, in one statement for clicks and one for the rest; here they get their names and are
//! added up. A referral belongs to whoever has it now. Invariant: money of two currencies, or two units, are never added up.

mod periods;

use crate::app::App;
use crate::directory::Directory;
use crate::error::Error;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{AccountId, LinkId, PartnerId, ProgramId};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::report::{ReportOrigin, ReportRange, ReportRow, click_origins, report_clicks, report_rows};
use headwater_store::settlement::Number;
pub use periods::{Grouping, PERIODS_MAX};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use url::Url;

/// Where a link's metadata keeps the name that its partner gave it.
pub const LINK_NAME: &str = "referral_link_name";
/// Where a link's metadata keeps its partner's sub id.
pub const LINK_SUB_ID: &str = "referral_link_sub_id";
/// Rows that one report reads of each kind.
const ROWS_MAX: i64 = 100_000;
/// Where visitors came from that no page sent, and of customers without a click.
const DIRECT: &str = "direct";

/// By what a report has rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportBy {
    /// One row for all.
    Overview,
    /// Programs.
    Campaigns,
    /// Partners.
    Promoters,
    /// The `utm_source` of a click, else the host of the page that it came from.
    Sources,
    /// Landing pages.
    Urls,
    /// Sub ids of links.
    SubIds,
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct ReportRequest {
    /// Of this partner alone.
    pub partner: Option<PartnerId>,
    /// By what it has rows.
    pub by: ReportBy,
    /// From this moment on.
    pub from: Instant,
    /// Before this moment.
    pub to: Instant,
    /// How long its periods are.
    pub grouping: Grouping,
    /// Whether earnings per click of the months before are asked for.
    pub with_months: bool,
}

/// What a row is of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReportKey {
    /// Everything.
    All,
    /// A program.
    Campaign(ProgramId),
    /// A partner.
    Promoter(PartnerId),
    /// A source, a URL or a sub id.
    Text(String),
}

/// What came together in a range.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Clicks that counted.
    pub clicks: i64,
    /// New referrals.
    pub referrals: i64,
    /// Referrals that bought for the first time.
    pub customers: i64,
    /// Of these, those that came by no link.
    pub linkless: i64,
    /// Referrals that bought.
    pub active: i64,
    /// Referrals that cancelled.
    pub cancelled: i64,
    /// Sales.
    pub sales: i64,
    /// Refunds.
    pub refunds: i64,
    /// Sales less refunds, by currency.
    pub revenue: BTreeMap<String, Decimal>,
    /// What partners earned, by unit.
    pub earned: BTreeMap<String, Decimal>,
    /// Of this, what was paid or fulfilled.
    pub paid: BTreeMap<String, Decimal>,
    /// Earned by unit and clicks, of the three and the six months that end with the range.
    pub months: [(BTreeMap<String, Decimal>, i64); 2],
}

/// A row: the whole range, and each period of it that has anything.
#[derive(Debug, Clone, Default)]
pub struct ReportOf {
    /// The whole range.
    pub total: Tally,
    /// By the period's place.
    pub periods: BTreeMap<usize, Tally>,
}

/// A report.
#[derive(Debug, Clone)]
pub struct Report {
    /// The names of its periods, oldest first.
    pub periods: Vec<String>,
    /// Its rows; an overview has exactly one.
    pub rows: BTreeMap<ReportKey, ReportOf>,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportFailure {
    /// Too many periods, or none.
    #[error("The range must hold 1 to {0} periods.")]
    Periods(usize),
    /// More than one answer holds.
    #[error("The range holds more than one report can: ask for a shorter one.")]
    TooMuch,
    /// Another failure.
    #[error(transparent)]
    Other(#[from] Error),
}

impl App {
    /// Makes a report.
    pub async fn report(&self, account: AccountId, asked: ReportRequest) -> Result<Report, ReportFailure> {
        let cut = periods::cut(&asked)?;
        let origin = match asked.by {
            ReportBy::Overview | ReportBy::Campaigns | ReportBy::Promoters => ReportOrigin::Any,
            ReportBy::Sources => ReportOrigin::Source,
            ReportBy::Urls => ReportOrigin::Url,
            ReportBy::SubIds => ReportOrigin::Link,
        };
        let partner = asked.partner.map(|partner| partner.0);
        let ranges = cut.ranges.clone();
        let read = async move |tx: &Tx<'_>| report_rows(tx, account.0, partner, origin, &ranges, ROWS_MAX).await;
        let rows = self.store.money.read(read).await.map_err(Error::from)?;
        let (ranges, wanted) = (cut.ranges.clone(), origins(origin, &rows));
        let read = async move |tx: &Tx<'_>| {
            let clicks = report_clicks(tx, account.0, partner, origin, &ranges, ROWS_MAX).await?;
            let known = if wanted.is_empty() { Vec::new() } else { click_origins(tx, account.0, &wanted).await? };
            Ok((clicks, known))
        };
        let (clicks, known) = self.store.clicks.read(read).await.map_err(Error::from)?;
        if [rows.len(), clicks.len()].iter().any(|count| i64::try_from(*count).is_ok_and(|count| count >= ROWS_MAX)) {
            return Err(ReportFailure::TooMuch);
        }
        let directory = self.directory();
        let known = known.iter().map(|of| {
            let text = if origin == ReportOrigin::Url {
                url(of.landing_page.as_deref())
            } else {
                source(&of.utm, of.referer.as_deref())
            };
            (of.id, text)
        });
        let known: BTreeMap<i64, String> = known.collect();
        let text = |id: i64| match origin {
            ReportOrigin::Link => sub_id(&directory, account, id),
            ReportOrigin::Url => known.get(&id).cloned().unwrap_or_else(|| url(None)),
            _ => known.get(&id).cloned().unwrap_or_else(|| DIRECT.to_owned()),
        };
        let key = |program: i64, partner: i64, text: &dyn Fn() -> String| match asked.by {
            ReportBy::Overview => ReportKey::All,
            ReportBy::Campaigns => ReportKey::Campaign(ProgramId(program)),
            ReportBy::Promoters => ReportKey::Promoter(PartnerId(partner)),
            ReportBy::Sources | ReportBy::Urls | ReportBy::SubIds => ReportKey::Text(text()),
        };
        let mut report = Report { periods: cut.names.clone(), rows: BTreeMap::new() };
        if asked.by == ReportBy::Overview {
            report.rows.insert(ReportKey::All, ReportOf::default());
        }
        for row in &rows {
            let key = key(row.program_id, row.partner_id, &|| text(row.origin));
            add(&mut report, key, row.number, row).ok_or(ReportFailure::TooMuch)?;
        }
        for row in &clicks {
            let text = || match origin {
                ReportOrigin::Link => sub_id(&directory, account, row.link_id.unwrap_or_default()),
                ReportOrigin::Url => url(row.landing_page.as_deref()),
                _ => source(row.utm.as_deref().unwrap_or_default(), row.referer.as_deref()),
            };
            let key = key(row.program_id, row.partner_id, &text);
            match periods::place(row.number) {
                (place, None) => tally(&mut report, key, place).clicks += row.count,
                (place, Some(month)) => tally(&mut report, key, place).months[month].1 += row.count,
            }
        }
        // What only the months before have is no row of its own.
        report.rows.retain(|key, of| *key == ReportKey::All || of.has_any());
        Ok(report)
    }
}

impl Tally {
    fn has_any(&self) -> bool {
        let counts = [self.clicks, self.referrals, self.active, self.cancelled, self.refunds];
        counts.iter().any(|count| *count != 0) || !self.earned.is_empty()
    }
}

impl ReportOf {
    fn has_any(&self) -> bool {
        self.total.has_any()
    }

    /// Periods that have anything, by their places.
    pub fn periods_with_any(&self) -> impl Iterator<Item = (usize, &Tally)> {
        self.periods.iter().filter(|(_, tally)| tally.has_any()).map(|(place, tally)| (*place, tally))
    }
}

/// The clicks whose origins name the rows.
fn origins(origin: ReportOrigin, rows: &[ReportRow]) -> Vec<Number> {
    if !matches!(origin, ReportOrigin::Source | ReportOrigin::Url) {
        return Vec::new();
    }
    let ids: BTreeSet<i64> = rows.iter().map(|row| row.origin).filter(|id| *id > 0).collect();
    ids.into_iter().map(|id| Number { id }).collect()
}

fn tally(report: &mut Report, key: ReportKey, place: Option<usize>) -> &mut Tally {
    let of = report.rows.entry(key).or_default();
    match place {
        None => &mut of.total,
        Some(place) => of.periods.entry(place).or_default(),
    }
}

/// Adds a row to its tally; `None` where a sum leaves 64 bits.
fn add(report: &mut Report, key: ReportKey, number: i64, row: &ReportRow) -> Option<()> {
    let (place, month) = periods::place(number);
    let tally = tally(report, key, place);
    if let Some(month) = month {
        return if row.kind == "earned" { sum(&mut tally.months[month].0, &row.what, row.amount) } else { Some(()) };
    }
    match row.kind.as_str() {
        "referral" => tally.referrals += row.count,
        "customer" => tally.customers += row.count,
        "linkless" => tally.linkless += row.count,
        "active" => tally.active += row.count,
        "cancelled" => tally.cancelled += row.count,
        "earned" => {
            sum(&mut tally.earned, &row.what, row.amount)?;
            sum(&mut tally.paid, &row.what, row.paid)?;
        }
        kind => match FactBody::from_json(kind, &serde_json::from_str(&row.what).unwrap_or_default()) {
            Some(FactBody::Sale { amount, currency, .. }) => {
                tally.sales += row.count;
                sum(&mut tally.revenue, currency.code(), amount.0.checked_mul(row.count)?)?;
            }
            Some(FactBody::Refund { amount, currency, .. }) => {
                tally.refunds += row.count;
                sum(&mut tally.revenue, currency.code(), amount.negated().0.checked_mul(row.count)?)?;
            }
            _ => {}
        },
    }
    Some(())
}

fn sum(sums: &mut BTreeMap<String, Decimal>, name: &str, amount: i64) -> Option<()> {
    let of = sums.entry(name.to_owned()).or_insert(Decimal::ZERO);
    *of = of.checked_add(Decimal(amount))?;
    Some(())
}

/// The source that a click names, else the host of the page that it came from.
fn source(utm: &str, referer: Option<&str>) -> String {
    let utm: Value = serde_json::from_str(utm).unwrap_or_default();
    let named = ["source", "utm_source"].iter().find_map(|key| utm[*key].as_str()).filter(|name| !name.is_empty());
    let host = || Url::parse(referer?).ok()?.host_str().map(str::to_owned);
    named.map(str::to_owned).or_else(host).unwrap_or_else(|| DIRECT.to_owned())
}

/// A landing page without what stands behind `?` or `#`.
fn url(landing_page: Option<&str>) -> String {
    let page = landing_page.unwrap_or("/");
    page.split(['?', '#']).next().filter(|page| !page.is_empty()).unwrap_or("/").to_owned()
}

/// What a link's partner calls it; nothing where it has no name, or there is no link.
fn sub_id(directory: &Directory, account: AccountId, link: i64) -> String {
    let metadata = directory.link(account, LinkId(link)).map(|link| link.metadata.clone()).unwrap_or_default();
    let said: Value = serde_json::from_str(&metadata).unwrap_or_default();
    said[LINK_SUB_ID].as_str().unwrap_or_default().to_owned()
}

/// Ranges of time as the store reads them: numbers may lie a little ahead of their time.
fn range(number: i64, from: Instant, to: Instant) -> ReportRange {
    let id_at = |at: Instant| headwater_domain::ids::first_id_at(at);
    ReportRange { number, from_at: from.0, to_at: to.0, from_id: id_at(from), to_id: id_at(to.plus_seconds(60)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_by_the_click_or_by_the_page_before() {
        assert_eq!(source(r#"{"source":"news"}"#, Some("https://blog.example/x")), "news");
        assert_eq!(source("{}", Some("https://blog.example/x?y=1")), "blog.example");
        assert_eq!(source("", None), DIRECT);
        assert_eq!((url(Some("/en/open?x=1#y")), url(None)), ("/en/open".to_owned(), "/".to_owned()));
    }
}
