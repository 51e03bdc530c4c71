//! Random plans of every rule kind, modifier and tier method that the linter accepts.
//!
//! Leaves people and facts to `generate`. Figures come from short lists: they meet at thresholds, and exact sums of
//! odd fractions stay within 127 bits. Combinations on which the contract is silent are not drawn; each says so.

use super::random::Random;
use serde_json::{Map, Value, json};

/// What the plans of one case have in common.
pub struct Frame {
    pub currency: &'static str,
    pub period: &'static str,
    pub zone: &'static str,
    pub on_suspended: &'static str,
}

impl Frame {
    pub fn draw(random: &mut Random) -> Self {
        Self {
            currency: random.pick(&["USD", "USD", "USD", "EUR", "JPY", "BHD"]),
            period: random.pick(&["month", "month", "week", "day"]),
            zone: random.pick(&["UTC", "UTC", "Asia/Nicosia", "NY+7"]),
            on_suspended: random.pick(&["block", "compress", "house"]),
        }
    }
}

pub fn plan(random: &mut Random, name: &str, frame: &Frame) -> Value {
    let mut plan = json!({
        "name": name, "currency": frame.currency, "period": frame.period, "time_zone": frame.zone,
        "on_suspended": frame.on_suspended,
        "groups": { "Metals": ["XAUUSD", "XAGUSD"], "Majors": ["EURUSD", "GBPUSD"] },
        "max_rate_age_days": 400,
    });
    if random.chance(30) {
        plan["ftd_window_hours"] = random.pick(&[&24, &48, &720]).to_owned().into();
    }
    if random.chance(20) {
        plan["hold_days"] = 30.into();
    }
    if random.chance(15) {
        plan["clawback"] = false.into();
    }
    if random.chance(10) {
        plan["max_rate_age_days"] = 20.into();
    }
    if random.chance(50) {
        plan["qualification"] = conditions(random, false);
    }
    let tiers = tiers(random);
    let method = tiers["method"].as_str().unwrap_or("none").to_owned();
    let has_amounts = tiers.get("pass_up_amounts").is_some();
    if method != "none" {
        plan["tiers"] = tiers;
    }
    let has_budget = random.chance(15);
    if has_budget {
        plan["budget"] = json!({
            "percent_of": ["spread_cost", "commission"],
            "percent": random.pick(&["50", "75", "25"]),
            "on_exceed": random.pick(&["scale", "refuse"]),
        });
    }
    let mut rules: Vec<Value> = Vec::new();
    for index in 0..random.below(4) + 2 {
        let mut rule = rule(random, &plan, &rules, has_budget, &method);
        // Which of its rates a part that crosses a step is compared with is not said.
        if method == "difference" && rule["brackets"]["mode"] == "marginal" {
            rule["brackets"]["mode"] = "whole".into();
        }
        rule["id"] = format!("r{index}").into();
        if has_amounts && !matches!(rule["kind"].as_str().unwrap(), "per_lot" | "per_million" | "rebate") {
            rule["tiers"] = false.into();
        }
        rules.push(rule);
    }
    plan["rules"] = rules.into();
    plan
}

fn tiers(random: &mut Random) -> Value {
    match random.below(8) {
        0 => json!({ "method": "override", "levels": random.pick(&[&["20"][..], &["20", "10"], &["15", "10", "5"]]) }),
        1 => {
            json!({ "method": "ratio", "percents": random.pick(&[&["60", "30"][..], &["50", "25", "12.5"], &["70"]]) })
        }
        2 => {
            json!({ "method": "split", "shares": random.pick(&[&["70", "30"][..], &["50", "30", "20"], &["33.3", "33.3", "33.4"]]) })
        }
        3 => {
            json!({ "method": "share_from_below", "pass_up": random.pick(&[&["20", "10"][..], &["40"], &["50", "50", "25"]]) })
        }
        4 => json!({ "method": "share_from_below", "pass_up_amounts": random.pick(&[&["0.5", "0.2"][..], &["0.3"]]) }),
        5 => json!({ "method": "difference" }),
        6 => json!({ "method": "difference", "same_rank_bonus": "5" }),
        _ => json!({ "method": "none" }),
    }
}

