//! Lines: a human's customers one after the other, where it was moved from campaign to campaign.
//!
//! Whoever names the human, or any of its customers, means the one that stands for it now; a fact is of the one that stood for it at
//! the fact's date. What one of them did is brought along to the others (`ADR 13`), as facts that are priced by nobody. Invariant: of
//! each fact a customer has at most one copy, and none where it was dated while the customer itself stood for the human.

use crate::app::App;
use crate::error::Result;
use crate::reprice::Mark;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{AccountId, CustomerId, ProgramId};
use headwater_domain::source::Source;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error as StoreError, Result as StoreResult, Tx};
use headwater_store::outcome::{NewFact, SUPERSEDED_AT, facts_insert};
use headwater_store::person_state::{FactRow, PersonOf, facts_whole};
use headwater_store::referral_move::{LineRow, brought_supersede, line_has, line_of, waiting_refunds};
use headwater_store::repricing::mark_person;
use headwater_store::settlement::{Number, programs_lock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The customers of one human, the first one from the beginning, each until the next.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    rows: Vec<LineRow>,
}

impl Line {
    /// Reads the line that a customer is in; `None` where it was never moved.
    pub(crate) async fn read(tx: &Tx<'_>, account: AccountId, customer: CustomerId) -> StoreResult<Option<Self>> {
        let rows = line_of(tx, account.0, customer.0).await?;
        Ok((!rows.is_empty()).then_some(Self { rows }))
    }

    fn root_id(&self) -> i64 {
        self.rows[0].root_id
    }

    /// Who stands for the human now.
    pub(crate) fn current(&self) -> &LineRow {
        self.rows.last().expect("a line has a first customer")
    }

    /// Who stood for it then.
    pub(crate) fn at(&self, at: Instant) -> &LineRow {
        self.rows.iter().rev().find(|row| row.from_at <= at.0).unwrap_or(&self.rows[0])
    }

    /// Each customer once.
    pub(crate) fn customers(&self) -> BTreeMap<CustomerId, &LineRow> {
        self.rows.iter().map(|row| (CustomerId(row.customer_id), row)).collect()
    }

    /// Its customer in a program, where it has one.
    pub(crate) fn in_program(&self, program: ProgramId) -> Option<&LineRow> {
        self.rows.iter().find(|row| row.program_id == program.0)
    }

    /// Since when the current one stands for the human.
    pub(crate) fn since(&self) -> Instant {
        Instant(self.current().from_at)
    }

    /// Until when what the others did is known to a customer.
    fn last_arrival(&self, customer: CustomerId) -> i64 {
        let own = self.rows.iter().filter(|row| row.customer_id == customer.0).map(|row| row.from_at);
        own.max().unwrap_or(i64::MIN)
    }

    /// The programs of all of them, in the order of their locks.
    pub(crate) fn programs(&self) -> Vec<Number> {
        let programs: BTreeSet<i64> = self.rows.iter().map(|row| row.program_id).collect();
        programs.into_iter().map(|id| Number { id }).collect()
    }

    /// Gives a customer what it does not have yet of what the others did; gives whether there was anything.
    pub(crate) async fn bring(
        &self,
        tx: &Tx<'_>,
        app: &App,
        account: AccountId,
        to: &LineRow,
        now: Instant,
    ) -> StoreResult<bool> {
        let until = self.last_arrival(CustomerId(to.customer_id));
        let known = facts_whole(tx, &[person(account, to)]).await?;
        let mut brought: BTreeMap<(&str, &str), &FactRow> = BTreeMap::new();
        for row in known.iter().filter(|row| row.source == Source::Moved.name()) {
            let latest = brought.entry((&row.kind, &row.fact_key)).or_insert(row);
            if row.id > latest.id {
                *latest = row;
            }
        }
        let (mut new, mut gone) = (Vec::new(), Vec::new());
        for (customer, from) in self.customers() {
            if customer.0 == to.customer_id {
                continue;
            }
            let rows = standing(tx, account, from).await?;
            let sold: BTreeMap<String, i64> =
                rows.iter().filter(|row| row.kind == "sale").map(|row| (row.fact_key.clone(), row.at)).collect();
            for mut row in rows {
                let said = body_of(&row)?;
                if let FactBody::Refund { sale, .. } = &said {
                    // It takes back what was sold then, whenever it came.
                    let Some(at) = sold.get(sale) else { continue };
                    row.at = *at;
                }
                if row.at >= until || self.at(Instant(row.at)).customer_id != customer.0 {
                    continue;
                }
                let fact_key = key_there(customer, &row.fact_key);
                let body = body_there(customer, said);
                let trading_at = body.is_of_trading().then_some(row.at);
                let body = body.to_stored();
                let before = brought.get(&(&*row.kind, &*fact_key));
                if before.is_some_and(|before| before.at == row.at && before.body == body) {
                    continue;
                }
                gone.extend(before.map(|before| Number { id: before.id }));
                new.push(NewFact {
                    id: app.next_id(now),
                    account_id: account.0,
                    program_id: to.program_id,
                    person_id: to.person_id,
                    customer_id: to.customer_id,
                    kind: row.kind,
                    fact_key,
                    revision: None,
                    at: row.at,
                    body,
                    source: Source::Moved.name().to_owned(),
                    event_id: None,
                    received_at: now.0,
                    data: None,
                    of_sale: None,
                    trading_at,
                });
            }
        }
        facts_insert(tx, &new).await?;
        brought_supersede(tx, &gone, SUPERSEDED_AT).await?;
        Ok(!new.is_empty())
    }
}

