//! `/api/v2/company/commissions`: what was earned, listed and noted (`rewards-api.md` §3, §6).
//!
//! Leaves approving and fulfilling to `commission_actions`, and the JSON of a commission to the domain, which webhooks share.

use super::asked::{Address, Direction, Known, Query, number_in_path, one_of, yes_or_no};
use super::caller::with_rewards_key;
use super::page::{PER_PAGE, Page};
use super::problem::RewardsError;
use crate::body::{REFERRAL_BYTES_MAX, read};
use crate::json::field::{Fields, parse_object};
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::commission::shown::{ShownFilter, ShownOrder};
use headwater_domain::ids::CommissionId;
use headwater_domain::postback::entity::CommissionEntity;
use http::HeaderMap;
use serde_json::Value;

/// A note, in characters.
const NOTE_CHARS_MAX: usize = 2000;

const FILTERS: [&str; 15] = [
    "status",
    "unit",
    "paid",
    "fulfilled",
    "sale_amount..",
    "amount..",
    "created_at..",
    "campaign_id[]",
    "payout_id[]",
    "plan_id[]",
    "promoter_id",
    "due_period",
    "first_commission",
    "refunded",
    "fraud_check[]",
];
const FRAUD_CHECK: &str = "fraud_check";
const SORTINGS: [&str; 4] = ["sale_amount", "amount", "created_at", "referral"];
/// What the list reads, a partner's too.
pub(super) const KNOWN: Known<'static> =
    Known { filters: &FILTERS, flat: &["status", "unit"], sortings: &SORTINGS, has_ids: true, ..Known::NOTHING };
const STATUSES: [&str; 3] = ["pending", "approved", "denied"];
const UNITS: [&str; 6] = ["cash", "points", "credits", "free_months", "mon_discount", "discount_per"];
const FRAUD_CHECKS: [&str; 4] = ["no_suspicion", "same_ip_suspicion", "same_promoter_email", "ad_source"];
pub(super) const DUE_PERIODS: [&str; 3] = ["next", "overdue", "custom"];

/// List commissions
///
/// Newest first. `status` and `unit` are taken with and without `filters[…]`; an unknown filter or value is refused.
#[utoipa::path(get, path = "/api/v2/company/commissions", operation_id = "rewards_commission_list", tag = "Rewards",
    security(("rewards_key" = [])),
    params(
        ("status" = Option<String>, Query, description = "pending, approved or denied"),
        ("unit" = Option<String>, Query, description = "cash, points, credits, free_months, mon_discount or discount_per"),
        ("q" = Option<String>, Query, description = "In event id, and in email and uid of the referral"),
        ("ids[]" = Option<String>, Query, description = "These numbers; once for each"),
        ("filters[paid]" = Option<String>, Query, description = "yes or no; of money"),
        ("filters[fulfilled]" = Option<String>, Query, description = "yes or no; of rewards"),
        ("filters[sale_amount][from]" = Option<String>, Query, description = "And [to]; likewise amount"),
        ("filters[created_at][from]" = Option<String>, Query, description = "And [to]; a date or ISO 8601"),
        ("filters[campaign_id]" = Option<String>, Query, description = "One or several; likewise payout_id, plan_id"),
        ("filters[promoter_id]" = Option<String>, Query, description = "Of this promoter"),
        ("filters[due_period]" = Option<String>, Query, description = "next, overdue or custom"),
        ("filters[first_commission]" = Option<String>, Query, description = "true or false; likewise refunded"),
        ("filters[fraud_check]" = Option<String>, Query, description = "One or several"),
        ("sorting[created_at]" = Option<String>, Query, description = "asc or desc; likewise amount, sale_amount, referral"),
        ("page" = Option<String>, Query, description = "From 1"),
        ("per_page" = Option<String>, Query, description = "At most 100; 20"),
    ),
    responses((status = 200, description = "A page; totals are in headers", body = Value)))]
pub async fn list(State(state): State<WebState>, address: Address, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let query = Query::parse(&address.query, &KNOWN)?;
        let page = Page::parse(&query, PER_PAGE)?;
        let (filter, order) = (filter(&query)?, order(&query)?);
        let shown = state.app.commissions_shown(caller.account, filter, order, page.page, page.per_page).await?;
        let rows = shown.rows.iter().map(CommissionEntity::to_json).collect();
        Ok(page.answer(&address, rows, shown.total))
    })
}

/// Read a commission
#[utoipa::path(get, path = "/api/v2/company/commissions/{id}", operation_id = "rewards_commission_read", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "The commission's number")),
    responses((status = 200, description = "The commission", body = Value)))]
pub async fn get(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = CommissionId(number_in_path(&id, "commission")?);
        Ok(Json(state.app.commission_shown(caller.account, id).await?.to_json()).into_response())
    })
}

/// Note something on a commission
///
/// `internal_note` is seen by the team, `external_note` by the promoter; nothing else can be changed.
#[utoipa::path(put, path = "/api/v2/company/commissions/{id}", operation_id = "rewards_commission_note", tag = "Rewards",
    security(("rewards_key" = [])), params(("id" = String, Path, description = "The commission's number")), request_body = Value,
    responses((status = 200, description = "The commission as it is now", body = Value)))]
pub async fn put(State(state): State<WebState>, Path(id): Path<String>, headers: HeaderMap, body: Body) -> Response {
    with_rewards_key!(state, headers, |caller| {
        let id = CommissionId(number_in_path(&id, "commission")?);
        let body = read(&headers, body, REFERRAL_BYTES_MAX).await?;
        let fields = parse_object(&body)?;
        let (internal, external) = (note(&fields, "internal_note")?, note(&fields, "external_note")?);
        let commission = state.app.commission_notes_put(caller.account, id, internal, external).await?;
        Ok(Json(commission.to_json()).into_response())
    })
}

