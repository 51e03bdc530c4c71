//! Payouts: a run that makes them, reading them, and what became of each; how partners want to be paid.
//!
//! A run is one transaction per partner and unit: one that is cut short has made whole payouts, and the next run makes
//! the others. Amounts stay in `payable` until a payout is completed: a debt is one until it is paid.

pub mod payments;
pub mod shown;
mod statement;

use crate::announce::{Told, announce};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ledger::moves::{Moves, given_up, numbers};
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::ledger::Stage;
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::payout::{PayoutOrigin, PayoutSettings, PayoutStatus, is_paid};
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::payout::{
    PayoutClaim, due_ids, due_list, partner_payout, partner_payout_put, payout_by_id, payout_items, payout_list,
};
pub use headwater_store::payout::{PayoutFilter, PayoutRow};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Somebody to whom something is due, and who gets no payout in this run.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in management.md")]
pub struct Skipped {
    pub partner: PartnerId,
    pub unit: String,
    pub amount: Decimal,
    /// `below_minimum`, `nothing_due`, `partner_suspended`, `reward_unit`.
    pub reason: &'static str,
}

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct PayoutRun {
    /// The payouts that it made.
    pub made: Vec<PayoutRow>,
    /// Those to whom something is due, and the reason why they get no payout.
    pub skipped: Vec<Skipped>,
}

/// A payout and the numbers of its commissions.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the thing of its own name")]
pub struct PayoutStory {
    pub payout: PayoutRow,
    pub commissions: Vec<i64>,
}

impl App {
    /// Makes one payout per partner and unit of what fell due up to `until`, where it reaches the minimum.
    pub async fn payout_run(
        self: &Arc<Self>,
        account: AccountId,
        program: ProgramId,
        until: Instant,
        actor: &str,
    ) -> Result<PayoutRun> {
        let settings = self.program_read(account, program)?.settings.clone();
        self.fall_due(Some(account)).await?;
        let now = self.clock.now();
        let until = until.min(now);
        let due = self.store.money.read(async move |tx| due_list(tx, account.0, program.0, until.0).await).await?;
        let mut run = PayoutRun::default();
        for row in due {
            let partner = PartnerId(row.partner_id);
            let paid_by = self.partner_payout(account, partner).await?;
            // Both are in the program's currency: what is due in another one has no minimum.
            let minimum = paid_by.minimum.or(settings.payout_minimum).filter(|_| row.unit == settings.currency);
            let suspended =
                self.directory().partner_by_id(account, partner).is_none_or(|known| known.is_suspended_at(now));
            let refused = if !Unit::is_money_name(&row.unit) {
                Some("reward_unit")
            } else if suspended {
                Some("partner_suspended")
            } else {
                None
            };
            let claim = PayoutClaim {
                account_id: account.0,
                program_id: program.0,
                partner_id: row.partner_id,
                unit: row.unit.clone(),
                until_at: until.0,
            };
            let made = match refused {
                Some(reason) => Err((reason, Decimal(row.amount))),
                None => self.payout_make(claim, &paid_by, minimum, actor, now).await?,
            };
            match made {
                Ok(payout) => run.made.push(payout),
                Err((reason, amount)) => run.skipped.push(Skipped { partner, unit: row.unit, amount, reason }),
            }
        }
        Ok(run)
    }

    /// One payout, or the reason why there is none and what is due.
    async fn payout_make(
        self: &Arc<Self>,
        claim: PayoutClaim,
        paid_by: &PayoutSettings,
        minimum: Option<Decimal>,
        actor: &str,
        now: Instant,
    ) -> Result<Result<PayoutRow, (&'static str, Decimal)>> {
        let app = Arc::clone(self);
        let (settings, actor) = (paid_by.clone(), actor.to_owned());
        let made = self.store.money.write(async move |tx| {
            let mut due: Vec<i64> = due_ids(tx, &claim).await?.into_iter().map(|row| row.id).collect();
            let mut moves = Moves::new(&app, Some(&actor), now);
            moves.load(tx, claim.account_id, &due.iter().copied().collect()).await?;
            // What was denied or paid meanwhile is somebody else's.
            due.retain(|id| {
                let is_free = moves.commission(*id).is_some_and(|row| row.payout_id.is_none());
                is_free && moves.stage(*id) == Ok(Stage::Payable)
            });
            let amounts = due.iter().filter_map(|id| moves.commission(*id)).map(|row| Decimal(row.amount));
            let mut amounts = amounts.collect::<Vec<_>>().into_iter();
            let sum = amounts.try_fold(Decimal::ZERO, Decimal::checked_add);
            let amount = sum.ok_or_else(|| abandoned("what is due to a partner leaves 64 bits"))?;
            if !is_paid(amount, minimum) {
                let reason = if amount > Decimal::ZERO { "below_minimum" } else { "nothing_due" };
                return Ok((Err((reason, amount)), false));
            }
            let id = moves.issue(&due, PayoutOrigin::Run, &settings, Instant(claim.until_at)).map_err(given_up)?;
            let payout = moves.payout(id).cloned().expect("it was just issued");
            Ok((Ok(payout), moves.write(tx).await?))
        });
        let (made, delivers) = made.await?;
        if delivers {
            self.outbox.ring();
        }
        Ok(made)
    }

