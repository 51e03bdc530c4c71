//! A draft plan over recorded history, per partner and customer, against what was posted. Writes nothing but its result.
//!
//! A few persons at a time stream through all cores, each priced alone. Where the draft looks further by sums alone
//! (steps by a partner's volume), they stream twice: first the sums are added up, then everybody is priced by them. Only a
//! draft that follows a running total over persons (marginal steps, caps and carry over a period, conditions on a partner)
//! needs whole circles of partners at once. Invariant: what is kept grows with partners and clients, a line each, and not with
//! facts or postings, but for such circles and for one person with very many facts.

mod compared;
mod shown;

use crate::app::App;
use crate::directory::Program;
use crate::error::{Error, Result};
use crate::history::{Circle, History, PERSONS_AT_ONCE};
use compared::Window;
pub use compared::{Compared, Simulation};
use headwater_domain::commission::{
    PartnerTerms, PersonView, Plan, PlanVersion, Reached, Terms, evaluate, evaluate_among, reached,
};
use headwater_domain::ids::{AccountId, CustomerId, PartnerId, ProgramId};
use headwater_domain::money::{OutOfRange, Unit};
use headwater_domain::time::{Date, Instant};
use headwater_store::backend::Tx;
use headwater_store::history::{PostedWithin, posted_within};
pub use headwater_store::simulation::SimulationRow;
use headwater_store::simulation::{simulation_finish, simulation_insert, simulation_read, simulations_orphaned};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for what it asked; then it reads it later.
const CALLER_WAITS: Duration = Duration::from_secs(20);
/// Simulations that run at the same time: each takes all cores, and reads everything.
pub(crate) const AT_ONCE_MAX: usize = 2;

/// Facts that one core works on at once; a person's are never cut apart.
const FACTS_AT_ONCE: usize = 8192;
/// Persons that are read at once before it is known how many facts they have.
const PERSONS_AT_FIRST: usize = 4;
/// Commissions that are read at once.
const POSTED_AT_ONCE: i64 = 4096;

/// What is asked.
#[derive(Debug, Clone)]
pub struct SimulationRequest {
    /// Whose.
    pub account: AccountId,
    /// In which program.
    pub program: ProgramId,
    /// The draft; it stands for the plan of every partner, from the beginning of time.
    pub plan: Plan,
    /// Facts from the start of this day on, in the draft's zone,
    pub from: Date,
    /// and before the start of this one.
    pub to: Date,
}

/// What every core works on.
struct Run {
    history: Arc<History>,
    program: Arc<Program>,
    draft: Arc<PlanVersion>,
    window: Window,
    /// Where the draft looks further by sums alone, and they are there.
    reached: Option<Reached>,
}

impl History {
    /// Runs the draft over everything recorded.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the account has no such program.
    pub async fn simulate(self: &Arc<Self>, asked: SimulationRequest) -> Result<Simulation> {
        let found = self.directory.program(asked.account, asked.program).cloned();
        let program = found.ok_or(Error::NotFound("program"))?;
        let by_sums = asked.plan.reaches_beyond_a_person() && asked.plan.looks_beyond_by_sums();
        let window = Window { from: asked.plan.zone.start_of(asked.from), to: asked.plan.zone.start_of(asked.to) };
        let mut simulation = self.posted(&program, window, &asked.plan).await?;
        let plan = asked.plan;
        let draft = PlanVersion { name: plan.name.clone(), version: 0, from: Instant(i64::MIN), plan };
        let run = Run { history: Arc::clone(self), program, draft: Arc::new(draft), window, reached: None };
        let mut run = Arc::new(run);
        if by_sums {
            let mut reached = Reached::default();
            each(&run, |_, persons, terms| Run::reached(persons, terms), |part| reached.add(part)).await?;
            let run = Arc::get_mut(&mut run).expect("all that counted have ended");
            run.reached = Some(reached);
        }
        each(&run, Run::price, |part| simulation.add(part)).await?;
        simulation.finish().map_err(out_of_range)
    }

    /// What was posted for facts of the window.
    async fn posted(&self, program: &Program, window: Window, draft: &Plan) -> Result<Simulation> {
        let asked = PostedWithin { program_id: program.id.0, from: window.from.0, to: window.to.0 };
        let mut simulation = Simulation::default();
        let mut after = i64::MIN;
        loop {
            let read = async move |tx: &Tx<'_>| posted_within(tx, asked, after, POSTED_AT_ONCE).await;
            let rows = self.store.money.read(read).await?;
            let Some(last) = rows.last() else { return Ok(simulation) };
            after = last.id;
            for row in rows {
                let Some(unit) = Unit::parse(&row.unit, draft.currency) else { continue };
                simulation.take_posted(row.partner_id.map(PartnerId), CustomerId(row.customer_id), unit, row.amount);
            }
        }
    }

