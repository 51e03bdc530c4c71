//! Whether a text is JSON that every reader understands alike, decided before anything parses it.
//!
//! Parsers differ on duplicate keys (first or last wins), lone surrogates, NUL and depth, and the two stores differ on
//! NUL (`reliability.md` P12, P13). Such a text is refused here, so no later code has to think of it. What a field may
//! hold is left to `field.rs`; a number that is JSON but no decimal of ours is that field's error.
//!
//! One pass, no allocation but the keys of the objects that are open.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

/// Objects and arrays inside one another (`conventions.md` §5).
pub const DEPTH_MAX: usize = 32;

/// Where and why a text was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub fault: Fault,
    /// The offset of the byte at fault.
    pub at_byte: usize,
    /// The JSON pointer (RFC 6901) of the value that was being read; empty at the root.
    pub pointer: String,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The body is not acceptable JSON: {} at byte {}", self.fault, self.at_byte)?;
        if self.pointer.is_empty() { f.write_str(".") } else { write!(f, ", in {}.", self.pointer) }
    }
}

impl std::error::Error for JsonError {}

/// What can be wrong with a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but white space.
    #[error("it is empty")]
    Empty,
    /// It begins with a byte order mark.
    #[error("a byte order mark")]
    ByteOrderMark,
    /// Bytes that are no UTF-8.
    #[error("bytes that are not UTF-8")]
    NotUtf8,
    /// Another character than the grammar wants.
    #[error("an unexpected character")]
    Unexpected,
    /// The text ends in the middle of a value.
    #[error("an early end")]
    EarlyEnd,
    /// Something follows the value.
    #[error("bytes after the end of the value")]
    Trailing,
    /// Deeper than [`DEPTH_MAX`].
    #[error("nesting deeper than 32 levels")]
    TooDeep,
    /// The same key twice in one object.
    #[error("a key that was there before in the same object")]
    DuplicateKey,
    /// U+0000, as a byte or escaped.
    #[error("a NUL character")]
    Nul,
    /// A control character that is not escaped.
    #[error("a control character that is not escaped")]
    Control,
    /// `\x` and the like.
    #[error("an unknown escape")]
    Escape,
    /// One half of a surrogate pair.
    #[error("half of a surrogate pair")]
    LoneSurrogate,
}

/// The text of `bytes`, if it is JSON in the strict sense of this file.
pub fn check(bytes: &[u8]) -> Result<&str, JsonError> {
    let at_root = |fault, at_byte| JsonError { fault, at_byte, pointer: String::new() };
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(at_root(Fault::ByteOrderMark, 0));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| at_root(Fault::NotUtf8, error.valid_up_to()))?;
    let mut scanner = Scanner { text, at: 0, path: Vec::new() };
    match scanner.document() {
        Ok(()) => Ok(text),
        Err(fault) => Err(JsonError { fault, at_byte: scanner.at, pointer: scanner.pointer() }),
    }
}

enum Segment<'a> {
    Key(Cow<'a, str>),
    Index(usize),
}

/// Stops at the byte at fault, with the path to it still standing.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    path: Vec<Segment<'a>>,
}

/// The keys of an open object. Few are compared one by one; a set comes with more, so that no object takes long.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: BTreeSet<Cow<'a, str>>,
}

/// Objects of records have no more.
const KEYS_FEW_MAX: usize = 24;

impl<'a> Keys<'a> {
    /// Whether it was not there before.
    fn insert(&mut self, key: Cow<'a, str>) -> bool {
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() < KEYS_FEW_MAX {
            self.few.push(key);
            return true;
        }
        self.many.insert(key)
    }
}

impl<'a> Scanner<'a> {
    fn document(&mut self) -> Result<(), Fault> {
        self.skip_space();
        if self.peek().is_none() {
            return Err(Fault::Empty);
        }
        self.value(0)?;
        self.skip_space();
        if self.peek().is_none() { Ok(()) } else { Err(Fault::Trailing) }
    }