/// A note; `null` takes it away, as an empty one does.
fn note(fields: &Fields<'_>, name: &str) -> Result<Option<String>, RewardsError> {
    if fields.is_null(name) {
        return Ok(Some(String::new()));
    }
    Ok(fields.optional_lines(name, NOTE_CHARS_MAX)?)
}

pub(super) fn filter(query: &Query) -> Result<ShownFilter, RewardsError> {
    let (sale_amount_from, sale_amount_to) = query.filter_range("sale_amount")?;
    let (amount_from, amount_to) = query.filter_range("amount")?;
    let (from, to) = query.filter_period("created_at")?;
    let status = one_of("status", query.filter_or_plain("status")?, &STATUSES)?;
    let unit = one_of("unit", query.filter_or_plain("unit")?, &UNITS)?;
    let fraud_checks = query.filter_list(FRAUD_CHECK);
    for name in &fraud_checks {
        one_of("filters[fraud_check]", Some(name), &FRAUD_CHECKS)?;
    }
    let due_period = one_of("filters[due_period]", query.filter("due_period"), &DUE_PERIODS)?;
    let promoter = query.filter_numbers("promoter_id")?;
    let flag = |name: &str| yes_or_no(&format!("filters[{name}]"), query.filter(name));
    Ok(ShownFilter {
        status: status.map(str::to_owned),
        unit: unit.map(str::to_owned),
        ids: query.ids()?.map(|ids| between_commas(&ids)),
        part: query.search(),
        is_paid: flag("paid")?,
        is_fulfilled: flag("fulfilled")?,
        sale_amount_from,
        sale_amount_to,
        amount_from,
        amount_to,
        created_from: from.map(|at| at.0),
        // The last moment that is still in it.
        created_to: to.map(|at| at.0 - 1),
        campaign_ids: numbers(query, "campaign_id")?,
        payout_ids: numbers(query, "payout_id")?,
        plan_pairs: query
            .filter_list("plan_id")
            .into_iter()
            .map(|plan| format!("\"plan\":{}", Value::from(plan)))
            .collect(),
        promoter_id: promoter.first().copied(),
        due_period: due_period.map(str::to_owned),
        is_first: flag("first_commission")?,
        is_refunded: flag("refunded")?,
        fraud_checks: (!fraud_checks.is_empty()).then(|| between_commas(&fraud_checks)),
        ..ShownFilter::default()
    })
}

/// Several numbers of a filter, as the store takes lists.
pub(super) fn numbers(query: &Query, name: &str) -> Result<Option<String>, RewardsError> {
    let numbers = query.filter_numbers(name)?;
    Ok((!numbers.is_empty()).then(|| between_commas(&numbers)))
}

/// `,1,2,`, as the store takes lists.
pub(super) fn between_commas<T: ToString>(values: &[T]) -> String {
    values.iter().fold(",".to_owned(), |list, value| format!("{list}{},", value.to_string()))
}

pub(super) fn order(query: &Query) -> Result<(ShownOrder, bool), RewardsError> {
    let Some((name, direction)) = query.sorting()? else { return Ok((ShownOrder::CreatedAt, true)) };
    let order = match name {
        "sale_amount" => ShownOrder::SaleAmount,
        "amount" => ShownOrder::Amount,
        "referral" => ShownOrder::Referral,
        _ => ShownOrder::CreatedAt,
    };
    Ok((order, direction == Direction::Descending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_filter(text: &str) -> Result<ShownFilter, &'static str> {
        let query = Query::parse(text, &KNOWN).map_err(|error| error.code())?;
        filter(&query).map_err(|error| error.code())
    }

    #[test]
    fn both_spellings_mean_the_same() {
        for text in ["status=approved&unit=points", "filters[status]=approved&filters[unit]=points"] {
            let filter = read_filter(text).expect(text);
            assert_eq!(
                (filter.status.as_deref(), filter.unit.as_deref()),
                (Some("approved"), Some("points")),
                "{text}"
            );
        }
    }

    #[test]
    fn lists_and_bounds_are_read() {
        let filter = read_filter(
            "ids[]=7&ids[]=8&filters[campaign_id][]=1000&filters[payout_id]=9&filters[created_at][to]=2026-01-01\
             &filters[amount][from]=-5&filters[fulfilled]=no&filters[plan_id][]=pro&filters[plan_id][]=7&filters[fraud_check][]=ad_source",
        )
        .expect("a filter");
        assert_eq!((filter.ids.as_deref(), filter.campaign_ids.as_deref()), (Some(",7,8,"), Some(",1000,")));
        assert_eq!((filter.payout_ids.as_deref(), filter.amount_from), (Some(",9,"), Some(-5)));
        assert_eq!(filter.created_to, Some(1_767_312_000_000_000 - 1));
        assert_eq!(filter.is_fulfilled, Some(false));
        assert_eq!(filter.plan_pairs, ["\"plan\":\"pro\"", "\"plan\":\"7\""]);
        assert_eq!(filter.fraud_checks.as_deref(), Some(",ad_source,"));
    }

    #[test]
    fn an_unknown_filter_or_value_is_refused() {
        for text in [
            "status=paid",
            "filters[unit]=gold",
            "filters[paid]=maybe",
            "filters[colour]=red",
            "filters[due_period]=soon",
            "filters[fraud_check][]=none",
            "filters[campaign_id]=x",
            "filters[campaign_id][from]=1",
            "filters[status][]=approved&filters[status][]=denied",
            "filters[promoter_id][]=1&filters[promoter_id][]=2",
            "sorting[status]=asc",
        ] {
            assert_eq!(read_filter(text).expect_err(text), "invalid_params", "{text}");
        }
    }
}
