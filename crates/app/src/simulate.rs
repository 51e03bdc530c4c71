//! A draft plan over recorded history, per partner and customer, against what the plans in force are worth. Writes nothing.
//!
//! Circles stream through all cores, each on one; what is kept is one sum for each partner, customer and unit.

use crate::app::App;
use crate::directory::Program;
use crate::error::{Error, Result};
use crate::history::{Circle, History, Recorded};
use headwater_domain::commission::{Evaluation, PartnerTerms, Payee, Plan, PlanVersion};
use headwater_domain::ids::{AccountId, CustomerId, PartnerId, ProgramId};
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::time::{Date, Instant};
use headwater_store::backend::Tx;
pub use headwater_store::simulation::SimulationRow;
use headwater_store::simulation::{simulation_finish, simulation_insert, simulation_read};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for what it asked; then it reads it later.
const CALLER_WAITS: Duration = Duration::from_secs(20);

/// What is asked.
#[derive(Debug, Clone)]
pub struct SimulationRequest {
    /// Whose.
    pub account: AccountId,
    /// In which program.
    pub program: ProgramId,
    /// The draft; it stands for the plan of every partner, from the beginning of time.
    pub plan: Plan,
    /// Periods that begin on this day or later
    pub from: Date,
    /// and before this one.
    pub to: Date,
}

/// Posted against simulated, for one payee or customer and unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// By the plans in force.
    pub posted: i128,
    /// By the draft.
    pub simulated: i128,
}

/// What a simulation found; amounts are millionths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Persons that were looked at.
    pub persons: usize,
    /// Facts that were priced.
    pub facts: usize,
    /// By unit.
    pub totals: BTreeMap<Unit, Compared>,
    /// By partner and unit.
    pub partners: BTreeMap<(PartnerId, Unit), Compared>,
    /// What clients themselves get, by customer and unit.
    pub customers: BTreeMap<(CustomerId, Unit), Compared>,
    /// Facts that the draft would hold, by reason.
    pub held: BTreeMap<&'static str, usize>,
}

impl History {
    /// Runs the draft over everything recorded.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the account has no such program.
    pub async fn simulate(self: &Arc<Self>, asked: SimulationRequest) -> Result<Simulation> {
        let found = self.directory.program(asked.account, asked.program).cloned();
        let program = found.ok_or(Error::NotFound("program"))?;
        let version = PlanVersion {
            name: asked.plan.name.clone(),
            version: 0,
            from: Instant(i64::MIN),
            plan: asked.plan.clone(),
        };
        let draft = Arc::new(version);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (mut running, mut simulation) = (tokio::task::JoinSet::new(), Simulation::default());
        for circle in self.circles(&program, Some(&asked.plan)).await? {
            if running.len() >= cores {
                simulation.add(joined(running.join_next().await)?);
            }
            let (history, program, draft) = (Arc::clone(self), Arc::clone(&program), Arc::clone(&draft));
            let (from, to) = (asked.from, asked.to);
            running.spawn(async move { history.simulate_circle(&program, &circle, &draft, from, to).await });
        }
        while let Some(done) = running.join_next().await {
            simulation.add(joined(Some(done))?);
        }
        Ok(simulation)
    }

    async fn simulate_circle(
        &self,
        program: &Program,
        circle: &Circle,
        draft: &Arc<PlanVersion>,
        from: Date,
        to: Date,
    ) -> Result<Simulation> {
        let recorded = self.recorded(program, circle).await?;
        let by_draft: BTreeMap<PartnerId, PartnerTerms> = recorded
            .partners
            .iter()
            .map(|(partner, terms)| (*partner, PartnerTerms { plans: vec![Arc::clone(draft)], ..terms.clone() }))
            .collect();
        // Pricing is computation alone: the other tasks of this core go on elsewhere.
        let priced = tokio::task::spawn_blocking(move || price(&recorded, &by_draft, from, to)).await;
        priced.map_err(|_| Error::Store(headwater_store::backend::Error::Closed))
    }
}

impl History {
    /// The account of a program.
    pub fn account_of(&self, program: ProgramId) -> Option<AccountId> {
        self.directory.program_of_any_account(program).map(|program| program.account)
    }

