//! `/api/v2/company/payouts`: listed, added up, and grouped by who is paid (`rewards-api.md` §7).
//!
//! Leaves paying to `payout_actions`, and the JSON of a payout to the domain, which webhooks share. Invariant: amounts of two
//! units are never added.

use super::amount::{to_wire, unit_name};
use super::asked::{Address, Direction, Known, Query, one_of, yes_or_no};
use super::caller::with_rewards_key;
use super::commissions::{DUE_PERIODS, between_commas, numbers};
use super::page::{PER_PAGE, Page};
use super::problem::RewardsError;
use super::promoter_filter::suspected;
use crate::state::WebState;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use headwater_app::payout::shown::{
    PayoutGrouping, PayoutOrder, PayoutShownFilter, PayoutSum, PayoutSummed, PayoutSums,
};
use headwater_domain::ids::AccountId;
use headwater_domain::money::{Decimal, MICROS, Unit};
use headwater_domain::payout::PayoutStatus;
use headwater_domain::postback::entity::{PayoutEntity, Recipient};
use headwater_domain::time::{Date, Instant, Period, PeriodLength, Zone};
use http::HeaderMap;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Payouts that are grouped in one answer.
const GROUPED_MAX: i64 = 10_000;
const STATUSES: [&str; 5] = ["pending", "processing", "completed", "failed", "cancelled"];
const METHODS: [&str; 7] = ["paypal", "bank", "wise", "crypto", "custom", "dots", "not_set"];
const SORTINGS: [&str; 3] = ["amount", "period_start", "period_end"];
const FILTERS: [&str; 10] = [
    "status",
    "campaign_id[]",
    "payments_batch_id[]",
    "due_period",
    "period_start..",
    "period_end..",
    "payout_method",
    "promoter_id",
    "only_payable",
    "group_ref",
];
/// What a partner's own list reads; the company's has more filters.
pub(super) const KNOWN: Known<'static> =
    Known { filters: &FILTERS, flat: &["status"], sortings: &SORTINGS, has_ids: true, ..Known::NOTHING };
const MIN_PAYMENT: &str = "min_payment";
/// What the promoter's referrals are suspected of. A partner's own list does not have it.
const SUSPECTED: &str = "fraud_suspicions[]";
/// By what payouts are narrowed before they are added up.
const SUMMED: [&str; 2] = ["status", "campaign_id[]"];
const STATS_BY: &str = "stats_by";
const STATISTICS: [(&str, PayoutGrouping); 3] = [
    ("paid_period", PayoutGrouping::PaidPeriod),
    ("status", PayoutGrouping::Status),
    ("payout_method", PayoutGrouping::Settings),
];

/// What a query narrows payouts to.
pub(super) struct Asked {
    pub(super) filter: PayoutShownFilter,
    pub(super) method: Option<String>,
    pub(super) order: (PayoutOrder, bool),
}

/// List payouts
///
/// Newest first.
#[utoipa::path(get, path = "/api/v2/company/payouts", operation_id = "rewards_payout_list", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("q" = Option<String>, Query, description = "In name and email of the promoter"),
        ("ids[]" = Option<String>, Query, description = "These numbers; once for each"),
        ("filters[status]" = Option<String>, Query, description = "pending, processing, completed, failed or cancelled"),
        ("filters[campaign_id]" = Option<String>, Query, description = "One or several; likewise payments_batch_id, promoter_id"),
        ("filters[due_period]" = Option<String>, Query, description = "next, overdue or custom"),
        ("filters[period_start][from]" = Option<String>, Query, description = "And [to]; likewise period_end"),
        ("filters[payout_method]" = Option<String>, Query, description = "paypal, bank, wise, crypto, custom, dots or not_set"),
        ("filters[only_payable]" = Option<String>, Query, description = "true: pending money above nothing"),
        ("sorting[amount]" = Option<String>, Query, description = "asc or desc; likewise period_start, period_end"),
        ("page" = Option<String>, Query, description = "From 1"),
        ("per_page" = Option<String>, Query, description = "At most 100; 20"),
    ),
    responses((status = 200, description = "A page; totals are in headers", body = Value)))]
