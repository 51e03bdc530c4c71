//! Claims about the front door, over real sockets: the hostile cases of `reliability.md` P9 and the slow ones of O1.

use super::*;
use axum::routing::{get, post};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

/// A running front door whose handlers count their calls.
struct Door {
    address: SocketAddr,
    smuggled: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn quick() -> Limits {
    let deadlines = Deadlines {
        head: Duration::from_millis(200),
        idle: Duration::from_millis(600),
        body: Duration::from_millis(200),
        body_bytes_per_second_min: 1_000_000,
        write: Duration::from_millis(300),
    };
    Limits { deadlines, ..Limits::default() }
}

async fn open(limits: Limits) -> Door {
    let smuggled = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&smuggled);
    let router = Router::new()
        .route("/", get(async |peer: axum::Extension<Peer>| peer.0.0.ip().to_string()))
        .route(
            "/read",
            post(async |body: Body| match axum::body::to_bytes(body, 1 << 20).await {
                Ok(bytes) => (StatusCode::OK, format!("read {}", bytes.len())),
                Err(_) => (StatusCode::BAD_REQUEST, "no body".to_owned()),
            }),
        )
        .route("/unread", post(async || "unread"))
        .route(
            "/slow",
            get(async || {
                tokio::time::sleep(Duration::from_millis(900)).await;
                "slow"
            }),
        )
        .route("/panic", get(async || if true { panic!("on purpose") } else { "" }))
        .route("/large", get(async || vec![b'x'; 64 << 20]))
        .route(
            "/smuggled",
            get(async move || {
                count.fetch_add(1, Ordering::SeqCst);
                "smuggled"
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(listener, router, limits, stopped));
    Door { address, smuggled, stop: Some(stop), served }
}

impl Door {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("accepted")
    }
    /// Sends these bytes and reads until the server closes; the writing side stays open.
    async fn exchange(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The server may already have refused a long input and stopped reading.
        let _ = stream.write_all(bytes).await;
        read_to_end(&mut stream).await
    }
}

async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(4), stream.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the server closes; so far {:?}", String::from_utf8_lossy(&answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.match_indices("HTTP/1.1 ").map(|(at, _)| &answer[at + 9..at + 12]).collect()
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n";

#[tokio::test]
async fn a_connection_goes_on_after_an_answer_that_needed_no_body() {
    let door = open(quick()).await;
    let mut stream = door.connect().await;
    for round in 0..3 {
        stream.write_all(b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n").await.expect("open");
        // As clients do that send head and body apart.
        tokio::time::sleep(Duration::from_millis(20)).await;
        stream.write_all(b"12345").await.expect("open");
        let mut answer = vec![0; 4096];
        let count = stream.read(&mut answer).await.expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..count]).to_lowercase();
        assert!(answer.contains("200 ok") && !answer.contains("connection: close"), "{round}: {answer}");
    }
}

#[tokio::test]
async fn a_connection_that_closes_over_an_unread_body_says_so() {
    let door = open(quick()).await;
    for (name, request) in [
        ("longer than is read", "POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n123"),
        ("slower than is waited for", "POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n123"),
        ("not asked for", "POST /unread HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"),
    ] {
        let answer = door.exchange(request.as_bytes()).await.to_lowercase();
        assert!(answer.contains("200 ok") && answer.contains("connection: close"), "{name}: {answer}");
        assert!(!answer.contains("100 continue"), "{name}: {answer}");
    }
}

