//! Moving a referral to a membership of another campaign: a customer there takes its place ([`Line`]).
//!
//! What it did stays with the campaign that it leaves, and is known in the new one. Leaves moves within a campaign to `customer`.
//! Invariant: all that makes a move is one transaction, behind the lock of dated changes: no fact is recorded meanwhile, so each is
//! dated before the move or after it. Who was moved is not moved again.

use super::line::Line;
use super::{Named, Referral, Shown, entity};
use crate::announce::{Told, announce, listens};
use crate::app::App;
use crate::campaign::is_archived;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::ingest::{CustomerRecord, Referrer};
use crate::membership::Membership;
use crate::reprice::Mark;
use headwater_domain::commission::Split;
use headwater_domain::ids::{AccountId, CustomerId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Error as StoreError, Result as StoreResult, Tx};
use headwater_store::customer::person_of_customer;
use headwater_store::membership::membership_ensure;
use headwater_store::person_state::{PersonOf, facts_whole};
use headwater_store::referral::{ReferralFilter, referral_list, referrals_of_member};
use headwater_store::referral_move::{Arrival, LastBinding, bindings_held, last_binding, move_write, partners_pay};
use headwater_store::repricing::mark_person;
use headwater_store::settlement::{Number, programs_lock};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Referrals that stay, by name, in what a batch says of a promoter.
const STAYING_NAMED_MAX: usize = 5;

/// What a move does, as its transaction finds things.
struct Move<'m> {
    account: AccountId,
    from: &'m Referral,
    to: &'m Membership,
    /// The customer that takes its place.
    successor: CustomerId,
    mark: i64,
}

/// What became of it.
enum Moved {
    /// It was done, and perhaps somebody is to hear of it.
    Done(bool),
    /// Somebody else moved it meanwhile.
    Before,
    /// The campaign has somebody of its name.
    Taken,
}

