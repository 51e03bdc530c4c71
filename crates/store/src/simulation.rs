//! Simulations: what was asked and what was found.

use crate::backend::{Result, Statement, Tx};
use crate::{record, sql};

record! {
    /// A simulation; `asked` and `body` are JSON.
    pub struct SimulationRow {
        id: i64, program_id: i64, status: String, asked: String, body: String, created_at: i64, finished_at: Option<i64>,
    }
}

/// Notes that one is running.
pub async fn simulation_insert(
    tx: &Tx<'_>,
    id: i64,
    account_id: i64,
    program_id: i64,
    asked: &str,
    created_at: i64,
) -> Result<()> {
    let statement = sql!(
        "INSERT INTO simulation (id, account_id, program_id, status, asked, body, created_at) \
         VALUES ($1, $2, $3, 'running', $4, '{}', $5)"
    );
    tx.execute(statement, &[&id, &account_id, &program_id, &asked, &created_at]).await?;
    Ok(())
}

/// Keeps what was found, or why nothing was.
pub async fn simulation_finish(tx: &Tx<'_>, id: i64, status: &str, body: &str, finished_at: i64) -> Result<()> {
    let statement =
        sql!("UPDATE simulation SET status = $2, body = $3, finished_at = $4 WHERE id = $1 AND status = 'running'");
    tx.execute(statement, &[&id, &status, &body, &finished_at]).await?;
    Ok(())
}

// The node that made a number is in it, above six bits of sequence (`domain::ids`).
static ORPHANED: Statement = Statement::new(
    "SELECT id FROM simulation s WHERE status = 'running' AND NOT EXISTS (SELECT 1 FROM node_lease l \
     WHERE l.number = (s.id / 64) % 64 AND l.lease_until > CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)) \
     ORDER BY id",
);

/// Those that no live node runs. A data folder has one process (`open`): to be asked when it has begun none yet.
pub async fn simulations_orphaned(tx: &Tx<'_>) -> Result<Vec<i64>> {
    let rows: Vec<(i64,)> = match tx {
        Tx::Sqlite(_) => tx.all(sql!("SELECT id FROM simulation WHERE status = 'running' ORDER BY id"), &[]).await?,
        Tx::Postgres(_) | Tx::PostgresRead(_) => tx.all(&ORPHANED, &[]).await?,
    };
    Ok(rows.into_iter().map(|(id,)| id).collect())
}

/// A simulation of this account.
pub async fn simulation_read(tx: &Tx<'_>, account_id: i64, id: i64) -> Result<Option<SimulationRow>> {
    let statement = sql!(
        "SELECT id, program_id, status, asked, body, created_at, finished_at FROM simulation WHERE account_id = $1 AND id = $2"
    );
    tx.maybe(statement, &[&account_id, &id]).await
}
