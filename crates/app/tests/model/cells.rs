//! From items to cells: who is owed what in minor units, rounded once per cell or shared by largest remainder.
//!
//! Leaves differences between two states to the file above. A cell that is not here is worth 0.
//!
//! Chosen where the contract is silent: a negative sum is shared like the same sum above zero; a rebate's opposite is
//! the direct partner's, rounded with it.

use super::cuts::{bonuses, cap, carry, passes, price};
use super::fraction::Fraction;
use super::items::{Held, Item, acquisitions, linear};
use super::portions::{Portion, portions, share_out};
use super::tiers::{keep_budgets, method, share};
use super::world::{FactId, Seat, World, fraction};
use super::worth::eligibility;
use headwater_domain::time::Period;
use std::collections::{BTreeMap, BTreeSet};

/// Payee (`customer:ID` for a customer), rule, unit, level, scope.
pub type CellKey = (String, String, String, usize, String);

#[derive(Debug, Clone)]
pub struct Cell {
    pub minor: i128,
    pub digits: u32,
    pub period: Period,
    pub cut_off: Fraction,
    pub facts: BTreeSet<FactId>,
    pub hold_days: i64,
}

/// The whole worth of a world.
pub struct Evaluation {
    pub cells: BTreeMap<CellKey, Cell>,
    pub held: Held,
}

pub fn evaluate(world: &World) -> Evaluation {
    let mut held = Held::new();
    let mut items = linear(world, &mut held);
    items.extend(acquisitions(world, &mut held));
    items.sort_by(|a, b| a.order.cmp(&b.order));
    price(world, &mut items, &mut held);
    cap(world, &mut items);
    let mut items = carry(world, items);
    items.extend(bonuses(world, &items, &mut held));
    for item in &mut items {
        item.parts = share(world, item);
    }
    keep_budgets(world, &mut items, &mut held);
    hold_blocked(world, &items, &mut held);

    let mut cells = BTreeMap::new();
    let (shared, single): (Vec<&Item>, Vec<&Item>) =
        items.iter().partition(|item| matches!(method(item), Some("split" | "share_from_below")));
    round_each(world, &single, &mut cells, &mut held);
    round_paths(world, &shared, &mut cells, &mut held);
    rebate(world, &items, &mut cells, &mut held);
    Evaluation { cells, held }
}

/// A fact of which a part is not paid because a place in the tree is blocked is held.
fn hold_blocked(world: &World, items: &[Item], held: &mut Held) {
    for item in items.iter().filter(|item| !item.pays_customer() && item.plan["on_suspended"] != "house") {
        let portions = portions(world, item);
        let is_lost = |is_active: bool, part: Fraction| !is_active && part != Fraction::ZERO;
        let mut places = item.seats.iter().zip(&item.parts).skip(usize::from(!portions.is_empty()));
        let is_blocked = places.any(|(seat, part)| is_lost(seat.is_active, *part))
            || portions.iter().any(|(portion, share)| is_lost(!portion.is_blocked, *share * item.parts[0]));
        if let Some(fact) = item.trigger.as_ref().filter(|_| is_blocked) {
            held.insert((fact.clone(), "partner_suspended"));
        }
    }
}

pub fn digits_of(item: &Item) -> u32 {
    match (item.is_money() || item.unit() == "mon_discount", item.plan["currency"].as_str().unwrap()) {
        (false, _) | (true, "JPY") => 0,
        (true, "BHD" | "KWD") => 3,
        (true, _) => 2,
    }
}

fn add(world: &World, cells: &mut BTreeMap<CellKey, Cell>, key: CellKey, item: &Item, minor: i128) {
    let cell = cells.entry(key).or_insert_with(|| Cell {
        minor: 0,
        digits: digits_of(item),
        period: item.period,
        cut_off: Fraction::ZERO,
        facts: BTreeSet::new(),
        hold_days: 0,
    });
    // What adds up over periods is for the one of its latest part, as its hold is.
    if item.period.first_day >= cell.period.first_day {
        cell.period = item.period;
        cell.hold_days = item.plan["hold_days"].as_i64().unwrap_or(0);
    }
    cell.minor += minor;
    match &item.fact {
        Some(fact) => drop(cell.facts.insert(fact.clone())),
        None => {
            cell.facts.extend(world.facts.values().filter(|f| f.customer == item.customer.name).map(|f| f.id.clone()));
        }
    }
}

fn key_of(item: &Item, level: usize) -> CellKey {
    let payee = match item.pays_customer() {
        true => format!("customer:{}", item.customer.name),
        false => item.seats[level].partner.clone(),
    };
    (payee, item.rule_id().to_owned(), item.unit().to_owned(), level, item.scope.clone())
}

