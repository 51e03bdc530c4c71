//! The one place that opens outbound connections (`postbacks.md` §8).
//!
//! Per attempt: the URL is checked, its name resolved once, every address judged, and the connection goes to a judged
//! address with the name in `Host` and SNI. No redirect, no ambient proxy, no cookies, no decompression; the
//! certificate is verified; one deadline covers resolving, connecting, headers and body; at most 16 KB are read.
//!
//! Two clients, because a resolver sees a name but not its URL: one for ordinary URLs, and one for URLs that only an
//! allow list can permit (plain HTTP, odd ports), whose every address must lie inside that list. Their pools are
//! parted, so a connection is only reused under the rule that it was opened under.
//!
//! Leaves to others: which addresses are public (`headwater_domain::postback::target`), retries, signatures.

use headwater_domain::postback::target::{self, Cidr, Forbidden, Reach, TargetError};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error as StdError;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How much of an answer is read.
const RESPONSE_BYTES_MAX: usize = 16 * 1024;
/// How much of an answer is kept for the log.
const RESPONSE_CHARS_KEPT: usize = 1000;
/// Idle connections are kept for the next message to the same receiver, but not for long: names move.
const IDLE_SECONDS: u64 = 30;
const IDLE_PER_HOST_MAX: usize = 2;

/// What goes out.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where to; checked again before connecting.
    pub url: String,
    /// Headers beside `Content-Type: application/json`, `User-Agent` and `Host`.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// For all of the attempt, where it is not that of [`Settings`].
    pub deadline: Option<Duration>,
}

/// What one attempt came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptResult {
    /// The status, where headers arrived.
    pub status: Option<u16>,
    /// From the start to the end of what was read.
    pub duration_ms: u64,
    /// The first 1000 characters of the answer.
    pub response: String,
    /// Why there is no complete answer; then the attempt failed whatever the status was.
    pub error: Option<String>,
    /// `Retry-After` in seconds, not yet bounded.
    pub retry_after_seconds: Option<i64>,
}

impl AttemptResult {
    /// The status of a complete answer: what success is judged by.
    pub fn answered(&self) -> Option<u16> {
        if self.error.is_some() { None } else { self.status }
    }
}

/// Looks up the addresses of a name. The operating system's, except in tests.
pub type Lookup = Arc<dyn Fn(String) -> Looking + Send + Sync>;

/// A lookup under way.
pub type Looking = Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>>;

/// What an [`Egress`] is made of.
#[derive(Clone)]
pub struct Settings {
    /// Ranges that may be reached although they are not public (`HEADWATER_EGRESS_ALLOW`).
    pub allow: Vec<Cidr>,
    /// For all of an attempt; 10 s in production (`postbacks.md` §6).
    pub deadline: Duration,
    /// How names are looked up.
    pub lookup: Lookup,
}

impl Settings {
    /// Ten seconds and the operating system's resolver.
    pub fn new(allow: Vec<Cidr>) -> Self {
        Self { allow, deadline: Duration::from_secs(10), lookup: system_lookup() }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("allow", &self.allow).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

/// The operating system's resolver.
pub fn system_lookup() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.map(|a| a.ip()).collect()) })
    })
}

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client could not be set up: {0}")]
pub struct SetupError(#[from] reqwest::Error);

/// Makes *ring* the process's provider of cryptography. Called once at start; later calls change nothing.
pub fn install_crypto() {
    // An error means that a provider is there already, which is what we want.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The guard and its two clients.
#[derive(Debug, Clone)]
pub struct Egress {
    allow: Arc<[Cidr]>,
    deadline: Duration,
    public_or_allowed: reqwest::Client,
    allowed_only: reqwest::Client,
}

impl Egress {
    /// # Errors
    /// [`SetupError`] where TLS cannot be set up.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        install_crypto();
        let Settings { allow, deadline, lookup } = settings;
        let allow: Arc<[Cidr]> = allow.into();
        let client = |reach| client(&Guard { allow: Arc::clone(&allow), reach, lookup: Arc::clone(&lookup) });
        let (public_or_allowed, allowed_only) = (client(Reach::PublicOrAllowed)?, client(Reach::AllowedOnly)?);
        Ok(Self { allow, deadline, public_or_allowed, allowed_only })
    }

    /// The ranges that are open beside the public ones: what a URL is checked against when it is saved.
    pub fn allow(&self) -> &[Cidr] {
        &self.allow
    }

    /// Sends one message. Every failure is a result, not an error: the caller writes it down either way.
    pub async fn post(&self, outgoing: Outgoing) -> AttemptResult {
        let started = Instant::now();
        let mut result = AttemptResult {
            status: None,
            duration_ms: 0,
            response: String::new(),
            error: None,
            retry_after_seconds: None,
        };
        let deadline = outgoing.deadline.unwrap_or(self.deadline);
        let attempt = self.attempt(outgoing, &mut result);
        let error = match tokio::time::timeout(deadline, attempt).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(_) => Some(format!("no complete answer within {} s", deadline.as_secs_f32())),
        };
        result.error = error;
        result.duration_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        result
    }

    async fn attempt(&self, outgoing: Outgoing, result: &mut AttemptResult) -> Result<(), Failure> {
        // Literal addresses never reach the resolver: this check is theirs.
        let url = target::check_url(&outgoing.url, &self.allow)?;
        let client = match target::reach(&url) {
            Reach::PublicOrAllowed => &self.public_or_allowed,
            Reach::AllowedOnly => &self.allowed_only,
        };
        let mut request = client.post(url).header(http::header::CONTENT_TYPE, "application/json");
        for (name, value) in outgoing.headers {
            request = request.header(name, value);
        }
        let mut response = request.body(outgoing.body).send().await.map_err(Failure::from_reqwest)?;
        result.status = Some(response.status().as_u16());
        result.retry_after_seconds = retry_after_seconds(response.headers());
        let mut bytes: Vec<u8> = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    let (before, room) = (bytes.len(), RESPONSE_BYTES_MAX - bytes.len());
                    bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
                    // What was read is kept even where the deadline cuts the rest.
                    if before < RESPONSE_CHARS_KEPT * 4 {
                        result.response = kept(&bytes);
                    }
                    if bytes.len() == RESPONSE_BYTES_MAX {
                        return Ok(());
                    }
                }
                Ok(None) => return Ok(()),
                Err(error) => return Err(Failure::from_reqwest(error)),
            }
        }
    }
}

