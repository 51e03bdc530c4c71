//! Pricing people anew where no event came: an exchange rate arrived or was corrected, or somebody asks for a held fact.
//!
//! What a rate touches is noted in the transaction that sets it (`store::repricing`) and done in steps, each of which is
//! one transaction with how far it got; a stop forgets nothing, and doing a step twice posts nothing.

use super::books;
use super::decide::Decision;
use super::load::read_persons;
use super::view::View;
use crate::app::App;
use crate::error::Result;
use headwater_domain::ids::{AccountId, PersonId};
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::repricing::{RepricingRow, repricing_advance, repricing_done, repricing_next, repricing_persons};
use headwater_store::settlement::{Number, persons_lock};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// People of one step.
const STEP_PERSONS: i64 = 64;

impl App {
    /// Prices these people of an account anew, in one transaction; foreign ones are left alone.
    pub async fn resettle(self: &Arc<Self>, account: AccountId, persons: &[PersonId]) -> Result<()> {
        let persons: BTreeSet<_> = persons.iter().map(|person| person.0).collect();
        let persons: Vec<_> = persons.into_iter().map(|id| Number { id }).collect();
        let app = Arc::clone(self);
        self.store.money.write(async move |tx| resettle(tx, &app, account, &persons).await).await?;
        Ok(())
    }

    /// Does one step of what is to be priced anew; `false` where nothing is due.
    pub async fn reprice_step(self: &Arc<Self>) -> Result<bool> {
        let now = self.clock.now();
        let asked = self.store.money.read(async move |tx| repricing_next(tx, now.0).await).await?;
        let Some(asked) = asked else { return Ok(false) };
        // What was set in the same transaction is in force on this node before anything is priced by it.
        self.refresh().await?;
        let (app, row) = (Arc::clone(self), asked.clone());
        let step = async move |tx: &Tx<'_>| {
            let persons = repricing_persons(tx, &row, STEP_PERSONS).await?;
            let Some(last) = persons.last() else { return repricing_done(tx, row.id).await };
            resettle(tx, &app, AccountId(row.account_id), &persons).await?;
            repricing_advance(tx, row.id, last.id).await
        };
        match self.store.money.write(step).await {
            Ok(()) => Ok(true),
            Err(error) if error.left_nothing() => self.reprice_one_by_one(asked).await,
            Err(error) => Err(error.into()),
        }
    }

    /// One person that cannot be priced keeps nobody else waiting: it is logged, and left as it is.
    async fn reprice_one_by_one(self: &Arc<Self>, asked: RepricingRow) -> Result<bool> {
        let (row, account) = (asked.clone(), AccountId(asked.account_id));
        let persons = async move |tx: &Tx<'_>| repricing_persons(tx, &row, STEP_PERSONS).await;
        for person in self.store.money.read(persons).await? {
            if let Err(error) = self.resettle(account, &[PersonId(person.id)]).await {
                tracing::error!(%error, person = person.id, "a person cannot be priced anew");
            }
            let advance = async move |tx: &Tx<'_>| repricing_advance(tx, asked.id, person.id).await;
            self.store.money.write(advance).await?;
        }
        Ok(true)
    }
}

async fn resettle(tx: &Tx<'_>, app: &App, account: AccountId, persons: &[Number]) -> StoreResult<()> {
    let now = app.clock.now();
    let mut view = View::default();
    let locked = persons_lock(tx, persons).await?;
    let ours: Vec<_> = locked.into_iter().filter(|row| row.account_id == account.0).collect();
    let ids: Vec<_> = ours.iter().map(|row| PersonId(row.id)).collect();
    read_persons(tx, ours, &mut view).await?;
    {
        let directory = app.directory();
        let mut next_id = || app.next_id(now);
        let mut decision = Decision { view: &mut view, directory: &directory, next_id: &mut next_id, now };
        for id in ids {
            let Some(mut person) = decision.view.persons.remove(&id) else { continue };
            let program = decision.program(account, person.program)?;
            decision.reprice(&mut person, &program)?;
            decision.update_person(&person);
            decision.view.persons.insert(id, person);
        }
    }
    books::commit(tx, app, view, now).await
}

/// Does what is asked for until the application is gone.
pub async fn run(app: Weak<App>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        loop {
            let Some(app) = app.upgrade() else { return };
            match app.reprice_step().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    tracing::warn!(%error, "people could not be priced anew; it is tried again");
                    break;
                }
            }
        }
    }
}
