//! What the load asks, as bytes: visitors who follow one link, events of ever new clients, or pushes of a thousand rows.
//!
//! Every visitor comes from an address of its own, behind a proxy, and every event is sent with one of many keys: a
//! load from one address with one key would measure the limits, which are meant for exactly that.

use super::rows::{RECORDS, Rows};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// One run of the load.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Order {
    /// Where the server listens.
    pub address: String,
    /// How many connections ask at the same time.
    pub connections: usize,
    /// How long.
    pub milliseconds: u64,
    /// What an acknowledgement looks like.
    pub status_expected: u16,
    /// Which run this is: its clients are others than those of any other run.
    pub run: u64,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Ask {
    /// `GET` of this path and query, as a visitor.
    Visit(String),
    /// A first deposit of a new client.
    Track {
        /// Secret keys, used in turn.
        keys: Vec<String>,
        /// Click tokens, used in turn.
        clicks: Vec<String>,
    },
    /// A thousand rows.
    Push {
        /// Of what.
        rows: Rows,
        /// Where they go.
        path: String,
        /// The header that opens it, used in turn.
        keys: Vec<String>,
        /// The first block that no run before this one has sent.
        first_block: u64,
    },
}

impl Ask {
    /// What one answer acknowledges.
    pub fn records(&self) -> u64 {
        if matches!(self, Self::Push { .. }) { RECORDS } else { 1 }
    }
}

/// Writes the requests of one connection.
#[derive(Debug)]
pub struct Sender<'o> {
    order: &'o Order,
    connection: usize,
    sent: usize,
    body: String,
    /// How many blocks of rows the connections of this run have taken.
    blocks: &'o AtomicU64,
    /// The last one of this connection.
    block: Option<u64>,
}

impl<'o> Sender<'o> {
    /// The requests of this connection.
    pub fn new(order: &'o Order, connection: usize, blocks: &'o AtomicU64) -> Self {
        Self { order, connection, sent: 0, body: String::new(), blocks, block: None }
    }

    /// The next request.
    pub fn next(&mut self, request: &mut Vec<u8>) {
        let number = self.sent * self.order.connections + self.connection;
        self.sent += 1;
        let mut head = String::with_capacity(512);
        match &self.order.ask {
            Ask::Visit(path) => {
                let [_, a, b, c] = u32::try_from(number % (1 << 24)).unwrap_or(0).to_be_bytes();
                head.push_str("GET ");
                head.push_str(path);
                let _ = write!(
                    head,
                    " HTTP/1.1\r\nHost: {}\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 \
                     Firefox/140.0\r\nAccept: text/html\r\nReferer: https://blog.example/review\r\n\
                     X-Forwarded-For: 81.{a}.{b}.{c}\r\n\r\n",
                    self.order.address
                );
            }
            Ask::Track { keys, clicks } => {
                let (run, connection) = (self.order.run, self.connection);
                let click = &clicks[number % clicks.len()];
                self.body.clear();
                let _ = write!(
                    self.body,
                    r#"{{"event":"FIRST_DEPOSIT","clickId":"{click}","data":{{"email":"c{number}.{connection}.{run}@client.example","amount":500,"currency":"USD"}}}}"#
                );
                let _ = write!(
                    head,
                    "POST /api/referral/events/track HTTP/1.1\r\nHost: {}\r\nX-API-Key: {}\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    self.order.address,
                    keys[number % keys.len()],
                    self.body.len()
                );
                head.push_str(&self.body);
            }
            Ask::Push { rows, path, keys, first_block } => {
                let mut take = || first_block + self.blocks.fetch_add(1, Ordering::Relaxed);
                let again = self.block.unwrap_or_else(&mut take);
                let new = take();
                self.block = Some(new);
                rows.write(again, new, &mut self.body);
                let _ = write!(
                    head,
                    "POST {path} HTTP/1.1\r\nHost: {}\r\n{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                    self.order.address,
                    keys[number % keys.len()],
                    self.body.len()
                );
                head.push_str(&self.body);
            }
        }
        request.clear();
        request.extend_from_slice(head.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_two_requests_are_of_the_same_client() {
        let mut seen = HashSet::new();
        for run in 0..2 {
            let ask = Ask::Track { keys: vec!["sk_a".to_owned()], clicks: vec!["t".to_owned()] };
            let address = "127.0.0.1:1".to_owned();
            let order = Order { address, connections: 3, milliseconds: 1, status_expected: 200, run, ask };
            let blocks = AtomicU64::new(0);
            for connection in 0..3 {
                let mut sender = Sender::new(&order, connection, &blocks);
                for _ in 0..5 {
                    let mut request = Vec::new();
                    sender.next(&mut request);
                    let text = String::from_utf8(request).expect("text");
                    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
                    assert!(head.contains(&format!("Content-Length: {}", body.len())));
                    assert!(seen.insert(body.to_owned()));
                }
            }
        }
        assert_eq!(seen.len(), 30);
    }
}
