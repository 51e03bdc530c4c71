//! `brackets`: the rate by what a partner, or its network, reached in the period, or in the one before.
//!
//! `whole` prices the whole period at the step reached, `marginal` each part at its own step in time order, `previous`
//! at the step of the period before. A metric below 0 is at the first step.

use super::claim::{Claim, Claims, Piece};
use super::place::RuleOf;
use super::plan::Rule;
use super::rates;
use crate::ids::{FactId, PartnerId};
use crate::money::{Decimal, Exact, OutOfRange};
use crate::time::{Instant, Period};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keys of the modifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Brackets {
    /// What is counted.
    pub metric: Metric,
    /// Whose.
    pub scope: Network,
    /// How steps apply.
    pub mode: Mode,
    /// Rising, from 0 on, never empty.
    pub steps: Vec<Step>,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// From this much on.
    pub from: Decimal,
    /// This rate or percent.
    pub rate: Decimal,
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Lots, after `lot_factor`.
    Lots,
    /// What the rate is of.
    Base,
    /// Persons that met the plan's `qualification` in the period.
    Ftd,
}

/// Whose volume counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// The partner's own clients.
    Own,
    /// Also those of all partners below.
    Network,
}

/// How steps apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All of the period at the step reached.
    Whole,
    /// Each part at its own step.
    Marginal,
    /// All at the step of the period before.
    Previous,
}

impl Brackets {
    pub(super) fn is_of_network(&self) -> bool {
        self.scope == Network::Network
    }

    /// The rate at this much.
    fn rate_at(&self, reached: &Exact) -> Decimal {
        let step = self.steps.iter().rev().find(|step| step.from.exact() <= *reached);
        step.or(self.steps.first()).map_or(Decimal::ZERO, |step| step.rate)
    }

    /// A quantity whose metric goes from `before` to `after`, cut at the steps.
    fn cut(&self, quantity: Exact, before: Exact, after: Exact) -> Result<Vec<(Exact, Decimal)>, OutOfRange> {
        let whole = after.minus(&before)?;
        if whole.is_zero() {
            return Ok(vec![(quantity, self.rate_at(&before))]);
        }
        let (low, high) = if before < after { (before, after) } else { (after, before) };
        let mut edges: Vec<Exact> = vec![low.clone()];
        edges.extend(self.steps[1..].iter().map(|step| step.from.exact()).filter(|from| *from > low && *from < high));
        edges.push(high.clone());
        let size = high.minus(&low)?;
        let mut parts = Vec::new();
        for pair in edges.windows(2) {
            let part = quantity.times(&pair[1].minus(&pair[0])?)?.over(&size)?;
            parts.push((part, self.rate_at(&pair[0])));
        }
        Ok(parts)
    }
}

/// What was counted for a partner's rule, period by period, in time order.
#[derive(Debug, Default)]
pub(super) struct Volumes<'a> {
    /// What everybody counted, where only a part of the persons is here.
    reached: Option<&'a Reached>,
    counted: BTreeMap<(PartnerId, Arc<str>), BTreeMap<Period, Vec<Volume<'a>>>>,
}

#[derive(Debug)]
struct Volume<'a> {
    order: Order<'a>,
    amount: Exact,
}

/// What partners' rules reached, period by period: all that steps need to know of persons who are not here, as long as
/// they do not follow a running total (`marginal`).
#[derive(Debug, Clone, Default)]
pub struct Reached {
    sums: BTreeMap<(PartnerId, Arc<str>), BTreeMap<Period, Exact>>,
}

impl Reached {
    /// Adds what other persons reached.
    ///
    /// # Errors
    /// [`OutOfRange`] where a sum is too large to compute with.
    pub fn add(&mut self, other: Self) -> Result<(), OutOfRange> {
        for (key, periods) in other.sums {
            let known = self.sums.entry(key).or_default();
            for (period, amount) in periods {
                let sum = known.entry(period).or_insert_with(Exact::zero);
                *sum = sum.plus(&amount)?;
            }
        }
        Ok(())
    }
}

impl<'a> Volumes<'a> {
    /// With the sums of everybody, nothing is counted any more.
    pub(super) fn of_everybody(reached: &'a Reached) -> Self {
        Self { reached: Some(reached), ..Self::default() }
    }

    /// What was counted, period by period.
    pub(super) fn into_reached(self) -> Result<Reached, OutOfRange> {
        let mut reached = Reached::default();
        for (key, periods) in self.counted {
            let sums = periods.into_iter().map(|(period, volumes)| {
                let sum = volumes.iter().try_fold(Exact::zero(), |sum, volume| sum.plus(&volume.amount));
                sum.map(|sum| (period, sum))
            });
            reached.sums.insert(key, sums.collect::<Result<_, _>>()?);
        }
        Ok(reached)
    }