pub fn conditions(random: &mut Random, with_partner: bool) -> Value {
    let mut conditions = Map::new();
    let amount = |random: &mut Random| Value::from(random.pick(&["1", "50", "100", "250"]));
    // One condition on facts at least, so that nobody qualifies before anything happens.
    match random.below(6) {
        0 | 1 => conditions.insert("min_first_deposit".into(), amount(random)),
        2 => conditions.insert("min_net_deposit".into(), amount(random)),
        3 => conditions.insert("min_lots".into(), random.pick(&["1", "2.5", "6"]).into()),
        4 => conditions.insert("min_spread_cost".into(), random.pick(&["10", "40"]).into()),
        _ => conditions.insert("min_deposits".into(), (random.below(2) + 1).into()),
    };
    if random.chance(20) {
        conditions.insert("min_trades".into(), 1.into());
    }
    if random.chance(15) {
        conditions.insert("kyc".into(), "approved".into());
    }
    if random.chance(15) {
        conditions.insert("countries".into(), json!(["DE", "FR"]));
    }
    if random.chance(10) {
        conditions.insert("account_types".into(), json!(["ECN"]));
    }
    if random.chance(25) {
        conditions.insert("within_days".into(), (*random.pick(&[&5, &30, &60])).into());
        conditions.insert("from".into(), random.pick(&["registration", "first_deposit"]).into());
    }
    if with_partner && random.chance(15) {
        let each = json!({ "min_lots": random.pick(&["1", "5"]) });
        conditions.insert("partner".into(), json!({ "min_active_customers": random.below(2) + 1, "each": each }));
    }
    conditions.into()
}

fn rule(random: &mut Random, plan: &Value, earlier: &[Value], has_budget: bool, method: &str) -> Value {
    let kinds = [
        "per_lot",
        "per_lot",
        "percent",
        "percent",
        "per_million",
        "flat",
        "cpa",
        "cpa_ladder",
        "external",
        "bonus",
        "rebate",
    ];
    let kind = random.pick(&kinds.each_ref().map(|kind| *kind));
    let mut rule = json!({ "kind": kind });
    match kind {
        "per_lot" => per_lot(random, &mut rule, has_budget),
        "percent" => percent(random, &mut rule, method),
        "per_million" => rule["rate"] = random.pick(&["25", "40", "7.5"]).into(),
        "flat" => {
            rule["amount"] = random.pick(&["9", "2.5", "100"]).into();
            if random.chance(40) {
                rule["sales"] = sales(random);
            } else {
                rule["on"] = random.pick(&["REGISTRATION", "SUBSCRIPTION"]).into();
                rule["once_per"] = random.pick(&["event", "customer", "person"]).into();
            }
            if random.chance(30) {
                rule["pays"] = "customer".into();
            }
            if random.chance(30) {
                rule["unit"] = random.pick(&["points", "credits", "free_months"]).into();
            }
        }
        "cpa" => {
            rule["amount"] = random.pick(&["400", "33.33", "12"]).into();
            if plan.get("qualification").is_none() || random.chance(60) {
                rule["qualify"] = conditions(random, true);
            }
            if random.chance(20) {
                rule["once_per"] = "customer".into();
            }
            if random.chance(25) {
                rule["brackets"] = brackets(random, "ftd", &["whole", "previous"]);
            }
        }
        "cpa_ladder" => {
            rule["of"] = random.pick(&["first_deposit", "net_deposit"]).into();
            rule["steps"] = json!([{"from": "50", "amount": "5"}, {"from": "100", "amount": "35"}, {"from": "500", "amount": "120"}]);
        }
        "external" => rule["of"] = random.pick(&["ib_rebate", "kpi:fees"]).into(),
        // What has no rule to be of becomes the plainest rule.
        kind => match source(random, earlier, kind) {
            Some(id) => {
                rule["of_rule"] = id;
                rule["percent"] = random.pick(&["25", "40", "33.3"]).into();
                if kind == "rebate" {
                    rule["pays"] = "customer".into();
                }
                of_another(random, &mut rule, earlier);
            }
            None => rule = json!({ "kind": "per_lot", "rate": "5" }),
        },
    }
    filters(random, &mut rule);
    if random.chance(12) && !matches!(rule["kind"].as_str().unwrap(), "rebate" | "cpa_ladder") {
        rule["weight"] = random.pick(&["0.5", "2"]).into();
    }
    if random.chance(12) && rule.get("unit").is_none() && rule["kind"] != "rebate" && rule["pays"] != "customer" {
        rule["tiers"] = false.into();
    }
    rule
}

