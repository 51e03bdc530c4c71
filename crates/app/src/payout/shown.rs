//! Payouts as the rewards dialect shows them: one page of a list, and what they add up to.
//!
//! The same entity is in its webhooks (`announce`). Units are never added to one another: each figure is of one unit.

use super::payments::method_pair;
use crate::app::App;
use crate::commission::shown::Shown;
use crate::commission::shown::{campaign_named, currency_of, promoter_named};
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::ledger::moves::numbers;
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::postback::entity::{PayoutEntity, Recipient};
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::payout::{PayoutRow, payout_items};
pub use headwater_store::payout_shown::{PayoutGrouping, PayoutOrder, PayoutShownFilter, PayoutSummed};
use headwater_store::payout_shown::{payout_figures, payout_promoters, payouts_shown};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A payout is overdue this long after the end of its period.
const OVERDUE_SECONDS: i64 = 30 * 86_400;

/// What the payouts of one group and unit add up to.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the thing of its own name, or explained")]
pub struct PayoutSum {
    /// A status, a method, a month as `2026-02`, or a due period.
    pub group: String,
    pub unit: Unit,
    pub amount: Decimal,
    pub payouts: i64,
    /// Different promoters, each counted once.
    pub promoters: i64,
}

/// What payouts add up to.
#[derive(Debug, Clone, Default)]
pub struct PayoutSums {
    /// By group and unit.
    pub sums: Vec<PayoutSum>,
    /// Different promoters of each group, each counted once, whatever its units.
    pub promoters: BTreeMap<String, i64>,
}

impl App {
    /// One page of the payouts that fit, `page` counted from 1; without an order, newest first. `method` narrows to how the
    /// payee is paid, `not_set` to those that do not say.
    pub async fn payouts_shown(
        &self,
        account: AccountId,
        mut filter: PayoutShownFilter,
        method: Option<&str>,
        order: (PayoutOrder, bool),
        page: i64,
        per_page: i64,
    ) -> Result<Shown<PayoutEntity>> {
        filter.overdue_before = self.clock.now().plus_seconds(-OVERDUE_SECONDS).0;
        filter.method_pair = method.map(|method| method_pair(Some(method).filter(|method| *method != "not_set")));
        let offset = (page.max(1) - 1).saturating_mul(per_page);
        let list = async move |tx: &Tx<'_>| {
            let (total, rows) = payouts_shown(tx, account.0, &filter, order, per_page, offset).await?;
            let items = payout_items(tx, account.0, &numbers(rows.iter().map(|row| row.id))).await?;
            Ok((total, rows, items))
        };
        let (total, rows, items) = self.store.money.read(list).await?;
        let mut commissions: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (payout, commission) in items {
            commissions.entry(payout).or_default().push(commission);
        }
        let directory = self.directory();
        let entity = |row: &PayoutRow| payout_entity(&directory, row, commissions.remove(&row.id).unwrap_or_default());
        Ok(Shown { total, rows: rows.iter().map(entity).collect() })
    }

    /// A payout that is not hidden.
    pub async fn payout_shown(&self, account: AccountId, id: i64) -> Result<PayoutEntity> {
        let filter = PayoutShownFilter { ids: Some(format!(",{id},")), ..PayoutShownFilter::default() };
        let mut shown = self.payouts_shown(account, filter, None, (PayoutOrder::default(), true), 1, 1).await?;
        shown.rows.pop().ok_or(Error::NotFound("payout"))
    }

    /// What the payouts that fit add up to, by group and unit.
    pub async fn payout_sums(
        &self,
        account: AccountId,
        narrowed: PayoutSummed,
        grouping: PayoutGrouping,
    ) -> Result<PayoutSums> {
        let overdue_before = self.clock.now().plus_seconds(-OVERDUE_SECONDS).0;
        let read = async move |tx: &Tx<'_>| {
            let figures = payout_figures(tx, account.0, &narrowed, grouping, overdue_before).await?;
            Ok((figures, payout_promoters(tx, account.0, &narrowed, grouping, overdue_before).await?))
        };
        let (figures, counted) = self.store.money.read(read).await?;
        let directory = self.directory();
        let mut sums: BTreeMap<(String, Unit), PayoutSum> = BTreeMap::new();
        // Several settings are of one method, and several days of one month: one promoter may be in more than one of them.
        let gathers = matches!(grouping, PayoutGrouping::Settings | PayoutGrouping::PaidPeriod);
        let mut seen: BTreeMap<(String, Option<Unit>), BTreeSet<i64>> = BTreeMap::new();
        for row in figures {
            let currency = currency_of(&directory, account, ProgramId(row.program_id));
            let unit = Unit::parse(&row.unit, currency).unwrap_or(Unit::Currency(currency));
            let group = group_of(grouping, &row.kind);
            if gathers {
                seen.entry((group.clone(), Some(unit))).or_default().insert(row.promoter_id);
                seen.entry((group.clone(), None)).or_default().insert(row.promoter_id);
            }
            let nothing = PayoutSum { group: group.clone(), unit, amount: Decimal::ZERO, payouts: 0, promoters: 0 };
            let sum = sums.entry((group, unit)).or_insert(nothing);
            let amount = sum.amount.checked_add(Decimal(row.amount));
            sum.amount = amount.ok_or_else(|| {
                Error::Store(headwater_store::backend::Error::Abandoned("a sum of payouts leaves 64 bits".into()))
            })?;
            sum.payouts += row.payouts;
            sum.promoters += row.promoters;
        }
        let counted = counted.into_iter().filter(|_| !gathers);
        let mut promoters: BTreeMap<String, i64> = counted.map(|row| (row.kind, row.promoters)).collect();
        for ((group, unit), seen) in seen {
            let count = i64::try_from(seen.len()).unwrap_or(i64::MAX);
            match unit {
                None => drop(promoters.insert(group, count)),
                Some(unit) => {
                    if let Some(sum) = sums.get_mut(&(group, unit)) {
                        sum.promoters = count;
                    }
                }
            }
        }
        Ok(PayoutSums { sums: sums.into_values().collect(), promoters })
    }
}

