//! `headwater init`: a store, and in it one more account with its first program, an administrator and its keys.
//!
//! The keys are printed once: afterwards nobody knows them.

use super::Outcome;
use crate::config::{Config, ServerFlags, StoreFlags};
use crate::{logging, master_key, server};
use anyhow::Result;
use headwater_app::tenant::{Initialised, check_account};
use serde_json::{Value, json};

#[derive(Debug, clap::Args)]
#[command(after_help = crate::config::AFTER_HELP)]
pub struct Init {
    #[command(flatten)]
    store: StoreFlags,
    /// The account's name
    #[arg(long)]
    account: String,
    /// The name of its first program
    #[arg(long)]
    program: String,
    /// The site of the program; the publishable key works from its origin
    #[arg(long, value_name = "URL")]
    site_url: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub async fn run(init: &Init) -> Result<Outcome> {
    let config = Config::read(&init.store, &ServerFlags::default())?;
    logging::start(&config.log)?;
    check_account(&init.account, &init.program, &init.site_url)?;
    let app = server::open(&config, master_key::read_or_make(&config)?).await?;
    let keys = to_json(&app.init_account(&init.account, &init.program, &init.site_url).await?);
    if init.json {
        println!("{keys}");
    } else {
        println!("The account is there. Keep these; they are not shown again.\n");
        print_keys(&keys);
        println!("\nThe master key is in {}.", config.master_key_file.display());
    }
    Ok(Outcome::Held)
}

/// The published names of a new account's numbers and keys.
pub fn to_json(made: &Initialised) -> Value {
    json!({
        "account_id": made.account_id.0.to_string(),
        "program_id": made.program_id.0.to_string(),
        "secret_key": made.secret_key,
        "publishable_key": made.publishable_key,
        "brand_token": made.brand_token,
        "oauth_client_id": made.oauth_client_id,
        "oauth_client_secret": made.oauth_client_secret,
        "rewards_key": made.rewards_key,
        "admin_email": made.admin_email,
        "admin_password": made.admin_password,
    })
}

/// One key a line.
pub fn print_keys(keys: &Value) {
    for (name, value) in keys.as_object().into_iter().flatten() {
        println!("{name:<20} {}", value.as_str().unwrap_or_default());
    }
}
