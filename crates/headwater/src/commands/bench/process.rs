//! Processes that are measured: `headwater init` and `headwater serve`, this very binary, in a folder of their own.
//!
//! They get none of the caller's `HEADWATER_…` settings: a bench never touches a store that somebody uses.

use super::stage::SITE_URL;
use anyhow::{Context as _, Result, bail, ensure};
use headwater_store::scratch::Scratch;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// This binary again.
pub fn headwater() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("this binary is not found")?);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HEADWATER_")) {
        command.env_remove(name);
    }
    Ok(command)
}

/// Where a store of the bench is: a folder, and beside it a PostgreSQL database of its own where one was asked for.
#[derive(Debug)]
pub struct Place {
    folder: PathBuf,
    /// The database and the one beside which it was made.
    database: Option<(Scratch, String)>,
}

impl Place {
    /// An empty one. On PostgreSQL a new database is made on the server of this URL; the one it names is not touched.
    pub async fn make(database_url: Option<&str>, folder: &Path) -> Result<Self> {
        let database = match database_url {
            None => None,
            Some(url) => Some((Scratch::make(url).await.context("no database can be made")?, url.to_owned())),
        };
        Ok(Self { folder: folder.to_owned(), database })
    }

    /// The URL of its database.
    pub fn database_url(&self) -> Option<&str> {
        self.database.as_ref().map(|(scratch, _)| scratch.url.as_str())
    }

    /// Drops its database. The folder goes with its owner.
    pub async fn clear(self) -> Result<()> {
        if let Some((scratch, beside)) = self.database {
            scratch.remove(&beside).await.context("the bench's database cannot be dropped")?;
        }
        Ok(())
    }

    /// Where its store is.
    pub fn to_store(&self) -> headwater_store::Place {
        match self.database_url() {
            Some(url) => headwater_store::Place::Postgres(url.to_owned()),
            None => headwater_store::Place::Folder(self.folder.join("data")),
        }
    }

    /// A command on this store.
    fn command(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = headwater()?;
        command.args(arguments).arg("--data").arg(self.folder.join("data")).current_dir(&self.folder);
        if let Some(url) = self.database_url() {
            // A URL may hold a password, and others can read command lines.
            command.env("HEADWATER_DATABASE_URL", url);
        }
        Ok(command)
    }
}

/// Makes a store with an account, and gives its keys.
pub fn init(place: &Place) -> Result<Value> {
    let arguments = ["init", "--account", "Bench", "--program", "Bench", "--site-url", SITE_URL, "--json"];
    let output = place.command(&arguments)?.output()?;
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
    pub fn start(place: &Place) -> Result<Self> {
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0", "--trusted-proxies", "127.0.0.0/8"])?;
        command.args(["--egress-allow", "127.0.0.0/8", "--log", "error"]);
        let mut child = command.stdout(Stdio::piped()).spawn().context("serve does not start")?;
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
