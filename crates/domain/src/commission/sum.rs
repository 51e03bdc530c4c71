//! Cells: shares added up exactly, then rounded once each. Leaves what is rounded together to `levels`.

mod levels;

use super::cell::{CellKey, Payee, Scope};
use super::claim::{Claim, Claims, Counted};
use super::place::period_of;
use super::plan::{PlanVersion, Rule};
use super::share::{Rebated, Share};
use super::split::PortionOf;
use crate::ids::FactId;
use crate::money::{Decimal, Exact, OutOfRange, Unit};
use crate::time::{Instant, Period};
use levels::{Paths, Together, add_level, give_out};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What one cell is worth now.
#[derive(Debug, Clone)]
pub struct Worth {
    /// The cell.
    pub cell: CellKey,
    /// Before the one rounding.
    pub exact: Exact,
    /// After it.
    pub rounded: Decimal,
    /// What caps took away, rounded.
    pub cut_off: Decimal,
    /// The latest fact that counts in the cell.
    pub fact: FactId,
    /// When that fact stands.
    pub fact_at: Instant,
    /// The period it is for.
    pub for_period: Period,
    pub(super) parts: Vec<Part>,
    pub(super) paths: Vec<PathPart>,
    /// What priced the latest part.
    pub(super) priced_by: Arc<PlanVersion>,
}

/// What a cell was given of a path of partners that is rounded once.
#[derive(Debug, Clone)]
pub(super) struct PathPart {
    /// What every level of the path is worth, nearest to the client first.
    pub levels: Arc<[Exact]>,
    /// Which of them the cell is, or has a portion of.
    pub index: usize,
    /// Where what the level was given is shared: what every portion is worth, the direct partner's first, and which of them
    /// the cell is.
    pub portions: Option<(Arc<[Exact]>, usize)>,
}

/// One share within a cell.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub claim: usize,
    pub level: u16,
    pub exact: Exact,
    pub rebate: Option<Arc<Rebated>>,
    pub portion: Option<PortionOf>,
}

struct Cell {
    key: CellKey,
    exact: Exact,
    /// What is rounded alone.
    alone: Exact,
    /// What was given to it of all paths, in millionths: what adds up to a payable sum may leave 64 bits on the way there.
    given: i128,
    cut_off: Exact,
    moment: Instant,
    version: Arc<PlanVersion>,
    /// The latest fact that counts in it.
    latest: Counted,
    parts: Vec<Part>,
    paths: Vec<PathPart>,
}

/// The cells so far. Facts come person by person in time order: the cell of a rule and level is nearly always the one
/// that it was for the fact before, which is looked at first.
#[derive(Default)]
struct Cells {
    all: Vec<Cell>,
    places: BTreeMap<CellKey, usize>,
    recent: Vec<Option<usize>>,
}

/// Levels above share a place in [`Cells::recent`].
const LEVELS: usize = 4;

impl Cells {
    fn slot(share: &Share) -> usize {
        share.rule_index * LEVELS + usize::from(share.level) % LEVELS
    }

    fn find(&mut self, share: &Share, rule: &Rule) -> Option<usize> {
        let recent = self.recent.get(Self::slot(share)).copied().flatten();
        if let Some(place) = recent.filter(|place| is_of(&self.all[*place].key, share, rule)) {
            return Some(place);
        }
        let place = self.places.get(&key_of(share, rule)).copied()?;
        self.remember(share, place);
        Some(place)
    }

    fn remember(&mut self, share: &Share, place: usize) {
        let slot = Self::slot(share);
        if self.recent.len() <= slot {
            self.recent.resize(slot + 1, None);
        }
        self.recent[slot] = Some(place);
    }

    /// What was earned in a cell by itself, rounded alone; `None` where there is no such cell.
    fn alone(&self, key: &CellKey) -> Option<&Exact> {
        self.places.get(key).map(|place| &self.all[*place].alone)
    }

    /// It was given out with what is shared.
    fn was_joined(&mut self, key: &CellKey) {
        if let Some(place) = self.places.get(key) {
            self.all[*place].alone = Exact::zero();
        }
    }

    /// Gives a cell what came of rounding it together with others.
    fn give(&mut self, key: &CellKey, is_withheld: bool, amount: Decimal, path: PathPart) {
        let place = self.places.get(key).filter(|_| !is_withheld);
        if let Some(cell) = place.map(|place| &mut self.all[*place]) {
            cell.given += i128::from(amount.0);
            cell.paths.push(path);
        }
    }

    fn open(&mut self, share: &Share, rule: &Rule, claim: &Claim<'_>) -> usize {
        let (key, place) = (key_of(share, rule), self.all.len());
        self.places.insert(key.clone(), place);
        self.remember(share, place);
        self.all.push(Cell {
            key,
            exact: Exact::zero(),
            alone: Exact::zero(),
            given: 0,
            cut_off: Exact::zero(),
            moment: claim.place.at,
            version: Arc::clone(&share.version),
            latest: claim.counted,
            parts: Vec::new(),
            paths: Vec::new(),
        });
        place
    }
}

