//! Pricing people anew where no event came: an exchange rate arrived or was corrected, a plan or a place in the tree was
//! changed in the past, or somebody asks for a held fact.
//!
//! What a change touches is noted in the transaction that makes it (`store::repricing`) and done in steps, each of which
//! is one transaction with how far it got; a stop forgets nothing, and doing a step twice posts nothing.

use super::books;
use super::decide::Decision;
use super::load::read_persons;
use super::view::View;
use crate::app::App;
use crate::error::Result;
use headwater_domain::ids::{AccountId, PersonId};
use headwater_domain::money::Currency;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::repricing::{
    NewRepricing, RepricingRow, repricing_advance, repricing_done, repricing_next, repricing_persons,
};
use headwater_store::settlement::{Number, persons_lock};
use std::collections::BTreeSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// People of one step.
const STEP_PERSONS: i64 = 64;
/// Steps that the caller of a change waits for.
const STEPS_AT_ONCE: usize = 4;
/// Another node may price by what was in force before until it has refreshed its configuration, which it does every
/// second: what it did until then is priced once more.
const OTHER_NODES_SECONDS: i64 = 5;

/// Which facts a change touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Touched {
    /// All of them.
    All,
    /// Those in one of two currencies.
    Currencies(Currency, Currency),
}

/// What to note in the transaction of a change that is in force from `since` on.
pub(crate) fn repricing(app: &App, account: AccountId, since: Instant, touched: Touched) -> [NewRepricing; 2] {
    let now = app.clock.now();
    // A currency stands in a fact's JSON as its code in quotes.
    let pattern = |currency: Currency| format!("%\"{currency}\"%");
    let (one, two) = match touched {
        Touched::All => ("%".to_owned(), "%".to_owned()),
        Touched::Currencies(one, two) => (pattern(one), pattern(two)),
    };
    [now, now.plus_seconds(OTHER_NODES_SECONDS)].map(|due_at| NewRepricing {
        id: app.next_id(now),
        account_id: account.0,
        due_at: due_at.0,
        since_at: since.0,
        pattern_one: one.clone(),
        pattern_two: two.clone(),
    })
}

impl App {
    /// Prices these people of an account anew, in one transaction; foreign ones are left alone.
    pub async fn resettle(self: &Arc<Self>, account: AccountId, persons: &[PersonId]) -> Result<()> {
        let persons: BTreeSet<_> = persons.iter().map(|person| person.0).collect();
        let persons: Vec<_> = persons.into_iter().map(|id| Number { id }).collect();
        let app = Arc::clone(self);
        self.store.money.write(async move |tx| resettle(tx, &app, account, &persons).await).await?;
        Ok(())
    }

    /// Does the first steps of what a committed change touched, so that its caller sees small ones done. What cannot be
    /// done now is done by the background task.
    pub(crate) async fn reprice_some(self: &Arc<Self>) {
        for _ in 0..STEPS_AT_ONCE {
            if !matches!(self.reprice_step().await, Ok(true)) {
                return;
            }
        }
    }

    /// Does one step of what is to be priced anew; `false` where nothing is due.
    pub async fn reprice_step(self: &Arc<Self>) -> Result<bool> {
        let now = self.clock.now();
        let asked = self.store.money.read(async move |tx| repricing_next(tx, now.0).await).await?;
        let Some(asked) = asked else { return Ok(false) };
        // What was set in the same transaction is in force on this node before anything is priced by it.
        self.refresh().await?;
        // Looked for by a reader: it may be a long look, and writers wait for nobody's.
        let row = asked.clone();
        let persons = async move |tx: &Tx<'_>| repricing_persons(tx, &row, STEP_PERSONS).await;
        let persons = self.store.money.read(persons).await?;
        let (app, row, people) = (Arc::clone(self), asked.clone(), persons.clone());
        let step = async move |tx: &Tx<'_>| {
            let Some(last) = people.last() else { return repricing_done(tx, row.id).await };
            resettle(tx, &app, AccountId(row.account_id), &people).await?;
            repricing_advance(tx, row.id, last.id).await
        };
        match self.store.money.write(step).await {
            Ok(()) => Ok(true),
            Err(error) if error.left_nothing() => self.reprice_one_by_one(&asked, persons).await,
            Err(error) => Err(error.into()),
        }
    }

    /// One person that cannot be priced keeps nobody else waiting: it is logged, and left as it is.
    async fn reprice_one_by_one(self: &Arc<Self>, asked: &RepricingRow, persons: Vec<Number>) -> Result<bool> {
        let (id, account) = (asked.id, AccountId(asked.account_id));
        for person in persons {
            if let Err(error) = self.resettle(account, &[PersonId(person.id)]).await {
                tracing::error!(%error, person = person.id, "a person cannot be priced anew");
            }
            self.store.money.write(async move |tx| repricing_advance(tx, id, person.id).await).await?;
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