    /// The account of a program.
    pub fn account_of(&self, program: ProgramId) -> Option<AccountId> {
        self.directory.program_of_any_account(program).map(|program| program.account)
    }
}

/// How many facts persons had so far.
#[derive(Default)]
struct Pace {
    persons: usize,
    facts: usize,
}

impl Pace {
    /// How many persons are worth [`FACTS_AT_ONCE`].
    fn persons_at_once(&self) -> usize {
        match (FACTS_AT_ONCE * self.persons).checked_div(self.facts) {
            Some(persons) => persons.clamp(1, PERSONS_AT_ONCE),
            None if self.persons > 0 => PERSONS_AT_ONCE,
            None => PERSONS_AT_FIRST,
        }
    }
}

/// Works on every circle, as many at a time as there are cores, and takes what comes of each.
async fn each<T: Send + 'static>(
    run: &Arc<Run>,
    work: fn(&Run, &[PersonView], &Terms<'_>) -> Result<T, OutOfRange>,
    mut take: impl FnMut(T) -> Result<(), OutOfRange>,
) -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut running = tokio::task::JoinSet::new();
    let mut circles = run.history.circles(&run.program, Some(&run.draft.plan)).await?;
    let mut pace = Pace::default();
    loop {
        // One more than there are cores: it is read while they compute.
        let is_full = running.len() > cores;
        let next = if is_full { None } else { circles.next(&run.history, pace.persons_at_once()).await? };
        if let Some(circle) = next {
            running.spawn(work_on(Arc::clone(run), circle, work));
            continue;
        }
        let Some(done) = running.join_next().await else { return Ok(()) };
        let (persons, facts, part) = done.map_err(|_| closed())??;
        pace.persons += persons;
        pace.facts += facts;
        take(part).map_err(out_of_range)?;
    }
}

/// Gives also how many persons and facts there were.
async fn work_on<T: Send + 'static>(
    run: Arc<Run>,
    circle: Circle,
    work: fn(&Run, &[PersonView], &Terms<'_>) -> Result<T, OutOfRange>,
) -> Result<(usize, usize, T)> {
    let persons = run.history.persons_of(run.program.account, &circle).await?;
    let partners = run.partners(&circle)?;
    // Pricing is computation alone: the other tasks of this core go on elsewhere.
    let done = tokio::task::spawn_blocking(move || {
        let exchange = run.history.directory.exchange(run.program.account);
        let closed_before = run.program.closed_before;
        let part = work(&run, &persons, &Terms { partners: &partners, exchange: &exchange, closed_before })?;
        Ok((persons.len(), persons.iter().map(|person| person.facts.len()).sum(), part))
    });
    done.await.map_err(|_| closed())?.map_err(out_of_range)
}

impl Run {
    /// The terms of a circle's partners, with the draft as everybody's plan.
    fn partners(&self, circle: &Circle) -> Result<BTreeMap<PartnerId, PartnerTerms>> {
        let partners = circle.partners.iter().copied().collect();
        let partners = self.history.directory.partners_from(partners, &self.program)?.into_iter();
        let by_draft = |terms: PartnerTerms| PartnerTerms { plans: vec![Arc::clone(&self.draft)], ..terms };
        Ok(partners.map(|(partner, terms)| (partner, by_draft(terms))).collect())
    }

    /// Whether nobody outside of what is priced at once has a part of its cells.
    fn has_whole_cells(&self) -> bool {
        let plan = &self.draft.plan;
        let is_circle = plan.reaches_beyond_a_person() && self.reached.is_none();
        let is_whole_tree = plan.tiers.is_none() || plan.is_priced_along_the_tree();
        !plan.reaches_beyond_a_person() || is_circle && is_whole_tree
    }

    fn reached(persons: &[PersonView], terms: &Terms<'_>) -> Result<Reached, OutOfRange> {
        let mut sums = Reached::default();
        for person in persons {
            sums.add(reached(std::slice::from_ref(person), terms)?)?;
        }
        Ok(sums)
    }