fn key_of(share: &Share, rule: &Rule) -> CellKey {
    CellKey {
        payee: share.payee,
        rule: rule.id.clone(),
        unit: rule.unit,
        level: share.level,
        scope: share.scope.clone(),
    }
}

fn is_of(key: &CellKey, share: &Share, rule: &Rule) -> bool {
    key.level == share.level
        && key.payee == share.payee
        && key.scope == share.scope
        && key.unit == rule.unit
        && (Arc::ptr_eq(&key.rule, &rule.id) || key.rule == rule.id)
}

/// Every cell by its text. What leaves the range of exact numbers is held, and the cell stays without it.
pub(super) fn cells(claims: &mut Claims<'_>, shares: Vec<Share>) -> BTreeMap<String, Worth> {
    let mut cells = Cells::default();
    let mut paths = Paths::new();
    for share in shares {
        let place = share.claim;
        let added = add(claims, share, &mut cells, &mut paths);
        if let Err(error) = added {
            let fact = claims.all[place].fact.id;
            claims.hold_out_of_range(fact, error);
        }
    }
    for ((_, _, unit, together), levels) in paths {
        let latest: Vec<FactId> = levels.iter().map(|level| level.latest.fact).collect();
        if let Err(error) = give_out(&mut cells, &together, levels, unit) {
            for fact in latest {
                claims.hold_out_of_range(fact, error);
            }
        }
    }
    let mut worths = Vec::with_capacity(cells.all.len());
    for cell in cells.all {
        let latest = cell.latest.fact;
        match cell.into_worth() {
            Ok(worth) => worths.push((worth.cell.text(), worth)),
            Err(error) => claims.hold_out_of_range(latest, error),
        }
    }
    worths.into_iter().collect()
}

fn add(claims: &Claims<'_>, share: Share, cells: &mut Cells, paths: &mut Paths) -> Result<(), OutOfRange> {
    let claim = &claims.all[share.claim];
    let version = Arc::clone(&share.version);
    let rule = &version.plan.rules[share.rule_index];
    let found = cells.find(&share, rule);
    payable(&share.exact)?;
    let cut_off = share.rebate.as_ref().map_or(&claim.cut_off, |rebate| &rebate.cut_off);
    payable(cut_off)?;
    let sums = match found.map(|place| &cells.all[place]) {
        Some(cell) => (cell.exact.plus(&share.exact)?, cell.cut_off.plus(cut_off)?),
        None => (share.exact.clone(), cut_off.clone()),
    };
    payable(&sums.0)?;
    payable(&sums.1)?;
    let together = match (&share.path, share.portion) {
        (Some(path), _) => Some(Together::Path(path.clone())),
        (None, portion) => portion.map(|portion| Together::Direct(portion.direct, portion.is_direct_withheld)),
    };
    let is_alone = together.is_none();
    if let Some(together) = together {
        let levels = paths.entry((share.scope.clone(), rule.id.clone(), rule.unit, together)).or_default();
        add_level(levels, &share, rule, claim.counted)?;
    }
    if share.is_withheld {
        return Ok(());
    }
    let place = found.unwrap_or_else(|| cells.open(&share, rule, claim));
    let cell = &mut cells.all[place];
    if is_alone {
        cell.alone = cell.alone.plus(&share.exact)?;
    }
    cell.exact = sums.0;
    // What a rebate's cap took away is shown to the client that it was taken from.
    let is_shown = share.rebate.is_none() || matches!(share.payee, Payee::Customer(_));
    // And to the direct partner alone, where others share.
    let is_shown = is_shown && share.portion.is_none_or(|of| share.payee == Payee::Partner(of.direct));
    if share.level == 0 && is_shown {
        cell.cut_off = sums.1;
    }
    if claim.place.at >= cell.moment {
        cell.moment = claim.place.at;
        cell.version = version;
    }
    for counted in std::iter::once(&claim.counted).chain(&claim.also_counted) {
        if (counted.at, counted.fact) > (cell.latest.at, cell.latest.fact) {
            cell.latest = *counted;
        }
    }
    cell.parts.push(Part {
        claim: share.claim,
        level: share.level,
        exact: share.exact,
        rebate: share.rebate,
        portion: share.portion,
    });
    Ok(())
}

/// What cannot be posted is left out, and its fact is held: the cell keeps what it is worth without it.
fn payable(exact: &Exact) -> Result<(), OutOfRange> {
    if exact.is_payable() { Ok(()) } else { Err(OutOfRange) }
}

impl Cell {
    fn into_worth(self) -> Result<Worth, OutOfRange> {
        let for_period = match &self.key.scope {
            Scope::CustomerPeriod(_, period) | Scope::Period(period) => *period,
            _ => period_of(&self.version.plan, self.moment),
        };
        Ok(Worth {
            exact: self.exact,
            rounded: {
                let sum = i128::from(self.alone.round(self.key.unit)?.0) + self.given;
                Decimal(i64::try_from(sum).map_err(|_| OutOfRange)?)
            },
            cut_off: self.cut_off.round(self.key.unit)?,
            fact: self.latest.fact,
            fact_at: self.latest.at,
            for_period,
            cell: self.key,
            parts: self.parts,
            paths: self.paths,
            priced_by: self.version,
        })
    }
}
