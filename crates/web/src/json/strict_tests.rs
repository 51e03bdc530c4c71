//! Claims about strict JSON: a table of refusals, and agreement with `serde_json` where that is strict too.

use super::*;
use proptest::prelude::*;
use serde_json::Value;

#[test]
fn refusals_name_the_place() {
    let deep = format!("{}1{}", "[".repeat(33), "]".repeat(33));
    for (text, fault, at_byte, pointer) in [
        (&b""[..], Fault::Empty, 0, ""),
        (b"  \n", Fault::Empty, 3, ""),
        (b"\xef\xbb\xbf{}", Fault::ByteOrderMark, 0, ""),
        (b"{\"a\":\"\xff\"}", Fault::NotUtf8, 6, ""),
        (br#"{"a":1,"a":2}"#, Fault::DuplicateKey, 7, "/a"),
        (br#"{"a":1,"\u0061":2}"#, Fault::DuplicateKey, 7, "/a"),
        (br#"{"data":[{"x/y":{"b":1,"b":1}}]}"#, Fault::DuplicateKey, 23, "/data/0/x~1y/b"),
        (br#"{"a":"\u0000"}"#, Fault::Nul, 6, "/a"),
        (b"{\"a\":\"\0\"}", Fault::Nul, 6, "/a"),
        (b"\0", Fault::Nul, 0, ""),
        (br#"{"\u0000":1}"#, Fault::Nul, 2, ""),
        (br#"["\ud800"]"#, Fault::LoneSurrogate, 2, "/0"),
        (br#"["\ude00\ud83d"]"#, Fault::LoneSurrogate, 2, "/0"),
        (br#"["\ud83d\ud83d"]"#, Fault::LoneSurrogate, 2, "/0"),
        (br#"["\ud83dx"]"#, Fault::LoneSurrogate, 2, "/0"),
        (b"[\"a\nb\"]", Fault::Control, 3, "/0"),
        (br#"["\x"]"#, Fault::Escape, 2, "/0"),
        (br#"["\u12g4"]"#, Fault::Escape, 2, "/0"),
        (b"{} {}", Fault::Trailing, 3, ""),
        (b"1,", Fault::Trailing, 1, ""),
        (b"[1,]", Fault::Unexpected, 3, "/1"),
        (b"{\"a\":1,}", Fault::Unexpected, 7, ""),
        (b"{'a':1}", Fault::Unexpected, 1, ""),
        (b"[01]", Fault::Unexpected, 2, ""),
        (b"[+1]", Fault::Unexpected, 1, "/0"),
        (b"[1.]", Fault::Unexpected, 3, "/0"),
        (b"[.5]", Fault::Unexpected, 1, "/0"),
        (b"[NaN]", Fault::Unexpected, 1, "/0"),
        (b"[nul]", Fault::Unexpected, 4, "/0"),
        (b"[1", Fault::EarlyEnd, 2, ""),
        (b"{\"a", Fault::EarlyEnd, 3, ""),
        (deep.as_bytes(), Fault::TooDeep, 32, &"/0".repeat(32)),
    ] {
        let expected = JsonError { fault, at_byte, pointer: pointer.to_owned() };
        assert_eq!(check(text), Err(expected), "{}", String::from_utf8_lossy(text));
    }
}

#[test]
fn accepted_texts() {
    let deep = format!("{}1{}", "[".repeat(32), "]".repeat(32));
    for text in [
        "{}",
        " [ ] ",
        "\"\\ud83d\\ude00 \\\"\\/ é 😀\"",
        "-0.5e-3",
        "12345678901234567890123",
        "{\"a\":{\"a\":null},\"b\":[{\"a\":true},{\"a\":false}]}",
        &deep,
    ] {
        assert_eq!(check(text.as_bytes()), Ok(text));
    }
}

#[test]
fn a_hostile_depth_does_not_end_the_stack() {
    assert_eq!(check("[".repeat(1_000_000).as_bytes()).map_err(|error| error.fault), Err(Fault::TooDeep));
}

fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[^\0]{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[^\0]{0,4}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_serde_writes_is_accepted(value in document()) {
        let text = value.to_string();
        prop_assert_eq!(check(text.as_bytes()), Ok(text.as_str()));
        let pretty = serde_json::to_string_pretty(&value).expect("a document");
        prop_assert!(check(pretty.as_bytes()).is_ok());
    }

    /// One byte changed, dropped or added: what is still accepted, serde reads; what serde refuses, is refused.
    #[test]
    fn nothing_is_accepted_that_serde_refuses(value in document(), at in any::<prop::sample::Index>(), byte: u8, kind in 0..3) {
        let mut bytes = value.to_string().into_bytes();
        let at = at.index(bytes.len());
        match kind {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, byte),
        }
        let serde = serde_json::from_slice::<Value>(&bytes);
        let out_of_range = serde.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range"));
        if check(&bytes).is_ok() {
            prop_assert!(serde.is_ok() || out_of_range, "{:?}", String::from_utf8_lossy(&bytes));
        } else if let Ok(value) = serde {
            // Serde is laxer in exactly two ways that one byte can bring about.
            let fault = check(&bytes).expect_err("checked above").fault;
            prop_assert!(matches!(fault, Fault::DuplicateKey | Fault::Nul), "{value} {fault}");
        }
    }

    #[test]
    fn no_input_panics(bytes in prop::collection::vec(prop_oneof![prop::sample::select(b"{}[]\",:\\u0d8e1 \n".to_vec()), any::<u8>()], 0..60)) {
        let _ = check(&bytes);
    }
}
