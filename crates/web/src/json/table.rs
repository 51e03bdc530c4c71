//! A dialect's field tables: one list of columns reads the records of a bulk request and is published as JSON Schema.
//!
//! So what the schema says and what is accepted cannot drift apart. All complaints about a record are found at once,
//! each with its field and the rule that it breaks. A record that passes has typed cells; nothing is checked again.
//! Leaves to the dialect what the complaints look like, and what the cells mean. Unknown fields are kept as they came.

use headwater_domain::codes;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::{Date, Stated, Zone};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// The longest string of a field without a cap of its own (the forex guide, "General Rules").
pub const TEXT_CHARACTERS_MAX: usize = 500;

/// A field of a record.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its published name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there and not `null`.
    pub is_required: bool,
}

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

/// A field that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The field's published name; empty: the record as a whole.
    pub field: String,
    /// The rule that it breaks: stable, for programs.
    pub rule: &'static str,
    /// For people: a whole sentence.
    pub message: String,
}

/// How the names of fields are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// As published.
    Exact,
    /// In any case.
    AnyCase,
}

/// A record that passed.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    columns: &'static [Column],
    /// In the order of the columns.
    fields: Vec<Seen<'a>>,
    /// What no column knows, in the record's order.
    pub others: Vec<(String, &'a str)>,
}

/// What a record has of a column.
#[derive(Debug, Clone)]
enum Seen<'a> {
    Absent,
    /// It is there and cannot be taken.
    Refused,
    Null,
    Given(Cell, &'a str),
}

/// A record as a list of named values.
struct Pairs<'a>(Vec<(Name<'a>, &'a RawValue)>);

/// The name of a field; a copy is only made of one with an escape.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Name<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(name))
            }
            fn visit_str<E>(self, name: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(name.to_owned()))
            }
        }
        deserializer.deserialize_str(Visitor).map(Name)
    }
}

impl<'de: 'a, 'a> serde::Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<'a>(std::marker::PhantomData<&'a ()>);
        impl<'de: 'a, 'a> serde::de::Visitor<'de> for Visitor<'a> {
            type Value = Pairs<'a>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: serde::de::MapAccess<'de>>(self, mut map: M) -> Result<Pairs<'a>, M::Error> {
                let mut pairs = Vec::with_capacity(map.size_hint().unwrap_or(12));
                while let Some(pair) = map.next_entry::<Name<'de>, &'de RawValue>()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor(std::marker::PhantomData))
    }
}

/// Reads one record; zoneless times are in `zone`.
///
/// # Errors
/// Every complaint about it.
pub fn read<'a>(
    columns: &'static [Column],
    spelling: Spelling,
    record: &'a RawValue,
    zone: &Zone,
) -> Result<Row<'a>, Vec<Refusal>> {
    let Ok(Pairs(pairs)) = serde_json::from_str(record.get()) else {
        return Err(vec![refusal("", "type", "A record must be a JSON object.")]);
    };
    let mut row = Row { columns, fields: vec![Seen::Absent; columns.len()], others: Vec::new() };
    let mut refusals = Vec::new();
    // Most senders keep the published order, so the next field is looked for behind the last one first.
    let mut next = 0;
    for (Name(name), value) in pairs {
        let is_it = |column: &Column| match spelling {
            Spelling::Exact => column.name == name,
            Spelling::AnyCase => column.name.eq_ignore_ascii_case(&name),
        };
        let in_order = columns.get(next).is_some_and(is_it).then_some(next);
        let Some(place) = in_order.or_else(|| columns.iter().position(is_it)) else {
            row.others.push((name.into_owned(), value.get()));
            continue;
        };
        next = place + 1;
        let column = &columns[place];
        if !matches!(row.fields[place], Seen::Absent) {
            refusals.push(refusal(column.name, "duplicate", &format!("{} is there twice.", column.name)));
            continue;
        }
        row.fields[place] = if value.get() == "null" {
            Seen::Null
        } else {
            match column.kind.read(value.get(), zone) {
                Ok(cell) => Seen::Given(cell, value.get()),
                Err((rule, rest)) => {
                    refusals.push(refusal(column.name, rule, &format!("{} {rest}.", column.name)));
                    Seen::Refused
                }
            }
        };
    }
    for (column, field) in columns.iter().zip(&row.fields).filter(|(column, _)| column.is_required) {
        if matches!(field, Seen::Absent | Seen::Null) {
            let message = format!("{} is required: send {}.", column.name, column.kind.what());
            refusals.push(refusal(column.name, "required", &message));
        }
    }
    if refusals.is_empty() { Ok(row) } else { Err(refusals) }
}

