//! The front door: accepts connections, bounds them, and hands their requests to the router.
//!
//! Stock `axum::serve` keeps a half-sent head open for ever (`reliability.md` P8), hence an accept loop of our own over
//! hyper's HTTP/1. Connections are capped in number, in total and by address; what a connection may send and how long
//! it may take is `guarded.rs` and `framing.rs`. Knows no route, no key and no dialect. HTTP/2 is left to proxies.
//!
//! A panic in a handler is one 500 and one count of `headwater_http_panics_total`, never the end of the process.

mod framing;
mod guarded;
#[cfg(test)]
mod tests;
pub mod tls;
mod unread;

pub use framing::HeadLimits;
pub use guarded::Deadlines;

use crate::client_address::TrustedProxies;
use axum::Router;
use axum::body::Body;
use guarded::{Exchange, Guarded};
use http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;

/// Who is at the other end of the connection: the client, or a proxy in front. In the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// What the front door allows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Caps on request heads.
    pub head: HeadLimits,
    /// How long things may take.
    pub deadlines: Deadlines,
    /// Open connections in all.
    pub connections_max: usize,
    /// Open connections of one address.
    pub connections_per_address_max: usize,
    /// Proxies carry many clients: the cap by address does not hold for them.
    pub trusted_proxies: TrustedProxies,
    /// How long requests may go on once shutdown began.
    pub shutdown: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: HeadLimits::default(),
            deadlines: Deadlines::default(),
            connections_max: 16_384,
            connections_per_address_max: 512,
            trusted_proxies: TrustedProxies::default(),
            shutdown: Duration::from_secs(30),
        }
    }
}

/// Serves HTTP until `shutdown` is ready, then stops accepting and lets requests in flight finish.
///
/// # Errors
/// None while serving: an error of `accept` is logged and waited out, because it is one connection's or passes.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: impl Future,
) -> std::io::Result<()> {
    accept_loop(listener, router, limits, None, shutdown).await
}

/// As [`serve`], over TLS.
pub async fn serve_tls(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    acceptor: TlsAcceptor,
    shutdown: impl Future,
) -> std::io::Result<()> {
    accept_loop(listener, router, limits, Some(acceptor), shutdown).await
}

/// `accept` fails like this when file descriptors run out; trying again at once would only burn the processor.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

async fn accept_loop(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    acceptor: Option<TlsAcceptor>,
    shutdown: impl Future,
) -> std::io::Result<()> {
    let limits = Arc::new(limits);
    let open = Arc::new(OpenConnections::default());
    let (closing, closed) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            _ = &mut shutdown => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let place = match open.enter(peer.ip().to_canonical(), &limits) {
            Ok(place) => place,
            Err(status) => {
                turn_away(&stream, status, acceptor.is_some());
                continue;
            }
        };
        let connection =
            Connection { peer, router: router.clone(), limits: Arc::clone(&limits), closing: closed.clone() };
        let acceptor = acceptor.clone();
        connections.spawn(async move {
            // Answers are small and complete: waiting to fill a packet only adds delay. Failing that, they are slower.
            let _ = stream.set_nodelay(true);
            match acceptor {
                None => connection.serve(stream).await,
                Some(acceptor) => {
                    let head = connection.limits.deadlines.head;
                    if let Ok(Ok(stream)) = tokio::time::timeout(head, acceptor.accept(stream)).await {
                        connection.serve(stream).await;
                    }
                }
            }
            drop(place);
        });
    }
    drop(listener);
    // Fails only when no connection is left to hear it.
    let _ = closing.send(true);
    let finish = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.shutdown, finish).await.is_err() {
        tracing::warn!(connections = connections.len(), "requests did not finish before the shutdown deadline");
        connections.shutdown().await;
    }
    Ok(())
}

