//! The fields of a JSON object, one at a time and typed; every complaint names its parameter and what to do.
//!
//! Handlers turn an object into domain types with this (`from_wire`). The text has passed `strict.rs` before. Numbers
//! keep their text, so money is exact and can be shown as it came. `null` counts as absent. Unknown fields are the
//! dialect's affair: it can ask for [`Fields::names`] and [`Fields::raw`].

use super::strict::{self, JsonError};
use headwater_domain::money::Decimal;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// A field that cannot be taken. A dialect turns it into its own error body.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FieldError {
    /// A code of the dialect; [`VALIDATION_FAILED`] for everything that is found here.
    pub code: &'static str,
    /// A whole sentence for the caller: what is wrong and what to do.
    pub message: String,
    /// The parameter with its path, as in `data.amount`.
    pub param: String,
}

/// The code of a field of the wrong kind, in the dialects that have one.
pub const VALIDATION_FAILED: &str = "validation_failed";

/// Why a body has no fields to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyNotFields {
    /// It is not JSON in the strict sense.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is JSON, but no object.
    #[error("The body must be a JSON object.")]
    NotAnObject,
}

/// A number with the text it was written in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecimalText {
    /// The exact value.
    pub value: Decimal,
    /// As the caller wrote it: `250.00`.
    pub text: String,
}

/// The largest integer that JSON readers keep exactly: 2^53 − 1.
const INTEGER_MAX: i64 = headwater_domain::ids::ID_MAX;

/// An object that is being read.
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    /// Before each name in a parameter: empty, or `data.`.
    prefix: String,
    entries: BTreeMap<String, &'a RawValue>,
}

/// Checks a body and opens its object.
pub fn parse_object(body: &[u8]) -> Result<Fields<'_>, BodyNotFields> {
    let text = strict::check(body)?;
    let entries = serde_json::from_str(text).map_err(|_| BodyNotFields::NotAnObject)?;
    Ok(Fields { prefix: String::new(), entries })
}

