//! Whose a click is: who is known by it alone, and whom it brought.
//!
//! Leaves which of them is meant to the settlement, which asks again under its locks.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql};

batch! {
    /// A click in a program, and the name of whoever is known by it alone.
    pub struct ClickOf { program_id: i64 = "int8", click_id: i64 = "int8", email_key: String = "text" }
}

/// Persons that are known by these clicks alone, that stand for themselves, and that nobody else turned out to be, as
/// (program, click, person).
pub async fn persons_alone(tx: &Tx<'_>, clicks: &[ClickOf]) -> Result<Vec<(i64, i64, i64)>> {
    let statement = batch_sql!(
        ClickOf,
        0,
        "SELECT p.program_id, batch.click_id, p.id FROM {batch} CROSS JOIN person p \
         WHERE p.program_id = batch.program_id AND p.email_key = batch.email_key AND p.merged_into IS NULL \
         AND NOT EXISTS (SELECT 1 FROM person m WHERE m.merged_into = p.id AND m.merged_into IS NOT NULL)"
    );
    tx.batch_all(statement, &[], clicks).await
}

/// Persons that have an account which one of these clicks brought, as (program, click, person).
pub async fn persons_brought(tx: &Tx<'_>, clicks: &[ClickOf]) -> Result<Vec<(i64, i64, i64)>> {
    let statement = batch_sql!(
        ClickOf,
        0,
        "SELECT DISTINCT p.program_id, batch.click_id, p.id FROM {batch} CROSS JOIN attribution a CROSS JOIN person p \
         WHERE a.click_id = batch.click_id AND a.click_id IS NOT NULL AND p.id = a.person_id \
         AND p.program_id = batch.program_id AND p.merged_into IS NULL"
    );
    tx.batch_all(statement, &[], clicks).await
}
