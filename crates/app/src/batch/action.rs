//! Which actions a batch can be of, and what each does with its objects: a plain list, one function for each.
//!
//! To add an action, name it in the list and give it its function: within the transaction that marks its items, or outside
//! where the operation has transactions of its own and changes nothing when it is repeated.

use super::people;
use crate::app::App;
use crate::commission::{Finality, Verdict};
use crate::error::{Error, Result};
use crate::ledger::moves::{Moves, Refusal, refusal};
use headwater_domain::ids::{AccountId, CustomerId};
use headwater_domain::payout::PayoutStatus;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What became of an object: its number, and why it was not moved.
pub(crate) type Outcome = (i64, Result<(), String>);

/// Something that is done with several objects at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the action of its own name in rewards-api.md")]
pub enum BatchAction {
    CommissionApprove,
    CommissionDeny,
    CommissionMarkFulfilled,
    CommissionMarkUnfulfilled,
    CommissionGeneratePayouts,
    CommissionDestroy,
    PayoutMarkAsPaid,
    PayoutMarkAsUnpaid,
    PayoutDestroy,
    PromoterAccept,
    PromoterReject,
    PromoterBlock,
    PromoterArchive,
    PromoterRestore,
    PromoterAddToCampaign,
    PromoterMoveToCampaign,
    PromoterAssignParent,
    ReferralDelete,
    ReferralApprove,
    ReferralEnable,
    ReferralDisable,
    ReferralMoveToPromoter,
}

impl BatchAction {
    /// Each of them.
    pub const ALL: [Self; 22] = [
        Self::CommissionApprove,
        Self::CommissionDeny,
        Self::CommissionMarkFulfilled,
        Self::CommissionMarkUnfulfilled,
        Self::CommissionGeneratePayouts,
        Self::CommissionDestroy,
        Self::PayoutMarkAsPaid,
        Self::PayoutMarkAsUnpaid,
        Self::PayoutDestroy,
        Self::PromoterAccept,
        Self::PromoterReject,
        Self::PromoterBlock,
        Self::PromoterArchive,
        Self::PromoterRestore,
        Self::PromoterAddToCampaign,
        Self::PromoterMoveToCampaign,
        Self::PromoterAssignParent,
        Self::ReferralDelete,
        Self::ReferralApprove,
        Self::ReferralEnable,
        Self::ReferralDisable,
        Self::ReferralMoveToPromoter,
    ];

    /// `entity/action`, on the wire and in the store.
    pub fn label(self) -> &'static str {
        match self {
            Self::CommissionApprove => "commission/approve",
            Self::CommissionDeny => "commission/deny",
            Self::CommissionMarkFulfilled => "commission/mark_fulfilled",
            Self::CommissionMarkUnfulfilled => "commission/mark_unfulfilled",
            Self::CommissionGeneratePayouts => "commission/generate_payouts",
            Self::CommissionDestroy => "commission/destroy",
            Self::PayoutMarkAsPaid => "payout/mark_as_paid",
            Self::PayoutMarkAsUnpaid => "payout/mark_as_unpaid",
            Self::PayoutDestroy => "payout/destroy",
            Self::PromoterAccept => "promoter/accept",
            Self::PromoterReject => "promoter/reject",
            Self::PromoterBlock => "promoter/block",
            Self::PromoterArchive => "promoter/archive",
            Self::PromoterRestore => "promoter/restore",
            Self::PromoterAddToCampaign => "promoter/add_to_campaign",
            Self::PromoterMoveToCampaign => "promoter/move_to_campaign",
            Self::PromoterAssignParent => "promoter/assign_parent",
            Self::ReferralDelete => "referral/delete",
            Self::ReferralApprove => "referral/approve",
            Self::ReferralEnable => "referral/enable",
            Self::ReferralDisable => "referral/disable",
            Self::ReferralMoveToPromoter => "referral/move_to_promoter",
        }
    }

    /// Reads [`Self::label`].
    pub fn parse(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.label() == label)
    }

    /// Whether it is done in the transaction that marks its items.
    pub(crate) fn has_transaction(self) -> bool {
        match self {
            Self::CommissionApprove
            | Self::CommissionDeny
            | Self::CommissionMarkFulfilled
            | Self::CommissionMarkUnfulfilled
            | Self::CommissionGeneratePayouts
            | Self::CommissionDestroy
            | Self::PayoutMarkAsPaid
            | Self::PayoutMarkAsUnpaid
            | Self::PayoutDestroy => true,
            Self::PromoterAccept
            | Self::PromoterReject
            | Self::PromoterBlock
            | Self::PromoterArchive
            | Self::PromoterRestore
            | Self::PromoterAddToCampaign
            | Self::PromoterMoveToCampaign
            | Self::PromoterAssignParent
            | Self::ReferralDelete
            | Self::ReferralApprove
            | Self::ReferralEnable
            | Self::ReferralDisable
            | Self::ReferralMoveToPromoter => false,
        }
    }

    /// Whether all its objects have to be seen at once: commissions of one payee go into one payout.
    pub(crate) fn is_one_piece(self) -> bool {
        self == Self::CommissionGeneratePayouts
    }
}