/// A complaint.
pub fn refusal(field: &str, rule: &'static str, message: &str) -> Refusal {
    Refusal { field: field.to_owned(), rule, message: message.to_owned() }
}

impl Row<'_> {
    /// The value as it was written, if the record has it.
    pub fn written(&self, name: &str) -> Option<Value> {
        match self.field(name) {
            Seen::Given(_, raw) => serde_json::from_str(raw).ok(),
            _ => None,
        }
    }
    /// What no column knows, as it was written.
    pub fn attributes(&self) -> Map<String, Value> {
        let read = |(name, raw): &(String, &str)| (name.clone(), serde_json::from_str(raw).unwrap_or_default());
        self.others.iter().map(read).collect()
    }
    /// The cell of a column, if the record has it.
    pub fn cell(&self, name: &str) -> Option<&Cell> {
        match self.field(name) {
            Seen::Given(cell, _) => Some(cell),
            _ => None,
        }
    }
    fn field(&self, name: &str) -> &Seen<'_> {
        let place = self.columns.iter().position(|column| column.name == name);
        place.map_or(&Seen::Absent, |place| &self.fields[place])
    }
    /// Whether the record has it as `null`.
    pub fn is_cleared(&self, name: &str) -> bool {
        matches!(self.field(name), Seen::Null)
    }
    /// A text or code.
    pub fn text(&self, name: &str) -> Option<String> {
        match self.cell(name) {
            Some(Cell::Text(text)) => Some(text.clone()),
            _ => None,
        }
    }
    /// A number.
    pub fn number(&self, name: &str) -> Option<Decimal> {
        match self.cell(name) {
            Some(Cell::Number(number)) => Some(*number),
            _ => None,
        }
    }
    /// A currency.
    pub fn currency(&self, name: &str) -> Option<Currency> {
        match self.cell(name) {
            Some(Cell::Currency(currency)) => Some(*currency),
            _ => None,
        }
    }
    /// A moment or day.
    pub fn moment(&self, name: &str) -> Option<Stated> {
        match self.cell(name) {
            Some(Cell::Moment(stated)) => Some(*stated),
            _ => None,
        }
    }
    /// A day.
    pub fn day(&self, name: &str) -> Option<Date> {
        match self.cell(name) {
            Some(Cell::Day(day)) => Some(*day),
            _ => None,
        }
    }
}

type Broken = (&'static str, String);

impl Kind {
    fn read(self, raw: &str, zone: &Zone) -> Result<Cell, Broken> {
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

    fn what(self) -> String {
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

    fn schema(self) -> Value {
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

/// The published schema of a bulk body of such records (JSON Schema 2020-12).
pub fn schema(title: &str, columns: &[Column], records_max: usize) -> Value {
    let nullable = |column: &Column| {
        let schema = column.kind.schema();
        if column.is_required { schema } else { json!({"anyOf": [schema, {"type": "null"}]}) }
    };
    let properties: Map<_, _> = columns.iter().map(|column| (column.name.to_owned(), nullable(column))).collect();
    let required: Vec<_> = columns.iter().filter(|c| c.is_required).map(|c| c.name).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, "type": "array", "minItems": 1,
        "maxItems": records_max,
        "items": {"type": "object", "required": required, "properties": properties, "additionalProperties": true},
    })
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
