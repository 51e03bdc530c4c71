//! Random lives of a program over eight months: plans of all kinds under one or several ways of cutting time, and customers
//! whose facts come early, late, again (also within one settlement), with another date, for somebody else, and are shared.
//!
//! Leaves plans to the model's generator, and takes from most what leaves nothing to be read in part.

use crate::model::plans::{Frame, plan};
use crate::model::random::Random;
use headwater_app::ingest::Source;
use headwater_domain::commission::lint;
use headwater_domain::time::Instant;
use serde_json::{Value, json};

const DAYS: usize = 240;
const INSTRUMENTS: [&str; 3] = ["EURUSD", "XAUUSD", "BTCUSD"];

/// Something that happens, and is settled at once.
#[derive(Debug, Clone)]
pub enum Act {
    Facts(Vec<Value>, Source),
    Customer(Value),
    Event { email: String, event: &'static str, amount: Option<i64>, at: Instant },
    Change(Value),
    ChangeThenFacts(Value, Vec<Value>),
}

pub struct Life {
    pub case: Value,
    pub acts: Vec<Act>,
}

/// What is being drawn.
struct Draw {
    random: Random,
    customers: Vec<Value>,
    /// What every account's trading comes as, and by which way.
    trading: Vec<(&'static str, Source)>,
    /// How many of a hundred trading facts come another way.
    strays: usize,
    /// The same of all other facts.
    strays_beside: usize,
    known: Vec<(Value, Source)>,
    keys: usize,
}

impl Life {
    pub fn draw(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let frame = Frame::draw(&mut random);
        let is_mild = random.chance(85);
        let mut plans = vec![drawn_plan(&mut random, "a", &frame, is_mild)];
        if random.chance(25) {
            let other =
                if random.chance(30) { Frame::draw(&mut random) } else { of_another_length(&mut random, &frame) };
            let other = Frame { currency: frame.currency, ..other };
            plans.push(drawn_plan(&mut random, "b", &other, is_mild));
        }
        let partners: Vec<Value> = (0..=random.below(3))
            .map(|index| {
                let mut partner =
                    json!({ "id": format!("p{index}"), "plan": plans[random.below(plans.len())]["name"] });
                if index > 0 && random.chance(70) {
                    partner["parent"] = format!("p{}", index - 1).into();
                }
                partner
            })
            .collect();
        let customers: Vec<Value> =
            (0..=random.below(3)).map(|index| customer(&mut random, index, partners.len())).collect();
        let mut draw =
            Draw { trading: Vec::new(), strays: 0, strays_beside: 0, known: Vec::new(), keys: 0, customers, random };
        // Mostly all trading comes one way.
        let mut kind = "trading_day";
        for index in 0..draw.customers.len() {
            if index == 0 || draw.random.chance(10) {
                kind = if draw.random.chance(35) { "trade" } else { "trading_day" };
            }
            draw.trading.push((kind, Source::Push));
        }
        draw.strays = if draw.random.chance(10) { 10 } else { 0 };
        draw.strays_beside = if draw.random.chance(15) { 40 } else { 0 };
        let acts = draw.acts(&plans, partners.len());
        let named: serde_json::Map<String, Value> =
            plans.iter().map(|plan| (plan["name"].as_str().expect("a name").to_owned(), plan.clone())).collect();
        let mut rates = vec![json!({ "date": "2024-12-20", "from": "USD", "to": "JPY", "rate": "150" })];
        if draw.random.chance(70) {
            rates.push(json!({ "date": "2024-12-20", "from": "EUR", "to": "USD", "rate": "1.0850" }));
        }
        let case = json!({
            "plans": named, "partners": partners, "customers": draw.customers, "exchange_rates": rates, "steps": [],
        });
        Self { case, acts }
    }
}

fn of_another_length(random: &mut Random, frame: &Frame) -> Frame {
    let period = random.pick(&["month", "week", "day"]);
    Frame {
        period: if period == "month" {
            "month"
        } else if period == "week" {
            "week"
        } else {
            "day"
        },
        ..*frame
    }
}

/// A plan that the linter takes; a mild one without what has to be read whole.
fn drawn_plan(random: &mut Random, name: &str, frame: &Frame, is_mild: bool) -> Value {
    loop {
        let mut drawn = plan(random, name, frame);
        if is_mild {
            soften(random, &mut drawn);
        }
        if random.chance(60) {
            let rule = further_rule(random);
            drawn["rules"].as_array_mut().expect("a list").push(rule);
        }
        if lint(&drawn).is_ok() {
            return drawn;
        }
    }
}

/// What a moment, or trading within some days, is worth: rare where rules are drawn evenly.
fn further_rule(random: &mut Random) -> Value {
    let steps = json!([{ "from": "0", "rate": "10" }, { "from": "1", "rate": "20" }, { "from": "2", "rate": "33" }]);
    match random.below(9) {
        0 | 1 => json!({ "id": "x", "kind": "cpa", "amount": "77", "tiers": false, "qualify": {
            "min_lots": random.pick(&["1", "3"]), "within_days": 90, "from": random.pick(&["registration", "first_deposit"]) } }),
        // Trading moves the moment, and the moment is of a period.
        6 => json!({ "id": "x", "kind": "cpa", "amount": "12", "tiers": false,
            "qualify": { "min_lots": random.pick(&["1", "5"]), "within_days": 90, "from": "registration" },
            "brackets": { "metric": "ftd", "scope": "own", "mode": "whole", "steps": steps } }),
        // What has no rate is held as long as it counts.
        7 => {
            json!({ "id": "x", "kind": "cpa", "amount": "9", "tiers": false, "qualify": { "min_first_deposit": "100" } })
        }
        8 => {
            json!({ "id": "x", "kind": "per_lot", "rate": "2", "side": random.pick(&["open", "both"]), "tiers": false })
        }
        2 => {
            json!({ "id": "x", "kind": "flat", "amount": "5", "on": "SUBSCRIPTION", "once_per": "customer", "tiers": false,
            "cap": { "per": "period", "amount": "8" } })
        }
        3 => json!({ "id": "x", "kind": "cpa", "amount": "12", "tiers": false, "qualify": { "min_deposits": 2 },
            "brackets": { "metric": "ftd", "scope": "own", "mode": "whole", "steps": steps } }),
        4 => json!({ "id": "x", "kind": "per_lot", "rate": "2", "tiers": false, "brackets": {
            "metric": "lots", "scope": "own", "mode": random.pick(&["previous", "marginal"]), "steps": steps } }),
        _ => json!({ "id": "x", "kind": "percent", "percent": "20", "of": ["bonus", "deposit"], "tiers": false }),
    }
}

fn soften(random: &mut Random, plan: &mut Value) {
    if let Some(asked) = plan.get_mut("qualification") {
        soften_conditions(random, asked);
    }
    for rule in plan["rules"].as_array_mut().expect("a list") {
        let keys = rule.as_object_mut().expect("an object");
        keys.remove("carry");
        if keys.get("cap").is_some_and(|cap| cap["per"] == "customer") {
            keys.remove("cap");
        }
        if matches!(keys.get("side").and_then(Value::as_str), Some("open" | "both")) {
            keys.remove("side");
        }
        if let Some(asked) = keys.get_mut("qualify") {
            soften_conditions(random, asked);
        }
    }
}

fn soften_conditions(random: &mut Random, asked: &mut Value) {
    let keys = asked.as_object_mut().expect("an object");
    keys.remove("partner");
    let is_of_trading = ["min_lots", "min_spread_cost", "min_trades"].iter().any(|key| keys.contains_key(*key));
    if is_of_trading && !keys.contains_key("within_days") {
        keys.insert("within_days".into(), (random.below(40) + 5).into());
        keys.insert("from".into(), random.pick(&["registration", "first_deposit"]).into());
    }
}

fn customer(random: &mut Random, index: usize, partners: usize) -> Value {
    let mut customer = json!({
        "id": format!("c{index}"), "registered_at": format!("2025-0{}-{:02}T0{index}:00:00Z", random.below(3) + 1, random.below(20) + 1),
        "email": format!("c{index}@example.org"), "partner": format!("p{}", random.below(partners)),
    });
    if random.chance(40) {
        customer["person"] = "h".into();
    }
    if partners > 1 && random.chance(20) {
        customer["split"] = parts(random, customer["partner"].as_str().expect("text"), partners);
    }
    if random.chance(60) {
        customer["country"] = random.pick(&["DE", "FR", "AT"]).into();
    }
    if random.chance(50) {
        customer["account_type"] = random.pick(&["ECN", "STD"]).into();
    }
    customer
}

/// Who shares what this partner earns; sometimes nobody.
fn parts(random: &mut Random, direct: &str, partners: usize) -> Value {
    let named = (0..partners).map(|index| format!("p{index}")).filter(|name| name != direct);
    let others: Vec<String> = named.filter(|_| random.chance(70)).collect();
    let percent = random.pick(&["25", "50", "33.3", "12.5"]);
    let percent = if others.len() == 1 && random.chance(20) { "100" } else { percent };
    others.into_iter().take(2).map(|partner| json!({ "partner": partner, "percent": percent })).collect()
}

fn date(random: &mut Random) -> String {
    let first: headwater_domain::time::Date = "2025-01-01".parse().expect("a date");
    let mut day = first;
    // Half of it in the first months, within which conditions look at it.
    let days = if random.chance(50) { DAYS / 2 } else { DAYS };
    for _ in 0..random.below(days) {
        day = day.tomorrow().expect("a day of 2025");
    }
    day.to_string()
}

fn moment(random: &mut Random) -> String {
    format!("{}T{}Z", date(random), random.pick(&["00:00:00", "12:00:00", "21:30:00", "22:30:00"]))
}

impl Draw {
    fn acts(&mut self, plans: &[Value], partners: usize) -> Vec<Act> {
        let mut acts = Vec::new();
        // A history to begin with.
        for _ in 0..3 {
            let source = if self.random.chance(100 - self.strays) { Source::Push } else { Source::Forex };
            let facts: Vec<_> = (0..12).map(|_| self.fact(source)).collect();
            acts.extend(settled(&facts));
        }
        for _ in 0..self.random.below(16) + 14 {
            let act = match self.random.below(40) {
                0 => Act::Change(self.new_version(plans)),
                1 => Act::Change(self.dated_change(partners)),
                2 => Act::ChangeThenFacts(
                    self.dated_change(partners),
                    vec![self.fact(Source::Push).0, self.fact(Source::Push).0],
                ),
                3 => Act::Change(json!({ "exchange_rate": {
                    "date": date(&mut self.random), "from": "EUR", "to": "USD", "rate": self.random.pick(&["1.05", "1.12"]) } })),
                4 => Act::Customer(self.changed_customer()),
                37 => Act::Change(self.split(partners)),
                36 => Act::ChangeThenFacts(self.split(partners), vec![self.fact(Source::Push).0]),
                38 => Act::Change(json!({ "close_period": self.random.pick(&["2025-02", "2025-05"]) })),
                5 => Act::Customer(self.customers[self.random.below(self.customers.len())].clone()),
                6 | 7 => self.event(),
                8..=16 => self.again(),
                17 | 18 => self.again_at_once(),
                _ => {
                    let source = if self.random.chance(100 - self.strays) { Source::Push } else { Source::Forex };
                    let count = if self.random.chance(20) { 3 } else { 1 };
                    acts.extend(settled(&(0..count).map(|_| self.fact(source)).collect::<Vec<_>>()));
                    continue;
                }
            };
            acts.push(act);
        }
        acts
    }

