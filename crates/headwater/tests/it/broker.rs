//! A broker at work on a running server: a plan that pays a first deposit, a partner, its link, and visitors.
//!
//! Leaves starting and killing to `server`. Every deposit of [`DEPOSIT`] by a new client earns exactly one commission.

use crate::server::{Engine, Server};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// Enough for the plan's qualification.
pub const DEPOSIT: u32 = 500;
const PARTNER: &str = "ib_2044";
const PAGE_ROWS: usize = 100;

/// A program with everything that an event needs to earn.
pub struct Broker {
    pub server: Server,
    /// The partner's link, on the server's first address.
    pub link: Value,
    http: Client,
}

impl Broker {
    pub async fn start(engine: Engine) -> Self {
        let server = Server::start(engine).await;
        headwater_outbound::egress::install_crypto();
        let policy = reqwest::redirect::Policy::none();
        let http = Client::builder().redirect(policy).no_proxy().build().expect("a client");
        let mut broker = Self { server, link: Value::Null, http };
        let plan = json!({
            "name": "standard", "currency": "USD", "qualification": { "min_first_deposit": "250" },
            "rules": [{ "id": "cpa", "kind": "cpa", "amount": "400" }]
        });
        let version = broker.done(Method::POST, "/api/v1/plans", &plan).await["version"].clone();
        let activate = json!({ "version": version, "from": "2020-01-01" });
        broker.done(Method::POST, "/api/v1/plans/standard/activate", &activate).await;
        let program = format!("/api/v1/programs/{}", broker.program());
        broker.done(Method::PATCH, &program, &json!({ "plan": "standard" })).await;
        let partner = json!({ "id": PARTNER, "name": "Alpha Media", "email": "alpha@partner.example" });
        broker.done(Method::POST, "/api/v1/partners", &partner).await;
        let link = json!({ "partner_id": PARTNER, "landing_page": "/en/open-account" });
        broker.link = broker.done(Method::POST, "/api/referral/links", &link).await;
        broker
    }

    /// The program that `init` made.
    pub fn program(&self) -> &str {
        self.key("program_id")
    }

    /// One of the things that `init` printed.
    pub fn key(&self, name: &str) -> &str {
        self.server.keys[name].as_str().expect("init printed it")
    }

    /// A request with any key, or none.
    pub fn request(&self, key: Option<&str>, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.server.url));
        match key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        }
    }

    /// A request that the account's secret key sends, and that must succeed.
    pub async fn done(&self, method: Method, path: &str, body: &Value) -> Value {
        let (status, text) =
            answer(self.request(Some(self.key("secret_key")), method, path).body(body.to_string())).await;
        assert!((200..300).contains(&status), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// A visitor follows the link: the token of the click.
    pub async fn visit(&self) -> String {
        let landing = self.landing().await;
        let click = landing.query_pairs().find(|(name, _)| name == "clickId");
        click.expect("the landing address has a clickId").1.into_owned()
    }

    /// A visitor follows the link: where it lands.
    pub async fn landing(&self) -> url::Url {
        let url = self.link["url"].as_str().expect("a link has a url");
        let browser = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0";
        let answer = self.http.get(url).header("user-agent", browser).send().await.expect("it redirects");
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).expect("a location");
        url::Url::parse(location).expect("an address")
    }

    /// Subscribes to every event; gives the endpoint with its secret.
    pub async fn endpoint(&self, url: &str) -> Value {
        let endpoint = json!({ "url": url, "enabled_events": ["*"] });
        self.done(Method::POST, "/api/postback_endpoints", &endpoint).await
    }

    /// All rows of a list, walked page by page.
    pub async fn rows(&self, path: &str) -> Vec<Value> {
        let mut rows = Vec::new();
        let mut after = String::new();
        loop {
            let page = format!("{path}?limit={PAGE_ROWS}{after}");
            let (status, text) = answer(self.request(Some(self.key("secret_key")), Method::GET, &page)).await;
            assert_eq!(status, 200, "{page}: {text}");
            let list: Value = serde_json::from_str(&text).expect("JSON");
            rows.extend_from_slice(list["data"].as_array().expect("a list has data"));
            if list["has_more"] != true {
                return rows;
            }
            after = format!("&starting_after={}", list["next_cursor"].to_string().trim_matches('"'));
        }
    }
}

/// A client's first deposit, large enough to earn.
pub fn deposit(click: &str, email: &str) -> Value {
    json!({
        "event": "FIRST_DEPOSIT", "clickId": click,
        "data": { "email": email, "amount": DEPOSIT, "currency": "USD" }
    })
}

/// Status and body.
pub async fn answer(request: RequestBuilder) -> (u16, String) {
    let answer = request.send().await.expect("it answers");
    (answer.status().as_u16(), answer.text().await.expect("a body"))
}
