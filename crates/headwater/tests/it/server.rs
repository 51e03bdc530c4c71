//! Starts, stops and kills the real binary on a fresh store and a free port.

use headwater_testkit::database::new_postgres_database;
use serde_json::Value;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

/// Which store a server runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// The binary with nothing of the test's own environment that would configure it.
pub fn headwater(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headwater"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEADWATER_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// A store with one account, and its running server.
pub struct Server {
    /// Where it listens, without a slash at the end.
    pub url: String,
    /// What `init --json` printed.
    pub keys: Value,
    pub folder: TempDir,
    database_url: Option<String>,
    child: Child,
}

impl Server {
    pub async fn start(engine: Engine) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database_url = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => Some(new_postgres_database().await),
        };
        let init = ["init", "--json", "--account", "A", "--program", "P", "--site-url", "https://broker.example"];
        let made = on_store(&init, &folder, database_url.as_deref()).output().expect("it runs");
        assert!(made.status.success(), "{}", text(&made));
        let keys = serde_json::from_slice(&made.stdout).expect("one JSON object");
        let (child, url) = serve(&folder, database_url.as_deref());
        Self { url, keys, folder, database_url, child }
    }

    /// A command on the store of this server.
    pub fn command(&self, arguments: &[&str]) -> Command {
        on_store(arguments, &self.folder, self.database_url.as_deref())
    }

    /// The end without a warning: SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Starts again on the same store, on another port.
    pub fn start_again(&mut self) {
        (self.child, self.url) = serve(&self.folder, self.database_url.as_deref());
    }

    /// Another node on the same PostgreSQL, in a folder of its own.
    pub fn second_node(&self) -> Node {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let key = std::fs::read_to_string(self.folder.path().join("data/master.key")).expect("the master key");
        let url = self.database_url.as_deref().expect("two nodes share a PostgreSQL");
        let mut command = on_store(&["serve", "--listen", "127.0.0.1:0"], &folder, Some(url));
        let (child, url) = listening(command.env("HEADWATER_MASTER_KEY", key.trim()));
        Node { url, child, _folder: folder }
    }

    /// Asks it to stop, as a supervisor does; gives its exit code.
    pub fn stop(&mut self) -> Option<i32> {
        let asked = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill is there");
        assert!(asked.success());
        self.child.wait().expect("it ends").code()
    }

    /// A secret key's request.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        headwater_outbound::egress::install_crypto();
        let policy = reqwest::redirect::Policy::none();
        let client = reqwest::Client::builder().redirect(policy).no_proxy().build().expect("a client");
        let key = self.keys["secret_key"].as_str().expect("a key");
        client.request(method, format!("{}{path}", self.url)).header("x-api-key", key)
    }

    /// The status and the body of a GET.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let answer = self.request(reqwest::Method::GET, path).send().await.expect("it answers");
        (answer.status().as_u16(), answer.text().await.expect("a body"))
    }
}

/// A server beside the first.
pub struct Node {
    /// Where it listens.
    pub url: String,
    child: Child,
    _folder: TempDir,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn on_store(arguments: &[&str], folder: &TempDir, database_url: Option<&str>) -> Command {
    let mut command = headwater(arguments);
    command.env("HEADWATER_DATA", folder.path().join("data")).env("HEADWATER_EGRESS_ALLOW", "127.0.0.0/8");
    if let Some(url) = database_url {
        command.env("HEADWATER_DATABASE_URL", url);
    }
    command
}

fn serve(folder: &TempDir, database_url: Option<&str>) -> (Child, String) {
    listening(&mut on_store(&["serve", "--listen", "127.0.0.1:0"], folder, database_url))
}

fn listening(command: &mut Command) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("a line");
    let url = line.trim().strip_prefix("Listening on ").expect("the listening address").to_owned();
    (child, url)
}

/// Everything that a command printed.
pub fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