    fn fact(&mut self, source: Source) -> (Value, Source) {
        self.keys += 1;
        let key = format!("f{}", self.keys);
        let place = self.random.below(self.customers.len());
        let customer = self.customers[place]["id"].clone();
        let random = &mut self.random;
        let currency = random.pick(&["USD", "USD", "USD", "EUR", "JPY"]);
        let (kind, trades_come_by) = self.trading[place];
        let is_traded = source == trades_come_by || random.chance(self.strays);
        let fact = match random.below(20) {
            0..=12 if is_traded => {
                let kind = if random.chance(self.strays) { "trading_day" } else { kind };
                trading(random, kind, &key, &customer, currency)
            }
            13 if is_traded => json!({
                "type": "kpi", "key": key, "customer": customer, "at": moment(random), "name": "fees",
                "value": random.pick(&["5", "12.345", "-3"]),
            }),
            13 | 14 => json!({
                "type": "event", "key": key, "customer": customer, "at": moment(random),
                "event": random.pick(&["REGISTRATION", "SUBSCRIPTION", "KYC_COMPLETED"]),
            }),
            15 => json!({
                "type": "sale", "key": format!("s-{place}-{}", random.below(2)), "customer": customer, "at": moment(random),
                "amount": random.pick(&["90", "200"]), "currency": "USD",
            }),
            16 => json!({
                "type": "refund", "key": key, "customer": customer, "at": moment(random),
                "sale": format!("s-{place}-{}", random.below(2)), "amount": random.pick(&["60", "31", "200"]), "currency": "USD",
            }),
            _ => json!({
                "type": random.pick(&["deposit", "deposit", "deposit", "withdrawal", "bonus", "chargeback", "ib_rebate"]),
                "key": key, "customer": customer, "at": moment(random), "currency": currency,
                "amount": random.pick(&["50", "100", "99.99", "250", "600"]),
                "status": random.pick(&["approved", "approved", "approved", "pending", "reversed"]),
            }),
        };
        let source = if self.random.chance(self.strays_beside) && !is_trading(&fact) { Source::Forex } else { source };
        self.known.push((fact.clone(), source));
        (fact, source)
    }