impl<'a> Fields<'a> {
    /// The parameter of this name with its path.
    pub fn param(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// An error of this field. The message is made of the parameter and the rest of a sentence: `must be …`.
    pub fn error(&self, name: &str, code: &'static str, rest: &str) -> FieldError {
        let param = self.param(name);
        FieldError { code, message: format!("{param} {rest}."), param }
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// The value as it was written, `null` included; `None` where the name is absent.
    pub fn raw(&self, name: &str) -> Option<&'a str> {
        self.entries.get(name).map(|value| value.get())
    }

    /// Whether it is there as `null`, which clears a field where absence keeps it.
    pub fn is_null(&self, name: &str) -> bool {
        self.raw(name) == Some("null")
    }

    /// The first of several spellings that is there and not `null`; else the first.
    pub fn spelling<'n>(&self, names: &[&'n str]) -> &'n str {
        let given = names.iter().find(|name| self.given(name).is_some());
        given.or(names.first()).copied().unwrap_or_default()
    }

    fn given(&self, name: &str) -> Option<&'a str> {
        self.raw(name).filter(|text| *text != "null")
    }

    fn invalid(&self, name: &str, rest: &str) -> FieldError {
        self.error(name, VALIDATION_FAILED, rest)
    }

    fn required<T>(&self, name: &str, value: Option<T>, kind: &str) -> Result<T, FieldError> {
        value.ok_or_else(|| self.invalid(name, &format!("is required: send {kind}")))
    }

    /// A string, if given.
    pub fn optional_string(&self, name: &str) -> Result<Option<String>, FieldError> {
        let Some(text) = self.given(name) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| self.invalid(name, "must be a string"))
    }

    /// A string. An empty one is as good as none.
    pub fn required_string(&self, name: &str) -> Result<String, FieldError> {
        let value = self.optional_string(name)?;
        self.required(name, value.filter(|value| !value.is_empty()), "a string that is not empty")
    }

    /// A string of at most this many characters, if given.
    pub fn optional_string_up_to(&self, name: &str, characters_max: usize) -> Result<Option<String>, FieldError> {
        let value = self.optional_string(name)?;
        if value.as_ref().is_some_and(|value| value.chars().count() > characters_max) {
            return Err(self.invalid(name, &format!("must have at most {characters_max} characters")));
        }
        Ok(value)
    }

    /// A name or an id: a string of at most this many characters, on one line and without control characters, if given.
    pub fn optional_line(&self, name: &str, characters_max: usize) -> Result<Option<String>, FieldError> {
        let value = self.optional_string_up_to(name, characters_max)?;
        if value.as_ref().is_some_and(|value| value.chars().any(char::is_control)) {
            return Err(self.invalid(name, "must have no control characters"));
        }
        Ok(value)
    }

    /// A text for people: as a line, but it may have several, and tabs.
    pub fn optional_lines(&self, name: &str, characters_max: usize) -> Result<Option<String>, FieldError> {
        let value = self.optional_string_up_to(name, characters_max)?;
        if value.as_deref().is_some_and(|value| !is_lines(value)) {
            return Err(self.invalid(name, "must have no control characters but line breaks and tabs"));
        }
        Ok(value)
    }

    /// `true` or `false`, if given.
    pub fn optional_bool(&self, name: &str) -> Result<Option<bool>, FieldError> {
        match self.given(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(self.invalid(name, "must be true or false")),
        }
    }

    /// A whole number up to 2^53 − 1 either way, if given. `1.0` and `1e3` are not whole numbers here.
    pub fn optional_integer(&self, name: &str) -> Result<Option<i64>, FieldError> {
        let Some(text) = self.given(name) else { return Ok(None) };
        let value = text.parse().ok().filter(|value| (-INTEGER_MAX..=INTEGER_MAX).contains(value));
        value.map(Some).ok_or_else(|| self.invalid(name, "must be a whole number below 2^53"))
    }

    /// A whole number.
    pub fn required_integer(&self, name: &str) -> Result<i64, FieldError> {
        let value = self.optional_integer(name)?;
        self.required(name, value, "a whole number")
    }

    /// A JSON number as an exact decimal (`conventions.md` §5), if given.
    pub fn optional_decimal(&self, name: &str) -> Result<Option<DecimalText>, FieldError> {
        let Some(text) = self.given(name) else { return Ok(None) };
        // A string would parse too, were it not for its quotes.
        let value = Decimal::parse(text);
        let value = value.map_err(|_| {
            self.invalid(
                name,
                "must be a JSON number written plainly, with at most 15 digits, six of them after the point, and below \
                 9000000000000 in size",
            )
        })?;
        // `-0.00` is the same as `0.00`, and is shown as it.
        let text = if value == Decimal::ZERO { text.trim_start_matches('-') } else { text };
        Ok(Some(DecimalText { value, text: text.to_owned() }))
    }

    /// A JSON number as an exact decimal.
    pub fn required_decimal(&self, name: &str) -> Result<DecimalText, FieldError> {
        let value = self.optional_decimal(name)?;
        self.required(name, value, "a number")
    }

    /// An object, if given; its fields know their path.
    pub fn optional_object(&self, name: &str) -> Result<Option<Fields<'a>>, FieldError> {
        let Some(text) = self.given(name) else { return Ok(None) };
        let entries = serde_json::from_str(text).map_err(|_| self.invalid(name, "must be an object"))?;
        Ok(Some(Fields { prefix: format!("{}.", self.param(name)), entries }))
    }

    /// An array of strings, if given.
    pub fn optional_strings(&self, name: &str) -> Result<Option<Vec<String>>, FieldError> {
        let Some(text) = self.given(name) else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| self.invalid(name, "must be an array of strings"))
    }

    /// Refuses `null` for these names: where a field can be changed, `null` would mean to clear it, and these cannot be.
    pub fn refuse_null(&self, names: &[&str]) -> Result<(), FieldError> {
        match names.iter().find(|name| self.is_null(name)) {
            Some(name) => Err(self.invalid(name, "cannot be cleared: send a value, or leave it out")),
            None => Ok(()),
        }
    }

    /// An array of strings.
    pub fn required_strings(&self, name: &str) -> Result<Vec<String>, FieldError> {
        let value = self.optional_strings(name)?;
        self.required(name, value, "an array of strings")
    }
}

