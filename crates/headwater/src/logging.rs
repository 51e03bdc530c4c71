//! Where logs go: standard error, for people on a terminal, as JSON otherwise. What is logged, others decide.
//!
//! Nobody's request fails because a log line could not be written: a full disk or a collector that went away loses
//! lines, nothing else.

use anyhow::{Context as _, Result};
use std::io::{IsTerminal as _, Write};
use tracing_subscriber::EnvFilter;

/// Starts logging, once for the process.
pub fn start(filter: &str) -> Result<()> {
    let filter =
        EnvFilter::builder().parse(filter).with_context(|| format!("HEADWATER_LOG `{filter}` is no filter"))?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(|| Lossy);
    if std::io::stderr().is_terminal() {
        logs.init();
    } else {
        logs.json().flatten_event(true).with_ansi(false).init();
    }
    Ok(())
}

/// Standard error, where what cannot be written is lost.
struct Lossy;

impl Write for Lossy {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let _ = std::io::stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
