//! Random cases: a tree to depth 4, people with several accounts, facts of every type, and what changes around them.
//!
//! Leaves plans to `plans`. A case is a document of the contract, without expectations.

use super::plans::{Frame, plan};
use super::random::Random;
use serde_json::{Value, json};

const INSTRUMENTS: [&str; 5] = ["EURUSD", "EURUSD", "XAUUSD", "GBPUSD", "BTCUSD"];
const DAYS: usize = 70;

pub fn case(seed: u64) -> Value {
    let mut random = Random::new(seed);
    let random = &mut random;
    let frame = Frame::draw(random);
    let mut plans = vec![plan(random, "a", &frame)];
    if random.chance(25) {
        plans.push(plan(random, "b", &frame));
    }
    let partners = partners(random, &plans);
    let mut customers: Vec<Value> = (0..=random.below(5)).map(|index| customer(random, index, &partners)).collect();
    let mut steps = steps(random, &frame, &plans, &partners, &customers);
    let last = customers.last().unwrap()["id"].clone();
    let is_split = steps.iter().any(|step| step["split"]["customer"] == last);
    // Who shares is said of somebody who is there.
    if customers.len() > 1 && !is_split && random.chance(15) {
        let late = customers.pop().unwrap();
        let place = random.below(steps.len() + 1);
        steps.insert(place, json!({ "customer": late }));
    }
    let named: serde_json::Map<String, Value> =
        plans.into_iter().map(|plan| (plan["name"].as_str().unwrap().to_owned(), plan)).collect();
    json!({
        "case": format!("seed {seed}"), "plans": named, "partners": partners, "customers": customers,
        "exchange_rates": exchange_rates(random), "steps": steps,
    })
}

/// A date in January, February or March of 2025.
fn date(random: &mut Random) -> String {
    let day = random.below(DAYS);
    let (month, day) = [(31, 1), (28, 2), (31, 3)]
        .into_iter()
        .scan(day, |left, (days, month)| {
            let here = *left;
            *left = left.saturating_sub(days);
            Some((here < days, month, here))
        })
        .find_map(|(is_here, month, day)| is_here.then_some((month, day + 1)))
        .unwrap();
    format!("2025-{month:02}-{day:02}")
}

fn moment(random: &mut Random) -> String {
    // Few times of day, so that moments meet.
    format!("{}T{}Z", date(random), random.pick(&["00:00:00", "12:00:00", "21:30:00", "22:30:00"]))
}

fn partners(random: &mut Random, plans: &[Value]) -> Vec<Value> {
    let count = random.below(6) + 1;
    let mut partners: Vec<Value> = Vec::new();
    let mut depths: Vec<usize> = Vec::new();
    for index in 0..count {
        let own_plan = &plans[random.below(plans.len())];
        let mut partner = json!({ "id": format!("p{index}"), "plan": own_plan["name"] });
        let mut depth = 0;
        if index > 0 && random.chance(80) {
            // The one just before makes long chains; a deeper one than 4 starts anew.
            let parent = if random.chance(60) { index - 1 } else { random.below(index) };
            if depths[parent] < 4 {
                partner["parent"] = format!("p{parent}").into();
                depth = depths[parent] + 1;
            }
        }
        depths.push(depth);
        for rule in own_plan["rules"].as_array().unwrap() {
            let takes_rate =
                matches!(rule["kind"].as_str().unwrap(), "per_lot" | "per_million" | "percent" | "cpa" | "flat");
            if takes_rate && random.chance(25) {
                let rates = random.pick(&[&["4", "5", "6.5", "8"], &["4", "6", "6", "7"]]);
                partner["rates"][rule["id"].as_str().unwrap()] = rates[random.below(4)].into();
            }
        }
        if random.chance(4) {
            partner["status"] = "suspended".into();
        }
        partners.push(partner);
    }
    partners
}

fn customer(random: &mut Random, index: usize, partners: &[Value]) -> Value {
    let mut customer = json!({
        "id": format!("c{index}"), "registered_at": format!("2025-01-{:02}T0{index}:00:00Z", random.below(20) + 1),
    });
    if index == 0 || !random.chance(6) {
        // Rather below in the tree than at its top.
        let place = random.below(partners.len()).max(random.below(partners.len()));
        customer["partner"] = partners[place]["id"].clone();
    }
    if customer.get("partner").is_some() && random.chance(15) {
        customer["split"] = split(random, partners, &customer);
    }
    if random.chance(40) {
        customer["person"] = format!("h{}", random.below(2)).into();
    }
    if random.chance(70) {
        customer["country"] = random.pick(&["DE", "FR", "AT"]).into();
    }
    if random.chance(60) {
        customer["account_type"] = random.pick(&["ECN", "STD"]).into();
    }
    if random.chance(40) {
        customer["campaign"] = random.pick(&["x", "y"]).into();
    }
    customer
}

