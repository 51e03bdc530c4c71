//! Rewards of the type `custom`: nothing earns them, a commission made by hand names one.
//!
//! Pure. Leaves the commission to `commission::custom`.

use super::schema::schemas_of_all_sales;
use super::{RULE_PREFIX, Result, RewardTerms, cannot, kind_of, word, wrong};
use headwater_domain::money::{Currency, Decimal, Unit};

/// What a reward of the type `custom` gives, by unit. Nothing earns it: a commission made by hand names it.
pub fn given_by_hand(reward: &RewardTerms<'_>, currency: Currency) -> Result<Vec<(Unit, Decimal)>> {
    if kind_of(reward)? != "custom" {
        return cannot("reward_id", "must be of a custom reward: every other one is earned, not given by hand");
    }
    if word(reward, "duration", &["once", "forever", "repeating"])? == Some("repeating") {
        return cannot("duration", "repeating is of sales; a custom reward is given by hand, each time for itself");
    }
    let mut given: Vec<(Unit, Decimal)> = Vec::new();
    let schemas = schemas_of_all_sales(reward, "has no sale to be asked of, of a custom reward; leave it out")?;
    for (index, schema) in schemas.into_iter().enumerate() {
        if !schema.is_flat {
            let field = format!("schemas[{index}].flat_amount");
            return cannot(field, "of a custom reward must be true: there is no sale to take a percent of");
        }
        let (unit, amount) = schema.given(index, currency)?;
        if given.iter().any(|(other, _)| *other == unit) {
            return wrong(format!("schemas[{index}].unit"), "is that of another schema of this custom reward");
        }
        given.push((unit, amount));
    }
    Ok(given)
}

/// The rule that a commission made by hand names for a reward.
pub fn by_hand_rule(reward: i64) -> String {
    format!("{RULE_PREFIX}{reward}:custom")
}
