//! Which promoters a list asks for, and in which order.
//!
//! Partners are in memory, so they are narrowed here; what they brought is counted once for all of them. Leaves how one is shown
//! to `promoters`.

use super::asked::{Direction, Known, Query, one_of, yes_or_no};
use super::problem::RewardsError;
use super::promoters::{AllFigures, stats};
use headwater_app::app::App;
use headwater_app::directory::Partner;
use headwater_app::membership::Membership;
use headwater_app::promoter::{archived_at, cust_id};
use headwater_app::report::{Grouping, ReportBy, ReportFailure, ReportKey, ReportRequest, Tally};
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use std::collections::BTreeSet;
use std::sync::Arc;

const FILTERS: [&str; 12] = [
    "revenue_amount..",
    "customers_count..",
    "referrals_count..",
    "clicks_count..",
    "joined_at..",
    "last_login_at..",
    "campaign_id[]",
    "state",
    "parent_promoter_id[]",
    "archived",
    "fraud_suspicions[]",
    "inactivity{metric,days}",
];
const SORTINGS: [&str; 5] = ["clicks_count", "referrals_count", "customers_count", "revenue_amount", "joined_at"];
/// What the list reads.
pub(super) const KNOWN: Known<'static> =
    Known { filters: &FILTERS, sortings: &SORTINGS, has_ids: true, ..Known::NOTHING };
/// `not_set`: a member of no campaign.
const STATES: [&str; 6] = ["pending", "accepted", "rejected", "blocked", "inactive", "not_set"];
pub(super) const SUSPICIONS: [&str; 4] = ["no_suspicion", "same_ip_suspicion", "same_promoter_email", "ad_source"];
const METRICS: [&str; 4] = ["click", "referral", "customer", "sale"];
/// Ten years; more than any list is asked for.
const INACTIVE_DAYS_MAX: i64 = 3650;
const DAY_SECONDS: i64 = 86_400;

/// The promoters that fit, in order.
pub(super) async fn fitting(
    app: &App,
    account: AccountId,
    query: &Query,
    figures: &AllFigures,
) -> Result<Vec<Arc<Partner>>, RewardsError> {
    let mut all = app.directory().partners(account);
    all.reverse();
    narrow(app, account, query, &mut all)?;
    narrow_by_figures(app, account, query, figures, &mut all)?;
    let named = query.filter_list("fraud_suspicions");
    if !named.is_empty() {
        let of = |partner: PartnerId| {
            let own = figures.range((partner, ProgramId(0))..=(partner, ProgramId(i64::MAX)));
            own.flat_map(|(_, of)| of.suspicions.clone()).collect()
        };
        let fits = suspected(&named)?;
        all.retain(|partner| fits(&of(partner.id)));
    }
    if let Some((metric, days)) = inactivity(query)? {
        let active = active(app, account, metric, days).await?;
        all.retain(|partner| !active.contains(&partner.id));
    }
    if let Some((name, direction)) = query.sorting()? {
        let value = |partner: &Partner| match name {
            "joined_at" => partner.row.created_at,
            _ => stats(app, account, partner.id, figures)[name].as_i64().unwrap_or(0),
        };
        all.sort_by_cached_key(|partner| value(partner));
        if direction == Direction::Descending {
            all.reverse();
        }
    }
    Ok(all)
}