    /// A later record of the same fact.
    fn again(&mut self) -> Act {
        let place = self.random.below(self.known.len());
        let (fact, source) = self.again_of(place);
        Act::Facts(vec![fact], source)
    }

    /// Several later records of one fact in one settlement, with one beside them or without.
    fn again_at_once(&mut self) -> Act {
        let place = self.random.below(self.known.len());
        let (first, source) = self.again_of(place);
        let mut facts = vec![first];
        facts.extend((0..=self.random.below(2)).map(|_| self.again_of(place).0));
        if self.random.chance(30) {
            // The same once more: by a greater revision it says the same by another number.
            let mut same = facts[facts.len() - 1].clone();
            same["revision"] = 7.into();
            facts.push(same.clone());
            self.known[place].0 = same;
        }
        if self.random.chance(40) {
            let (beside, by) = self.fact(source);
            if by == source {
                let at = self.random.below(facts.len() + 1);
                facts.insert(at, beside);
            }
        }
        Act::Facts(facts, source)
    }

    fn again_of(&mut self, place: usize) -> (Value, Source) {
        let (mut fact, source) = self.known[place].clone();
        let random = &mut self.random;
        if random.chance(20) {
            fact["revision"] = (random.below(4) + 1).into();
        }
        let is_sold = fact["type"] == "sale" || fact["type"] == "refund";
        match random.below(6) {
            0 | 1 if fact.get("key").is_some() => {
                // It moves to another day.
                if fact.get("date").is_some() {
                    fact["date"] = date(random).into();
                } else if fact.get("opened_at").is_some() {
                    let closed = date(random);
                    fact["opened_at"] = format!("{closed}T01:00:00Z").into();
                    fact["closed_at"] = format!("{closed}T23:10:00Z").into();
                } else {
                    fact["at"] = moment(random).into();
                }
            }
            2 if fact.get("key").is_some() && !is_sold => {
                fact["customer"] = self.customers[random.below(self.customers.len())]["id"].clone();
            }
            3 if fact.get("status").is_some() => {
                fact["status"] = random.pick(&["reversed", "approved", "cancelled"]).into();
            }
            _ if fact.get("lots").is_some() => fact["lots"] = random.pick(&["0.5", "3", "20"]).into(),
            _ if fact.get("amount").is_some() => fact["amount"] = random.pick(&["10", "120", "300"]).into(),
            _ => {}
        }
        self.known[place].0 = fact.clone();
        (fact, source)
    }

