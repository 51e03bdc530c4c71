//! One settlement: what a batch of events is decided on, and what it leaves, as set-based statements.
//!
//! Locks are taken in one order on every node: callers' keys, then persons, then ledger accounts, each sorted. Rows are
//! claimed by unique keys before anything is read, so two nodes never decide the same event twice.
//!
//! Rows are read by joining them to the batch, and the join is a `CROSS JOIN`, which SQLite never turns round: of
//! `(program_id, email_key) IN (SELECT …)` it uses the first column of the index alone, and reads every client there is.
//! A list of the batch for `IN` is also a table of its own, made and dropped for each statement.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql, record};

batch! {
    /// A number of any kind.
    pub struct Number { id: i64 = "int8" }
}
batch! {
    /// A caller's idempotency key.
    pub struct IdempotencyClaim { key_id: i64 = "int8", scope: String = "text", fingerprint: String = "text", created_at: i64 = "int8" }
}
record! {
    /// What is known of an idempotency key; `status` 0 is a claim of this very transaction.
    pub struct IdempotencyRow { key_id: i64, scope: String, fingerprint: String, status: i64, body: String }
}
batch! {
    /// What was answered.
    pub struct IdempotencyAnswer { key_id: i64 = "int8", scope: String = "text", status: i64 = "int8", body: String = "text" }
}
batch! {
    /// A caller's own id of an event.
    pub struct EventClaim { program_id: i64 = "int8", event_key: String = "text", event_id: i64 = "int8", fingerprint: String = "text" }
}
record! {
    /// Which event a caller's id stands for.
    pub struct EventClaimRow { program_id: i64, event_key: String, event_id: i64, fingerprint: String }
}
batch! {
    /// A client as an event names it.
    pub struct PersonClaim { id: i64 = "int8", account_id: i64 = "int8", program_id: i64 = "int8", email_key: String = "text", name: Option<String> = "text", created_at: i64 = "int8" }
}
record! {
    /// A client; `event_types` are the types recorded for it, with spaces between.
    pub struct PersonRow { id: i64, account_id: i64, program_id: i64, email_key: String, event_types: String, qualified_at: Option<i64> }
}
record! {
    /// A customer of a person.
    pub struct CustomerRow { id: i64, person_id: i64, country: Option<String>, account_type: Option<String>, registered_at: i64 }
}
record! {
    /// A binding of a person to a partner.
    pub struct AttributionRow { person_id: i64, from_at: i64, partner_id: i64, link_id: Option<i64>, click_id: Option<i64> }
}
record! {
    /// A revision of a fact.
    pub struct FactRow { id: i64, person_id: i64, customer_id: i64, kind: String, fact_key: String, revision: Option<i64>, at: i64, body: String }
}
record! {
    /// What a cell has posted.
    pub struct CellRow { person_id: i64, cell: String, posted: i64, last_commission_id: i64 }
}
record! {
    /// A recorded event.
    pub struct EventRow {
        id: i64, account_id: i64, program_id: i64, kind: String, person_id: Option<i64>, click_id: Option<i64>, link_id: Option<i64>,
        partner_id: Option<i64>, amount: Option<String>, currency: Option<String>, is_conversion: bool, is_duplicate: bool,
        state: String, evidence: String, occurred_at: i64, event_key: Option<String>, metadata: Option<String>, received_at: i64,
    }
}

/// Claims idempotency keys; gives those that are new. Waits for another node that holds one.
pub async fn idempotency_claim(tx: &Tx<'_>, mut rows: Vec<IdempotencyClaim>) -> Result<()> {
    rows.sort_by(|a, b| (a.key_id, &a.scope).cmp(&(b.key_id, &b.scope)));
    let statement = batch_sql!(
        IdempotencyClaim,
        0,
        "INSERT INTO idempotency (key_id, scope, fingerprint, status, body, created_at) \
         SELECT key_id, scope, fingerprint, 0, '', created_at FROM {batch} WHERE true ON CONFLICT (key_id, scope) DO NOTHING"
    );
    tx.batch(statement, &[], &rows).await?;
    Ok(())
}

/// What is known of these keys.
pub async fn idempotency_read(tx: &Tx<'_>, rows: &[IdempotencyClaim]) -> Result<Vec<IdempotencyRow>> {
    let statement = batch_sql!(
        IdempotencyClaim,
        0,
        "SELECT i.key_id, i.scope, i.fingerprint, i.status, i.body FROM {batch} CROSS JOIN idempotency i \
         WHERE i.key_id = batch.key_id AND i.scope = batch.scope"
    );
    tx.batch_all(statement, &[], rows).await
}

/// Keeps what was answered.
pub async fn idempotency_answer(tx: &Tx<'_>, rows: &[IdempotencyAnswer]) -> Result<()> {
    let statement = batch_sql!(
        IdempotencyAnswer,
        0,
        "UPDATE idempotency SET status = batch.status, body = batch.body FROM {batch} \
         WHERE idempotency.key_id = batch.key_id AND idempotency.scope = batch.scope"
    );
    tx.batch(statement, &[], rows).await?;
    Ok(())
}

/// Claims callers' event ids, sorted; an id that is taken keeps its event.
pub async fn event_claim(tx: &Tx<'_>, mut rows: Vec<EventClaim>) -> Result<()> {
    rows.sort_by(|a, b| (a.program_id, &a.event_key).cmp(&(b.program_id, &b.event_key)));
    let statement = batch_sql!(
        EventClaim,
        0,
        "INSERT INTO inbox (program_id, event_key, event_id, fingerprint) \
         SELECT program_id, event_key, event_id, fingerprint FROM {batch} WHERE true ON CONFLICT (program_id, event_key) DO NOTHING"
    );
    tx.batch(statement, &[], &rows).await?;
    Ok(())
}

