//! Which reward made which level of a campaign's tiers, and since when.
//!
//! A plan's rule stands for the reward of the sale, at every level; what a level above the first one is for is said by another
//! reward of the campaign's lists. Kept by date in the setting `campaign`: a list that changes later does not rename what was
//! earned before. Leaves what a level pays to the plan. Invariant: entries are in the order of their dates.

use crate::reward::Reward;
use headwater_domain::time::Instant;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Rewards' numbers by their levels, from 2 on.
pub(super) type Levels = BTreeMap<i64, i64>;

/// Where it stands among what a campaign says.
const TIERS: &str = "reward_tiers";

/// What these rewards of a campaign's lists make.
pub(super) fn levels<'r>(rewards: impl Iterator<Item = &'r Reward>) -> Levels {
    let is_tier = |reward: &&Reward| reward.document.get("promoter_reward_type").is_some_and(|kind| kind == "tier");
    let level = |reward: &Reward| Some((reward.document.get("tier_level")?.as_i64()?, reward.row.id));
    rewards.filter(is_tier).filter_map(level).collect()
}

/// Puts the levels into what a campaign is to say, where they are others than it said last; gives whether they are.
pub(super) fn put(said: &mut Map<String, Value>, before: &Map<String, Value>, levels: &Levels, from: Instant) -> bool {
    let mut entries = before.get(TIERS).and_then(Value::as_array).cloned().unwrap_or_default();
    let levels: Map<String, Value> = levels.iter().map(|(level, id)| (level.to_string(), (*id).into())).collect();
    let last = entries.last().and_then(|entry| entry["levels"].as_object());
    if last.map_or(levels.is_empty(), |last| *last == levels) {
        return false;
    }
    entries.push(json!({"from": from.iso8601(), "levels": levels}));
    said.insert(TIERS.to_owned(), entries.into());
    true
}

/// The reward of a level, from 2 on, of what was earned at `at`.
pub(crate) fn reward_of_level(campaign: &Map<String, Value>, level: i64, at: Instant) -> Option<i64> {
    let entries = campaign.get(TIERS)?.as_array()?;
    let began = |entry: &&Value| entry["from"].as_str().and_then(Instant::parse).is_some_and(|from| from <= at);
    entries.iter().rev().find(began)?["levels"][level.to_string()].as_i64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_keeps_the_reward_that_made_it_when_the_list_changes() {
        let mut campaign = Map::new();
        for (levels, from) in [(Levels::from([(2, 7)]), 10), (Levels::from([(2, 7)]), 15), (Levels::from([(2, 9)]), 20)]
        {
            let mut said = Map::new();
            assert_eq!(put(&mut said, &campaign, &levels, Instant(from)), from != 15);
            campaign.extend(said);
        }
        let at = |level, at| reward_of_level(&campaign, level, Instant(at));
        assert_eq!([at(2, 9), at(2, 10), at(2, 19), at(2, 20), at(3, 20)], [None, Some(7), Some(7), Some(9), None]);
    }
}