    /// The simulation as it is shown: who gains most leads, who loses most comes last.
    pub fn simulation_json(&self, account: AccountId, found: &Simulation) -> Value {
        let partner = |id: PartnerId| {
            let known = self.directory.partner_by_id(account, id).map(|partner| partner.row.external_id.clone());
            known.unwrap_or_else(|| id.to_string())
        };
        let totals = found.totals.iter().map(|(unit, compared)| row(None, *unit, *compared));
        let partners = found.partners.iter();
        let partners = partners.map(|((id, unit), compared)| row(Some(("partner", partner(*id))), *unit, *compared));
        let customers = found.customers.iter();
        let customers =
            customers.map(|((id, unit), compared)| row(Some(("customer", id.to_string())), *unit, *compared));
        let (partners, customers) = (ranked(partners), ranked(customers));
        let gains =
            |sign: &dyn Fn(&i128) -> bool| found.partners.values().filter(|c| sign(&(c.simulated - c.posted))).count();
        json!({
            "persons": found.persons,
            "facts": found.facts,
            "totals": totals.map(|(_, row)| row).collect::<Vec<_>>(),
            "partners": partners,
            "customers": customers,
            "gain": gains(&|difference| *difference > 0),
            "lose": gains(&|difference| *difference < 0),
            "held": found.held,
        })
    }
}

impl App {
    /// Runs a simulation; gives its row, `running` where it takes longer than a caller waits.
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
        let text = as_asked.to_string();
        let insert = async move |tx: &Tx<'_>| simulation_insert(tx, id, account.0, program.0, &text, now.0).await;
        self.store.money.write(insert).await?;
        let app = Arc::clone(self);
        let running = tokio::spawn(async move {
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

    /// A simulation of this account.
    pub async fn simulation_read(&self, account: AccountId, id: i64) -> Result<SimulationRow> {
        let read = async move |tx: &Tx<'_>| simulation_read(tx, account.0, id).await;
        self.store.money.read(read).await?.ok_or(Error::NotFound("simulation"))
    }
}

fn row(who: Option<(&str, String)>, unit: Unit, compared: Compared) -> (i128, Value) {
    let difference = compared.simulated - compared.posted;
    let shown = |micros: i128| {
        i64::try_from(micros).map_or_else(|_| micros.to_string(), |micros| Decimal(micros).to_text(unit.minor_digits()))
    };
    let mut row = json!({
        "unit": unit.name(),
        "posted": shown(compared.posted),
        "simulated": shown(compared.simulated),
        "difference": shown(difference),
    });
    if let Some((kind, name)) = who {
        row[kind] = name.into();
    }
    (difference, row)
}

fn ranked(rows: impl Iterator<Item = (i128, Value)>) -> Vec<Value> {
    let mut rows: Vec<_> = rows.collect();
    rows.sort_by_key(|(difference, _)| std::cmp::Reverse(*difference));
    rows.into_iter().map(|(_, row)| row).collect()
}

fn joined(done: Option<Result<Result<Simulation>, tokio::task::JoinError>>) -> Result<Simulation> {
    done.and_then(std::result::Result::ok).ok_or(Error::Store(headwater_store::backend::Error::Closed))?
}

fn price(recorded: &Recorded, by_draft: &BTreeMap<PartnerId, PartnerTerms>, from: Date, to: Date) -> Simulation {
    let mut simulation = Simulation {
        persons: recorded.persons.len(),
        facts: recorded.persons.iter().map(|person| person.facts.len()).sum(),
        ..Simulation::default()
    };
    recorded.evaluate(&recorded.partners, |evaluation| {
        simulation.take(evaluation, from, to, |compared, amount| compared.posted += amount);
    });
    recorded.evaluate(by_draft, |evaluation| {
        simulation.take(evaluation, from, to, |compared, amount| compared.simulated += amount);
        for held in &evaluation.held {
            *simulation.held.entry(held.reason.name()).or_default() += 1;
        }
    });
    simulation
}

impl Simulation {
    fn take(&mut self, evaluation: &Evaluation<'_>, from: Date, to: Date, add: impl Fn(&mut Compared, i128)) {
        for worth in evaluation.worths.values() {
            let (Decimal(amount), unit) = (worth.rounded, worth.cell.unit);
            if amount == 0 || !(from..to).contains(&worth.for_period.first_day) {
                continue;
            }
            let amount = i128::from(amount);
            add(self.totals.entry(unit).or_default(), amount);
            match worth.cell.payee {
                Payee::Partner(partner) => add(self.partners.entry((partner, unit)).or_default(), amount),
                Payee::Customer(customer) => add(self.customers.entry((customer, unit)).or_default(), amount),
            }
        }
    }

    fn add(&mut self, other: Self) {
        self.persons += other.persons;
        self.facts += other.facts;
        merge(&mut self.totals, other.totals);
        merge(&mut self.partners, other.partners);
        merge(&mut self.customers, other.customers);
        for (reason, count) in other.held {
            *self.held.entry(reason).or_default() += count;
        }
    }
}

fn merge<K: Ord>(into: &mut BTreeMap<K, Compared>, other: BTreeMap<K, Compared>) {
    for (key, compared) in other {
        let sum = into.entry(key).or_default();
        sum.posted += compared.posted;
        sum.simulated += compared.simulated;
    }
}
