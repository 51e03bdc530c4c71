//! What the address of a request asks in this dialect: names with brackets, as in `filters[created_at][from]=…`,
//! `sorting[amount]=desc` and `ids[]=1&ids[]=2` (or `ids[0]=1`).
//!
//! A name that is sent twice is refused, but where it ends in `[]`, which makes a list. Whatever stands in brackets and is not
//! known, and a filter without a value, is 422, never left out: whoever asks for less must not be given all. Other
//! unknown names are ignored, and an empty `q` is in every text. Leaves to `known` what a list reads, and to each list what a
//! filter does.

mod known;

pub use known::Known;

use super::problem::RewardsError;
use crate::asked::plain_number;
use axum::extract::FromRequestParts;
use headwater_domain::time::{Date, Instant, Zone};
use http::request::Parts;
use std::convert::Infallible;

/// The longest list of ids or values in a query.
const VALUES_MAX: usize = 1000;
/// Whole numbers that JSON readers keep exactly.
const RANGE: std::ops::RangeInclusive<i64> = -headwater_domain::ids::ID_MAX..=headwater_domain::ids::ID_MAX;

/// A path and its query, not read yet.
#[derive(Debug, Clone)]
pub struct Address {
    /// Without the query.
    pub path: String,
    /// As it was sent.
    pub query: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Address {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default().to_owned();
        Ok(Self { path: parts.uri.path().to_owned(), query })
    }
}

/// The numbers in a path. One that is no number names nothing: 404.
pub fn number_in_path(text: &str, noun: &str) -> Result<i64, RewardsError> {
    plain_number(text).ok_or_else(|| RewardsError::not_found(noun))
}

#[derive(Debug, Clone)]
struct Parameter {
    name: String,
    /// What stands in brackets: `["created_at", "from"]`; `[""]` of `ids[]`.
    keys: Vec<String>,
    value: String,
}

/// The query, taken apart.
#[derive(Debug, Clone, Default)]
pub struct Query(Vec<Parameter>);

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the least.
    Ascending,
    /// From the greatest.
    Descending,
}