pub async fn list(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &Known { filters: &[&FILTERS[..], &[SUSPECTED]].concat(), ..KNOWN })?;
        let page = Page::parse(&query, PER_PAGE)?;
        let Asked { mut filter, method, order } = asked(&state, caller.account, &query)?;
        narrow_by_suspicion(&state, caller.account, &query, &mut filter).await?;
        let method = method.as_deref();
        let shown = state.app.payouts_shown(caller.account, filter, method, order, page.page, page.per_page).await?;
        Ok(page.answer(&address, shown.rows.iter().map(PayoutEntity::to_json).collect(), shown.total))
    })
}

/// Add payouts up
///
/// By the month in which they were paid, by status and by method: those that `stats_by[…]` asks for, else all. `by_…` has each group
/// with its amounts by unit; by method what was cancelled or failed does not count.
#[utoipa::path(get, path = "/api/v2/company/payouts/stats", operation_id = "rewards_payout_stats", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("stats_by[status]" = Option<String>, Query, description = "true; likewise paid_period, payout_method"),
        ("filters[status]" = Option<String>, Query, description = "pending, processing, completed, failed or cancelled"),
        ("filters[campaign_id]" = Option<String>, Query, description = "One or several"),
    ),
    responses((status = 200, description = "`{meta, data}`", body = Value)))]
pub async fn stats(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let names = STATISTICS.map(|(name, _)| name);
        let known = Known { filters: &SUMMED, flat: &["status"], words: &[(STATS_BY, &names)], ..Known::NOTHING };
        let query = Query::parse(&address.query, &known)?;
        let narrowed = summed(&query)?;
        let mut asked = Vec::new();
        for (name, grouping) in STATISTICS {
            let wanted = yes_or_no(&format!("{STATS_BY}[{name}]"), query.word(STATS_BY, name))?;
            asked.push((name, grouping, wanted));
        }
        let some = asked.iter().any(|(.., wanted)| *wanted == Some(true));
        let wanted =
            asked.into_iter().filter(|(.., wanted)| if some { *wanted == Some(true) } else { *wanted != Some(false) });
        let mut data = Map::new();
        for (name, grouping, _) in wanted {
            let mut all = state.app.payout_sums(caller.account, narrowed.clone(), grouping).await?;
            all.sums.retain(|sum| !sum.group.is_empty());
            let rows = all.sums.iter().map(|sum| statistic(name, sum)).collect();
            data.insert(name.to_owned(), Value::Array(rows));
            data.insert(format!("by_{name}"), by_group(grouping, &all));
        }
        Ok(Json(json!({"meta": {}, "data": data})).into_response())
    })
}

/// Add up what is due
///
/// What is paid next, what is overdue, and what was picked by hand.
#[utoipa::path(get, path = "/api/v2/company/payouts/due_stats", operation_id = "rewards_payout_due_stats", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("q" = Option<String>, Query, description = "In name and email of the promoter"),
        ("filters[status]" = Option<String>, Query, description = "pending or processing: nothing else is due"),
        ("filters[campaign_id]" = Option<String>, Query, description = "One or several"),
    ),
    responses((status = 200, description = "`{meta, data: {next, overdue, custom}}`", body = Value)))]
pub async fn due_stats(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &Known { filters: &SUMMED, flat: &["status"], ..Known::NOTHING })?;
        let promoter_ids = query.search().map(|text| found(&state, caller.account, &text));
        let narrowed = PayoutSummed { promoter_ids, ..summed(&query)? };
        let sums = state.app.payout_sums(caller.account, narrowed, PayoutGrouping::DuePeriod).await?;
        Ok(Json(json!({"meta": {}, "data": due(&sums, state.app.clock.now())})).into_response())
    })
}

