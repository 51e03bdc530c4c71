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
use headwater_domain::ids::{FactId, PartnerId, PersonId};
use headwater_domain::time::Date;
use headwater_store::Store;
use headwater_store::directory::changes_since;
use headwater_store::history::{BoundRow, held_of_persons, persons_bound};
use headwater_store::settlement::Number;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Persons that are read at once where each stands for itself.
const PERSONS_AT_ONCE: usize = 64;

/// A store and the configuration that it holds.
#[derive(Debug)]
pub struct History {
    pub(crate) store: Store,
    pub(crate) directory: Directory,
}

/// Persons that are priced together.
#[derive(Debug, Clone)]
pub(crate) struct Circle {
    pub persons: Vec<PersonId>,
    /// The partners that they were ever bound to.
    pub partners: BTreeSet<PartnerId>,
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

    /// The circles of a program, as its plans make them, or this draft.
    pub(crate) async fn circles(&self, program: &Program, draft: Option<&Plan>) -> Result<Vec<Circle>> {
        let id = program.id.0;
        let bound = self.store.money.read(async move |tx| persons_bound(tx, id).await).await?;
        let looks_further = draft.map_or_else(
            || self.directory.is_wide(program.id),
            |draft| draft.reaches_beyond_a_person() && !draft.looks_beyond_by_sums(),
        );
        if !looks_further {
            let mut persons: Vec<(PersonId, Vec<PartnerId>)> = Vec::new();
            for row in bound {
                let partner = (row.partner_id != 0).then_some(PartnerId(row.partner_id));
                match persons.last_mut() {
                    Some((person, partners)) if person.0 == row.person_id => partners.extend(partner),
                    _ => persons.push((PersonId(row.person_id), partner.into_iter().collect())),
                }
            }
            let circle = |persons: &[(PersonId, Vec<PartnerId>)]| Circle {
                persons: persons.iter().map(|(person, _)| *person).collect(),
                partners: persons.iter().flat_map(|(_, partners)| partners).copied().collect(),
            };
            return Ok(persons.chunks(PERSONS_AT_ONCE).map(circle).collect());
        }
        Ok(self.joined(program, &bound))
    }

    /// Partners that have a person in common, or stand in one tree, are one circle.
    fn joined(&self, program: &Program, bound: &[BoundRow]) -> Vec<Circle> {
        let mut joined = Joined::default();
        for partner in self.directory.partners(program.account) {
            for parent in partner.parents.values().flatten() {
                joined.join(partner.id.0, parent.0);
            }
        }
        let mut first_partner: BTreeMap<i64, i64> = BTreeMap::new();
        for row in bound {
            let first = *first_partner.entry(row.person_id).or_insert(row.partner_id);
            joined.join(first, row.partner_id);
        }
        let mut circles: BTreeMap<i64, Circle> = BTreeMap::new();
        for row in bound {
            let empty = || Circle { persons: Vec::new(), partners: BTreeSet::new() };
            let circle = circles.entry(joined.root(row.partner_id)).or_insert_with(empty);
            if circle.persons.last() != Some(&PersonId(row.person_id)) {
                circle.persons.push(PersonId(row.person_id));
            }
            circle.partners.extend((row.partner_id != 0).then_some(PartnerId(row.partner_id)));
        }
        circles.into_values().collect()
    }

    /// A circle's persons with their facts.
    pub(crate) async fn persons_of(&self, circle: &Circle) -> Result<Vec<PersonView>> {
        let ids: Vec<_> = circle.persons.iter().map(|person| Number { id: person.0 }).collect();
        let read = async move |tx: &headwater_store::backend::Tx<'_>| settle::people_unposted(tx, &ids).await;
        let people = self.store.money.read(read).await?.into_iter();
        let views = people.map(|person| self.directory.person_view_taken(person));
        Ok(views.collect::<headwater_store::backend::Result<_>>()?)
    }

    /// A circle as it is recorded now.
    pub(crate) async fn recorded(&self, program: &Program, circle: &Circle) -> Result<Recorded> {
        let ids: Vec<_> = circle.persons.iter().map(|person| Number { id: person.0 }).collect();
        let (id, is_wide) = (program.id, self.directory.is_wide(program.id));
        let partners = self.directory.partners_from(circle.partners.iter().copied().collect(), program)?;
        let payees: Vec<PartnerId> = partners.keys().copied().collect();
        let read = async move |tx: &headwater_store::backend::Tx<'_>| {
            let people = settle::people(tx, &ids).await?;
            let customers = people.iter().flat_map(|person| &person.customers).map(|customer| customer.customer);
            let common = if is_wide {
                Some(settle::common_cells(tx, id, payees.iter().copied(), customers).await?)
            } else {
                None
            };
            let held = held_of_persons(tx, &ids).await?;
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
