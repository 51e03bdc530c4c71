//! The body of a call about several objects: `{"ids": […]}`.

use super::problem::RewardsError;
use crate::json::field::Fields;
use headwater_domain::ids::ID_MAX;

/// Ids of one call.
pub const IDS_MAX: usize = 1000;

/// 1 to 1000 numbers, each once, in the order given.
pub fn ids(fields: &Fields<'_>) -> Result<Vec<i64>, RewardsError> {
    let wrong = || RewardsError::invalid_params(format!("ids must be a list of 1 to {IDS_MAX} whole numbers."));
    let given: Vec<i64> = fields.raw("ids").and_then(|text| serde_json::from_str(text).ok()).ok_or_else(wrong)?;
    let mut seen = std::collections::BTreeSet::new();
    let each_once: Vec<_> = given.into_iter().filter(|id| seen.insert(*id)).collect();
    let fits = (1..=IDS_MAX).contains(&each_once.len()) && each_once.iter().all(|id| (1..=ID_MAX).contains(id));
    if fits { Ok(each_once) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::field::parse_object;

    #[test]
    fn doubles_collapse_and_everything_else_is_refused() {
        let read = |body: &str| ids(&parse_object(body.as_bytes()).expect("an object")).ok();
        assert_eq!(read(r#"{"ids":[7,8,7]}"#), Some(vec![7, 8]));
        for body in [
            "{}",
            r#"{"ids":[]}"#,
            r#"{"ids":null}"#,
            r#"{"ids":["7"]}"#,
            r#"{"ids":7}"#,
            r#"{"ids":[0]}"#,
            r#"{"ids":[1.5]}"#,
        ] {
            assert_eq!(read(body), None, "{body}");
        }
        let many = |count: i64| format!("{{\"ids\":{:?}}}", (1..=count).collect::<Vec<_>>());
        assert!(read(&many(1000)).is_some() && read(&many(1001)).is_none());
    }
}