/// Does it within the transaction that marks the items; gives whether there is something to deliver.
pub(crate) async fn in_transaction(
    tx: &Tx<'_>,
    app: &App,
    account: AccountId,
    action: BatchAction,
    ids: &[i64],
    actor: &str,
    now: Instant,
) -> StoreResult<(Vec<Outcome>, bool)> {
    let mut moves = Moves::new(app, Some(actor), now);
    let wanted = ids.iter().copied().collect();
    match action {
        BatchAction::PayoutMarkAsPaid | BatchAction::PayoutMarkAsUnpaid | BatchAction::PayoutDestroy => {
            moves.load_payouts(tx, account.0, &wanted).await?;
        }
        BatchAction::CommissionApprove => moves.load_to_decide(tx, account.0, &wanted, Verdict::Approve).await?,
        BatchAction::CommissionDeny | BatchAction::CommissionDestroy => {
            moves.load_to_decide(tx, account.0, &wanted, Verdict::Deny).await?;
        }
        _ => moves.load(tx, account.0, &wanted).await?,
    }
    let outcomes: Vec<Outcome> = if action == BatchAction::CommissionGeneratePayouts {
        let made = moves.generate_payouts(tx, ids).await?;
        made.into_iter().map(|(id, done)| (id, done.map_err(words))).collect()
    } else {
        let ids = match action {
            BatchAction::CommissionDeny | BatchAction::CommissionDestroy => {
                moves.in_order_of(ids.iter().copied(), Verdict::Deny)
            }
            BatchAction::CommissionApprove => moves.in_order_of(ids.iter().copied(), Verdict::Approve),
            _ => ids.to_vec(),
        };
        ids.into_iter().map(|id| (id, one(&mut moves, action, id, now).map(|_| ()).map_err(words))).collect()
    };
    Ok((outcomes, moves.write(tx).await?))
}

/// Does it with one object.
fn one(moves: &mut Moves<'_>, action: BatchAction, id: i64, now: Instant) -> Result<bool, Refusal> {
    match action {
        BatchAction::CommissionApprove => moves.decide(id, Verdict::Approve, Finality::Revisable, now),
        BatchAction::CommissionDeny => moves.decide(id, Verdict::Deny, Finality::Revisable, now),
        BatchAction::CommissionMarkFulfilled => moves.fulfil(id),
        BatchAction::CommissionMarkUnfulfilled => moves.unfulfil(id),
        BatchAction::CommissionDestroy => moves.destroy(id, now),
        BatchAction::PayoutMarkAsPaid => visible(moves, id)?.payout_move(id, PayoutStatus::Completed, None),
        BatchAction::PayoutMarkAsUnpaid => match visible(moves, id)?.payout(id).map(|payout| payout.status.as_str()) {
            // What failed was not paid either, and waits to be paid again.
            Some("completed" | "failed") => moves.payout_move(id, PayoutStatus::Pending, None),
            Some("pending") => Ok(false),
            _ => Err(refusal("not_paid", "not paid")),
        },
        BatchAction::PayoutDestroy => moves.payout_hide(id),
        BatchAction::CommissionGeneratePayouts => Err(refusal("one_piece", "is done for all at once")),
        _ => Err(refusal("outside", "is done by an operation of its own")),
    }
}

/// A payout that was taken out of sight is nobody's any more.
fn visible<'m, 'a>(moves: &'m mut Moves<'a>, id: i64) -> Result<&'m mut Moves<'a>, Refusal> {
    if moves.payout(id).is_some_and(|payout| payout.is_hidden) {
        return Err(refusal("payout_not_found", "not found"));
    }
    Ok(moves)
}

/// Does it by operations that have transactions of their own.
pub(crate) async fn outside(
    app: &Arc<App>,
    account: AccountId,
    action: BatchAction,
    ids: &[i64],
    parameters: &Map<String, Value>,
    actor: &str,
    at: Instant,
) -> Result<Vec<Outcome>> {
    tracing::debug!(action = action.label(), account = account.0, actor, "a part of a batch");
    let mut outcomes = Vec::new();
    for id in ids {
        outcomes.push(match people::act(app, account, action, *id, parameters, at).await {
            Ok(()) => (*id, Ok(())),
            Err(error @ (Error::Busy | Error::Store(_))) => return Err(error),
            Err(Error::NotFound(noun)) => (*id, Err(format!("{noun} not found"))),
            Err(error) => (*id, Err(error.to_string().trim_end_matches('.').to_owned())),
        });
    }
    if action == BatchAction::ReferralMoveToPromoter {
        price_moved(app, account, &mut outcomes).await?;
    }
    Ok(outcomes)
}

/// What a move is worth is posted before its items are done: who reads a batch that is over reads its commissions as they are now.
/// One that cannot be priced must not hold up the others: it is moved, and its mark stays.
async fn price_moved(app: &Arc<App>, account: AccountId, outcomes: &mut [Outcome]) -> Result<()> {
    let mut moved: Vec<i64> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).map(|(id, _)| *id).collect();
    for id in moved.clone() {
        // In another campaign another one takes its place.
        moved.extend(app.line(account, CustomerId(id)).await?.map(|line| line.current().customer_id));
    }
    match app.reprice_customers(account, &moved).await {
        Err(Error::Store(error)) if error.left_nothing() => {}
        other => return other,
    }
    for (id, outcome) in outcomes.iter_mut().filter(|(_, outcome)| outcome.is_ok()) {
        match app.reprice_customers(account, &[*id]).await {
            Ok(()) => {}
            Err(Error::Store(error)) if error.left_nothing() => {
                tracing::warn!(referral = *id, %error, "a referral that was moved could not be priced again");
                *outcome = Err("moved; its commissions could not be priced again yet".to_owned());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A refusal in the words of `processing_errors`.
fn words((code, message): Refusal) -> String {
    match code {
        "commission_not_found" | "payout_not_found" => "not found".to_owned(),
        "commission_not_pending" => "not pending".to_owned(),
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_read_back() {
        for action in BatchAction::ALL {
            assert_eq!(BatchAction::parse(action.label()), Some(action));
        }
        assert_eq!(BatchAction::parse("commission/pay"), None);
    }
}
