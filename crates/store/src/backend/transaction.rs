//! A transaction handle over either engine. On SQLite every call is ready at once; on PostgreSQL it awaits the wire.

use super::batch::Batch;
use super::error::{Error, Result};
use super::row::{FromRow, Parameter, Row};
use super::statement::{BatchStatement, SqliteBatch, Statement};
use rusqlite::Connection;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a storage closure talks to.
#[allow(missing_debug_implementations, reason = "connections have no useful debug form")]
pub enum Tx<'a> {
    /// The writer's or a reader's connection. The mutex only makes the handle `Sync`; nobody else holds it.
    Sqlite(&'a Mutex<Connection>),
    /// A PostgreSQL transaction.
    Postgres(&'a deadpool_postgres::Transaction<'a>),
    /// A PostgreSQL connection outside a transaction, for reads.
    PostgresRead(&'a deadpool_postgres::Client),
}

type Parameters<'p> = &'p [&'p dyn Parameter];

impl Tx<'_> {
    /// All rows.
    pub async fn all<R: FromRow>(&self, statement: &Statement, parameters: Parameters<'_>) -> Result<Vec<R>> {
        let mut out = Vec::new();
        match self {
            Self::Sqlite(connection) => {
                sqlite_rows(connection, statement.sqlite(), parameters, None, &mut |row| {
                    out.push(R::from_row(&Row::Sqlite(row))?);
                    Ok(())
                })?;
            }
            _ => {
                for row in &self.postgres_rows(statement.text, parameters, &[]).await? {
                    out.push(R::from_row(&Row::Postgres(row))?);
                }
            }
        }
        Ok(out)
    }

    /// The last row, if there is one.
    pub async fn maybe<R: FromRow>(&self, statement: &Statement, parameters: Parameters<'_>) -> Result<Option<R>> {
        Ok(self.all(statement, parameters).await?.pop())
    }

    /// The row that must be there.
    pub async fn one<R: FromRow>(&self, statement: &Statement, parameters: Parameters<'_>) -> Result<R> {
        self.maybe(statement, parameters).await?.ok_or(Error::Missing)
    }

    /// Runs a statement; gives how many rows it touched.
    pub async fn execute(&self, statement: &Statement, parameters: Parameters<'_>) -> Result<u64> {
        match self {
            Self::Sqlite(connection) => sqlite_execute(connection, statement.sqlite(), parameters, None),
            _ => self.postgres_execute(statement.text, parameters, &[]).await,
        }
    }

    /// Runs a set-based statement; gives how many rows it touched. Nothing is sent for no rows.
    pub async fn batch<B: Batch>(
        &self,
        statement: &BatchStatement,
        parameters: Parameters<'_>,
        rows: &[B],
    ) -> Result<u64> {
        debug_assert_eq!(parameters.len(), statement.parameters(), "the statement says how many come first");
        if rows.is_empty() {
            return Ok(0);
        }
        match self {
            Self::Sqlite(connection) => match statement.sqlite_batch() {
                SqliteBatch::ByRow(text) => {
                    let mut touched = 0;
                    sqlite_by_row(connection, text, parameters, rows, &mut |prepared| {
                        touched += prepared.raw_execute()? as u64;
                        Ok(())
                    })?;
                    Ok(touched)
                }
                SqliteBatch::Document(text) => sqlite_execute(connection, text, parameters, Some(&B::to_json(rows))),
            },
            _ => self.postgres_execute(statement.postgres(), parameters, &B::to_columns(rows)).await,
        }
    }

    /// Runs a set-based statement that answers with rows, in no particular order. Nothing is sent for no rows.
    pub async fn batch_all<B: Batch, R: FromRow>(
        &self,
        statement: &BatchStatement,
        parameters: Parameters<'_>,
        rows: &[B],
    ) -> Result<Vec<R>> {
        debug_assert_eq!(parameters.len(), statement.parameters(), "the statement says how many come first");
        let mut out = Vec::new();
        if rows.is_empty() {
            return Ok(out);
        }
        match self {
            Self::Sqlite(connection) => match statement.sqlite_batch() {
                SqliteBatch::ByRow(text) => sqlite_by_row(connection, text, parameters, rows, &mut |prepared| {
                    let mut found = prepared.raw_query();
                    while let Some(row) = found.next()? {
                        out.push(R::from_row(&Row::Sqlite(row))?);
                    }
                    Ok(())
                })?,
                SqliteBatch::Document(text) => {
                    sqlite_rows(connection, text, parameters, Some(&B::to_json(rows)), &mut |row| {
                        out.push(R::from_row(&Row::Sqlite(row))?);
                        Ok(())
                    })?;
                }
            },
            _ => {
                for row in &self.postgres_rows(statement.postgres(), parameters, &B::to_columns(rows)).await? {
                    out.push(R::from_row(&Row::Postgres(row))?);
                }
            }
        }
        Ok(out)
    }

    async fn postgres_rows(
        &self,
        text: &str,
        parameters: Parameters<'_>,
        columns: &[super::batch::Column],
    ) -> Result<Vec<tokio_postgres::Row>> {
        let values = postgres_values(parameters, columns);
        match self {
            Self::Postgres(tx) => {
                let prepared = tx.prepare_cached(text).await?;
                Ok(tx.query(&prepared, &values).await?)
            }
            Self::PostgresRead(client) => {
                let prepared = client.prepare_cached(text).await?;
                Ok(client.query(&prepared, &values).await?)
            }
            Self::Sqlite(_) => Err(Error::Closed),
        }
    }

    async fn postgres_execute(
        &self,
        text: &str,
        parameters: Parameters<'_>,
        columns: &[super::batch::Column],
    ) -> Result<u64> {
        let values = postgres_values(parameters, columns);
        match self {
            Self::Postgres(tx) => {
                let prepared = tx.prepare_cached(text).await?;
                Ok(tx.execute(&prepared, &values).await?)
            }
            Self::PostgresRead(_) | Self::Sqlite(_) => Err(Error::Closed),
        }
    }
}

fn postgres_values<'v>(
    parameters: &'v [&dyn Parameter],
    columns: &'v [super::batch::Column],
) -> Vec<&'v (dyn postgres_types::ToSql + Sync)> {
    let own = parameters.iter().map(|p| p.postgres());
    own.chain(columns.iter().map(|c| &**c as &(dyn postgres_types::ToSql + Sync))).collect()
}

