//! The sales of a referral and what was given back of them; a sale that was given back whole is one no more.

use super::{Outcome, SALE, SALE_REFUNDED};
use crate::app::App;
use crate::error::Error;
use crate::ingest::{FactKey, FactRecord, OnRepeat, Record, Recorded};
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{AccountId, CustomerId, FactId, ProgramId};
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
    pub currency: Currency,
    pub amount: Decimal,
    pub refunded: Decimal,
    pub event: Option<FactBody>,
}

/// The sales of a referral.
#[derive(Debug)]
pub(super) struct Sales {
    /// In the order of their first arrival.
    pub sales: Vec<Sold>,
    /// The newest of its sales and refunds.
    pub last: Option<FactId>,
    /// Whether it has a refund of the key that was asked for.
    pub is_repeated: bool,
}

impl Sold {
    /// What may still be given back.
    pub fn left(&self) -> Decimal {
        self.amount.checked_sub(self.refunded).unwrap_or(Decimal::ZERO)
    }
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
        let Sales { sales, .. } = self.sales(referral, "").await?;
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
        if records.is_empty() { Ok(Vec::new()) } else { self.record_unasked(account, program, records).await }
    }

    /// The sales of a referral, and whether it has a refund of this key.
    pub(super) async fn sales(&self, customer: CustomerId, refund_key: &str) -> Outcome<Sales> {
        let customers = [Number { id: customer.0 }];
        let rows = self.store.money.read(async move |tx: &Tx<'_>| sales_of(tx, &customers).await).await;
        let mut standing: BTreeMap<(String, String), (i64, FactBody, bool)> = BTreeMap::new();
        let mut last = None;
        for row in rows.map_err(Error::from)? {
            if row.kind != "event" {
                last = last.max(Some(FactId(row.id)));
            }
            let value = serde_json::from_str(&row.body).unwrap_or_default();
            let Some(body) = FactBody::from_json(&row.kind, &value) else { continue };
            let first = standing.get(&(row.kind.clone(), row.fact_key.clone())).map_or(row.id, |(first, ..)| *first);
            standing.insert((row.kind, row.fact_key), (first, body, row.waits));
        }
        let is_repeated = standing.contains_key(&("refund".to_owned(), refund_key.to_owned()));
        let mut sales = Vec::new();
        for ((_, key), (first, body, _)) in &standing {
            let FactBody::Sale { amount, currency, .. } = body else { continue };
            // One that waits does not count, here as in what is paid.
            let refunds = standing.values().filter_map(|(_, body, waits)| match body {
                FactBody::Refund { amount, sale, .. } if sale == key && !waits => Some(*amount),
                _ => None,
            });
            let refunded = refunds.fold(Decimal::ZERO, |sum, amount| sum.checked_add(amount).unwrap_or(sum));
            let event = standing.get(&("event".to_owned(), key.clone())).map(|(_, body, _)| body.clone());
            sales.push((*first, Sold { key: key.clone(), currency: *currency, amount: *amount, refunded, event }));
        }
        sales.sort_by_key(|(first, _)| *first);
        let sales = sales.into_iter().map(|(_, sold)| sold).collect();
        Ok(Sales { sales, last, is_repeated })
    }
}
