//! Where one HTTP/1 request ends and the next begins, judged before hyper sees a byte.
//!
//! Stock hyper takes Content-Length beside Transfer-Encoding, a missing or a second Host, and lines that end in a bare
//! LF (measured: `reliability.md` P9). Each of these lets two parties on one connection disagree about where a request
//! ends. This file is the stricter party: bytes reach hyper only after they were approved here.
//!
//! A head is held back until it is complete, then passed on whole. A body is passed on as it comes, up to its end,
//! which Content-Length or the chunk framing gives. After the first refusal nothing more is passed on, so a request
//! hidden in what follows is never parsed. Pure: no I/O and no clock (`guarded.rs` has both).
//!
//! Deliberately narrower than RFC 9112: no chunk extensions, no trailers, no Transfer-Encoding but `chunked`, no
//! absolute-form target that names another host. No client of ours sends them, and each has been used for smuggling.

use bytes::{Buf as _, Bytes, BytesMut};
use http::StatusCode;

/// Caps on a request head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// The longest request target; over it 414.
    pub uri_bytes_max: usize,
    /// The longest head, request line included; over it 431.
    pub head_bytes_max: usize,
    /// Most header fields; over it 431.
    pub headers_max: usize,
}

impl Default for HeadLimits {
    /// `reliability.md` §4 point 13.
    fn default() -> Self {
        Self { uri_bytes_max: 8 * 1024, head_bytes_max: 16 * 1024, headers_max: 64 }
    }
}

/// Why a head was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed,
    MethodNotAllowed,
    UriTooLong,
    HeadTooLarge,
    HeadTooSlow,
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::UriTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::HeadTooSlow => StatusCode::REQUEST_TIMEOUT,
        }
    }
}

/// What the framer says about the bytes it was given.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A whole head.
    Head(Bytes),
    /// A part of the body.
    Body(Bytes),
    /// Nothing can be said before more bytes come.
    NeedMore,
    /// The head is refused; the connection ends after the answer.
    Refused(Refusal),
    /// The chunk framing is broken in the middle of a request; the connection ends.
    BrokenBody,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    Chunk(Chunk),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chunk {
    Size { value: u64, digits: u8 },
    SizeLineFeed(u64),
    Data(u64),
    DataReturn,
    DataLineFeed,
    EndReturn,
    EndLineFeed,
}

/// The judge of one connection's incoming bytes.
#[derive(Debug)]
pub(super) struct Framer {
    limits: HeadLimits,
    inbox: BytesMut,
    state: State,
    /// How much of an unfinished head was looked at, and where its last line starts.
    scanned: usize,
    line_start: usize,
    lines: usize,
    /// One empty line before a request line is forgiven (RFC 9112 §2.2).
    skipped_empty_line: bool,
}

impl Framer {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self {
            limits,
            inbox: BytesMut::new(),
            state: State::Head,
            scanned: 0,
            line_start: 0,
            lines: 0,
            skipped_empty_line: false,
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.inbox.extend_from_slice(bytes);
    }

    /// Whether the next byte belongs to a body.
    pub(super) fn in_body(&self) -> bool {
        matches!(self.state, State::Length(_) | State::Chunk(_))
    }

    /// Whether a part of the next head is here.
    pub(super) fn has_partial_head(&self) -> bool {
        self.state == State::Head && !self.inbox.is_empty()
    }

    /// Judges what is in the inbox, one step at a time.
    pub(super) fn advance(&mut self) -> Step {
        match self.state {
            State::Head => self.advance_head(),
            State::Length(left) => {
                let here = u64::try_from(self.inbox.len()).unwrap_or(u64::MAX).min(left);
                let Ok(count @ 1..) = usize::try_from(here) else { return Step::NeedMore };
                self.state = if here == left { State::Head } else { State::Length(left - here) };
                Step::Body(self.inbox.split_to(count).freeze())
            }
            State::Chunk(chunk) => self.advance_chunks(chunk),
            State::Over => Step::NeedMore,
        }
    }

    fn advance_head(&mut self) -> Step {
        if !self.skipped_empty_line && self.scanned == 0 && self.inbox.starts_with(b"\r\n") {
            self.inbox.advance(2);
            self.skipped_empty_line = true;
        }
        while let Some(&byte) = self.inbox.get(self.scanned) {
            let at = self.scanned;
            if self.lines == 0 && at > self.limits.uri_bytes_max + REQUEST_LINE_REST_BYTES_MAX {
                return self.refuse(Refusal::UriTooLong);
            }
            if at >= self.limits.head_bytes_max {
                return self.refuse(Refusal::HeadTooLarge);
            }
            match byte {
                b'\r' => match self.inbox.get(at + 1) {
                    None => return Step::NeedMore,
                    Some(b'\n') if at == self.line_start => return self.finish_head(at + 2),
                    Some(b'\n') => {
                        self.lines += 1;
                        if self.lines > self.limits.headers_max + 1 {
                            return self.refuse(Refusal::HeadTooLarge);
                        }
                        self.scanned = at + 2;
                        self.line_start = at + 2;
                    }
                    Some(_) => return self.refuse(Refusal::Malformed),
                },
                b'\t' => self.scanned += 1,
                // A line feed here has no carriage return before it.
                0..=0x1f | 0x7f => return self.refuse(Refusal::Malformed),
                _ => self.scanned += 1,
            }
        }
        Step::NeedMore
    }

    fn finish_head(&mut self, length: usize) -> Step {
        match judge_head(&self.inbox[..length], self.limits) {
            Err(refusal) => self.refuse(refusal),
            Ok(body) => {
                self.state = body;
                (self.scanned, self.line_start, self.lines, self.skipped_empty_line) = (0, 0, 0, false);
                Step::Head(self.inbox.split_to(length).freeze())
            }
        }
    }

