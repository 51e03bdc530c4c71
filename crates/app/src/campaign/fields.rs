//! What a request says of a campaign, by the fields of the dialect: which are the program's, which are kept beside it, and what of
//! them cannot be.
//!
//! Leaves the lists of rewards to `campaign`, and upgrades to `upgrade`. Pure.

use super::{LISTS, upgrade};
use crate::directory::Program;
use crate::error::Error;
use crate::reward::{RewardFailure, accepted};
use serde_json::{Map, Value, json};

/// What becomes of clicks of paid advertisements.
const AD_TRAFFIC: &str = "track_ad_traffic";
const BLOCK: &str = "block";
const PENDING: &str = "pending";
/// What is kept as it was said.
const KEPT: [&str; 6] = ["ref_token_param", "auto_approve_promoters", "is_private", "color", AD_TRAFFIC, "description"];

/// Whether clicks of paid advertisements bring a campaign nobody.
pub(crate) fn blocks_advertisements(campaign: &Map<String, Value>) -> bool {
    campaign.get(AD_TRAFFIC).is_some_and(|said| said == BLOCK)
}

/// Whether whom clicks of paid advertisements bring waits for a decision.
pub(crate) fn lets_advertisements_wait(campaign: &Map<String, Value>) -> bool {
    campaign.get(AD_TRAFFIC).is_some_and(|said| said == PENDING)
}

/// Refuses what cannot be taken away, or is not this dialect's to change.
pub(super) fn stays(before: &Program, asked: &Map<String, Value>) -> Result<(), RewardFailure> {
    for name in ["name", "landing_url", "ref_token_param", "visitor_cookie_life"] {
        if asked.get(name).is_some_and(Value::is_null) {
            return Err(RewardFailure::wrong(name, "cannot be cleared: send a value, or leave it out"));
        }
    }
    for (list, _) in LISTS {
        if asked.get(list).is_some_and(Value::is_null) {
            return Err(RewardFailure::wrong(list, "must be a list: send [] for none, or leave it out"));
        }
    }
    own_currency(&before.settings.currency, asked)
}

/// A campaign shows its currency; what is sent back unchanged is no request.
pub(super) fn own_currency(own: &str, asked: &Map<String, Value>) -> Result<(), RewardFailure> {
    match asked.get("currency") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(code)) if code == own => Ok(()),
        Some(_) => {
            let message = format!("is {own} here, and is set by the management API; leave it out");
            Err(RewardFailure::cannot("currency", &message))
        }
    }
}

/// What a request says by its fields' names.
pub(super) type Said = Map<String, Value>;

/// What a campaign says, with what a request says of it: `null` clears a key.
pub(crate) fn merged(before: &Map<String, Value>, said: &Map<String, Value>) -> Map<String, Value> {
    let mut campaign = before.clone();
    for (name, value) in said {
        if value.is_null() {
            campaign.remove(name);
        } else {
            campaign.insert(name.clone(), value.clone());
        }
    }
    campaign
}

/// The fields of the program, and what the campaign is to say beside what it says already, for [`merged`].
pub(super) fn fields_of(asked: &Said) -> Result<(Said, Said), RewardFailure> {
    let given = |name: &str| asked.get(name).filter(|value| !value.is_null());
    let (mut fields, mut campaign) = (Map::new(), Map::new());
    for (from, to) in [("name", "name"), ("landing_url", "site_url"), ("visitor_cookie_life", "window_days")] {
        if let Some(value) = given(from) {
            fields.insert(to.into(), value.clone());
        }
    }
    if let Some(value) = asked.get("auto_approve") {
        fields.insert("auto_approve".into(), value.clone());
    }
    if upgrade::is_ended(asked) {
        campaign.insert(upgrade::UPGRADE.into(), Value::Null);
    } else if let Some(value) = given(upgrade::UPGRADE) {
        campaign.insert(upgrade::UPGRADE.into(), value.clone());
    }
    match given(AD_TRAFFIC).map(Value::as_str) {
        None | Some(Some("allow" | BLOCK | PENDING)) => {}
        Some(_) => return Err(RewardFailure::wrong(AD_TRAFFIC, "must be one of pending, allow, block")),
    }
    if given("ref_token_param").is_some_and(|value| !value.as_str().is_some_and(is_parameter)) {
        return Err(RewardFailure::wrong(
            "ref_token_param",
            "must be one of ?fpr ?via ?fp_ref ?deal ?ref ?_from ?_by ?_go",
        ));
    }
    for name in ["auto_approve_promoters", "is_private"] {
        if given(name).is_some_and(|value| !value.is_boolean()) {
            return Err(RewardFailure::wrong(name, "must be true or false"));
        }
    }
    for name in ["name", "color", "description"] {
        accepted::campaign_label(asked, name)?;
    }
    if given("links").is_some_and(|links| *links != json!([])) {
        return Err(RewardFailure::cannot("links", "are not kept here: promoters make links of their own; send []"));
    }
    for name in KEPT {
        if let Some(value) = asked.get(name) {
            campaign.insert(name.into(), value.clone());
        }
    }
    for (list, _) in LISTS {
        if let Some(entries) = given(list) {
            // Its form is checked together with its rewards.
            let kept = entries.as_array().map(|entries| entries.iter().map(accepted::entry).collect());
            campaign.insert(list.into(), kept.unwrap_or_else(|| entries.clone()));
        }
    }
    Ok((fields, campaign))
}

fn is_parameter(text: &str) -> bool {
    text.strip_prefix('?').is_some_and(|name| crate::click::REF_TOKEN_PARAMETERS.contains(&name))
}

/// The program's fields by the campaign's names.
pub(super) fn renamed(error: Error) -> RewardFailure {
    match error {
        Error::Invalid { param, message } => {
            let param = match param.as_str() {
                "site_url" => "landing_url".to_owned(),
                "window_days" => "visitor_cookie_life".to_owned(),
                _ => param,
            };
            RewardFailure::wrong(&param, &message)
        }
        other => other.into(),
    }
}
