//! Referrals: customers as the rewards dialect sees them, found by email or by the caller's own id in any program.
//!
//! A referral whose caller gives no id is a customer under its email's name (`named`); an id that comes later names the
//! same person. Leaves recording to `ingest` and forgetting and moving within a campaign to `customer`. Invariant: nothing here is a second
//! record of anything; a referral is its customer.

pub(crate) mod line;
mod moving;
mod named;
mod shown;

pub use named::Named;
pub(crate) use shown::{Shown, entity, split_json, uid_of};

use crate::app::App;
use crate::campaign::{has_ended, is_archived};
use crate::error::{Error, Result};
use crate::ingest::{CustomerRecord, Field, Ingest, Record, Referrer, Seen, Source};
use crate::membership::Membership;
use headwater_domain::ids::{AccountId, CustomerId, MembershipId, PartnerId, PersonId, ProgramId};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::referral::{ProgramName, referral_list, referrals_by_external_id, referrals_by_person};
pub use headwater_store::referral::{ReferralFilter, ReferralOrder, ReferralRow};
use serde_json::{Map, Value};
use shown::split_of;
use std::sync::Arc;

/// Where a state stands that somebody gave it: `denied` or `pending`.
pub const STATE: &str = "referral_state";
/// Nothing that it buys is tracked.
pub(crate) const DENIED: &str = "denied";
/// Nothing that is earned of it is approved before it is (`settle::waiting`).
pub(crate) const PENDING: &str = "pending";
/// Where it stands what a referral is suspected of.
pub(crate) const FRAUD_CHECK: &str = "fraud_check";

/// A customer and its membership.
#[derive(Debug, Clone)]
pub struct Referral {
    /// Its row.
    pub row: ReferralRow,
    /// Who brought it, as a member of its program.
    pub membership: Option<Arc<Membership>>,
}

impl Referral {
    /// Its number.
    pub fn id(&self) -> CustomerId {
        CustomerId(self.row.id)
    }
    /// That it was found.
    pub(crate) fn seen(&self) -> Seen {
        Seen::Customer(self.id(), self.row.external_id.clone())
    }
    /// What is said of it beside what is read.
    pub fn attributes(&self) -> Map<String, Value> {
        self.row.attributes.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
    /// Who shares what is earned of it, as it is shown; `null` where nobody does.
    pub fn split_details(&self, app: &App) -> Value {
        split_json(&app.directory(), ProgramId(self.row.program_id), &split_of(&self.row))
    }
    /// The caller's id, where it gave one.
    pub fn uid(&self) -> Option<String> {
        uid_of(self.row.external_id.as_deref(), self.row.attributes.as_deref())
    }
    /// Whether somebody disabled it.
    pub fn is_denied(&self) -> bool {
        self.row.state == DENIED
    }
    /// Whether it, who brought it, or the campaign that it is in, earns nothing at `at`.
    pub fn is_barred_at(&self, app: &App, at: Instant) -> bool {
        let partner = self.row.partner_id.map(PartnerId);
        let membership = self.membership.as_ref();
        let directory = app.directory();
        let program = directory.program_of_any_account(ProgramId(self.row.program_id));
        self.is_denied()
            || program.is_some_and(|program| has_ended(&program.settings.campaign, at))
            || membership.is_some_and(|membership| membership.is_barred_at(at))
            || partner.is_some_and(|partner| {
                let account = membership.map(|membership| membership.account);
                account
                    .and_then(|account| directory.partner_by_id(account, partner).cloned())
                    .is_some_and(|partner| partner.is_suspended_at(at))
            })
    }
}

/// What a caller changes of a referral; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct ReferralChange {
    /// Its email.
    pub email: Option<String>,
    /// The caller's id.
    pub uid: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Put into its attributes: `null` clears a key.
    pub attributes: Map<String, Value>,
    /// Who shares what is earned of it from now on, by memberships; nobody ends it.
    pub split: Option<Vec<(MembershipId, Decimal)>>,
}

impl ReferralChange {
    /// Whether anything but who shares is said, or nothing at all.
    fn is_of_record(&self) -> bool {
        let says_more =
            self.email.is_some() || self.uid.is_some() || self.name.is_some() || !self.attributes.is_empty();
        says_more || self.split.is_none()
    }
}

/// What else is said of a referral that is made by hand.
#[derive(Debug, Clone, Default)]
pub struct NewReferral<'n> {
    /// Its name.
    pub name: Option<String>,
    /// Whose hand.
    pub entry_source: &'n str,
    /// Who shares what is earned of it, by memberships, and how many percent each gets.
    pub split: Vec<(MembershipId, Decimal)>,
}