/// Which events these ids stand for.
pub async fn event_claims(tx: &Tx<'_>, rows: &[EventClaim]) -> Result<Vec<EventClaimRow>> {
    let statement = batch_sql!(
        EventClaim,
        0,
        "SELECT i.program_id, i.event_key, i.event_id, i.fingerprint FROM {batch} CROSS JOIN inbox i \
         WHERE i.program_id = batch.program_id AND i.event_key = batch.event_key"
    );
    tx.batch_all(statement, &[], rows).await
}

/// Events by their numbers.
pub async fn events_by_id(tx: &Tx<'_>, ids: &[Number]) -> Result<Vec<EventRow>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT id, account_id, program_id, type, person_id, click_id, link_id, partner_id, amount, currency, is_conversion, \
         is_duplicate, state, evidence, occurred_at, event_key, metadata, received_at FROM event WHERE id IN (SELECT id FROM {batch})"
    );
    tx.batch_all(statement, &[], ids).await
}

/// Unconfirmed events of these persons.
pub async fn events_unverified(tx: &Tx<'_>, persons: &[Number]) -> Result<Vec<EventRow>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT id, account_id, program_id, type, person_id, click_id, link_id, partner_id, amount, currency, is_conversion, \
         is_duplicate, state, evidence, occurred_at, event_key, metadata, received_at FROM event \
         WHERE state = 'unverified' AND person_id IN (SELECT id FROM {batch})"
    );
    tx.batch_all(statement, &[], persons).await
}

/// Makes the clients that are new, with one customer each of the same number.
pub async fn person_claim(tx: &Tx<'_>, mut rows: Vec<PersonClaim>) -> Result<()> {
    rows.sort_by(|a, b| (a.program_id, &a.email_key).cmp(&(b.program_id, &b.email_key)));
    let statement = batch_sql!(
        PersonClaim,
        0,
        "INSERT INTO person (id, account_id, program_id, email_key, name, event_types, created_at) \
         SELECT id, account_id, program_id, email_key, name, '', created_at FROM {batch} WHERE true \
         ON CONFLICT (program_id, email_key) DO NOTHING RETURNING id"
    );
    let made: Vec<(i64,)> = tx.batch_all(statement, &[], &rows).await?;
    let made: std::collections::BTreeSet<i64> = made.into_iter().map(|(id,)| id).collect();
    rows.retain(|row| made.contains(&row.id));
    let statement = batch_sql!(
        PersonClaim,
        0,
        "INSERT INTO customer (id, account_id, program_id, person_id, registered_at, created_at) \
         SELECT id, account_id, program_id, id, created_at, created_at FROM {batch} WHERE true"
    );
    tx.batch(statement, &[], &rows).await?;
    Ok(())
}

/// Locks and reads clients by their emails.
pub async fn persons_by_email(tx: &Tx<'_>, rows: &[PersonClaim]) -> Result<Vec<PersonRow>> {
    let statement = batch_sql!(
        PersonClaim,
        0,
        "SELECT p.id, p.account_id, p.program_id, p.email_key, p.event_types, p.qualified_at FROM {batch} CROSS JOIN person p \
         WHERE p.program_id = batch.program_id AND p.email_key = batch.email_key ORDER BY p.id FOR UPDATE"
    );
    tx.batch_all(statement, &[], rows).await
}

/// Locks and reads clients by their numbers.
pub async fn persons_by_id(tx: &Tx<'_>, ids: &[Number]) -> Result<Vec<PersonRow>> {
    let statement = batch_sql!(
        Number,
        0,
        "SELECT id, account_id, program_id, email_key, event_types, qualified_at FROM person \
         WHERE id IN (SELECT id FROM {batch}) ORDER BY id FOR UPDATE"
    );
    tx.batch_all(statement, &[], ids).await
}

/// Everything that these persons' cells depend on.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the rows of its own name")]
pub struct PersonState {
    pub customers: Vec<CustomerRow>,
    pub attributions: Vec<AttributionRow>,
    pub facts: Vec<FactRow>,
    pub cells: Vec<CellRow>,
    pub unverified: Vec<EventRow>,
}

/// Reads the state of persons that are locked.
pub async fn person_state(tx: &Tx<'_>, persons: &[Number]) -> Result<PersonState> {
    let customers = batch_sql!(
        Number,
        0,
        "SELECT c.id, c.person_id, c.country, c.account_type, c.registered_at FROM {batch} CROSS JOIN customer c \
         WHERE c.person_id = batch.id"
    );
    let attributions = batch_sql!(
        Number,
        0,
        "SELECT a.person_id, a.from_at, a.partner_id, a.link_id, a.click_id FROM {batch} CROSS JOIN attribution a \
         WHERE a.person_id = batch.id"
    );
    let facts = batch_sql!(
        Number,
        0,
        "SELECT f.id, f.person_id, f.customer_id, f.type, f.fact_key, f.revision, f.at, f.body FROM {batch} CROSS JOIN fact f \
         WHERE f.person_id = batch.id ORDER BY f.id"
    );
    let cells = batch_sql!(
        Number,
        0,
        "SELECT c.person_id, c.cell, c.posted, c.last_commission_id FROM {batch} CROSS JOIN cell c WHERE c.person_id = batch.id"
    );
    Ok(PersonState {
        customers: tx.batch_all(customers, &[], persons).await?,
        attributions: tx.batch_all(attributions, &[], persons).await?,
        facts: tx.batch_all(facts, &[], persons).await?,
        cells: tx.batch_all(cells, &[], persons).await?,
        unverified: events_unverified(tx, persons).await?,
    })
}
