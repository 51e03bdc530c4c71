//! Rewards of a tier: what the parents of whoever brought a sale get of it, as the tiers of the plan.
//!
//! Pure. The modes of rewards become the methods of plans (`rewards-api.md` §8).

use super::schema::{CASH, schemas_of_all_sales};
use super::{Result, RewardTerms, cannot, word, wrong};
use headwater_domain::money::{Decimal, MICROS};
use serde_json::{Value, json};

/// A level from 2 on, its method and its percent.
pub(super) type Level = (i64, &'static str, Decimal);

/// What a reward of a tier says.
pub(super) fn level(reward: &RewardTerms<'_>) -> Result<Level> {
    let modes = ["tier_commission_mode", "tier_override_mode", "tier_net_override_mode"];
    let method = match word(reward, "tier_reward_mode", &modes)? {
        Some("tier_commission_mode") => "ratio",
        Some("tier_override_mode") => "override",
        Some(_) => "share_from_below",
        None => return wrong("tier_reward_mode", "is required for a tier"),
    };
    let level = reward.document.get("tier_level").and_then(Value::as_i64).filter(|level| (2..=100).contains(level));
    let Some(level) = level else { return wrong("tier_level", "must be a whole number from 2 on") };
    if word(reward, "duration", &["once", "forever", "repeating"])?.is_some_and(|duration| duration != "forever") {
        return cannot("duration", "of a tier is that of the sale's reward; use forever");
    }
    if !reward.applies_to.is_all() {
        return cannot("apply_on", "of a tier must be all: it is of whatever the sale's reward pays for");
    }
    match &schemas_of_all_sales(reward, "of a tier is that of the sale's reward; leave it out")?[..] {
        [schema] if schema.unit != CASH => cannot("schemas[0].unit", "of a tier must be cash: tiers share money alone"),
        [schema] if schema.is_flat => cannot("schemas[0].flat_amount", "of a tier must be false: tiers pay percents"),
        [schema] if schema.amount > Decimal(100 * MICROS) => wrong("schemas[0].amount", "must be at most 100 percent"),
        [schema] => Ok((level, method, schema.amount)),
        _ => cannot("schemas", "of a tier must be one"),
    }
}

/// The plan's tiers: one method for all levels, from the nearest parent without a gap.
pub(super) fn together(mut levels: Vec<Level>, rules: &mut [Value]) -> Result<Option<Value>> {
    levels.sort_by_key(|(level, ..)| *level);
    let Some((_, method, _)) = levels.first().copied() else { return Ok(None) };
    if levels.iter().any(|(_, other, _)| *other != method) {
        return cannot("tier_reward_mode", "must be the same for all tiers of a campaign");
    }
    if !levels.iter().zip(2..).all(|((level, ..), expected)| *level == expected) {
        return cannot("tier_level", "must be 2, 3, 4 … without a gap, each once in a campaign");
    }
    let mut percents: Vec<String> = levels.iter().map(|(_, _, percent)| percent.to_string()).collect();
    let tiers = match method {
        "override" => json!({"method": method, "levels": percents}),
        "share_from_below" => {
            // The last percent repeats; after the last tier nothing is passed up.
            percents.push("0".into());
            json!({"method": method, "pass_up": percents})
        }
        _ => {
            let is_money = |rule: &&mut Value| {
                rule["pays"] == "partner" && rule.get("unit").is_none() && rule.get("tiers").is_none()
            };
            let mut money: Vec<_> = rules.iter_mut().filter(is_money).collect();
            let [direct] = &mut money[..] else {
                return cannot("tier_reward_mode", "tier_commission_mode goes with exactly one cash reward for sales");
            };
            let Some(own) = direct["percent"].as_str().map(str::to_owned) else {
                return cannot("tier_reward_mode", "tier_commission_mode goes with a percent of the sale");
            };
            // Every level has its own percent of the whole sale.
            direct["percent"] = "100".into();
            percents.insert(0, own);
            let sum =
                percents.iter().filter_map(|text| Decimal::parse(text).ok()).map(|percent| percent.0).sum::<i64>();
            if sum > 100 * MICROS {
                return cannot("schemas[0].amount", "makes the levels pay more than 100 percent of the sale together");
            }
            json!({"method": method, "percents": percents})
        }
    };
    Ok(Some(tiers))
}