/// Cell by cell: the exact parts are added up and rounded once.
fn round_each(world: &World, items: &[&Item], cells: &mut BTreeMap<CellKey, Cell>, held: &mut Held) {
    let mut sums: BTreeMap<CellKey, (Fraction, Fraction, Vec<&Item>)> = BTreeMap::new();
    let mut families: BTreeMap<(CellKey, bool), Vec<&Item>> = BTreeMap::new();
    for item in items {
        for (level, part) in item.parts.iter().enumerate() {
            let is_shared = level == 0 && !portions(world, item).is_empty();
            if is_shared {
                let key = (key_of(item, 0), item.seats[0].is_active);
                families.entry(key).or_default().push(item);
            } else if item.pays_customer() || item.seats[level].is_active {
                let sum = sums.entry(key_of(item, level)).or_insert((Fraction::ZERO, Fraction::ZERO, Vec::new()));
                sum.0 = sum.0 + *part;
                if level == 0 {
                    sum.1 = sum.1 + item.uncut - item.amount;
                }
                sum.2.push(item);
            }
        }
    }
    // What the direct partner has alone is rounded with what it shares.
    for ((key, is_active), items) in families {
        let alone = is_active.then(|| sums.remove(&key)).flatten();
        let (alone, cut_off, unshared) = alone.unwrap_or((Fraction::ZERO, Fraction::ZERO, Vec::new()));
        let minor =
            (items.iter().map(|item| item.parts[0]).sum::<Fraction>() + alone).round_to_minor(digits_of(items[0]));
        round_portions(world, (minor, &items), (alone, &unshared), cells, held);
        if let Some(cell) = cells.get_mut(&key).filter(|_| is_active) {
            cell.cut_off = cell.cut_off + cut_off + items.iter().map(|item| item.uncut - item.amount).sum();
        }
    }
    for (key, (sum, cut_off, items)) in sums {
        items.iter().for_each(|item| add(world, cells, key.clone(), item, 0));
        let cell = cells.get_mut(&key).unwrap();
        cell.minor += sum.round_to_minor(cell.digits);
        cell.cut_off = cell.cut_off + cut_off;
    }
}

/// Gives out what was rounded for all who share these items, and what the direct partner has beside them.
fn round_portions(
    world: &World,
    (minor, shared): (i128, &[&Item]),
    (alone, unshared): (Fraction, &[&Item]),
    cells: &mut BTreeMap<CellKey, Cell>,
    held: &mut Held,
) {
    let mut sums: BTreeMap<Portion, (Fraction, Vec<&Item>)> = BTreeMap::new();
    for item in shared {
        for (portion, share) in portions(world, item) {
            let sum = sums.entry(portion).or_insert((Fraction::ZERO, Vec::new()));
            sum.0 = sum.0 + share * item.parts[0];
            sum.1.push(item);
        }
    }
    let direct = sums.values_mut().next().unwrap();
    direct.0 = direct.0 + alone;
    direct.1.extend(unshared);
    let parts: Vec<Fraction> = sums.values().map(|(sum, _)| *sum).collect();
    let digits = digits_of(shared[0]);
    if parts.iter().any(|part| is_beyond_amounts(*part, digits)) {
        // Nobody is given anything of it.
        let latest = shared.iter().max_by_key(|item| item.at()).and_then(|item| item.trigger.clone());
        held.extend(latest.map(|fact| (fact, "not_evaluable")));
        return;
    }
    let minors = share_out(minor, &parts, digits);
    for ((portion, (_, items)), minor) in sums.iter().zip(minors).filter(|((portion, _), _)| !portion.is_blocked) {
        for item in items {
            let key = key_of(item, 0);
            add(world, cells, (portion.partner.clone(), key.1, key.2, key.3, key.4), item, 0);
        }
        let key = key_of(items[0], 0);
        cells.get_mut(&(portion.partner.clone(), key.1, key.2, key.3, key.4)).unwrap().minor += minor;
    }
}

/// An amount has 64 bits of millionths.
fn is_beyond_amounts(part: Fraction, digits: u32) -> bool {
    i64::try_from(part.round_to_minor(digits) * 10_i128.pow(6 - digits)).is_err()
}

