//! Reading everything back: the persons of a program in circles, each of which can be priced by itself.
//!
//! A circle is what must be priced together: one person where no rule looks further, else all persons of partners that
//! have persons in common, or stand in one tree where a rule looks along it. Reads beside a running server.

use crate::directory::{Directory, Program};
use crate::error::Result;
use crate::settle;
use headwater_domain::commission::{
    Evaluation, ExchangeRates, Held, PartnerTerms, PersonView, Plan, PostedCell, Terms, evaluate,
};
use headwater_domain::ids::{AccountId, FactId, PartnerId, PersonId, ProgramId};
use headwater_domain::time::Date;
use headwater_store::Store;
use headwater_store::backend::Tx;
use headwater_store::directory::changes_since;
use headwater_store::history::{BoundRow, held_of_persons, persons_bound};
use headwater_store::person_state::PersonOf;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Whose numbers are read at once.
const NUMBERS_AT_ONCE: i64 = 1024;
/// Persons that are read at once where each stands for itself.
pub(crate) const PERSONS_AT_ONCE: usize = 64;

/// A store and the configuration that it holds.
#[derive(Debug)]
pub struct History {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
}

/// Persons that are priced together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Circle {
    pub persons: Vec<PersonId>,
    /// The partners that they were ever bound to.
    pub partners: BTreeSet<PartnerId>,
}

/// The circles of a program, one after the other.
#[derive(Debug)]
pub(crate) enum Circles {
    /// Persons who stand for themselves: read while they are worked on, so that their number takes no memory.
    Alone(Persons),
    /// Circles of partners: they hold the numbers of all persons.
    Joined(std::vec::IntoIter<Circle>),
}

/// The persons of a program in the order of their numbers.
#[derive(Debug)]
pub(crate) struct Persons {
    program: ProgramId,
    /// The last number that was read.
    after: i64,
    waiting: std::iter::Peekable<std::vec::IntoIter<BoundRow>>,
}

/// A circle as it is recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub persons: Vec<PersonView>,
    pub partners: BTreeMap<PartnerId, PartnerTerms>,
    pub exchange: Arc<ExchangeRates>,
    pub closed_before: Option<Date>,
    pub posted: BTreeMap<String, PostedCell>,
    /// The facts that are held, and why.
    pub held: BTreeSet<(FactId, String)>,
    /// Those among them that should be, because no rule may look at them.
    pub not_admitted: Vec<Held>,
}

impl Recorded {
    /// What these persons' facts are worth by these terms.
    pub(crate) fn evaluate<R>(
        &self,
        partners: &BTreeMap<PartnerId, PartnerTerms>,
        read: impl FnOnce(&Evaluation<'_>) -> R,
    ) -> R {
        let terms = Terms { partners, exchange: &self.exchange, closed_before: self.closed_before };
        read(&evaluate(&self.persons, &terms))
    }
}

impl History {
    /// Reads the configuration of a store.
    pub async fn read(store: Store) -> Result<Self> {
        let changes = store.money.read(async |tx| changes_since(tx, 0).await).await?;
        let mut directory = Directory::default();
        directory.apply(changes);
        Ok(Self { store, directory })
    }

    /// The circles of a program, as its plans make them, or this draft: of a draft the cells that partners share along the
    /// tree may be worth something in several circles.
    pub(crate) async fn circles(&self, program: &Program, draft: Option<&Plan>) -> Result<Circles> {
        let looks_further = draft.map_or_else(
            || self.directory.is_wide(program.id),
            |draft| draft.reaches_beyond_a_person() && !draft.looks_beyond_by_sums(),
        );
        if looks_further {
            let by_trees = draft.is_none_or(Plan::is_priced_along_the_tree);
            return Ok(Circles::Joined(self.joined(program, by_trees).await?.into_iter()));
        }
        Ok(Circles::Alone(Persons::of(program.id)))
    }

    /// Partners that have a person in common, or stand in one tree, are one circle.
    async fn joined(&self, program: &Program, by_trees: bool) -> Result<Vec<Circle>> {
        let mut joined = Joined::default();
        for partner in self.directory.partners(program.account).into_iter().filter(|_| by_trees) {
            for parent in partner.parents.values().flatten() {
                joined.join(partner.id.0, parent.0);
            }
        }
        let mut persons = Persons::of(program.id);
        while let Some(person) = persons.next(self, 1).await? {
            let Some(first) = person.partners.first() else { continue };
            person.partners.iter().for_each(|partner| joined.join(first.0, partner.0));
        }
        // Read again rather than kept: a circle keeps a person's number, and a partner's once.
        let (mut circles, mut unbound): (BTreeMap<i64, Circle>, Vec<Circle>) = (BTreeMap::new(), Vec::new());
        let mut persons = Persons::of(program.id);
        while let Some(person) = persons.next(self, 1).await? {
            let Some(first) = person.partners.first() else {
                // Who was never bound has nothing in common with anybody.
                unbound.push(person);
                continue;
            };
            let circle = circles.entry(joined.root(first.0)).or_default();
            circle.persons.extend(person.persons);
            circle.partners.extend(person.partners);
        }
        Ok(circles.into_values().chain(unbound).collect())
    }

