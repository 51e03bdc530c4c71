//! A second, independent answer to what a case file must give: slow, without state, straight from the contract.
//!
//! After each step everything is worked out again from all that is known; only what was posted is remembered. Each
//! file says what it chose where the contract is silent. It shares with the engine the calendar and nothing else.

pub mod cells;
pub mod conditions;
pub mod cuts;
pub mod fraction;
pub mod generate;
pub mod items;
pub mod lint;
pub mod multiplied;
pub mod orders;
pub mod plans;
pub mod portions;
pub mod random;
pub mod rates;
pub mod sales;
pub mod shrink;
pub mod tiers;
pub mod verdict;
pub mod world;
pub mod worth;

use cells::{Cell, CellKey, evaluate};
use fraction::decimal_text;
use headwater_domain::time::{Instant, Period, Zone};
use items::Held;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use world::{DAY_MICROS, FactId, World, instant, list};

/// A difference between what a cell is worth now and what was posted to it.
#[derive(Debug, Clone)]
pub struct Posting {
    pub key: CellKey,
    pub minor: i128,
    pub digits: u32,
    pub period: Period,
    pub cut_off_minor: i128,
    pub payable_at: Option<String>,
}

impl Posting {
    pub fn amount(&self) -> String {
        decimal_text(self.minor, self.digits)
    }
}

#[derive(Debug, Default)]
pub struct StepReport {
    pub refused: Option<String>,
    pub postings: Vec<Posting>,
    pub newly_held: Vec<String>,
}

/// What the model makes of a case.
#[derive(Debug)]
pub struct Report {
    pub steps: Vec<StepReport>,
    /// The world after each step, for questions about it.
    pub worlds: Vec<World>,
    /// By owner and unit, in minor units and their digits; without zeros.
    pub totals: BTreeMap<(String, String), (i128, u32)>,
}

/// Runs a case through the model. Expectations in it are not looked at.
pub fn run(case: &Value) -> Report {
    let mut world = World::open(case);
    let mut posted: BTreeMap<CellKey, Cell> = BTreeMap::new();
    let mut held = Held::new();
    let mut report = Report { steps: Vec::new(), worlds: Vec::new(), totals: BTreeMap::new() };
    for step in list(case, "steps") {
        let mut changed = BTreeSet::new();
        report.steps.push(match apply(&mut world, step, &mut changed) {
            Ok(()) => settle(&world, &mut posted, &mut held, &changed),
            Err(code) => StepReport { refused: Some(code), ..StepReport::default() },
        });
        report.worlds.push(world.clone());
    }
    report.add_totals(&posted);
    report
}

impl Report {
    fn add_totals(&mut self, cells: &BTreeMap<CellKey, Cell>) {
        for ((owner, _, unit, _, _), cell) in cells {
            let total = self.totals.entry((owner.clone(), unit.clone())).or_insert((0, cell.digits));
            total.0 += cell.minor;
        }
        self.totals.retain(|_, (minor, _)| *minor != 0);
    }
}

/// The world that a case ends in, and what everything in it is worth: what all postings must add up to.
pub fn end_of(case: &Value) -> (World, Report) {
    let mut world = World::open(case);
    for step in list(case, "steps") {
        // A step that is refused changes nothing.
        let _ = apply(&mut world, step, &mut BTreeSet::new());
    }
    let mut report = Report { steps: Vec::new(), worlds: Vec::new(), totals: BTreeMap::new() };
    report.add_totals(&evaluate(&world).cells);
    (world, report)
}

fn apply(world: &mut World, step: &Value, changed: &mut BTreeSet<FactId>) -> Result<(), String> {
    for (key, value) in step.as_object().unwrap() {
        let partner = || value["partner"].as_str().unwrap();
        let at = || instant(value, "at").unwrap();
        match key.as_str() {
            "customer" => world.add_customer(value),
            "split" => world.add_split(value)?,
            "fact" if value.is_array() => {
                changed.extend(value.as_array().unwrap().iter().filter_map(|fact| world.add_fact(fact)));
            }
            "fact" => changed.extend(world.add_fact(value)),
            "exchange_rate" => world.add_rate(value),
            "move_partner" => world.move_partner(partner(), value["parent"].as_str().unwrap(), at())?,
            "suspend_partner" => world.suspend(partner(), at(), true),
            "restore_partner" => world.suspend(partner(), at(), false),
            "plan" => world.add_version(value, step["from"].as_str().unwrap()),
            "close_period" => drop(world.closed.insert(Period::parse(value.as_str().unwrap()).unwrap())),
            "now" => world.clock = Instant::parse(value.as_str().unwrap()).unwrap().0,
            "lint" => lint::lint(value)?,
            "from" | "expect" | "held" | "expect_error" | "expect_conditions" => {}
            other => panic!("a step with {other}"),
        }
    }
    Ok(())
}

/// Evaluates everything and posts the differences.
fn settle(
    world: &World,
    posted: &mut BTreeMap<CellKey, Cell>,
    held: &mut Held,
    changed: &BTreeSet<FactId>,
) -> StepReport {
    let now = evaluate(world);
    let mut report = StepReport::default();
    let keys: BTreeSet<CellKey> = posted.keys().chain(now.cells.keys()).cloned().collect();
    for key in keys {
        let (before, after) = (posted.get(&key), now.cells.get(&key));
        let some = after.or(before).unwrap();
        let minor_of = |cell: Option<&Cell>| cell.map_or(0, |cell| cell.minor);
        let cut_of = |cell: Option<&Cell>| cell.map_or(0, |cell| cell.cut_off.round_to_minor(cell.digits));
        let touched =
            before.into_iter().chain(after).flat_map(|cell| &cell.facts).filter(|fact| changed.contains(*fact));
        let latest = touched.map(|fact| world.facts[fact].at(&Zone::UTC)).max();
        let posting = Posting {
            minor: minor_of(after) - minor_of(before),
            digits: some.digits,
            period: some.period,
            cut_off_minor: cut_of(after) - cut_of(before),
            payable_at: latest.map(|at| Instant(at + some.hold_days * DAY_MICROS).to_string()),
            key: key.clone(),
        };
        if posting.minor != 0 {
            report.postings.push(posting);
        }
        let mut kept = some.clone();
        kept.minor = minor_of(after);
        if after.is_none() {
            kept.cut_off = fraction::Fraction::ZERO;
        }
        posted.insert(key, kept);
    }
    report.newly_held = now.held.difference(held).map(|(_, reason)| (*reason).to_owned()).collect();
    *held = now.held;
    report
}
