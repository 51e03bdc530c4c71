//! `headwater migrate`: brings the store to this version. Opening a store does it; so does `serve`.

use super::Outcome;
use crate::config::{Config, ServerFlags, StoreFlags};
use crate::logging;
use anyhow::{Context as _, Result};
use headwater_store::Store;

#[derive(Debug, clap::Args)]
pub struct Migrate {
    #[command(flatten)]
    store: StoreFlags,
}

pub async fn run(migrate: &Migrate) -> Result<Outcome> {
    let config = Config::read(&migrate.store, &ServerFlags::default())?;
    logging::start(&config.log)?;
    Store::open(&config.place, |error| tracing::error!(error, "the disk can no longer be trusted"))
        .await
        .context("the store cannot be opened")?;
    println!("The store has the schema of this version.");
    Ok(Outcome::Held)
}
