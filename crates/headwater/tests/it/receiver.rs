//! A broker's CRM on loopback: keeps every postback exactly as it came, headers and bytes.
//!
//! Leaves checking to the tests: it knows no signature.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

/// More than any test sends; what is beyond is answered 503 and comes again.
const WAITING_MAX: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(15);

/// One request, as it came.
pub struct Postback {
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Postback {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_else(|| panic!("no header {name}"))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }
}

pub struct Receiver {
    pub url: String,
    arrived: mpsc::Receiver<Postback>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("bound"));
        let (arrive, arrived) = mpsc::channel(WAITING_MAX);
        let take = async move |headers: HeaderMap, body: Bytes| match arrive.try_send(Postback { headers, body }) {
            Ok(()) => StatusCode::NO_CONTENT,
            Err(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let router = Router::new().route("/hooks", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, arrived }
    }

    /// The next one, waited for.
    pub async fn next(&mut self) -> Postback {
        let next = tokio::time::timeout(PATIENCE, self.arrived.recv()).await;
        next.expect("a postback comes in time").expect("the receiver runs")
    }

    /// One that is already here.
    pub fn waiting(&mut self) -> Option<Postback> {
        self.arrived.try_recv().ok()
    }
}
