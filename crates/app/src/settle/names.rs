//! What the records of a batch name: customers by the callers' ids, persons by what they are known by, facts by their keys.
//!
//! Read under the program's lock, so that what is not found is not made elsewhere meanwhile. Leaves locking and reading
//! persons to `load`.

use super::Command;
use super::view::{Known, PersonRecord};
use crate::ingest::{FactKey, FactRecord, Field, Ingest, OnRepeat, Record};
use headwater_domain::fact::{FactBody, MoneyKind, daily_key, daily_kpi_key};
use headwater_domain::ids::{CustomerId, FactId, PersonId, ProgramId};
use headwater_domain::source::Source;
use headwater_domain::time::{Instant, Zone};
use headwater_store::backend::{Result, Tx};
use headwater_store::ingest::{
    ExternalId, FactName, NamedFactRow, SaleKey, accounts_of_persons, facts_named, persons_by_external_id,
    persons_of_sales,
};
use headwater_store::settlement::{Number, PersonClaim};
use std::collections::{BTreeMap, BTreeSet};

/// Every way in which money can have moved, for a transaction that comes again with another type.
const MONEY_KINDS: [MoneyKind; 6] = [
    MoneyKind::Deposit,
    MoneyKind::Withdrawal,
    MoneyKind::Bonus,
    MoneyKind::Adjustment,
    MoneyKind::Chargeback,
    MoneyKind::IbRebate,
];
/// Before the number of a record without a key; and before a caller's key that would look like one.
const RECORD_NUMBER_PREFIX: &str = "record:";
const CALLERS_PREFIX: &str = "key:";

/// What a person of this email is known by.
pub(super) fn by_email(email: &str) -> String {
    email.to_owned()
}

/// What a person is known by of whom the caller says who it is.
pub(super) fn by_person(person: &str) -> String {
    format!(" person:{person}")
}

/// What a person is known by of whom only an account is known.
pub(super) fn by_customer(customer: &str) -> String {
    format!(" customer:{customer}")
}

/// What is named, as far as it is known before persons are locked.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Persons to lock beside those that are claimed.
    pub persons: Vec<Number>,
    /// Names of persons that are to be there.
    pub claims: Vec<PersonClaim>,
    /// The facts that are named.
    pub facts: Vec<NamedFactRow>,
}

impl Names {
    pub(super) async fn read(
        tx: &Tx<'_>,
        holding: &BTreeSet<ProgramId>,
        commands: &[Command],
        next_id: impl Fn() -> i64,
        now: Instant,
    ) -> Result<Self> {
        let ingests: Vec<&Ingest> = commands.iter().filter_map(ingest_of).collect();
        let mut names = Self::default();
        if ingests.is_empty() {
            return Ok(names);
        }
        let mut customers = BTreeSet::new();
        let mut facts = BTreeSet::new();
        let mut sales = BTreeSet::new();
        for ingest in &ingests {
            for record in &ingest.records {
                match record {
                    Record::Customer(customer) if customer.number.is_some() => {
                        names.persons.extend(customer.number.map(|(person, _)| Number { id: person.0 }));
                    }
                    _ => drop(customers.insert((ingest.program.0, customer_of(record)))),
                }
                if let Record::Fact(fact) = record {
                    facts.extend(fact_names(ingest, fact));
                    sales.extend(sale_of(fact).map(|fact_key| SaleKey { program_id: ingest.program.0, fact_key }));
                }
            }
        }
        let customers: Vec<_> = customers
            .into_iter()
            .map(|(program_id, id)| ExternalId { program_id, external_id: id.to_owned() })
            .collect();
        let known = persons_by_external_id(tx, &customers).await?;
        let facts: Vec<_> = facts
            .into_iter()
            .map(|(program, source, kind, fact_key)| FactName {
                program_id: program.0,
                source: source.name().into(),
                kind: kind.into(),
                fact_key,
            })
            .collect();
        names.facts = facts_named(tx, &facts).await?;
        let persons = known.iter().map(|(_, _, person)| *person).chain(names.facts.iter().map(|fact| fact.person_id));
        names.persons.extend(persons.map(|id| Number { id }));
        if !sales.is_empty() {
            let with_sales = persons_of_sales(tx, &sales.into_iter().collect::<Vec<_>>()).await?;
            names.persons.extend(with_sales.into_iter().map(|id| Number { id }));
        }
        let known: BTreeSet<(i64, &str)> = known.iter().map(|(program, id, _)| (*program, id.as_str())).collect();
        for ingest in ingests {
            for name in identities(ingest, &known, holding.contains(&ingest.program)) {
                names.claims.push(PersonClaim {
                    id: next_id(),
                    account_id: ingest.account.0,
                    program_id: ingest.program.0,
                    email_key: name,
                    name: None,
                    created_at: now.0,
                });
            }
        }
        Ok(names)
    }

