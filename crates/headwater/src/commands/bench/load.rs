//! The load: a process of its own that asks one server over loopback, on many keep-alive connections, and counts.
//!
//! Raw HTTP/1.1 on one thread, so that the generator takes little from the server it measures and the same from its
//! reference. It believes nothing: an answer of another status than the expected one is a failure and is never counted
//! as acknowledged. What is asked, the scenario says in an [`Order`]; what came of it is a [`Tally`].

use super::latency::Latencies;
use super::request::{Order, Sender};
use crate::commands::Outcome;
use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// More than any answer of ours has.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// A server that is silent for this long has lost the request.
const PATIENCE: Duration = Duration::from_secs(30);

/// What came of one run of the load.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Tally {
    /// What was answered as expected: requests, or the records of pushes.
    pub acknowledged: u64,
    /// Requests that were not, by what came instead.
    pub failures: BTreeMap<String, u64>,
    /// From the first request to the last answer.
    pub elapsed_micros: u64,
    /// Processor time of those who answered, where it was measured.
    #[serde(default)]
    pub cpu_micros: u64,
    /// How long answers took.
    pub latencies: Latencies,
}

impl Tally {
    /// Adds another run, made at another time.
    pub fn add(&mut self, other: &Self) {
        self.join(other);
        self.elapsed_micros += other.elapsed_micros;
    }

    /// Adds what was counted at the same time.
    pub fn join(&mut self, other: &Self) {
        self.acknowledged += other.acknowledged;
        self.cpu_micros += other.cpu_micros;
        self.latencies.add(&other.latencies);
        for (what, count) in &other.failures {
            *self.failures.entry(what.clone()).or_default() += count;
        }
    }

    /// Answers a second.
    pub fn per_second(&self) -> u64 {
        (self.acknowledged * 1_000_000).checked_div(self.elapsed_micros).unwrap_or(0)
    }
}

/// `headwater bench load`: reads an order from standard input, does it, and writes the tally to standard output.
pub fn run() -> Result<Outcome> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("no order came")?;
    let order: Order = serde_json::from_str(&text).context("the order cannot be read")?;
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(generate(order))
    });
    let tally = thread.join().map_err(|_| anyhow::anyhow!("the load panicked"))??;
    println!("{}", serde_json::to_string(&tally)?);
    Ok(Outcome::Held)
}

async fn generate(order: Order) -> Result<Tally> {
    let started = Instant::now();
    let until = started + Duration::from_millis(order.milliseconds);
    let order = std::sync::Arc::new((order, AtomicU64::new(0)));
    let mut connections = tokio::task::JoinSet::new();
    for number in 0..order.0.connections {
        connections.spawn(connection(std::sync::Arc::clone(&order), number, until));
    }
    let mut tally = Tally::default();
    while let Some(one) = connections.join_next().await {
        tally.join(&one.context("a connection panicked")??);
    }
    tally.elapsed_micros = u64::try_from(started.elapsed().as_micros())?;
    Ok(tally)
}

/// One request after the other until the time is over; a broken connection is a failure and is opened again.
async fn connection(shared: std::sync::Arc<(Order, AtomicU64)>, number: usize, until: Instant) -> Result<Tally> {
    let mut tally = Tally::default();
    let (order, blocks) = &*shared;
    let mut sender = Sender::new(order, number, blocks);
    let (mut request, mut answer) = (Vec::new(), Vec::new());
    let mut open = None;
    while Instant::now() < until {
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => connect(&order.address).await?,
        };
        sender.next(&mut request);
        let asked = Instant::now();
        match tokio::time::timeout(PATIENCE, exchange(&mut stream, &request, &mut answer)).await {
            Ok(Ok(status)) => {
                if status == order.status_expected {
                    tally.acknowledged += order.ask.records();
                    tally.latencies.record(u64::try_from(asked.elapsed().as_micros())?);
                } else {
                    *tally.failures.entry(format!("status {status}")).or_default() += 1;
                }
                open = Some(stream);
            }
            Ok(Err(_)) => *tally.failures.entry("broken connection".to_owned()).or_default() += 1,
            Err(_) => *tally.failures.entry("no answer".to_owned()).or_default() += 1,
        }
    }
    Ok(tally)
}

async fn connect(address: &str) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("{address} takes no connection"))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request, reads its whole answer, and gives the status.
async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>) -> Result<u16> {
    stream.write_all(request).await?;
    answer.clear();
    loop {
        if stream.read_buf(answer).await? == 0 {
            bail!("closed");
        }
        if let Some((status, bytes)) = measure(answer)? {
            match answer.len().cmp(&bytes) {
                std::cmp::Ordering::Equal => return Ok(status),
                std::cmp::Ordering::Greater => bail!("more than one answer"),
                std::cmp::Ordering::Less => {}
            }
        }
        if answer.len() > ANSWER_BYTES_MAX {
            bail!("too long");
        }
    }
}

/// The status of an answer and how many bytes all of it has, once its head is there.
fn measure(answer: &[u8]) -> Result<Option<(u16, usize)>> {
    let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end]).context("the head is no text")?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status")?.parse()?;
    for line in lines {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            return Ok(Some((status, end + 4 + value.trim().parse::<usize>()?)));
        }
    }
    bail!("no length")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_measured_once_its_head_is_there() {
        assert_eq!(measure(b"HTTP/1.1 302 Found\r\nContent-Length: 3\r\n").expect("a head"), None);
        let whole = b"HTTP/1.1 302 Found\r\nlocation: /\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(measure(whole).expect("a head"), Some((302, whole.len())));
        assert!(measure(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn runs_one_after_the_other_add_their_times() {
        let mut all = Tally { acknowledged: 10, elapsed_micros: 1_000_000, ..Tally::default() };
        all.add(&Tally { acknowledged: 30, elapsed_micros: 1_000_000, ..Tally::default() });
        assert_eq!(all.per_second(), 20);
        assert_eq!(Tally::default().per_second(), 0);
    }
}