fn client(guard: &Guard) -> Result<reqwest::Client, SetupError> {
    let builder = || {
        reqwest::Client::builder()
            .user_agent(concat!("Headwater/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .pool_idle_timeout(Duration::from_secs(IDLE_SECONDS))
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .dns_resolver(guard.clone())
    };
    match builder().build() {
        Ok(client) => Ok(client),
        // A machine without root certificates can still serve and reach plain HTTP inside its allowed ranges; every
        // HTTPS receiver fails verification, visibly, in its delivery log.
        Err(error) => {
            tracing::warn!(error = %chain(&error), "no root certificates: HTTPS receivers cannot be verified");
            Ok(builder().tls_certs_only([]).build()?)
        }
    }
}

/// The resolver that judges what it resolves.
#[derive(Clone)]
struct Guard {
    allow: Arc<[Cidr]>,
    reach: Reach,
    lookup: Lookup,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let Self { allow, reach, lookup } = self.clone();
        let looking = lookup(name.as_str().to_owned());
        Box::pin(async move {
            let addresses = looking.await?;
            let vetted = vet(&addresses, reach, &allow)?;
            let addresses: Addrs = Box::new(vetted.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}

/// All addresses of a name, or a refusal where a single one is forbidden: a mixed answer is an attack.
fn vet(addresses: &[IpAddr], reach: Reach, allow: &[Cidr]) -> Result<Vec<IpAddr>, Refusal> {
    for address in addresses {
        match reach {
            Reach::PublicOrAllowed => target::judge(*address, allow).map_err(Refusal::Forbidden)?,
            Reach::AllowedOnly if target::is_allowed(*address, allow) => {}
            Reach::AllowedOnly => return Err(Refusal::OutsideAllowed),
        }
    }
    if addresses.is_empty() { Err(Refusal::NoAddress) } else { Ok(addresses.to_vec()) }
}

/// Why the addresses of a name are not connected to. The address itself is not named: the text is shown to the owner
/// of the endpoint, who is not to learn the inside of our network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("refused: the name leads to an address that is not public ({0})")]
    Forbidden(Forbidden),
    #[error("refused: plain HTTP and other ports are for allowed ranges only")]
    OutsideAllowed,
    #[error("the name has no address")]
    NoAddress,
}

/// Why there is no complete answer.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("refused: the URL {0}")]
    Target(#[from] TargetError),
    #[error("{0}")]
    Refused(Refusal),
    #[error("{0}")]
    Network(String),
}

impl Failure {
    fn from_reqwest(error: reqwest::Error) -> Self {
        let mut source: Option<&(dyn StdError + 'static)> = Some(&error);
        while let Some(cause) = source {
            if let Some(refusal) = cause.downcast_ref::<Refusal>() {
                return Self::Refused(*refusal);
            }
            source = cause.source();
        }
        // The URL may hold a token of the receiver; the log does not need it twice.
        Self::Network(chain(&error.without_url()))
    }
}

/// An error and its causes, in one line.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let next = cause.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = cause.source();
    }
    text
}

/// Seconds, or a date: then counted from the answer's own `Date`, so that no two clocks need to agree.
fn retry_after_seconds(headers: &http::HeaderMap) -> Option<i64> {
    let text = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(text.parse().unwrap_or(i64::MAX));
    }
    let seconds = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|date| date.timestamp().as_second());
    let sent = headers.get(http::header::DATE)?.to_str().ok()?;
    Some(seconds(text)?.saturating_sub(seconds(sent)?).max(0))
}

/// The first characters of an answer, as text that every store takes: no NUL.
fn kept(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(RESPONSE_CHARS_KEPT).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
#[path = "egress_tests.rs"]
mod tests;
