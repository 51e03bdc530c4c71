//! Reads values out of a plan document and notes every mistake with the path to it.
//!
//! Leaves what keys mean to `lint`. A key that nobody asked for is a mistake.

use crate::money::{Decimal, MICROS};
use serde_json::{Map, Value};

/// One mistake in a plan document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct LintError {
    /// The path to the key, as in `rules[1].brackets.steps[0].from`.
    pub path: String,
    /// What is wrong and what to change.
    pub message: String,
}

/// What was found so far.
#[derive(Debug, Default)]
pub(super) struct Mistakes {
    wrong: Vec<LintError>,
}

impl Mistakes {
    pub(super) fn wrong(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.wrong.push(LintError { path: path.into(), message: message.into() });
    }

    /// All of them in document order.
    pub(super) fn in_document_order(self, document: &Value) -> Vec<LintError> {
        let mut paths = Vec::new();
        walk(document, String::new(), &mut paths);
        let place = |error: &LintError| place(&error.path, &paths);
        let mut wrong = self.wrong;
        wrong.sort_by_key(place);
        wrong.dedup();
        wrong
    }
}

fn walk(value: &Value, path: String, paths: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| walk(value, join(&path, key), paths)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| walk(value, format!("{path}[{index}]"), paths));
        }
        _ => {}
    }
    // A container stands after what it holds: a missing key is found once what is there was read.
    paths.push(path);
}

fn place(path: &str, paths: &[String]) -> usize {
    let mut path = path;
    loop {
        if let Some(found) = paths.iter().position(|known| known == path) {
            return found;
        }
        path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
    }
}

pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// An object of the document and the path to it.
#[derive(Debug, Clone)]
pub(super) struct Object<'a> {
    pub path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub(super) fn open(value: &'a Value, path: impl Into<String>, mistakes: &mut Mistakes) -> Option<Self> {
        let path = path.into();
        if let Value::Object(map) = value {
            return Some(Self { path, map });
        }
        mistakes.wrong(path, "must be an object");
        None
    }

    /// Refuses every key that is not one of these.
    pub(super) fn only(&self, keys: &[&str], mistakes: &mut Mistakes) {
        for key in self.map.keys().filter(|key| !keys.contains(&key.as_str())) {
            let message = format!("is not a known key; the keys here are {}", keys.join(", "));
            mistakes.wrong(join(&self.path, key), message);
        }
    }

    pub(super) fn at(&self, key: &str) -> String {
        join(&self.path, key)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub(super) fn value(&self, key: &str) -> Option<&'a Value> {
        self.map.get(key)
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a String, &'a Value)> {
        self.map.iter()
    }

    /// Notes a needed key that is not there.
    pub(super) fn require(&self, key: &str, mistakes: &mut Mistakes) {
        if !self.has(key) {
            mistakes.wrong(self.at(key), "is missing");
        }
    }

    pub(super) fn text(&self, key: &str, mistakes: &mut Mistakes) -> Option<&'a str> {
        let text = self.value(key)?.as_str().filter(|text| !text.is_empty());
        if text.is_none() {
            mistakes.wrong(self.at(key), "must be text and not empty");
        }
        text
    }

    pub(super) fn decimal(&self, key: &str, mistakes: &mut Mistakes) -> Option<Decimal> {
        decimal(self.value(key)?, &self.at(key), mistakes)
    }

    /// A decimal from 0 to 100.
    pub(super) fn percent(&self, key: &str, mistakes: &mut Mistakes) -> Option<Decimal> {
        let percent = self.decimal(key, mistakes)?;
        if !(0..=100 * MICROS).contains(&percent.0) {
            mistakes.wrong(self.at(key), "must be from 0 to 100");
        }
        Some(percent)
    }

    /// A decimal from 0 on.
    pub(super) fn not_negative(&self, key: &str, mistakes: &mut Mistakes) -> Option<Decimal> {
        let number = self.decimal(key, mistakes)?;
        if number < Decimal::ZERO {
            mistakes.wrong(self.at(key), "must not be below 0");
        }
        Some(number)
    }

    /// A whole number from `least` on.
    pub(super) fn whole(&self, key: &str, least: i64, mistakes: &mut Mistakes) -> Option<i64> {
        let number = self.value(key)?.as_i64().filter(|number| (least..=1_000_000).contains(number));
        if number.is_none() {
            mistakes.wrong(self.at(key), format!("must be a whole number from {least} to 1000000, without quotes"));
        }
        number
    }

    pub(super) fn flag(&self, key: &str, mistakes: &mut Mistakes) -> Option<bool> {
        let flag = self.value(key)?.as_bool();
        if flag.is_none() {
            mistakes.wrong(self.at(key), "must be true or false");
        }
        flag
    }

    /// One of the words, by `parse`.
    pub(super) fn word<T>(
        &self,
        key: &str,
        words: &str,
        parse: impl Fn(&str) -> Option<T>,
        mistakes: &mut Mistakes,
    ) -> Option<T> {
        let word = self.text(key, mistakes)?;
        let parsed = parse(word);
        if parsed.is_none() {
            mistakes.wrong(self.at(key), format!("must be {words}"));
        }
        parsed
    }

    /// A list of texts that is not empty.
    pub(super) fn texts(&self, key: &str, mistakes: &mut Mistakes) -> Vec<String> {
        let mut texts = Vec::new();
        for (path, value) in self.list(key, mistakes) {
            match value.as_str() {
                Some(text) if !text.is_empty() => texts.push(text.to_owned()),
                _ => mistakes.wrong(path, "must be text and not empty"),
            }
        }
        texts
    }

    /// The entries of a list that is not empty, each with its path.
    pub(super) fn list(&self, key: &str, mistakes: &mut Mistakes) -> Vec<(String, &'a Value)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let Some(list) = value.as_array().filter(|list| !list.is_empty()) else {
            mistakes.wrong(self.at(key), "must be a list and not empty");
            return Vec::new();
        };
        let entry = |(index, value)| (format!("{}[{index}]", self.at(key)), value);
        list.iter().enumerate().map(entry).collect()
    }
}

pub(super) fn decimal(value: &Value, path: &str, mistakes: &mut Mistakes) -> Option<Decimal> {
    let Some(text) = value.as_str() else {
        mistakes.wrong(path, "must be a decimal in quotes, as in \"2.50\"");
        return None;
    };
    Decimal::parse(text).map_err(|error| mistakes.wrong(path, error.to_string())).ok()
}
