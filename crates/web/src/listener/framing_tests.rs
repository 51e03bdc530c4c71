//! Claims about request framing, as tables and for all ways to cut the bytes.

use super::*;
use proptest::prelude::*;

/// Every step but `NeedMore`, with the bytes handed over in pieces.
fn steps(input: &[u8], cuts: &[usize]) -> (Vec<Bytes>, Vec<u8>, Option<Step>) {
    let mut framer = Framer::new(HeadLimits::default());
    let (mut heads, mut bodies, mut end) = (Vec::new(), Vec::new(), None);
    let mut from = 0;
    for to in cuts.iter().copied().chain([input.len()]) {
        let to = to.clamp(from, input.len());
        framer.push(&input[from..to]);
        from = to;
        loop {
            match framer.advance() {
                Step::NeedMore => break,
                Step::Head(head) => heads.push(head),
                Step::Body(body) => bodies.extend_from_slice(&body),
                other => {
                    end = Some(other);
                    break;
                }
            }
        }
    }
    (heads, bodies, end)
}

#[test]
fn pipelined_requests_end_where_their_framing_says() {
    let input = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello\
        POST /b HTTP/1.1\r\nhost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n\
        GET /c HTTP/1.1\r\nHost: h\r\n\r\n";
    let (heads, bodies, end) = steps(input, &[]);
    assert_eq!(heads.len(), 3);
    assert!(heads[2].starts_with(b"GET /c "));
    assert_eq!(bodies, b"hello3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n");
    assert_eq!(end, None);
}

#[test]
fn refused_heads() {
    let long = |count: usize| "a".repeat(count);
    for (input, refusal) in [
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 1, 1\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: +2\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999999999999\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nContent-Length:\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: xchunked\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Refusal::Malformed),
        (
            "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Refusal::Malformed,
        ),
        ("GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding : chunked\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refusal::Malformed),
        ("GET http://other/ HTTP/1.1\r\nHost: h\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\nHost: h\n\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nA: \0\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n", Refusal::Malformed),
        ("GET  / HTTP/1.1\r\nHost: h\r\n\r\n", Refusal::Malformed),
        ("GET /\r\nHost: h\r\n\r\n", Refusal::Malformed),
        ("GET / HTTP/2.0\r\nHost: h\r\n\r\n", Refusal::Malformed),
        ("GET relative HTTP/1.1\r\nHost: h\r\n\r\n", Refusal::Malformed),
        ("GET /é HTTP/1.1\r\nHost: h\r\n\r\n", Refusal::Malformed),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", Refusal::Malformed),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refusal::Malformed),
        ("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", Refusal::MethodNotAllowed),
        ("CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n\r\n", Refusal::MethodNotAllowed),
        (&format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", long(8192)), Refusal::UriTooLong),
        (&format!("GET /{}", long(70_000)), Refusal::UriTooLong),
        (&format!("GET / HTTP/1.1\r\nHost: h\r\nA: {}", long(17_000)), Refusal::HeadTooLarge),
        (&format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(64)), Refusal::HeadTooLarge),
    ] {
        let (heads, bodies, end) = steps(input.as_bytes(), &[]);
        let shown = &input[..input.len().min(90)];
        assert_eq!((heads.len(), bodies.len()), (0, 0), "{shown:?}");
        assert_eq!(end, Some(Step::Refused(refusal)), "{shown:?}");
    }
}

#[test]
fn accepted_heads() {
    for input in [
        "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "GET / HTTP/1.0\r\nHost: h\r\n\r\n".to_owned(),
        "GET http://h/x?y HTTP/1.1\r\nHost: h\r\n\r\n".to_owned(),
        "OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n".to_owned(),
        "GET / HTTP/1.1\r\nHost: h\r\nX-Name: \t é \r\n\r\n".to_owned(),
        format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "a".repeat(8191)),
        format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "A: b\r\n".repeat(63)),
    ] {
        let (heads, _, end) = steps(input.as_bytes(), &[]);
        assert_eq!((heads.len(), end), (1, None), "{:?}", &input[..input.len().min(90)]);
    }
}

#[test]
fn broken_chunks_end_the_connection_and_hide_what_follows() {
    for body in [
        "z\r\n",
        "\r\n",
        "3 \r\nabc\r\n0\r\n\r\n",
        "3;a=b\r\nabc\r\n0\r\n\r\n",
        "3\nabc\n0\n\n",
        "3\r\nabcd\r\n0\r\n\r\n",
        "0x3\r\nabc\r\n0\r\n\r\n",
        "-1\r\n",
        "fffffffff\r\n",
        "0\r\nTrailer: x\r\n\r\n",
    ] {
        let input = format!(
            "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n{body}GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
        );
        let (heads, _, end) = steps(input.as_bytes(), &[]);
        assert_eq!((heads.len(), end), (1, Some(Step::BrokenBody)), "{body:?}");
    }
}

proptest! {
    /// How the network cuts the bytes changes nothing.
    #[test]
    fn cuts_change_nothing(
        bodies in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 1..5),
        tail in "(|garbage\n|GET / HTTP/1.1\r\n\r\n|TRACE / HTTP/1.1\r\nHost: h\r\n\r\n)",
        mut cuts in prop::collection::vec(0_usize..600, 0..30),
    ) {
        let mut input = Vec::new();
        for (chunked, body) in &bodies {
            if *chunked {
                input.extend_from_slice(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
                for chunk in body.chunks(7) {
                    input.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                    input.extend_from_slice(chunk);
                    input.extend_from_slice(b"\r\n");
                }
                input.extend_from_slice(b"0\r\n\r\n");
            } else {
                input.extend_from_slice(
                    format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes());
                input.extend_from_slice(body);
            }
        }
        input.extend_from_slice(tail.as_bytes());
        cuts.sort_unstable();
        let whole = steps(&input, &[]);
        prop_assert_eq!(whole.0.len(), bodies.len());
        prop_assert_eq!(whole.2.is_some(), !tail.is_empty());
        prop_assert_eq!(steps(&input, &cuts), whole);
    }

    #[test]
    fn no_input_panics(input in prop::collection::vec(any::<u8>(), 0..400), cuts in prop::collection::vec(0_usize..400, 0..5)) {
        let _ = steps(&input, &cuts);
    }
}