/// Tells a client over the cap so, as far as the socket takes it at once; then the connection drops.
fn turn_away(stream: &TcpStream, status: StatusCode, is_tls: bool) {
    metrics::counter!("headwater_http_connections_refused_total", "status" => status.as_str().to_owned()).increment(1);
    if !is_tls {
        let answer = format!("HTTP/1.1 {status}\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
        let _ = stream.try_write(answer.as_bytes());
    }
}

/// How many connections are open, in all and by address.
#[derive(Debug, Default)]
struct OpenConnections(Mutex<HashMap<IpAddr, usize>>, std::sync::atomic::AtomicUsize);

/// One open connection's place in the count; given back on drop.
#[derive(Debug)]
struct Place {
    open: Arc<OpenConnections>,
    address: IpAddr,
}

impl OpenConnections {
    fn enter(self: &Arc<Self>, address: IpAddr, limits: &Limits) -> Result<Place, StatusCode> {
        let Self(by_address, total) = &**self;
        let mut by_address = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if total.load(std::sync::atomic::Ordering::Relaxed) >= limits.connections_max {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let count = by_address.get(&address).copied().unwrap_or(0);
        if count >= limits.connections_per_address_max && !limits.trusted_proxies.contains(address) {
            return Err(StatusCode::TOO_MANY_REQUESTS);
        }
        by_address.insert(address, count + 1);
        total.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Place { open: Arc::clone(self), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let OpenConnections(by_address, total) = &*self.open;
        let mut by_address = by_address.lock().unwrap_or_else(PoisonError::into_inner);
        total.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(count) = by_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                by_address.remove(&self.address);
            }
        }
    }
}

struct Connection {
    peer: SocketAddr,
    router: Router,
    limits: Arc<Limits>,
    closing: watch::Receiver<bool>,
}

impl Connection {
    async fn serve(self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let Self { peer, router, limits, mut closing } = self;
        let exchange = Arc::new(Exchange::default());
        let guarded = Guarded::new(stream, limits.head, limits.deadlines, Arc::clone(&exchange));
        let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            answer(request, router.clone(), Arc::clone(&exchange))
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .header_read_timeout(None)
            .max_headers(limits.head.headers_max)
            .serve_connection(TokioIo::new(guarded), service);
        let mut connection = pin!(connection);
        tokio::select! {
            // How a connection ended says nothing about us: requests are logged where they are answered.
            _ = connection.as_mut() => return,
            _ = closing.wait_for(|closing| *closing) => connection.as_mut().graceful_shutdown(),
        }
        let _ = connection.await;
    }
}

async fn answer(
    request: Request<Incoming>,
    router: Router,
    exchange: Arc<Exchange>,
) -> Result<Response<Body>, Infallible> {
    let mut response = if let Some(refusal) = exchange.start_call() {
        metrics::counter!("headwater_http_refused_heads_total").increment(1);
        plain(refusal.status())
    } else {
        let (request, rest) = unread::watched(request);
        let mut response = without_panic(router.oneshot(request)).await;
        if !rest.read().await {
            close(&mut response);
        }
        response
    };
    if exchange.finish_call() {
        close(&mut response);
    }
    Ok(response)
}

/// Says that no request can follow on this connection.
fn close(response: &mut Response<Body>) {
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}

async fn without_panic(respond: impl Future<Output = Result<Response<Body>, Infallible>>) -> Response<Body> {
    let mut respond = pin!(respond);
    let outcome = std::future::poll_fn(|context| {
        catch_unwind(AssertUnwindSafe(|| respond.as_mut().poll(context)))
            .map_or_else(|_| Poll::Ready(None), |poll| poll.map(|Ok(response)| Some(response)))
    });
    if let Some(response) = outcome.await {
        return response;
    }
    metrics::counter!("headwater_http_panics_total").increment(1);
    tracing::error!("a handler panicked");
    plain(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An answer of the door itself, closing the connection. It stands before any dialect, hence plain text.
fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{status}\n")));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    close(&mut response);
    response
}
