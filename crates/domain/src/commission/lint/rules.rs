//! Reads the rules: the keys of every kind, its filters and its unit.

use super::{Context, conditions, modifiers, sales, tiers};
use crate::commission::bonus::{Bonus, Rebate};
use crate::commission::cpa::Cpa;
use crate::commission::cpa_ladder::{CpaLadder, LadderOf, LadderStep};
use crate::commission::external::External;
use crate::commission::flat::Flat;
use crate::commission::per_lot::{ListedRate, LotFactor, PerLot, Side};
use crate::commission::per_million::PerMillion;
use crate::commission::percent::{Percent, Source};
use crate::commission::plan::{Kind, OncePer, Pays, Rule, When};
use crate::commission::reader::{Mistakes, Object, join};
use crate::fact::MoneyKind;
use crate::money::{Decimal, MICROS, Unit};
use std::collections::BTreeSet;

const RULE_KEYS: [&str; 12] =
    ["id", "kind", "when", "pays", "unit", "cap", "brackets", "carry", "eligibility", "sales", "tiers", "weight"];
const KINDS: &str = "flat, cpa, cpa_ladder, per_lot, per_million, percent, bonus, rebate or external";
const HUNDRED: i64 = 100 * MICROS;

pub(super) fn read(plan: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> Vec<Rule> {
    let entries = plan.list("rules", mistakes);
    let ids: Vec<&str> = entries.iter().filter_map(|(_, value)| value.get("id")?.as_str()).collect();
    let mut seen = BTreeSet::new();
    let mut rules = Vec::new();
    for (path, value) in &entries {
        let Some(object) = Object::open(value, path.as_str(), mistakes) else { continue };
        object.require("id", mistakes);
        if let Some(id) = object.text("id", mistakes)
            && !seen.insert(id)
        {
            mistakes.wrong(object.at("id"), format!("{id} is the id of a rule above; give this one its own"));
        }
        rules.extend(read_rule(&object, context, &ids, mistakes).map(|rule| (path.clone(), rule)));
    }
    let known: Vec<&Rule> = rules.iter().map(|(_, rule)| rule).collect();
    for (path, rule) in &rules {
        check_of_rule(path, rule, &known, context, mistakes);
    }
    check_rebates(&rules, mistakes);
    rules.into_iter().map(|(_, rule)| rule).collect()
}

/// A bonus or a rebate leads to a rule that earns money for a partner, and never back to itself.
fn check_of_rule(path: &str, rule: &Rule, rules: &[&Rule], context: &Context<'_>, mistakes: &mut Mistakes) {
    let (Kind::Bonus(Bonus { of_rule, .. }) | Kind::Rebate(Rebate { of_rule, .. })) = &rule.kind else { return };
    let mut of = of_rule;
    let (rule_path, path) = (path, format!("{path}.of_rule"));
    for _ in 0..=rules.len() {
        let Some(other) = rules.iter().find(|other| *other.id == **of) else { return };
        match &other.kind {
            Kind::Bonus(bonus) => of = &bonus.of_rule,
            Kind::Rebate(_) => {
                mistakes.wrong(path, format!("{of} is a rebate; name a rule that pays the partner"));
                return;
            }
            _ => {
                if matches!(rule.kind, Kind::Rebate(_)) && (other.pays == Pays::Customer || other.unit != rule.unit) {
                    mistakes.wrong(path, format!("{of} does not pay the partner in {}", rule.unit.name()));
                }
                if let Some(why) = never_matches(&other.kind, &rule.when, context) {
                    mistakes.wrong(format!("{rule_path}.when"), format!("the rule {of} that it is of: {why}"));
                }
                if rule.eligibility.is_some()
                    && !matches!(other.kind, Kind::PerLot(_) | Kind::PerMillion(_) | Kind::Percent(_))
                {
                    let message = format!("the rule {of} that it is of is not about single trades; leave it out");
                    mistakes.wrong(format!("{rule_path}.eligibility"), message);
                }
                return;
            }
        }
    }
    mistakes.wrong(path, "leads back to this rule; name one that stands by itself");
}

/// Rebates of one rule for the same clients give back at most all of it: the one that goes above says so.
fn check_rebates(rules: &[(String, Rule)], mistakes: &mut Mistakes) {
    let rebates: Vec<_> = rules
        .iter()
        .filter_map(|(path, rule)| match &rule.kind {
            Kind::Rebate(rebate) => Some((path, rule, rebate)),
            _ => None,
        })
        .collect();
    for (index, (path, rule, rebate)) in rebates.iter().enumerate() {
        let before = rebates[..index]
            .iter()
            .filter(|(_, other, earlier)| earlier.of_rule == rebate.of_rule && other.when.overlaps(&rule.when));
        let mut sum = percent_of(rule, rebate);
        let mut others = Vec::new();
        for (_, other, earlier) in before {
            sum = sum.saturating_add(percent_of(other, earlier));
            others.push(&*other.id);
        }
        if !others.is_empty() && sum > MICROS_OF_PERCENT_MAX {
            let message =
                format!("gives back above 100 percent of {} together with {}", rebate.of_rule, others.join(", "));
            mistakes.wrong(format!("{path}.percent"), message);
        }
    }
}

/// All of a rule, in squared micros.
const MICROS_OF_PERCENT_MAX: i128 = 100 * 1_000_000 * 1_000_000;

/// What a rebate gives back after its weight, in squared micros: exact.
fn percent_of(rule: &Rule, rebate: &Rebate) -> i128 {
    i128::from(rebate.percent.0) * i128::from(rule.weight.0)
}

fn read_rule(object: &Object<'_>, context: &Context<'_>, ids: &[&str], mistakes: &mut Mistakes) -> Option<Rule> {
    object.require("kind", mistakes);
    let kind_name = object.text("kind", mistakes)?;
    let own_keys: &[&str] = match kind_name {
        "flat" => &["amount", "on", "once_per"],
        "cpa" => &["amount", "qualify", "once_per"],
        "cpa_ladder" => &["of", "steps"],
        "per_lot" => &["rate", "rates", "side", "lot_factor"],
        "per_million" => &["rate"],
        "percent" => &["percent", "max_points", "point_value", "of"],
        "bonus" | "rebate" => &["percent", "of_rule"],
        "external" => &["of"],
        _ => {
            mistakes.wrong(object.at("kind"), format!("is not a rule kind; it must be {KINDS}"));
            return None;
        }
    };
    object.only(&[&RULE_KEYS[..], own_keys].concat(), mistakes);
    let pays = |word: &str| match word {
        "partner" => Some(Pays::Partner),
        "customer" => Some(Pays::Customer),
        _ => None,
    };
    let pays = object.word("pays", "partner or customer", pays, mistakes);
    if kind_name == "rebate" && pays == Some(Pays::Partner) {
        mistakes.wrong(object.at("pays"), "a rebate is the client's; use customer, or leave it out");
    }
    let by_kind = if kind_name == "rebate" { Pays::Customer } else { Pays::Partner };
    let unit = read_unit(object, context, mistakes);
    let weight = object.decimal("weight", mistakes).unwrap_or(Decimal(MICROS));
    let when = read_when(object, context, mistakes);
    let kind = match kind_name {
        "flat" => read_flat(object, mistakes).map(Kind::Flat),
        "cpa" => read_cpa(object, context, mistakes).map(Kind::Cpa),
        "cpa_ladder" => read_ladder(object, mistakes).map(Kind::CpaLadder),
        "per_lot" => Some(Kind::PerLot(read_per_lot(object, context, mistakes))),
        "per_million" => Some(Kind::PerMillion(read_per_million(object, mistakes))),
        "percent" => read_percent(object, mistakes).map(Kind::Percent),
        "external" => read_external(object, mistakes).map(Kind::External),
        "bonus" => {
            read_of_rule(object, ids, None, mistakes).map(|(percent, of_rule)| Kind::Bonus(Bonus { percent, of_rule }))
        }
        _ => read_of_rule(object, ids, Some(HUNDRED), mistakes)
            .map(|(percent, of_rule)| Kind::Rebate(Rebate { percent, of_rule })),
    };
    let modifiers = modifiers::read(object, kind_name, mistakes);
    let kind = kind?;
    if let Some(why) = never_matches(&kind, &when, context) {
        mistakes.wrong(object.at("when"), why);
    }
    Some(Rule {
        id: object.value("id")?.as_str()?.into(),
        when,
        pays: pays.unwrap_or(by_kind),
        unit: unit?,
        weight,
        tiers: modifiers.tiers,
        brackets: modifiers.brackets,
        cap: modifiers.cap,
        carry: modifiers.carry,
        eligibility: modifiers.eligibility,
        sales: sales::read(object, &kind, mistakes),
        kind,
    })
}

fn read_unit(object: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> Option<Unit> {
    let currency = context.currency?;
    let parse = |word: &str| {
        let unit = Unit::parse(word, currency)?;
        (!unit.is_money() || unit == Unit::Currency(currency)).then_some(unit)
    };
    if object.has("unit") {
        let words = format!("{currency}, points, credits, free_months, mon_discount or discount_per");
        return object.word("unit", &words, parse, mistakes);
    }
    Some(Unit::Currency(currency))
}

fn read_when(rule: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> When {
    let Some(value) = rule.value("when") else { return When::default() };
    let Some(object) = Object::open(value, rule.at("when"), mistakes) else { return When::default() };
    let keys = ["country", "account_type", "instrument", "group", "product_group", "event", "campaign", "link"];
    object.only(&keys, mistakes);
    let when = When {
        country: object.texts("country", mistakes),
        account_type: object.texts("account_type", mistakes),
        instrument: object.texts("instrument", mistakes),
        group: object.texts("group", mistakes),
        product_group: object.texts("product_group", mistakes),
        event: object.texts("event", mistakes),
        campaign: object.texts("campaign", mistakes),
        link: object.texts("link", mistakes),
    };
    for (index, group) in when.group.iter().enumerate() {
        known_group(group, &format!("{}[{index}]", object.at("group")), context, mistakes);
    }
    when
}

/// Why filters that exclude each other, or the kind, let no fact through.
fn never_matches(kind: &Kind, when: &When, context: &Context<'_>) -> Option<&'static str> {
    let is_about_trading = !(when.instrument.is_empty() && when.group.is_empty() && when.product_group.is_empty());
    match kind {
        Kind::Flat(_) if is_about_trading => Some("events have no instrument; leave instrument and group filters out"),
        Kind::Flat(flat) if flat.on.is_none() && !when.event.is_empty() => {
            Some("sales are not events; leave the event filter out")
        }
        Kind::Flat(flat) if flat.on.as_ref().is_some_and(|on| !when.admits_event(on)) => {
            Some("`event` excludes what the rule is `on`; leave the filter out")
        }
        Kind::Cpa(_) | Kind::CpaLadder(_) if is_about_trading || !when.event.is_empty() => {
            Some("a cpa is about a person, not a fact; filter by country, account_type, campaign or link")
        }
        Kind::PerLot(_) | Kind::PerMillion(_) | Kind::Percent(_) | Kind::External(_) if !when.event.is_empty() => {
            Some("trading and money are not events; leave the event filter out")
        }
        Kind::External(_) if !(when.instrument.is_empty() && when.group.is_empty()) => {
            Some("a figure has no instrument; leave instrument and group filters out")
        }
        Kind::PerLot(_) | Kind::PerMillion(_) | Kind::Percent(_)
            if !when.instrument.is_empty() && !when.group.is_empty() =>
        {
            let in_groups = |instrument: &String| {
                when.group.iter().any(|group| context.groups.get(group).is_some_and(|g| g.contains(instrument)))
            };
            let none = !when.instrument.iter().any(in_groups);
            none.then_some("no instrument of `instrument` is in a group of `group`; leave one of the two out")
        }
        _ => None,
    }
}

fn read_once_per(object: &Object<'_>, words: &str, event: bool, mistakes: &mut Mistakes) -> OncePer {
    let parse = |word: &str| match word {
        "event" if event => Some(OncePer::Event),
        "customer" => Some(OncePer::Customer),
        "person" => Some(OncePer::Person),
        _ => None,
    };
    object.word("once_per", words, parse, mistakes).unwrap_or(OncePer::Person)
}

fn read_flat(object: &Object<'_>, mistakes: &mut Mistakes) -> Option<Flat> {
    object.require("amount", mistakes);
    let amount = object.decimal("amount", mistakes);
    if object.has("sales") {
        for key in ["on", "once_per"] {
            if object.has(key) {
                let message =
                    "does not go with `sales`: it is paid for each sale; leave it out, or use `max_redemptions`";
                mistakes.wrong(object.at(key), message);
            }
        }
        return Some(Flat { amount: amount?, on: None, once_per: OncePer::Event });
    }
    object.require("on", mistakes);
    let once_per = read_once_per(object, "event, customer or person", true, mistakes);
    let on = object.text("on", mistakes);
    Some(Flat { amount: amount?, on: Some(on?.to_owned()), once_per })
}

fn read_cpa(object: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> Option<Cpa> {
    object.require("amount", mistakes);
    let once_per = read_once_per(object, "customer or person", false, mistakes);
    let amount = object.decimal("amount", mistakes);
    let own = conditions::read(object, "qualify", mistakes);
    if !object.has("qualify") && context.qualification.is_none() {
        mistakes.wrong(object.at("qualify"), "is missing, and the plan has no `qualification` to stand for it");
    }
    Some(Cpa { amount: amount?, qualify: own.or_else(|| context.qualification.cloned())?, once_per })
}

fn read_per_lot(object: &Object<'_>, context: &Context<'_>, mistakes: &mut Mistakes) -> PerLot {
    if !object.has("rate") && !object.has("rates") && !object.has("brackets") {
        mistakes.wrong(object.at("rate"), "is missing; give `rate` or `rates`");
    }
    let side = |word: &str| match word {
        "round_turn" => Some(Side::RoundTurn),
        "open" => Some(Side::Open),
        "close" => Some(Side::Close),
        "both" => Some(Side::Both),
        _ => None,
    };
    let mut rates = Vec::new();
    for (path, value) in object.list("rates", mistakes) {
        let Some(entry) = Object::open(value, path, mistakes) else { continue };
        entry.only(&["instrument", "group", "account_type", "rate"], mistakes);
        entry.require("rate", mistakes);
        let (group, account_type) = read_selector(&entry, context, mistakes);
        let instrument = entry.text("instrument", mistakes).map(str::to_owned);
        if instrument.is_none() && group.is_none() && account_type.is_none() {
            mistakes.wrong(entry.path.clone(), "name an instrument, a group or an account_type, or use `rate`");
        }
        if let Some(rate) = entry.decimal("rate", mistakes) {
            rates.push(ListedRate { instrument, group, account_type, rate });
        }
    }
    let mut lot_factor = Vec::new();
    for (path, value) in object.list("lot_factor", mistakes) {
        let Some(entry) = Object::open(value, path, mistakes) else { continue };
        entry.only(&["group", "account_type", "factor"], mistakes);
        entry.require("factor", mistakes);
        let (group, account_type) = read_selector(&entry, context, mistakes);
        if group.is_none() && account_type.is_none() {
            mistakes.wrong(entry.path.clone(), "name a group or an account_type");
        }
        if let Some(factor) = entry.decimal("factor", mistakes) {
            lot_factor.push(LotFactor { group, account_type, factor });
        }
    }
    PerLot {
        rate: object.decimal("rate", mistakes),
        rates,
        side: object.word("side", "round_turn, open, close or both", side, mistakes).unwrap_or(Side::RoundTurn),
        lot_factor,
    }
}

/// The steps of a ladder, and what it looks at.
fn read_ladder(object: &Object<'_>, mistakes: &mut Mistakes) -> Option<CpaLadder> {
    object.require("of", mistakes);
    let of = |word: &str| match word {
        "first_deposit" => Some(LadderOf::FirstDeposit),
        "net_deposit" => Some(LadderOf::NetDeposit),
        _ => None,
    };
    let of = object.word("of", "first_deposit or net_deposit", of, mistakes);
    let steps = modifiers::steps(object, "amount", false, mistakes);
    let steps: Vec<LadderStep> = steps.into_iter().map(|(from, amount)| LadderStep { from, amount }).collect();
    if steps.is_empty() { None } else { Some(CpaLadder { of: of?, steps }) }
}

fn read_per_million(object: &Object<'_>, mistakes: &mut Mistakes) -> PerMillion {
    if !object.has("brackets") {
        object.require("rate", mistakes);
    }
    PerMillion { rate: object.decimal("rate", mistakes) }
}

fn read_percent(object: &Object<'_>, mistakes: &mut Mistakes) -> Option<Percent> {
    if !object.has("brackets") {
        object.require("percent", mistakes);
    }
    object.require("of", mistakes);
    let percent = object.percent("percent", mistakes);
    let max_points = object.decimal("max_points", mistakes);
    let point_value = object.decimal("point_value", mistakes).unwrap_or(Decimal(MICROS));
    let of = tiers::terms(object, "of", mistakes);
    if of.is_empty() { None } else { Some(Percent { percent, of, max_points, point_value }) }
}

fn read_external(object: &Object<'_>, mistakes: &mut Mistakes) -> Option<External> {
    object.require("of", mistakes);
    let parse = |word: &str| {
        let source = Source::parse(word)?;
        matches!(source, Source::Money(MoneyKind::IbRebate) | Source::Kpi(_)).then_some(source)
    };
    Some(External { of: object.word("of", "ib_rebate or kpi:NAME", parse, mistakes)? })
}

/// The percent and the other rule.
fn read_of_rule(
    object: &Object<'_>,
    ids: &[&str],
    percent_max: Option<i64>,
    mistakes: &mut Mistakes,
) -> Option<(Decimal, String)> {
    let is_stepped = object.has("brackets");
    if !is_stepped {
        object.require("percent", mistakes);
    }
    object.require("of_rule", mistakes);
    let percent = object.decimal("percent", mistakes).or(is_stepped.then_some(Decimal::ZERO));
    if percent.is_some_and(|percent| percent.0 < 0 || percent_max.is_some_and(|most| percent.0 > most)) {
        let most = if percent_max.is_some() { "must be from 0 to 100" } else { "must not be below 0" };
        mistakes.wrong(object.at("percent"), most);
    }
    let of_rule = object.text("of_rule", mistakes)?;
    if !ids.contains(&of_rule) {
        mistakes.wrong(object.at("of_rule"), format!("no rule has the id {of_rule}; name one of {}", ids.join(", ")));
    }
    Some((percent?, of_rule.to_owned()))
}

fn read_selector(
    entry: &Object<'_>,
    context: &Context<'_>,
    mistakes: &mut Mistakes,
) -> (Option<String>, Option<String>) {
    let group = entry.text("group", mistakes);
    if let Some(group) = group {
        known_group(group, &join(&entry.path, "group"), context, mistakes);
    }
    (group.map(str::to_owned), entry.text("account_type", mistakes).map(str::to_owned))
}

fn known_group(group: &str, path: &str, context: &Context<'_>, mistakes: &mut Mistakes) {
    if !context.groups.contains_key(group) {
        mistakes.wrong(path, format!("no group is called {group}; add it to the plan's `groups`"));
    }
}
