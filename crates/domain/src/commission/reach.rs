//! How far in time what changed is felt: which days' facts have to be looked at, so that every cell that a change touches is
//! evaluated as if all facts were there.
//!
//! Time is cut into days of the one zone of all plans. What adds up over time (cells, steps, caps of a day or period) is keyed
//! by a period, and a period by the day that a fact stands on: days that no period of any plan crosses the edge of say all
//! about what stands on them. What is of no period looks at facts that are few (everything but trading), at trading within so
//! many days, or at all of it: then there is no reach, and everything is to be read. Invariant: a cell of the days that are
//! felt is worth the same with the facts of the days to read as with all facts.

mod days;

pub use days::Days;

use super::brackets::{Brackets, Metric, Mode};
use super::cap::CapPer;
use super::condition::{Conditions, Within, WithinFrom};
use super::per_lot::Side;
use super::plan::{Kind, Plan, Rule};
use super::terms::{CustomerView, PartnerTerms};
use super::{Scope, Tiers};
use crate::fact::{Fact, FactBody, MoneyKind, MoneyStatus};
use crate::ids::CustomerId;
use crate::money::Currency;
use crate::time::{Date, Instant, Period, PeriodLength, Zone};
use jiff::ToSpan as _;
use std::collections::BTreeSet;

/// What plans let a change do.
#[derive(Debug, Clone, PartialEq)]
pub struct Reach {
    zone: Zone,
    lengths: BTreeSet<PeriodLength>,
    /// Whether a period is priced by what was reached in the one before.
    looks_back: bool,
    /// Whether a trade counts when it opens, too: then it stands at two moments.
    counts_openings: bool,
    /// Within which days conditions look at trading.
    trading_within: Vec<Within>,
    /// Whether the moment of an event, or at which conditions were met, counts in a period.
    moments_count_in_periods: bool,
    /// What conditions count money in.
    money_counts_in: BTreeSet<Currency>,
}

/// Which days are felt, and which are to be read for them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Window {
    /// Cells of periods within these days may be worth something else.
    pub felt: Days,
    /// What those cells depend on stands within these days, but for what is of no period.
    pub read: Days,
}

impl Window {
    /// Whether the cell's worth is told by what was read.
    pub fn shows(&self, scope: &Scope) -> bool {
        scope.period().is_none_or(|period| self.felt.holds(period.first_day))
    }

    /// Whether all that the other one tells is told by this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.felt.hold_all(&other.felt) && self.read.hold_all(&other.read)
    }
}

/// What any rule or plan does, before it is known what they make of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    /// Pays for the moment of an event, or at which conditions were met.
    Moments,
    /// Counts what it is of in periods, also where that is a moment.
    PeriodsOfMoments,
    /// Steps by how many were acquired.
    StepsByAcquisitions,
    /// Has steps in the place of an amount.
    StepsOfAmounts,
    /// Tiers by differences of rates.
    Differences,
}

/// All of that which was found.
type Gathered = BTreeSet<Found>;

/// Takes it in where it is so.
fn find(gathered: &mut Gathered, found: Found, is_so: bool) {
    if is_so {
        gathered.insert(found);
    }
}

