//! Refunds that are tracked: of which sale one is, and how much of it counts.
//!
//! Leaves what a refund takes back to the settlement. Invariant: what was chosen on sales that changed meanwhile is chosen anew.

use super::moved::Refunded;
use super::sold::latest_that_fits;
use super::{Attempt, Bought, Outcome, SALE_REFUNDED, TrackFailure, Tracked};
use crate::app::App;
use crate::ingest::{FactKey, FactRecord, OnRepeat, Record, RecordStatus, Recorded, Seen};
use headwater_domain::fact::FactBody;
use headwater_domain::ids::AccountId;
use headwater_domain::money::Decimal;
use serde_json::Map;
use std::sync::Arc;

impl App {
    /// A sale, or a part of it, is given back; `None` where nothing was done: there is no sale that it could be of, or the one
    /// that it names is not known yet, and it waits for it.
    pub async fn track_refund(self: &Arc<Self>, account: AccountId, bought: Bought) -> Outcome<Option<Tracked>> {
        if bought.named.is_blank() {
            return Err(TrackFailure::Blank);
        }
        let mut overtaken = None;
        loop {
            match self.refund_attempt(account, bought.clone(), overtaken.as_ref()).await? {
                Ok(tracked) => return Ok(tracked),
                Err(seen) => overtaken = Some(seen),
            }
        }
    }

    async fn refund_attempt(
        self: &Arc<Self>,
        account: AccountId,
        mut bought: Bought,
        overtaken: Option<&Seen>,
    ) -> Attempt<Option<Tracked>> {
        let Some(referral) = self.referral_named(account, None, &bought.named).await? else { return Ok(Ok(None)) };
        let line = self.line_of_known(account, Some(&referral)).await?;
        let Some(refunded) = self.refunded(account, &referral, line.as_ref(), &bought).await? else {
            return Ok(Ok(None));
        };
        let Refunded { id, program, customer, sales, last, is_repeated } = refunded;
        if is_repeated {
            // What the first time did not come to is done now.
            self.take_back_whole(account, program, id, &customer).await?;
            self.follow_of(account, line.as_ref(), id).await?;
            return Err(TrackFailure::Repeated);
        }
        let named = bought.sale_event_id.as_ref().and_then(|key| sales.iter().find(|sold| sold.key == *key));
        // Of a sale that is named, the currency is known.
        bought.currency = bought.currency.or(named.map(|sold| sold.currency));
        let (mut amount, currency) = self.amount_of(account, program, &bought)?;
        if named.is_some_and(|sold| sold.currency != currency) {
            return Err(TrackFailure::Currency);
        }
        let of = if bought.sale_event_id.is_some() { named } else { latest_that_fits(&sales, amount, currency) };
        // A sale that is named and not known may still arrive; what is given back waits for it.
        let Some(key) = of.map(|sold| sold.key.clone()).or_else(|| bought.sale_event_id.clone()) else {
            return Ok(Ok(None));
        };
        if let Some(sold) = of {
            if sold.left() <= Decimal::ZERO {
                return Ok(Ok(None));
            }
            // A refund above what is left would be held, and its rewards taken back all the same: it is the rest of the sale.
            amount = amount.min(sold.left());
        }
        let record = |key: &str, body: FactBody, on_repeat| {
            let attributes = if on_repeat == OnRepeat::Refuse { bought.attributes.clone() } else { Map::new() };
            let (customer, key) = (customer.clone(), FactKey::Own(key.to_owned()));
            Record::Fact(Box::new(FactRecord { customer, key, revision: None, at: None, body, attributes, on_repeat }))
        };
        let body = FactBody::Refund { amount, currency, sale: key.clone() };
        let mut records = vec![record(&bought.event_id, body, OnRepeat::Refuse)];
        if let Some(sold) = of
            && sold.left() <= amount
            && let Some(FactBody::Event { amount, currency, .. }) = &sold.event
        {
            let body = FactBody::Event { event: SALE_REFUNDED.into(), amount: *amount, currency: *currency };
            records.push(record(&key, body, OnRepeat::Replace));
        }
        let is_told_whole = records.len() > 1;
        // Of which sale it is, and how much of it counts, was chosen on what was given back so far.
        let seen = Seen::Sales(id, last);
        let mut recorded = match self.record_tracked(account, program, records, seen, overtaken).await? {
            Ok(recorded) => recorded,
            Err(seen) => return Ok(Err(seen)),
        };
        if recorded.first().is_none_or(|refund| refund.status != RecordStatus::Created) {
            return Err(TrackFailure::Repeated);
        }
        if of.is_some() && !is_told_whole {
            // Refunds that come at once may be the whole sale together, though none of them saw it.
            recorded.extend(self.take_back_whole(account, program, id, &customer).await?);
        }
        self.follow_of(account, line.as_ref(), id).await?;
        let Some(refund) = recorded.first() else { return Ok(Ok(None)) };
        let facts: Vec<&Recorded> = recorded.iter().collect();
        let told =
            self.told(account, refund.customer, &facts, self.clock.now(), Some((&bought, amount, currency))).await?;
        Ok(Ok(Some(told).filter(|told| of.is_some() || !told.commissions.is_empty())))
    }
}
