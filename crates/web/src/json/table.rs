//! A dialect's field tables: one list of columns reads the records of a bulk request and is published as JSON Schema.
//!
//! So what the schema says and what is accepted cannot drift apart. All complaints about a record are found at once,
//! each with its field and the rule that it breaks. A record that passes has typed cells; nothing is checked again.
//! Leaves to the dialect what the complaints look like, and what the cells mean. Unknown fields are kept as they came.

pub use super::kind::{Bounds, Cell, Kind, TEXT_CHARACTERS_MAX};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::{Date, Stated, Zone};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

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
