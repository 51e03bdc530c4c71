//! Everything that was recorded, read back to recompute it: persons with their partners, and the books row by row.
//!
//! Never locks and never writes.

use crate::backend::{Result, Tx};
use crate::person_state::{PersonOf, PersonState, attributions_of, customers_of, facts_whole};
use crate::settlement::PersonRow;
use crate::{batch_sql, record, sql};

record! {
    /// A person and a partner that it was ever bound to; 0 where it never was.
    pub struct BoundRow { person_id: i64, partner_id: i64 }
}
record! {
    /// A cell whose commissions, or those that were denied, do not add up to what it says.
    pub struct UnequalCell { person_id: i64, cell: String, posted: i64, commissions: i64, denied: i64, commissions_denied: i64 }
}
record! {
    /// An entry as it is chained.
    pub struct ChainedEntry {
        ledger_account_id: i64, number: i64, transaction_id: i64, amount: i64, hash: String, previous_hash: String, at: i64,
    }
}
record! {
    /// A ledger account as it says it is.
    pub struct LedgerHead { id: i64, balance: i64, entries: i64, head_hash: String }
}

/// The next persons of a program after this one, in the order of their numbers, each with every partner that it was bound
/// to; at most so many persons. The plus keeps SQLite on the order of numbers: by program it would sort all of them for
/// each page.
pub async fn persons_bound(tx: &Tx<'_>, program_id: i64, after: i64, limit: i64) -> Result<Vec<BoundRow>> {
    let statement = sql!(
        "SELECT p.id, COALESCE(b.partner_id, 0) FROM (SELECT id FROM person \
         WHERE +program_id = $1 AND merged_into IS NULL AND id > $2 ORDER BY id LIMIT $3) p \
         LEFT JOIN bound b ON b.person_id = p.id ORDER BY p.id"
    );
    tx.all(statement, &[&program_id, &after, &limit]).await
}