/// What is due, by when.
pub(super) fn due(all: &PayoutSums, now: Instant) -> Value {
    let month = Period::holding(PeriodLength::Month, Zone::UTC.day_of(now));
    let of = |name: &str| {
        let mut due = figures(all, name);
        let is_next = name == "next";
        due["due_date"] = is_next.then(|| month.next().to_string()).into();
        due["period_end"] = is_next.then(|| month.to_string()).into();
        due
    };
    json!({"next": of("next"), "overdue": of("overdue"), "custom": of("custom")})
}

/// What the payouts of one group add up to, each unit for itself; the total is of money.
fn figures(all: &PayoutSums, group: &str) -> Value {
    let of_group: Vec<_> = all.sums.iter().filter(|sum| sum.group == group).collect();
    let money = of_group.iter().map(|sum| (sum.amount, sum.unit)).filter(|(_, unit)| unit.is_money());
    json!({
        "promoters_count": all.promoters.get(group).copied().unwrap_or(0),
        "amounts": amounts(of_group.iter().map(|sum| (sum.amount, sum.unit))),
        "total_incl_tax": total(money),
    })
}

/// The groups by their names, as published; months in a list.
fn by_group(grouping: PayoutGrouping, all: &PayoutSums) -> Value {
    let groups: BTreeSet<&str> = all.sums.iter().map(|sum| sum.group.as_str()).collect();
    if grouping != PayoutGrouping::PaidPeriod {
        return Value::Object(groups.into_iter().map(|group| (group.to_owned(), figures(all, group))).collect());
    }
    let month = |group: &str| {
        let mut row = figures(all, group);
        let first = format!("{group}-01").parse::<Date>().ok();
        let period = first.map(|day| Period::holding(PeriodLength::Month, day));
        let bounds =
            period.map(|period| (Zone::UTC.start_of(period.first_day), Zone::UTC.start_of(period.next().first_day)));
        row["period_start"] = bounds.map(|(from, _)| from.iso8601()).into();
        row["period_end"] = bounds.map(|(_, to)| to.iso8601()).into();
        row
    };
    Value::Array(groups.into_iter().map(month).collect())
}

/// Group payouts by promoter
///
/// One group for each promoter and unit, and for what goes to a referral of it. Without a status in the filter, what was cancelled
/// or failed is listed and not added: its commissions may be in another payout. A promoter with a debt is paid less: the sum is net.
#[utoipa::path(get, path = "/api/v2/company/payouts/group_by_promoters", operation_id = "rewards_payout_groups", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("include_payout_method_details" = Option<String>, Query, description = "true: with the details of the method"),
        ("filters[min_payment]" = Option<String>, Query, description = "Groups of at least this much, in minor units"),
        ("filters[status]" = Option<String>, Query, description = "And every other filter of the list"),
        ("page" = Option<String>, Query, description = "From 1"),
        ("per_page" = Option<String>, Query, description = "At most 100; 20"),
    ),
    responses((status = 200, description = "`{data, meta}`", body = Value)))]
