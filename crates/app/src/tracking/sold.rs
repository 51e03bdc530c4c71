//! The sales of a referral and what was given back of them; a sale that was given back whole is one no more.

use super::{Outcome, SALE, SALE_REFUNDED};
use crate::app::App;
use crate::error::Error;
use crate::ingest::{FactKey, FactRecord, OnRepeat, Record, Recorded};
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{AccountId, CustomerId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_store::backend::Tx;
use headwater_store::referral::sales_of;
use headwater_store::settlement::Number;
use serde_json::Map;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A sale with what was given back of it.
#[derive(Debug, Clone)]
pub(super) struct Sold {
    pub key: String,
    /// The number of its first revision.
    pub first: i64,
    pub currency: Currency,
    pub amount: Decimal,
    pub refunded: Decimal,
    pub event: Option<FactBody>,
}

/// A fact as it stands: the number of its first revision, when it happened, and whether it is a refund that does not count.
struct Standing {
    first: i64,
    at: i64,
    body: FactBody,
    waits: bool,
}

impl Sold {
    /// What may still be given back.
    pub fn left(&self) -> Decimal {
        self.amount.checked_sub(self.refunded).unwrap_or(Decimal::ZERO)
    }
}

/// The latest sale in this currency that has so much left, else the latest that has anything.
pub(super) fn latest_that_fits(sales: &[Sold], amount: Decimal, currency: Currency) -> Option<&Sold> {
    let fits = |sold: &&Sold| sold.currency == currency && sold.left() > Decimal::ZERO;
    let all = || sales.iter().rev().filter(fits);
    all().find(|sold| sold.left() >= amount).or_else(|| all().next())
}

impl App {
    /// A sale that was given back whole earns nothing for being one, whatever came first and however close together its refunds
    /// came: its event says so from now on. It can be asked at any time, and changes nothing twice.
    pub(super) async fn take_back_whole(
        self: &Arc<Self>,
        account: AccountId,
        program: ProgramId,
        referral: CustomerId,
        customer: &str,
    ) -> Outcome<Vec<Recorded>> {
        let (sales, _) = self.sales(referral, "").await?;
        let whole = sales.into_iter().filter(|sold| sold.left() <= Decimal::ZERO);
        let records: Vec<_> = whole
            .filter_map(|sold| {
                let Some(FactBody::Event { event, amount, currency }) = sold.event else { return None };
                (event == SALE).then(|| {
                    Record::Fact(Box::new(FactRecord {
                        customer: customer.to_owned(),
                        key: FactKey::Own(sold.key),
                        revision: None,
                        at: None,
                        body: FactBody::Event { event: SALE_REFUNDED.into(), amount, currency },
                        attributes: Map::new(),
                        on_repeat: OnRepeat::Replace,
                    }))
                })
            })
            .collect();
        if records.is_empty() { Ok(Vec::new()) } else { self.record_tracked(account, program, records).await }
    }

    /// Whether the refunds that wait for a sale give back all of it once it is there. Such a sale never earns anything for
    /// being one: what would be posted with it is not posted, and need not be taken back.
    pub(super) async fn is_refunded_before(
        &self,
        referral: CustomerId,
        sale_key: &str,
        (amount, currency): (Decimal, Currency),
    ) -> Outcome<bool> {
        let standing = self.standing_sales(referral).await?;
        let refunds = standing.iter().filter_map(|((_, key), of)| match &of.body {
            FactBody::Refund { amount, sale, currency: paid_in } if sale == sale_key && *paid_in == currency => {
                Some((of.at, key, *amount))
            }
            _ => None,
        });
        let mut refunds: Vec<_> = refunds.collect();
        // One after the other, each that fits: as they are priced.
        refunds.sort_unstable();
        let left = refunds.into_iter().fold(amount, |left, (.., refund)| {
            left.checked_sub(refund).filter(|after| *after >= Decimal::ZERO).unwrap_or(left)
        });
        Ok(left == Decimal::ZERO)
    }

    /// The sales of a referral in the order of their first arrival, and whether it has a refund of this key.
    pub(super) async fn sales(&self, customer: CustomerId, refund_key: &str) -> Outcome<(Vec<Sold>, bool)> {
        let standing = self.standing_sales(customer).await?;
        let is_repeated = standing.contains_key(&("refund".to_owned(), refund_key.to_owned()));
        let mut sales = Vec::new();
        for ((_, key), of) in &standing {
            let FactBody::Sale { amount, currency, .. } = &of.body else { continue };
            // One that waits does not count, here as in what is paid.
            let refunds = standing.values().filter_map(|of| match &of.body {
                FactBody::Refund { amount, sale, .. } if sale == key && !of.waits => Some(*amount),
                _ => None,
            });
            let refunded = refunds.fold(Decimal::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(sum));
            let event = standing.get(&("event".to_owned(), key.clone())).map(|event| event.body.clone());
            sales.push(Sold {
                key: key.clone(),
                first: of.first,
                currency: *currency,
                amount: *amount,
                refunded,
                event,
            });
        }
        sales.sort_by_key(|sold| sold.first);
        Ok((sales, is_repeated))
    }

    /// The sales, refunds and events of a referral by type and key, each as it stands.
    async fn standing_sales(&self, customer: CustomerId) -> Outcome<BTreeMap<(String, String), Standing>> {
        let customers = [Number { id: customer.0 }];
        let rows = self.store.money.read(async move |tx: &Tx<'_>| sales_of(tx, &customers).await).await;
        let mut standing: BTreeMap<(String, String), Standing> = BTreeMap::new();
        for row in rows.map_err(Error::from)? {
            let value = serde_json::from_str(&row.body).unwrap_or_default();
            let Some(body) = FactBody::from_json(&row.kind, &value) else { continue };
            let name = (row.kind, row.fact_key);
            let first = standing.get(&name).map_or(row.id, |earlier| earlier.first);
            standing.insert(name, Standing { first, at: row.at, body, waits: row.waits });
        }
        Ok(standing)
    }
}