impl Query {
    /// Takes a query apart, of which a list reads what it knows.
    pub fn parse(text: &str, known: &Known<'_>) -> Result<Self, RewardsError> {
        let mut parameters: Vec<Parameter> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text.as_bytes()) {
            if value.contains(['\0', '\u{fffd}']) || name.contains(['\0', '\u{fffd}']) {
                return Err(RewardsError::invalid_params("The query must be UTF-8 text."));
            }
            let parameter = Parameter::read(&name, value.into_owned())?;
            let is_again = |p: &Parameter| p.name == parameter.name && p.keys == parameter.keys;
            if !known.repeats(&parameter) && parameters.iter().any(is_again) {
                return Err(RewardsError::invalid_params(format!("{name} must be sent once.")));
            }
            if parameters.len() == VALUES_MAX {
                return Err(RewardsError::invalid_params(format!("A query has at most {VALUES_MAX} parameters.")));
            }
            parameters.push(parameter);
        }
        known.check(&parameters)?;
        Ok(Self(parameters))
    }

    fn value(&self, name: &str, keys: &[&str]) -> Option<&str> {
        let found = self.0.iter().find(|p| p.name == name && p.keys == keys);
        found.map(|p| p.value.as_str())
    }

    /// A parameter without brackets, as it was sent.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.value(name, &[])
    }

    /// `q`, in lower case: what is looked for; `None` where that is in every text.
    pub fn search(&self) -> Option<String> {
        self.text("q").filter(|part| !part.is_empty()).map(str::to_lowercase)
    }

    /// `group[word]`.
    pub fn word(&self, group: &str, word: &str) -> Option<&str> {
        self.value(group, &[word])
    }

    /// The values of `name`, `name[]` and `name[0]`, in their order.
    pub fn several(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |p| p.name == name).map(|p| p.value.as_str())
    }

    /// `filters[name]`, or the one of `filters[name][]`.
    pub fn filter(&self, name: &str) -> Option<&str> {
        self.filter_list(name).first().copied()
    }

    /// `filters[name]`, or plain `name`; both must not disagree.
    pub fn filter_or_plain(&self, name: &str) -> Result<Option<&str>, RewardsError> {
        let mut plain = self.0.iter().filter(|p| p.name == name);
        let one = plain.next();
        if plain.next().is_some() || one.is_some_and(|p| !is_value_or_element(&p.keys)) {
            return Err(RewardsError::invalid_params(format!("{name} takes one value.")));
        }
        let plain = one.map(|p| p.value.as_str());
        match (self.filter(name), plain) {
            (Some(one), Some(other)) if one != other => {
                Err(RewardsError::invalid_params(format!("filters[{name}] and {name} disagree.")))
            }
            (one, other) => Ok(one.or(other)),
        }
    }

    /// `filters[name]=a`, `filters[name][]=a&filters[name][]=b`, or `filters[name][0]=a`.
    pub fn filter_list(&self, name: &str) -> Vec<&str> {
        let of_name = |p: &&Parameter| match &p.keys[..] {
            [only] => p.name == "filters" && only == name,
            [first, index] => p.name == "filters" && first == name && is_index(index),
            _ => false,
        };
        self.0.iter().filter(of_name).map(|p| p.value.as_str()).collect()
    }

    /// `filters[name][part]`.
    pub fn filter_part(&self, name: &str, part: &str) -> Option<&str> {
        self.value("filters", &[name, part])
    }

    /// The same as a list, numbers of ours.
    pub fn filter_numbers(&self, name: &str) -> Result<Vec<i64>, RewardsError> {
        let wrong = || RewardsError::invalid_params(format!("filters[{name}] must be whole numbers from 1 on."));
        self.filter_list(name).into_iter().map(|text| plain_number(text).ok_or_else(wrong)).collect()
    }

    /// `filters[name][from]` and `filters[name][to]`.
    pub fn filter_bounds(&self, name: &str) -> (Option<&str>, Option<&str>) {
        (self.value("filters", &[name, "from"]), self.value("filters", &[name, "to"]))
    }

    /// The same, of whole numbers in either direction.
    pub fn filter_range(&self, name: &str) -> Result<(Option<i64>, Option<i64>), RewardsError> {
        let (from, to) = self.filter_bounds(name);
        let number = |bound: Option<&str>| {
            let wrong = || RewardsError::invalid_params(format!("filters[{name}] takes whole numbers."));
            bound
                .map(|text| text.parse::<i64>().ok().filter(|number| RANGE.contains(number)).ok_or_else(wrong))
                .transpose()
        };
        Ok((number(from)?, number(to)?))
    }

    /// The same, of time: from an instant on, and before another one. A date stands for its day in UTC, of `to` for all
    /// of it.
    pub fn filter_period(&self, name: &str) -> Result<(Option<Instant>, Option<Instant>), RewardsError> {
        let (from, to) = self.filter_bounds(name);
        let wrong = || RewardsError::invalid_params(format!("filters[{name}] takes dates, or ISO 8601 with a zone."));
        let utc = Zone::parse("UTC").expect("UTC is a zone");
        let read = |text: &str, is_end: bool| match text.parse::<Date>() {
            Ok(day) if is_end => Some(utc.end_of(day)),
            Ok(day) => Some(utc.start_of(day)),
            // A moment named as the end is still in the period.
            Err(_) => Instant::parse(text).map(|at| if is_end { Instant(at.0.saturating_add(1)) } else { at }),
        };
        let from = from.map(|text| read(text, false).ok_or_else(wrong)).transpose()?;
        Ok((from, to.map(|text| read(text, true).ok_or_else(wrong)).transpose()?))
    }

    /// `ids[]=1&ids[]=2`, or `ids[0]=1`; without doubles.
    pub fn ids(&self) -> Result<Option<Vec<i64>>, RewardsError> {
        let mut ids = Vec::new();
        for text in self.several("ids") {
            let wrong = || RewardsError::invalid_params("ids[] must be whole numbers from 1 on.");
            let id = plain_number(text).ok_or_else(wrong)?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok((!ids.is_empty()).then_some(ids))
    }

    /// The one `sorting[name]`.
    pub fn sorting(&self) -> Result<Option<(&str, Direction)>, RewardsError> {
        let mut asked = self.0.iter().filter(|p| p.name == "sorting");
        let Some(first) = asked.next() else { return Ok(None) };
        if asked.next().is_some() {
            return Err(RewardsError::invalid_params("sorting takes one name."));
        }
        let name = first.keys.first().map_or("", String::as_str);
        let direction = match (first.value.as_str(), first.keys.len()) {
            ("asc", 1) => Direction::Ascending,
            ("desc", 1) => Direction::Descending,
            _ => return Err(RewardsError::invalid_params(format!("sorting[{name}] must be asc or desc."))),
        };
        Ok(Some((name, direction)))
    }
}

impl Parameter {
    fn read(sent: &str, value: String) -> Result<Self, RewardsError> {
        let wrong = || RewardsError::invalid_params(format!("{sent} is no name of a parameter."));
        let (name, mut rest) = sent.split_at(sent.find('[').unwrap_or(sent.len()));
        let mut keys = Vec::new();
        while !rest.is_empty() {
            let (key, after) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(wrong)?;
            keys.push(key.to_owned());
            rest = after;
        }
        Ok(Self { name: name.to_owned(), keys, value })
    }

    /// Its name as it was sent.
    fn sent(&self) -> String {
        self.keys.iter().fold(self.name.clone(), |sent, key| format!("{sent}[{key}]"))
    }
}