    fn pointer(&self) -> String {
        let escape = |key: &str| key.replace('~', "~0").replace('/', "~1");
        let segment = |segment: &Segment<'_>| match segment {
            Segment::Key(key) => format!("/{}", escape(key)),
            Segment::Index(index) => format!("/{index}"),
        };
        self.path.iter().map(segment).collect()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// What is wrong with the character here, where another was wanted.
    fn fault_here(&self) -> Fault {
        match self.peek() {
            None => Fault::EarlyEnd,
            Some(0) => Fault::Nul,
            Some(_) => Fault::Unexpected,
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() != Some(byte) {
            return Err(self.fault_here());
        }
        self.at += 1;
        Ok(())
    }

    fn value(&mut self, depth: usize) -> Result<(), Fault> {
        match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => Err(Fault::TooDeep),
            Some(b'{') => self.object(depth + 1),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            _ => Err(self.fault_here()),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        let mut seen = Keys::default();
        loop {
            self.skip_space();
            let key_at = self.at;
            let key = self.string()?;
            if !seen.insert(key.clone()) {
                self.at = key_at;
                self.path.push(Segment::Key(key));
                return Err(Fault::DuplicateKey);
            }
            self.path.push(Segment::Key(key));
            self.skip_space();
            self.expect(b':')?;
            self.skip_space();
            self.value(depth)?;
            self.path.pop();
            if self.ends_with(b'}')? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        self.at += 1;
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        for index in 0.. {
            self.skip_space();
            self.path.push(Segment::Index(index));
            self.value(depth)?;
            self.path.pop();
            if self.ends_with(b']')? {
                break;
            }
        }
        Ok(())
    }

    /// After an element: `false` for a comma, `true` for the end.
    fn ends_with(&mut self, close: u8) -> Result<bool, Fault> {
        self.skip_space();
        let ends = self.peek() == Some(close);
        if !ends && self.peek() != Some(b',') {
            return Err(self.fault_here());
        }
        self.at += 1;
        Ok(ends)
    }

    fn word(&mut self, word: &str) -> Result<(), Fault> {
        word.bytes().try_for_each(|byte| self.expect(byte))
    }

    fn digits(&mut self) -> Result<(), Fault> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.fault_here());
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Reads a string; a copy is only made of one with an escape.
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect(b'"')?;
        let from = self.at;
        let mut decoded: Option<String> = None;
        loop {
            let plain = self.at;
            let rest = &self.text.as_bytes()[plain..];
            let is_plain = |byte: &u8| *byte >= b' ' && *byte != b'"' && *byte != b'\\';
            let Some(length) = rest.iter().position(|byte| !is_plain(byte)) else {
                self.at = self.text.len();
                return Err(Fault::EarlyEnd);
            };
            self.at += length;
            if let Some(decoded) = &mut decoded {
                decoded.push_str(&self.text[plain..self.at]);
            }
            match self.text.as_bytes()[self.at] {
                b'"' => {
                    let text = &self.text[from..self.at];
                    self.at += 1;
                    return Ok(decoded.map_or(Cow::Borrowed(text), Cow::Owned));
                }
                b'\\' => {
                    let before = self.at;
                    let character = self.escape()?;
                    decoded.get_or_insert_with(|| self.text[from..before].to_owned()).push(character);
                }
                0 => return Err(Fault::Nul),
                _ => return Err(Fault::Control),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Fault> {
        let kind = self.text.as_bytes().get(self.at + 1).ok_or(Fault::EarlyEnd)?;
        let character = match kind {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\x08',
            b'f' => '\x0c',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode_escape(),
            _ => return Err(Fault::Escape),
        };
        self.at += 2;
        Ok(character)
    }

    fn unicode_escape(&mut self) -> Result<char, Fault> {
        let first = self.code_unit(self.at)?;
        if first == 0 {
            return Err(Fault::Nul);
        }
        let is_high = (0xd800..0xdc00).contains(&first);
        if is_high && self.text.as_bytes().get(self.at + 6) == Some(&b'\\') {
            let second = self.code_unit(self.at + 6).map_err(|_| Fault::LoneSurrogate)?;
            if (0xdc00..0xe000).contains(&second) {
                self.at += 12;
                let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                return char::from_u32(point).ok_or(Fault::LoneSurrogate);
            }
        }
        let character = char::from_u32(first).ok_or(Fault::LoneSurrogate)?;
        self.at += 6;
        Ok(character)
    }

    /// The four hexadecimal digits of the `\uXXXX` at `at`.
    fn code_unit(&self, at: usize) -> Result<u32, Fault> {
        let escape = self.text.as_bytes().get(at..at + 6).ok_or(Fault::EarlyEnd)?;
        let digits = escape.strip_prefix(b"\\u").ok_or(Fault::Escape)?;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16).ok_or(Fault::Escape)?;
            Ok(unit * 16 + digit)
        })
    }
}

#[cfg(test)]
#[path = "strict_tests.rs"]
mod tests;
