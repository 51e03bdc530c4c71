//! Multiplies out what an explanation prints, with paper and pencil: only the printed numbers, never the engine's.
//!
//! Leaves drawing cases to `generate`. A number that is printed and does not follow from the others is an objection.

use super::fraction::Fraction;
use super::portions::share_out;
use serde_json::Value;

/// What does not multiply out in an explanation; empty where all does.
pub fn objections(explanation: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut hold = |what: &str, printed: Fraction, worked_out: Fraction| {
        if printed != worked_out {
            found.push(format!("{what}: printed {printed}, worked out {worked_out}"));
        }
    };
    let mut sum = Fraction::ZERO;
    for input in list(&explanation["inputs"]) {
        if list(&input["terms"]).next().is_some() {
            hold("quantity", number(&input["quantity"]), sum_of_terms(input));
        }
        if let Some(won) = list(&input["candidates"]).next() {
            let rate = list(&input["pieces"]).last().unwrap();
            hold("rate of an input", number(&rate["rate"]), won_of(won, &rate["rate"]));
        }
        hold("direct", number(&input["direct"]), direct(input));
        hold("exact of an input", number(&input["exact"]), of_level(input));
        sum = sum + number(&input["exact"]);
    }
    if explanation["summed_up"].is_object() {
        sum = sum + number(&explanation["summed_up"]["exact"]);
    }
    // The first candidate won: it is the rate, or the percent of it.
    if let Some(won) = list(&explanation["candidates"]).next() {
        hold("rate", number(&explanation["rate"]), won_of(won, &explanation["rate"]));
    }
    let exact = number(&explanation["exact"]);
    hold("exact", exact, sum);
    let digits = u32::try_from(explanation["digits"].as_u64().unwrap()).unwrap();
    hold("rounded", number(&explanation["rounded"]), rounded(explanation, exact, digits));
    hold("posted after", number(&explanation["posted_after"]), number(&explanation["rounded"]));
    found
}

/// The rate of the candidate that won, or the percent of it.
fn won_of(candidate: &Value, rate: &Value) -> Fraction {
    let won = number(&candidate["rate"]);
    if won == number(rate) { won } else { won.percent() }
}

/// Σ term × exchange rate; points of a spread are in the plan's currency already.
fn sum_of_terms(input: &Value) -> Fraction {
    let rate = &input["exchange_rate"];
    let rate = if rate.is_null() { Fraction::ONE } else { number(&rate["rate"]) };
    let worth = |term: &Value| {
        let (name, value) = (term["term"].as_str().unwrap(), number(&term["value"]));
        let value = if name.ends_with("spread_points") { value } else { value * rate };
        if name.starts_with('-') { -value } else { value }
    };
    list(&input["terms"]).map(worth).sum()
}

/// Σ quantity × rate × weight × credit share − what a cap cut off, times what carry left, − what a cap cut off of that.
fn direct(input: &Value) -> Fraction {
    let priced: Fraction =
        list(&input["pieces"]).map(|piece| number(&piece["quantity"]) * number(&piece["rate"])).sum();
    let factors = number(&input["weight"]) * number(&input["credit_share"]);
    let cut = priced * factors - number(&input["cut_off"]);
    let left = if input.get("carry_share").is_some() { cut * number(&input["carry_share"]) } else { cut };
    if input.get("cut_off_of_carried").is_some() { left - number(&input["cut_off_of_carried"]) } else { left }
}

/// What the level gets of it, after the budget; and of that, what a rebate gives.
fn of_level(input: &Value) -> Fraction {
    let mut part = number(&input["direct"]);
    if let Some(tier) = input.get("tier") {
        part = of_tier(tier, input, part);
    }
    if let Some(percent) = input.get("split_percent") {
        part = part * number(percent).percent();
    }
    if input.get("budget_factor").is_some() {
        part = part * number(&input["budget_factor"]);
    }
    if let Some(rebate) = input.get("rebate") {
        let printed = |key: &str| rebate.get(key).map(number);
        part = part * number(&rebate["percent"]).percent() * number(&rebate["weight"]);
        part = part * printed("credit_share").unwrap_or(Fraction::ONE) - printed("cut_off").unwrap_or(Fraction::ZERO);
        part = part * number(&rebate["sign"]);
    }
    part
}

