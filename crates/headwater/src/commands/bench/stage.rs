//! The stage: a fresh store in a temporary folder, a server on it, and over HTTP one program, one partner and one link.
//!
//! It also asks, over HTTP and after a restart, what became of the load: what is read there is what a user would read.

use super::Settings;
use super::process::{Place, Server, init};
use super::settling::plan;
use crate::commands::demo::client::Client;
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::net::TcpListener;

/// What a first deposit is worth to the partner, in USD.
pub const COMMISSION: u64 = 400;
pub const PARTNER: &str = "bench";
/// Where visitors are sent.
pub const SITE_URL: &str = "https://broker.example";
/// Keys that one key makes, well within its rate.
const KEYS_PER_KEY: usize = 400;

/// A server with something to click on. Fields are dropped in their order: the server ends before its folder goes.
#[derive(Debug)]
pub struct Stage {
    pub server: Server,
    pub link_url: String,
    link_id: String,
    secret_key: String,
    /// Everything that `init` printed.
    made: Value,
    place: Place,
    folder: TempDir,
}

impl Stage {
    /// Everything but load.
    pub async fn set_up(settings: &Settings) -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("headwater-bench-").tempdir_in(&settings.folder)?;
        let place = Place::make(settings.database_url.as_deref(), folder.path()).await?;
        let made = init(&place)?;
        let name = |key: &str| made[key].as_str().map(str::to_owned).with_context(|| format!("init gave no {key}"));
        let (secret_key, program) = (name("secret_key")?, name("program_id")?);
        let server = Server::start(&place)?;
        let client = Client::new(&format!("http://{}", server.address), &secret_key)?;
        let saved = client.post("/api/v1/plans", &plan()).await?;
        let activate = json!({ "version": saved["version"], "from": "2020-01-01T00:00:00Z" });
        client.post("/api/v1/plans/standard/activate", &activate).await?;
        client.patch(&format!("/api/v1/programs/{program}"), &json!({ "plan": "standard" })).await?;
        let partner = json!({ "id": PARTNER, "name": "Bench", "email": "bench@partner.example" });
        client.post("/api/v1/partners", &partner).await?;
        let link = json!({ "partner_id": PARTNER, "landing_page": "/en/open-account", "utm": { "source": "bench" } });
        let link = client.post("/api/referral/links", &link).await?;
        let text = |key: &str| link[key].as_str().map(str::to_owned).with_context(|| format!("a link without {key}"));
        Ok(Self { server, link_url: text("url")?, link_id: text("id")?, secret_key, made, place, folder })
    }

    /// From now on this plan pays; it has another name than the one of the set-up.
    pub async fn use_plan(&self, plan: &Value) -> Result<()> {
        let client = self.client()?;
        let name = plan["name"].as_str().context("a plan without a name")?;
        let saved = client.post("/api/v1/plans", plan).await?;
        let activate = json!({ "version": saved["version"], "from": "2020-01-01T00:00:00Z" });
        client.post(&format!("/api/v1/plans/{name}/activate"), &activate).await?;
        client.patch(&format!("/api/v1/programs/{}", self.key("program_id")?), &json!({ "plan": name })).await?;
        Ok(())
    }

    /// One of the things that `init` printed.
    pub fn key(&self, name: &str) -> Result<&str> {
        self.made[name].as_str().with_context(|| format!("init gave no {name}"))
    }

    /// An access token of the forex API.
    pub async fn access_token(&self) -> Result<String> {
        let asked = json!({
            "grant_type": "client_credentials", "client_id": self.key("oauth_client_id")?,
            "client_secret": self.key("oauth_client_secret")?,
        });
        let token = self.client()?.post("/oauth/token", &asked).await?;
        Ok(token["access_token"].as_str().context("no access token")?.to_owned())
    }

    /// Pushes records to the forex API.
    pub async fn push(&self, token: &str, what: &str, records: &Value) -> Result<()> {
        self.client()?.post_with_token(token, &format!("/api/v1/forex/{what}"), records).await?;
        Ok(())
    }

    /// Stops the server and opens its store.
    pub async fn open_store(&mut self) -> Result<headwater_store::Store> {
        self.server.stop()?;
        Ok(headwater_store::Store::open(&self.place.to_store(), |error| eprintln!("headwater: {error}")).await?)
    }

    /// Starts the server again.
    pub fn start(&mut self) -> Result<()> {
        self.server = Server::start(&self.place)?;
        Ok(())
    }

    /// A path in the temporary folder.
    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn client(&self) -> Result<Client> {
        Client::new(&format!("http://{}", self.server.address), &self.secret_key)
    }

    /// Stops the server, and starts it on the same store.
    pub fn restart(&mut self) -> Result<()> {
        self.server.stop()?;
        self.start()
    }

    /// So many more secret keys: each has a rate of its own.
    pub async fn keys(&self, wanted: u64) -> Result<Vec<String>> {
        let url = format!("http://{}", self.server.address);
        let mut keys = vec![self.secret_key.clone()];
        for number in 0..usize::try_from(wanted)? {
            // The first makes the first few hundred, one of those the next.
            let client = Client::new(&url, &keys[number / KEYS_PER_KEY])?;
            let made = client.post("/api/v1/keys", &json!({ "kind": "secret" })).await?;
            keys.push(made["key"].as_str().context("a key without text")?.to_owned());
        }
        // Those that made others have used up a part of their rate.
        Ok(keys.split_off(1 + keys.len() / KEYS_PER_KEY))
    }

    /// Click tokens of visitors.
    pub async fn clicks(&self, wanted: usize) -> Result<Vec<String>> {
        let client = self.client()?;
        let mut tokens = Vec::new();
        for _ in 0..wanted {
            tokens.push(client.visit(&self.link_url).await?.1);
        }
        Ok(tokens)
    }

    /// Subscribes a receiver to first deposits that takes connections and never answers: every event gets its row in
    /// the outbox, and delivering them, which is another measurement, costs next to nothing.
    pub async fn subscribe(&self) -> Result<TcpListener> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/postbacks", listener.local_addr()?);
        let endpoint = json!({ "url": url, "enabled_events": ["FIRST_DEPOSIT"] });
        self.client()?.post("/api/postback_endpoints", &endpoint).await?;
        Ok(listener)
    }

    /// The link's counters, as its owner reads them.
    pub async fn link_counters(&self) -> Result<Value> {
        let link = self.client()?.get(&format!("/api/referral/links/{}", self.link_id)).await?;
        Ok(link["stats"].clone())
    }

    /// What the ledger owes partners, in whole USD. There is one; the ledger knows it by its number.
    pub async fn owed_to_partners(&self) -> Result<u64> {
        let balances = self.client()?.get("/api/v1/ledger/balances").await?;
        let mut owed = 0;
        for balance in balances.as_array().context("balances are no list")? {
            if balance["account"]["owner"].as_str().is_some_and(|owner| owner.starts_with("partner:")) {
                let text = balance["balance"].as_str().context("a balance without amount")?;
                let whole = text.trim_start_matches('-').split('.').next().unwrap_or_default();
                owed += whole.parse::<u64>().with_context(|| format!("the balance {text}"))?;
            }
        }
        Ok(owed)
    }

    /// Another empty store of the same kind, for a reference; a database of its own goes with it.
    pub async fn other_place(&self, settings: &Settings) -> Result<Place> {
        Place::make(settings.database_url.as_deref(), &self.path("reference")?).await
    }

    /// Stops the server, and removes what is not in the temporary folder.
    pub async fn clear(mut self) -> Result<()> {
        self.server.stop()?;
        self.place.clear().await
    }
}