    pub(super) fn add(
        &mut self,
        partner: PartnerId,
        rule: &Arc<str>,
        period: Period,
        order: (Instant, &'a str, FactId),
        amount: Exact,
    ) {
        if self.reached.is_some() {
            return;
        }
        let periods = self.counted.entry((partner, Arc::clone(rule))).or_default();
        periods.entry(period).or_default().push(Volume { order, amount });
    }

    /// Puts everything in time order; to be called once all is there.
    pub(super) fn sort(&mut self) {
        for volumes in self.counted.values_mut().flat_map(BTreeMap::values_mut) {
            volumes.sort_by(|a, b| a.order.cmp(&b.order));
        }
    }

    fn of(&self, partner: PartnerId, rule: &Arc<str>, period: Period) -> &[Volume<'a>] {
        let periods = self.counted.get(&(partner, Arc::clone(rule)));
        periods.and_then(|periods| periods.get(&period)).map_or(&[], Vec::as_slice)
    }

    fn total(&self, partner: PartnerId, rule: &Arc<str>, period: Period) -> Result<Exact, OutOfRange> {
        if let Some(reached) = self.reached {
            let periods = reached.sums.get(&(partner, Arc::clone(rule)));
            let sum = periods.and_then(|periods| periods.get(&period));
            return Ok(sum.cloned().unwrap_or_else(Exact::zero));
        }
        self.of(partner, rule, period).iter().try_fold(Exact::zero(), |sum, volume| sum.plus(&volume.amount))
    }

    /// The rate that a partner's rule reaches in a period by its own volume.
    pub(super) fn reached(
        &self,
        partner: PartnerId,
        rule: &Rule,
        period: Period,
    ) -> Result<Option<Decimal>, OutOfRange> {
        let Some(brackets) = &rule.brackets else { return Ok(None) };
        let period = if brackets.mode == Mode::Previous { period.previous() } else { period };
        Ok(Some(brackets.rate_at(&self.total(partner, &rule.id, period)?)))
    }
}

/// Gives the claims from this place on the rates of their rules' steps; a rate agreed with the partner stands.
pub(super) fn apply(claims: &mut Claims<'_>, from: usize, volumes: &Volumes<'_>) {
    let mut running = Running::new();
    let mut failed = Vec::new();
    let mut all = claims.all.split_off(from);
    all.retain_mut(|claim| {
        let Some(brackets) = claim.rule().brackets.clone() else { return true };
        if claim.has_own_rate {
            return true;
        }
        let pieces = if brackets.mode == Mode::Marginal {
            marginal(claim, &brackets, volumes, &mut running)
        } else {
            let (partner, period) = (claim.place.setting.partner, claim.period());
            volumes.reached(partner, claim.rule(), period).map(|rate| {
                let rate = rates::as_factor(claim.rule(), rate.unwrap_or(Decimal::ZERO));
                vec![Piece { quantity: claim.quantity.clone(), rate }]
            })
        };
        match pieces {
            Ok(pieces) => {
                let mut pieces = pieces.into_iter();
                claim.piece = pieces.next().unwrap_or(Piece { quantity: Exact::zero(), rate: Exact::zero() });
                claim.further_pieces = pieces.collect();
                true
            }
            Err(error) => {
                failed.push((claim.fact.id, error));
                false
            }
        }
    });
    claims.all.append(&mut all);
    for (fact, error) in failed {
        claims.hold_out_of_range(fact, error);
    }
}

/// Where the metric of a partner's rule in a period stood after each fact that it counts, in time order.
type Running<'a> = BTreeMap<(PartnerId, Arc<str>, Period), Vec<(Order<'a>, Exact)>>;

/// Facts are stepped in this order.
type Order<'a> = (Instant, &'a str, FactId);

/// The claim's pieces by where the running metric stood before and after it. What the metric does not count, as a deposit
/// among lots, is at the step that stands at its time; an acquisition is none of the lots that met its conditions.
fn marginal<'a>(
    claim: &Claim<'_>,
    brackets: &Brackets,
    volumes: &Volumes<'a>,
    running: &mut Running<'a>,
) -> Result<Vec<Piece>, OutOfRange> {
    let (partner, period) = (claim.place.setting.partner, claim.period());
    let key = (partner, claim.rule().id.clone(), period);
    if !running.contains_key(&key) {
        let mut steps = Vec::new();
        let mut total = Exact::zero();
        for volume in volumes.of(partner, &claim.rule().id, period) {
            total = total.plus(&volume.amount)?;
            steps.push((volume.order, total.clone()));
        }
        running.insert(key.clone(), steps);
    }
    let (steps, order) = (&running[&key], claim.order());
    let until = steps.partition_point(|(of, _)| *of <= order);
    let total_of = |count: usize| count.checked_sub(1).map_or_else(Exact::zero, |last| steps[last].1.clone());
    let counts = brackets.metric == Metric::Ftd || !claim.is_of_person;
    let is_counted = counts && until > 0 && steps[until - 1].0 == order;
    let (before, after) = (total_of(until - usize::from(is_counted)), total_of(until));
    let parts = brackets.cut(claim.quantity.clone(), before, after)?;
    Ok(parts
        .into_iter()
        .map(|(quantity, rate)| Piece { quantity, rate: rates::as_factor(claim.rule(), rate) })
        .collect())
}

/// The rules above a fact whose network volume it counts in, and its own.
pub(super) fn counting(place: &super::place::Place) -> impl Iterator<Item = (PartnerId, &RuleOf, Period)> {
    let own = place.setting.rules.iter().map(|rule| (place.setting.partner, rule, place.period_of(rule)));
    own.chain(place.setting.network.iter().map(|(partner, rule)| (*partner, rule, place.period_of(rule))))
}