/// Path by path: the sum over all seats is rounded once and shared by largest remainder.
fn round_paths(world: &World, items: &[&Item], cells: &mut BTreeMap<CellKey, Cell>, held: &mut Held) {
    type Path = (String, String, String, Vec<Seat>);
    let mut paths: BTreeMap<Path, Vec<&Item>> = BTreeMap::new();
    for item in items {
        let path = (item.rule_id().to_owned(), item.unit().to_owned(), item.scope.clone(), item.seats.clone());
        paths.entry(path).or_default().push(item);
    }
    for ((_, _, _, seats), items) in paths {
        let parts: Vec<Fraction> =
            (0..seats.len()).map(|level| items.iter().map(|item| item.parts[level]).sum()).collect();
        let minors = largest_remainder(&parts, digits_of(items[0]));
        let (split, whole): (Vec<&Item>, Vec<&Item>) =
            items.iter().copied().partition(|item| !portions(world, item).is_empty());
        if !split.is_empty() {
            let alone = (whole.iter().map(|item| item.parts[0]).sum(), &whole[..]);
            round_portions(world, (minors[0], &split), alone, cells, held);
        }
        for (level, seat) in seats.iter().enumerate().filter(|(_, seat)| seat.is_active) {
            let key = key_of(items[0], level);
            if level == 0 && !split.is_empty() {
                if let Some(cell) = cells.get_mut(&key) {
                    cell.cut_off = cell.cut_off + items.iter().map(|item| item.uncut - item.amount).sum();
                }
                continue;
            }
            assert_eq!(key.0, seat.partner);
            items.iter().for_each(|item| add(world, cells, key.clone(), item, 0));
            let cell = cells.get_mut(&key).unwrap();
            cell.minor += minors[level];
            if level == 0 {
                cell.cut_off = cell.cut_off + items.iter().map(|item| item.uncut - item.amount).sum();
            }
        }
    }
}

/// Rounds the sum of the parts once and gives what is left over to the largest remainders, ties to the first.
pub fn largest_remainder(parts: &[Fraction], digits: u32) -> Vec<i128> {
    let total: Fraction = parts.iter().copied().sum();
    if total.is_negative() {
        let mirrored: Vec<Fraction> = parts.iter().map(|part| -*part).collect();
        return largest_remainder(&mirrored, digits).into_iter().map(|minor| -minor).collect();
    }
    let floors: Vec<(i128, Fraction)> = parts.iter().map(|part| part.floor_to_minor(digits)).collect();
    let mut minors: Vec<i128> = floors.iter().map(|(floor, _)| *floor).collect();
    let mut left = total.round_to_minor(digits) - minors.iter().sum::<i128>();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|a, b| floors[*b].1.cmp(&floors[*a].1).then(a.cmp(b)));
    for index in order.iter().cycle() {
        if left == 0 {
            break;
        }
        minors[*index] += left.signum();
        left -= left.signum();
    }
    minors
}

/// A percent of the direct partner's own part goes to the customer, and the exact opposite to the direct partner.
fn rebate(world: &World, items: &[Item], cells: &mut BTreeMap<CellKey, Cell>, held: &mut Held) {
    let mut sums: BTreeMap<(CellKey, String), (Fraction, Vec<&Item>)> = BTreeMap::new();
    let mut backs: Vec<(&Item, Item)> = Vec::new();
    for item in items.iter().filter(|item| !item.pays_customer()) {
        for (plan, rule) in world.rules_at(&item.plan_name, item.at()) {
            let is_of_item = rule["kind"] == "rebate" && rule["of_rule"] == item.rule["id"];
            if !is_of_item || !item.seats[0].is_active || !passes(world, plan, rule, item) {
                continue;
            }
            let of_fact = item.trigger.as_ref().map_or(Ok(Fraction::ONE), |fact| eligibility(rule, &world.facts[fact]));
            let credit = match of_fact {
                Ok(credit) => credit,
                Err(reason) => {
                    held.insert((item.trigger.clone().unwrap(), reason));
                    continue;
                }
            };
            let weight = fraction(rule, "weight").unwrap_or(Fraction::ONE);
            let mut back = item.clone();
            (back.plan, back.rule) = (plan, rule);
            back.uncut = item.parts[0] * fraction(rule, "percent").unwrap().percent() * weight * credit;
            back.amount = back.uncut;
            backs.push((item, back));
        }
    }
    let mut cut: Vec<Item> = backs.iter().map(|(_, back)| back.clone()).collect();
    cap(world, &mut cut);
    let mut cut_off: BTreeMap<CellKey, Fraction> = BTreeMap::new();
    for ((item, _), back) in backs.iter().zip(&cut) {
        let payee = format!("customer:{}", item.customer.name);
        let scope = format!("customer {} in {}", item.customer.name, item.period);
        let key = (payee, back.rule_id().to_owned(), item.unit().to_owned(), 0, scope);
        let off = cut_off.entry(key.clone()).or_insert(Fraction::ZERO);
        *off = *off + back.uncut - back.amount;
        let sum = sums.entry((key, item.direct().to_owned())).or_insert((Fraction::ZERO, Vec::new()));
        sum.0 = sum.0 + back.amount;
        sum.1.push(item);
    }
    for ((key, direct), (sum, items)) in sums {
        let minor = sum.round_to_minor(digits_of(items[0]));
        add(world, cells, key.clone(), items[0], minor);
        add(world, cells, (direct, key.1, key.2, key.3, key.4), items[0], -minor);
    }
    for (key, off) in cut_off {
        cells.get_mut(&key).unwrap().cut_off = off;
    }
}