/// The group that a kind of the store's belongs to.
fn group_of(grouping: PayoutGrouping, kind: &str) -> String {
    match grouping {
        PayoutGrouping::Settings => {
            let settings: Value = serde_json::from_str(kind).unwrap_or_default();
            settings["method"].as_str().unwrap_or("not_set").to_owned()
        }
        PayoutGrouping::PaidPeriod => kind.parse().map_or_else(
            |_| String::new(),
            |day: i64| Instant::from_seconds(day * 86_400).iso8601().chars().take(7).collect(),
        ),
        PayoutGrouping::Status | PayoutGrouping::DuePeriod => kind.to_owned(),
    }
}

/// A stored payout with what the configuration says of it.
pub(crate) fn payout_entity(directory: &Directory, row: &PayoutRow, commission_ids: Vec<i64>) -> PayoutEntity {
    let account = AccountId(row.account_id);
    let currency = currency_of(directory, account, ProgramId(row.program_id));
    let settings: Value = serde_json::from_str(&row.settings).unwrap_or_default();
    PayoutEntity {
        id: row.id,
        status: row.status.clone(),
        unit: Unit::parse(&row.unit, currency).unwrap_or(Unit::Currency(currency)),
        amount: Decimal(row.amount),
        payments_batch_id: row.payments_batch_id,
        period_start: Instant(row.period_start),
        period_end: Instant(row.until_at),
        paid_at: row.paid_at.map(Instant),
        processing_started_at: row.processing_started_at.map(Instant),
        failed_at: row.failed_at.map(Instant),
        error: row.error.clone(),
        created_at: Instant(row.created_at),
        method: settings["method"].as_str().map(str::to_owned),
        method_details: settings["details"].clone(),
        promoter: promoter_named(directory, account, row.partner_id.or(row.promoter_id)),
        campaign: campaign_named(directory, account, row.program_id),
        recipient: match (row.partner_id, row.customer_id) {
            (None, Some(customer)) => Recipient::Referral(customer),
            (partner, _) => Recipient::Promoter(partner.unwrap_or_default()),
        },
        commission_ids,
        has_issues: row.has_issues,
    }
}
