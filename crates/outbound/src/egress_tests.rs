//! Claims about [`super`], each with a real socket on the other side.

use super::*;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A receiver that counts its connections, keeps the first request and answers by `script`.
struct Receiver {
    port: u16,
    connections: Arc<AtomicUsize>,
    request: Arc<Mutex<String>>,
}

async fn receiver<F, A>(address: &str, script: F) -> Receiver
where
    F: Fn(TcpStream) -> A + Send + Sync + 'static,
    A: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind((address, 0)).await.expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let (connections, request) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(String::new())));
    let (count, seen) = (Arc::clone(&connections), Arc::clone(&request));
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let text = read_request(&mut socket).await;
            *seen.lock().expect("not poisoned") = text;
            tokio::spawn(script(socket));
        }
    });
    Receiver { port, connections, request }
}

/// Reads up to the end of the body that the tests send.
async fn read_request(socket: &mut TcpStream) -> String {
    let (mut text, mut buffer) = (Vec::new(), [0; 4096]);
    while !text.ends_with(b"{\"a\":1}") {
        match socket.read(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(n) => text.extend_from_slice(&buffer[..n]),
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

async fn answering(address: &str, answer: &'static str) -> Receiver {
    receiver(address, move |mut socket| async move {
        let _ = socket.write_all(answer.as_bytes()).await;
    })
    .await
}

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn egress(allow: &str, deadline_ms: u64, lookup: Lookup) -> Egress {
    let allow = Cidr::parse_list(allow).expect("ranges");
    Egress::new(Settings { allow, deadline: Duration::from_millis(deadline_ms), lookup }).expect("sets up")
}

fn local(deadline_ms: u64) -> Egress {
    egress("127.0.0.0/8", deadline_ms, system_lookup())
}

/// A resolver that answers with the next of `answers`, round and round.
fn resolving(answers: Vec<Vec<&'static str>>) -> Lookup {
    let turn = AtomicUsize::new(0);
    Arc::new(move |_| {
        let answer = &answers[turn.fetch_add(1, Ordering::SeqCst) % answers.len()];
        let addresses = answer.iter().map(|text| text.parse().expect("an address")).collect();
        Box::pin(async move { Ok(addresses) })
    })
}

fn to(url: String) -> Outgoing {
    Outgoing {
        url,
        headers: vec![("FX-Event-Type".to_owned(), "CUSTOM".to_owned())],
        body: b"{\"a\":1}".to_vec(),
        deadline: None,
    }
}

#[tokio::test]
async fn a_message_arrives_as_it_was_handed_over() {
    let receiver = answering("127.0.0.1", OK).await;
    let result = local(5000).post(to(format!("http://127.0.0.1:{}/hook?x=1", receiver.port))).await;
    assert_eq!((result.status, result.answered(), result.response.as_str()), (Some(200), Some(200), "ok"));
    assert_eq!(result.error, None);
    let request = receiver.request.lock().expect("not poisoned").clone();
    assert!(request.starts_with("POST /hook?x=1 HTTP/1.1\r\n"), "{request}");
    let lower = request.to_ascii_lowercase();
    for header in ["fx-event-type: custom", "user-agent: headwater/", "content-type: application/json"] {
        assert!(lower.contains(header), "{header} in {request}");
    }
    assert!(!lower.contains("accept-encoding") && request.ends_with("\r\n\r\n{\"a\":1}"), "{request}");
}

#[tokio::test]
async fn a_local_receiver_sees_nothing_unless_it_is_allowed() {
    let canaries = [answering("127.0.0.1", OK).await, answering("127.0.0.2", OK).await];
    let v6 = answering("::1", OK).await;
    let closed = egress("", 2000, system_lookup());
    let elsewhere = egress("10.0.0.0/8", 2000, system_lookup());
    for guard in [&closed, &elsewhere] {
        for port in [canaries[0].port, canaries[1].port, v6.port] {
            for host in ["127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "①②⑦.⓪.⓪.①"]
                .into_iter()
                .chain([
                    "[::1]",
                    "[::]",
                    "[::ffff:127.0.0.1]",
                    "[::127.0.0.1]",
                    "localhost",
                    "LOCALHOST.",
                    "a@127.0.0.1",
                ])
            {
                for scheme in ["http", "https"] {
                    let result = guard.post(to(format!("{scheme}://{host}:{port}/"))).await;
                    assert!(result.status.is_none() && result.error.is_some(), "{scheme}://{host}: {result:?}");
                }
            }
        }
    }
    for canary in canaries.iter().chain([&v6]) {
        assert_eq!(canary.connections.load(Ordering::SeqCst), 0);
    }
    // The control: the same canary is reached once it is allowed.
    local(2000).post(to(format!("http://127.0.0.1:{}/", canaries[0].port))).await;
    assert_eq!(canaries[0].connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_even_with_one_address_of_many() {
    for answer in [vec!["127.0.0.1"], vec!["8.8.8.8", "127.0.0.1"], vec!["8.8.8.8", "::ffff:10.0.0.1"], vec![]] {
        let guard = egress("", 2000, resolving(vec![answer.clone()]));
        let result = guard.post(to("https://hook.example/".to_owned())).await;
        let error = result.error.expect("refused");
        assert!(error.contains("refused") || error.contains("no address"), "{answer:?}: {error}");
        assert!(!error.contains("127.0.0.1"), "the address is not told: {error}");
    }
}

#[tokio::test]
async fn a_name_that_changes_its_mind_never_reaches_the_inside() {
    let canary = answering("127.0.0.1", OK).await;
    // Allowed is 127.0.0.2 only, where nobody listens; the name flips between it and the canary.
    let guard = egress("127.0.0.2/32", 2000, resolving(vec![vec!["127.0.0.2"], vec!["127.0.0.1"]]));
    let mut refused = 0;
    for _ in 0..1000 {
        let result = guard.post(to(format!("http://hook.internal:{}/", canary.port))).await;
        assert_eq!(result.status, None);
        refused += usize::from(result.error.expect("a failure").starts_with("refused"));
    }
    assert_eq!(refused, 500, "every second lookup is refused, the others find nobody");
    assert_eq!(canary.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn plain_http_to_a_name_needs_every_address_inside_the_allowed_ranges() {
    let receiver = answering("127.0.0.1", OK).await;
    let url = format!("http://hook.internal:{}/", receiver.port);
    let inside = egress("127.0.0.0/8", 2000, resolving(vec![vec!["127.0.0.1"]]));
    assert_eq!(inside.post(to(url.clone())).await.status, Some(200));
    let mixed = egress("127.0.0.0/8", 2000, resolving(vec![vec!["127.0.0.1", "8.8.8.8"]]));
    assert!(mixed.post(to(url)).await.error.expect("refused").starts_with("refused"));
    assert_eq!(receiver.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let canary = answering("127.0.0.1", OK).await;
    let location =
        format!("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:{}/\r\nContent-Length: 0\r\n\r\n", canary.port);
    let receiver = answering("127.0.0.1", location.leak()).await;
    let result = local(2000).post(to(format!("http://127.0.0.1:{}/", receiver.port))).await;
    assert_eq!(result.answered(), Some(302));
    assert_eq!(canary.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn one_deadline_covers_a_body_that_drips() {
    let receiver = receiver("127.0.0.1", |mut socket| async move {
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await;
        while socket.write_all(b".").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let result = local(300).post(to(format!("http://127.0.0.1:{}/", receiver.port))).await;
    assert_eq!((result.status, result.answered()), (Some(200), None));
    assert!(result.error.expect("cut").contains("within 0.3 s"));
    assert!((300..1500).contains(&result.duration_ms), "{} ms", result.duration_ms);
    assert!(result.response.starts_with('.'), "what came is kept");
}

#[tokio::test]
async fn silence_and_a_slow_lookup_end_at_the_deadline_too() {
    let silent = receiver("127.0.0.1", |socket| async move {
        tokio::time::sleep(Duration::from_mins(1)).await;
        drop(socket);
    })
    .await;
    let result = local(200).post(to(format!("http://127.0.0.1:{}/", silent.port))).await;
    assert!(result.status.is_none() && result.duration_ms < 1500, "{result:?}");
    let stuck: Lookup = Arc::new(|_| Box::pin(std::future::pending()));
    let result = egress("", 200, stuck).post(to("https://hook.example/".to_owned())).await;
    assert!(result.error.expect("cut").contains("within") && result.duration_ms < 1500);
}

#[tokio::test]
async fn a_body_without_end_is_read_no_further_than_sixteen_kilobytes() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let receiver = receiver("127.0.0.1", move |mut socket| {
        let count = Arc::clone(&count);
        async move {
            let _ = socket.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n").await;
            while socket.write_all(&[b'x'; 8192]).await.is_ok() {
                count.fetch_add(8192, Ordering::SeqCst);
            }
        }
    })
    .await;
    let result = local(5000).post(to(format!("http://127.0.0.1:{}/", receiver.port))).await;
    assert_eq!((result.answered(), result.response.len()), (Some(200), 1000));
    assert!(result.duration_ms < 4000, "{} ms", result.duration_ms);
    // What the kernel buffers on both sides of a loopback connection, and no more.
    assert!(sent.load(Ordering::SeqCst) < 32 << 20, "{} bytes", sent.load(Ordering::SeqCst));
}

#[tokio::test]
async fn compressed_answers_stay_compressed() {
    let receiver =
        answering("127.0.0.1", "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\0bad").await;
    let result = local(2000).post(to(format!("http://127.0.0.1:{}/", receiver.port))).await;
    assert_eq!((result.answered(), result.response.as_str()), (Some(200), "\u{fffd}bad"));
}

#[tokio::test]
async fn retry_after_is_read_in_seconds() {
    let answer = "HTTP/1.1 429 Slow down\r\nRetry-After: 999999\r\nContent-Length: 0\r\n\r\n";
    let receiver = answering("127.0.0.1", answer).await;
    let result = local(2000).post(to(format!("http://127.0.0.1:{}/", receiver.port))).await;
    assert_eq!((result.answered(), result.retry_after_seconds), (Some(429), Some(999_999)));
}

#[tokio::test]
async fn retry_after_is_read_as_a_date_from_the_answers_own() {
    let later = |date: &str| {
        format!(
            "HTTP/1.1 503 Later\r\nDate: {date}\r\nRetry-After: Fri, 13 Feb 2026 10:02:05 GMT\r\nContent-Length: 0\r\n\r\n"
        )
    };
    for (date, seconds) in
        [("Fri, 13 Feb 2026 10:00:00 GMT", Some(125)), ("Fri, 13 Feb 2026 11:00:00 GMT", Some(0)), ("soon", None)]
    {
        let receiver = answering("127.0.0.1", later(date).leak()).await;
        let result = local(2000).post(to(format!("http://127.0.0.1:{}/", receiver.port))).await;
        assert_eq!(result.retry_after_seconds, seconds, "{date}");
    }
}

#[tokio::test]
async fn a_receiver_without_tls_or_without_an_answer_is_a_failure() {
    let receiver = answering("127.0.0.1", "SSH-2.0-OpenSSH\r\n").await;
    for scheme in ["http", "https"] {
        let result = local(2000).post(to(format!("{scheme}://127.0.0.1:{}/", receiver.port))).await;
        assert!(result.answered().is_none() && result.error.is_some(), "{result:?}");
    }
}

#[tokio::test]
async fn a_header_that_is_none_is_a_failure_and_no_panic() {
    let outgoing =
        Outgoing { headers: vec![("X-A".to_owned(), "a\r\nb".to_owned())], ..to("https://8.8.8.8/".to_owned()) };
    assert!(local(500).post(outgoing).await.error.is_some());
}
