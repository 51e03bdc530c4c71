//! `headwater verify`: recomputes everything from facts and configuration, beside a running server, and compares.

use super::Outcome;
use crate::config::{Config, ServerFlags, StoreFlags};
use crate::logging;
use anyhow::{Context as _, Result};
use headwater_app::history::History;
use headwater_store::Store;
use serde_json::json;

#[derive(Debug, clap::Args)]
#[command(after_help = crate::config::AFTER_HELP)]
pub struct Verify {
    #[command(flatten)]
    store: StoreFlags,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(verify: &Verify) -> Result<Outcome> {
    let config = Config::read(&verify.store, &ServerFlags::default())?;
    logging::start(&config.log)?;
    let history = read(&config).await?;
    let verdict = history.verify().await?;
    if verify.json {
        let answer = json!({
            "ok": verdict.difference.is_none(),
            "persons": verdict.persons,
            "commissions": verdict.commissions,
            "entries": verdict.entries,
            "difference": verdict.difference,
        });
        println!("{answer}");
    } else {
        let (persons, commissions, entries) = (verdict.persons, verdict.commissions, verdict.entries);
        println!("Recomputed: {persons} persons, {commissions} commissions, {entries} ledger entries.");
        match &verdict.difference {
            None => println!("Everything holds."),
            Some(difference) => println!("It does not hold: {difference}"),
        }
    }
    Ok(Outcome::from(verdict.difference.is_none()))
}

/// A store's history, read beside whatever serves it.
pub async fn read(config: &Config) -> Result<History> {
    let fatal = |error: &str| tracing::error!(error, "the disk can no longer be trusted");
    let store = Store::open_beside(&config.place, fatal).await.context("the store cannot be opened")?;
    Ok(History::read(store).await?)
}
