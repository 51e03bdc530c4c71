//! Where logs go: standard error, for people on a terminal, as JSON otherwise. What is logged, others decide.

use anyhow::{Context as _, Result};
use std::io::IsTerminal as _;
use tracing_subscriber::EnvFilter;

/// Starts logging, once for the process.
pub fn start(filter: &str) -> Result<()> {
    let filter =
        EnvFilter::builder().parse(filter).with_context(|| format!("HEADWATER_LOG `{filter}` is no filter"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).init();
    }
    Ok(())
}