/// Who shares with the customer's partner; of few partners or of 0 percent too.
fn split(random: &mut Random, partners: &[Value], customer: &Value) -> Value {
    let percents =
        random.pick(&[&["25", "30", "10"], &["50", "50", "0"], &["33.333333", "33.333333", "1"], &["100", "0", "0"]]);
    let others = partners.iter().filter(|partner| Some(&partner["id"]) != customer.get("partner"));
    let first = random.below(2);
    let named = others.skip(first).zip(percents.iter());
    named.map(|(partner, percent)| json!({ "partner": partner["id"], "percent": percent })).collect()
}

fn exchange_rates(random: &mut Random) -> Vec<Value> {
    let mut rates = Vec::new();
    // A pair, or only its opposite; rarely neither.
    for (one, other, rate, inverse) in [
        ("EUR", "USD", "1.0850", "0.92"),
        ("USD", "JPY", "150", "0.0064"),
        ("EUR", "JPY", "160", "0.00625"),
        ("USD", "BHD", "0.4", "2.5"),
    ] {
        if random.chance(90) {
            rates.push(json!({ "date": "2024-12-20", "from": one, "to": other, "rate": rate }));
        } else if random.chance(70) {
            rates.push(json!({ "date": "2024-12-25", "from": other, "to": one, "rate": inverse }));
        }
    }
    if random.chance(30) {
        rates.push(json!({ "date": "2025-02-01", "from": "EUR", "to": "USD", "rate": "1.1" }));
    }
    rates
}

fn steps(random: &mut Random, frame: &Frame, plans: &[Value], partners: &[Value], customers: &[Value]) -> Vec<Value> {
    let mut steps = Vec::new();
    let mut known: Vec<Value> = Vec::new();
    for number in 0..random.below(18) + 6 {
        let step = match random.below(100) {
            0..=5 => json!({ "close_period": closed_period(random, frame.period) }),
            6..=8 => {
                let mut version = plans[random.below(plans.len())].clone();
                change_figures(random, &mut version);
                json!({ "plan": version, "from": format!("2025-0{}-{:02}", random.below(2) + 1, random.below(27) + 1) })
            }
            9..=11 if partners.len() > 1 => {
                let mover = random.below(partners.len() - 1) + 1;
                let parent = random.below(mover);
                json!({ "move_partner": { "partner": format!("p{mover}"), "parent": format!("p{parent}"), "at": moment(random) } })
            }
            12..=14 => {
                let partner = format!("p{}", random.below(partners.len()));
                let verb = if random.chance(70) { "suspend_partner" } else { "restore_partner" };
                json!({ verb: { "partner": partner, "at": moment(random) } })
            }
            17..=20 => {
                let brought: Vec<&Value> = customers.iter().filter(|one| one.get("partner").is_some()).collect();
                let customer = brought[random.below(brought.len())];
                let parts = if random.chance(20) { json!([]) } else { split(random, partners, customer) };
                json!({ "split": { "customer": customer["id"], "at": moment(random), "parts": parts } })
            }
            15..=16 => {
                let rate = random.pick(&["1.05", "1.12"]);
                json!({ "exchange_rate": { "date": date(random), "from": "EUR", "to": "USD", "rate": rate } })
            }
            _ => {
                let count = if random.chance(30) { random.below(4) + 1 } else { 1 };
                let mut facts = Vec::new();
                for part in 0..count {
                    let again =
                        (!known.is_empty() && random.chance(20)).then(|| known[random.below(known.len())].clone());
                    let fact = match again {
                        Some(fact) => revised(random, fact, customers),
                        None => fact(random, &format!("f{number}-{part}"), customers),
                    };
                    // One settlement holds a key once: which of two would be later is a matter of arrival.
                    if facts.iter().all(|other| !is_same_key(other, &fact)) {
                        known.push(fact.clone());
                        facts.push(fact);
                    }
                }
                if facts.len() == 1 { json!({ "fact": facts[0] }) } else { json!({ "fact": facts }) }
            }
        };
        steps.push(step);
    }
    if random.chance(70) {
        let last = match frame.period {
            "month" => "2025-03",
            "week" => "2025-W12",
            _ => "2025-03-20",
        };
        steps.push(json!({ "close_period": last }));
    }
    steps
}