pub async fn group_by_promoters(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let filters = [&FILTERS[..], &[MIN_PAYMENT, SUSPECTED]].concat();
        let query = Query::parse(&address.query, &Known { filters: &filters, ..KNOWN })?;
        let page = Page::parse(&query, PER_PAGE)?;
        let details = yes_or_no("include_payout_method_details", query.text("include_payout_method_details"))?;
        let wrong = || RewardsError::invalid_params("filters[min_payment] must be a whole number.");
        let least = query.filter(MIN_PAYMENT).map(|text| text.parse::<i64>().map_err(|_| wrong())).transpose()?;
        let Asked { mut filter, method, order } = asked(&state, caller.account, &query)?;
        narrow_by_suspicion(&state, caller.account, &query, &mut filter).await?;
        let is_of_one_status = filter.status.is_some();
        let shown = state.app.payouts_shown(caller.account, filter, method.as_deref(), order, 1, GROUPED_MAX).await?;
        let mut groups: BTreeMap<GroupKey, Vec<&PayoutEntity>> = BTreeMap::new();
        for payout in &shown.rows {
            let promoter = payout.promoter.as_ref().map(|promoter| promoter.id);
            // What goes to a referral is not its promoter's.
            let referral = match payout.recipient {
                Recipient::Referral(id) => Some(id),
                Recipient::Promoter(_) => None,
            };
            groups.entry((promoter, referral, payout.unit)).or_default().push(payout);
        }
        let mut groups: Vec<Group<'_>> =
            groups.into_iter().map(|((.., unit), payouts)| Group::of(unit, payouts, is_of_one_status)).collect();
        groups.retain(|group| least.is_none_or(|least| group.minor_units().is_some_and(|sum| sum >= least)));
        let number = i64::try_from(groups.len()).unwrap_or(i64::MAX);
        let sums = groups.iter().filter_map(|group| Some((group.amount?, group.unit)));
        let sums: Vec<_> = sums.collect();
        let whole = total(sums.iter().copied().filter(|(_, unit)| unit.is_money()));
        let promoters: BTreeSet<_> = groups
            .iter()
            .flat_map(|group| &group.payouts)
            .filter_map(|row| row.promoter.as_ref())
            .map(|p| p.id)
            .collect();
        let meta = json!({
            "total": whole, "total_incl_tax": whole, "amounts": amounts(sums.into_iter()),
            "promoters_count": promoters.len(), "groups_count": number,
        });
        let from = usize::try_from(page.offset()).unwrap_or(usize::MAX);
        let shown = groups.iter().skip(from).take(usize::try_from(page.per_page).unwrap_or(usize::MAX));
        let rows: Vec<_> = shown.map(|group| group.to_wire(details == Some(true))).collect();
        Ok(page.answer_body(&address, &json!({"data": rows, "meta": meta}), number))
    })
}

/// The promoter, the referral that is paid in its place, and the unit.
type GroupKey = (Option<i64>, Option<i64>, Unit);

/// Payouts of one unit to one promoter, or to one referral of it.
struct Group<'a> {
    unit: Unit,
    payouts: Vec<&'a PayoutEntity>,
    /// What they add up to; `None` where that is too large.
    amount: Option<Decimal>,
}

impl<'a> Group<'a> {
    /// Where they are of any status, what was cancelled or failed does not count: its commissions may be in another payout.
    fn of(unit: Unit, payouts: Vec<&'a PayoutEntity>, is_of_one_status: bool) -> Self {
        let counts = |row: &&&PayoutEntity| {
            is_of_one_status || PayoutStatus::parse(&row.status).is_some_and(PayoutStatus::is_live)
        };
        let mut amounts = payouts.iter().filter(counts).map(|row| row.amount);
        let amount = amounts.try_fold(Decimal::ZERO, Decimal::checked_add);
        Self { unit, payouts, amount }
    }

