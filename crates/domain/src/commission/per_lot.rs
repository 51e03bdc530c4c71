//! `per_lot`: lots times the most specific rate, side by side of a trade, account by account and period by period.
//!
//! A fact that no rate fits is held (`no_rate`), never priced at a guess.

use super::claim::{Claims, Detail, Matter, Rate};
use super::held::HeldReason;
use super::plan::Plan;
use super::rates::{self, Candidate};
use super::terms::CustomerView;
use super::traded::{Leg, Traded};
use crate::money::{Decimal, Exact, OutOfRange};

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerLot {
    /// What is paid where none of `rates` fits.
    pub rate: Option<Decimal>,
    /// Rates by instrument, group and account type.
    pub rates: Vec<ListedRate>,
    /// Which side of a trade counts.
    pub side: Side,
    /// All that fit multiply.
    pub lot_factor: Vec<LotFactor>,
}

/// One rate and what it is for; all that is named must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRate {
    /// One instrument.
    pub instrument: Option<String>,
    /// One of the plan's groups.
    pub group: Option<String>,
    /// One account type.
    pub account_type: Option<String>,
    /// Per lot.
    pub rate: Decimal,
}

/// A factor on lots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotFactor {
    /// One of the plan's groups.
    pub group: Option<String>,
    /// One account type.
    pub account_type: Option<String>,
    /// What lots are multiplied by.
    pub factor: Decimal,
}

/// Which side of a trade counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Once, when it closes.
    RoundTurn,
    /// Once, when it opens.
    Open,
    /// Once, when it closes.
    Close,
    /// When it opens and when it closes.
    Both,
}

impl Side {
    /// How often the lots of a leg count.
    pub(super) fn times(self, leg: Leg) -> i64 {
        match (self, leg) {
            (Self::Both, Leg::Day) => 2,
            (Self::RoundTurn | Self::Close, Leg::Open) | (Self::Open, Leg::Close) => 0,
            _ => 1,
        }
    }
}

/// The claim of one leg of a trade or one daily row; what no rate fits is held.
pub(super) fn claim<'a>(matter: &Matter<'a, '_>, per_lot: &PerLot, traded: &Traded<'_>, claims: &mut Claims<'a>) {
    let (rule, plan) = (matter.rule(), &matter.rule_of.0.plan);
    let times = per_lot.side.times(traded.leg);
    if times == 0 {
        return;
    }
    let own = rates::own_rate(claims.terms, matter.place.setting.partner, rule);
    let listed = own.or_else(|| per_lot.best(plan, traded.instrument, matter.account));
    if listed.is_none() && rule.brackets.is_none() {
        let detail = format!("rule {} has no rate for {}", rule.id, traded.instrument);
        claims.hold(matter.fact.id, HeldReason::NoRate, detail);
        return;
    }
    let quantity = per_lot.quantity(plan, traded, matter.account);
    match quantity {
        Ok((lot_factor, quantity)) => {
            let rate = Rate { rate: listed.unwrap_or(Decimal::ZERO).exact(), is_own: own.is_some() };
            let detail = Detail::Lots { times, lot_factor };
            claims.push(matter.claim(matter.customer_period(), quantity, rate, detail));
        }
        Err(error) => claims.hold_out_of_range(matter.fact.id, error),
    }
}

impl PerLot {
    /// The product of the lot factors, and lots × sides × factors.
    pub(super) fn quantity(
        &self,
        plan: &Plan,
        traded: &Traded<'_>,
        account: &CustomerView,
    ) -> Result<(Exact, Exact), OutOfRange> {
        let (lots, times) = (traded.lots.exact(), self.side.times(traded.leg));
        let lots = if times == 1 { lots } else { lots.times(&Exact::whole(times))? };
        if self.lot_factor.is_empty() {
            return Ok((Exact::whole(1), lots));
        }
        let factor = self.factor(plan, traded.instrument, account)?;
        Ok((factor.clone(), lots.times(&factor)?))
    }

    /// The most specific rate that fits: instrument, then group, then account type, then `rate`.
    pub(super) fn best(&self, plan: &Plan, instrument: &str, account: &CustomerView) -> Option<Decimal> {
        let fitting = self.rates.iter().filter(|entry| entry.fits(plan, instrument, account));
        // `max_by_key` would take the last of equals; the first one listed wins.
        let best = fitting.reduce(|best, entry| if entry.rank() > best.rank() { entry } else { best });
        best.map(|entry| entry.rate).or(self.rate)
    }

    /// Every rate that fits, the most specific first.
    pub(super) fn candidates(&self, plan: &Plan, instrument: &str, account: &CustomerView) -> Vec<Candidate> {
        let entries = self.rates.iter().enumerate();
        let mut fitting: Vec<_> = entries.filter(|(_, entry)| entry.fits(plan, instrument, account)).collect();
        fitting.sort_by_key(|(_, entry)| std::cmp::Reverse(entry.rank()));
        let listed = fitting.into_iter().map(|(index, entry)| (format!("rates[{index}]"), entry.rate));
        let listed = listed.chain(self.rate.map(|rate| ("rate".to_owned(), rate)));
        listed.map(|(source, rate)| Candidate { source, rate }).collect()
    }

    fn factor(&self, plan: &Plan, instrument: &str, account: &CustomerView) -> Result<Exact, OutOfRange> {
        let fitting = self.lot_factor.iter().filter(|entry| {
            entry.group.as_ref().is_none_or(|group| plan.group_holds(group, instrument))
                && is_type(entry.account_type.as_ref(), account)
        });
        fitting.map(|entry| entry.factor.exact()).try_fold(Exact::whole(1), |product, factor| product.times(&factor))
    }
}

impl ListedRate {
    fn fits(&self, plan: &Plan, instrument: &str, account: &CustomerView) -> bool {
        self.instrument.as_ref().is_none_or(|name| name == instrument)
            && self.group.as_ref().is_none_or(|group| plan.group_holds(group, instrument))
            && is_type(self.account_type.as_ref(), account)
    }

    fn rank(&self) -> u8 {
        let named = |key: &Option<String>, value| if key.is_some() { value } else { 0 };
        named(&self.instrument, 4) + named(&self.group, 2) + named(&self.account_type, 1)
    }
}

fn is_type(asked: Option<&String>, account: &CustomerView) -> bool {
    asked.is_none_or(|asked| account.account_type.as_ref() == Some(asked))
}
