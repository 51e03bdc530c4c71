//! The demonstration's stand-in for a broker's CRM: takes postbacks and checks their signature, as any receiver would.

use anyhow::{Context as _, Result, anyhow};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use headwater_domain::postback::signature::{self, Secret, Signers};
use headwater_web::listener::{Limits, serve};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// The history sends many before anybody reads; what is beyond is answered 503 and comes again.
const WAITING_MAX: usize = 1024;
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Receiver {
    pub url: String,
    arrived: mpsc::Receiver<(HeaderMap, Bytes)>,
}

impl Receiver {
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("the receiver cannot listen")?;
        let url = format!("http://{}/postbacks", listener.local_addr()?);
        let (arrive, arrived) = mpsc::channel(WAITING_MAX);
        let take = async move |headers: HeaderMap, body: Bytes| match arrive.try_send((headers, body)) {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let router = Router::new().route("/postbacks", post(take));
        tokio::spawn(serve(listener, router, Limits::default(), std::future::pending::<()>()));
        Ok(Self { url, arrived })
    }

    /// Waits for the postback of this event, and checks its signature with the endpoint's secret.
    pub async fn verified(&mut self, event_id: &str, whsec: &str) -> Result<Value> {
        let wait = async {
            while let Some((headers, body)) = self.arrived.recv().await {
                let message: Value = serde_json::from_slice(&body).context("the postback is no JSON")?;
                if message["event_id"].as_str() == Some(event_id) {
                    verify(&headers, &body, whsec)?;
                    return Ok(message);
                }
            }
            Err(anyhow!("the receiver stopped"))
        };
        tokio::time::timeout(PATIENCE, wait).await.map_err(|_| anyhow!("no postback of event {event_id} came"))?
    }
}

/// Signs the received bytes with the shared secret, and compares.
fn verify(headers: &HeaderMap, body: &[u8], whsec: &str) -> Result<()> {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).with_context(|| format!("no {name}"));
    let key = BASE64.decode(whsec.strip_prefix("whsec_").context("no whsec_ secret")?)?;
    let at = header("webhook-timestamp")?.parse()?;
    let expected = signature::headers(Signers::one(&Secret::from_bytes(&key)?), header("webhook-id")?, at, body);
    for (name, value) in expected {
        if header(name)? != value {
            return Err(anyhow!("the signature {name} is wrong"));
        }
    }
    Ok(())
}
