//! `headwater statement verify`: a partner's check of an exported statement, without a server, a store or a network.
//!
//! What holds is the domain's (`ledger::statement`); this file reads and prints.

use super::Outcome;
use anyhow::{Context as _, Result};
use headwater_domain::ledger::statement::verify;
use std::path::PathBuf;

#[derive(Debug, clap::Subcommand)]
pub enum Statement {
    /// Check that the entries of a partner's or a payout's statement follow one another, add up, and are signed; print the first line that is broken.
    Verify {
        /// The body of `GET /api/v1/ledger/statement` or `GET /api/v1/payouts/{id}/statement`, saved as it is.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The public key that the operator gave you, in hexadecimal. Without it the key in the file is only printed.
        #[arg(long, value_name = "HEX")]
        key: Option<String>,
    },
}

pub fn run(statement: &Statement) -> Result<Outcome> {
    let Statement::Verify { file, key } = statement;
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    match verify(&text, key.as_deref()) {
        Ok(verified) => {
            let (partner, accounts, entries) = (&verified.partner, verified.accounts, verified.entries);
            match &verified.payout {
                None => println!("The statement of {partner} holds: {accounts} accounts, {entries} entries."),
                Some(payout) => println!(
                    "The statement of payout {} to {partner} holds: {} commissions add up to {}, {entries} entries.",
                    payout.id, payout.commissions, payout.amount
                ),
            }
            println!("Signed with the key {}", verified.public_key);
            if key.is_none() {
                println!("Compare it with the key that the operator gave you, or pass that one with --key.");
            }
            Ok(Outcome::Held)
        }
        Err(broken) => {
            println!("{}: {broken}", file.display());
            Ok(Outcome::DidNotHold)
        }
    }
}
