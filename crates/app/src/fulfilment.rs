//! The older way to say that a reward was delivered: the answer of a webhook that asked for `fulfilment_pending`.
//!
//! What an answer means, and what follows from it, in the transaction that writes the answer down. Asking is `announce`'s,
//! sending and trying again `delivery`'s. Invariant: an answer moves the payout that was asked for and no other, so a reward
//! that was denied meanwhile stays denied, and the same answer twice delivers once.

use crate::app::App;
use crate::ledger::moves::Moves;
use headwater_domain::ids::{AccountId, EndpointId};
use headwater_domain::money::Unit;
use headwater_domain::payout::PayoutStatus;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::payout::PayoutRow;
use serde_json::json;
use std::collections::BTreeSet;

/// What a receiver says about a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    /// 200: it is delivered.
    Delivered,
    /// Another 2xx: it knows of it, and will say so itself.
    Taken,
    /// Nothing that counts, however often it was asked.
    Nothing,
}

impl Said {
    /// What an answer says that ends a delivery.
    pub(crate) fn of(status: Option<u16>) -> Self {
        match status {
            Some(200) => Self::Delivered,
            Some(201..=299) => Self::Taken,
            _ => Self::Nothing,
        }
    }
}

/// Whether the reward waits for its delivery; it does not move until the transaction ends.
pub(crate) async fn waits(tx: &Tx<'_>, app: &App, account: AccountId, payout: i64, now: Instant) -> Result<bool> {
    let mut moves = Moves::new(app, None, now);
    moves.load_payouts(tx, account.0, &BTreeSet::from([payout])).await?;
    Ok(is_waiting(&moves, payout))
}

fn is_waiting(moves: &Moves<'_>, payout: i64) -> bool {
    let waits = |row: &PayoutRow| row.status == PayoutStatus::Pending.name() && !Unit::is_money_name(&row.unit);
    moves.payout(payout).is_some_and(waits)
}

/// Moves what follows; gives whether there is something to deliver.
pub(crate) async fn answered(
    tx: &Tx<'_>,
    app: &App,
    account: AccountId,
    (webhook, payout): (EndpointId, i64),
    said: Said,
    now: Instant,
) -> Result<bool> {
    let actor = format!("webhook:{webhook}");
    let mut moves = Moves::new(app, Some(&actor), now);
    moves.load_payouts(tx, account.0, &BTreeSet::from([payout])).await?;
    if !is_waiting(&moves, payout) {
        // It was denied, deleted, or fulfilled in another way: nothing is left to move, and the receiver did nothing wrong.
        return Ok(false);
    }
    match said {
        Said::Delivered => {
            let commissions = moves.commissions_of(payout);
            if let Err((code, message)) = moves.payout_move(payout, PayoutStatus::Completed, None) {
                tracing::warn!(payout, code, message, "a reward that its receiver delivered could not be fulfilled");
                moves.payout_issues(payout, true);
                return moves.write(tx).await;
            }
            for commission in commissions {
                moves.deed("commission", commission, "fulfilled", &json!({"payout": payout}));
            }
        }
        Said::Taken => drop(moves.payout_issues(payout, false)),
        Said::Nothing => drop(moves.payout_issues(payout, true)),
    }
    moves.write(tx).await
}

/// Nobody will be asked about these rewards any more, so somebody has to look; gives whether there is something to deliver.
pub(crate) async fn unasked(
    tx: &Tx<'_>,
    app: &App,
    account: AccountId,
    webhook: EndpointId,
    payouts: Vec<i64>,
    now: Instant,
) -> Result<bool> {
    let actor = format!("webhook:{webhook}");
    let mut moves = Moves::new(app, Some(&actor), now);
    moves.load_payouts(tx, account.0, &payouts.iter().copied().collect()).await?;
    for payout in payouts {
        if is_waiting(&moves, payout) {
            moves.payout_issues(payout, true);
        }
    }
    moves.write(tx).await
}
