//! One connection as hyper sees it: a socket whose bytes were approved (`framing.rs`) and whose waiting has an end.
//!
//! All clocks of a connection are here, so hyper's own header timer stays off: the head has its deadline from its first
//! byte, an idle connection may wait longer than a head may take, a body must keep a minimum rate, and a client that
//! does not read our answer is dropped.
//!
//! A refused head is not answered from here, because answers to earlier requests may still be on their way out.
//! Instead hyper is given a small request of our own in its place, and [`Exchange`] tells the service to answer that
//! one with the refusal. So hyper stays the only writer and answers keep their order.

use super::framing::{Framer, HeadLimits, Refusal, Step};
use bytes::{Buf as _, Bytes};
use std::future::Future as _;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long a connection may take for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the first byte of a head (of the first head: from the start of the connection) to its last.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// What a body may take at any size; on top comes its size over `body_bytes_per_second_min`.
    pub body: Duration,
    /// A slower body is dropped, once `body` has passed.
    pub body_bytes_per_second_min: u64,
    /// How long the client may leave our answer unread.
    pub write: Duration,
}

impl Default for Deadlines {
    /// `reliability.md` §2.8 O1. The rate lets the largest body of a dialect (5 MB) take 90 seconds.
    fn default() -> Self {
        Self {
            head: Duration::from_secs(5),
            idle: Duration::from_mins(1),
            body: Duration::from_secs(10),
            body_bytes_per_second_min: 64 * 1024,
            write: Duration::from_secs(30),
        }
    }
}

/// What reading side and service of one connection know of each other.
#[derive(Debug, Default)]
pub(super) struct Exchange(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    heads_passed: u64,
    calls: u64,
    answers: u64,
    refusal: Option<Refusal>,
    body_failed: bool,
}

impl Exchange {
    fn counts(&self) -> std::sync::MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pass_head(&self, refusal: Option<Refusal>) {
        let mut counts = self.counts();
        counts.heads_passed += 1;
        counts.refusal = refusal;
    }

    fn is_busy(&self) -> bool {
        let counts = self.counts();
        counts.answers < counts.heads_passed
    }

    /// The service was called. A refused head is always the last one, hence the call with its number is it.
    pub(super) fn start_call(&self) -> Option<Refusal> {
        let mut counts = self.counts();
        counts.calls += 1;
        if counts.calls == counts.heads_passed { counts.refusal } else { None }
    }

    /// The service has its answer. `true` where the body failed, so that no request can follow on this connection.
    pub(super) fn finish_call(&self) -> bool {
        let mut counts = self.counts();
        counts.answers += 1;
        counts.body_failed
    }
}

