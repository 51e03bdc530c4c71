//! Members that have brought what their campaign asks move on to the campaign that it names (`upgrade_details`).
//!
//! Whatever may let a member move on puts a mark in its own transaction (a settlement, a change of the campaign or of the member);
//! a round here looks at the figures that the member's `stats` show, and takes the mark away in the transaction that moves it.
//! Leaves the move to `membership::transfer`. Invariant: a membership moves on once, whatever node looks, and however often: it
//! keeps when it did, and who is put back by hand stays.

use crate::announce::announce;
use crate::app::App;
use crate::campaign::Upgrade;
use crate::directory::{Directory, Program};
use crate::error::{Error, Result};
use crate::membership::transfer::{Transfer, transfer};
use crate::membership::{MemberState, Membership};
use crate::reprice::Mark;
use crate::settle::Concerned;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::money::Currency;
use headwater_store::audit::{AuditRow, audit_insert};
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::upgrade::{
    UpgradeCheck, UpgradeDue, upgrade_check_postpone, upgrade_check_take, upgrade_checks_put, upgrades_due,
};
use serde_json::{Map, Value, json};
use std::sync::{Arc, Weak};
use std::time::Duration;

const ROWS_MAX: i64 = 256;
/// How long a member waits that could not be looked at.
const POSTPONED_SECONDS: i64 = 60;
const EVERY: Duration = Duration::from_millis(500);
/// Who did it, in the audit.
const ACTOR: &str = "upgrade_details";
/// Where a membership keeps when it moved on, and where to.
const UPGRADED: &str = "upgraded";

/// A member that may move on, and what it takes.
fn awaited(directory: &Directory, program: ProgramId, partner: PartnerId) -> Option<(&Arc<Membership>, Upgrade)> {
    let member = directory.membership_in(program, partner)?;
    let upgrade = Upgrade::of(&directory.program(member.account, program)?.settings.campaign)?;
    let may = member.state == MemberState::Accepted && !member.data().contains_key(UPGRADED);
    may.then_some((member, upgrade))
}

/// Lets these members be looked at, where their campaign asks for something; in the transaction of what changed their figures.
pub(crate) async fn look_at(tx: &Tx<'_>, app: &App, concerned: &Concerned, mark: i64) -> StoreResult<()> {
    let directory = app.directory();
    let mut checks = Vec::new();
    for (program, partner) in concerned {
        let asks = || {
            let asking = directory.program_of_any_account(*program);
            asking.filter(|known| Upgrade::of(&known.settings.campaign).is_some()).map(|known| known.account)
        };
        let account = match directory.membership_in(*program, *partner) {
            Some(_) => awaited(&directory, *program, *partner).map(|(member, _)| member.account),
            // A member since this moment.
            None => asks(),
        };
        if let Some(account) = account {
            checks.push(UpgradeCheck { program_id: program.0, partner_id: partner.0, account_id: account.0, mark });
        }
    }
    if checks.is_empty() { Ok(()) } else { upgrade_checks_put(tx, &checks).await }
}

/// Lets a member be looked at whose state changes to `state`: where it is accepted now, in its campaign; where it is barred no
/// longer, in those that would have moved it here. Their marks went while it could not move.
pub(crate) async fn look_at_member(tx: &Tx<'_>, app: &App, before: &Membership, state: MemberState) -> StoreResult<()> {
    let (account, directory) = (before.account, app.directory());
    let mark = app.next_id(app.clock.now());
    let waits = |program: &Program| {
        let upgrade = Upgrade::of(&program.settings.campaign);
        upgrade.is_some_and(|upgrade| {
            if program.id == before.program {
                state == MemberState::Accepted
            } else {
                upgrade.to == before.program && before.state.is_barred() && !state.is_barred()
            }
        })
    };
    let waiting = directory.programs(account).filter(|program| waits(program));
    let check = |program: &Arc<Program>| UpgradeCheck {
        program_id: program.id.0,
        partner_id: before.partner.0,
        account_id: account.0,
        mark,
    };
    let checks: Vec<_> = waiting.map(check).collect();
    if checks.is_empty() { Ok(()) } else { upgrade_checks_put(tx, &checks).await }
}