    fn pending(&self) -> impl Iterator<Item = &&'a PayoutEntity> {
        self.payouts.iter().filter(|row| row.status == PayoutStatus::Pending.name())
    }

    /// Its amount in minor units, down to a whole one.
    fn minor_units(&self) -> Option<i64> {
        let amount = i128::from(self.amount?.0) * 10_i128.pow(self.unit.minor_digits());
        i64::try_from(amount.div_euclid(i128::from(MICROS))).ok()
    }

    fn to_wire(&self, with_details: bool) -> Value {
        let rows: Vec<_> = self.payouts.iter().map(|payout| payout.to_json()).collect();
        // How those that wait are paid; of the others, each keeps how it was.
        let waiting = self.pending().next().or(self.payouts.first()).map(|payout| payout.to_json());
        let mut method = waiting.map_or(Value::Null, |row| row["payout_method"].clone());
        if let (Some(method), false) = (method.as_object_mut(), with_details) {
            method.remove("details");
        }
        let due = self.pending().map(|row| row.amount).try_fold(Decimal::ZERO, Decimal::checked_add);
        let amount = self.amount.map_or(Value::Null, |amount| to_wire(amount, self.unit));
        json!({
            "promoter": rows.first().map(|row| &row["promoter"]),
            "recipient": rows.first().map(|row| &row["recipient"]),
            "payout_method": method,
            "payouts": rows,
            "is_amount_payable": self.unit.is_money() && due.is_some_and(|due| due > Decimal::ZERO),
            "payout_ids": self.payouts.iter().map(|payout| payout.id).collect::<Vec<_>>(),
            "unit": unit_name(self.unit),
            "currency": self.unit.is_money().then(|| self.unit.name()),
            "amount": amount,
            "total_incl_tax": amount,
        })
    }
}

/// The sum of amounts of one unit; `null` where there are several, or it is too large.
pub(super) fn total(amounts: impl Iterator<Item = (Decimal, Unit)>) -> Value {
    let mut sum: Option<(Decimal, Unit)> = None;
    for (amount, unit) in amounts {
        sum = match sum {
            None => Some((amount, unit)),
            Some((before, known)) if known == unit => match before.checked_add(amount) {
                Some(sum) => Some((sum, unit)),
                None => return Value::Null,
            },
            Some(_) => return Value::Null,
        };
    }
    sum.map_or(Value::from(0), |(sum, unit)| to_wire(sum, unit))
}

/// Amounts by the name of their unit, each unit for itself: where there are several currencies, by their codes.
pub(super) fn amounts(all: impl Iterator<Item = (Decimal, Unit)>) -> Value {
    let mut sums: BTreeMap<Unit, Option<Decimal>> = BTreeMap::new();
    for (amount, unit) in all {
        let sum = sums.entry(unit).or_insert(Some(Decimal::ZERO));
        *sum = sum.and_then(|sum| sum.checked_add(amount));
    }
    let of_name = |name: &str| sums.keys().filter(|unit| unit_name(**unit) == name).count();
    let name = |unit: Unit| match unit {
        Unit::Currency(currency) if of_name("cash") > 1 => currency.code().to_owned(),
        Unit::MonetaryDiscount(currency) if of_name("mon_discount") > 1 => format!("mon_discount {}", currency.code()),
        unit => unit_name(unit),
    };
    let wire = |unit: Unit, sum: Option<Decimal>| sum.map_or(Value::Null, |sum| to_wire(sum, unit));
    Value::Object(sums.iter().map(|(unit, sum)| (name(*unit), wire(*unit, *sum))).collect())
}

fn statistic(group: &str, sum: &PayoutSum) -> Value {
    let mut row = json!({
        "unit": unit_name(sum.unit), "currency": sum.unit.is_money().then(|| sum.unit.name()),
        "amount": to_wire(sum.amount, sum.unit), "payouts_count": sum.payouts, "promoters_count": sum.promoters,
    });
    row[group] = sum.group.as_str().into();
    row
}

