//! `headwater demo`: a program with partners and history in a temporary folder, and one visitor walked through it.
//!
//! It starts the same server as `serve` and talks to it over HTTP alone, so what it shows is what a user gets.

pub(super) mod client;
mod receiver;

use super::{Outcome, init};
use crate::config::{Config, ServerFlags, StoreFlags};
use crate::server::{Server, asked_to_stop};
use crate::{logging, master_key};
use anyhow::{Context as _, Result};
use client::Client;
use headwater_domain::postback::Cidr;
use headwater_domain::time::Instant;
use headwater_store::Place;
use receiver::Receiver;
use serde_json::{Value, json};

/// Partner and the country of its audience.
const PARTNERS: [(&str, &str); 4] = [
    ("alpha", "Alpha Media"),
    ("bravo", "Bravo Trading School"),
    ("cedar", "Cedar Signals"),
    ("delta", "Delta Reviews"),
];
/// How far the history goes back; events older than 90 days are refused.
const HISTORY_DAYS: i64 = 28;
const DAY_SECONDS: i64 = 86_400;

#[derive(Debug, clap::Args)]
pub struct Demo {
    #[command(flatten)]
    store: StoreFlags,
    /// Where to listen [default: a free port of 127.0.0.1 with --once, otherwise 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Exit after the walk: 0 where all of it worked
    #[arg(long)]
    once: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What was done so far, told as it happens.
struct Story {
    steps: Vec<Value>,
    prints: bool,
}

impl Story {
    fn tell(&mut self, name: &str, detail: &str) {
        self.add(name, true, detail);
    }