    /// A circle's persons with their facts.
    pub(crate) async fn persons_of(&self, account: AccountId, circle: &Circle) -> Result<Vec<PersonView>> {
        let mut views = Vec::new();
        // A few at a time: rows are larger than what they say.
        for persons in circle.persons.chunks(PERSONS_AT_ONCE) {
            let asked = of_account(account, persons);
            let read = async move |tx: &Tx<'_>| settle::people_unposted(tx, &asked).await;
            for person in self.store.money.read(read).await? {
                views.push(self.directory.person_view_taken(person)?);
            }
        }
        Ok(views)
    }

    /// A circle as it is recorded now.
    pub(crate) async fn recorded(&self, program: &Program, circle: &Circle) -> Result<Recorded> {
        let asked = of_account(program.account, &circle.persons);
        let (id, is_wide) = ((program.account, program.id), self.directory.is_wide(program.id));
        let partners = self.directory.partners_from(circle.partners.iter().copied().collect(), program)?;
        let payees: Vec<PartnerId> = partners.keys().copied().collect();
        let read = async move |tx: &Tx<'_>| {
            let people = settle::people(tx, &asked).await?;
            let customers = people.iter().flat_map(|person| &person.customers).map(|customer| customer.customer);
            let common = if is_wide {
                Some(settle::common_cells(tx, id, payees.iter().copied(), customers).await?)
            } else {
                None
            };
            let held = held_of_persons(tx, &asked).await?;
            Ok((people, common, held))
        };
        let (people, common, held) = self.store.money.read(read).await?;
        let mut posted: BTreeMap<String, PostedCell> =
            people.iter().flat_map(|person| person.cells.posted.clone()).collect();
        posted.extend(common.into_iter().flat_map(|cells| cells.posted));
        let (mut persons, mut not_admitted) = (Vec::with_capacity(people.len()), Vec::new());
        for person in &people {
            let (view, held) = self.directory.person_view(person)?;
            persons.push(view);
            not_admitted.extend(held);
        }
        Ok(Recorded {
            persons,
            held: held.into_iter().map(|row| (FactId(row.fact_id), row.reason)).collect(),
            not_admitted,
            partners,
            exchange: self.directory.exchange(program.account),
            closed_before: program.closed_before,
            posted,
        })
    }
}

fn of_account(account: AccountId, persons: &[PersonId]) -> Vec<PersonOf> {
    persons.iter().map(|person| PersonOf { account_id: account.0, id: person.0 }).collect()
}

impl Circles {
    /// The next one. `at_most`: persons who stand for themselves.
    pub(crate) async fn next(&mut self, history: &History, at_most: usize) -> Result<Option<Circle>> {
        match self {
            Self::Alone(persons) => persons.next(history, at_most).await,
            Self::Joined(circles) => Ok(circles.next()),
        }
    }
}

impl Persons {
    fn of(program: ProgramId) -> Self {
        Self { program, after: i64::MIN, waiting: Vec::new().into_iter().peekable() }
    }

    /// The next persons, `at_most` so many, with the partners of all of them.
    async fn next(&mut self, history: &History, at_most: usize) -> Result<Option<Circle>> {
        if self.waiting.peek().is_none() {
            let (program, after) = (self.program.0, self.after);
            let read = async move |tx: &Tx<'_>| persons_bound(tx, program, after, NUMBERS_AT_ONCE).await;
            let rows = history.store.money.read(read).await?;
            self.after = rows.last().map_or(after, |row| row.person_id);
            self.waiting = rows.into_iter().peekable();
        }
        let mut circle = Circle::default();
        let is_next = |row: &BoundRow, circle: &Circle| {
            circle.persons.len() < at_most || circle.persons.last() == Some(&PersonId(row.person_id))
        };
        while let Some(row) = self.waiting.next_if(|row| is_next(row, &circle)) {
            if circle.persons.last() != Some(&PersonId(row.person_id)) {
                circle.persons.push(PersonId(row.person_id));
            }
            circle.partners.extend((row.partner_id != 0).then_some(PartnerId(row.partner_id)));
        }
        Ok((!circle.persons.is_empty()).then_some(circle))
    }
}

/// Which numbers belong together.
#[derive(Default)]
struct Joined(BTreeMap<i64, i64>);

impl Joined {
    fn root(&mut self, of: i64) -> i64 {
        let mut root = of;
        while let Some(next) = self.0.get(&root).copied().filter(|next| *next != root) {
            root = next;
        }
        self.0.insert(of, root);
        root
    }

    fn join(&mut self, one: i64, other: i64) {
        let (one, other) = (self.root(one), self.root(other));
        self.0.insert(one.max(other), one.min(other));
        self.0.entry(one.min(other)).or_insert_with(|| one.min(other));
    }
}