/// Persons of an account by their numbers.
pub async fn persons_read(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<PersonRow>> {
    let statement = batch_sql!(
        PersonOf,
        0,
        "SELECT p.id, p.account_id, p.program_id, p.email_key, p.event_types, p.qualified_at, p.merged_into, p.trading \
         FROM {batch} CROSS JOIN person p WHERE p.id = batch.id AND p.account_id = batch.account_id \
         AND p.merged_into IS NULL ORDER BY p.id"
    );
    tx.batch_all(statement, &[], persons).await
}

/// What persons' facts are priced by and the facts, without what was posted for them.
pub async fn person_facts(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<PersonState> {
    Ok(PersonState {
        customers: customers_of(tx, persons).await?,
        attributions: attributions_of(tx, persons).await?,
        facts: facts_whole(tx, persons).await?,
        cells: Vec::new(),
        unverified: Vec::new(),
    })
}

record! {
    /// A fact that is not priced, whose, and why.
    pub struct HeldFact { fact_id: i64, person_id: i64, reason: String }
}

/// What these persons have held.
pub async fn held_of_persons(tx: &Tx<'_>, persons: &[PersonOf]) -> Result<Vec<HeldFact>> {
    let statement = batch_sql!(
        PersonOf,
        0,
        "SELECT h.fact_id, h.person_id, h.reason FROM {batch} CROSS JOIN held h \
         WHERE h.person_id = batch.id AND +h.account_id = batch.account_id ORDER BY h.fact_id, h.reason"
    );
    tx.batch_all(statement, &[], persons).await
}

/// The first fact that is held, and is of another person than it is held for, or of none.
pub async fn held_astray(tx: &Tx<'_>) -> Result<Option<HeldFact>> {
    let statement = sql!(
        "SELECT h.fact_id, h.person_id, h.reason FROM held h LEFT JOIN fact f ON f.id = h.fact_id \
         LEFT JOIN person p ON p.id = h.person_id WHERE f.id IS NULL OR f.person_id <> h.person_id OR p.id IS NULL \
         OR p.merged_into IS NOT NULL ORDER BY h.fact_id, h.reason LIMIT 1"
    );
    tx.maybe(statement, &[]).await
}

record! {
    /// A commission: what was posted to a partner, or to customers where there is none, for a fact of a customer.
    pub struct PostedRow { id: i64, partner_id: Option<i64>, customer_id: i64, unit: String, amount: i64 }
}

/// Which commissions are asked for: those of a program, not denied, for facts of `[from, to)`.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each field is the column of its own name, or an end of the window")]
pub struct PostedWithin {
    pub program_id: i64,
    pub from: i64,
    pub to: i64,
}

/// The next of them after this one, in the order of their numbers. Sorting or adding up all of them would take memory
/// that grows with what was ever posted.
pub async fn posted_within(tx: &Tx<'_>, asked: PostedWithin, after: i64, limit: i64) -> Result<Vec<PostedRow>> {
    let statement = sql!(
        "SELECT m.id, m.partner_id, f.customer_id, m.unit, m.amount FROM commission m \
         JOIN fact f ON f.id = m.fact_id WHERE m.program_id = $1 AND m.status <> 'denied' AND f.at >= $2 AND f.at < $3 \
         AND m.id > $4 ORDER BY m.id LIMIT $5"
    );
    tx.all(statement, &[&asked.program_id, &asked.from, &asked.to, &after, &limit]).await
}

/// The first cell that its commissions do not add up to.
pub async fn cell_unequal(tx: &Tx<'_>) -> Result<Option<UnequalCell>> {
    let statement = sql!(
        "SELECT c.person_id, c.cell, c.posted, CAST(COALESCE(s.total, 0) AS BIGINT), c.denied, CAST(COALESCE(s.denied, 0) AS BIGINT) \
         FROM cell c LEFT JOIN (SELECT person_id, cell, SUM(amount) AS total, \
         SUM(CASE WHEN status = 'denied' THEN amount ELSE 0 END) AS denied FROM commission GROUP BY person_id, cell) s \
         ON s.person_id = c.person_id AND s.cell = c.cell WHERE c.posted <> COALESCE(s.total, 0) OR c.denied <> COALESCE(s.denied, 0) \
         ORDER BY c.person_id, c.cell LIMIT 1"
    );
    tx.maybe(statement, &[]).await
}

/// The first transaction whose entries do not add up to nothing.
pub async fn transaction_unbalanced(tx: &Tx<'_>) -> Result<Option<i64>> {
    let statement = sql!(
        "SELECT transaction_id FROM ledger_entry GROUP BY transaction_id HAVING SUM(amount) <> 0 ORDER BY transaction_id LIMIT 1"
    );
    let found: Option<(i64,)> = tx.maybe(statement, &[]).await?;
    Ok(found.map(|(id,)| id))
}

/// The entries after this one, account by account.
pub async fn entries_after(tx: &Tx<'_>, account: i64, number: i64, limit: i64) -> Result<Vec<ChainedEntry>> {
    let statement = sql!(
        "SELECT ledger_account_id, number, transaction_id, amount, hash, previous_hash, at FROM ledger_entry \
         WHERE ledger_account_id > $1 OR (ledger_account_id = $1 AND number > $2) \
         ORDER BY ledger_account_id, number LIMIT $3"
    );
    tx.all(statement, &[&account, &number, &limit]).await
}

/// Every ledger account.
pub async fn ledger_heads(tx: &Tx<'_>) -> Result<Vec<LedgerHead>> {
    tx.all(sql!("SELECT id, balance, entries, head_hash FROM ledger_account ORDER BY id"), &[]).await
}

/// How many commissions there are, and how many persons wait for a dated change to be priced.
pub async fn figures(tx: &Tx<'_>) -> Result<(i64, i64)> {
    tx.one(sql!("SELECT (SELECT COUNT(*) FROM commission), (SELECT COUNT(*) FROM repricing)"), &[]).await
}
