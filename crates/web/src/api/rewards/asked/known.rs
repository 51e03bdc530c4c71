//! What an address may ask of a list, and the refusal of everything else that stands in brackets.
//!
//! Brackets narrow, order or choose: one that is misspelt, or has nothing to say, would give all where less was asked for.
//! Leaves values to `asked`. Invariant: every name in brackets, and every flat name of a filter, is read by its list or is 422.

use super::{Parameter, is_index, is_value_or_element};
use crate::api::rewards::problem::RewardsError;

/// What a list reads. Filters are declared by name: `status` takes one value, `campaign_id[]` several, `amount..` `[from]` and
/// `[to]`, and `inactivity{metric,days}` `[metric]` and `[days]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'k> {
    /// In `filters[…]`.
    pub filters: &'k [&'k str],
    /// Those of the filters that are read without brackets, too.
    pub flat: &'k [&'k str],
    /// In `sorting[…]`.
    pub sortings: &'k [&'k str],
    /// Whether it reads `ids[]`.
    pub has_ids: bool,
    /// Other names that take several values: `columns`, `columns[]`, `columns[0]`.
    pub several: &'k [&'k str],
    /// Other names with words in brackets: `stats_by[status]`.
    pub words: &'k [(&'k str, &'k [&'k str])],
}

impl Known<'_> {
    /// A list that is read as a whole, page by page.
    pub const NOTHING: Known<'static> =
        Known { filters: &[], flat: &[], sortings: &[], has_ids: false, several: &[], words: &[] };

    /// Whether it may be sent more than once.
    pub(super) fn repeats(&self, parameter: &Parameter) -> bool {
        parameter.keys.last().is_some_and(String::is_empty)
            || (parameter.keys.is_empty() && self.several.contains(&parameter.name.as_str()))
    }

    /// Refuses what this list does not read.
    pub(super) fn check(&self, all: &[Parameter]) -> Result<(), RewardsError> {
        for parameter in all {
            self.check_name(parameter)?;
            if parameter.value.is_empty() && self.must_say(parameter) {
                let sent = parameter.sent();
                return Err(RewardsError::invalid_params(format!("{sent} is empty: send a value, or leave it out.")));
            }
        }
        self.check_shapes(all)
    }

    fn check_name(&self, parameter: &Parameter) -> Result<(), RewardsError> {
        let (name, keys) = (parameter.name.as_str(), &parameter.keys[..]);
        let key = keys.first().map_or("", String::as_str);
        let unknown = |what: &str, known: &[&str]| {
            let has = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            Err(RewardsError::invalid_params(format!("{what} is unknown here: this list has {has}.")))
        };
        let filters: Vec<&str> = self.filters.iter().map(|filter| name_of(filter)).collect();
        match name {
            "filters" if !filters.contains(&key) => return unknown(&format!("filters[{key}]"), &filters),
            "sorting" if !self.sortings.contains(&key) => return unknown(&format!("sorting[{key}]"), self.sortings),
            "filters" | "sorting" => return Ok(()),
            "ids" if self.has_ids && matches!(keys, [index] if is_index(index)) => return Ok(()),
            "ids" if self.has_ids => {
                return Err(RewardsError::invalid_params("ids must be sent as ids[]=1&ids[]=2, or ids[0]=1."));
            }
            _ if self.flat.contains(&name) && is_value_or_element(keys) => return Ok(()),
            _ if self.several.contains(&name) && is_value_or_element(keys) => return Ok(()),
            _ => {}
        }
        if let Some((_, words)) = self.words.iter().find(|(word, _)| *word == name) {
            return match keys {
                [word] if words.contains(&word.as_str()) => Ok(()),
                _ => unknown(&parameter.sent(), words),
            };
        }
        if keys.is_empty() && !filters.contains(&name) && name != "ids" {
            // Harmless: nobody means a filter by it.
            return Ok(());
        }
        let sent = parameter.sent();
        if keys.is_empty() && filters.contains(&name) && !self.flat.contains(&name) {
            let message = format!("{sent} is a filter: send filters[{name}].");
            return Err(RewardsError::invalid_params(message));
        }
        Err(RewardsError::invalid_params(format!("{sent} is unknown here: {}.", self.said())))
    }

    /// What it reads in brackets, in words.
    fn said(&self) -> String {
        let filters = self.filters.iter().map(|filter| format!("filters[{}]", name_of(filter)));
        let sortings = self.sortings.iter().map(|name| format!("sorting[{name}]"));
        let ids = self.has_ids.then(|| "ids[]".to_owned());
        let several = self.several.iter().map(|name| format!("{name}[]"));
        let words = self.words.iter().flat_map(|(name, words)| words.iter().map(move |word| format!("{name}[{word}]")));
        let all: Vec<String> = filters.chain(sortings).chain(ids).chain(several).chain(words).collect();
        if all.is_empty() { "nothing is read in brackets".to_owned() } else { format!("use {}", all.join(", ")) }
    }

    /// Whether an empty value of it would be left out. An empty `q` is in every text.
    fn must_say(&self, parameter: &Parameter) -> bool {
        !parameter.keys.is_empty() || self.flat.contains(&parameter.name.as_str())
    }

    /// A filter in a form that its list does not read would be left out.
    fn check_shapes(&self, all: &[Parameter]) -> Result<(), RewardsError> {
        let wrong = |message: String| Err(RewardsError::invalid_params(message));
        for filter in self.filters {
            let name = name_of(filter);
            let of_name =
                || all.iter().filter(|p| p.name == "filters" && p.keys.first().is_some_and(|key| key == name));
            if let Some(parts) = parts_of(filter) {
                let is_part =
                    |p: &Parameter| matches!(&p.keys[1..], [part] if parts.split(',').any(|known| known == part));
                if of_name().any(|p| !is_part(p)) {
                    return wrong(format!("filters[{name}] takes {parts} in further brackets."));
                }
            } else if filter.ends_with(BOUNDS) {
                let is_bound = |p: &Parameter| matches!(&p.keys[1..], [bound] if bound == "from" || bound == "to");
                if of_name().any(|p| !is_bound(p)) {
                    return wrong(format!("filters[{name}] takes [from] and [to]."));
                }
            } else if of_name().any(|p| !is_value_or_element(&p.keys[1..])) {
                return wrong(format!("filters[{name}] takes nothing in further brackets."));
            } else if !filter.ends_with(SEVERAL) && of_name().count() > 1 {
                return wrong(format!("filters[{name}] takes one value."));
            }
        }
        Ok(())
    }
}

