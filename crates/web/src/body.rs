//! Reading a request's body: when the handler wants it, capped, and not for ever.
//!
//! The order at the edge is limits, key, rate, body, parse (`reliability.md` §4 point 13). So handlers take the body
//! unread (`axum::body::Body` as their last argument) and call [`read`] once the key is known: a stranger's megabytes
//! are never buffered. A compressed body is refused, hence the cap is on the bytes that will be parsed.
//!
//! A body that stalls is ended by the connection's own clock (`listener`), and shows here as [`BodyError::TooSlow`].

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;

/// The largest body of the referral dialect and of the management API (`conventions.md` §5).
pub const REFERRAL_BYTES_MAX: usize = 1024 * 1024;

/// The largest body of the brand and the forex dialect.
pub const BULK_BYTES_MAX: usize = 5 * 1024 * 1024;

/// Why there is no body to parse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// More bytes than allowed.
    #[error("The body is too large: send at most {bytes_max} bytes.")]
    TooLarge {
        /// The cap.
        bytes_max: usize,
    },
    /// It is compressed, or says so.
    #[error("Content-Encoding is not supported: send the body uncompressed.")]
    Encoded,
    /// It did not come in time.
    #[error("The body did not arrive in time.")]
    TooSlow,
    /// The connection broke, or its framing.
    #[error("The body could not be read to its end.")]
    Broken,
}

impl BodyError {
    /// The status that every dialect answers with.
    pub fn status(self) -> StatusCode {
        match self {
            Self::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoded => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

/// Reads a whole body of at most `bytes_max` bytes. Nothing is buffered of one that says it is larger.
pub async fn read(headers: &HeaderMap, mut body: Body, bytes_max: usize) -> Result<Bytes, BodyError> {
    if headers.contains_key(header::CONTENT_ENCODING) {
        return Err(BodyError::Encoded);
    }
    let too_large = BodyError::TooLarge { bytes_max };
    let stated = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if stated > bytes_max {
        return Err(too_large);
    }
    // Space for what was stated comes with the bytes, not before: a stated length costs the sender nothing.
    let mut buffer = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| fault_of(&error))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > bytes_max - buffer.len() {
            return Err(too_large);
        }
        if buffer.is_empty() && stated == data.len() {
            return Ok(data);
        }
        buffer.extend_from_slice(&data);
    }
    Ok(buffer.freeze())
}

fn fault_of(error: &axum::Error) -> BodyError {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = source {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == std::io::ErrorKind::TimedOut) {
            return BodyError::TooSlow;
        }
        source = error.source();
    }
    BodyError::Broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::body::Frame;
    use std::collections::VecDeque;
    use std::io;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// A body of unstated length, one frame for each piece.
    struct Pieces(VecDeque<io::Result<&'static [u8]>>);

    impl hyper::body::Body for Pieces {
        type Data = Bytes;
        type Error = io::Error;
        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
            Poll::Ready(self.0.pop_front().map(|piece| piece.map(|data| Frame::data(Bytes::from_static(data)))))
        }
    }

    fn streamed(pieces: impl IntoIterator<Item = io::Result<&'static [u8]>>) -> Body {
        Body::new(Pieces(pieces.into_iter().collect()))
    }

    #[tokio::test]
    async fn a_body_up_to_the_cap_is_read_and_one_byte_more_is_refused() {
        let none = HeaderMap::new();
        assert_eq!(read(&none, Body::from("hello"), 5).await, Ok(Bytes::from("hello")));
        assert_eq!(read(&none, Body::empty(), 0).await, Ok(Bytes::new()));
        assert_eq!(read(&none, streamed([Ok(&b"hel"[..]), Ok(&b"lo"[..])]), 5).await, Ok(Bytes::from("hello")));
        let too_large = Err(BodyError::TooLarge { bytes_max: 4 });
        assert_eq!(read(&none, Body::from("hello"), 4).await, too_large);
        assert_eq!(read(&none, streamed([Ok(&b"hel"[..]), Ok(&b"lo"[..])]), 4).await, too_large);
    }

    #[tokio::test]
    async fn a_body_over_the_cap_is_not_read_on() {
        // The second piece would be a fault of its own, if anyone asked for it.
        let pieces = [Ok(&b"hello"[..]), Err(io::ErrorKind::TimedOut.into())];
        assert_eq!(read(&HeaderMap::new(), streamed(pieces), 4).await, Err(BodyError::TooLarge { bytes_max: 4 }));
    }

    #[tokio::test]
    async fn any_content_encoding_is_refused_unread() {
        for encoding in ["gzip", "identity", "gzip, gzip", ""] {
            let headers = HeaderMap::from_iter([(header::CONTENT_ENCODING, encoding.parse().expect("a value"))]);
            assert_eq!(read(&headers, Body::from("x"), 10).await, Err(BodyError::Encoded));
        }
    }

    #[tokio::test]
    async fn a_stalled_body_is_told_from_a_broken_one() {
        for (kind, expected) in
            [(io::ErrorKind::TimedOut, BodyError::TooSlow), (io::ErrorKind::InvalidData, BodyError::Broken)]
        {
            let pieces = [Ok(&b"x"[..]), Err(kind.into())];
            assert_eq!(read(&HeaderMap::new(), streamed(pieces), 10).await, Err(expected));
        }
    }
}