/// What hyper gets in place of a refused head.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nhost: refused\r\nconnection: close\r\n\r\n";
const READ_BYTES: usize = 8 * 1024;
/// After our last byte we read on for a moment, or the kernel would reset the connection under the unread answer.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// The guarded socket.
pub(super) struct Guarded<S> {
    socket: S,
    framer: Framer,
    deadlines: Deadlines,
    exchange: Arc<Exchange>,
    approved: Bytes,
    phase: Phase,
    timer: Pin<Box<Sleep>>,
    last_write: Instant,
    write_blocked_since: Option<Instant>,
    write_timer: Option<Pin<Box<Sleep>>>,
    lingering: Option<usize>,
    peer_closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    FirstHead {
        since: Instant,
    },
    Idle {
        since: Instant,
    },
    Head {
        since: Instant,
    },
    Body {
        since: Option<Instant>,
        received_bytes: u64,
    },
    /// A stand-in was passed on, which closes the connection once answered. No end of file before that: hyper would
    /// take it for a client that has gone, and drop the answer.
    Refused,
    /// Nothing more will be read: end of file.
    Ended,
    /// Nothing more will be read: the body is at fault.
    Failed(io::ErrorKind),
}

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    pub(super) fn new(socket: S, limits: HeadLimits, deadlines: Deadlines, exchange: Arc<Exchange>) -> Self {
        let now = Instant::now();
        Self {
            socket,
            framer: Framer::new(limits),
            deadlines,
            exchange,
            approved: Bytes::new(),
            phase: Phase::FirstHead { since: now },
            timer: Box::pin(tokio::time::sleep_until(now + deadlines.head)),
            last_write: now,
            write_blocked_since: None,
            write_timer: None,
            lingering: None,
            peer_closed: false,
        }
    }

    /// Takes one step of the framer. `false` where it needs more bytes.
    fn advance(&mut self) -> bool {
        match self.framer.advance() {
            Step::NeedMore => return false,
            Step::Head(head) => {
                self.exchange.pass_head(None);
                self.approved = head;
                self.enter_phase_after_approval(0);
            }
            Step::Body(body) => {
                let received_bytes = u64::try_from(body.len()).unwrap_or(u64::MAX);
                self.approved = body;
                self.enter_phase_after_approval(received_bytes);
            }
            Step::Refused(refusal) => self.refuse(refusal),
            Step::BrokenBody => self.fail_body(io::ErrorKind::InvalidData),
        }
        true
    }

    fn enter_phase_after_approval(&mut self, body_bytes: u64) {
        self.phase = match self.phase {
            _ if !self.framer.in_body() => Phase::Idle { since: Instant::now() },
            Phase::Body { since, received_bytes } => {
                Phase::Body { since, received_bytes: received_bytes.saturating_add(body_bytes) }
            }
            _ => Phase::Body { since: None, received_bytes: body_bytes },
        };
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.exchange.pass_head(Some(refusal));
        self.approved = Bytes::from_static(STAND_IN);
        self.phase = Phase::Refused;
    }

    fn fail_body(&mut self, kind: io::ErrorKind) {
        self.exchange.counts().body_failed = true;
        self.phase = Phase::Failed(kind);
    }

    /// When waiting for more bytes ends. Starts the clocks that start with the first wait.
    fn deadline(&mut self) -> Instant {
        let now = Instant::now();
        if let Phase::Idle { .. } = self.phase
            && self.framer.has_partial_head()
        {
            self.phase = Phase::Head { since: now };
        }
        match &mut self.phase {
            Phase::FirstHead { since } | Phase::Head { since } => *since + self.deadlines.head,
            Phase::Idle { since } => (*since).max(self.last_write) + self.deadlines.idle,
            Phase::Body { since, received_bytes } => {
                let rate = self.deadlines.body_bytes_per_second_min.max(1);
                let earned = Duration::from_millis(received_bytes.saturating_mul(1000) / rate);
                *since.get_or_insert(now) + self.deadlines.body + earned
            }
            Phase::Refused | Phase::Ended | Phase::Failed(_) => now,
        }
    }

    /// Waiting took too long. A request in our own hands is no reason to close: then the wait starts again.
    fn waited_too_long(&mut self) {
        match self.phase {
            Phase::Idle { .. } if self.exchange.is_busy() => self.phase = Phase::Idle { since: Instant::now() },
            Phase::FirstHead { .. } if !self.framer.has_partial_head() => self.phase = Phase::Ended,
            Phase::FirstHead { .. } | Phase::Head { .. } => {
                self.framer.end();
                self.refuse(Refusal::HeadTooSlow);
            }
            Phase::Body { .. } => {
                self.framer.end();
                self.fail_body(io::ErrorKind::TimedOut);
            }
            Phase::Idle { .. } => {
                self.framer.end();
                self.phase = Phase::Ended;
            }
            Phase::Refused | Phase::Ended | Phase::Failed(_) => {}
        }
    }

    /// Keeps the clock of a client that does not read: `outcome` of a write passes through, or the clock runs out.
    fn limit_write<T>(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.last_write = Instant::now();
            self.write_blocked_since = None;
            return outcome;
        }
        let until = *self.write_blocked_since.get_or_insert_with(Instant::now) + self.deadlines.write;
        let timer = self.write_timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            if !this.approved.is_empty() {
                let count = this.approved.len().min(buffer.remaining());
                buffer.put_slice(&this.approved[..count]);
                this.approved.advance(count);
                return Poll::Ready(Ok(()));
            }
            match this.phase {
                Phase::Refused => return Poll::Pending,
                Phase::Ended => return Poll::Ready(Ok(())),
                Phase::Failed(kind) => return Poll::Ready(Err(kind.into())),
                _ => {}
            }
            if this.advance() {
                continue;
            }
            // Not zeroed: that would cost as much as all else here.
            let mut space = [MaybeUninit::uninit(); READ_BYTES];
            let mut read = ReadBuf::uninit(&mut space);
            match Pin::new(&mut this.socket).poll_read(context, &mut read) {
                Poll::Ready(outcome) => {
                    outcome?;
                    if read.filled().is_empty() {
                        this.peer_closed = true;
                        this.phase = Phase::Ended;
                    }
                    this.framer.push(read.filled());
                }
                Poll::Pending => {
                    let deadline = this.deadline();
                    // A timer that is early is looked at again; to move it on at every request would cost a lock each.
                    if deadline < this.timer.deadline() || this.timer.is_elapsed() {
                        this.timer.as_mut().reset(deadline);
                    }
                    ready!(this.timer.as_mut().poll(context));
                    if this.timer.deadline() >= deadline {
                        this.waited_too_long();
                    }
                }
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write(context, bytes);
        self.limit_write(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.socket).poll_write_vectored(context, slices);
        self.limit_write(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.socket).poll_flush(context);
        if outcome.is_ready() {
            // Hyper flushes also when there is nothing to write: that is no sign of a client that reads.
            return outcome;
        }
        self.limit_write(context, outcome)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.lingering.is_none() {
            ready!(Pin::new(&mut this.socket).poll_shutdown(context))?;
            this.timer.as_mut().reset(Instant::now() + LINGER);
            this.lingering = Some(0);
        }
        while !this.peer_closed && this.lingering.is_some_and(|count| count < LINGER_BYTES_MAX) {
            let mut space = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut space);
            match Pin::new(&mut this.socket).poll_read(context, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {
                    this.lingering = this.lingering.map(|count| count + read.filled().len());
                }
                Poll::Ready(_) => this.peer_closed = true,
                Poll::Pending => {
                    ready!(this.timer.as_mut().poll(context));
                    this.peer_closed = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}