    fn split(&mut self, partners: usize) -> Value {
        let place = self.random.below(self.customers.len());
        let (customer, direct) = (self.customers[place]["id"].clone(), self.customers[place]["partner"].clone());
        let at = moment(&mut self.random);
        let parts = parts(&mut self.random, direct.as_str().expect("text"), partners);
        json!({ "split": { "customer": customer, "at": at, "parts": parts } })
    }

    fn event(&mut self) -> Act {
        let random = &mut self.random;
        let at = Instant::parse(&moment(random)).expect("an instant");
        let email = format!("c{}@example.org", random.below(self.customers.len()));
        match random.below(5) {
            0 => Act::Event { email, event: "REGISTRATION", amount: None, at },
            1 => Act::Event { email, event: "FIRST_DEPOSIT", amount: Some(300), at },
            2 => Act::Event { email, event: "WITHDRAWAL", amount: Some(40), at },
            _ => Act::Event { email, event: "RECURRING_DEPOSIT", amount: Some(120), at },
        }
    }

    fn changed_customer(&mut self) -> Value {
        let place = self.random.below(self.customers.len());
        let mut changed = self.customers[place].clone();
        match self.random.below(3) {
            0 => changed["country"] = self.random.pick(&["DE", "FR", "AT"]).into(),
            1 => changed["account_type"] = self.random.pick(&["ECN", "STD"]).into(),
            _ => changed["registered_at"] = format!("2025-0{}-05T00:00:00Z", self.random.below(6) + 1).into(),
        }
        changed
    }

