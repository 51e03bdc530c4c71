//! Pages of this dialect: `page` and `per_page` in, totals and the way on in headers; the body is the list alone.

use super::asked::{Address, Query};
use super::problem::RewardsError;
use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::Value;

/// Rows of a page, where nothing is asked.
pub const PER_PAGE: i64 = 20;
/// The same for the lists of webhooks and their deliveries.
pub const PER_PAGE_OF_WEBHOOKS: i64 = 25;
/// Rows of a short list, and of a report, where no page is asked for.
const WHOLE: i64 = 1000;
const PER_PAGE_MAX: i64 = 100;
/// Far beyond any list.
const PAGE_MAX: i64 = 1_000_000_000;

/// The part of a list that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// From 1.
    pub page: i64,
    /// From 1 to 100.
    pub per_page: i64,
}

impl Page {
    /// `page` (1) and `per_page`, of which this list has a default.
    pub fn parse(query: &Query, per_page: i64) -> Result<Self, RewardsError> {
        Ok(Self {
            page: whole(query, "page", PAGE_MAX)?.unwrap_or(1),
            per_page: whole(query, "per_page", PER_PAGE_MAX)?.unwrap_or(per_page),
        })
    }

    /// The same of a short list, which comes whole where no page is asked for.
    pub fn parse_of_short(query: &Query) -> Result<Self, RewardsError> {
        Self::parse(query, if query.text("page").is_some() { PER_PAGE } else { WHOLE })
    }

    /// Rows before this page.
    pub fn offset(self) -> i64 {
        (self.page - 1) * self.per_page
    }

    /// The rows of this page as a bare array, with where it stands among `total` rows.
    pub fn answer(self, address: &Address, rows: Vec<Value>, total: i64) -> Response {
        self.answer_body(address, &Value::Array(rows), total)
    }

    /// This page of a list that is in memory as a whole.
    pub fn answer_all<T>(self, address: &Address, all: &[T], to_wire: impl Fn(&T) -> Value) -> Response {
        let rows = self.of_all(all).iter().map(to_wire).collect();
        self.answer(address, rows, i64::try_from(all.len()).unwrap_or(i64::MAX))
    }

    /// The part of a whole list that is this page.
    pub fn of_all<T>(self, all: &[T]) -> &[T] {
        let from = usize::try_from(self.offset()).unwrap_or(usize::MAX).min(all.len());
        let count = usize::try_from(self.per_page).unwrap_or(usize::MAX);
        &all[from..all.len().min(from.saturating_add(count))]
    }

    /// The same in a body of another shape.
    pub fn answer_body(self, address: &Address, body: &Value, total: i64) -> Response {
        let mut response = Json(body).into_response();
        self.add_to(response.headers_mut(), address, total);
        response
    }

    fn add_to(self, headers: &mut HeaderMap, address: &Address, total: i64) {
        for (name, number) in [("x-total-count", total), ("x-page", self.page), ("x-per-page", self.per_page)] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(number));
        }
        if self.page.saturating_mul(self.per_page) >= total {
            return;
        }
        let others = address.query.split('&').filter(|pair| !pair.is_empty() && !pair.starts_with("page="));
        let pairs: Vec<_> = others.map(str::to_owned).chain([format!("page={}", self.page + 1)]).collect();
        let link = format!("<{}?{}>; rel=\"next\"", address.path, pairs.join("&"));
        if let Ok(link) = HeaderValue::from_str(&link) {
            headers.insert(header::LINK, link);
        }
    }
}

fn whole(query: &Query, name: &str, most: i64) -> Result<Option<i64>, RewardsError> {
    let Some(text) = query.text(name) else { return Ok(None) };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    let wrong = || RewardsError::invalid_params(format!("{name} must be a whole number from 1 to {most}."));
    number.map(Some).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::rewards::asked::Known;

    fn page(query: &str) -> Result<Page, RewardsError> {
        Page::parse(&Query::parse(query, &Known::NOTHING)?, PER_PAGE)
    }

    #[test]
    fn pages_have_a_size_and_bounds() {
        assert_eq!(page(""), Ok(Page { page: 1, per_page: 20 }));
        assert_eq!(page("page=3&per_page=100").map(Page::offset), Ok(200));
        for query in ["page=0", "per_page=101", "per_page=0", "page=x", "page=-1"] {
            assert_eq!(page(query).map_err(|error| error.code()), Err("invalid_params"), "{query}");
        }
    }

    #[test]
    fn headers_say_how_many_there_are_and_where_the_next_page_is() {
        let address = Address { path: "/x".into(), query: "page=2&per_page=2&q=a%20b".into() };
        let next = |total| {
            let response = Page { page: 2, per_page: 2 }.answer(&address, vec![], total);
            let headers = response.headers();
            assert_eq!(
                (&headers["x-total-count"], &headers["x-page"]),
                (&HeaderValue::from(total), &"2".parse().expect("a value"))
            );
            headers.get("link").map(|link| link.to_str().expect("text").to_owned())
        };
        assert_eq!(next(5).as_deref(), Some("</x?per_page=2&q=a%20b&page=3>; rel=\"next\""));
        assert_eq!(next(4), None);
    }
}
