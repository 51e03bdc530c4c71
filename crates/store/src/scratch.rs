//! A PostgreSQL database for a while: made beside one that is there, and removed again.
//!
//! For measurements, which must never run in a database that somebody uses. Leaves opening a store in it to `open`.

use crate::backend::{Error, Postgres, Result};
use std::sync::atomic::{AtomicU32, Ordering};

/// An empty database of its own.
#[derive(Debug, Clone)]
pub struct Scratch {
    name: String,
    /// Its URL.
    pub url: String,
}

impl Scratch {
    /// Makes one on the server of this URL; the database that the URL names is only connected to.
    pub async fn make(beside: &str) -> Result<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("headwater_bench_{}_{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let url = with_database(beside, &name)?;
        Postgres::open(beside, 1)?.client().await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        Ok(Self { name, url })
    }

    /// Drops it, whoever is still connected.
    pub async fn remove(self, beside: &str) -> Result<()> {
        let text = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        Ok(Postgres::open(beside, 1)?.client().await?.batch_execute(&text).await?)
    }
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> Result<String> {
    let (address, query) = url.split_once('?').map_or((url, None), |(address, query)| (address, Some(query)));
    // Not repeated: it may hold a password.
    let (scheme, rest) = address
        .split_once("://")
        .ok_or_else(|| Error::Refused("the database URL must start with postgres://".into()))?;
    let host = rest.split('/').next().unwrap_or_default();
    Ok(format!("{scheme}://{host}/{name}{}", query.map(|query| format!("?{query}")).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_database_of_a_url_changes() {
        for (url, expected) in [
            ("postgres://u:p@h:5432/live?sslmode=disable", "postgres://u:p@h:5432/b?sslmode=disable"),
            ("postgresql://h", "postgresql://h/b"),
        ] {
            assert_eq!(with_database(url, "b").expect("a URL"), expected);
        }
        assert!(with_database("host=h password=secret", "b").is_err());
    }
}
