//! What follows from the postings of a settlement in the rewards dialect: an approved reward has a payout at once, and
//! whoever listens hears of each posting.
//!
//! Costs nothing where no reward was posted and nobody listens. A posting is announced as pending also where it was approved
//! in the same settlement: receivers are told of each step (`rewards-api.md` §2).

use crate::announce::{Told, listens};
use crate::app::App;
use crate::ledger::moves::{Moves, given_up};
use headwater_domain::ledger::Stage;
use headwater_domain::money::Unit;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result, Tx};
use headwater_store::cell::PostingOf;
use headwater_store::commission::{LifeRow, commissions_promote};
use headwater_store::outcome::NewCommission;
use std::collections::BTreeMap;

/// Makes the payouts of rewards that were approved, and announces; gives whether there is something to deliver.
pub(crate) async fn follow(tx: &Tx<'_>, app: &App, posted: &[NewCommission], now: Instant) -> Result<bool> {
    let for_customers = posted.iter().filter(|row| row.partner_id.is_none());
    let for_customers: Vec<_> = for_customers.map(|row| PostingOf { account_id: row.account_id, id: row.id }).collect();
    let promoters: BTreeMap<i64, Option<i64>> = commissions_promote(tx, &for_customers).await?.into_iter().collect();
    let mut moves = Moves::new(app, None, now);
    for row in posted {
        let heard = listens(app, row.account_id, row.program_id);
        if !heard && Unit::is_money_name(&row.unit) {
            continue;
        }
        let promoter = promoters.get(&row.id).copied().flatten();
        let life = life(row, promoter);
        let stage = Stage::of(&life.status, life.due_at.is_some());
        moves.posted(life);
        moves.tell(Told::commission_created(row.account_id, row.program_id, row.id));
        if let Some(stage) = stage.filter(|stage| *stage != Stage::Pending) {
            moves.tell(Told::commission_decided(row.account_id, row.program_id, row.id, Stage::Pending, stage));
        }
        moves.reward(row.id).map_err(given_up)?;
    }
    moves.write(tx).await
}

/// The posting as a move finds it.
fn life(row: &NewCommission, promoter_id: Option<i64>) -> LifeRow {
    LifeRow {
        id: row.id,
        account_id: row.account_id,
        program_id: row.program_id,
        partner_id: row.partner_id,
        customer_id: row.customer_id,
        promoter_id,
        person_id: row.person_id,
        cell: row.cell.clone(),
        unit: row.unit.clone(),
        amount: row.amount,
        status: row.status.clone(),
        payable_at: row.payable_at,
        due_at: (row.status == "approved" && row.payable_at <= row.created_at).then_some(row.created_at),
        is_hidden: false,
        created_at: row.created_at,
        payout_id: None,
    }
}
