//! A broker's CRM on loopback: keeps every postback exactly as it came, headers and bytes, and answers what it is told to.
//!
//! Leaves checking to the tests: it knows no signature.

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

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

/// A status to answer with, once it may.
struct Answer {
    status: StatusCode,
    allowed: Option<Arc<Notify>>,
}

pub struct Receiver {
    pub url: String,
    arrived: mpsc::Receiver<Postback>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}/hooks", listener.local_addr().expect("bound"));
        let (arrive, arrived) = mpsc::channel(WAITING_MAX);
        let answers: Arc<Mutex<VecDeque<Answer>>> = Arc::default();
        let told = Arc::clone(&answers);
        let take = async move |headers: HeaderMap, body: Bytes| {
            let answer = told.lock().expect("nobody panics here").pop_front();
            if arrive.try_send(Postback { headers, body }).is_err() {
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            let Some(Answer { status, allowed }) = answer else { return StatusCode::NO_CONTENT };
            if let Some(allowed) = allowed {
                allowed.notified().await;
            }
            status
        };
        let router = Router::new().route("/hooks", post(take));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, arrived, answers }
    }

    /// Answers the next request so, and later ones as before: 204.
    pub fn answers(&self, status: u16) {
        self.answer(status, None);
    }

    /// Answers the next request so, but not before it is told to.
    pub fn answers_later(&self, status: u16) -> Arc<Notify> {
        let allowed = Arc::new(Notify::new());
        self.answer(status, Some(Arc::clone(&allowed)));
        allowed
    }

    fn answer(&self, status: u16, allowed: Option<Arc<Notify>>) {
        let status = StatusCode::from_u16(status).expect("a status");
        self.answers.lock().expect("nobody panics here").push_back(Answer { status, allowed });
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
