//! The records of a bulk body: an array of them, one alone, or an envelope around them.
//!
//! The text has passed `strict` here; what a record holds is `table`'s part.

use super::strict::{self, JsonError};
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Which bodies a dialect takes beside a bare array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// One record that is not in an array.
    OrOne,
    /// `{"data": […]}`.
    OrEnvelope,
}

/// Why there are no records to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyNotRecords {
    /// It is not JSON in the strict sense.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It is JSON, but neither an array nor what else is taken.
    #[error("The body must be a JSON array of records.")]
    NotRecords,
}

/// The records of a body, unread.
pub fn records(body: &[u8], shape: Shape) -> Result<Vec<&RawValue>, BodyNotRecords> {
    let text = strict::check(body)?;
    if let Ok(records) = serde_json::from_str(text) {
        return Ok(records);
    }
    let one: &RawValue = serde_json::from_str(text).map_err(|_| BodyNotRecords::NotRecords)?;
    if !one.get().starts_with('{') {
        return Err(BodyNotRecords::NotRecords);
    }
    match shape {
        Shape::OrOne => Ok(vec![one]),
        Shape::OrEnvelope => {
            let fields: BTreeMap<String, &RawValue> =
                serde_json::from_str(text).map_err(|_| BodyNotRecords::NotRecords)?;
            let data = fields.get("data").ok_or(BodyNotRecords::NotRecords)?;
            serde_json::from_str(data.get()).map_err(|_| BodyNotRecords::NotRecords)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_arrays_or_what_the_dialect_takes_beside() {
        let count = |text: &str, shape| records(text.as_bytes(), shape).map(|found| found.len());
        for (text, one, envelope) in [
            ("[]", Some(0), Some(0)),
            (r#"[{"a":1},{"a":2}]"#, Some(2), Some(2)),
            (r#" {"a":1}"#, Some(1), None),
            (r#"{"data":[{"a":1},{"a":2}]}"#, Some(1), Some(2)),
            (r#"{"data":{}}"#, Some(1), None),
            ("1", None, None),
            ("", None, None),
            (r#"{"a":1,"a":2}"#, None, None),
        ] {
            assert_eq!(count(text, Shape::OrOne).ok(), one, "{text}");
            assert_eq!(count(text, Shape::OrEnvelope).ok(), envelope, "{text}");
        }
    }
}
