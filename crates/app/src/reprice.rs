//! What a dated change is worth: everybody whom it concerns is marked in its own transaction, and priced again soon.
//!
//! Also closes periods: a rule with `carry` is worth something once its period is over. Invariant: a mark goes only
//! with the settlement that priced its person.

use crate::app::App;
use crate::error::Result;
use crate::settle::Command;
use headwater_domain::commission::Rule;
use headwater_domain::ids::{AccountId, PersonId, ProgramId};
use headwater_domain::time::{Date, Instant, Period};
use headwater_store::backend::Tx;
use headwater_store::pricing_lock::changing_prices;
use headwater_store::repricing::{
    Marked, mark_account, mark_program, marked, marked_of_customers, marks_postpone, periods_close,
};
use headwater_store::settlement::Number;
use std::collections::BTreeMap;
use std::sync::Weak;
use std::time::Duration;

/// Persons of one settlement.
const PERSONS_MAX: i64 = 256;
/// A day row stands up to a day before its own time, and a zone moves it by up to another.
const MARGIN_SECONDS: i64 = 2 * 86_400;
/// How long a person waits that could not be priced.
const POSTPONED_SECONDS: i64 = 60;
const EVERY: Duration = Duration::from_millis(500);

/// Who is to be priced again; set in the transaction of the change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    account: AccountId,
    from_at: i64,
    number: i64,
}

impl Mark {
    /// Before anything else in the transaction of the change.
    pub(crate) async fn begin(tx: &Tx<'_>) -> headwater_store::backend::Result<()> {
        changing_prices(tx).await
    }

    /// At its end.
    pub(crate) async fn set(self, tx: &Tx<'_>) -> headwater_store::backend::Result<()> {
        mark_account(tx, self.account.0, self.from_at, self.number).await
    }
}

/// Persons with their marks.
type MarkedPersons = Vec<(PersonId, Option<i64>)>;

/// Marked persons by their programs.
fn by_program(rows: Vec<Marked>) -> Vec<(AccountId, ProgramId, MarkedPersons)> {
    let mut programs: BTreeMap<(i64, i64), MarkedPersons> = BTreeMap::new();
    for row in rows {
        let persons = programs.entry((row.account_id, row.program_id)).or_default();
        persons.push((PersonId(row.person_id), Some(row.mark)));
    }
    let named = |((account, program), persons)| (AccountId(account), ProgramId(program), persons);
    programs.into_iter().map(named).collect()
}

impl App {
    /// A new mark: everybody of an account who has a fact at `from` or later is to be priced again.
    pub(crate) fn mark_from(&self, account: AccountId, from: Instant) -> Mark {
        let mark = self.next_id(self.clock.now());
        Mark { account, from_at: from.plus_seconds(-MARGIN_SECONDS).0, number: mark }
    }

    /// Prices everybody who is marked; gives how many that were.
    pub async fn reprice(&self) -> Result<usize> {
        let mut done = 0;
        let now = self.clock.now();
        loop {
            let rows = self.store.money.read(async move |tx| marked(tx, now.0, PERSONS_MAX).await).await?;
            if rows.is_empty() {
                return Ok(done);
            }
            for (account, program, persons) in by_program(rows) {
                let served = persons.len();
                if let Err(error) = self.settle(Command::Reprice { account, program, persons: persons.clone() }).await {
                    tracing::warn!(%error, %program, "a program could not be priced again; its marks wait for the next time");
                    self.postpone(&persons).await?;
                    continue;
                }
                done += served;
            }
        }
    }

    /// Prices these customers of an account now, where they are marked.
    ///
    /// # Errors
    /// Where one could not be priced; its mark stays, and waits behind the others.
    pub(crate) async fn reprice_customers(&self, account: AccountId, customers: &[i64]) -> Result<()> {
        let customers: Vec<_> = customers.iter().map(|id| Number { id: *id }).collect();
        let read = async move |tx: &Tx<'_>| marked_of_customers(tx, account.0, &customers).await;
        for (account, program, persons) in by_program(self.store.money.read(read).await?) {
            if let Err(error) = self.settle(Command::Reprice { account, program, persons: persons.clone() }).await {
                self.postpone(&persons).await?;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Behind everybody else, so that who cannot be priced keeps nobody waiting.
    async fn postpone(&self, persons: &[(PersonId, Option<i64>)]) -> Result<()> {
        let until = self.clock.now().plus_seconds(POSTPONED_SECONDS).0;
        let rows: Vec<_> = persons.iter().map(|(person, _)| Number { id: person.0 }).collect();
        Ok(self.store.money.write(async move |tx| marks_postpone(tx, until, &rows).await).await?)
    }

    /// Closes the periods that are over, in every program that has a rule with `carry`.
    pub async fn close_periods(&self) -> Result<()> {
        let due: Vec<(ProgramId, Date)> = {
            let directory = self.directory();
            let programs = directory.programs_of_all_accounts();
            programs.filter_map(|program| Some((program.id, directory.closes(program, self.clock.now())?))).collect()
        };
        for (program, day) in due {
            let mark = self.next_id(self.clock.now());
            self.store
                .money
                .write(async move |tx| {
                    changing_prices(tx).await?;
                    if periods_close(tx, program.0, &day.to_string()).await? {
                        mark_program(tx, program.0, mark).await?;
                    }
                    Ok(())
                })
                .await?;
            self.refresh_committed().await;
        }
        Ok(())
    }
}

impl crate::directory::Directory {
    /// The day before which periods of the program are to be closed, where that closes any that is still open.
    fn closes(&self, program: &crate::directory::Program, now: Instant) -> Option<Date> {
        let carries = |rule: &Rule| rule.carry.is_some();
        let timelines = self.plans(program.account).flat_map(|(_, history)| &history.timeline);
        let plans: Vec<_> =
            timelines.map(|version| &version.plan).filter(|plan| plan.rules.iter().any(carries)).collect();
        let today = plans.iter().map(|plan| plan.zone.day_of(now)).min()?;
        let ends_one = |before: Date| {
            plans.iter().any(|plan| Period::holding(plan.period, before) != Period::holding(plan.period, today))
        };
        program.closed_before.is_none_or(|before| before < today && ends_one(before)).then_some(today)
    }
}

/// Closes and prices until the application is gone.
pub async fn run(app: Weak<App>) {
    let mut every = tokio::time::interval(EVERY);
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let Some(app) = app.upgrade() else { return };
        if let Err(error) = app.close_periods().await {
            tracing::warn!(%error, "periods could not be closed; the next round does it");
        }
        match app.reprice().await {
            Ok(0) => {}
            Ok(persons) => tracing::info!(persons, "priced again after a change"),
            Err(error) => tracing::warn!(%error, "pricing again failed; the marks stay"),
        }
    }
}