/// Nothing in brackets, or an index.
fn is_value_or_element(keys: &[String]) -> bool {
    match keys {
        [] => true,
        [index] => is_index(index),
        _ => false,
    }
}

fn is_index(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_digit())
}

/// One of several words; `what` names the parameter.
pub fn one_of<'a>(what: &str, value: Option<&'a str>, words: &[&str]) -> Result<Option<&'a str>, RewardsError> {
    match value {
        Some(word) if !words.contains(&word) => {
            Err(RewardsError::invalid_params(format!("{what} must be one of {}.", words.join(", "))))
        }
        other => Ok(other),
    }
}

/// `yes` or `no`, `true` or `false`, `1` or `0`: each is published somewhere.
pub fn yes_or_no(what: &str, value: Option<&str>) -> Result<Option<bool>, RewardsError> {
    let word = one_of(what, value, &["yes", "no", "true", "false", "1", "0"])?;
    Ok(word.map(|word| matches!(word, "yes" | "true" | "1")))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: Known<'static> = Known {
        filters: &["status", "created_at..", "amount..", "plan_id[]", "idle{metric,days}"],
        flat: &["status"],
        sortings: &["amount"],
        has_ids: true,
        several: &[],
        words: &[],
    };

    fn query(text: &str) -> Result<Query, &'static str> {
        Query::parse(text, &LIST).map_err(|error| error.code())
    }

    #[test]
    fn brackets_are_read_in_every_spelling() {
        let asked = query(
            "filters[status]=approved&filters%5Bcreated_at%5D%5Bfrom%5D=2026-01-01&filters[created_at][to]=2026-01-01\
             &filters[amount][from]=-5&ids[]=1&ids[]=2&ids%5B%5D=1&q=a+b&filters[plan_id][]=x&filters[plan_id][]=y\
             &sorting[amount]=desc&unknown=1",
        )
        .expect("a query");
        assert_eq!((asked.filter("status"), asked.text("q")), (Some("approved"), Some("a b")));
        let (from, to) = asked.filter_period("created_at").expect("dates");
        let shown = (from.map(Instant::iso8601), to.map(Instant::iso8601));
        assert_eq!(shown, (Some("2026-01-01T00:00:00Z".into()), Some("2026-01-02T00:00:00Z".into())));
        assert_eq!(asked.filter_range("amount"), Ok((Some(-5), None)));
        assert_eq!(asked.ids(), Ok(Some(vec![1, 2])));
        assert_eq!(query("ids[0]=7&ids[1]=8").expect("a query").ids(), Ok(Some(vec![7, 8])));
        assert_eq!(asked.filter_list("plan_id"), ["x", "y"]);
        assert_eq!(asked.sorting(), Ok(Some(("amount", Direction::Descending))));
    }

    #[test]
    fn what_is_unknown_or_odd_is_refused() {
        for text in
            ["filters[statsu]=x", "filters=x", "sorting[name]=asc", "q=1&q=2", "filters[status", "a]b[=1", "q=%ff"]
        {
            assert_eq!(query(text).expect_err(text), "invalid_params", "{text}");
        }
        let asked =
            query("ids[]=x&filters[amount][from]=1.5&filters[created_at][from]=soon&sorting[amount]=up&status=a")
                .expect("a query");
        assert!(asked.ids().is_err() && asked.filter_range("amount").is_err() && asked.sorting().is_err());
        assert!(asked.filter_period("created_at").is_err());
        assert!(one_of("status", asked.text("status"), &["approved"]).is_err());
        assert!(yes_or_no("paid", Some("maybe")).is_err());
    }

    #[test]
    fn a_filter_of_one_value_may_be_sent_as_a_list_of_it() {
        let parts = query("filters[idle][metric]=click&filters[idle][days]=30").expect("a query");
        assert_eq!(
            (parts.filter_part("idle", "metric"), parts.filter_part("idle", "days")),
            (Some("click"), Some("30"))
        );
        let one = query("filters[status][]=a").expect("a query");
        assert_eq!((one.filter("status"), one.filter_or_plain("status")), (Some("a"), Ok(Some("a"))));
        assert_eq!(query("status[]=a").expect("a query").filter_or_plain("status"), Ok(Some("a")));
        assert!(query("status[]=a&status[]=b").expect("a query").filter_or_plain("status").is_err());
    }

    #[test]
    fn both_spellings_of_a_filter_may_agree() {
        assert_eq!(query("status=a").expect("a query").filter_or_plain("status"), Ok(Some("a")));
        assert_eq!(query("status=a&filters[status]=a").expect("a query").filter_or_plain("status"), Ok(Some("a")));
        assert!(query("status=a&filters[status]=b").expect("a query").filter_or_plain("status").is_err());
    }
}