fn per_lot(random: &mut Random, rule: &mut Value, has_budget: bool) {
    match random.below(3) {
        0 => {
            rule["rates"] = json!([
                { "instrument": "EURUSD", "rate": "6" }, { "group": "Metals", "rate": "8" },
                { "account_type": "ECN", "rate": "3.7" },
            ]);
            if random.chance(50) {
                rule["rate"] = "1.11".into();
            }
        }
        1 => rule["rate"] = random.pick(&["5", "2.005", "7"]).into(),
        _ => {
            rule["rate"] = "5".into();
            rule["brackets"] = brackets(random, "lots", &["whole", "marginal", "previous"]);
        }
    }
    // An open trade has no closed figures to make a budget of.
    if random.chance(40) && !has_budget {
        rule["side"] = random.pick(&["open", "close", "both", "round_turn"]).into();
    }
    if random.chance(25) {
        rule["lot_factor"] =
            json!([{ "group": "Metals", "factor": "0.4" }, { "account_type": "ECN", "factor": "1.5" }]);
    }
    if random.chance(20) && rule.get("brackets").is_none() {
        rule["cap"] = cap(random);
    }
    let is_round_turn = matches!(rule["side"].as_str().unwrap_or("round_turn"), "round_turn" | "close");
    if random.chance(25) && is_round_turn {
        rule["eligibility"] = eligibility(random);
    }
    if random.chance(8) && rule.get("brackets").is_none() {
        rule["unit"] = "points".into();
    }
}

fn percent(random: &mut Random, rule: &mut Value, method: &str) {
    rule["percent"] = random.pick(&["30", "50", "12.5", "33.33"]).into();
    rule["of"] = random
        .pick(&[
            &["spread_cost"][..],
            &["spread_cost", "commission", "swap", "-ib_rebate", "-kpi:fees"],
            &["spread_cost", "-pnl"],
            &["commission", "-pnl", "-bonus"],
            &["sale"],
            &["sale"],
            &["deposit", "-withdrawal", "-bonus", "-chargeback", "adjustment"],
            &["spread_points"],
        ])
        .into();
    if rule["of"][0] == "spread_points" {
        rule["max_points"] = "35".into();
        rule["point_value"] = random.pick(&["1", "0.1"]).into();
    }
    match random.below(5) {
        // How a carried amount is divided by differences of rates is not said.
        0 if method != "difference" => {
            rule["carry"] = carry(random);
            if random.chance(30) {
                rule["cap"] = cap(random);
            }
        }
        1 => {
            let metric = random.pick(&["base", "base", "lots"]);
            rule["brackets"] = brackets(random, metric, &["whole", "marginal", "previous"]);
        }
        2 => rule["cap"] = cap(random),
        3 if random.chance(50) => rule["eligibility"] = eligibility(random),
        _ => {}
    }
    if rule["of"] == json!(["sale"]) && random.chance(70) {
        rule["sales"] = sales(random);
        if rule["brackets"]["scope"] == "network" {
            rule["brackets"]["scope"] = "own".into();
        }
    }
}

/// What is asked of a sale.
fn sales(random: &mut Random) -> Value {
    let mut asked = Map::new();
    if random.chance(20) {
        asked.insert("product".into(), random.pick(&[&["pro"][..], &["pro", "basic"]]).into());
    }
    if random.chance(15) {
        asked.insert("billing_period".into(), json!(["monthly"]));
    }
    if random.chance(25) {
        asked.insert("within_months".into(), (random.below(2) + 1).into());
    }
    if random.chance(35) {
        asked.insert("max_redemptions".into(), (random.below(2) + 1).into());
    }
    if random.chance(20) {
        asked.insert("new_customers_only".into(), true.into());
    }
    let mut conditions = Vec::new();
    for index in 0..random.below(3) {
        let metric = random.pick(&[
            "customer_sales_count",
            "customer_age_in_months",
            "partner_customers_count",
            "partner_revenue",
        ]);
        let mut kinds = vec!["less_than", "at_most", "equal_to", "at_least", "more_than", "multiple_of"];
        if metric.starts_with("partner_") {
            kinds.push("reaching");
        }
        let is = random.pick(&kinds);
        let value = if metric == "partner_revenue" { ["90", "200", "300"] } else { ["1", "2", "3"] };
        let mut condition = json!({ "metric": metric, "is": is, "value": value[random.below(3)] });
        if random.chance(25) {
            condition["same_product"] = true.into();
        }
        if index > 0 && random.chance(70) {
            condition["join"] = random.pick(&["and", "or"]).into();
        }
        conditions.push(condition);
    }
    if !conditions.is_empty() {
        asked.insert("conditions".into(), conditions.into());
    }
    asked.into()
}

fn brackets(random: &mut Random, metric: &str, modes: &[&str]) -> Value {
    let froms = match metric {
        "lots" => ["0", "3", "10"],
        "base" => ["0", "60", "300"],
        _ => ["0", "1", "2"],
    };
    let rates = random.pick(&[&["3", "5", "7.5"], &["10", "8", "6"]]);
    let steps: Vec<Value> = froms.iter().zip(rates).map(|(from, rate)| json!({ "from": from, "rate": rate })).collect();
    let steps = &steps[..=random.below(3)];
    json!({ "metric": metric, "scope": random.pick(&["own", "own", "network"]), "mode": random.pick(modes), "steps": steps })
}

