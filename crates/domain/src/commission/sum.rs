//! Cells: shares added up exactly, then rounded once each; what is rounded together is shared by largest remainder.

use super::cell::{CellKey, Scope};
use super::claim::{Claims, Counted};
use super::place::period_of;
use super::plan::PlanVersion;
use super::share::Share;
use crate::ids::{FactId, PartnerId};
use crate::money::{Decimal, Exact, OutOfRange, Unit};
use crate::time::{Instant, Period};
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
    /// When the latest fact's part is payable.
    pub payable_at: Instant,
    /// Whether the plan needs nobody's approval.
    pub auto_approve: bool,
    /// The plan that priced the latest part.
    pub plan: String,
    /// Its version.
    pub version: i64,
    pub(super) facts: Vec<Counted>,
    pub(super) parts: Vec<Part>,
    pub(super) priced_by: Arc<PlanVersion>,
}

/// One share within a cell.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub claim: usize,
    pub level: u16,
    pub exact: Exact,
    pub is_rebate: bool,
}

struct Cell {
    exact: Exact,
    /// What is rounded alone.
    alone: Exact,
    /// What was given to it of a path.
    given: Decimal,
    cut_off: Exact,
    moment: Instant,
    version: Arc<PlanVersion>,
    facts: Vec<Counted>,
    parts: Vec<Part>,
}

/// What is rounded once for a whole path of partners, level by level.
type Paths = BTreeMap<(Scope, Arc<str>, Unit, Vec<(PartnerId, bool)>), Vec<(CellKey, Exact, bool)>>;

/// Every cell by its text. What leaves the range of exact numbers is held, and the cell stays without it.
pub(super) fn cells(claims: &mut Claims<'_>, shares: &[Share]) -> BTreeMap<String, Worth> {
    let mut cells: BTreeMap<CellKey, Cell> = BTreeMap::new();
    let mut paths = Paths::new();
    for share in shares {
        let added = add(claims, share, &mut cells, &mut paths);
        if let Err(error) = added {
            let fact = claims.all[share.claim].fact.id;
            claims.hold_out_of_range(fact, error);
        }
    }
    for ((_, _, unit, _), levels) in paths {
        let parts: Vec<Exact> = levels.iter().map(|(_, exact, _)| *exact).collect();
        let Ok(given) = by_largest_remainder(&parts, unit) else { continue };
        for ((key, _, is_withheld), amount) in levels.into_iter().zip(given) {
            if let Some(cell) = cells.get_mut(&key).filter(|_| !is_withheld) {
                cell.given = cell.given.checked_add(amount).unwrap_or(cell.given);
            }
        }
    }
    let mut worths = BTreeMap::new();
    for (key, cell) in cells {
        let latest = cell.facts.iter().max_by_key(|counted| (counted.at, counted.fact)).map(|latest| latest.fact);
        match cell.into_worth(key.clone()) {
            Ok(worth) => drop(worths.insert(key.text(), worth)),
            Err(error) => latest.into_iter().for_each(|fact| claims.hold_out_of_range(fact, error)),
        }
    }
    worths
}

fn add(
    claims: &Claims<'_>,
    share: &Share,
    cells: &mut BTreeMap<CellKey, Cell>,
    paths: &mut Paths,
) -> Result<(), OutOfRange> {
    let claim = &claims.all[share.claim];
    let rule = &share.version.plan.rules[share.rule_index];
    let key = CellKey {
        payee: share.payee,
        rule: rule.id.clone(),
        unit: rule.unit,
        level: share.level,
        scope: share.scope.clone(),
    };
    if let Some(path) = &share.path {
        let levels = paths.entry((share.scope.clone(), rule.id.clone(), rule.unit, path.clone())).or_default();
        match levels.iter_mut().find(|(known, ..)| *known == key) {
            Some((_, exact, _)) => *exact = exact.plus(share.exact)?,
            None => levels.push((key.clone(), share.exact, share.is_withheld)),
        }
    }
    if share.is_withheld {
        return Ok(());
    }
    let cell = cells.entry(key).or_insert_with(|| Cell {
        exact: Exact::zero(),
        alone: Exact::zero(),
        given: Decimal::ZERO,
        cut_off: Exact::zero(),
        moment: claim.place.at,
        version: Arc::clone(&share.version),
        facts: Vec::new(),
        parts: Vec::new(),
    });
    let sum = cell.exact.plus(share.exact)?;
    if share.path.is_none() {
        cell.alone = cell.alone.plus(share.exact)?;
    }
    cell.exact = sum;
    if share.level == 0 && !share.is_rebate {
        cell.cut_off = cell.cut_off.plus(claim.cut_off)?;
    }
    if claim.place.at >= cell.moment {
        cell.moment = claim.place.at;
        cell.version = Arc::clone(&share.version);
    }
    cell.facts.push(claim.counted);
    cell.facts.extend(claim.also_counted.iter().copied());
    cell.parts.push(Part { claim: share.claim, level: share.level, exact: share.exact, is_rebate: share.is_rebate });
    Ok(())
}

/// The sum, rounded once, given out in minor units: whole ones first, then one each to the largest remainders; ties go
/// to the one nearest the client.
pub(super) fn by_largest_remainder(parts: &[Exact], unit: Unit) -> Result<Vec<Decimal>, OutOfRange> {
    let sum = parts.iter().try_fold(Exact::zero(), |sum, part| sum.plus(*part))?;
    if sum.is_negative() {
        let positive: Vec<Exact> = parts.iter().map(|part| Exact::zero().minus(*part)).collect::<Result<_, _>>()?;
        return Ok(by_largest_remainder(&positive, unit)?.into_iter().map(Decimal::negated).collect());
    }
    let minor = unit.minor_unit();
    let mut given = Vec::new();
    let mut remainders = Vec::new();
    let mut left = sum.round(unit)?;
    for (index, part) in parts.iter().enumerate() {
        let whole = part.floor(unit)?;
        left = left.checked_sub(whole).ok_or(OutOfRange)?;
        remainders.push((part.minus(whole.exact())?, std::cmp::Reverse(index)));
        given.push(whole);
    }
    remainders.sort();
    for (_, std::cmp::Reverse(index)) in remainders.into_iter().rev() {
        if left <= Decimal::ZERO {
            break;
        }
        given[index] = given[index].checked_add(minor).ok_or(OutOfRange)?;
        left = left.checked_sub(minor).ok_or(OutOfRange)?;
    }
    Ok(given)
}

impl Cell {
    fn into_worth(self, cell: CellKey) -> Result<Worth, OutOfRange> {
        let latest = self.facts.iter().max_by_key(|counted| (counted.at, counted.fact)).copied();
        let latest = latest.expect("a cell is made with its first fact");
        let plan = &self.version.plan;
        let for_period = match &cell.scope {
            Scope::CustomerPeriod(_, period) | Scope::Period(period) => *period,
            _ => period_of(plan, self.moment),
        };
        Ok(Worth {
            exact: self.exact,
            rounded: self.alone.round(cell.unit)?.checked_add(self.given).ok_or(OutOfRange)?,
            cut_off: self.cut_off.round(cell.unit)?,
            fact: latest.fact,
            fact_at: latest.at,
            for_period,
            payable_at: latest.at.plus_seconds(plan.hold_seconds()),
            auto_approve: plan.auto_approve,
            plan: self.version.name.clone(),
            version: self.version.version,
            cell,
            facts: self.facts,
            parts: self.parts,
            priced_by: self.version,
        })
    }
}