fn closed_period(random: &mut Random, length: &str) -> String {
    match length {
        "month" => random.pick(&["2025-01", "2025-02"]).to_owned(),
        "week" => random.pick(&["2025-W03", "2025-W05", "2025-W08"]).to_owned(),
        _ => date(random),
    }
}

/// A new version of a plan differs in figures: how rules of other shapes follow each other is the vectors' part.
fn change_figures(random: &mut Random, plan: &mut Value) {
    for rule in plan["rules"].as_array_mut().unwrap() {
        let key = match rule["kind"].as_str().unwrap() {
            "per_lot" if rule.get("rate").is_some() => "rate",
            "per_million" => "rate",
            "percent" | "bonus" | "rebate" => "percent",
            "flat" | "cpa" => "amount",
            "cpa_ladder" => {
                let steps = random.pick(&[
                    &[("50", "8"), ("100", "30"), ("500", "150")],
                    &[("40", "2"), ("100", "40"), ("250", "60")],
                ]);
                rule["steps"] = steps.iter().map(|(from, amount)| json!({ "from": from, "amount": amount })).collect();
                continue;
            }
            _ => continue,
        };
        if random.chance(60) {
            rule[key] = random.pick(&["3", "6", "45"]).into();
        }
        if rule.get("brackets").is_none() && rule["sales"]["max_redemptions"].is_u64() {
            rule["sales"]["max_redemptions"] = random.pick(&[&1, &2, &3]).to_owned().to_owned().into();
        }
        if let Some(steps) = rule.pointer_mut("/brackets/steps").and_then(Value::as_array_mut) {
            steps[0]["rate"] = random.pick(&["2", "4"]).into();
        }
    }
}

fn is_same_key(one: &Value, other: &Value) -> bool {
    let key = |fact: &Value| match fact.get("key") {
        Some(key) => key.to_string(),
        None => format!("{} {} {} {}", fact["date"], fact["customer"], fact["instrument"], fact["currency"]),
    };
    one["type"] == other["type"] && key(one) == key(other)
}

fn fact(random: &mut Random, key: &str, customers: &[Value]) -> Value {
    let customer = match random.chance(3) {
        true => Value::from("nobody"),
        false => customers[random.below(customers.len())]["id"].clone(),
    };
    let currency = random.pick(&["USD", "USD", "USD", "EUR", "JPY"]);
    match random.below(26) {
        0..=5 => trading_day(random, key, &customer, currency),
        6..=10 => trade(random, key, &customer, currency),
        11..=12 => json!({
            "type": "event", "key": key, "customer": customer, "at": moment(random),
            "event": random.pick(&["REGISTRATION", "SUBSCRIPTION", "KYC_COMPLETED"]),
        }),
        13..=16 => {
            let kinds =
                ["deposit", "deposit", "deposit", "withdrawal", "bonus", "adjustment", "chargeback", "ib_rebate"];
            let mut fact = json!({
                "type": random.pick(&kinds), "key": key, "customer": customer, "at": moment(random),
                "amount": random.pick(&["50", "100", "99.99", "250", "600", "24.905"]), "currency": currency,
            });
            if random.chance(20) {
                fact["status"] = random.pick(&["pending", "approved", "rejected", "cancelled", "reversed"]).into();
            }
            name_partner(random, &mut fact, customers);
            fact
        }
        17 => json!({
            "type": "kpi", "key": key, "customer": customer, "at": moment(random), "name": "fees",
            "value": random.pick(&["5", "12.345", "-3"]),
        }),
        // A refund is reported by the customer of its sale: one that is not is a question of its own.
        18..=23 => sale(random, &customer),
        _ => {
            let sale = sale_key(random, &customer);
            json!({
                "type": "refund", "key": key, "customer": customer, "at": moment(random), "currency": sale_currency(&sale),
                "sale": sale, "amount": random.pick(&["60", "31", "90", "200"]),
            })
        }
    }
}

/// Names the first partner, who is always there, or one that some customer has.
fn name_partner(random: &mut Random, fact: &mut Value, customers: &[Value]) {
    if fact["type"] == "ib_rebate" && random.chance(60) {
        let others = customers[random.below(customers.len())].get("partner").cloned();
        fact["partner"] = others.filter(|_| random.chance(60)).unwrap_or_else(|| "p0".into());
    }
}