    fn dated_change(&mut self, partners: usize) -> Value {
        let at = moment(&mut self.random);
        let partner = self.random.below(partners);
        if partner > 0 && self.random.chance(40) {
            return json!({ "move_partner": { "partner": format!("p{partner}"), "parent": "p0", "at": at } });
        }
        let verb = if self.random.chance(60) { "suspend_partner" } else { "restore_partner" };
        json!({ verb: { "partner": format!("p{partner}"), "at": at } })
    }

    /// The plan with other figures, and rarely another way of cutting time.
    fn new_version(&mut self, plans: &[Value]) -> Value {
        let original = &plans[self.random.below(plans.len())];
        loop {
            let mut version = original.clone();
            for rule in version["rules"].as_array_mut().expect("a list") {
                for key in ["rate", "percent", "amount"] {
                    if rule.get(key).is_some() {
                        rule[key] = self.random.pick(&["3", "6", "45"]).into();
                    }
                }
            }
            if self.random.chance(30) {
                version["period"] = self.random.pick(&["month", "week", "day"]).into();
            }
            if self.random.chance(10) {
                version["time_zone"] = self.random.pick(&["UTC", "Asia/Nicosia", "NY+7"]).into();
            }
            if lint(&version).is_ok() {
                return json!({ "plan": version, "from": date(&mut self.random) });
            }
        }
    }
}

fn trading(random: &mut Random, kind: &str, key: &str, customer: &Value, currency: &str) -> Value {
    let mut fact = json!({
        "type": kind, "customer": customer, "currency": currency, "instrument": random.pick(&INSTRUMENTS.each_ref().map(|name| *name)),
        "lots": random.pick(&["1", "0.4", "2", "5", "12.45"]),
    });
    if kind == "trade" {
        let (one, other) = (date(random), date(random));
        fact["key"] = key.into();
        fact["opened_at"] = format!("{}T10:00:00Z", one.clone().min(other.clone())).into();
        if !random.chance(20) {
            fact["closed_at"] = format!("{}T{}Z", one.max(other), random.pick(&["14:00:00", "22:30:00"])).into();
        }
        if random.chance(50) {
            fact["spread_points"] = random.pick(&["2", "13.6"]).into();
        }
    } else {
        fact["date"] = date(random).into();
        if random.chance(60) {
            fact["key"] = key.into();
        }
        if random.chance(60) {
            fact["pnl"] = random.pick(&["-120", "300", "75", "-500"]).into();
        }
    }
    if random.chance(60) {
        fact["volume_usd"] = random.pick(&["325500", "100000"]).into();
    }
    if random.chance(70) {
        fact["spread_cost"] = random.pick(&["16", "40", "84.00", "7.33"]).into();
    }
    if random.chance(60) {
        fact["commission"] = random.pick(&["8", "40", "3.5"]).into();
    }
    fact
}

fn is_trading(fact: &Value) -> bool {
    ["trading_day", "trade", "kpi"].iter().any(|kind| fact["type"] == **kind)
}

/// One settlement for each way by which facts come.
fn settled(facts: &[(Value, Source)]) -> Vec<Act> {
    let by = |source: Source| facts.iter().filter(|(_, by)| *by == source).map(|(fact, _)| fact.clone()).collect();
    let of = |source: Source| Act::Facts(by(source), source);
    let acts = [of(Source::Push), of(Source::Forex)];
    acts.into_iter().filter(|act| !matches!(act, Act::Facts(facts, _) if facts.is_empty())).collect()
}
