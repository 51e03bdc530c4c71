//! Payments: payouts of one method that are sent together, confirmed, and end when the last of their payouts does.
//!
//! Nothing is sent from here: an operator sends, with the file of `payments_file`, and says what became of each payout.
//! Invariant: payments stand where their payouts do, in the same transaction (`follow`).

use crate::announce::{Subject, Told};
use crate::app::App;
use crate::csv;
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::ledger::moves::{Moves, given_up, numbers};
use headwater_domain::ids::AccountId;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::payout::PayoutStatus;
use headwater_domain::time::Instant;
use headwater_store::audit::{AuditRow, audit_insert};
use headwater_store::backend::{Error as StoreError, Result as StoreResult, Tx};
use headwater_store::payout::{PayoutRow, payouts_lock};
pub use headwater_store::payout_shown::PaymentsBatchRow;
use headwater_store::payout_shown::{
    PaymentsPut, PayoutSent, payments_delete, payments_insert, payments_list, payments_move, payments_standing,
    payouts_of_payments, payouts_send, payouts_sendable,
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// By which methods payments can be made.
pub const METHODS: [&str; 5] = ["paypal", "bank", "wise", "crypto", "dots"];
const AWAITING: &str = "awaiting_confirmation";

/// Payments and what they send.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the thing of its own name")]
pub struct Payments {
    pub batch: PaymentsBatchRow,
    pub payouts: Vec<PayoutRow>,
}

impl App {
    /// Gathers every pending payout of money whose payee is paid by this method.
    pub async fn payments_create(
        self: &Arc<Self>,
        account: AccountId,
        method: &str,
        actor: &str,
        keep: Keep<Payments>,
    ) -> Result<Payments> {
        if !METHODS.contains(&method) {
            return Err(Error::invalid("method", format!("must be one of {}", METHODS.join(", "))));
        }
        let now = self.clock.now();
        let (app, method, actor) = (Arc::clone(self), method.to_owned(), actor.to_owned());
        let pair = method_pair(Some(&method));
        let create = async move |tx: &Tx<'_>| {
            let payouts = payouts_sendable(tx, account.0, &pair).await?;
            if payouts.is_empty() {
                return Ok(None);
            }
            let row = PaymentsBatchRow {
                id: app.next_id(now),
                account_id: account.0,
                method: method.clone(),
                status: AWAITING.into(),
                payouts: i64::try_from(payouts.len()).expect("a store holds fewer rows"),
                error: None,
                created_at: now.0,
                processing_started_at: None,
                completed_at: None,
            };
            payments_insert(tx, &row).await?;
            let sent = payouts.into_iter().map(|payout| PayoutSent {
                account_id: account.0,
                id: payout.id,
                was: None,
                next: Some(row.id),
                settings: Some(payout.settings),
            });
            payouts_send(tx, &sent.collect::<Vec<_>>()).await?;
            audit_insert(tx, &[deed(&app, &row, "created", &actor, now)]).await?;
            let told = told(&row, "created", None);
            let payouts = payouts_of_payments(tx, account.0, row.id).await?;
            let made = Payments { batch: row, payouts };
            keep.keep(tx, &made).await?;
            Ok(Some((made, crate::announce::announce(tx, &app, &[told], now).await?)))
        };
        let made = self.store.money.write(create).await?;
        let nobody = || Error::invalid("method", "pays nobody now: there is no pending payout of money by this method");
        let (made, delivers) = made.ok_or_else(nobody)?;
        if delivers {
            self.outbox.ring();
        }
        Ok(made)
    }

    /// Payments of this account with what they send.
    pub async fn payments_read(&self, account: AccountId, id: i64) -> Result<Payments> {
        let read = async move |tx: &Tx<'_>| {
            let Some(batch) = payments_list(tx, account.0, Some(id), 1).await?.pop() else { return Ok(None) };
            Ok(Some(Payments { batch, payouts: payouts_of_payments(tx, account.0, id).await? }))
        };
        self.store.money.read(read).await?.ok_or(Error::NotFound("payments batch"))
    }

    /// Confirms payments: their payouts are under way.
    pub async fn payments_pay(self: &Arc<Self>, account: AccountId, id: i64, actor: &str) -> Result<Payments> {
        let now = self.clock.now();
        let (app, actor) = (Arc::clone(self), actor.to_owned());
        let pay = async move |tx: &Tx<'_>| {
            let Some(batch) = payments_list(tx, account.0, Some(id), 1).await?.pop() else { return Ok(None) };
            if batch.status != AWAITING {
                return Ok(Some((batch.status != "failed", false)));
            }
            let payouts: Vec<i64> = payouts_of_payments(tx, account.0, id).await?.iter().map(|row| row.id).collect();
            let mut moves = Moves::new(&app, Some(&actor), now);
            moves.load_payouts(tx, account.0, &payouts.iter().copied().collect()).await?;
            // What was cancelled or failed before is not sent with the others.
            let mut sent = 0;
            for payout in payouts {
                let Some(row) = moves.payout(payout).filter(|row| row.payments_batch_id == Some(id)) else { continue };
                let status = PayoutStatus::parse(&row.status);
                sent += i64::from(status.is_some_and(PayoutStatus::is_live));
                if status == Some(PayoutStatus::Pending) {
                    moves.payout_move(payout, PayoutStatus::Processing, None).map_err(given_up)?;
                }
            }
            let put = PaymentsPut {
                account_id: account.0,
                id,
                was: AWAITING.into(),
                status: "processing".into(),
                payouts: sent,
                error: None,
                processing_started_at: Some(now.0),
                completed_at: None,
            };
            if payments_move(tx, &[put]).await? == 0 {
                // Somebody else confirmed it meanwhile, or deleted it.
                return Ok(Some((true, false)));
            }
            let status = "processing".into();
            let row = PaymentsBatchRow { status, payouts: sent, processing_started_at: Some(now.0), ..batch };
            audit_insert(tx, &[deed(&app, &row, "confirmed", &actor, now)]).await?;
            moves.tell(told(&row, "initiated", Some(AWAITING)));
            moves.tell(told(&row, "processing", Some(AWAITING)));
            // Where all of them were paid one by one, or cancelled, nothing is under way.
            moves.follow_payments(id);
            Ok(Some((true, moves.write(tx).await?)))
        };
        let (is_paid, delivers) = self.store.money.write(pay).await?.ok_or(Error::NotFound("payments batch"))?;
        if delivers {
            self.outbox.ring();
        }
        if !is_paid {
            let message = "The payments failed: mark their payouts as unpaid, and gather them again.".into();
            return Err(Error::Conflict { code: "payments_failed", param: None, message });
        }
        self.payments_read(account, id).await
    }

    /// Gives up payments that were not confirmed; their payouts can be sent by others.
    pub async fn payments_delete(self: &Arc<Self>, account: AccountId, id: i64, actor: &str) -> Result<()> {
        let now = self.clock.now();
        let (app, actor) = (Arc::clone(self), actor.to_owned());
        let delete = async move |tx: &Tx<'_>| {
            let Some(batch) = payments_list(tx, account.0, Some(id), 1).await?.pop() else { return Ok(None) };
            // Payouts are locked before their payments, here as where they move.
            let payouts = payouts_of_payments(tx, account.0, id).await?;
            let payouts = payouts_lock(tx, account.0, &numbers(payouts.iter().map(|row| row.id))).await?;
            if !payments_delete(tx, account.0, id).await? {
                return Ok(Some(false));
            }
            let of_these = payouts.iter().filter(|row| row.payments_batch_id == Some(id));
            let back = of_these.map(|row| PayoutSent {
                account_id: account.0,
                id: row.id,
                was: Some(id),
                next: None,
                settings: None,
            });
            payouts_send(tx, &back.collect::<Vec<_>>()).await?;
            audit_insert(tx, &[deed(&app, &batch, "deleted", &actor, now)]).await?;
            crate::announce::announce(tx, &app, &[told(&batch, "deleted", None)], now).await?;
            Ok(Some(true))
        };
        if self.store.money.write(delete).await?.ok_or(Error::NotFound("payments batch"))? {
            self.outbox.ring();
            return Ok(());
        }
        let message = "The payments were confirmed: that does not change any more.".into();
        Err(Error::Conflict { code: "payments_confirmed", param: None, message })
    }

    /// What a bank is given: one line for each payout that is still to be paid, CSV with a header. Read again after some
    /// were paid or given up, it leaves those out.
    pub async fn payments_file(&self, account: AccountId, id: i64) -> Result<String> {
        let payments = self.payments_read(account, id).await?;
        let directory = self.directory();
        let mut text = csv::line(["payout", "partner", "name", "email", "amount", "currency", "details"]);
        let is_to_be_paid = |row: &&PayoutRow| matches!(row.status.as_str(), "pending" | "processing");
        for row in payments.payouts.iter().filter(is_to_be_paid) {
            let partner = row.partner_id.and_then(|partner| {
                directory.partner_by_id(account, headwater_domain::ids::PartnerId(partner)).cloned()
            });
            let settings: Value = serde_json::from_str(&row.settings).unwrap_or_default();
            let fields = [
                row.id.to_string(),
                partner.as_ref().map(|partner| partner.row.external_id.clone()).unwrap_or_default(),
                partner.as_ref().map(|partner| partner.row.name.clone()).unwrap_or_default(),
                partner.as_ref().and_then(|partner| partner.row.email.clone()).unwrap_or_default(),
                Decimal(row.amount).to_text(Currency::parse(&row.unit).map_or(0, Currency::minor_digits)),
                row.unit.clone(),
                settings["details"].to_string(),
            ];
            text.push_str(&csv::line(fields.iter().map(String::as_str)));
        }
        Ok(text)
    }
}

