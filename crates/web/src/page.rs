//! Lists of the referral dialect and of our own API: `limit`, `starting_after`, newest first.

use crate::problem::ApiError;
use http::StatusCode;
use serde_json::{Value, json};

const LIMIT_DEFAULT: usize = 25;
const LIMIT_MAX: usize = 100;

/// What part of a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// 1 to 100.
    pub limit: usize,
    /// The id of the last object that the caller has seen, as it was sent.
    pub starting_after: Option<String>,
}

impl Page {
    /// Reads the two parameters.
    pub fn from_query(query: &[(String, String)]) -> Result<Self, ApiError> {
        let asked = |name: &str| query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let limit = match asked("limit") {
            None => LIMIT_DEFAULT,
            Some(text) => text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit)).ok_or_else(|| {
                ApiError::invalid("limit", format!("limit must be a whole number from 1 to {LIMIT_MAX}."))
            })?,
        };
        Ok(Self { limit, starting_after: asked("starting_after").map(str::to_owned) })
    }

    /// The cursor names no object of this list.
    pub fn bad_cursor() -> ApiError {
        let message = "starting_after must be the id of an object that a list has shown.";
        ApiError::new(StatusCode::BAD_REQUEST, "invalid_cursor", message).with_param("starting_after")
    }

    /// The number after which a list goes on.
    pub fn after_number(&self) -> Result<Option<i64>, ApiError> {
        let number = |text: &str| crate::asked::plain_number(text).ok_or_else(Self::bad_cursor);
        self.starting_after.as_deref().map(number).transpose()
    }

    /// One page of objects that are all in memory, in their order.
    pub fn of_all<T>(
        &self,
        all: &[T],
        id: impl Fn(&T) -> String,
        wire: impl Fn(&T) -> Value,
    ) -> Result<Value, ApiError> {
        let from = match &self.starting_after {
            None => 0,
            Some(after) => 1 + all.iter().position(|object| id(object) == *after).ok_or_else(Self::bad_cursor)?,
        };
        let shown: Vec<_> = all.iter().skip(from).take(self.limit + 1).collect();
        let next = if shown.len() > self.limit { shown.get(self.limit - 1).map(|last| id(last)) } else { None };
        let mut list = self.to_wire(shown.into_iter().map(wire).collect());
        if let Some(next) = next
            && list["next_cursor"].is_null()
        {
            list["next_cursor"] = next.into();
        }
        Ok(list)
    }

    /// The answer, from up to `limit + 1` objects.
    pub fn to_wire(&self, mut objects: Vec<Value>) -> Value {
        let has_more = objects.len() > self.limit;
        objects.truncate(self.limit);
        let next_cursor = objects.last().filter(|_| has_more).map(|object| object["id"].clone());
        json!({"object": "list", "data": objects, "has_more": has_more, "next_cursor": next_cursor})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_one_to_a_hundred() {
        let page = |text: &str| Page::from_query(&[("limit".into(), text.into())]);
        assert_eq!(Page::from_query(&[]).map(|p| p.limit), Ok(25));
        assert_eq!((page("1").map(|p| p.limit), page("100").map(|p| p.limit)), (Ok(1), Ok(100)));
        for text in ["0", "101", "", "x", "-1", "1.5"] {
            assert!(page(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_next_cursor_is_the_last_object_shown() {
        let page = Page { limit: 2, starting_after: None };
        let objects = || vec![json!({"id": 3}), json!({"id": 2}), json!({"id": 1})];
        assert_eq!(page.to_wire(objects())["next_cursor"], json!(2));
        assert_eq!(page.to_wire(objects()[..2].to_vec())["next_cursor"], Value::Null);
        assert_eq!(page.to_wire(Vec::new())["has_more"], json!(false));
    }
}
