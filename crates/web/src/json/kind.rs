//! What a field of a table may hold: read from its JSON, said in words, and published as JSON Schema.
//!
//! The three stand side by side for each kind, so that they say the same.

use headwater_domain::codes;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::{Date, Stated, Zone};
use serde_json::{Value, json};
use std::borrow::Cow;

/// The longest string of a field without a cap of its own (the forex guide, "General Rules").
pub const TEXT_CHARACTERS_MAX: usize = 500;

/// What a field holds.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A string that is not empty.
    Id,
    /// A string of at most this many characters.
    Text(usize),
    /// ISO 3166-1 alpha-2.
    Country,
    /// ISO 639-1.
    Language,
    /// ISO 4217.
    Currency,
    /// An email address.
    Email,
    /// `1:100`.
    Leverage,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A day, or a day and a time with or without a zone.
    Moment,
    /// `YYYY-MM-DD`.
    Day,
    /// A plain JSON number.
    Number(Bounds),
    /// A plain decimal in a string, or a number.
    DecimalText,
}

/// What a number may be.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Whether it may be below zero.
    pub is_signed: bool,
    /// How many digits may follow the point.
    pub places: u32,
}

/// A field's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Text and codes; codes in their usual case.
    Text(String),
    /// A number, exactly.
    Number(Decimal),
    /// A currency.
    Currency(Currency),
    /// A moment or a day.
    Moment(Stated),
    /// A day.
    Day(Date),
}

