//! The binary: reads the command line, runs one command, and turns what came of it into an exit code.
//!
//! 0: done; 1: it did not hold (a failed case, a refused plan, a store that cannot be opened); 2: used wrongly. Answers
//! go to standard output, logs and errors to standard error. What a command does is in `commands/`.

#[macro_use]
mod output;
mod commands;
mod config;
mod logging;
mod master_key;
mod server;

use clap::{Parser, Subcommand};
use commands::Outcome;
use std::process::ExitCode;

/// A self-hosted partner platform for brokers: from a click to a commission in the ledger and a signed postback.
#[derive(Debug, Parser)]
#[command(name = "headwater", version, propagate_version = true, arg_required_else_help = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show all of it in a temporary folder: one visitor from the click to a paid commission and a signed postback.
    Demo(commands::demo::Demo),
    /// Make a store and an account with its first program, and print its keys once.
    Init(commands::init::Init),
    /// Run the server.
    Serve(commands::serve::Serve),
    /// Bring the store to this version.
    Migrate(commands::migrate::Migrate),
    /// Measure this machine: ours beside a reference, in the same run.
    Bench(commands::bench::Bench),
    /// Check plans, compare them and run case files, without a server.
    #[command(subcommand)]
    Plan(commands::plan::Plan),
    /// Show what a draft plan would have paid, against what was posted.
    Simulate(commands::simulate::Simulate),
    /// Recompute everything from facts and configuration, and compare it with the books.
    Verify(commands::verify::Verify),
    /// Check an exported statement, without a server.
    #[command(subcommand)]
    Statement(commands::statement::Statement),
}

fn main() -> ExitCode {
    match run(CommandLine::parse().command) {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::DidNotHold) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("headwater: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<Outcome> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        match command {
            Command::Demo(demo) => commands::demo::run(&demo).await,
            Command::Init(init) => commands::init::run(&init).await,
            Command::Serve(serve) => commands::serve::run(&serve).await,
            Command::Migrate(migrate) => commands::migrate::run(&migrate).await,
            Command::Bench(bench) => commands::bench::run(&bench).await,
            Command::Plan(plan) => commands::plan::run(&plan),
            Command::Simulate(simulate) => commands::simulate::run(&simulate).await,
            Command::Verify(verify) => commands::verify::run(&verify).await,
            Command::Statement(statement) => commands::statement::run(&statement),
        }
    })
}