    fn add(&mut self, name: &str, ok: bool, detail: &str) {
        if self.prints {
            println!("{} {name:<12} {detail}", if ok { "ok    " } else { "FAILED" });
        }
        self.steps.push(json!({ "name": name, "ok": ok, "detail": detail }));
    }
}

pub async fn run(demo: &Demo) -> Result<Outcome> {
    let folder = tempfile::tempdir().context("no temporary folder")?;
    let default = if demo.once { "127.0.0.1:0" } else { "127.0.0.1:8080" };
    let mut config = Config::read(&demo.store, &ServerFlags::default())?;
    config.listen = demo.listen.clone().unwrap_or_else(|| default.to_owned());
    config.public_url = None;
    config.tls = None;
    config.data = folder.path().join("data");
    config.place = Place::Folder(config.data.clone());
    config.master_key_file = config.data.join("master.key");
    config.egress_allow = Cidr::parse_list("127.0.0.0/8").context("a range")?;
    logging::start(if demo.once { "warn" } else { &config.log })?;
    let server = Server::start(&config, master_key::read_or_make(&config)?).await?;
    let made = server.app.init_account("Demo Broker", "Demo Partners", "https://broker.example").await?;
    let mut answer = init::to_json(&made);
    let client = Client::new(&server.url, &made.secret_key)?;
    let mut story = Story { steps: Vec::new(), prints: !demo.json };
    let now = server.app.clock.now();
    let walked = walk(&client, &mut story, answer["program_id"].as_str().unwrap_or_default(), now).await;
    let link_url = match walked {
        Ok(link_url) => link_url,
        Err(error) => {
            story.add("stopped", false, &format!("{error:#}"));
            String::new()
        }
    };
    let ok = !link_url.is_empty();
    answer["link_url"] = link_url.into();
    if demo.json {
        answer["steps"] = story.steps.into();
        answer["ok"] = ok.into();
        println!("{answer}");
    } else {
        println!("\nServer    {0}\nReference {0}/docs\n", server.url);
        init::print_keys(&answer);
    }
    if !demo.once {
        asked_to_stop().await?;
    }
    server.stop().await?;
    Ok(Outcome::from(ok))
}

/// Sets the program up, fills it, and walks one visitor; gives the link that was followed.
async fn walk(client: &Client, story: &mut Story, program: &str, now: Instant) -> Result<String> {
    let mut receiver = Receiver::start().await?;
    set_up(client, program, now).await?;
    let links = links(client).await?;
    let events = history(client, &links, now).await?;
    story.tell("history", &format!("{} partners, {events} events over {HISTORY_DAYS} days", links.len()));
    let endpoint = json!({ "url": receiver.url, "enabled_events": ["FIRST_DEPOSIT"], "description": "the demo's CRM" });
    let endpoint = client.post("/api/postback_endpoints", &endpoint).await?;
    let secret = endpoint["signing_secret"].as_str().context("no signing_secret")?;
    story.tell("endpoint", &receiver.url);

    let link_url = links.first().context("no link")?;
    story.tell("link", link_url);
    let (location, click) = client.visit(link_url).await?;
    story.tell("click", &format!("redirected to {location}"));
    let email = "visitor@example.com";
    let registration = event("REGISTRATION", &click, &json!({ "email": email, "name": "Vera Visitor" }));
    let registered = client.post("/api/referral/events/track", &registration).await?;
    story.tell("registration", &format!("event {}, client {}", registered["id"], registered["clientId"]));
    let deposit = event("FIRST_DEPOSIT", &click, &json!({ "email": email, "amount": 500, "currency": "USD" }));
    let deposited = client.post("/api/referral/events/track", &deposit).await?;
    story.tell("deposit", &format!("event {}, conversion {}", deposited["id"], deposited["isConversion"]));
    let partner = deposited["partnerId"].as_str().context("the deposit is not attributed")?;
    let commissions = client.get(&format!("/api/v1/commissions?partner={partner}&limit=1")).await?;
    let commission = commissions["data"].get(0).context("no commission was posted")?;
    let (amount, unit) = (commission["amount"].as_str(), commission["unit"].as_str());
    let (amount, unit) = (amount.unwrap_or_default(), unit.unwrap_or_default());
    story.tell("commission", &format!("{amount} {unit} for {partner}, by the rule {}", commission["rule"]));
    let postback = receiver.verified(&deposited["id"].to_string(), secret).await?;
    story.tell("postback", &format!("{} received, its signature verified", postback["id"]));
    Ok(link_url.clone())
}

async fn set_up(client: &Client, program: &str, now: Instant) -> Result<()> {
    let plan = json!({
        "name": "standard", "currency": "USD", "qualification": { "min_first_deposit": "250" },
        "rules": [
            { "id": "cpa", "kind": "cpa", "amount": "400" },
            { "id": "lots", "kind": "per_lot", "rate": "6" }
        ]
    });
    let saved = client.post("/api/v1/plans", &plan).await?;
    let from = now.plus_seconds(-(HISTORY_DAYS + 30) * DAY_SECONDS).to_string();
    let activate = json!({ "version": saved["version"], "from": from });
    client.post("/api/v1/plans/standard/activate", &activate).await?;
    client.patch(&format!("/api/v1/programs/{program}"), &json!({ "plan": "standard" })).await?;
    for (id, name) in PARTNERS {
        let partner = json!({ "id": id, "name": name, "email": format!("{id}@partner.example") });
        client.post("/api/v1/partners", &partner).await?;
    }
    Ok(())
}

async fn links(client: &Client) -> Result<Vec<String>> {
    let mut urls = Vec::new();
    for (partner, _) in PARTNERS {
        let link = json!({ "partner_id": partner, "landing_page": "/en/open-account", "utm": { "source": partner } });
        let link = client.post("/api/referral/links", &link).await?;
        urls.push(link["url"].as_str().context("a link without url")?.to_owned());
    }
    Ok(urls)
}

/// Two clients a day, by each partner in turn; every second one deposits, not all of them enough.
async fn history(client: &Client, links: &[String], now: Instant) -> Result<usize> {
    let mut events = 0;
    for (index, day) in (0..HISTORY_DAYS * 2).map(|number| HISTORY_DAYS - number / 2).enumerate() {
        let (_, click) = client.visit(&links[index % links.len()]).await?;
        let email = format!("client{index}@example.com");
        let at = now.plus_seconds(-day * DAY_SECONDS);
        let mut registration = event("REGISTRATION", &click, &json!({ "email": email }));
        registration["timestamp"] = at.to_string().into();
        client.post("/api/referral/events/track", &registration).await?;
        events += 1;
        if index % 2 == 0 {
            let amount = 100 + 50 * (index % 9);
            let mut deposit =
                event("FIRST_DEPOSIT", &click, &json!({ "email": email, "amount": amount, "currency": "USD" }));
            deposit["timestamp"] = at.plus_seconds(3600).to_string().into();
            client.post("/api/referral/events/track", &deposit).await?;
            events += 1;
        }
    }
    Ok(events)
}

fn event(kind: &str, click: &str, data: &Value) -> Value {
    json!({ "event": kind, "clickId": click, "data": data })
}
