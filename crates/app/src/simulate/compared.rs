//! What a simulation adds up: posted against simulated, by unit, by partner and by client.
//!
//! Keeps sums alone, one for each partner and client and unit, and for cells that many persons share one exact number: it
//! does not grow with facts. A client's part of a cell that it shares is rounded for itself.

use headwater_domain::commission::{CellKey, Evaluation, Payee, Scope, Worth};
use headwater_domain::ids::{CustomerId, PartnerId};
use headwater_domain::money::{Decimal, Exact, OutOfRange, Unit};
use headwater_domain::time::Instant;
use std::collections::BTreeMap;

/// Facts of `[from, to)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub from: Instant,
    pub to: Instant,
}

impl Window {
    pub(super) fn holds(self, at: Instant) -> bool {
        (self.from..self.to).contains(&at)
    }
}

/// Posted against simulated, for one payee or customer and unit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// What was posted, and not denied.
    pub posted: i128,
    /// By the draft.
    pub simulated: i128,
}

impl Compared {
    /// Simulated less posted.
    pub fn difference(self) -> i128 {
        self.simulated - self.posted
    }
}

/// What a simulation found; amounts are millionths.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Simulation {
    /// Persons that were looked at.
    pub persons: usize,
    /// Facts of the window.
    pub facts: usize,
    /// By unit.
    pub totals: BTreeMap<Unit, Compared>,
    /// By partner and unit.
    pub partners: BTreeMap<(PartnerId, Unit), Compared>,
    /// For whose facts, whoever is paid.
    pub customers: BTreeMap<(CustomerId, Unit), Compared>,
    /// Facts of the window that the draft would hold, by reason.
    pub held: BTreeMap<&'static str, usize>,
    /// Cells of which other persons have parts too; rounded once all of them are there.
    pub(super) shared: BTreeMap<CellKey, Exact>,
}

impl Simulation {
    /// Something that was posted for a customer's facts.
    pub(super) fn take_posted(&mut self, partner: Option<PartnerId>, customer: CustomerId, unit: Unit, amount: i64) {
        let amount = i128::from(amount);
        self.totals.entry(unit).or_default().posted += amount;
        self.customers.entry((customer, unit)).or_default().posted += amount;
        if let Some(partner) = partner {
            self.partners.entry((partner, unit)).or_default().posted += amount;
        }
    }

    /// What cells are worth for facts of the window. `are_all_here`: nobody else has a part of these cells.
    ///
    /// # Errors
    /// [`OutOfRange`] where a sum is too large to compute with.
    pub(super) fn take(
        &mut self,
        evaluation: &Evaluation<'_>,
        window: Window,
        are_all_here: bool,
    ) -> Result<(), OutOfRange> {
        for worth in evaluation.worths.values() {
            self.take_worth(evaluation, worth, window, are_all_here)?;
        }
        Ok(())
    }

    fn take_worth(
        &mut self,
        evaluation: &Evaluation<'_>,
        worth: &Worth,
        window: Window,
        are_all_here: bool,
    ) -> Result<(), OutOfRange> {
        let unit = worth.cell.unit;
        let mut by_customer: Vec<(CustomerId, Exact)> = Vec::new();
        let (mut sum, mut is_whole) = (Exact::zero(), true);
        for (customer, at, exact) in evaluation.parts(worth) {
            if !window.holds(at) {
                is_whole = false;
                continue;
            }
            sum = sum.plus(exact)?;
            match by_customer.last_mut().filter(|(known, _)| *known == customer) {
                Some((_, known)) => *known = known.plus(exact)?,
                None => by_customer.push((customer, exact.clone())),
            }
        }
        if by_customer.is_empty() {
            return Ok(());
        }
        let amount = if is_whole { worth.rounded } else { sum.round(unit)? };
        if let [(customer, _)] = by_customer[..] {
            self.customers.entry((customer, unit)).or_default().simulated += i128::from(amount.0);
        } else {
            for (customer, exact) in by_customer {
                let Decimal(part) = exact.round(unit)?;
                self.customers.entry((customer, unit)).or_default().simulated += i128::from(part);
            }
        }
        if !are_all_here && matches!(worth.cell.scope, Scope::Period(_)) {
            let known = self.shared.entry(worth.cell.clone()).or_insert_with(Exact::zero);
            *known = known.plus(&sum)?;
            return Ok(());
        }
        self.add_simulated(&worth.cell, amount);
        Ok(())
    }

    fn add_simulated(&mut self, cell: &CellKey, Decimal(amount): Decimal) {
        let amount = i128::from(amount);
        self.totals.entry(cell.unit).or_default().simulated += amount;
        if let Payee::Partner(partner) = cell.payee {
            self.partners.entry((partner, cell.unit)).or_default().simulated += amount;
        }
    }

    /// What another part of the persons came to.
    pub(super) fn add(&mut self, other: Self) -> Result<(), OutOfRange> {
        self.persons += other.persons;
        self.facts += other.facts;
        merge(&mut self.totals, other.totals);
        merge(&mut self.partners, other.partners);
        merge(&mut self.customers, other.customers);
        for (reason, count) in other.held {
            *self.held.entry(reason).or_default() += count;
        }
        for (cell, exact) in other.shared {
            let known = self.shared.entry(cell).or_insert_with(Exact::zero);
            *known = known.plus(&exact)?;
        }
        Ok(())
    }

    /// Rounds what several persons had parts of, once all of them were added; leaves out what is nothing on both sides.
    pub(super) fn finish(mut self) -> Result<Self, OutOfRange> {
        for (cell, exact) in std::mem::take(&mut self.shared) {
            let amount = exact.round(cell.unit)?;
            self.add_simulated(&cell, amount);
        }
        let is_something = |compared: &Compared| compared.posted != 0 || compared.simulated != 0;
        self.totals.retain(|_, compared| is_something(compared));
        self.partners.retain(|_, compared| is_something(compared));
        self.customers.retain(|_, compared| is_something(compared));
        Ok(self)
    }
}

fn merge<K: Ord>(into: &mut BTreeMap<K, Compared>, other: BTreeMap<K, Compared>) {
    for (key, compared) in other {
        let sum = into.entry(key).or_default();
        sum.posted += compared.posted;
        sum.simulated += compared.simulated;
    }
}