/// The writer thread ends with its process, so a poisoned lock still guards a usable connection.
pub(super) fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, parameters: Parameters<'_>, json: Option<&str>) -> Result<()> {
    for (i, parameter) in parameters.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, parameter.sqlite())?;
    }
    if let Some(json) = json {
        statement.raw_bind_parameter(parameters.len() + 1, json)?;
    }
    Ok(())
}

fn sqlite_execute(
    connection: &Mutex<Connection>,
    text: &str,
    parameters: Parameters<'_>,
    json: Option<&str>,
) -> Result<u64> {
    let connection = lock(connection);
    let mut statement = connection.prepare_cached(text)?;
    bind(&mut statement, parameters, json)?;
    Ok(statement.raw_execute()? as u64)
}

/// Runs a statement once for each row, its values bound after the statement's own parameters.
fn sqlite_by_row<B: Batch>(
    connection: &Mutex<Connection>,
    text: &str,
    parameters: Parameters<'_>,
    rows: &[B],
    run: &mut dyn FnMut(&mut rusqlite::CachedStatement<'_>) -> Result<()>,
) -> Result<()> {
    let connection = lock(connection);
    let mut statement = connection.prepare_cached(text)?;
    bind(&mut statement, parameters, None)?;
    // A statement may leave columns of its rows out; those at the end have no number then.
    let bound_max = statement.parameter_count().saturating_sub(parameters.len());
    for row in rows {
        for (i, value) in row.values().into_iter().take(bound_max).enumerate() {
            statement.raw_bind_parameter(parameters.len() + i + 1, value.sqlite())?;
        }
        run(&mut statement)?;
    }
    Ok(())
}

fn sqlite_rows(
    connection: &Mutex<Connection>,
    text: &str,
    parameters: Parameters<'_>,
    json: Option<&str>,
    each: &mut dyn FnMut(&rusqlite::Row<'_>) -> Result<()>,
) -> Result<()> {
    let connection = lock(connection);
    let mut statement = connection.prepare_cached(text)?;
    bind(&mut statement, parameters, json)?;
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        each(row)?;
    }
    Ok(())
}