/// Whether a text has no control characters but those that part its lines and columns.
pub fn is_lines(text: &str) -> bool {
    text.chars().all(|character| !character.is_control() || matches!(character, '\n' | '\r' | '\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = br#"{"event":"FIRST_DEPOSIT","live":true,"count":42,"clickId":null,"click_id":"01abc",
        "data":{"amount":250.00,"currency":"USD","utm":{"source":7}},"tags":["a","b"],"empty":""}"#;

    #[test]
    fn a_line_has_no_control_characters_and_a_text_has_line_breaks_alone() {
        let body = parse_object(b"{\"plain\":\"J\xc3\xb6rg M.\",\"two\":\"a\\r\\nb\\tc\",\"escape\":\"a\\u001b\",\"del\":\"\x7f\",\"c1\":\"\\u0085\"}");
        let body = body.expect("an object");
        let is_line = |name| body.optional_line(name, 20).is_ok();
        let is_lines = |name| body.optional_lines(name, 20).is_ok();
        assert_eq!(["plain", "two", "escape", "del", "c1"].map(is_line), [true, false, false, false, false]);
        assert_eq!(["plain", "two", "escape", "del", "c1"].map(is_lines), [true, true, false, false, false]);
        assert!(body.optional_line("plain", 6).is_err(), "and is as long as it may be");
    }

    #[test]
    fn fields_are_read_with_their_type() {
        let body = parse_object(BODY).expect("an object");
        assert_eq!(body.required_string("event").as_deref(), Ok("FIRST_DEPOSIT"));
        assert_eq!(body.optional_bool("live"), Ok(Some(true)));
        assert_eq!(body.required_integer("count"), Ok(42));
        assert_eq!(body.optional_string("clickId"), Ok(None));
        assert_eq!(body.spelling(&["clickId", "click_id"]), "click_id");
        assert_eq!(body.spelling(&["sessionId", "session_id"]), "sessionId");
        assert!(body.is_null("clickId") && !body.is_null("absent"));
        assert_eq!(body.required_strings("tags"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        let data = body.optional_object("data").expect("an object").expect("given");
        let amount = DecimalText { value: Decimal(250_000_000), text: "250.00".to_owned() };
        assert_eq!(data.required_decimal("amount"), Ok(amount));
        assert_eq!(data.raw("utm"), Some(r#"{"source":7}"#));
        assert_eq!(data.names().collect::<Vec<_>>(), ["amount", "currency", "utm"]);
    }

    #[test]
    fn complaints_name_the_parameter_and_the_remedy() {
        let body = parse_object(BODY).expect("an object");
        let data = body.optional_object("data").expect("an object").expect("given");
        let utm = data.optional_object("utm").expect("an object").expect("given");
        for (error, param, message) in [
            (body.required_string("x").expect_err("absent"), "x", "x is required: send a string that is not empty."),
            (
                body.required_string("empty").expect_err("empty"),
                "empty",
                "empty is required: send a string that is not empty.",
            ),
            (body.required_string("count").expect_err("no string"), "count", "count must be a string."),
            (body.optional_bool("event").expect_err("no bool"), "event", "event must be true or false."),
            (
                body.optional_integer("event").expect_err("no number"),
                "event",
                "event must be a whole number below 2^53.",
            ),
            (body.optional_object("tags").expect_err("no object"), "tags", "tags must be an object."),
            (body.optional_strings("data").expect_err("no array"), "data", "data must be an array of strings."),
            (
                body.optional_string_up_to("event", 5).expect_err("long"),
                "event",
                "event must have at most 5 characters.",
            ),
            (
                utm.optional_string("source").expect_err("no string"),
                "data.utm.source",
                "data.utm.source must be a string.",
            ),
        ] {
            assert_eq!((error.code, error.param.as_str(), error.message.as_str()), (VALIDATION_FAILED, param, message));
        }
    }

    #[test]
    fn a_number_outside_the_grammar_is_the_fields_error() {
        for number in ["1e5", "-0.0000001", "12345678901234567890123", "9000000000000", "\"250.00\"", "true", "[1]"] {
            let text = format!("{{\"amount\":{number}}}");
            let body = parse_object(text.as_bytes()).expect("valid JSON");
            assert_eq!(body.required_decimal("amount").expect_err(number).param, "amount");
        }
        for number in ["1e3", "1.0", "9007199254740992", "\"1\""] {
            let text = format!("{{\"id\":{number}}}");
            let body = parse_object(text.as_bytes()).expect("valid JSON");
            assert_eq!(body.optional_integer("id").expect_err(number).param, "id");
        }
    }

    #[test]
    fn a_body_that_is_no_object_has_no_fields() {
        assert_eq!(parse_object(b"[]").expect_err("an array"), BodyNotFields::NotAnObject);
        assert!(matches!(parse_object(b""), Err(BodyNotFields::Json(_))));
        assert!(matches!(parse_object(br#"{"a":1,"a":1}"#), Err(BodyNotFields::Json(_))));
    }
}
