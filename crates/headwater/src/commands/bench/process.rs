//! Processes that are measured: `headwater init` and `headwater serve`, this very binary, in a folder of their own.
//!
//! They get none of the caller's `HEADWATER_…` settings: a bench never touches a store that somebody uses.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// This binary again.
pub fn headwater() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this binary is not found")?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HEADWATER_")) {
        command.env_remove(name);
    }
    Ok(command)
}

/// Makes a store with an account, and gives its keys.
pub fn init(folder: &Path) -> Result<Value> {
    let arguments =
        ["init", "--account", "Bench", "--program", "Bench", "--site-url", "https://broker.example", "--json"];
    let mut command = headwater()?;
    let output = command.args(arguments).arg("--data").arg(folder.join("data")).current_dir(folder).output()?;
    ensure!(output.status.success(), "init: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).context("init printed no JSON")
}

/// A server, stopped when it is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: String,
}

impl Server {
    /// Starts it and waits until it listens. Our load comes through a proxy, and our receiver is on loopback.
    pub fn start(folder: &Path) -> Result<Self> {
        let mut command = headwater()?;
        command.args(["serve", "--listen", "127.0.0.1:0", "--trusted-proxies", "127.0.0.0/8"]);
        command.args(["--egress-allow", "127.0.0.0/8", "--log", "error", "--data"]).arg(folder.join("data"));
        let mut child = command.current_dir(folder).stdout(Stdio::piped()).spawn().context("serve does not start")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("serve has no output")?).read_line(&mut line)?;
        let Some(address) = line.trim().strip_prefix("Listening on http://") else {
            let _ = child.kill();
            bail!("serve does not listen: {line:?}");
        };
        Ok(Self { address: address.to_owned(), child })
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&mut self) -> Result<()> {
        terminate(&mut self.child).and_then(|ended| {
            ensure!(ended, "the server did not end well");
            Ok(())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already where all went well.
        let _ = terminate(&mut self.child);
    }
}

/// Asks a process to end as an operator does, and waits; gives whether it ended well.
pub fn terminate(child: &mut Child) -> Result<bool> {
    if let Some(status) = child.try_wait()? {
        return Ok(status.success());
    }
    // The standard library can only kill, which leaves no time to finish.
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().context("kill(1) is needed")?;
    Ok(child.wait()?.success())
}
