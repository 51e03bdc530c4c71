//! What the plan language has and this version does not price yet: checked as far as the document can be wrong, then
//! refused with the path and a remedy. A kind or modifier leaves this file when it gets its own.

use super::reader::{Mistakes, Object, decimal};
use crate::money::{Decimal, MICROS};

/// Keys of a rule that modify its worth.
const MODIFIERS: [&str; 5] = ["brackets", "carry", "cap", "eligibility", "tiers"];
const HUNDRED: i64 = 100 * MICROS;

/// The keys that a kind of a later version has beside the common ones; `None` where no version has it.
pub(super) fn kind_keys(kind: &str) -> Option<&'static [&'static str]> {
    match kind {
        "cpa_ladder" => Some(&["of", "steps"]),
        "per_million" => Some(&["rate"]),
        "percent" => Some(&["percent", "max_points", "point_value", "of"]),
        "bonus" | "rebate" => Some(&["percent", "of_rule"]),
        "external" => Some(&["of"]),
        _ => None,
    }
}

/// A rule of a kind that comes later.
pub(super) fn rule(kind: &str, object: &Object<'_>, ids: &[&str], mistakes: &mut Mistakes) {
    if let Some(percent) = object.decimal("percent", mistakes)
        && matches!(kind, "rebate" | "percent")
        && !(0..=HUNDRED).contains(&percent.0)
    {
        mistakes.wrong(object.at("percent"), "must be from 0 to 100");
    }
    if let Some(of_rule) = object.text("of_rule", mistakes)
        && !ids.contains(&of_rule)
    {
        mistakes.wrong(object.at("of_rule"), format!("no rule has the id {of_rule}; name one of {}", ids.join(", ")));
    }
    if kind == "cpa_ladder" {
        steps(object, false, mistakes);
    }
    let remedy = "use flat, cpa or per_lot, or leave the rule out";
    mistakes.later(object.at("kind"), &format!("the rule kind {kind}"), remedy);
}

/// The modifiers of any rule.
pub(super) fn modifiers(object: &Object<'_>, mistakes: &mut Mistakes) {
    if let Some(brackets) = object.value("brackets").and_then(|v| Object::open(v, object.at("brackets"), mistakes)) {
        brackets.only(&["metric", "scope", "mode", "steps"], mistakes);
        steps(&brackets, true, mistakes);
    }
    if let Some(cap) = object.value("cap").and_then(|v| Object::open(v, object.at("cap"), mistakes)) {
        cap.only(&["per", "amount", "percent_of_first_deposit"], mistakes);
        cap.require("per", mistakes);
    }
    for key in MODIFIERS.iter().filter(|key| object.has(key)) {
        // Without tiers in the plan, `tiers` on a rule changes nothing.
        if *key == "tiers" {
            object.flag("tiers", mistakes);
            continue;
        }
        mistakes.later(object.at(key), &format!("`{key}`"), "leave it out until then");
    }
}

/// Steps rise; those of brackets start at 0.
fn steps(object: &Object<'_>, starts_at_zero: bool, mistakes: &mut Mistakes) {
    object.require("steps", mistakes);
    let mut before: Option<Decimal> = None;
    for (index, (path, value)) in object.list("steps", mistakes).into_iter().enumerate() {
        let Some(step) = Object::open(value, path, mistakes) else { continue };
        step.only(&["from", if starts_at_zero { "rate" } else { "amount" }], mistakes);
        step.require("from", mistakes);
        let Some(from) = step.decimal("from", mistakes) else { continue };
        if starts_at_zero && index == 0 && from != Decimal::ZERO {
            mistakes.wrong(step.at("from"), "the first step must start at \"0\"");
        }
        if before.is_some_and(|before| from <= before) {
            mistakes.wrong(step.at("from"), "steps must rise: put them in order, each once");
        }
        before = Some(from);
    }
}

/// The plan's `tiers`.
pub(super) fn tiers(plan: &Object<'_>, mistakes: &mut Mistakes) {
    let Some(tiers) = plan.value("tiers").and_then(|value| Object::open(value, plan.at("tiers"), mistakes)) else {
        return;
    };
    tiers.require("method", mistakes);
    let keys: &[&str] = match tiers.text("method", mistakes) {
        Some("difference") => &["method", "same_rank_bonus"],
        Some("override") => &["method", "levels"],
        Some("share_from_below") => &["method", "pass_up", "pass_up_amounts"],
        Some("split") => &["method", "shares"],
        Some("ratio") => &["method", "percents"],
        Some(_) => {
            mistakes.wrong(tiers.at("method"), "must be difference, override, share_from_below, split or ratio");
            return;
        }
        None => return,
    };
    tiers.only(keys, mistakes);
    for key in keys.iter().filter(|key| !matches!(**key, "method" | "same_rank_bonus")) {
        let mut sum = 0_i64;
        for (path, value) in tiers.list(key, mistakes) {
            let Some(share) = decimal(value, &path, mistakes) else { continue };
            if *key != "pass_up_amounts" && !(0..=HUNDRED).contains(&share.0) {
                mistakes.wrong(path, "must be from 0 to 100");
            }
            sum = sum.saturating_add(share.0);
        }
        if *key == "shares" && tiers.has("shares") && sum != HUNDRED {
            mistakes.wrong(tiers.at("shares"), format!("the shares make {}; they must make 100", Decimal(sum)));
        }
        if *key == "percents" && sum > HUNDRED {
            mistakes
                .wrong(tiers.at("percents"), format!("the percents make {}; at most 100 can be paid", Decimal(sum)));
        }
    }
    mistakes.later(plan.at("tiers"), "paying the levels above the direct partner", "leave `tiers` out until then");
}

/// The plan's `budget` and `on_suspended`.
pub(super) fn plan_keys(plan: &Object<'_>, mistakes: &mut Mistakes) {
    if plan.has("budget") {
        mistakes.later(plan.at("budget"), "`budget`", "leave it out until then");
    }
    let parse = |word: &str| matches!(word, "block" | "compress" | "house").then(|| word.to_owned());
    let word = plan.word("on_suspended", "block, compress or house", parse, mistakes);
    if let Some(word) = word.filter(|word| word != "block") {
        mistakes.later(plan.at("on_suspended"), &format!("`{word}`"), "use block, or leave it out");
    }
}
