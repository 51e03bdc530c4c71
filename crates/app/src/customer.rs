//! Customers: reading the person behind one, with its accounts and bindings; binding it by hand; forgetting it.
//!
//! Invariant: who is bound anew is priced again, and what was posted is corrected by further postings.

use crate::announce::{Told, announce, listens};
use crate::app::App;
use crate::error::{Error, Result};
use crate::referral::{Shown, entity};
use crate::reprice::Mark;
use headwater_domain::ids::{AccountId, CustomerId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
pub use headwater_store::customer::{BindingRow, CustomerAccountRow, PersonOfCustomer};
use headwater_store::customer::{
    attribution_put, attribution_take_over, bindings_of_person, clicks_erase, clicks_of_person,
    customer_by_external_id, customers_of_person, person_erase, person_of_customer,
};
use headwater_store::membership::membership_ensure;
use headwater_store::referral::{ReferralFilter, referral_list};
use headwater_store::referral_move::{arrived_at, has_left};
use headwater_store::repricing::mark_person;
use headwater_store::settlement::{Number, programs_lock};
use serde_json::json;
use std::sync::Arc;

/// A person, its accounts and its bindings.
#[derive(Debug, Clone)]
pub struct CustomerStory {
    /// The person.
    pub person: PersonOfCustomer,
    /// Its accounts, oldest first.
    pub accounts: Vec<CustomerAccountRow>,
    /// Its bindings, oldest first.
    pub bindings: Vec<BindingRow>,
}

/// What came of binding a customer by hand.
enum Bound {
    /// Nothing that anybody is to hear of.
    No,
    Told,
    /// The customer is in another program then.
    Elsewhere,
}

impl App {
    /// The number of the customer that a path names: by the caller's id, else by its number.
    pub async fn customer_named(&self, account: AccountId, name: &str) -> Result<CustomerId> {
        let external_id = name.to_owned();
        let found =
            self.store.money.read(async move |tx| customer_by_external_id(tx, account.0, &external_id).await).await?;
        let number = found.or_else(|| name.parse().ok());
        number.map(CustomerId).ok_or(Error::NotFound("customer"))
    }

    /// The person of this client or customer number.
    pub async fn customer_read(&self, account: AccountId, id: CustomerId) -> Result<CustomerStory> {
        let story = async move |tx: &Tx<'_>| {
            let Some(person) = person_of_customer(tx, account.0, id.0).await? else { return Ok(None) };
            let accounts = customers_of_person(tx, account.0, person.id).await?;
            let bindings = bindings_of_person(tx, account.0, person.id).await?;
            Ok(Some(CustomerStory { person, accounts, bindings }))
        };
        self.store.money.read(story).await?.ok_or(Error::NotFound("customer"))
    }

    /// Binds a customer to a partner from an instant on, for a reason that stays with the binding; `None`: now. What it is
    /// worth is posted anew soon after.
    pub async fn customer_attribute(
        self: &Arc<Self>,
        account: AccountId,
        customer: CustomerId,
        partner: &str,
        at: Option<Instant>,
        reason: &str,
    ) -> Result<CustomerStory> {
        if reason.trim().is_empty() {
            return Err(Error::invalid("reason", "must say why the customer is moved"));
        }
        let partner = self.directory().partner(account, partner).map(|partner| partner.id);
        let partner = partner.ok_or_else(|| Error::invalid("partner", "must be the id of a partner"))?;
        let story = self.customer_read(account, customer).await?;
        let (now, reason) = (self.clock.now(), reason.trim().to_owned());
        let (program, from, mark) = (story.person.program_id, at.unwrap_or(now), self.next_id(now));
        let app = Arc::clone(self);
        let bind = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            // No two persons become one meanwhile.
            programs_lock(tx, &[Number { id: program }]).await?;
            let Some(person) = person_of_customer(tx, account.0, customer.0).await? else { return Ok(Bound::No) };
            let arrived = arrived_at(tx, account.0, customer.0).await?;
            if has_left(tx, account.0, customer.0).await? || arrived.is_some_and(|arrived| from.0 <= arrived) {
                return Ok(Bound::Elsewhere);
            }
            if attribution_put(tx, account.0, customer.0, from.0, partner.0, &reason, now.0).await? == 0 {
                return Ok(Bound::No);
            }
            membership_ensure(tx, account.0, program, partner.0, now.0).await?;
            mark_person(tx, person.id, mark).await?;
            let is_told = moved(tx, &app, account, ProgramId(program), customer, partner, now).await?;
            Ok(if is_told { Bound::Told } else { Bound::No })
        };
        match self.store.money.write(bind).await? {
            Bound::Elsewhere => {
                let message =
                    "is when the customer is, or was, in another program: bind the one that stands for it there";
                return Err(Error::invalid("at", message));
            }
            Bound::Told => self.outbox.ring(),
            Bound::No => {}
        }
        self.customer_read(account, customer).await
    }

    /// Binds a customer to a partner from the beginning, whatever it was bound to since. A binding that holds already is left
    /// alone. What it is worth is posted anew soon after.
    pub(crate) async fn customer_take_over(
        self: &Arc<Self>,
        account: AccountId,
        customer: CustomerId,
        partner: PartnerId,
        reason: &str,
    ) -> Result<()> {
        let program = self.customer_read(account, customer).await?.person.program_id;
        let (now, app, reason) = (self.clock.now(), Arc::clone(self), reason.to_owned());
        let mark = self.next_id(now);
        let bind = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            // No two persons become one meanwhile.
            programs_lock(tx, &[Number { id: program }]).await?;
            let Some(person) = person_of_customer(tx, account.0, customer.0).await? else { return Ok(false) };
            if attribution_take_over(tx, account.0, customer.0, partner.0, &reason, now.0).await? == 0 {
                return Ok(false);
            }
            membership_ensure(tx, account.0, program, partner.0, now.0).await?;
            mark_person(tx, person.id, mark).await?;
            moved(tx, &app, account, ProgramId(program), customer, partner, now).await
        };
        if self.store.money.write(bind).await? {
            self.outbox.ring();
        }
        Ok(())
    }

    /// Forgets who a customer's person is: email, names, attributes, what its events carried, where its clicks came from.
    /// Its numbers, facts, commissions and ledger entries stay, and so do the callers' ids of its accounts.
    pub async fn customer_erase(self: &Arc<Self>, account: AccountId, customer: CustomerId) -> Result<CustomerStory> {
        let program = self.customer_read(account, customer).await?.person.program_id;
        let (app, now) = (Arc::clone(self), self.clock.now());
        let erase = async move |tx: &Tx<'_>| {
            programs_lock(tx, &[Number { id: program }]).await?;
            let Some(person) = person_of_customer(tx, account.0, customer.0).await? else {
                return Ok((Vec::new(), false));
            };
            let clicks = clicks_of_person(tx, person.id).await?;
            let gone = json!({"id": customer.0});
            let names = vec![("deleted", json!({}))];
            let told = Told::other(account, ProgramId(program), "referral", customer.0, gone, names);
            person_erase(tx, person.id).await?;
            // Asked again, nobody hears of it again.
            let told: &[Told] = if person.is_erased { &[] } else { &[told] };
            Ok((clicks, announce(tx, &app, told, now).await?))
        };
        let (clicks, delivers) = self.store.money.write(erase).await?;
        if delivers {
            self.outbox.ring();
        }
        // Asked again, it finds the same clicks: a failure here is told, and nothing is left behind.
        self.store.clicks.write(async move |tx| clicks_erase(tx, account.0, &clicks).await).await?;
        self.customer_read(account, customer).await
    }
}

/// Webhooks hear that a referral is another promoter's now.
async fn moved(
    tx: &Tx<'_>,
    app: &App,
    account: AccountId,
    program: ProgramId,
    customer: CustomerId,
    to: PartnerId,
    now: Instant,
) -> StoreResult<bool> {
    if !listens(app, account.0, program.0) {
        return Ok(false);
    }
    let ids = Some(format!(",{customer},"));
    let filter = ReferralFilter { account_id: account.0, ids, ..ReferralFilter::default() };
    let directory = app.directory();
    let membership = directory.membership_in(program, to);
    let rows = referral_list(tx, &filter, 1, 0).await?;
    let told: Vec<Told> = rows
        .iter()
        .map(|row| {
            let data = entity(&directory, &Shown::of_row(row), membership);
            let changes = json!({"promoter_id": [null, to.0]});
            Told::other(
                account,
                program,
                "referral",
                row.id,
                data,
                vec![("updated", changes.clone()), ("moved", changes)],
            )
        })
        .collect();
    announce(tx, app, &told, now).await
}