    fn price(&self, persons: &[PersonView], terms: &Terms<'_>) -> Result<Simulation, OutOfRange> {
        let is_within = |at: &Instant| self.window.holds(*at);
        let facts = persons.iter().flat_map(|person| person.facts.iter().map(|fact| fact.at)).filter(is_within);
        let mut simulation = Simulation { persons: persons.len(), facts: facts.count(), ..Simulation::default() };
        // Persons of a circle have cells in common; all others are priced one by one, which takes the least memory.
        let is_circle = self.draft.plan.reaches_beyond_a_person() && self.reached.is_none();
        for persons in persons.chunks(if is_circle { persons.len().max(1) } else { 1 }) {
            let evaluation = match &self.reached {
                Some(reached) => evaluate_among(persons, terms, reached),
                None => evaluate(persons, terms),
            };
            simulation.take(&evaluation, self.window, self.has_whole_cells())?;
            if evaluation.held.is_empty() {
                continue;
            }
            let within = persons.iter().flat_map(|person| &person.facts).filter(|fact| self.window.holds(fact.at));
            let within: BTreeSet<_> = within.map(|fact| fact.id).collect();
            for held in evaluation.held.iter().filter(|held| within.contains(&held.fact)) {
                *simulation.held.entry(held.reason.name()).or_default() += 1;
            }
        }
        Ok(simulation)
    }
}

impl App {
    /// Runs a simulation; gives its row, `running` where it takes longer than a caller waits.
    ///
    /// # Errors
    /// [`Error::Busy`] where as many run as may.
    pub async fn simulation_create(
        self: &Arc<Self>,
        asked: SimulationRequest,
        as_asked: &Value,
    ) -> Result<SimulationRow> {
        let (id, account, program, now) =
            (self.next_id(self.clock.now()), asked.account, asked.program, self.clock.now());
        if self.directory().program(account, program).is_none() {
            return Err(Error::NotFound("program"));
        }
        let permit = Arc::clone(&self.simulating).try_acquire_owned().map_err(|_| Error::Busy)?;
        let text = as_asked.to_string();
        let insert = async move |tx: &Tx<'_>| simulation_insert(tx, id, account.0, program.0, &text, now.0).await;
        self.store.money.write(insert).await?;
        let app = Arc::clone(self);
        let running = tokio::spawn(async move {
            let _permit = permit;
            let (status, body) = match app.simulated(asked).await {
                Ok(found) => ("done".to_owned(), found.to_string()),
                Err(error) => {
                    tracing::warn!(%error, simulation = id, "a simulation failed");
                    ("failed".to_owned(), "{}".to_owned())
                }
            };
            let at = app.clock.now();
            let finish = async move |tx: &Tx<'_>| simulation_finish(tx, id, &status, &body, at.0).await;
            if let Err(error) = app.store.money.write(finish).await {
                tracing::warn!(%error, simulation = id, "what a simulation found was not kept");
            }
        });
        // The task goes on where nobody waits for it any more.
        let _ = tokio::time::timeout(CALLER_WAITS, running).await;
        self.simulation_read(account, id).await
    }

    async fn simulated(&self, asked: SimulationRequest) -> Result<Value> {
        let account = asked.account;
        let history = Arc::new(History::read(self.store.clone()).await?);
        let found = history.simulate(asked).await?;
        Ok(history.simulation_json(account, &found))
    }

    /// What was left running by a process that is no more has failed. To be called before anything runs here.
    pub(crate) async fn simulations_left(&self) -> Result<()> {
        for id in self.store.money.read(async |tx| simulations_orphaned(tx).await).await? {
            tracing::warn!(simulation = id, "a simulation was left running, and failed");
            let at = self.clock.now();
            let finish = async move |tx: &Tx<'_>| simulation_finish(tx, id, "failed", "{}", at.0).await;
            self.store.money.write(finish).await?;
        }
        Ok(())
    }

    /// A simulation of this account.
    pub async fn simulation_read(&self, account: AccountId, id: i64) -> Result<SimulationRow> {
        let read = async move |tx: &Tx<'_>| simulation_read(tx, account.0, id).await;
        self.store.money.read(read).await?.ok_or(Error::NotFound("simulation"))
    }
}

fn closed() -> Error {
    Error::Store(headwater_store::backend::Error::Closed)
}

fn out_of_range(error: OutOfRange) -> Error {
    Error::Store(headwater_store::backend::Error::Abandoned(error.to_string()))
}
