//! `headwater bench`: how fast this is on the reader's own machine, as a ratio to something measured beside it.
//!
//! Three processes: this one conducts, `headwater serve` is measured, and this binary again, as `headwater bench load`,
//! asks it over loopback. Ours and its reference take turns in short rounds, so that what disturbs the machine disturbs
//! both; a round that others disturbed is dropped and counted. Invariant: figures are printed together with
//! whether everything that was acknowledged is there after a restart. How to read them: `docs/operating/bench.md`.

mod bulk;
mod ceiling;
mod click;
mod engine;
mod latency;
mod load;
mod machine;
mod nginx;
mod process;
mod report;
mod request;
mod round;
mod rows;
mod settling;
mod simulate;
mod stage;
mod track;
mod year;

use super::Outcome;
use crate::logging;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Bench {
    /// What to measure [default: all]
    scenarios: Vec<Scenario>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// How long ours, and its reference, are each under load in a scenario
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Connections at the same time [default: 64, for click 256 as well, for pushes 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: Option<u16>,
    /// Measure on PostgreSQL: a database of its own is made beside this one, and dropped [default: SQLite]
    #[arg(long, value_name = "URL")]
    database_url: Option<String>,
    /// How many trading days are simulated over
    #[arg(long, value_name = "N", default_value_t = 500_000, value_parser = clap::value_parser!(u64).range(10_000..=10_000_000))]
    rows: u64,
    /// Where temporary stores are made: a folder on the disk that matters; memory would flatter
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Pretend that so many more were acknowledged: shows that the check of what is there can fail
    #[arg(long, value_name = "N", default_value_t = 0, hide = true)]
    claim_more: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
enum Scenario {
    /// The redirect, every click a stored row; beside it nginx, redirecting with an access log
    Click,
    /// One event each, to its commission in the ledger; beside it the store, committing one small row each
    Track,
    /// Facts in, postings out, in memory; beside it the same rows, read and summed
    Engine,
    /// A thousand trading days a request, new and sent again; beside it the bare store, upserting the same rows
    Bulk,
    /// A thousand brand activities a request; beside it the bare store, upserting the same rows
    Activities,
    /// A draft over a year of trading days; beside it the same rows, read and summed
    Simulate,
    /// Another process of this bench: reads an order from standard input
    #[value(hide = true)]
    Load,
}

/// What holds for every scenario.
#[derive(Debug)]
pub struct Settings {
    seconds: u64,
    database_url: Option<String>,
    folder: PathBuf,
    rows: u64,
    claim_more: u64,
}

impl Settings {
    fn store_name(&self) -> &'static str {
        if self.database_url.is_some() { "PostgreSQL" } else { "SQLite" }
    }

    fn own(&self) -> machine::Own {
        machine::Own { postgres: self.database_url.is_some() }
    }
}

pub async fn run(bench: &Bench) -> Result<Outcome> {
    if bench.scenarios == [Scenario::Load] {
        return load::run();
    }
    logging::start("warn")?;
    let mut scenarios = bench.scenarios.clone();
    if scenarios.is_empty() {
        scenarios = vec![
            Scenario::Click,
            Scenario::Track,
            Scenario::Engine,
            Scenario::Bulk,
            Scenario::Activities,
            Scenario::Simulate,
        ];
    }
    let folder = bench.folder.canonicalize().with_context(|| format!("no folder {}", bench.folder.display()))?;
    let database_url = bench.database_url.clone();
    let settings =
        Settings { seconds: bench.seconds, database_url, folder, rows: bench.rows, claim_more: bench.claim_more };
    let connections = |usual: &[u16]| bench.connections.map_or_else(|| usual.to_vec(), |asked| vec![asked]);
    let mut figures = Vec::new();
    for scenario in scenarios {
        match scenario {
            Scenario::Click => {
                for connections in connections(&[64, 256]) {
                    figures.push(click::measure(&settings, connections.into()).await.context("click")?);
                }
            }
            Scenario::Track => {
                for connections in connections(&[64]) {
                    figures.push(track::measure(&settings, connections.into()).await.context("track")?);
                }
            }
            Scenario::Engine => figures.push(engine::measure(&settings).await.context("engine")?),
            Scenario::Bulk | Scenario::Activities => {
                let rows = if scenario == Scenario::Bulk { rows::Rows::TradingDays } else { rows::Rows::Activities };
                for connections in connections(&[4]) {
                    figures.push(bulk::measure(&settings, rows, connections.into()).await.context("bulk")?);
                }
            }
            Scenario::Simulate => figures.push(simulate::measure(&settings).await.context("simulate")?),
            Scenario::Load => bail!("load takes its order from another bench, and stands alone"),
        }
    }
    if bench.json {
        println!("{}", report::to_json(&figures));
    } else {
        print!("{}", report::to_table(&figures));
    }
    Ok(Outcome::from(figures.iter().all(report::Figures::holds)))
}
