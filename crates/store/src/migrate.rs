//! Forward-only migrations, carried in the binary, the same texts for both engines.
//!
//! Each one is a transaction. A store that knows a migration which this binary does not is newer: it is refused.

use crate::backend::{Error, Postgres, Result, connect};
use std::path::Path;

/// A named schema change.
struct Migration {
    name: &'static str,
    text: &'static str,
}

/// Which of the two files (on PostgreSQL: groups of tables) is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Everything but clicks.
    Money,
    /// Click rows.
    Clicks,
}

const MONEY: &[Migration] = &[
    Migration { name: "0001_money", text: include_str!("../migrations/0001_money.sql") },
    Migration { name: "0002_node_lease", text: include_str!("../migrations/0002_node_lease.sql") },
    Migration { name: "0003_payouts", text: include_str!("../migrations/0003_payouts.sql") },
    Migration { name: "0004_repricing", text: include_str!("../migrations/0004_repricing.sql") },
    Migration { name: "0005_lists", text: include_str!("../migrations/0005_lists.sql") },
    Migration { name: "0006_ingest", text: include_str!("../migrations/0006_ingest.sql") },
    Migration { name: "0007_oauth", text: include_str!("../migrations/0007_oauth.sql") },
    Migration { name: "0008_simulation", text: include_str!("../migrations/0008_simulation.sql") },
    Migration { name: "0009_seal_check", text: include_str!("../migrations/0009_seal_check.sql") },
    Migration { name: "0010_circles", text: include_str!("../migrations/0010_circles.sql") },
    Migration { name: "0011_rewards", text: include_str!("../migrations/0011_rewards.sql") },
    Migration { name: "0012_webhooks", text: include_str!("../migrations/0012_webhooks.sql") },
    Migration { name: "0013_memberships", text: include_str!("../migrations/0013_memberships.sql") },
    Migration { name: "0014_same_click", text: include_str!("../migrations/0014_same_click.sql") },
    Migration { name: "0015_refunds", text: include_str!("../migrations/0015_refunds.sql") },
    Migration { name: "0016_partner_tokens", text: include_str!("../migrations/0016_partner_tokens.sql") },
    Migration { name: "0017_fulfilment", text: include_str!("../migrations/0017_fulfilment.sql") },
    Migration { name: "0020_windows", text: include_str!("../migrations/0020_windows.sql") },
    Migration { name: "0022_splits", text: include_str!("../migrations/0022_splits.sql") },
    Migration { name: "0025_by_hand", text: include_str!("../migrations/0025_by_hand.sql") },
    Migration { name: "0026_origins", text: include_str!("../migrations/0026_origins.sql") },
    Migration { name: "0027_lost", text: include_str!("../migrations/0027_lost.sql") },
    Migration { name: "0028_upgrades", text: include_str!("../migrations/0028_upgrades.sql") },
    Migration { name: "0029_waiting", text: include_str!("../migrations/0029_waiting.sql") },
    Migration { name: "0030_referral_moves", text: include_str!("../migrations/0030_referral_moves.sql") },
    Migration { name: "0032_promo_codes", text: include_str!("../migrations/0032_promo_codes.sql") },
];
const CLICKS: &[Migration] = &[Migration { name: "0001_clicks", text: include_str!("../migrations/0001_clicks.sql") }];

const CREATE_LIST: &str = "CREATE TABLE IF NOT EXISTS migration (name TEXT PRIMARY KEY)";
/// Any number that no other program uses for the same database: "headwatr" in ASCII.
const MIGRATION_LOCK: i64 = 0x6865_6164_7761_7472;

impl Part {
    fn migrations(self) -> &'static [Migration] {
        match self {
            Self::Money => MONEY,
            Self::Clicks => CLICKS,
        }
    }
}

/// Brings one SQLite file to this version; gives the names of what was applied.
pub fn migrate_sqlite(path: &Path, part: Part) -> Result<Vec<&'static str>> {
    let mut connection = connect(path)?;
    connection.execute_batch(CREATE_LIST)?;
    let applied: Vec<String> =
        connection.prepare("SELECT name FROM migration")?.query_map([], |r| r.get(0))?.collect::<Result<_, _>>()?;
    refuse_newer(&applied, part.migrations())?;
    let mut done = Vec::new();
    for migration in part.migrations().iter().filter(|m| !applied.iter().any(|a| a == m.name)) {
        let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(&for_sqlite(migration.text))?;
        tx.execute("INSERT INTO migration (name) VALUES (?1)", [migration.name])?;
        tx.commit()?;
        done.push(migration.name);
    }
    Ok(done)
}

/// Brings a PostgreSQL database to this version; nodes that start together wait for each other.
pub async fn migrate_postgres(database: &Postgres) -> Result<Vec<&'static str>> {
    let mut client = database.client().await?;
    let tx = client.transaction().await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await?;
    tx.batch_execute(CREATE_LIST).await?;
    let rows = tx.query("SELECT name FROM migration", &[]).await?;
    let applied = rows.iter().map(|r| r.try_get(0)).collect::<Result<Vec<String>, _>>()?;
    let known: Vec<&Migration> = MONEY.iter().chain(CLICKS).collect();
    if let Some(newer) = applied.iter().find(|a| !known.iter().any(|m| m.name == **a)) {
        return Err(newer_store(newer));
    }
    let mut done = Vec::new();
    for migration in known.into_iter().filter(|m| !applied.iter().any(|a| a == m.name)) {
        tx.batch_execute(migration.text).await?;
        tx.execute("INSERT INTO migration (name) VALUES ($1)", &[&migration.name]).await?;
        done.push(migration.name);
    }
    tx.commit().await?;
    Ok(done)
}

fn refuse_newer(applied: &[String], known: &[Migration]) -> Result<()> {
    match applied.iter().find(|a| !known.iter().any(|m| m.name == **a)) {
        Some(newer) => Err(newer_store(newer)),
        None => Ok(()),
    }
}

fn newer_store(name: &str) -> Error {
    Error::Refused(format!(
        "the store was made by a newer Headwater (it has migration {name}); run that version or a later one"
    ))
}

/// A rowid alias for the primary key, and what stands in `/*sqlite …*/`.
fn for_sqlite(text: &str) -> String {
    text.replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY").replace("/*sqlite ", "").replace("*/", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_store_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("money.sqlite");
        assert_eq!(migrate_sqlite(&path, Part::Money).expect("fresh").first(), Some(&"0001_money"));
        assert!(migrate_sqlite(&path, Part::Money).expect("again").is_empty());
        connect(&path).expect("opens").execute("INSERT INTO migration VALUES ('9999_future')", []).expect("inserts");
        let refused = migrate_sqlite(&path, Part::Money).expect_err("newer");
        assert!(refused.to_string().contains("9999_future"), "{refused}");
    }
}
