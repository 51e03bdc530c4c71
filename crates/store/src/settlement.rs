//! One settlement: what a batch of events is decided on, as set-based statements. What it leaves is in `outcome`.
//!
//! Locks are taken in one order on every node: callers' keys (`inbox`), then persons, then events, then ledger accounts
//! (`outcome`), each sorted and in one statement. Whatever a decision depends on is read after its lock.
//!
//! Rows are read by joining them to the batch, and the join is a `CROSS JOIN`, which SQLite never turns round: of
//! `(program_id, email_key) IN (SELECT …)` it uses the first column of the index alone, and reads every client there is.
//! A list of the batch for `IN` is also a table of its own, made and dropped for each statement.

use crate::backend::{Result, Tx};
use crate::person_state::PersonOf;
use crate::{batch, batch_sql, record};

batch! {
    /// A number of any kind.
    pub struct Number { id: i64 = "int8" }
}
batch! {
    /// A client as an event names it.
    pub struct PersonClaim { id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", email_key: String = "text", name: Option<String> = "text", created_at: i64 = "int8" }
}
record! {
    /// A client; `event_types` are the types recorded for it, and `trading` the ways by which trading came, at least, with
    /// spaces between; what is not there is not known.
    pub struct PersonRow { id: i64, account_id: i64, program_id: i64, email_key: String, event_types: String, qualified_at: Option<i64>, merged_into: Option<i64>, trading: Option<String> }
}
record! {
    /// A recorded event.
    pub struct EventRow {
        id: i64, account_id: i64, program_id: i64, kind: String, person_id: Option<i64>, click_id: Option<i64>, link_id: Option<i64>,
        partner_id: Option<i64>, amount: Option<String>, currency: Option<String>, is_conversion: bool, is_duplicate: bool,
        state: String, evidence: String, occurred_at: i64, event_key: Option<String>, metadata: Option<String>, received_at: i64,
        is_advertised: bool,
    }
}

/// The persons of these events. An event changes its person only where that one is merged, which its lock shows.
pub async fn persons_of_events(tx: &Tx<'_>, events: &[Number]) -> Result<Vec<Number>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT DISTINCT person_id FROM event WHERE person_id IS NOT NULL AND id IN (SELECT id FROM {batch})"
    );
    let rows: Vec<(i64,)> = tx.batch_all(statement, &[], events).await?;
    Ok(rows.into_iter().map(|(id,)| Number { id }).collect())
}

/// Locks and reads events by their numbers, in their order.
pub async fn events_lock(tx: &Tx<'_>, ids: &[Number]) -> Result<Vec<EventRow>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT id, account_id, program_id, type, person_id, click_id, link_id, partner_id, amount, currency, is_conversion, \
         is_duplicate, state, evidence, occurred_at, event_key, metadata, received_at, is_advertised FROM event \
         WHERE id IN (SELECT id FROM {batch}) ORDER BY id FOR UPDATE"
    );
    tx.batch_all(statement, &[], ids).await
}

/// Unconfirmed events of these persons. The plus keeps SQLite on the index of those that wait.
pub async fn events_unverified(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<EventRow>> {
    let statement = batch_sql!(
        PersonOf,
        0,
        "SELECT e.id, e.account_id, e.program_id, e.type, e.person_id, e.click_id, e.link_id, e.partner_id, e.amount, e.currency, \
         e.is_conversion, e.is_duplicate, e.state, e.evidence, e.occurred_at, e.event_key, e.metadata, e.received_at, e.is_advertised \
         FROM {batch} CROSS JOIN event e WHERE e.state = 'unverified' AND e.person_id = batch.id \
         AND +e.account_id = batch.account_id ORDER BY e.id"
    );
    tx.batch_all(statement, &[], persons).await
}

/// Makes the clients that are new; gives their numbers.
pub async fn person_claim(tx: &Tx<'_>, rows: &[PersonClaim]) -> Result<Vec<i64>> {
    let mut rows = rows.to_vec();
    rows.sort_by(|a, b| (a.program_id, &a.email_key).cmp(&(b.program_id, &b.email_key)));
    let statement = batch_sql!(
        PersonClaim,
        0,
        "INSERT INTO person (id, account_id, program_id, email_key, name, event_types, created_at) \
         SELECT id, account_id, program_id, email_key, name, '', created_at FROM {batch} WHERE true \
         ON CONFLICT (program_id, email_key) DO NOTHING RETURNING id"
    );
    let made: Vec<(i64,)> = tx.batch_all(statement, &[], &rows).await?;
    Ok(made.into_iter().map(|(id,)| id).collect())
}

/// Makes one account each, of the same number, for clients that are known by their events.
pub async fn customer_claim(tx: &Tx<'_>, rows: &[PersonClaim]) -> Result<()> {
    let statement = batch_sql!(
        PersonClaim,
        0,
        "INSERT INTO customer (id, account_id, program_id, person_id, registered_at, created_at) \
         SELECT id, account_id, program_id, id, created_at, created_at FROM {batch} WHERE true"
    );
    tx.batch(statement, &[], rows).await?;
    Ok(())
}

/// Takes back clients that this transaction made and that no event named after all.
pub async fn person_unclaim(tx: &Tx<'_>, ids: &[Number]) -> Result<()> {
    let customers =
        batch_sql!(Number, 0, "DELETE FROM customer WHERE person_id IN (SELECT id FROM {batch} WHERE true)");
    tx.batch(customers, &[], ids).await?;
    let persons = batch_sql!(Number, 0, "DELETE FROM person WHERE id IN (SELECT id FROM {batch} WHERE true)");
    tx.batch(persons, &[], ids).await?;
    Ok(())
}

/// The numbers of clients by what they are known by, as (program, name, number). A merged one is the one that it became.
pub async fn person_ids(tx: &Tx<'_>, rows: &[PersonClaim]) -> Result<Vec<(i64, String, i64)>> {
    let statement = batch_sql!(
        PersonClaim,
        0,
        "SELECT p.program_id, p.email_key, COALESCE(p.merged_into, p.id) FROM {batch} CROSS JOIN person p \
         WHERE p.program_id = batch.program_id AND p.email_key = batch.email_key"
    );
    tx.batch_all(statement, &[], rows).await
}

/// Locks clients in the order of their numbers, and reads them.
pub async fn persons_lock(tx: &Tx<'_>, ids: &[Number]) -> Result<Vec<PersonRow>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT id, account_id, program_id, email_key, event_types, qualified_at, merged_into, trading FROM person \
         WHERE id IN (SELECT id FROM {batch}) ORDER BY id FOR UPDATE"
    );
    tx.batch_all(statement, &[], ids).await
}

/// Holds a program to the end of the transaction: where its rules add up over all persons, one settlement at a time
/// decides. To be taken before every other lock.
pub async fn programs_lock(tx: &Tx<'_>, programs: &[Number]) -> Result<()> {
    let statement =
        batch_sql!(Number, 0, "SELECT id FROM program WHERE id IN (SELECT id FROM {batch}) ORDER BY id FOR UPDATE");
    let _held: Vec<(i64,)> = tx.batch_all(statement, &[], programs).await?;
    Ok(())
}
