//! Persons whose facts are to be priced again because something dated changed, and the closing of periods.
//!
//! A mark is set in the transaction of the change, and taken away in the transaction that priced the person with it; a
//! newer mark stays.

use crate::backend::{Result, Tx};
use crate::settlement::Number;
use crate::{batch, batch_sql, counter, record, sql};

record! {
    /// A person to price again.
    pub struct Marked { person_id: i64, account_id: i64, program_id: i64, mark: i64 }
}
batch! {
    /// A mark that was served.
    pub struct Served { person_id: i64 = "int8", mark: i64 = "int8" }
}

/// Marks the persons of an account that have a fact at or after `from_at`.
pub async fn mark_account(tx: &Tx<'_>, account_id: i64, from_at: i64, mark: i64) -> Result<()> {
    let statement = sql!(
        "INSERT INTO repricing (person_id, account_id, program_id, mark) \
         SELECT p.id, p.account_id, p.program_id, $3 FROM person p \
         WHERE p.account_id = $1 AND EXISTS (SELECT 1 FROM fact f WHERE f.person_id = p.id AND f.at >= $2) \
         ON CONFLICT (person_id) DO UPDATE SET mark = excluded.mark, due_at = 0"
    );
    tx.execute(statement, &[&account_id, &from_at, &mark]).await?;
    Ok(())
}

/// Marks the persons of a program.
pub async fn mark_program(tx: &Tx<'_>, program_id: i64, mark: i64) -> Result<()> {
    let statement = sql!(
        "INSERT INTO repricing (person_id, account_id, program_id, mark) \
         SELECT p.id, p.account_id, p.program_id, $2 FROM person p \
         WHERE p.program_id = $1 AND EXISTS (SELECT 1 FROM fact f WHERE f.person_id = p.id) \
         ON CONFLICT (person_id) DO UPDATE SET mark = excluded.mark, due_at = 0"
    );
    tx.execute(statement, &[&program_id, &mark]).await?;
    Ok(())
}

/// Marks one person.
pub async fn mark_person(tx: &Tx<'_>, person_id: i64, mark: i64) -> Result<()> {
    let statement = sql!(
        "INSERT INTO repricing (person_id, account_id, program_id, mark) \
         SELECT p.id, p.account_id, p.program_id, $2 FROM person p WHERE p.id = $1 \
         ON CONFLICT (person_id) DO UPDATE SET mark = excluded.mark, due_at = 0"
    );
    tx.execute(statement, &[&person_id, &mark]).await?;
    Ok(())
}

/// The first persons that wait, program by program.
pub async fn marked(tx: &Tx<'_>, now: i64, persons_max: i64) -> Result<Vec<Marked>> {
    let statement = sql!(
        "SELECT person_id, account_id, program_id, mark FROM repricing WHERE due_at <= $1 ORDER BY program_id, person_id LIMIT $2"
    );
    tx.all(statement, &[&now, &persons_max]).await
}

/// The persons of these customers of an account that wait.
pub async fn marked_of_customers(tx: &Tx<'_>, account_id: i64, customers: &[Number]) -> Result<Vec<Marked>> {
    let statement = batch_sql!(
        Number,
        1,
        "SELECT DISTINCT r.person_id, r.account_id, r.program_id, r.mark FROM {batch} JOIN customer c ON c.id = batch.id \
         JOIN repricing r ON r.person_id = c.person_id WHERE c.account_id = $1 AND r.account_id = $1 ORDER BY r.program_id, r.person_id"
    );
    tx.batch_all(statement, &[&account_id], customers).await
}

/// Lets persons wait until an instant.
pub async fn marks_postpone(tx: &Tx<'_>, until: i64, persons: &[Number]) -> Result<()> {
    let statement =
        batch_sql!(Number, 1, "UPDATE repricing SET due_at = $1 FROM {batch} WHERE repricing.person_id = batch.id");
    tx.batch(statement, &[&until], persons).await?;
    Ok(())
}

/// Takes marks away, but for those that were set anew since.
pub async fn marks_served(tx: &Tx<'_>, served: &[Served]) -> Result<()> {
    let statement =
        batch_sql!(Served, 0, "DELETE FROM repricing WHERE (person_id, mark) IN (SELECT person_id, mark FROM {batch})");
    tx.batch(statement, &[], served).await?;
    Ok(())
}

/// Closes the periods of a program that end on or before a day (`YYYY-MM-DD`), never opens one; gives whether it did.
pub async fn periods_close(tx: &Tx<'_>, program_id: i64, closed_before: &str) -> Result<bool> {
    let version = counter::next_version(tx).await?;
    let statement = sql!(
        "UPDATE program SET closed_before = $2, version = $3 \
         WHERE id = $1 AND (closed_before IS NULL OR closed_before < $2)"
    );
    Ok(tx.execute(statement, &[&program_id, &closed_before, &version]).await? > 0)
}