fn of_tier(tier: &Value, input: &Value, direct: Fraction) -> Fraction {
    let factors = number(&input["weight"]) * number(&input["credit_share"]);
    match tier["method"].as_str().unwrap() {
        "difference" if tier.get("same_rank").is_some() => {
            number(&tier["same_rank"]["of"]) * number(&tier["same_rank"]["share"])
        }
        "difference" => {
            let above = |piece: &Value| number(&piece["quantity"]) * (number(&piece["rate"]) - number(&piece["below"]));
            list(&tier["pieces"]).map(above).sum::<Fraction>() * factors * number(&tier["proportion"])
        }
        "share_from_below" => {
            let level = usize::try_from(input["level"].as_u64().unwrap()).unwrap();
            let by_amount = tier.get("pass_up_amounts").is_some();
            let mut came = direct;
            for (index, step) in list(&tier[if by_amount { "pass_up_amounts" } else { "pass_up" }]).enumerate() {
                let passed = if by_amount {
                    let wanted = number(&input["quantity"]) * number(step) * factors;
                    if came.is_negative() { wanted.max(came).min(Fraction::ZERO) } else { wanted.min(came) }
                } else {
                    came * number(step).percent()
                };
                if index == level {
                    return came - passed;
                }
                came = passed;
            }
            came
        }
        _ => direct * number(&tier["percent"]).percent(),
    }
}

/// What is alone is rounded half away from zero; of every path the cell gets its part by largest remainder.
fn rounded(explanation: &Value, exact: Fraction, digits: u32) -> Fraction {
    let unit = Fraction::new(1, 10_i128.pow(digits));
    let mut alone = exact;
    let mut given = 0;
    for path in list(&explanation["paths"]) {
        let levels: Vec<Fraction> = list(&path["levels"]).map(number).collect();
        let index = usize::try_from(path["index"].as_u64().unwrap()).unwrap();
        let of_level = largest_remainders(&levels, digits)[index];
        if path.get("portions").is_some() {
            let portions: Vec<Fraction> = list(&path["portions"]).map(number).collect();
            let portion = usize::try_from(path["portion"].as_u64().unwrap()).unwrap();
            assert_eq!(portions.iter().copied().sum::<Fraction>(), levels[index], "portions of {path}");
            alone = alone - portions[portion];
            given += share_out(of_level, &portions, digits)[portion];
            continue;
        }
        alone = alone - levels[index];
        given += of_level;
    }
    Fraction::whole(alone.round_to_minor(digits) + given) * unit
}

fn largest_remainders(levels: &[Fraction], digits: u32) -> Vec<i128> {
    let sum: Fraction = levels.iter().copied().sum();
    if sum.is_negative() {
        let turned: Vec<Fraction> = levels.iter().map(|level| -*level).collect();
        return largest_remainders(&turned, digits).into_iter().map(|minor| -minor).collect();
    }
    let parts: Vec<(i128, Fraction)> = levels.iter().map(|level| level.floor_to_minor(digits)).collect();
    let left = sum.round_to_minor(digits) - parts.iter().map(|(floor, _)| floor).sum::<i128>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    // Stable: of equal remainders the one nearest the client comes first.
    order.sort_by(|a, b| parts[*b].1.cmp(&parts[*a].1));
    let mut given: Vec<i128> = parts.iter().map(|(floor, _)| *floor).collect();
    order.iter().take(usize::try_from(left).unwrap_or(0)).for_each(|index| given[*index] += 1);
    given
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().unwrap().iter()
}

/// A printed number: `12.5`, or `1/3` where no decimal ends.
fn number(value: &Value) -> Fraction {
    let text = value.as_str().unwrap_or_else(|| panic!("no number: {value}"));
    match text.split_once('/') {
        Some((top, bottom)) => Fraction::new(top.parse().unwrap(), bottom.parse().unwrap()),
        None => Fraction::parse(text).unwrap(),
    }
}