impl App {
    /// The line that a customer is in; `None` where it was never moved.
    pub(crate) async fn line(&self, account: AccountId, customer: CustomerId) -> Result<Option<Line>> {
        Ok(self.store.money.read(async move |tx: &Tx<'_>| Line::read(tx, account, customer).await).await?)
    }

    /// Whether any customer of the line has a pushed fact of this kind under the caller's key.
    pub(crate) async fn line_knows(&self, account: AccountId, line: &Line, kind: &str, key: &str) -> Result<bool> {
        let (root, kind, key) = (line.root_id(), kind.to_owned(), key.to_owned());
        let read = async move |tx: &Tx<'_>| line_has(tx, account.0, root, (Source::Push.name(), &kind, &key)).await;
        Ok(!self.store.money.read(read).await?.is_empty())
    }

    /// After something of before a move was recorded of a customer of a line: those that came after it know it, too, and are priced
    /// again soon. Asked again, it changes nothing.
    pub(crate) async fn line_follow(self: &Arc<Self>, account: AccountId, customer: CustomerId) -> Result<()> {
        let Some(line) = self.line(account, customer).await? else { return Ok(()) };
        let (app, now) = (Arc::clone(self), self.clock.now());
        let (programs, mark) = (line.programs(), self.next_id(now));
        let follow = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            programs_lock(tx, &programs).await?;
            let Some(line) = Line::read(tx, account, customer).await? else { return Ok(()) };
            for to in line.customers().into_values() {
                if line.bring(tx, &app, account, to, now).await? {
                    mark_person(tx, to.person_id, mark).await?;
                }
            }
            Ok(())
        };
        Ok(self.store.money.write(follow).await?)
    }
}

fn person(account: AccountId, of: &LineRow) -> PersonOf {
    PersonOf { account_id: account.0, id: of.person_id }
}

/// What a customer's person did in its own program and counts there, as it stands.
async fn standing(tx: &Tx<'_>, account: AccountId, of: &LineRow) -> StoreResult<Vec<FactRow>> {
    let waiting: BTreeSet<i64> =
        waiting_refunds(tx, account.0, of.person_id).await?.into_iter().map(|(id,)| id).collect();
    let mut standing: BTreeMap<(String, String, String), FactRow> = BTreeMap::new();
    for row in facts_whole(tx, &[person(account, of)]).await? {
        if row.source == Source::Moved.name() {
            continue;
        }
        let name = (row.source.clone(), row.kind.clone(), row.fact_key.clone());
        let is_later = standing.get(&name).is_none_or(|known| (row.revision, row.id) >= (known.revision, known.id));
        if is_later {
            standing.insert(name, row);
        }
    }
    Ok(standing.into_values().filter(|row| !waiting.contains(&row.id)).collect())
}

/// Under which key the fact of a customer is known elsewhere: no key of a caller's own begins so, whatever it is there.
fn key_there(customer: CustomerId, key: &str) -> String {
    format!(" {customer}:{key}")
}

fn body_of(row: &FactRow) -> StoreResult<FactBody> {
    let body = FactBody::from_stored(&row.kind, &row.body);
    body.ok_or_else(|| StoreError::Abandoned(format!("the fact {} cannot be read", row.id)))
}

/// What is said of it elsewhere: a refund is of the sale as it is known there, and nobody is paid whom it names.
fn body_there(customer: CustomerId, mut body: FactBody) -> FactBody {
    match &mut body {
        FactBody::Refund { sale, .. } => *sale = key_there(customer, sale),
        FactBody::Money { payee, .. } => *payee = None,
        _ => {}
    }
    body
}
