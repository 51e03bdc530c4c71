//! What the address of a request asks: the parts of its path and its query, decoded strictly and read with their type.
//!
//! A parameter that is sent twice is refused, because servers differ on which one counts; so is text that is not UTF-8.
//! A wrong value is an error that names its parameter, never a filter that is left out. Unknown parameters are ignored.
//!
//! Both extractors answer in the one error body. A handler that checks its key itself takes a `Result` of them, so that
//! a stranger is told of the key first.

use crate::page::Page;
use crate::problem::ApiError;
use axum::extract::FromRequestParts;
use headwater_domain::time::{Instant, Zone};
use http::request::Parts;
use serde::de::DeserializeOwned;
use std::ops::Deref;

/// The query, in its order.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Deref for Query {
    type Target = [(String, String)];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Query {
    /// Decodes a query string.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (name, value) = (decoded(name)?, decoded(value)?);
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(ApiError::invalid(&name, format!("{name} must be sent once.")));
            }
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// A parameter as it was sent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// `limit` and `starting_after`.
    pub fn page(&self) -> Result<Page, ApiError> {
        Page::from_query(self)
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.text(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(ApiError::invalid(name, format!("{name} must be true or false."))),
        }
    }

    /// A number of ours.
    pub fn number(&self, name: &str) -> Result<Option<i64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong = || ApiError::invalid(name, format!("{name} must be a whole number from 1 on."));
        plain_number(text).map(Some).ok_or_else(wrong)
    }

    /// One of several words.
    pub fn one_of(&self, name: &str, words: &[&str]) -> Result<Option<&str>, ApiError> {
        let given = self.text(name);
        if given.is_none_or(|word| words.contains(&word)) {
            return Ok(given);
        }
        Err(ApiError::invalid(name, format!("{name} must be one of {}.", words.join(", "))))
    }

    /// A date, which is the first moment of that day in this zone, or an instant.
    pub fn instant(&self, name: &str, zone: &Zone) -> Result<Option<Instant>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let wrong =
            || ApiError::invalid(name, format!("{name} must be a date, or an ISO 8601 time with a zone (+ as %2B)."));
        date_or_instant(text, zone).map(Some).ok_or_else(wrong)
    }
}

/// `2026-02-03`, which is the first moment of that day in this zone, or `2026-02-03T10:15:00Z`.
pub fn date_or_instant(text: &str, zone: &Zone) -> Option<Instant> {
    if text.len() == "2026-02-03".len() {
        return text.parse().ok().map(|day| zone.start_of(day));
    }
    Instant::parse(text)
}

/// Digits that are a number of ours, from 1 on; no sign, no space, no leading zero.
pub fn plain_number(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|number| plain && (1..=headwater_domain::ids::ID_MAX).contains(number))
}

fn decoded(text: &str) -> Result<String, ApiError> {
    let wrong = || ApiError::new(http::StatusCode::BAD_REQUEST, "validation_failed", "The query must be UTF-8 text.");
    let bytes = percent_decoded(&text.replace('+', " "));
    String::from_utf8(bytes)
        .map_err(|_| wrong())
        .and_then(|text| if text.contains('\0') { Err(wrong()) } else { Ok(text) })
}

/// A percent sign that starts no escape stands for itself, as browsers read it.
fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

/// The named parts of the path.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let found = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        found.map(|axum::extract::Path(parts)| Self(parts)).map_err(|_| {
            ApiError::new(http::StatusCode::BAD_REQUEST, "validation_failed", "The path must be UTF-8 text.")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_decoded_and_nothing_is_sent_twice() {
        let query = Query::parse("a=1&b=x%20y+z&c&d=%zz&e=%").expect("a query");
        let expected = [("a", "1"), ("b", "x y z"), ("c", ""), ("d", "%zz"), ("e", "%")];
        for (name, value) in expected {
            assert_eq!(query.text(name), Some(value), "{name}");
        }
        for text in ["a=1&a=1", "a=1&%61=2", "a=%ff", "a=%00"] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn values_are_read_with_their_type_or_refused() {
        let query = Query::parse("yes=true&maybe=1&n=42&zero=0&plus=+1&long=9007199254740992&w=b").expect("a query");
        assert_eq!(query.flag("yes"), Ok(Some(true)));
        assert!(query.flag("maybe").is_err());
        assert_eq!((query.number("n"), query.number("absent")), (Ok(Some(42)), Ok(None)));
        for name in ["zero", "plus", "long", "yes"] {
            assert!(query.number(name).is_err(), "{name}");
        }
        assert_eq!(query.one_of("w", &["a", "b"]), Ok(Some("b")));
        assert!(query.one_of("w", &["a"]).is_err());
    }

    #[test]
    fn a_date_is_the_first_moment_of_its_day_in_the_zone() {
        let zone = Zone::parse("America/New_York").expect("a zone");
        let query =
            Query::parse("d=2026-02-03&t=2026-02-03T10:15:00Z&z=2026-02-03T10:15:00%2B02:00&x=2026-02-30&y=now")
                .expect("a query");
        let at = |name| query.instant(name, &zone).map(|at| at.map(Instant::iso8601));
        assert_eq!(at("d"), Ok(Some("2026-02-03T05:00:00Z".into())));
        assert_eq!(at("t"), Ok(Some("2026-02-03T10:15:00Z".into())));
        assert_eq!(at("z"), Ok(Some("2026-02-03T08:15:00Z".into())));
        assert!(at("x").is_err() && at("y").is_err());
    }
}