fn cap(random: &mut Random) -> Value {
    let mut cap =
        json!({ "per": random.pick(&["trade", "customer", "day", "period"]), "amount": random.pick(&["20", "50"]) });
    if cap["per"] == "customer" && random.chance(40) {
        cap["percent_of_first_deposit"] = random.pick(&["100", "10"]).into();
    }
    cap
}

fn carry(random: &mut Random) -> Value {
    let mut carry = json!({ "of": random.pick(&["base", "base", "commission", "none"]) });
    if random.chance(30) && carry["of"] != "none" {
        carry["max_average_periods"] = random.pick(&["1", "2.5"]).into();
    }
    if random.chance(30) && carry["of"] == "base" {
        carry["quarantine"] = random.pick(&["-50", "-200"]).into();
    }
    carry
}

fn eligibility(random: &mut Random) -> Value {
    let mut wanted = Map::new();
    let draws: [(&str, Value); 6] = [
        ("min_duration_s", 180.into()),
        ("min_move_points", "5".into()),
        ("min_move_spreads", "2".into()),
        ("exclude_zero_move", true.into()),
        ("exclude_negative_equity", true.into()),
        ("credit_threshold", "0.85".into()),
    ];
    let sure = random.below(draws.len());
    for (index, (key, value)) in draws.into_iter().enumerate() {
        if index == sure || random.chance(20) {
            wanted.insert(key.to_owned(), value);
        }
    }
    if random.chance(50) {
        wanted.insert("on_missing_detail".to_owned(), random.pick(&["hold", "pay"]).into());
    }
    wanted.into()
}

/// What a rule of another rule can have of its own; filters and eligibility where that one is of single trades.
fn of_another(random: &mut Random, rule: &mut Value, earlier: &[Value]) {
    let mut root = rule.clone();
    while let Some(of) = earlier.iter().find(|other| other["id"] == root["of_rule"]) {
        root = of.clone();
    }
    let is_round_turn = matches!(root["side"].as_str().unwrap_or("round_turn"), "round_turn" | "close");
    if matches!(root["kind"].as_str().unwrap(), "per_lot" | "per_million") && is_round_turn {
        match random.below(7) {
            0 => rule["when"] = json!({ "instrument": ["EURUSD", "BTCUSD"] }),
            1 => rule["eligibility"] = eligibility(random),
            _ => {}
        }
    }
    if rule["kind"] == "rebate" {
        if random.chance(25) {
            rule["cap"] = cap(random);
        }
    } else if random.chance(20) {
        rule["brackets"] = brackets(random, "lots", &["whole", "marginal", "previous"]);
    }
}

/// A rule that a bonus or a rebate can be of.
fn source(random: &mut Random, earlier: &[Value], kind: &str) -> Option<Value> {
    let fits = |rule: &&Value| {
        let is_plain = rule["kind"] != "rebate" && rule.get("unit").is_none() && rule["pays"] != "customer";
        // Whose cashback a share of a carried period would be is not said, nor what becomes of it when a new version
        // of the rebate begins before that of its rule.
        let waits = rule.get("carry").is_some() || rule.get("brackets").is_some() || rule["cap"]["per"] == "period";
        // Three rebates of one rule may give back more than all of it, in this version or in a later one.
        let rebates =
            earlier.iter().filter(|other| other["kind"] == "rebate" && other["of_rule"] == rule["id"]).count();
        is_plain && (kind == "bonus" || (!waits && rule["kind"] != "bonus" && rebates < 2))
    };
    let choices: Vec<&Value> = earlier.iter().filter(fits).collect();
    if choices.is_empty() { None } else { Some(choices[random.below(choices.len())]["id"].clone()) }
}

fn filters(random: &mut Random, rule: &mut Value) {
    let kind = rule["kind"].as_str().unwrap().to_owned();
    let mut when = Map::new();
    if random.chance(10) {
        when.insert("country".to_owned(), json!(["DE", "AT"]));
    }
    if random.chance(6) {
        when.insert("account_type".to_owned(), json!(["ECN"]));
    }
    if random.chance(4) {
        when.insert("campaign".to_owned(), json!(["x"]));
    }
    if matches!(kind.as_str(), "per_lot" | "per_million") {
        if random.chance(9) {
            when.insert("instrument".to_owned(), json!(["EURUSD", "BTCUSD"]));
        } else if random.chance(8) {
            when.insert("group".to_owned(), json!(["Metals"]));
        }
    }
    if !when.is_empty() && !matches!(kind.as_str(), "rebate" | "bonus") {
        rule["when"] = when.into();
    }
}