    /// Ends everything: no later byte is looked at.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> Step {
        self.end();
        Step::Refused(refusal)
    }

    pub(super) fn end(&mut self) {
        self.state = State::Over;
        self.inbox = BytesMut::new();
    }

    fn advance_chunks(&mut self, mut chunk: Chunk) -> Step {
        let mut approved = 0;
        let mut ended = false;
        while !ended && approved < self.inbox.len() {
            let byte = self.inbox[approved];
            chunk = match (chunk, byte) {
                (Chunk::Size { value, digits }, b'\r') if digits > 0 => Chunk::SizeLineFeed(value),
                (Chunk::Size { value, digits: digits @ ..CHUNK_SIZE_DIGITS_MAX }, hex) if hex.is_ascii_hexdigit() => {
                    let digit = char::from(hex).to_digit(16).expect("a hexadecimal digit was matched");
                    Chunk::Size { value: value * 16 + u64::from(digit), digits: digits + 1 }
                }
                (Chunk::SizeLineFeed(0), b'\n') => Chunk::EndReturn,
                (Chunk::SizeLineFeed(size), b'\n') => Chunk::Data(size),
                (Chunk::Data(left), _) => {
                    let here = (self.inbox.len() - approved).min(usize::try_from(left).unwrap_or(usize::MAX));
                    // The last byte of this run is counted below.
                    approved += here - 1;
                    let left = left - u64::try_from(here).unwrap_or(left);
                    if left == 0 { Chunk::DataReturn } else { Chunk::Data(left) }
                }
                (Chunk::DataReturn, b'\r') => Chunk::DataLineFeed,
                (Chunk::DataLineFeed, b'\n') => Chunk::Size { value: 0, digits: 0 },
                (Chunk::EndReturn, b'\r') => Chunk::EndLineFeed,
                (Chunk::EndLineFeed, b'\n') => {
                    ended = true;
                    chunk
                }
                _ => {
                    self.end();
                    return Step::BrokenBody;
                }
            };
            approved += 1;
        }
        self.state = if ended { State::Head } else { State::Chunk(chunk) };
        if approved == 0 { Step::NeedMore } else { Step::Body(self.inbox.split_to(approved).freeze()) }
    }
}

/// Method, version and spaces beside the target.
const REQUEST_LINE_REST_BYTES_MAX: usize = 64;
/// Four gigabytes a chunk.
const CHUNK_SIZE_DIGITS_MAX: u8 = 8;

/// Judges a complete head, whose lines are known to end in CRLF and to hold no other control character but tab.
fn judge_head(head: &[u8], limits: HeadLimits) -> Result<State, Refusal> {
    let mut lines = head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let target = judge_request_line(lines.next().unwrap_or_default(), limits)?;

    let (mut host, mut length, mut chunked) = (None, None, false);
    for line in lines.take_while(|line| !line.is_empty()) {
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Refusal::Malformed)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // A space in the name is also how a folded line and `Host : x` show.
        if name.is_empty() || !name.iter().all(|byte| is_token_byte(*byte)) {
            return Err(Refusal::Malformed);
        }
        if name.eq_ignore_ascii_case(b"host") {
            if host.replace(value).is_some() {
                return Err(Refusal::Malformed);
            }
        } else if name.eq_ignore_ascii_case(b"content-length") {
            if length.replace(parse_length(value).ok_or(Refusal::Malformed)?).is_some() {
                return Err(Refusal::Malformed);
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            if chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal::Malformed);
            }
            chunked = true;
        }
    }

    let host = host.filter(|host| is_host(host)).ok_or(Refusal::Malformed)?;
    if target.authority.is_some_and(|authority| !authority.eq_ignore_ascii_case(host)) {
        return Err(Refusal::Malformed);
    }
    match (chunked, length) {
        (true, Some(_)) => Err(Refusal::Malformed),
        (true, None) if target.is_http_1_0 => Err(Refusal::Malformed),
        (true, None) => Ok(State::Chunk(Chunk::Size { value: 0, digits: 0 })),
        (false, None | Some(0)) => Ok(State::Head),
        (false, Some(length)) => Ok(State::Length(length)),
    }
}

struct RequestLine<'a> {
    authority: Option<&'a [u8]>,
    is_http_1_0: bool,
}

fn judge_request_line(line: &[u8], limits: HeadLimits) -> Result<RequestLine<'_>, Refusal> {
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Refusal::Malformed);
    };
    if method.is_empty() || !method.iter().all(|byte| is_token_byte(*byte)) {
        return Err(Refusal::Malformed);
    }
    if target.len() > limits.uri_bytes_max {
        return Err(Refusal::UriTooLong);
    }
    let is_http_1_0 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        _ => return Err(Refusal::Malformed),
    };
    if method == b"TRACE" || method == b"CONNECT" {
        return Err(Refusal::MethodNotAllowed);
    }
    if !target.iter().all(u8::is_ascii_graphic) {
        return Err(Refusal::Malformed);
    }
    let authority = match target {
        [b'/', ..] => None,
        b"*" if method == b"OPTIONS" => None,
        _ => {
            let rest = target.strip_prefix(b"http://").or_else(|| target.strip_prefix(b"https://"));
            let rest = rest.ok_or(Refusal::Malformed)?;
            let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
            Some(&rest[..end])
        }
    };
    Ok(RequestLine { authority, is_http_1_0 })
}

/// RFC 9110 §5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What a host name, an address or a port is written with; no userinfo, no list.
fn is_host(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-._~%:[]".contains(byte))
}

fn parse_length(value: &[u8]) -> Option<u64> {
    let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    digits.then(|| value.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
}

#[cfg(test)]
#[path = "framing_tests.rs"]
mod tests;