pub(super) fn asked(state: &WebState, account: AccountId, query: &Query) -> Result<Asked, RewardsError> {
    let (start_from, start_to) = query.filter_period("period_start")?;
    let (end_from, end_to) = query.filter_period("period_end")?;
    let status = one_of("filters[status]", query.filter_or_plain("status")?, &STATUSES)?;
    let due_period = one_of("filters[due_period]", query.filter("due_period"), &DUE_PERIODS)?;
    let method = one_of("filters[payout_method]", query.filter("payout_method"), &METHODS)?;
    let only_payable = yes_or_no("filters[only_payable]", query.filter("only_payable"))?;
    // A group is a promoter's.
    let promoters = [query.filter_numbers("promoter_id")?, query.filter_numbers("group_ref")?].concat();
    if let [promoter, group] = promoters[..]
        && promoter != group
    {
        return Err(RewardsError::invalid_params("filters[promoter_id] and filters[group_ref] disagree."));
    }
    let filter = PayoutShownFilter {
        ids: query.ids()?.map(|ids| between_commas(&ids)),
        status: status.map(str::to_owned),
        campaign_ids: numbers(query, "campaign_id")?,
        payments_batch_ids: numbers(query, "payments_batch_id")?,
        due_period: due_period.map(str::to_owned),
        period_start_from: start_from.map(|at| at.0),
        period_start_to: start_to.map(|at| at.0 - 1),
        period_end_from: end_from.map(|at| at.0),
        period_end_to: end_to.map(|at| at.0 - 1),
        promoter_id: promoters.first().copied(),
        promoter_ids: query.search().map(|text| found(state, account, &text)),
        only_payable: only_payable == Some(true),
        ..PayoutShownFilter::default()
    };
    let order = match query.sorting()? {
        None => (PayoutOrder::CreatedAt, true),
        Some((name, direction)) => {
            let order = match name {
                "amount" => PayoutOrder::Amount,
                "period_start" => PayoutOrder::PeriodStart,
                _ => PayoutOrder::PeriodEnd,
            };
            (order, direction == Direction::Descending)
        }
    };
    Ok(Asked { filter, method: method.map(str::to_owned), order })
}

fn summed(query: &Query) -> Result<PayoutSummed, RewardsError> {
    let status = one_of("filters[status]", query.filter_or_plain("status")?, &STATUSES)?.map(str::to_owned);
    Ok(PayoutSummed { status, campaign_ids: numbers(query, "campaign_id")?, ..PayoutSummed::default() })
}

/// Only of promoters whose referrals are under such a suspicion, or under none.
async fn narrow_by_suspicion(
    state: &WebState,
    account: AccountId,
    query: &Query,
    filter: &mut PayoutShownFilter,
) -> Result<(), RewardsError> {
    let named = query.filter_list("fraud_suspicions");
    if named.is_empty() {
        return Ok(());
    }
    let fits = suspected(&named)?;
    let suspicions = state.app.suspicions(account).await?;
    let none = BTreeSet::new();
    let before = filter.promoter_ids.take();
    let partners = state.app.directory().partners(account);
    let fitting = partners.iter().filter(|partner| {
        let is_found = before.as_ref().is_none_or(|ids| ids.contains(&format!(",{},", partner.id)));
        is_found && fits(suspicions.get(&partner.id).unwrap_or(&none))
    });
    filter.promoter_ids = Some(between_commas(&fitting.map(|partner| partner.id.0).collect::<Vec<_>>()));
    Ok(())
}

/// The promoters in whose name or email a text in lower case is, as the store takes lists.
fn found(state: &WebState, account: AccountId, text: &str) -> String {
    let has = |part: &str| part.to_lowercase().contains(text);
    let partners = state.app.directory().partners(account);
    let fits = partners.iter().filter(|p| has(&p.row.name) || p.row.email.as_deref().is_some_and(has));
    between_commas(&fits.map(|partner| partner.id.0).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::money::Currency;

    #[test]
    fn two_units_are_never_added() {
        let unit = |code| Unit::Currency(Currency::parse(code).expect("a currency"));
        let amount = |text: &str| Decimal::parse(text).expect("a decimal");
        let of = |list: &[(&str, Unit)]| total(list.iter().map(|(text, unit)| (amount(text), *unit)));
        assert_eq!(of(&[]), json!(0));
        assert_eq!(of(&[("1.50", unit("USD")), ("2", unit("USD"))]), json!(350));
        assert_eq!(of(&[("1", unit("USD")), ("1", unit("EUR"))]), Value::Null);
        assert_eq!(of(&[("1", unit("USD")), ("1", Unit::Points)]), Value::Null);
    }
}