    /// At most `limit` payouts, newest first, after the payout `before_id` of the filter.
    pub async fn payout_list(&self, account: AccountId, filter: PayoutFilter, limit: i64) -> Result<Vec<PayoutRow>> {
        let list = async move |tx: &Tx<'_>| {
            if let Some(after) = filter.before_id
                && payout_by_id(tx, account.0, after).await?.is_none()
            {
                return Ok(None);
            }
            payout_list(tx, account.0, &filter, limit).await.map(Some)
        };
        self.store.money.read(list).await?.ok_or(Error::UnknownCursor)
    }

    /// A payout of this account with the numbers of its commissions.
    pub async fn payout_read(&self, account: AccountId, id: i64) -> Result<PayoutStory> {
        let story = async move |tx: &Tx<'_>| {
            let Some(payout) = payout_by_id(tx, account.0, id).await? else { return Ok(None) };
            let items = payout_items(tx, account.0, &numbers([id])).await?;
            let commissions = items.into_iter().map(|(_, commission)| commission).collect();
            Ok(Some(PayoutStory { payout, commissions }))
        };
        self.store.money.read(story).await?.ok_or(Error::NotFound("payout"))
    }

    /// Says what became of a payout. Said twice alike, the second time changes nothing. One that failed was sent before.
    pub async fn payout_finish(
        self: &Arc<Self>,
        account: AccountId,
        id: i64,
        status: PayoutStatus,
        error: Option<String>,
        actor: &str,
    ) -> Result<PayoutRow> {
        let app = Arc::clone(self);
        let (now, actor) = (self.clock.now(), actor.to_owned());
        let finish = async move |tx: &Tx<'_>| {
            let mut moves = Moves::new(&app, Some(&actor), now);
            moves.load_payouts(tx, account.0, &BTreeSet::from([id])).await?;
            let Some(payout) = moves.payout(id) else { return Ok(None) };
            if status == PayoutStatus::Failed && payout.status == PayoutStatus::Pending.name() {
                moves.payout_move(id, PayoutStatus::Processing, None).map_err(given_up)?;
            }
            let done = moves.payout_move(id, status, error.as_deref());
            let payout = moves.payout(id).cloned().expect("it was just found");
            Ok(Some(match done {
                Ok(_) => (Ok(payout), moves.write(tx).await?),
                Err(refusal) => (Err(refusal), false),
            }))
        };
        let (payout, delivers) = self.store.money.write(finish).await?.ok_or(Error::NotFound("payout"))?;
        if delivers {
            self.outbox.ring();
        }
        payout.map_err(|(code, message)| Error::Conflict { code, param: None, message })
    }

    /// How a partner is paid.
    pub async fn partner_payout(&self, account: AccountId, partner: PartnerId) -> Result<PayoutSettings> {
        let stored = async move |tx: &Tx<'_>| partner_payout(tx, account.0, partner.0).await;
        let Some(text) = self.store.money.read(stored).await? else { return Ok(PayoutSettings::default()) };
        let value = serde_json::from_str(&text).map_err(|error| error.to_string());
        let settings = value.and_then(|value| PayoutSettings::from_json(&value).map_err(|error| error.to_string()));
        settings.map_err(|error| Error::Store(abandoned(&format!("a stored payout setting cannot be read: {error}"))))
    }

    /// Sets how a partner is paid, and tells of it.
    pub async fn partner_payout_put(
        self: &Arc<Self>,
        account: AccountId,
        partner: PartnerId,
        settings: &PayoutSettings,
    ) -> Result<()> {
        let text = settings.to_json().to_string();
        let (app, next, now) = (Arc::clone(self), settings.clone(), self.clock.now());
        let put = async move |tx: &Tx<'_>| {
            let before = partner_payout(tx, account.0, partner.0).await?;
            partner_payout_put(tx, account.0, partner.0, &text).await?;
            let before = before.and_then(|text| serde_json::from_str(&text).ok());
            let before = before.and_then(|value| PayoutSettings::from_json(&value).ok()).unwrap_or_default();
            let Some(told) = method_told(&app, account, partner, &before, &next) else { return Ok(false) };
            announce(tx, &app, &[told], now).await
        };
        if self.store.money.write(put).await? {
            self.outbox.ring();
        }
        Ok(())
    }
}

/// What webhooks hear of the one payout method of a partner; nothing where it stays as it is.
fn method_told(
    app: &App,
    account: AccountId,
    partner: PartnerId,
    before: &PayoutSettings,
    next: &PayoutSettings,
) -> Option<Told> {
    let name = match (&before.method, &next.method) {
        (None, Some(_)) => "created",
        (Some(_), None) => "deleted",
        (Some(_), Some(_)) if (&before.method, &before.details) != (&next.method, &next.details) => "updated",
        _ => return None,
    };
    let directory = app.directory();
    let found = directory.partner_by_id(account, partner)?;
    let shown = if next.method.is_some() { next } else { before };
    let data = json!({
        "id": partner.0, "method": shown.method, "date_added": Instant(found.row.created_at).iso8601(), "is_disabled": false,
        "meta": {}, "is_selected": true, "details": shown.details, "managed_payouts": false,
        "promoter": {"id": partner.0, "email": found.row.email, "name": found.row.name},
    });
    let changes = if name == "updated" { json!({"method": [before.method, next.method]}) } else { json!({}) };
    Some(Told::other(account, None, "payout_method", partner.0, data, vec![(name, changes)]))
}

fn abandoned(text: &str) -> headwater_store::backend::Error {
    headwater_store::backend::Error::Abandoned(text.to_owned())
}