impl App {
    /// Gives a referral to a member of another campaign, from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the member is barred, and [`Error::Conflict`] where its campaign has a referral of the same name.
    pub(super) async fn referral_leave(
        self: &Arc<Self>,
        account: AccountId,
        from: Referral,
        to: &Membership,
    ) -> Result<Referral> {
        let directory = self.directory();
        if directory.program(account, to.program).is_none_or(|program| is_archived(program)) {
            return Err(Error::NotFound("campaign"));
        }
        if to.is_barred_at(self.clock.now()) {
            return Err(Error::invalid("promoter_campaign_id", "is blocked or rejected"));
        }
        let from = self.with_record(account, from).await?;
        let named = Named::new(from.row.email.as_deref(), from.uid().as_deref());
        if let Some(other) = self.referral_named(account, Some(to.program), &named).await?
            && other.row.id != from.row.id
        {
            return Err(taken(named.shared_with(&other)));
        }
        let line = self.line(account, from.id()).await?;
        let own = from.row.external_id.clone().ok_or(Error::NotFound("referral"))?;
        let there = line.as_ref().and_then(|line| line.in_program(to.program)?.external_id.clone());
        let mut record: CustomerRecord = named.record(there.unwrap_or(own), Referrer::Unsaid);
        record.registered_at = Some(Instant(from.row.registered_at));
        let successor = self.customer_record(account, to.program, record).await?;
        let (app, to, mark) = (Arc::clone(self), to.clone(), self.next_id(self.clock.now()));
        let write = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            let moving = Move { account, from: &from, to: &to, successor, mark };
            let done = moving.write(tx, &app).await?;
            Ok((done, from.id()))
        };
        let (moved, from) = self.store.money.write(write).await?;
        match moved {
            Moved::Taken => return Err(taken("email")),
            Moved::Done(true) => self.outbox.ring(),
            Moved::Done(false) | Moved::Before => {}
        }
        self.refresh_committed().await;
        self.referral_read(account, from).await
    }

    /// A client of events has no record that could go with it: it gets one.
    async fn with_record(&self, account: AccountId, from: Referral) -> Result<Referral> {
        if from.row.external_id.is_some() {
            return Ok(from);
        }
        let named = Named::new(from.row.email.as_deref(), from.uid().as_deref());
        let own_id = named.own_id().ok_or(Error::NotFound("referral"))?;
        let record = named.record(own_id, Referrer::Unsaid);
        let id = self.customer_record(account, ProgramId(from.row.program_id), record).await?;
        self.referral_read(account, id).await
    }

    /// All referrals of a promoter in one campaign follow it to another; done again, it goes on with those that are left.
    ///
    /// # Errors
    /// [`Error::Conflict`] that says which of them stay, and why.
    pub(crate) async fn referrals_follow(
        self: &Arc<Self>,
        account: AccountId,
        partner: PartnerId,
        from: ProgramId,
        to: ProgramId,
    ) -> Result<()> {
        let there = self.directory().membership_in(to, partner).cloned();
        let there = there.filter(|there| there.account == account).ok_or(Error::NotFound("promoter_campaign"))?;
        let read = async move |tx: &Tx<'_>| referrals_of_member(tx, from.0, partner.0).await;
        let bound = self.store.money.read(read).await?;
        let (mut staying, mut count) = (Vec::new(), 0_usize);
        let all: Vec<i64> = bound.iter().filter(|row| !row.has_left).map(|row| row.customer_id).collect();
        for id in &all {
            let before = match self.referral_read(account, CustomerId(*id)).await {
                Ok(before) => before,
                Err(Error::NotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            // Somebody else's, or moved, since they were counted.
            if before.row.program_id != from.0 || before.row.partner_id != Some(partner.0) {
                continue;
            }
            match self.referral_leave(account, before, &there).await {
                Ok(_) => {}
                Err(error @ (Error::Busy | Error::Store(_))) => return Err(error),
                Err(error) => {
                    count += 1;
                    if staying.len() < STAYING_NAMED_MAX {
                        staying.push(format!("{id}: {}", error.to_string().trim_end_matches('.')));
                    }
                }
            }
        }
        if count == 0 {
            return Ok(());
        }
        let more = if count > staying.len() { "; …" } else { "" };
        let message = format!(
            "moved, but {count} of {} referrals stay in their campaign ({}{more})",
            all.len(),
            staying.join("; ")
        );
        Err(Error::Conflict { code: "referrals_stay", param: Some("soft_move_referrals"), message })
    }
}

fn taken(by: &str) -> Error {
    let message = format!("The campaign has a referral of this {by} already.");
    Error::Conflict { code: "referral_taken", param: Some("promoter_campaign_id"), message }
}

impl Move<'_> {
    async fn write(&self, tx: &Tx<'_>, app: &App) -> StoreResult<Moved> {
        let (account, from) = (self.account, self.from.id());
        let programs = BTreeSet::from([self.from.row.program_id, self.to.program.0]);
        // No two persons become one meanwhile.
        programs_lock(tx, &programs.into_iter().map(|id| Number { id }).collect::<Vec<_>>()).await?;
        let line = Line::read(tx, account, from).await?;
        let now = app.clock.now();
        let Some(last) = last_binding(tx, account.0, from.0, now.0).await? else { return Ok(Moved::Before) };
        let is_of_line = |line: &Line| line.customers().contains_key(&self.successor);
        let held = bindings_held(tx, account.0, self.successor.0).await?;
        if !held.is_empty() && !line.as_ref().is_some_and(is_of_line) {
            return Ok(Moved::Taken);
        }
        let at = self.moment(tx, &last, line.as_ref(), now).await?;
        let directory = app.directory();
        let (splits, sharing, is_dropped) = self.split(&directory, &last, at)?;
        let mut reason = "moved from another campaign".to_owned();
        if is_dropped {
            reason.push_str("; its split ended, because who shared is not in this one");
        }
        let arrival = Arrival {
            account_id: account.0,
            root_id: line.as_ref().map_or(from.0, |line| line.current().root_id),
            previous_id: from.0,
            customer_id: self.successor.0,
            partner_id: self.to.partner.0,
            from_at: at.0,
            referred_at: self.referred_at(tx, &last).await?,
            splits: splits.as_deref(),
            reason: &reason,
            event_types: &self.event_types(tx).await?,
        };
        move_write(tx, &arrival).await?;
        partners_pay(tx, account.0, self.successor.0, &sharing).await?;
        membership_ensure(tx, account.0, self.to.program.0, self.to.partner.0, now.0).await?;
        let line = Line::read(tx, account, from).await?;
        let line = line.ok_or_else(|| StoreError::Abandoned("a line that was written is not there".into()))?;
        line.bring(tx, app, account, line.current(), now).await?;
        mark_person(tx, last.person_id, self.mark).await?;
        mark_person(tx, line.current().person_id, self.mark).await?;
        Ok(Moved::Done(self.tell(tx, app, now).await?))
    }

    /// From when on it is there: now, and after everything that it did.
    async fn moment(&self, tx: &Tx<'_>, last: &LastBinding, line: Option<&Line>, now: Instant) -> StoreResult<Instant> {
        let person = PersonOf { account_id: self.account.0, id: last.person_id };
        let facts = facts_whole(tx, &[person]).await?;
        let done = facts.iter().map(|fact| fact.at).filter(|at| *at <= now.0);
        let came = line.map_or(i64::MIN, |line| line.since().0);
        let latest = done.chain([last.from_at, came]).max().unwrap_or(i64::MIN);
        Ok(Instant(now.0.max(latest.saturating_add(1))))
    }

    /// Since when it is its partner's without a break: as new as it was to that one, it is to the next.
    async fn referred_at(&self, tx: &Tx<'_>, last: &LastBinding) -> StoreResult<i64> {
        let held = bindings_held(tx, self.account.0, self.from.row.id).await?;
        let of_partner = held.iter().skip_while(|binding| binding.from_at > last.from_at);
        let first = of_partner.take_while(|binding| binding.partner_id == last.partner_id).last();
        Ok(first.map_or(last.from_at, |first| first.referred_at.unwrap_or(first.from_at)))
    }

    /// Who shares goes along where all of them are in the new campaign: as it is stored, who they are, and whether it ended.
    fn split(
        &self,
        directory: &Directory,
        last: &LastBinding,
        at: Instant,
    ) -> StoreResult<(Option<String>, Vec<i64>, bool)> {
        let Some(text) = &last.splits else { return Ok((None, Vec::new(), false)) };
        // A default in the place of what cannot be read would end what somebody shares.
        let splits = Split::from_stored(text).ok_or_else(|| {
            StoreError::Abandoned(format!("the splits of customer {} cannot be read", self.from.row.id))
        })?;
        let parts = Split::latest(&splits).to_vec();
        if parts.is_empty() {
            return Ok((None, Vec::new(), false));
        }
        let is_there = |partner| directory.membership_in(self.to.program, partner).is_some();
        if !parts.iter().all(|part| is_there(part.partner)) {
            return Ok((None, Vec::new(), true));
        }
        let sharing = parts.iter().map(|part| part.partner.0).collect();
        match Split::of(self.to.partner, at, parts) {
            Ok(split) => Ok((Split::to_stored(&[split]), sharing, false)),
            // The next promoter is one of those who share.
            Err(_) => Ok((None, Vec::new(), true)),
        }
    }

    /// The events that the human had, in either campaign.
    async fn event_types(&self, tx: &Tx<'_>) -> StoreResult<String> {
        let mut types = BTreeSet::new();
        for customer in [self.from.id(), self.successor] {
            let person = person_of_customer(tx, self.account.0, customer.0).await?;
            let person = person.map_or_else(String::new, |person| person.event_types);
            types.extend(person.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        }
        Ok(types.into_iter().collect::<Vec<_>>().join(" "))
    }

    /// Webhooks hear that it left, and that it is there.
    async fn tell(&self, tx: &Tx<'_>, app: &App, now: Instant) -> StoreResult<bool> {
        let (account, row) = (self.account, &self.from.row);
        let left = ProgramId(row.program_id);
        let mut told = Vec::new();
        let directory = app.directory();
        if listens(app, account.0, left.0) {
            let mut shown = Shown::of_row(row);
            let was = std::mem::replace(&mut shown.state, "moved".to_owned());
            let promoter = json!([row.partner_id, self.to.partner.0]);
            let campaign = json!([left.0, self.to.program.0]);
            let changes = json!({"state": [was, "moved"], "promoter_id": promoter, "campaign_id": campaign});
            let names = vec![("updated", changes.clone()), ("moved", changes)];
            let data = entity(&directory, &shown, self.from.membership.as_ref());
            told.push(Told::other(account, left, "referral", row.id, data, names));
        }
        if listens(app, account.0, self.to.program.0) {
            let ids = Some(format!(",{},", self.successor));
            let filter = ReferralFilter { account_id: account.0, ids, ..ReferralFilter::default() };
            let there = directory.membership_in(self.to.program, self.to.partner);
            for row in referral_list(tx, &filter, 1, 0).await? {
                let data = entity(&directory, &Shown::of_row(&row), there);
                let names = vec![("created", json!({}))];
                told.push(Told::other(account, self.to.program, "referral", row.id, data, names));
            }
        }
        if told.is_empty() { Ok(false) } else { announce(tx, app, &told, now).await }
    }
}
