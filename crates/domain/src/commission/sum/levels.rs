//! What is rounded together: the levels of a path of partners, and what others have of the direct one; shared out by largest
//! remainder.
//!
//! Invariant: the cells of a path are given together what its sum rounds to, less what is withheld.

use super::{CellKey, Cells, Counted, Exact, OutOfRange, PathPart, Payee, Rule, Scope, Share, Unit, key_of, payable};
use crate::commission::largest_remainder::{by_largest_remainder, share_out};
use crate::ids::PartnerId;
use crate::money::Decimal;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is rounded once, level by level.
pub(super) type Paths = BTreeMap<(Scope, Arc<str>, Unit, Together), Vec<Level>>;

/// Who is rounded together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Together {
    /// A whole path of partners, each with whether it is suspended.
    Path(Vec<(PartnerId, bool)>),
    /// Who shares what this partner earns directly, and whether it is suspended.
    Direct(PartnerId, bool),
}

/// What is rounded together with other levels.
pub(super) struct Level {
    key: CellKey,
    exact: Exact,
    is_withheld: bool,
    /// The latest fact that counts in it.
    pub latest: Counted,
    /// What others have of it.
    portions: Vec<(CellKey, Exact, bool)>,
}

/// Rounds a path once, and gives each of its cells its part; all of them, or none where a part leaves the range.
pub(super) fn give_out(
    cells: &mut Cells,
    together: &Together,
    mut levels: Vec<Level>,
    unit: Unit,
) -> Result<(), OutOfRange> {
    let mut joined = Vec::new();
    if matches!(together, Together::Direct(_, false)) {
        levels.iter_mut().try_for_each(|level| level.join_unshared(cells))?;
        joined.extend(levels.iter().map(|level| level.key.clone()));
    }
    let parts: Arc<[Exact]> = levels.iter().map(|level| level.exact.clone()).collect();
    let mut gifts = Vec::new();
    for (index, (level, amount)) in levels.into_iter().zip(by_largest_remainder(&parts, unit)?).enumerate() {
        if level.portions.is_empty() {
            let path = PathPart { levels: Arc::clone(&parts), index, portions: None };
            gifts.push((level.key, level.is_withheld, amount, path));
            continue;
        }
        let portions = level.portioned(amount, unit)?;
        let exact: Arc<[Exact]> = portions.iter().map(|(_, exact, ..)| exact.clone()).collect();
        for (portion, (key, _, is_withheld, amount)) in portions.into_iter().enumerate() {
            let portions = Some((Arc::clone(&exact), portion));
            let path = PathPart { levels: Arc::clone(&parts), index, portions };
            gifts.push((key, is_withheld, amount, path));
        }
    }
    for key in &joined {
        cells.was_joined(key);
    }
    for (key, is_withheld, amount, path) in gifts {
        cells.give(&key, is_withheld, amount, path);
    }
    Ok(())
}

/// Adds to the level that the share is of, or is a portion of.
pub(super) fn add_level(
    levels: &mut Vec<Level>,
    share: &Share,
    rule: &Rule,
    counted: Counted,
) -> Result<(), OutOfRange> {
    let sum = levels.iter().try_fold(share.exact.clone(), |sum, level| sum.plus(&level.exact))?;
    payable(&sum)?;
    let (payee, is_withheld) = match share.portion {
        Some(of) => (Payee::Partner(of.direct), of.is_direct_withheld),
        None => (share.payee, share.is_withheld),
    };
    let is_of_share = |level: &Level| level.key.level == share.level && level.key.payee == payee;
    let place = levels.iter().position(is_of_share).unwrap_or_else(|| {
        let key = CellKey { payee, ..key_of(share, rule) };
        levels.push(Level { key, exact: Exact::zero(), is_withheld, latest: counted, portions: Vec::new() });
        levels.len() - 1
    });
    let level = &mut levels[place];
    let sum = level.exact.plus(&share.exact)?;
    payable(&sum)?;
    if share.payee != payee {
        let of_payee = |(key, _, withheld): &&mut (CellKey, Exact, bool)| {
            key.payee == share.payee && *withheld == share.is_withheld
        };
        match level.portions.iter_mut().find(of_payee) {
            Some((_, exact, _)) => *exact = exact.plus(&share.exact)?,
            None => level.portions.push((key_of(share, rule), share.exact.clone(), share.is_withheld)),
        }
    }
    level.exact = sum;
    if (counted.at, counted.fact) > (level.latest.at, level.latest.fact) {
        level.latest = counted;
    }
    Ok(())
}

impl Level {
    /// What the direct partner earned without a split is rounded with what is shared: the sum is what it alone would have been
    /// paid for all of it.
    fn join_unshared(&mut self, cells: &Cells) -> Result<(), OutOfRange> {
        if let Some(alone) = cells.alone(&self.key) {
            self.exact = self.exact.plus(alone)?;
        }
        Ok(())
    }

    /// What the level was given, shared by largest remainder; ties go to the direct partner, then by number.
    fn portioned(mut self, given: Decimal, unit: Unit) -> Result<Vec<(CellKey, Exact, bool, Decimal)>, OutOfRange> {
        self.portions.sort_by_key(|(key, _, is_withheld)| (key.payee, *is_withheld));
        let others = self.portions.iter().try_fold(Exact::zero(), |sum, (_, exact, _)| sum.plus(exact))?;
        let mut portions = vec![(self.key, self.exact.minus(&others)?, self.is_withheld)];
        portions.append(&mut self.portions);
        let exact: Vec<Exact> = portions.iter().map(|(_, exact, _)| exact.clone()).collect();
        let given = share_out(given, &exact, unit)?;
        Ok(portions
            .into_iter()
            .zip(given)
            .map(|((key, exact, withheld), given)| (key, exact, withheld, given))
            .collect())
    }
}