impl App {
    /// Referrals that fit, newest first, and how many fit in all.
    pub async fn referral_list(&self, filter: ReferralFilter, limit: i64, offset: i64) -> Result<(Vec<Referral>, i64)> {
        let account = AccountId(filter.account_id);
        let read = async move |tx: &Tx<'_>| {
            let rows = referral_list(tx, &filter, limit, offset).await?;
            let total = match rows.first() {
                Some(row) => row.total,
                None => referral_list(tx, &filter, 1, 0).await?.first().map_or(0, |row| row.total),
            };
            Ok((rows, total))
        };
        let (rows, total) = self.store.money.read(read).await?;
        Ok((rows.into_iter().map(|row| self.referral_of(account, row)).collect(), total))
    }

    /// A referral by its number; by the number of one that was moved to another campaign, the one that took its place.
    pub async fn referral_read(&self, account: AccountId, id: CustomerId) -> Result<Referral> {
        if let Some(found) = self.referral_by_id(account, id).await? {
            return Ok(found);
        }
        let line = self.line(account, id).await?;
        let next = line.map(|line| CustomerId(line.current().customer_id)).filter(|next| *next != id);
        let found = match next {
            Some(next) => self.referral_by_id(account, next).await?,
            None => None,
        };
        found.ok_or(Error::NotFound("referral"))
    }

    async fn referral_by_id(&self, account: AccountId, id: CustomerId) -> Result<Option<Referral>> {
        let filter =
            ReferralFilter { account_id: account.0, ids: Some(format!(",{id},")), ..ReferralFilter::default() };
        let (found, _) = self.referral_list(filter, 1, 0).await?;
        Ok(found.into_iter().next())
    }

    /// The referral that is named so, in this program or in any of the account; the oldest where several are.
    pub async fn referral_named(
        &self,
        account: AccountId,
        program: Option<ProgramId>,
        named: &Named,
    ) -> Result<Option<Referral>> {
        let directory = self.directory();
        let programs: Vec<_> = match program {
            Some(program) => vec![program],
            None => directory.programs(account).map(|program| program.id).collect(),
        };
        let each = |name: &str| -> Vec<ProgramName> {
            programs.iter().map(|program| ProgramName { program_id: program.0, name: name.to_owned() }).collect()
        };
        let accounts = named.uid.as_deref().map(each).unwrap_or_default();
        let mut persons = named.uid.as_ref().map(|uid| each(&format!(" person:{uid}"))).unwrap_or_default();
        persons.extend(named.email.as_deref().map(each).unwrap_or_default());
        let find = async move |tx: &Tx<'_>| {
            let mut found =
                if accounts.is_empty() { Vec::new() } else { referrals_by_external_id(tx, &accounts).await? };
            if found.is_empty() && !persons.is_empty() {
                found = referrals_by_person(tx, &persons).await?;
            }
            Ok(found)
        };
        for (id,) in self.store.money.read(find).await? {
            match self.referral_read(account, CustomerId(id)).await {
                Ok(referral) => return Ok(Some(referral)),
                Err(Error::NotFound(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Makes a referral of a member by hand (`rewards-api.md` §8).
    ///
    /// # Errors
    /// [`Error::Invalid`] of `email` or `uid` where its program has one that is named so.
    pub async fn referral_create(
        &self,
        account: AccountId,
        member: &Membership,
        named: &Named,
        made: NewReferral<'_>,
    ) -> Result<Referral> {
        let split = self.split_parts(account, member.program, member.partner, &made.split)?;
        let customer = named.own_id().ok_or_else(|| Error::invalid("email", "and uid can not be blank"))?;
        named.email_check(None)?;
        if self.program_read(account, member.program).is_ok_and(|program| is_archived(&program)) {
            return Err(Error::invalid("promoter_campaign_id", "is of a campaign that was deleted"));
        }
        let mut record = named.record(customer.clone(), Referrer::Partner(member.partner, None));
        record.registered_at = Some(self.clock.now());
        record.name = made.name.map_or(Field::Keep, Field::Set);
        record.attributes.insert("entry_source".into(), made.entry_source.into());
        record.split = split;
        let mut overtaken = None;
        loop {
            if let Some(other) = self.referral_named(account, Some(member.program), named).await? {
                return Err(Error::invalid(named.shared_with(&other), "has already been taken"));
            }
            if member.is_barred_at(self.clock.now()) {
                return Err(Error::invalid("promoter_campaign_id", "is pending, rejected or blocked"));
            }
            let made = (record.clone(), Seen::Nobody);
            match self.customer_record_as_seen(account, member.program, made, overtaken.as_ref()).await? {
                Ok(id) => return self.referral_read(account, id).await,
                Err(seen) => overtaken = Some(seen),
            }
        }
    }

    /// Changes what is given of a referral.
    pub async fn referral_patch(
        self: &Arc<Self>,
        account: AccountId,
        id: CustomerId,
        change: ReferralChange,
    ) -> Result<Referral> {
        let before = self.referral_read(account, id).await?;
        let split = match (&change.split, before.row.partner_id) {
            (Some(named), Some(direct)) => {
                Some(self.split_parts(account, ProgramId(before.row.program_id), PartnerId(direct), named)?)
            }
            _ => None,
        };
        if change.is_of_record() {
            self.referral_record(account, &before, change).await?;
        }
        if let Some(parts) = split {
            self.customer_split(account, before.id(), parts, None).await?;
        }
        self.referral_read(account, id).await
    }

    /// Changes what stands in its record.
    async fn referral_record(&self, account: AccountId, before: &Referral, change: ReferralChange) -> Result<()> {
        let named = Named::new(change.email.as_deref(), change.uid.as_deref());
        let number = before.row.external_id.is_none().then_some((PersonId(before.row.person_id), before.id()));
        if number.is_some() && !named.is_blank() {
            return Err(Error::invalid("id", "is a client of events, which has no record of its own to change"));
        }
        named.email_check(before.row.email.as_deref())?;
        let program = ProgramId(before.row.program_id);
        let must_be_free = async || match self.referral_named(account, Some(program), &named).await? {
            Some(other) if other.row.id != before.row.id => {
                Err(Error::invalid(named.shared_with(&other), "has already been taken"))
            }
            _ => Ok(()),
        };
        must_be_free().await?;
        if named.uid.is_some() && before.uid().is_some() && before.uid() != named.uid {
            return Err(Error::invalid("uid", "stands for this referral in its facts, and cannot become another one"));
        }
        let mut record = named.record(before.row.external_id.clone().unwrap_or_default(), Referrer::Unsaid);
        record.name = change.name.map_or(Field::Keep, Field::Set);
        record.number = number;
        record.attributes.extend(change.attributes);
        let mut overtaken = None;
        loop {
            let changed = (record.clone(), Seen::NobodyBut(before.id()));
            match self.customer_record_as_seen(account, program, changed, overtaken.as_ref()).await? {
                Ok(_) => return Ok(()),
                Err(seen) => overtaken = Some(seen),
            }
            must_be_free().await?;
        }
    }

    /// Gives its referral to another member: of the same campaign from the beginning or from `at` on, of another one from now on.
    pub async fn referral_move(
        self: &Arc<Self>,
        account: AccountId,
        id: CustomerId,
        to: &Membership,
        with_commissions: bool,
        at: Instant,
    ) -> Result<Referral> {
        let before = self.referral_read(account, id).await?;
        let id = before.id();
        if self.program_read(account, to.program).is_ok_and(|program| is_archived(&program)) {
            return Err(Error::invalid("promoter_campaign_id", "is of a campaign that was deleted"));
        }
        if before.row.program_id != to.program.0 && with_commissions {
            let message = "cannot be carried out into another campaign: what was earned stays in the books of its own";
            return Err(Error::invalid("move_associated_commissions", message));
        }
        if before.row.program_id != to.program.0 {
            return self.referral_leave(account, before, to).await;
        }
        if with_commissions {
            self.customer_take_over(account, id, to.partner, "moved to another promoter").await?;
            return self.referral_read(account, id).await;
        }
        let partner =
            self.directory().partner_by_id(account, to.partner).map(|partner| partner.row.external_id.clone());
        let partner = partner.ok_or(Error::NotFound("promoter"))?;
        let line = self.line(account, id).await?;
        if line.is_some() && before.row.partner_id == Some(to.partner.0) {
            // It was asked for before it came here, and has come since.
            return Ok(before);
        }
        let at = line
            .filter(|line| at <= line.since())
            .map_or(at, |line| Instant(line.since().0.saturating_add(1)).max(self.clock.now()));
        self.customer_attribute(account, id, &partner, Some(at), "moved to another promoter").await?;
        self.referral_read(account, id).await
    }

    /// Records it whatever is stored.
    async fn customer_record(
        &self,
        account: AccountId,
        program: ProgramId,
        record: CustomerRecord,
    ) -> Result<CustomerId> {
        let recorded = self.customer_record_as_seen(account, program, (record, Seen::Anything), None).await?;
        Ok(recorded.expect("what holds whatever is stored is never overtaken"))
    }

    async fn customer_record_as_seen(
        &self,
        account: AccountId,
        program: ProgramId,
        (record, seen): (CustomerRecord, Seen),
        overtaken: Option<&Seen>,
    ) -> Result<Result<CustomerId, Seen>> {
        let records = vec![Record::Customer(Box::new(record))];
        let ingest = Ingest {
            account,
            program,
            source: Source::Push,
            all_or_nothing: true,
            records,
            keep: crate::keep::Keep::nothing(),
            seen,
        };
        let recorded = match self.record_as_seen(ingest, overtaken).await? {
            Ok(recorded) => recorded,
            Err(seen) => return Ok(Err(seen)),
        };
        recorded.first().and_then(|recorded| recorded.customer).map(Ok).ok_or(Error::NotFound("referral"))
    }

    fn referral_of(&self, account: AccountId, row: ReferralRow) -> Referral {
        let directory = self.directory();
        let partner = row.partner_id.map(PartnerId);
        let found = partner.and_then(|partner| directory.membership_in(ProgramId(row.program_id), partner).cloned());
        Referral { row, membership: found.filter(|membership| membership.account == account) }
    }
}
