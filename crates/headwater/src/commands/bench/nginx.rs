//! The reference of `click`: nginx, which answers `return 302` and writes its usual access log.
//!
//! It runs from a configuration of its own in a temporary folder. Where nginx is not installed there is no reference.

use super::process::terminate;
use anyhow::{Context as _, Result, bail};
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(5);

/// A running nginx, stopped when it is dropped.
#[derive(Debug)]
pub struct Nginx {
    child: Child,
    /// Where it listens.
    pub address: String,
    log: PathBuf,
}

impl Nginx {
    /// Starts it in this folder; `None` where it is not installed.
    pub async fn start(folder: &Path) -> Result<Option<Self>> {
        std::fs::create_dir_all(folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let configuration = folder.join("nginx.conf");
        std::fs::write(&configuration, text(folder, &address))?;
        let mut command = Command::new("nginx");
        command.arg("-e").arg(folder.join("error.log")).arg("-c").arg(&configuration).arg("-p").arg(folder);
        let child = match command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).context("nginx does not start"),
        };
        let mut nginx = Self { child, address, log: folder.join("access.log") };
        nginx.listens().await?;
        Ok(Some(nginx))
    }

    async fn listens(&mut self) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect(&self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("nginx ended, {status}");
            }
            if started.elapsed() > PATIENCE {
                bail!("nginx does not listen on {}", self.address);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What its access log has grown to.
    pub fn log_bytes(&self) -> Option<u64> {
        std::fs::metadata(&self.log).ok().map(|log| log.len())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked, not killed: its workers end with it.
        let _ = terminate(&mut self.child);
    }
}

fn text(folder: &Path, address: &str) -> String {
    let folder = folder.display();
    let names = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary = names.map(|name| format!("  {name}_temp_path \"{folder}/{name}\";\n")).concat();
    format!(
        "daemon off;\nworker_processes auto;\nworker_rlimit_nofile 16384;\npid \"{folder}/nginx.pid\";\n\
         events {{ worker_connections 8192; }}\n\
         http {{\n{temporary}  access_log \"{folder}/access.log\" combined;\n  keepalive_requests 1000000000;\n  \
         server {{\n    listen {address};\n    \
         location / {{ return 302 https://broker.example/en/open-account?clickId=0123456789abcdef; }}\n  }}\n}}\n"
    )
}
