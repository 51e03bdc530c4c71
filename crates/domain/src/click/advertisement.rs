//! Clicks of paid advertisements, by what the networks and those who buy there put into a link.
//!
//! Leaves what such a click is worth to the program. A parameter that is there without a value says nothing.

/// The click ids that ad networks put into links of advertisements alone. Those that a network also puts into what its users share
/// (`fbclid`, `twclid`, `epik`) say nothing: with them it is the medium that tells.
const CLICK_IDS: [&str; 12] = [
    "gclid",
    "gbraid",
    "wbraid",
    "dclid",
    "gad_source",
    "msclkid",
    "ttclid",
    "li_fat_id",
    "rdt_cid",
    "sccid",
    "qclid",
    "yclid",
];
/// What `utm_medium` says of bought traffic, in lower case.
const MEDIA: [&str; 11] = [
    "cpc",
    "ppc",
    "cpm",
    "cpv",
    "cpa",
    "paid",
    "paidsearch",
    "paid_search",
    "paid-search",
    "paid_social",
    "paid-social",
];

/// Whether the query of a link, or its own medium where the query names none, is of a paid advertisement.
pub fn is_advertisement<'q>(query: impl Iterator<Item = (&'q str, &'q str)>, own_medium: Option<&str>) -> bool {
    let mut medium = None;
    for (name, value) in query.filter(|(_, value)| !value.trim().is_empty()) {
        if CLICK_IDS.iter().any(|id| name.eq_ignore_ascii_case(id)) {
            return true;
        }
        if name == "utm_medium" {
            medium = medium.or(Some(value));
        }
    }
    medium.or(own_medium).is_some_and(|medium| MEDIA.contains(&medium.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_id_or_a_paid_medium_is_an_advertisement() {
        for (query, own_medium, expected) in [
            (vec![("fpr", "p1c1"), ("gclid", "Cj0K")], None, true),
            (vec![("MSCLKID", "a")], None, true),
            (vec![("gclid", "")], None, false),
            (vec![("fbclid", "IwAR0"), ("twclid", "2"), ("epik", "dj0")], None, false),
            (vec![("fbclid", "IwAR0"), ("utm_medium", "social")], None, false),
            (vec![("fbclid", "IwAR0"), ("utm_medium", "paid_social")], None, true),
            (vec![("utm_medium", "CPC")], None, true),
            (vec![("utm_medium", "email")], Some("cpc"), false),
            (vec![("utm_source", "google")], Some("paid_social"), true),
            (vec![("gclidx", "1"), ("utm_medium", "social")], None, false),
            (vec![], None, false),
        ] {
            assert_eq!(is_advertisement(query.iter().copied(), own_medium), expected, "{query:?} {own_medium:?}");
        }
    }
}