fn sale_key(random: &mut Random, customer: &Value) -> String {
    format!("s-{}-{}", customer.as_str().unwrap(), random.below(5))
}

/// A refund is in the currency of its sale: one that is not is a question of its own.
fn sale_currency(key: &str) -> &'static str {
    if key.ends_with('4') { "EUR" } else { "USD" }
}

fn sale(random: &mut Random, customer: &Value) -> Value {
    let key = sale_key(random, customer);
    let mut fact = json!({
        "type": "sale", "currency": sale_currency(&key), "key": key, "customer": customer, "at": moment(random),
        "amount": random.pick(&["90", "200", "77.77"]),
    });
    if random.chance(70) {
        fact["product"] = random.pick(&["basic", "pro"]).into();
    }
    if random.chance(60) {
        fact["billing_period"] = random.pick(&["monthly", "monthly", "yearly"]).into();
    }
    fact
}

fn trading_day(random: &mut Random, key: &str, customer: &Value, currency: &str) -> Value {
    let mut fact = json!({
        "type": "trading_day", "customer": customer, "date": date(random), "currency": currency,
        "instrument": random.pick(&INSTRUMENTS), "lots": random.pick(&["1", "0.04", "2.5", "4", "12.45"]),
    });
    if random.chance(50) {
        fact["key"] = key.into();
    }
    if random.chance(60) {
        fact["volume_usd"] = random.pick(&["325500", "100000", "1000001"]).into();
    }
    figures(random, &mut fact);
    if random.chance(60) {
        fact["pnl"] = random.pick(&["-120", "300", "-40.5", "75", "-500"]).into();
    }
    if random.chance(30) {
        fact["swap"] = random.pick(&["-3", "10"]).into();
    }
    fact
}

fn trade(random: &mut Random, key: &str, customer: &Value, currency: &str) -> Value {
    let day = date(random);
    let mut fact = json!({
        "type": "trade", "key": key, "customer": customer, "opened_at": format!("{day}T10:00:00Z"), "currency": currency,
        "instrument": random.pick(&INSTRUMENTS), "lots": random.pick(&["1", "0.4", "2", "5"]),
    });
    if !random.chance(15) {
        fact["closed_at"] = format!("{day}T{}Z", random.pick(&["10:02:59", "10:03:00", "14:00:00", "22:30:00"])).into();
    }
    figures(random, &mut fact);
    if random.chance(60) {
        fact["open_price"] = "1.1015".into();
        fact["close_price"] = random.pick(&["1.1010", "1.1011", "1.1015", "1.1100"]).into();
        fact["point_size"] = "0.0001".into();
    }
    if random.chance(60) {
        fact["spread_points"] = random.pick(&["2", "13.6", "46"]).into();
    }
    if random.chance(50) {
        fact["equity_after"] = random.pick(&["-12", "0", "500"]).into();
    }
    if random.chance(50) {
        fact["equity"] = random.pick(&["1000", "500", "-5"]).into();
        fact["credit"] = random.pick(&["400", "0", "50", "2000"]).into();
    }
    fact
}

fn figures(random: &mut Random, fact: &mut Value) {
    if random.chance(70) {
        fact["spread_cost"] = random.pick(&["16", "40", "84.00", "7.33"]).into();
    }
    if random.chance(60) {
        fact["commission"] = random.pick(&["8", "40", "3.5"]).into();
    }
}

/// A later record of the same key: the same again, other figures, another status, another customer, an older revision.
fn revised(random: &mut Random, mut fact: Value, customers: &[Value]) -> Value {
    if random.chance(30) {
        fact["revision"] = (random.below(3) + 1).into();
    }
    match random.below(5) {
        0 if fact.get("status").is_some() || fact["type"] == "deposit" => fact["status"] = "reversed".into(),
        1 if fact.get("lots").is_some() => fact["lots"] = random.pick(&["0.5", "3", "20"]).into(),
        2 if fact["type"] == "ib_rebate" && random.chance(50) => name_partner(random, &mut fact, customers),
        1 if fact["type"] == "sale" => fact["product"] = random.pick(&["basic", "pro"]).into(),
        3 if fact["type"] == "sale" => fact["at"] = moment(random).into(),
        2 if fact.get("amount").is_some() => fact["amount"] = random.pick(&["10", "120"]).into(),
        3 if fact.get("key").is_some() && fact["type"] != "sale" && fact["type"] != "refund" => {
            fact["customer"] = customers[random.below(customers.len())]["id"].clone();
        }
        _ => {}
    }
    fact
}