impl Reach {
    /// The reach of all versions of these partners' plans; `None`: a change may be felt anywhere.
    pub fn of<'p>(partners: impl IntoIterator<Item = &'p PartnerTerms>) -> Option<Self> {
        let mut reach: Option<Self> = None;
        let mut gathered = Gathered::default();
        let mut is_anybody_suspended = false;
        let plans = partners.into_iter().inspect(|partner| is_anybody_suspended |= !partner.suspended.is_empty());
        for plan in plans.flat_map(|partner| &partner.plans).map(|version| &version.plan) {
            let reach = reach.get_or_insert_with(|| Self::within(plan.zone.clone()));
            reach.add(plan, &mut gathered)?;
        }
        let mut reach = reach.unwrap_or_else(|| Self::within(Zone::UTC));
        // A parent's rate by its own steps is looked up for amounts that belong to no period.
        let has = |found: Found| gathered.contains(&found);
        if has(Found::Differences) && has(Found::StepsOfAmounts) {
            return None;
        }
        // What a suspended partner does not get is held by the fact that met the condition last, and that one moves.
        if is_anybody_suspended && has(Found::Moments) {
            return None;
        }
        reach.moments_count_in_periods =
            has(Found::StepsByAcquisitions) || (has(Found::Moments) && has(Found::PeriodsOfMoments));
        Some(reach)
    }

    fn within(zone: Zone) -> Self {
        Self {
            zone,
            lengths: BTreeSet::new(),
            looks_back: false,
            counts_openings: false,
            trading_within: Vec::new(),
            moments_count_in_periods: false,
            money_counts_in: BTreeSet::new(),
        }
    }

    /// Every key of a plan is looked at: one that is new does not compile before it is.
    fn add(&mut self, plan: &Plan, gathered: &mut Gathered) -> Option<()> {
        let Plan {
            name: _,
            currency,
            period,
            zone,
            hold_days: _,
            auto_approve: _,
            ftd_window_hours: _,
            clawback: _,
            max_rate_age_days: _,
            qualification,
            on_suspended: _,
            // Over one fact, which stands in one place where openings do not count.
            budget: _,
            tiers,
            groups: _,
            rules,
        } = plan;
        if *zone != self.zone {
            return None;
        }
        self.lengths.insert(*period);
        find(gathered, Found::Differences, matches!(tiers, Some(Tiers::Difference { .. })));
        if let Some(asked) = qualification {
            self.add_conditions(asked, *currency)?;
        }
        rules.iter().try_for_each(|rule| self.add_rule(rule, *currency, gathered))
    }

    fn add_rule(&mut self, rule: &Rule, currency: Currency, gathered: &mut Gathered) -> Option<()> {
        let Rule {
            id: _,
            when: _,
            pays: _,
            unit: _,
            weight: _,
            tiers: _,
            brackets,
            cap,
            carry,
            // Of one fact alone.
            eligibility: _,
            // Of sales alone, and these are felt everywhere.
            sales: _,
            kind,
        } = rule;
        // Each period depends on all before it, and a customer's cap on its whole life.
        if carry.is_some() || cap.is_some_and(|cap| cap.per == CapPer::Customer) {
            return None;
        }
        if let Some(Brackets { metric, scope: _, mode, steps: _ }) = brackets {
            self.looks_back |= *mode == Mode::Previous;
            find(gathered, Found::StepsByAcquisitions, *metric == Metric::Ftd);
        }
        let is_periodic = rule.adds_up_by_period();
        match kind {
            Kind::Flat(_) | Kind::Cpa(_) | Kind::CpaLadder(_) => {
                find(gathered, Found::Moments, true);
                find(gathered, Found::PeriodsOfMoments, is_periodic);
                find(gathered, Found::StepsOfAmounts, brackets.is_some());
            }
            Kind::PerLot(per_lot) => self.counts_openings |= matches!(per_lot.side, Side::Open | Side::Both),
            Kind::Bonus(_) => find(gathered, Found::PeriodsOfMoments, is_periodic),
            // Its cells are a customer's periods, whatever it is of.
            Kind::Rebate(_) => find(gathered, Found::PeriodsOfMoments, true),
            Kind::PerMillion(_) | Kind::Percent(_) | Kind::External(_) => {}
        }
        match kind {
            Kind::Cpa(cpa) => self.add_conditions(&cpa.qualify, currency),
            Kind::CpaLadder(_) => {
                self.money_counts_in.insert(currency);
                Some(())
            }
            _ => Some(()),
        }
    }

    fn add_conditions(&mut self, asked: &Conditions, currency: Currency) -> Option<()> {
        let Conditions {
            min_first_deposit,
            min_net_deposit,
            min_deposits: _,
            min_lots,
            min_spread_cost,
            min_trades,
            kyc_approved: _,
            countries: _,
            account_types: _,
            within,
            partner,
        } = asked;
        // Where nothing is asked for, every fact is a moment at which it is met; a partner is judged by all its periods.
        if partner.is_some() || asked.ask_for_nothing() {
            return None;
        }
        if min_lots.is_some() || min_spread_cost.is_some() || min_trades.is_some() {
            self.trading_within.push((*within)?);
        }
        if min_first_deposit.is_some() || min_net_deposit.is_some() {
            self.money_counts_in.insert(currency);
        }
        Some(())
    }

    /// The day on which a fact stands.
    pub fn day_of(&self, fact: &Fact) -> Date {
        match &fact.body {
            // Where a zone left a day out, its start is on the next one.
            FactBody::TradingDay(day) => self.zone.day_of(self.zone.start_of(day.date)),
            FactBody::Trade(trade) => self.zone.day_of(trade.closed_at.unwrap_or(trade.opened_at)),
            _ => self.zone.day_of(fact.at),
        }
    }

    /// The days on which conditions look at the trading of somebody with these accounts and facts.
    pub fn qualifying(&self, accounts: &[CustomerView], facts: &[Fact]) -> Days {
        let mut days = Days::default();
        for within in &self.trading_within {
            let begins: Vec<Instant> = match within.from {
                WithinFrom::Registration => accounts.iter().map(|account| account.registered_at).collect(),
                WithinFrom::FirstDeposit => first_deposits(accounts, facts),
            };
            for from in begins {
                let to = from.plus_seconds(within.days.saturating_mul(86_400));
                days.insert(self.zone.day_of(from), self.zone.day_of(to).saturating_add(1.days()));
            }
        }
        days
    }

    /// The day on which a change of this fact is felt, of somebody with these other facts, at whose trading conditions look on
    /// the `qualifying` days; what is of no period is always looked at. `None`: it may be felt anywhere.
    pub fn felt(&self, fact: &Fact, facts: &[Fact], qualifying: &Days) -> Option<Date> {
        // Beyond these there is no whole period.
        let day = Some(self.day_of(fact)).filter(|day| (1..=9998).contains(&day.year()))?;
        match &fact.body {
            // Refunds stand where their sale does, whatever their own date.
            FactBody::Sale { .. } | FactBody::Refund { .. } => None,
            FactBody::Event { .. } | FactBody::Money { .. } => {
                // It moves moments; it begins the days within which trading is looked at; and what has no rate is held as long
                // as it counts towards a condition.
                let may_be_held = |fact: &Fact| match &fact.body {
                    FactBody::Money { currency, .. } => self.money_counts_in.iter().any(|counted| counted != currency),
                    _ => false,
                };
                let is_far = self.moments_count_in_periods
                    || !self.trading_within.is_empty()
                    || may_be_held(fact)
                    || facts.iter().any(may_be_held);
                (!is_far).then_some(day)
            }
            FactBody::Kpi { .. } => Some(day),
            FactBody::TradingDay(_) | FactBody::Trade(_) => {
                let stands_twice = self.counts_openings && matches!(fact.body, FactBody::Trade(_));
                let moves_moments = self.moments_count_in_periods && qualifying.holds(day);
                (!stands_twice && !moves_moments).then_some(day)
            }
        }
    }

    /// Whether conditions look at any trading.
    pub fn looks_at_trading(&self) -> bool {
        !self.trading_within.is_empty()
    }

    /// Whether trades of a person may be read in part.
    pub fn takes_trades(&self) -> bool {
        !self.counts_openings
    }

    /// What changes on these days are felt on, and what is to be read for it.
    pub fn around(&self, days: impl IntoIterator<Item = Date>) -> Window {
        let mut touched = Days::default();
        days.into_iter().for_each(|day| touched.insert(day, day.saturating_add(1.days())));
        let touched = self.closed(touched);
        if !self.looks_back {
            return Window { felt: touched.clone(), read: touched };
        }
        let mut felt = touched.clone();
        for (_, to) in touched.ranges() {
            let next = |length: &PeriodLength| Period::holding(*length, *to).next().first_day;
            self.lengths.iter().for_each(|length| felt.insert(*to, next(length)));
        }
        let felt = self.closed(felt);
        let mut read = felt.clone();
        for (from, _) in felt.ranges() {
            let before = |length: &PeriodLength| Period::holding(*length, *from).previous().first_day;
            self.lengths.iter().for_each(|length| read.insert(before(length), *from));
        }
        Window { felt, read: self.closed(read) }
    }

    /// These days and all of every period that they are in.
    fn closed(&self, days: Days) -> Days {
        let mut closed = days;
        loop {
            let mut wider = closed.clone();
            for (from, to) in closed.ranges() {
                for length in &self.lengths {
                    let first = Period::holding(*length, *from).first_day;
                    let last = Period::holding(*length, to.saturating_sub(1.days()));
                    wider.insert(first, last.next().first_day);
                }
            }
            if wider == closed {
                return closed;
            }
            closed = wider;
        }
    }
}

/// The first deposits that any condition may begin with: of all accounts together and of each, with those that were reversed
/// and without.
fn first_deposits(accounts: &[CustomerView], facts: &[Fact]) -> Vec<Instant> {
    let first = |of: Option<CustomerId>, takes_reversed: bool| {
        let counts = |fact: &&Fact| {
            of.is_none_or(|customer| fact.customer == customer)
                && match &fact.body {
                    FactBody::Money { kind: MoneyKind::Deposit, status, .. } => {
                        *status == MoneyStatus::Approved || (takes_reversed && *status == MoneyStatus::Reversed)
                    }
                    _ => false,
                }
        };
        facts.iter().filter(counts).map(|fact| fact.at).min()
    };
    let whose = std::iter::once(None).chain(accounts.iter().map(|account| Some(account.customer)));
    whose.flat_map(|of| [first(of, false), first(of, true)]).flatten().collect()
}

#[cfg(test)]
mod tests;
