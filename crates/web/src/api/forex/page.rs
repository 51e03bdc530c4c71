//! Lists of this dialect: `page` and `per_page`, or a cursor that wins over `page`, in the published envelope.
//!
//! The cursor is base64 of `{"id":1300,"total":1250}`, after the published sample: the position of the last record that was
//! shown, and how many there were when the walk began, so that a walk of many pages counts once.

use super::caller::ForexError;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_app::listing::Part;
use http::header;
use serde_json::value::RawValue;
use serde_json::{Value, json};

const PER_PAGE_DEFAULT: i64 = 50;
const PER_PAGE_MAX: i64 = 500;
/// Far beyond any list.
const PAGE_MAX: i64 = 1_000_000_000;

/// What was asked, and which of it was not looked at yet.
#[derive(Debug)]
pub struct Asked {
    pairs: Vec<(String, String)>,
    page: i64,
    per_page: i64,
    after: Option<Position>,
}

/// Where a walk stands: after this record, of this many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    id: i64,
    total: Option<i64>,
}

/// An object as it is shown, its numbers as exact text.
#[derive(Debug, Default)]
pub struct Shown(String);

impl Asked {
    /// Reads where a list is to begin; the filters of this list are the other names that it may have.
    pub fn parse(pairs: Vec<(String, String)>, filters: &[&str]) -> Result<Self, ForexError> {
        let known =
            |name: &String| ["page", "per_page", "cursor"].contains(&name.as_str()) || filters.contains(&name.as_str());
        if let Some((name, _)) = pairs.iter().find(|(name, _)| !known(name)) {
            let message = format!("{name} is no filter of this list: it has {}.", filters.join(", "));
            return Err(ForexError::bad_parameter(name, "unknown_parameter", &message));
        }
        for (at, (name, value)) in pairs.iter().enumerate() {
            if pairs[..at].iter().any(|(known, _)| known == name) {
                return Err(ForexError::bad_parameter(name, "unique", &format!("{name} must be sent once.")));
            }
            if value.contains(['\0', '\u{fffd}']) {
                return Err(ForexError::bad_parameter(
                    name,
                    "text",
                    &format!("{name} must be UTF-8 text without NUL."),
                ));
            }
        }
        let mut asked = Self { pairs, page: 1, per_page: PER_PAGE_DEFAULT, after: None };
        asked.page = asked.whole("page", 1, PAGE_MAX)?.unwrap_or(1);
        asked.per_page = asked.whole("per_page", 1, PER_PAGE_MAX)?.unwrap_or(PER_PAGE_DEFAULT);
        if let Some(text) = asked.text("cursor") {
            let position = position(text);
            let message = "cursor must be the next_cursor of an earlier page.";
            asked.after = Some(position.ok_or_else(|| ForexError::bad_parameter("cursor", "cursor", message))?);
        }
        Ok(asked)
    }

    /// A parameter, if it is there and not empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        let found = self.pairs.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn whole(&self, name: &str, least: i64, most: i64) -> Result<Option<i64>, ForexError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        let message = format!("{name} must be a whole number from {least} to {most}.");
        number.map(Some).ok_or_else(|| ForexError::bad_parameter(name, "range", &message))
    }

    /// One more than is shown, to know whether there are more.
    pub fn part(&self) -> Part {
        let offset = if self.after.is_some() { 0 } else { (self.page - 1) * self.per_page };
        let is_counted = self.after.is_none_or(|position| position.total.is_none());
        Part { after_id: self.after.map_or(0, |position| position.id), limit: self.per_page + 1, offset, is_counted }
    }

    /// The answer from the rows of [`Self::part`], each with its position.
    pub fn answer(&self, rows: Vec<(i64, Shown)>, counted: i64) -> Response {
        let total = self.after.and_then(|position| position.total).unwrap_or(counted);
        let shown = usize::try_from(self.per_page).expect("checked when parsed");
        let has_more = rows.len() > shown;
        let next = rows.get(shown.saturating_sub(1)).filter(|_| has_more).map(|(id, _)| cursor(*id, total));
        let data: Vec<_> = rows.into_iter().take(shown).map(|(_, row)| row.finish()).collect();
        let meta = json!({"total": total, "page": self.page, "per_page": self.per_page, "next_cursor": next});
        let body = format!("{{\"data\":[{}],\"meta\":{meta}}}", data.join(","));
        ([(header::CONTENT_TYPE, "application/json")], body).into_response()
    }
}

fn cursor(id: i64, total: i64) -> String {
    STANDARD.encode(json!({"id": id, "total": total}).to_string())
}

fn position(text: &str) -> Option<Position> {
    let value: Value = serde_json::from_slice(&STANDARD.decode(text).ok()?).ok()?;
    let number = |name: &str| value.get(name).and_then(Value::as_i64).filter(|number| *number >= 0);
    Some(Position { id: number("id")?, total: number("total") })
}

impl Shown {
    /// Adds a field.
    pub fn put(&mut self, name: &str, value: &Value) {
        self.put_text(name, &value.to_string());
    }

    /// Adds a number, as decimal text.
    pub fn put_number(&mut self, name: &str, number: Option<&str>) {
        // Numbers come from our own decimals; anything else would break the whole answer.
        let plain = number.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
        self.put_text(name, plain.map_or("null", RawValue::get));
    }

    fn put_text(&mut self, name: &str, json: &str) {
        let comma = if self.0.is_empty() { "" } else { "," };
        self.0 = format!("{}{comma}{}:{json}", self.0, Value::from(name));
    }

    fn finish(self) -> String {
        format!("{{{}}}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Part, ForexError> {
        let pairs = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Asked::parse(pairs, &["status"]).map(|asked| asked.part())
    }

    #[test]
    fn pages_and_cursors_say_where_a_list_begins() {
        for (query, expected) in [
            ("", (0, 51, 0)),
            ("page=3&per_page=10", (0, 11, 20)),
            ("cursor=eyJpZCI6MTMwMH0%3D&page=3", (1300, 51, 0)),
            ("status=approved&per_page=500", (0, 501, 0)),
        ] {
            let part = asked(query).expect(query);
            assert_eq!((part.after_id, part.limit, part.offset), expected, "{query}");
        }
        for query in [
            "per_page=501",
            "per_page=0",
            "page=0",
            "page=x",
            "cursor=x",
            "cursor=e30%3D",
            "statsu=approved",
            "page=1&page=2",
            "status=%00",
            "status=%ff",
        ] {
            assert!(asked(query).is_err(), "{query}");
        }
        assert_eq!(position(&cursor(1300, 7)), Some(Position { id: 1300, total: Some(7) }));
        assert!(asked("cursor=eyJpZCI6MTMwMH0%3D").expect("the published one").is_counted);
    }

    #[test]
    fn numbers_are_shown_digit_for_digit() {
        let mut shown = Shown::default();
        shown.put("id", &json!("a\"b"));
        shown.put_number("amount", Some("123456789012.345"));
        shown.put_number("pnl", None);
        assert_eq!(shown.finish(), r#"{"id":"a\"b","amount":123456789012.345,"pnl":null}"#);
    }
}
