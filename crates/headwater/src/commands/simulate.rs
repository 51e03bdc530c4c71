//! `headwater simulate`: a draft plan over recorded history, beside a running server. Nothing is written.

use super::Outcome;
use super::plan::read_document;
use super::verify::read;
use crate::config::{Config, ServerFlags, StoreFlags};
use crate::logging;
use anyhow::{Context as _, Result, anyhow};
use headwater_app::simulate::SimulationRequest;
use headwater_domain::commission::lint;
use headwater_domain::ids::ProgramId;
use headwater_domain::time::Date;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, clap::Args)]
#[command(after_help = crate::config::AFTER_HELP)]
pub struct Simulate {
    #[command(flatten)]
    store: StoreFlags,
    /// The program's id
    #[arg(long)]
    program: i64,
    /// The draft: a plan document, TOML or JSON
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Facts from the start of this day on, in the draft's zone,
    #[arg(long, value_name = "DATE")]
    from: Date,
    /// and before the start of this one
    #[arg(long, value_name = "DATE")]
    to: Date,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(simulate: &Simulate) -> Result<Outcome> {
    if simulate.to <= simulate.from {
        clap::Error::raw(clap::error::ErrorKind::ValueValidation, "--to must be after --from\n").exit();
    }
    let config = Config::read(&simulate.store, &ServerFlags::default())?;
    logging::start(&config.log)?;
    let document = read_document(&simulate.plan).with_context(|| simulate.plan.display().to_string())?;
    let plan = match lint(&document) {
        Ok(plan) => plan,
        Err(mistakes) => {
            for mistake in mistakes {
                println!("{}: {mistake}", simulate.plan.display());
            }
            return Ok(Outcome::DidNotHold);
        }
    };
    let history = Arc::new(read(&config).await?);
    let program = ProgramId(simulate.program);
    let account = history.account_of(program).ok_or_else(|| anyhow!("there is no program {}", simulate.program))?;
    let asked = SimulationRequest { account, program, plan, from: simulate.from, to: simulate.to };
    let found = history.simulate(asked).await?;
    let answer = history.simulation_json(account, &found);
    if simulate.json {
        println!("{answer}");
        return Ok(Outcome::Held);
    }
    println!("{} persons, {} facts, {} to {}.", found.persons, found.facts, simulate.from, simulate.to);
    for (title, key) in [("In all", "totals"), ("By partner", "partners"), ("By whose facts", "customers")] {
        let rows = answer[key].as_array().cloned().unwrap_or_default();
        if !rows.is_empty() {
            println!("\n{title:<24} {:>14} {:>14} {:>14}", "posted", "simulated", "difference");
        }
        for row in rows {
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            let who = [text("partner"), text("customer")].concat();
            let (posted, simulated, difference) = (text("posted"), text("simulated"), text("difference"));
            println!("{:<24} {posted:>14} {simulated:>14} {difference:>14}", format!("{who} {}", text("unit")).trim());
        }
    }
    for (reason, count) in answer["held"].as_object().into_iter().flatten() {
        println!("\nThe draft would hold {} facts: {reason}", count.as_u64().unwrap_or_default());
    }
    Ok(Outcome::Held)
}
