//! Members of a program that may have reached what moves them to another one, and wait to be looked at.
//!
//! A mark is set in the transaction of what changed their figures. Invariant: it goes with the look that was later than the
//! change; a newer mark stays.

use crate::backend::{Result, Tx};
use crate::{batch, batch_sql, record, sql};

batch! {
    /// A member to look at; `mark` tells this change from later ones.
    pub struct UpgradeCheck { program_id: i64 = "int8", partner_id: i64 = "int8", account_id: i64 = "int8", mark: i64 = "int8" }
}

record! {
    /// A member that waits.
    pub struct UpgradeDue { program_id: i64, partner_id: i64, account_id: i64, mark: i64 }
}

/// Lets members be looked at. In the order of their numbers, so that two that do so wait for each other one way alone.
pub async fn upgrade_checks_put(tx: &Tx<'_>, checks: &[UpgradeCheck]) -> Result<()> {
    let statement = batch_sql!(
        UpgradeCheck,
        0,
        "INSERT INTO upgrade_check (program_id, partner_id, account_id, mark, due_at) \
         SELECT program_id, partner_id, account_id, mark, 0 FROM {batch} WHERE true ORDER BY program_id, partner_id \
         ON CONFLICT (program_id, partner_id) DO UPDATE SET mark = excluded.mark, due_at = 0"
    );
    tx.batch(statement, &[], checks).await?;
    Ok(())
}

/// Lets every member of a program be looked at that has not left it.
pub async fn upgrade_checks_of_program(tx: &Tx<'_>, account_id: i64, program_id: i64, mark: i64) -> Result<()> {
    let statement = sql!(
        "INSERT INTO upgrade_check (program_id, partner_id, account_id, mark, due_at) \
         SELECT m.program_id, m.partner_id, m.account_id, $3, 0 FROM membership m \
         WHERE m.account_id = $1 AND m.program_id = $2 AND m.state = 'accepted' ORDER BY m.program_id, m.partner_id \
         ON CONFLICT (program_id, partner_id) DO UPDATE SET mark = excluded.mark, due_at = 0"
    );
    tx.execute(statement, &[&account_id, &program_id, &mark]).await?;
    Ok(())
}

/// The first members that wait.
pub async fn upgrades_due(tx: &Tx<'_>, now: i64, rows_max: i64) -> Result<Vec<UpgradeDue>> {
    let statement = sql!(
        "SELECT program_id, partner_id, account_id, mark FROM upgrade_check WHERE due_at <= $1 \
         ORDER BY program_id, partner_id LIMIT $2"
    );
    tx.all(statement, &[&now, &rows_max]).await
}

/// Takes a mark away; `false` where another one was set since, or another node was first.
pub async fn upgrade_check_take(tx: &Tx<'_>, check: &UpgradeDue) -> Result<bool> {
    let statement = sql!("DELETE FROM upgrade_check WHERE program_id = $1 AND partner_id = $2 AND mark = $3");
    Ok(tx.execute(statement, &[&check.program_id, &check.partner_id, &check.mark]).await? > 0)
}

/// Lets a member wait until an instant.
pub async fn upgrade_check_postpone(tx: &Tx<'_>, check: &UpgradeDue, until: i64) -> Result<()> {
    let statement =
        sql!("UPDATE upgrade_check SET due_at = $3 WHERE program_id = $1 AND partner_id = $2 AND mark = $4");
    tx.execute(statement, &[&check.program_id, &check.partner_id, &until, &check.mark]).await?;
    Ok(())
}