    /// Reads what the decision needs of the accounts, once the persons are locked.
    pub(super) async fn read_accounts(
        &self,
        tx: &Tx<'_>,
        by_name: &BTreeMap<(ProgramId, String), PersonId>,
        known: &mut Known,
    ) -> Result<()> {
        let claimed = self.claims.iter().filter_map(|claim| {
            by_name.get(&(ProgramId(claim.program_id), claim.email_key.clone())).map(|person| person.0)
        });
        let named: BTreeSet<i64> = claimed.chain(self.persons.iter().map(|person| person.id)).collect();
        let named: Vec<_> = named.into_iter().map(|id| Number { id }).collect();
        for row in accounts_of_persons(tx, &named).await? {
            if let Some(external_id) = &row.external_id {
                known.customers.insert((ProgramId(row.program_id), external_id.clone()), CustomerId(row.id));
            }
            known.accounts.insert(CustomerId(row.id), row);
        }
        Ok(())
    }

    /// Where the facts that are named stand, once the persons are read.
    pub(super) fn resolve(self, persons: &BTreeMap<PersonId, PersonRecord>, known: &mut Known) {
        for row in self.facts {
            let Some(person) = persons.get(&PersonId(row.person_id)) else { continue };
            let standing = person.place_of(FactId(row.id)).map(|place| &person.facts[place]);
            let Some((fact, source)) = standing.zip(Source::parse(&row.source)) else { continue };
            let name = (ProgramId(row.program_id), source, fact.body.type_name(), row.fact_key);
            known.facts.insert(name, (person.id, fact.id, row.data));
        }
    }
}

fn ingest_of(command: &Command) -> Option<&Ingest> {
    match command {
        Command::Record(ingest) => Some(ingest),
        Command::Track(_) | Command::Confirm { .. } | Command::Reject { .. } | Command::Reprice { .. } => None,
    }
}

fn customer_of(record: &Record) -> &str {
    match record {
        Record::Customer(customer) => &customer.customer,
        Record::Fact(fact) => &fact.customer,
    }
}

/// Names of persons that these records need: an email, a person's id, or, where there is neither and the account is new,
/// the account's own.
fn identities(ingest: &Ingest, known: &BTreeSet<(i64, &str)>, holds: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut arriving = BTreeSet::new();
    for record in &ingest.records {
        let Record::Customer(customer) = record else { continue };
        if customer.number.is_some() {
            continue;
        }
        let is_new = !known.contains(&(ingest.program.0, &customer.customer)) && arriving.insert(&customer.customer);
        if let Field::Set(email) = &customer.email {
            names.insert(by_email(email));
        }
        names.extend(customer.person.as_deref().map(by_person));
        if is_new && !matches!(customer.email, Field::Set(_)) && customer.person.is_none() {
            names.insert(by_customer(&customer.customer));
        }
    }
    if holds {
        let facts = ingest.records.iter().filter_map(|record| match record {
            Record::Fact(fact) => Some(&fact.customer),
            Record::Customer(_) => None,
        });
        let unknown = facts.filter(|id| !known.contains(&(ingest.program.0, id)) && !arriving.contains(id));
        names.extend(unknown.map(|id| by_customer(id)));
    }
    names
}

type FactNames = BTreeSet<(ProgramId, Source, &'static str, String)>;

/// The names under which a record's fact may stand.
fn fact_names(ingest: &Ingest, fact: &FactRecord) -> FactNames {
    let Some(key) = fact_key(fact) else { return FactNames::new() };
    let name = |kind| (ingest.program, ingest.source, kind, key.clone());
    let mut names = FactNames::from([name(fact.body.type_name())]);
    if is_transaction(fact) {
        names.extend(MONEY_KINDS.map(|kind| name(kind.name())));
    }
    names
}

/// The other names under which a transaction may stand that comes again with another type.
pub(super) fn other_names(ingest: &Ingest, fact: &FactRecord) -> FactNames {
    let mut names = if is_transaction(fact) { fact_names(ingest, fact) } else { FactNames::new() };
    names.retain(|(_, _, kind, _)| *kind != fact.body.type_name());
    names
}

fn is_transaction(fact: &FactRecord) -> bool {
    fact.on_repeat == OnRepeat::Transaction && matches!(fact.body, FactBody::Money { .. })
}

/// The key of the sale that a record is, or that it is a refund of.
pub(super) fn sale_of(record: &FactRecord) -> Option<String> {
    match &record.body {
        FactBody::Sale { .. } => fact_key(record),
        FactBody::Refund { sale, .. } => Some(sale.clone()),
        _ => None,
    }
}

/// The key that a record's fact stands under; `None`: nothing that was there before, or nothing at all.
pub(super) fn fact_key(record: &FactRecord) -> Option<String> {
    match (&record.key, &record.body) {
        (FactKey::Own(key), _) if key.starts_with(RECORD_NUMBER_PREFIX) || key.starts_with(CALLERS_PREFIX) => {
            Some(format!("{CALLERS_PREFIX}{key}"))
        }
        (FactKey::Own(key), _) => Some(key.clone()),
        (FactKey::Natural, FactBody::TradingDay(day)) => {
            Some(daily_key(day.date, &record.customer, &day.instrument, day.currency))
        }
        (FactKey::Natural, FactBody::Kpi { name, group, .. }) => {
            Some(daily_kpi_key(Zone::UTC.day_of(record.at?), &record.customer, name, group.as_deref()))
        }
        (FactKey::Natural | FactKey::None, _) => None,
    }
}

/// The key of a record that has none of its own.
pub(super) fn numbered_key(fact: FactId) -> String {
    format!("{RECORD_NUMBER_PREFIX}{fact}")
}