/// What a declared filter ends in that takes several values.
const SEVERAL: &str = "[]";
/// What a declared filter ends in that takes `[from]` and `[to]`.
const BOUNDS: &str = "..";

fn name_of(filter: &str) -> &str {
    let name = filter.split('{').next().unwrap_or(filter);
    name.trim_end_matches(SEVERAL).trim_end_matches(BOUNDS)
}

/// What a declared filter has between braces: its parts.
fn parts_of(filter: &str) -> Option<&str> {
    filter.split_once('{').and_then(|(_, rest)| rest.strip_suffix('}'))
}

#[cfg(test)]
mod tests {
    use crate::api::rewards::asked::{Known, Query};

    const LIST: Known<'static> = Known {
        filters: &["status", "created_at..", "plan_id[]", "idle{metric,days}"],
        flat: &["status"],
        sortings: &["amount"],
        has_ids: true,
        several: &["columns"],
        words: &[("stats_by", &["status"])],
    };

    fn refused(text: &str, known: &Known<'_>) -> String {
        let error = Query::parse(text, known).expect_err(text);
        assert_eq!(error.code(), "invalid_params", "{text}");
        error.message().to_owned()
    }

    #[test]
    fn what_is_misspelt_is_refused_and_what_is_read_is_named() {
        for (text, words) in [
            ("filter[status]=a", "filter[status] is unknown here: use filters[status], filters[created_at]"),
            ("sort[amount]=asc", "sort[amount] is unknown here: use filters[status]"),
            ("q[]=a", "q[] is unknown here"),
            ("page[number]=2", "page[number] is unknown here"),
            ("filters[statsu]=a", "filters[statsu] is unknown here: this list has status, created_at, plan_id, idle."),
            ("filters=a", "filters[] is unknown here"),
            ("sorting[name]=asc", "sorting[name] is unknown here: this list has amount."),
            ("stats_by[foo]=true", "stats_by[foo] is unknown here: this list has status."),
            ("stats_by=status", "stats_by is unknown here: this list has status."),
            ("status[from]=a", "status[from] is unknown here"),
            ("plan_id=5", "plan_id is a filter: send filters[plan_id]."),
            ("ids=1,2", "ids must be sent as ids[]=1&ids[]=2"),
            ("ids[from]=1", "ids must be sent as"),
            ("columns[a]=b", "columns[a] is unknown here"),
        ] {
            let message = refused(text, &LIST);
            assert!(message.starts_with(words), "{text}: {message}");
        }
        assert_eq!(refused("ids[]=1", &Known::NOTHING), "ids[] is unknown here: nothing is read in brackets.");
    }

    #[test]
    fn an_empty_filter_is_refused_and_an_empty_search_finds_all() {
        for text in [
            "filters[status]=",
            "filters[status]",
            "status=",
            "filters[created_at][from]=",
            "filters[plan_id][]=&filters[plan_id][]=x",
            "ids[]=",
            "sorting[amount]=",
            "columns[]=",
        ] {
            let message = refused(text, &LIST);
            assert!(message.ends_with("is empty: send a value, or leave it out."), "{text}: {message}");
        }
        let query = Query::parse("q=&columns=a&columns=b&unknown=1", &LIST).expect("a query");
        assert_eq!(query.search(), None);
    }

    #[test]
    fn a_filter_in_a_form_that_is_not_read_is_refused_not_left_out() {
        for text in [
            "filters[status][]=a&filters[status][]=b",
            "filters[status][from]=a",
            "filters[plan_id][from]=a",
            "filters[plan_id][][]=a",
            "filters[created_at]=2026-01-01",
            "filters[created_at][above]=2026-01-01",
            "filters[idle]=a",
            "filters[idle][hours]=1",
        ] {
            refused(text, &LIST);
        }
    }
}