impl App {
    /// Looks at every member that waits; gives how many moved on.
    pub async fn upgrade_members(self: &Arc<Self>) -> Result<usize> {
        let mut moved = 0;
        loop {
            let now = self.clock.now();
            let due = self.store.money.read(async move |tx| upgrades_due(tx, now.0, ROWS_MAX).await).await?;
            if due.is_empty() {
                return Ok(moved);
            }
            for check in due {
                match self.upgrade_look(&check).await {
                    Ok(is_moved) => moved += usize::from(is_moved),
                    Err(error) => {
                        tracing::warn!(%error, campaign = check.program_id, promoter = check.partner_id, "a member could not be looked at; it waits for the next time");
                        let until = now.plus_seconds(POSTPONED_SECONDS).0;
                        let postpone = async move |tx: &Tx<'_>| upgrade_check_postpone(tx, &check, until).await;
                        self.store.money.write(postpone).await?;
                    }
                }
            }
        }
    }

    /// Looks at one member, and moves it where it has brought enough.
    async fn upgrade_look(self: &Arc<Self>, check: &UpgradeDue) -> Result<bool> {
        // Who is a member since a moment ago, on another node, is to be seen: the mark goes with this look.
        self.refresh().await?;
        let (program, partner) = (ProgramId(check.program_id), PartnerId(check.partner_id));
        if self.has_reached(AccountId(check.account_id), program, partner).await? {
            return self.upgrade_move(check.clone()).await;
        }
        let check = check.clone();
        self.store.money.write(async move |tx| upgrade_check_take(tx, &check).await).await?;
        Ok(false)
    }

    async fn has_reached(&self, account: AccountId, program: ProgramId, partner: PartnerId) -> Result<bool> {
        let (upgrade, currency) = {
            let directory = self.directory();
            let Some((_, upgrade)) = awaited(&directory, program, partner) else { return Ok(false) };
            let program = directory.program(account, program);
            let Some(currency) = program.and_then(|program| Currency::parse(&program.settings.currency)) else {
                return Ok(false);
            };
            (upgrade, currency)
        };
        let figures = self.sales_figures(account, program, partner).await?;
        Ok(upgrade.is_reached(&figures, currency))
    }

    /// Moves a member on, unless its figures changed since they were looked at, or another node was first.
    async fn upgrade_move(self: &Arc<Self>, check: UpgradeDue) -> Result<bool> {
        let (app, now) = (Arc::clone(self), self.clock.now());
        let write = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            if !upgrade_check_take(tx, &check).await? {
                return Ok(None);
            }
            let (account, program) = (AccountId(check.account_id), ProgramId(check.program_id));
            let partner = PartnerId(check.partner_id);
            let found = awaited(&app.directory(), program, partner).map(|(_, upgrade)| upgrade);
            let Some(upgrade) = found else { return Ok(None) };
            let (from, to) = (program, upgrade.to);
            let note = json!({"at": now.iso8601(), "campaign_id": to.0});
            let note = Map::from_iter([(UPGRADED.to_owned(), note)]);
            let done = match transfer(tx, &app, Transfer { account, partner, from, to }, note, now).await? {
                Ok(done) => done,
                Err(Error::Busy) => return Err(headwater_store::backend::Error::Busy),
                Err(refused) => {
                    tracing::info!(%refused, campaign = from.0, promoter = partner.0, "a member cannot move on");
                    return Ok(None);
                }
            };
            let Some((left, joined)) = done.memberships else { return Ok(None) };
            let detail = json!({"from_campaign_id": from.0, "to_campaign_id": to.0, "promoter_id": partner.0,
                "joined": joined.0, "amount": upgrade.amount});
            let deed = AuditRow {
                id: app.next_id(now),
                account_id: account.0,
                at: now.0,
                actor: ACTOR.into(),
                action: "promoter_campaign.upgraded".into(),
                object: format!("promoter_campaign:{left}"),
                detail: Value::to_string(&detail),
            };
            audit_insert(tx, &[deed]).await?;
            Ok(Some(announce(tx, &app, &done.told, now).await?))
        };
        let delivers = self.store.money.write(write).await?;
        self.refresh_committed().await;
        if delivers == Some(true) {
            self.outbox.ring();
        }
        Ok(delivers.is_some())
    }
}

/// Looks until the application is gone.
pub async fn run(app: Weak<App>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(app) = app.upgrade() else { return };
        match app.upgrade_members().await {
            Ok(0) => {}
            Ok(members) => tracing::info!(members, "moved on to another campaign"),
            Err(error) => tracing::warn!(%error, "members could not be looked at; their marks stay"),
        }
    }
}
