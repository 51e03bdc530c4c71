//! What is tracked of a referral that was moved from campaign to campaign: whose it is among its customers.
//!
//! Leaves bringing it along to `referral::line`. Invariants: a sale is of the customer that stood for the human at its date, and its refund is
//! of the same one; a key that any of them used is a repeat for all of them.

use super::sold::{Sold, latest_that_fits};
use super::{Bought, Outcome, TrackFailure};
use crate::app::App;
use crate::referral::Referral;
use crate::referral::line::Line;
use headwater_domain::ids::{AccountId, CustomerId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_store::referral_move::LineRow;
use std::sync::Arc;

/// Whose a sale is, and when it was.
pub(super) struct Owner {
    pub id: CustomerId,
    pub program: ProgramId,
    /// The caller's id of the customer in that program.
    pub customer: String,
    pub at: Option<Instant>,
}

/// Of whose sale something is given back, and its sales.
pub(super) struct Refunded {
    pub id: CustomerId,
    pub program: ProgramId,
    pub customer: String,
    pub sales: Vec<Sold>,
    pub is_repeated: bool,
}

impl Refunded {
    /// The sale that the refund names, or the one that it would be of.
    fn sale(&self, bought: &Bought, asked: Option<(Decimal, Currency)>) -> Option<&Sold> {
        match (&bought.sale_event_id, asked) {
            (Some(key), _) => self.sales.iter().find(|sold| sold.key == *key),
            (None, Some((amount, currency))) => latest_that_fits(&self.sales, amount, currency),
            (None, None) => None,
        }
    }
}

impl App {
    /// The line of a referral that is known; `None` where it was never moved.
    pub(super) async fn line_of_known(&self, account: AccountId, known: Option<&Referral>) -> Outcome<Option<Line>> {
        match known {
            Some(known) => Ok(self.line(account, known.id()).await?),
            None => Ok(None),
        }
    }

    /// Whether the human has signed up in any of its campaigns.
    pub(super) async fn has_signed_up(&self, account: AccountId, line: &Line) -> Outcome<bool> {
        for row in line.customers().values() {
            let key = format!("signup:{}", row.external_id.as_deref().unwrap_or_default());
            if self.line_knows(account, line, "event", &key).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whose a sale is. One without a date is of now, and so of the one that stands for the human.
    ///
    /// # Errors
    /// [`TrackFailure::Repeated`] where any of its customers has a sale of this key.
    pub(super) async fn owner_of_sale(
        self: &Arc<Self>,
        account: AccountId,
        line: &Line,
        bought: &Bought,
        now: Instant,
    ) -> Outcome<Owner> {
        let owner = match bought.at {
            Some(at) => line.at(at),
            None => line.current(),
        };
        if self.line_knows(account, line, "sale", &bought.event_id).await? {
            // What the first time did not come to is done now.
            self.line_follow(account, CustomerId(owner.customer_id)).await?;
            return Err(TrackFailure::Repeated);
        }
        // The move may be of this very moment; what is sold after it is after it.
        let at = bought.at.or_else(|| (line.since() >= now).then(|| line.since()));
        let customer = owner.external_id.clone().ok_or(TrackFailure::UnknownReferral)?;
        Ok(Owner { id: CustomerId(owner.customer_id), program: ProgramId(owner.program_id), customer, at })
    }

    /// Of whose sale something is given back: the customer that has it, of those that stood for the human; `None` where the referral has no
    /// sales of its own.
    pub(super) async fn refunded(
        &self,
        account: AccountId,
        referral: &Referral,
        line: Option<&Line>,
        bought: &Bought,
    ) -> Outcome<Option<Refunded>> {
        let Some(line) = line else {
            let Some(customer) = referral.row.external_id.clone() else { return Ok(None) };
            let (sales, is_repeated) = self.sales(referral.id(), &bought.event_id).await?;
            let (id, program) = (referral.id(), ProgramId(referral.row.program_id));
            return Ok(Some(Refunded { id, program, customer, sales, is_repeated }));
        };
        let mut all: Vec<Refunded> = Vec::new();
        // The one that stands for the human now comes first.
        let current = line.current();
        let others = line.customers().into_values().filter(|row| row.customer_id != current.customer_id);
        let rows: Vec<&LineRow> = std::iter::once(current).chain(others).collect();
        for row in rows {
            let Some(customer) = row.external_id.clone() else { continue };
            let id = CustomerId(row.customer_id);
            let (sales, is_repeated) = self.sales(id, &bought.event_id).await?;
            all.push(Refunded { id, program: ProgramId(row.program_id), customer, sales, is_repeated });
        }
        if let Some(place) = all.iter().position(|refunded| refunded.is_repeated) {
            return Ok(Some(all.swap_remove(place)));
        }
        // Of several that could be meant, the latest sale.
        let mut best: Option<(i64, usize)> = None;
        for (place, refunded) in all.iter().enumerate() {
            let asked = if bought.sale_event_id.is_none() {
                Some(self.amount_of(account, refunded.program, bought)?)
            } else {
                None
            };
            if let Some(sold) = refunded.sale(bought, asked)
                && best.is_none_or(|(first, _)| sold.first > first)
            {
                best = Some((sold.first, place));
            }
        }
        let place = best.map_or(0, |(_, place)| place);
        Ok((!all.is_empty()).then(|| all.swap_remove(place)))
    }

    /// Tells the others of the line what was given back: its sale may be of before any of the moves.
    pub(super) async fn follow_of(
        self: &Arc<Self>,
        account: AccountId,
        line: Option<&Line>,
        customer: CustomerId,
    ) -> Outcome<()> {
        if line.is_some() {
            self.line_follow(account, customer).await?;
        }
        Ok(())
    }
}
