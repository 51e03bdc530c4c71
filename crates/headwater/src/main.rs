//! The binary: reads the command line, runs one command, and turns what came of it into an exit code.
//!
//! 0: done; 1: it did not hold (a failed case, a refused plan, a store that cannot be opened); 2: used wrongly. Answers
//! go to standard output, logs and errors to standard error. What a command does is in `commands/`.

mod commands;

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
    /// Check plans and run case files, without a server.
    #[command(subcommand)]
    Plan(commands::plan::Plan),
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().command {
        Command::Plan(plan) => commands::plan::run(&plan),
    };
    match outcome {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::DidNotHold) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("headwater: {error:#}");
            ExitCode::FAILURE
        }
    }
}