/// Who has any of these suspicions, or with `no_suspicion` none at all.
pub(super) fn suspected<'q>(named: &'q [&'q str]) -> Result<impl Fn(&BTreeSet<String>) -> bool + 'q, RewardsError> {
    for name in named {
        one_of("filters[fraud_suspicions]", Some(name), &SUSPICIONS)?;
    }
    Ok(|own: &BTreeSet<String>| {
        named.iter().any(|name| if *name == "no_suspicion" { own.is_empty() } else { own.contains(*name) })
    })
}

fn narrow(app: &App, account: AccountId, query: &Query, all: &mut Vec<Arc<Partner>>) -> Result<(), RewardsError> {
    let is_archived = yes_or_no("filters[archived]", query.filter("archived"))?.unwrap_or(false);
    let (campaigns, parents) = (query.filter_numbers("campaign_id")?, query.filter_numbers("parent_promoter_id")?);
    let wanted = one_of("filters[state]", query.filter("state"), &STATES)?;
    let (from, to) = query.filter_period("joined_at")?;
    let (ids, part, now) = (query.ids()?, query.search(), app.clock.now());
    if query.filter_period("last_login_at")? != (None, None) {
        // A partner's user has a token and no password: it never logs in.
        all.clear();
    }
    all.retain(|partner| {
        let members = app.memberships_of(account, partner.id);
        let member = |fits: &dyn Fn(&Membership) -> bool| members.iter().any(|m| fits(m));
        let is_in = |m: &Membership| campaigns.is_empty() || campaigns.contains(&m.program.0);
        let joined = Instant(partner.row.created_at);
        let texts = [Some(partner.row.name.clone()), partner.row.email.clone(), cust_id(partner)];
        let texts = texts.into_iter().flatten().chain(members.iter().map(|member| member.row.ref_token.clone()));
        let is_wanted = match wanted {
            Some("not_set") => !member(&is_in),
            Some(state) => member(&|m| is_in(m) && m.state.name() == state),
            None => campaigns.is_empty() || member(&is_in),
        };
        is_wanted
            && archived_at(partner).is_some() == is_archived
            && ids.as_ref().is_none_or(|ids| ids.contains(&partner.id.0))
            && (parents.is_empty() || partner.parent_at(now).is_some_and(|parent| parents.contains(&parent.0)))
            && from.is_none_or(|from| joined >= from)
            && to.is_none_or(|to| joined < to)
            && part
                .as_ref()
                .is_none_or(|part| texts.into_iter().any(|text| text.to_lowercase().contains(part.as_str())))
    });
    Ok(())
}

fn narrow_by_figures(
    app: &App,
    account: AccountId,
    query: &Query,
    figures: &AllFigures,
    all: &mut Vec<Arc<Partner>>,
) -> Result<(), RewardsError> {
    for name in ["revenue_amount", "customers_count", "referrals_count", "clicks_count"] {
        let (from, to) = query.filter_range(name)?;
        if from.is_none() && to.is_none() {
            continue;
        }
        all.retain(|partner| {
            let value = stats(app, account, partner.id, figures)[name].as_i64().unwrap_or(0);
            from.is_none_or(|from| value >= from) && to.is_none_or(|to| value <= to)
        });
    }
    Ok(())
}

/// Of what there was nothing, and for how many days.
fn inactivity(query: &Query) -> Result<Option<(&str, i64)>, RewardsError> {
    let metric = one_of("filters[inactivity][metric]", query.filter_part("inactivity", "metric"), &METRICS)?;
    let days = query.filter_part("inactivity", "days");
    let wrong = || {
        let message = format!("filters[inactivity] takes [metric] and [days], from 1 to {INACTIVE_DAYS_MAX}.");
        RewardsError::invalid_params(message)
    };
    match (metric, days) {
        (None, None) => Ok(None),
        (Some(metric), Some(days)) => {
            let days = days.parse().ok().filter(|days| (1..=INACTIVE_DAYS_MAX).contains(days));
            Ok(Some((metric, days.ok_or_else(wrong)?)))
        }
        _ => Err(wrong()),
    }
}

/// Those that had any in the last days.
async fn active(app: &App, account: AccountId, metric: &str, days: i64) -> Result<BTreeSet<PartnerId>, RewardsError> {
    let now = app.clock.now();
    let asked = ReportRequest {
        partner: None,
        by: ReportBy::Promoters,
        from: now.plus_seconds(-days * DAY_SECONDS),
        to: now.plus_seconds(1),
        grouping: Grouping::Year,
        with_months: false,
    };
    let report = app.report(account, asked).await.map_err(|failure| match failure {
        ReportFailure::Other(error) => error.into(),
        refused => RewardsError::invalid_params(refused.to_string()),
    })?;
    let count = |tally: &Tally| match metric {
        "click" => tally.clicks,
        "referral" => tally.referrals,
        "customer" => tally.customers,
        _ => tally.sales,
    };
    let active = report.rows.iter().filter(|(_, of)| count(&of.total) > 0);
    Ok(active.filter_map(|(key, _)| if let ReportKey::Promoter(id) = key { Some(*id) } else { None }).collect())
}
