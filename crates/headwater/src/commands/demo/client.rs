//! The demonstration's user: asks its own server over HTTP, with a key, like anybody else.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

pub struct Client {
    http: reqwest::Client,
    url: String,
    key: String,
}

impl Client {
    pub fn new(url: &str, key: &str) -> Result<Self> {
        // Fails only where a provider is there already: any will do for plain HTTP.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { http, url: url.to_owned(), key: key.to_owned() })
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(path, self.http.post(format!("{}{path}", self.url)).body(body.to_string())).await
    }

    pub async fn patch(&self, path: &str, body: &Value) -> Result<Value> {
        self.send(path, self.http.patch(format!("{}{path}", self.url)).body(body.to_string())).await
    }

    pub async fn get(&self, path: &str) -> Result<Value> {
        self.send(path, self.http.get(format!("{}{path}", self.url))).await
    }

    /// Posts with an access token instead of the key.
    pub async fn post_with_token(&self, token: &str, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("{}{path}", self.url)).body(body.to_string());
        self.send(path, request.header("authorization", format!("Bearer {token}"))).await
    }

    async fn send(&self, path: &str, request: reqwest::RequestBuilder) -> Result<Value> {
        let request = request.header("x-api-key", &self.key).header("content-type", "application/json");
        let answer = request.send().await.with_context(|| format!("{path} does not answer"))?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{path} answered {status}: {}", text.trim());
        }
        serde_json::from_str(&text).with_context(|| format!("{path} answered no JSON"))
    }

    /// A visitor follows a link: where to, and with which click.
    pub async fn visit(&self, link_url: &str) -> Result<(String, String)> {
        let answer = self
            .http
            .get(link_url)
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
            .send()
            .await?;
        let location = answer.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let location = location.with_context(|| format!("{} instead of a redirect", answer.status()))?;
        let landing = url::Url::parse(&location)?;
        let click = landing.query_pairs().find(|(name, _)| name == "clickId").map(|(_, value)| value.into_owned());
        Ok((location, click.context("the landing address has no clickId")?))
    }
}