#[tokio::test]
async fn hostile_requests_get_their_status_and_hide_nothing() {
    let door = open(quick()).await;
    let many = "A: b\r\n".repeat(150);
    let long = "a".repeat(70_000);
    let huge = "a".repeat(600_000);
    for (name, request, status) in [
        (
            "CL and TE",
            "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "400",
        ),
        (
            "TE and CL",
            "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            "400",
        ),
        ("two lengths", "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n", "400"),
        (
            "two equal lengths",
            "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\nContent-Length: 0\r\n\r\n",
            "400",
        ),
        ("signed length", "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\nab", "400"),
        ("bad coding", "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n", "400"),
        ("coding twice", "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", "400"),
        ("coding with a space", "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n", "400"),
        ("NUL", "GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n", "400"),
        ("folded line", "GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", "400"),
        ("150 headers", &format!("GET / HTTP/1.1\r\nHost: h\r\n{many}\r\n"), "431"),
        ("70 kB URI", &format!("GET /{long} HTTP/1.1\r\nHost: h\r\n\r\n"), "414"),
        ("600 kB header", &format!("GET / HTTP/1.1\r\nHost: h\r\nA: {huge}\r\n\r\n"), "431"),
        ("no Host", "GET / HTTP/1.1\r\n\r\n", "400"),
        ("two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("bare LF", "GET / HTTP/1.1\nHost: h\n\n", "400"),
        ("bad chunk size", "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        (
            "chunk overrun",
            "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
            "400",
        ),
        (
            "chunk with bare LF",
            "POST /read HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n",
            "400",
        ),
        ("TRACE", "TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", "405"),
        ("CONNECT", "CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", "405"),
        ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"),
        ("not HTTP", "\u{16}\u{3}\u{1}\r\n\r\n", "400"),
    ] {
        let answer = door.exchange(format!("{request}{SMUGGLED}").as_bytes()).await;
        assert_eq!(statuses(&answer), [status], "{name}: {answer:?}");
        assert!(answer.to_ascii_lowercase().contains("connection: close"), "{name}: {answer:?}");
    }
    assert_eq!(door.smuggled.load(Ordering::SeqCst), 0);
    // The count can rise: the same path, asked for plainly.
    door.exchange(b"GET /smuggled HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert_eq!(door.smuggled.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_refusal_waits_for_the_answers_before_it() {
    let door = open(quick()).await;
    let request = format!(
        "GET /slow HTTP/1.1\r\nHost: h\r\n\r\nPOST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcTRACE / HTTP/1.1\r\nHost: h\r\n\r\n{SMUGGLED}"
    );
    let answer = door.exchange(request.as_bytes()).await;
    assert_eq!(statuses(&answer), ["200", "200", "405"], "{answer:?}");
    assert!(answer.contains("read 3"), "{answer:?}");
    assert_eq!(door.smuggled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_that_nobody_read_is_not_the_next_request() {
    let door = open(quick()).await;
    let body = SMUGGLED;
    let request = format!("POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let answer = door.exchange(request.as_bytes()).await;
    assert_eq!(statuses(&answer), ["200"], "{answer:?}");
    assert_eq!(door.smuggled.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn slow_clients_are_closed_at_their_deadline() {
    let door = open(quick()).await;
    for (name, request, status, from_ms, to_ms) in [
        ("silent", "", None, 150, 1500),
        ("half a head", "GET / HTTP/1.1\r\nHost", Some("408"), 150, 2500),
        ("half a body", "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc", Some("400"), 150, 2500),
        ("idle after a request", "GET / HTTP/1.1\r\nHost: h\r\n\r\n", Some("200"), 550, 3000),
        ("handler slower than idle", "GET /slow HTTP/1.1\r\nHost: h\r\n\r\n", Some("200"), 900, 4000),
    ] {
        let start = Instant::now();
        let answer = door.exchange(request.as_bytes()).await;
        let took = start.elapsed().as_millis();
        assert_eq!(statuses(&answer).first().copied(), status, "{name}: {answer:?}");
        assert!((from_ms..to_ms).contains(&took), "{name} took {took} ms");
    }
}

#[tokio::test]
async fn a_trickle_is_too_slow_although_bytes_keep_coming() {
    let door = open(quick()).await;
    for head in ["GET / HTTP/1.1\r\nHost: h\r\nA: ", "POST /read HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n"] {
        let start = Instant::now();
        let (mut from, mut to) = door.connect().await.into_split();
        to.write_all(head.as_bytes()).await.expect("sent");
        let trickle = tokio::spawn(async move {
            while to.write_all(b"x").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let mut answer = Vec::new();
        let _ = from.read_to_end(&mut answer).await;
        trickle.abort();
        assert!(matches!(statuses(&String::from_utf8_lossy(&answer))[..], ["408" | "400"]), "{head:?}");
        assert!(start.elapsed() < Duration::from_secs(3), "{head:?} took {:?}", start.elapsed());
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_dropped() {
    let door = open(quick()).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(3), stream.read_to_end(&mut answer)).await.expect("closed");
    assert!(answer.len() < 64 << 20, "{} bytes came", answer.len());
}

#[tokio::test]
async fn connections_are_reused_and_know_their_peer() {
    let door = open(quick()).await;
    let mut stream = door.connect().await;
    for _ in 0..3 {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
        let mut answer = [0; 1024];
        let count = stream.read(&mut answer).await.expect("answered");
        assert!(String::from_utf8_lossy(&answer[..count]).ends_with("127.0.0.1"));
    }
}

#[tokio::test]
async fn a_panic_is_one_500() {
    let door = open(quick()).await;
    let answer = door.exchange(b"GET /panic HTTP/1.1\r\nHost: h\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["500"], "{answer:?}");
    assert!(!answer.contains("on purpose"));
    let answer = door.exchange(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200"]);
}

#[tokio::test]
async fn connections_over_the_caps_are_turned_away() {
    for (limits, status) in [
        (Limits { connections_max: 2, ..quick() }, "503"),
        (Limits { connections_per_address_max: 2, ..quick() }, "429"),
    ] {
        let door = open(limits).await;
        let held = [door.connect().await, door.connect().await];
        let answer = read_to_end(&mut door.connect().await).await;
        assert_eq!(statuses(&answer), [status]);
        assert!(answer.contains("retry-after: "));
        drop(held);
        let mut statuses_seen = String::new();
        // Places come back when the server has seen the end of the connections.
        for _ in 0..50 {
            statuses_seen = door.exchange(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
            if statuses(&statuses_seen) == ["200"] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert_eq!(statuses(&statuses_seen), ["200"]);
    }
    let proxies = TrustedProxies::parse("127.0.0.1").expect("valid");
    let door = open(Limits { connections_per_address_max: 0, trusted_proxies: proxies, ..quick() }).await;
    let answer = door.exchange(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
    assert_eq!(statuses(&answer), ["200"], "a trusted proxy is not capped");
}

#[tokio::test]
async fn shutdown_finishes_what_is_in_flight_and_takes_nothing_new() {
    let mut door = open(quick()).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    door.stop.take().expect("not yet stopped").send(()).expect("still serving");
    let answer = read_to_end(&mut stream).await;
    assert_eq!(statuses(&answer), ["200"]);
    drop(stream);
    door.served.await.expect("no panic").expect("no error");
    assert!(TcpStream::connect(door.address).await.is_err());
}

#[tokio::test]
async fn shutdown_ends_at_its_deadline() {
    let mut door = open(Limits { shutdown: Duration::from_millis(200), ..quick() }).await;
    let mut stream = door.connect().await;
    stream.write_all(b"GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("sent");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let start = Instant::now();
    door.stop.take().expect("not yet stopped").send(()).expect("still serving");
    door.served.await.expect("no panic").expect("no error");
    assert!(start.elapsed() < Duration::from_millis(700));
}

/// A certificate for `localhost` and its key, made for this test and used nowhere else.
const CERTIFICATE: &[u8] = include_bytes!("testdata/localhost.crt");
const KEY: &[u8] = include_bytes!("testdata/localhost.key");

#[tokio::test]
async fn the_same_door_over_tls() {
    use rustls::pki_types::pem::PemObject as _;
    let acceptor = tls::acceptor_from_pem(CERTIFICATE, KEY).expect("they fit");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let router = Router::new().route("/", get(async || "over TLS"));
    tokio::spawn(serve_tls(listener, router, quick(), acceptor, std::future::pending::<()>()));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::CertificateDer::from_pem_slice(CERTIFICATE).expect("PEM")).expect("a certificate");
    let client = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
    for (request, status) in
        [("GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "200"), ("GET / HTTP/1.1\r\n\r\n", "400")]
    {
        let stream = TcpStream::connect(address).await.expect("accepted");
        let name = "localhost".try_into().expect("a name");
        let mut stream = connector.connect(name, stream).await.expect("a handshake");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.expect("closed with a close_notify");
        assert_eq!(statuses(&String::from_utf8_lossy(&answer)), [status]);
    }

    // A client that never shakes hands is closed at the deadline of a head.
    let mut silent = TcpStream::connect(address).await.expect("accepted");
    assert_eq!(read_to_end(&mut silent).await, "");
}
