//! `headwater serve`: runs until it is asked to stop.

use super::Outcome;
use crate::config::{Config, ServerFlags, StoreFlags};
use crate::server::{Server, asked_to_stop};
use crate::{logging, master_key};
use anyhow::Result;

#[derive(Debug, clap::Args)]
#[command(after_help = crate::config::AFTER_HELP)]
pub struct Serve {
    #[command(flatten)]
    store: StoreFlags,
    #[command(flatten)]
    server: ServerFlags,
}

pub async fn run(serve: &Serve) -> Result<Outcome> {
    let config = Config::read(&serve.store, &serve.server)?;
    logging::start(&config.log)?;
    let server = Server::start(&config, master_key::read(&config)?).await?;
    println!("Listening on {}", server.url);
    tracing::info!(url = server.url, public_url = server.app.public_url(), "listening");
    asked_to_stop().await?;
    tracing::info!("stopping");
    server.stop().await?;
    Ok(Outcome::Held)
}
