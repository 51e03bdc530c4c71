//! Payouts: a run that makes them, reading them, and what became of each; how partners want to be paid.
//!
//! A run is one transaction per partner and unit: one that is cut short has made whole payouts, and the next run makes
//! the others. Amounts stay in `payable` until a payout is completed: a debt is one until it is paid.

use crate::app::App;
use crate::error::{Error, Result};
use crate::ledger::book::{Booking, book};
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::ledger::{AccountName, Owner, Transfer};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::payout::{PayoutSettings, PayoutStatus, is_paid};
use headwater_domain::time::Instant;
use headwater_store::audit::{AuditRow, audit_insert};
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::payout::{
    PayoutClaim, commissions_take, due_list, partner_payout, partner_payout_put, payout_by_id, payout_commissions,
    payout_finish, payout_insert, payout_list, payout_release,
};
pub use headwater_store::payout::{PayoutFilter, PayoutRow};
use headwater_store::settlement::Number;
use serde_json::json;
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
            let refused = if Currency::parse(&row.unit).is_none() {
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
        let (settings, actor) = (paid_by.to_json().to_string(), actor.to_owned());
        let made = self.store.money.write(async move |tx| {
            let taken = commissions_take(tx, &claim).await?;
            let sum = taken.iter().try_fold(Decimal::ZERO, |sum, row| sum.checked_add(Decimal(row.amount)));
            let amount = sum.ok_or_else(|| abandoned("what is due to a partner leaves 64 bits"))?;
            if !is_paid(amount, minimum) {
                // The transaction is given up, and with it the claim.
                let reason = if amount > Decimal::ZERO { BELOW_MINIMUM } else { NOTHING_DUE };
                return Err(abandoned(&format!("{reason}{}", amount.0)));
            }
            let payout = PayoutRow {
                id: app.next_id(now),
                account_id: claim.account_id,
                program_id: claim.program_id,
                partner_id: claim.partner_id,
                unit: claim.unit.clone(),
                amount: amount.0,
                commissions: i64::try_from(taken.len()).expect("a store holds fewer rows"),
                status: PayoutStatus::Pending.name().into(),
                settings: settings.clone(),
                until_at: claim.until_at,
                error: None,
                created_at: now.0,
                finished_at: None,
            };
            let numbers: Vec<_> = taken.iter().map(|row| Number { id: row.id }).collect();
            payout_insert(tx, &payout, &numbers).await?;
            audit_insert(tx, &[deed(&app, &payout, &actor, None, now)]).await?;
            Ok(payout)
        });
        match made.await {
            Ok(payout) => Ok(Ok(payout)),
            Err(headwater_store::backend::Error::Abandoned(text)) => match not_paid(&text) {
                Some(skipped) => Ok(Err(skipped)),
                None => Err(Error::Store(headwater_store::backend::Error::Abandoned(text))),
            },
            Err(error) => Err(error.into()),
        }
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
            let commissions = payout_commissions(tx, id).await?.into_iter().map(|(id,)| id).collect();
            Ok(Some(PayoutStory { payout, commissions }))
        };
        self.store.money.read(story).await?.ok_or(Error::NotFound("payout"))
    }

    /// Says what became of a payout. Said twice alike, the second time changes nothing.
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
            let moved = payout_finish(tx, account.0, id, status.name(), error.as_deref(), now.0).await?;
            let Some(payout) = payout_by_id(tx, account.0, id).await? else { return Ok(None) };
            if moved {
                finished(tx, &app, &payout, status, &actor, now).await?;
            }
            Ok(Some(payout))
        };
        let payout = self.store.money.write(finish).await?.ok_or(Error::NotFound("payout"))?;
        if payout.status == status.name() {
            return Ok(payout);
        }
        Err(Error::Conflict {
            code: "payout_not_pending",
            param: None,
            message: format!("The payout is {}: that does not change any more.", payout.status),
        })
    }

    /// How a partner is paid.
    pub async fn partner_payout(&self, account: AccountId, partner: PartnerId) -> Result<PayoutSettings> {
        let stored = async move |tx: &Tx<'_>| partner_payout(tx, account.0, partner.0).await;
        let Some(text) = self.store.money.read(stored).await? else { return Ok(PayoutSettings::default()) };
        let value = serde_json::from_str(&text).map_err(|error| error.to_string());
        let settings = value.and_then(|value| PayoutSettings::from_json(&value).map_err(|error| error.to_string()));
        settings.map_err(|error| Error::Store(abandoned(&format!("a stored payout setting cannot be read: {error}"))))
    }

    /// Sets how a partner is paid.
    pub async fn partner_payout_put(
        &self,
        account: AccountId,
        partner: PartnerId,
        settings: &PayoutSettings,
    ) -> Result<()> {
        let text = settings.to_json().to_string();
        let put = async move |tx: &Tx<'_>| partner_payout_put(tx, account.0, partner.0, &text).await;
        Ok(self.store.money.write(put).await?)
    }
}

const BELOW_MINIMUM: &str = "below the minimum: ";
const NOTHING_DUE: &str = "nothing is due: ";

fn abandoned(text: &str) -> headwater_store::backend::Error {
    headwater_store::backend::Error::Abandoned(text.to_owned())
}

/// What a claim was given up for.
fn not_paid(text: &str) -> Option<(&'static str, Decimal)> {
    let reasons = [(BELOW_MINIMUM, "below_minimum"), (NOTHING_DUE, "nothing_due")];
    reasons.iter().find_map(|(words, reason)| {
        let amount = text.strip_prefix(words)?.parse().ok()?;
        Some((*reason, Decimal(amount)))
    })
}

fn deed(app: &App, payout: &PayoutRow, actor: &str, error: Option<&str>, now: Instant) -> AuditRow {
    AuditRow {
        id: app.next_id(now),
        account_id: payout.account_id,
        at: now.0,
        actor: actor.to_owned(),
        action: format!("payout.{}", payout.status),
        object: format!("payout:{}", payout.id),
        detail: json!({"amount": Decimal(payout.amount).to_string(), "unit": payout.unit, "error": error}).to_string(),
    }
}

/// What the end of a payout changes: its commissions, and the books where it was paid.
async fn finished(
    tx: &Tx<'_>,
    app: &App,
    payout: &PayoutRow,
    status: PayoutStatus,
    actor: &str,
    now: Instant,
) -> StoreResult<()> {
    let is_paid = status == PayoutStatus::Completed;
    payout_release(tx, payout.id, if is_paid { "paid" } else { "approved" }, payout.commissions).await?;
    if is_paid {
        let payee = Owner::Partner(PartnerId(payout.partner_id));
        let accounts = (AccountName::Payable, AccountName::Paid);
        let booking = Booking {
            account_id: payout.account_id,
            program_id: payout.program_id,
            unit: payout.unit.clone(),
            transfer: Transfer::between(payee, accounts, Decimal(payout.amount)),
            commission: None,
            payout: Some(payout.id),
        };
        book(tx, app, &[booking], now).await?;
    }
    audit_insert(tx, &[deed(app, payout, actor, payout.error.as_deref(), now)]).await
}