/// A rule that a field breaks, and what must be instead.
type Broken = (&'static str, String);

impl Kind {
    /// The value of a field; else the rule that it breaks, and the rest of a sentence that begins with its name.
    pub(super) fn read(self, raw: &str, zone: &Zone) -> Result<Cell, Broken> {
        match self {
            Self::Number(bounds) => {
                let number = Decimal::parse(raw).map_err(|_| not_a_number(raw))?;
                bounds.check(number).map(Cell::Number)
            }
            Self::DecimalText => {
                let text = plain_text(raw);
                let number = Decimal::parse(text.as_deref().unwrap_or(raw)).map_err(|_| not_a_number(raw))?;
                Ok(Cell::Number(number))
            }
            _ => {
                let text = plain_text(raw).ok_or_else(|| ("type", "must be a string".to_owned()))?;
                self.read_text(&text, zone)
            }
        }
    }

    fn read_text(self, text: &str, zone: &Zone) -> Result<Cell, Broken> {
        let broken = |rule, rest: &str| Err((rule, rest.to_owned()));
        let characters_max = if let Self::Text(characters) = self { characters } else { TEXT_CHARACTERS_MAX };
        if text.len() > characters_max && text.chars().count() > characters_max {
            return Err(("max_length", format!("must have at most {characters_max} characters")));
        }
        let coded = |code: Option<String>, rule, name: &str| {
            code.map(Cell::Text).ok_or_else(|| (rule, format!("must be {name}: {text} is none")))
        };
        match self {
            Self::Id if text.trim().is_empty() => broken("min_length", "must not be empty"),
            Self::Country => coded(codes::country(text), "iso3166", "an ISO 3166-1 alpha-2 code"),
            Self::Language => coded(codes::language(text), "iso639", "an ISO 639-1 code"),
            Self::Currency => match Currency::parse(text) {
                Some(currency) => Ok(Cell::Currency(currency)),
                None => Err(("iso4217", format!("must be an ISO 4217 code: {text} is none"))),
            },
            Self::Email if !is_email(text) => broken("email", "must be an email address"),
            Self::Leverage if !is_leverage(text) => broken("pattern", "must look like 1:100"),
            Self::OneOf(words) if !words.contains(&text) => {
                Err(("enum", format!("must be one of {}", words.join(", "))))
            }
            Self::Moment => match zone.read(text) {
                Some(stated) => Ok(Cell::Moment(stated)),
                None => broken("date_time", "must be an ISO 8601 time, such as 2026-02-03T10:11:00Z"),
            },
            Self::Day => match text.parse().ok().filter(|_| text.len() == 10) {
                Some(day) => Ok(Cell::Day(day)),
                None => broken("date", "must be a day as YYYY-MM-DD"),
            },
            _ => Ok(Cell::Text(text.to_owned())),
        }
    }

    /// What to send, in words.
    pub(super) fn what(self) -> String {
        match self {
            Self::Id => "a string that is not empty".to_owned(),
            Self::Text(_) => "a string".to_owned(),
            Self::Country => "an ISO 3166-1 alpha-2 code".to_owned(),
            Self::Language => "an ISO 639-1 code".to_owned(),
            Self::Currency => "an ISO 4217 code".to_owned(),
            Self::Email => "an email address".to_owned(),
            Self::Leverage => "a leverage such as 1:100".to_owned(),
            Self::OneOf(words) => format!("one of {}", words.join(", ")),
            Self::Moment => "an ISO 8601 time".to_owned(),
            Self::Day => "a day as YYYY-MM-DD".to_owned(),
            Self::Number(_) => "a number".to_owned(),
            Self::DecimalText => "a decimal in a string".to_owned(),
        }
    }

    /// As JSON Schema.
    pub(super) fn schema(self) -> Value {
        let text = |more: Value| {
            let mut schema = json!({"type": "string", "maxLength": TEXT_CHARACTERS_MAX});
            if let (Value::Object(schema), Value::Object(more)) = (&mut schema, more) {
                schema.extend(more);
            }
            schema
        };
        match self {
            Self::Id => text(json!({"minLength": 1})),
            Self::Text(characters) => text(json!({"maxLength": characters})),
            Self::Country => text(json!({"pattern": "^[A-Za-z]{2}$", "description": "ISO 3166-1 alpha-2"})),
            Self::Language => text(json!({"pattern": "^[A-Za-z]{2}$", "description": "ISO 639-1"})),
            Self::Currency => text(json!({"pattern": "^[A-Za-z]{3}$", "description": "ISO 4217"})),
            Self::Email => text(json!({"format": "email"})),
            Self::Leverage => text(json!({"pattern": "^\\d{1,2}:\\d{1,4}$"})),
            Self::OneOf(words) => text(json!({"enum": words})),
            Self::Moment => text(json!({
                "description": "ISO 8601; without a zone it is in the program's",
                "pattern": "^\\d{4}-\\d{2}-\\d{2}([T ]\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?(Z|[+-]\\d{2}:?\\d{2})?)?$",
            })),
            Self::Day => text(json!({"format": "date", "pattern": "^\\d{4}-\\d{2}-\\d{2}$"})),
            Self::Number(bounds) => bounds.schema(),
            Self::DecimalText => json!({
                "type": ["string", "number"], "pattern": "^-?(0|[1-9]\\d*)(\\.\\d{1,6})?$",
                "description": "a decimal of at most 15 significant digits",
            }),
        }
    }
}

impl Bounds {
    fn check(self, number: Decimal) -> Result<Decimal, Broken> {
        if !self.is_signed && number < Decimal::ZERO {
            return Err(("minimum", "must not be below 0".to_owned()));
        }
        let step = 10_i64.pow(6_u32.saturating_sub(self.places));
        if number.0 % step != 0 {
            return Err(("decimal_places", format!("must have at most {} digits after the point", self.places)));
        }
        Ok(number)
    }

    fn schema(self) -> Value {
        let mut schema = json!({
            "type": "number", "description": format!("at most 15 significant digits, {} after the point", self.places),
        });
        if !self.is_signed {
            schema["minimum"] = 0.into();
        }
        schema
    }
}

/// The text of a JSON string; a copy is only made of one with an escape.
fn plain_text(raw: &str) -> Option<Cow<'_, str>> {
    let inside = raw.strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(raw).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

fn not_a_number(raw: &str) -> Broken {
    match raw.as_bytes().first() {
        Some(b'-' | b'0'..=b'9' | b'"') => (
            "decimal",
            "must be a plain decimal with at most 15 significant digits, six of them after the point, below \
             9000000000000 in size"
                .to_owned(),
        ),
        _ => ("type", "must be a number".to_owned()),
    }
}

fn is_email(text: &str) -> bool {
    let text = text.trim();
    let parts: Vec<_> = text.split('@').collect();
    parts.len() == 2 && parts.iter().all(|part| !part.is_empty()) && !text.contains(char::is_whitespace)
}

fn is_leverage(text: &str) -> bool {
    let digits = |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    text.split_once(':').is_some_and(|(one, many)| digits(one, 2) && digits(many, 4))
}