/// A payout's method as its settings have it in JSON.
pub(crate) fn method_pair(method: Option<&str>) -> String {
    format!("\"method\":{}", json!(method))
}

fn deed(app: &App, row: &PaymentsBatchRow, action: &str, actor: &str, now: Instant) -> AuditRow {
    AuditRow {
        id: app.next_id(now),
        account_id: row.account_id,
        at: now.0,
        actor: actor.to_owned(),
        action: format!("payments_batch.{action}"),
        object: format!("payments_batch:{}", row.id),
        detail: json!({"method": row.method, "payouts": row.payouts}).to_string(),
    }
}

fn told(row: &PaymentsBatchRow, name: &'static str, was: Option<&str>) -> Told {
    let data = json!({
        "id": row.id, "method": row.method, "status": row.status, "payouts_count": row.payouts,
        "created_at": Instant(row.created_at).iso8601(),
    });
    let changes = was.map_or_else(|| json!({}), |was| json!({"status": [was, row.status]}));
    let mut names = vec![(name, changes.clone())];
    if was.is_some() && name != "initiated" {
        names.push(("updated", changes));
    }
    let subject = Subject::Other("payments_batch", data);
    Told { account_id: row.account_id, program_id: None, subject, id: row.id, names }
}

/// Moves payments to where their payouts stand now; what is to be announced.
pub(crate) async fn follow(tx: &Tx<'_>, ids: &BTreeSet<i64>, now: Instant) -> StoreResult<Vec<Told>> {
    let mut out = Vec::new();
    for standing in payments_standing(tx, &numbers(ids.iter().copied())).await? {
        if standing.now == standing.status {
            continue;
        }
        let is_over = standing.now != "processing";
        let put = PaymentsPut {
            account_id: standing.account_id,
            id: standing.id,
            was: standing.status.clone(),
            status: standing.now.clone(),
            payouts: standing.payouts,
            error: (standing.now == "failed").then(|| "not all of its payouts were paid".to_owned()),
            processing_started_at: standing.processing_started_at,
            completed_at: is_over.then_some(now.0),
        };
        if payments_move(tx, &[put]).await? == 0 {
            return Err(StoreError::Abandoned(format!("the locked payments {} changed their status", standing.id)));
        }
        let name = match standing.now.as_str() {
            "completed" => "completed",
            "failed" => "failed",
            _ => "processing",
        };
        let row = PaymentsBatchRow {
            id: standing.id,
            account_id: standing.account_id,
            method: standing.method,
            status: standing.now,
            payouts: standing.payouts,
            error: None,
            created_at: standing.created_at,
            processing_started_at: standing.processing_started_at,
            completed_at: is_over.then_some(now.0),
        };
        out.push(told(&row, name, Some(&standing.status)));
    }
    Ok(out)
}
