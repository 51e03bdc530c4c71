//! `per_lot`: lots times the most specific rate, side by side of a trade, account by account and period by period.
//!
//! A fact that no rate fits is held (`no_rate`), never priced at a guess.

use super::evaluate::{Books, Counted, Detail, Money, Stage};
use super::plan::{Kind, Plan, Rule};
use super::terms::{CustomerView, Place};
use super::{HeldReason, Scope};
use crate::fact::{Fact, FactBody};
use crate::money::{Decimal, Exact, OutOfRange};
use crate::time::Period;

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerLot {
    /// What is paid where none of `rates` fits.
    pub rate: Option<Decimal>,
    /// Rates by instrument, group and account type.
    pub rates: Vec<Rate>,
    /// Which side of a trade counts.
    pub side: Side,
    /// All that fit multiply.
    pub lot_factor: Vec<LotFactor>,
}

/// One rate and what it is for; all that is named must fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leg {
    Open,
    Close,
    Day,
}

impl Side {
    /// How often the lots of a leg count.
    fn times(self, leg: Leg) -> i64 {
        match (self, leg) {
            (Self::Both, Leg::Day) => 2,
            (Self::RoundTurn | Self::Close, Leg::Open) | (Self::Open, Leg::Close) => 0,
            _ => 1,
        }
    }
}

/// Where a rate came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    pub source: String,
    pub rate: Decimal,
    rank: u8,
}

/// How a fact was priced.
#[derive(Debug, Clone)]
pub(super) struct Lots {
    pub instrument: String,
    pub quantity: Decimal,
    pub times: i64,
    pub factor: Exact,
    /// The one that won leads.
    pub candidates: Vec<Candidate>,
}

struct Traded<'a> {
    fact: &'a Fact,
    account: &'a CustomerView,
    instrument: &'a str,
    product_group: Option<&'a str>,
    lots: Decimal,
}

/// Prices every trade and daily row of the person.
pub(super) fn price(stage: &Stage<'_>, books: &mut Books) {
    for fact in &stage.person.facts {
        let Some(account) = stage.person.account(fact.customer) else { continue };
        match &fact.body {
            FactBody::TradingDay(day) => {
                let (instrument, product_group) = (day.instrument.as_str(), day.product_group.as_deref());
                let traded = Traded { fact, account, instrument, product_group, lots: day.lots };
                if let Some(place) = stage.terms.place_of_day(account, day.date) {
                    price_leg(stage, books, &traded, Leg::Day, &place);
                }
            }
            FactBody::Trade(trade) => {
                let (instrument, product_group) = (trade.instrument.as_str(), trade.product_group.as_deref());
                let traded = Traded { fact, account, instrument, product_group, lots: trade.lots };
                let legs = [(Leg::Open, Some(trade.opened_at)), (Leg::Close, trade.closed_at)];
                for (leg, at) in legs {
                    if let Some(place) = at.and_then(|at| stage.terms.place(account, at)) {
                        price_leg(stage, books, &traded, leg, &place);
                    }
                }
            }
            FactBody::Event { .. } | FactBody::Money { .. } => {}
        }
    }
}

fn price_leg(stage: &Stage<'_>, books: &mut Books, traded: &Traded<'_>, leg: Leg, place: &Place) {
    let Some(version) = &place.version else { return };
    let plan = &version.plan;
    for rule in &plan.rules {
        let Kind::PerLot(per_lot) = &rule.kind else { continue };
        let times = per_lot.side.times(leg);
        if times == 0
            || !rule.when.admits_customer(traded.account)
            || !rule.when.admits_instrument(plan, traded.instrument, traded.product_group)
        {
            continue;
        }
        if place.suspended {
            books.hold(traded.fact.id, HeldReason::PartnerSuspended, &format!("rule {}", rule.id));
            continue;
        }
        let own_rate = stage.terms.own_rate(place.partner, &rule.id);
        let candidates = per_lot.candidates(plan, traded.instrument, traded.account, own_rate);
        let Some(rate) = candidates.first().map(|candidate| candidate.rate) else {
            let detail = format!("rule {} has no rate for {}", rule.id, traded.instrument);
            books.hold(traded.fact.id, HeldReason::NoRate, &detail);
            continue;
        };
        let factor = per_lot.factor(plan, traded.instrument, traded.account);
        let exact = factor.and_then(|factor| worth(rule, traded.lots, times, factor, rate));
        let period = Period::holding(plan.period, plan.zone.day_of(place.at));
        let counted = Counted { fact: traded.fact.id, revision: traded.fact.revision, at: place.at };
        books.add(Money {
            rule,
            version,
            partner: place.partner,
            account: traded.account,
            scope: Scope::CustomerPeriod(traded.account.customer, period),
            counted: vec![counted],
            moment: place.at,
            exact,
            detail: Detail::Lots(Lots {
                instrument: traded.instrument.to_owned(),
                quantity: traded.lots,
                times,
                factor: factor.unwrap_or_else(|_| Exact::zero()),
                candidates,
            }),
        });
    }
}

fn worth(rule: &Rule, lots: Decimal, times: i64, factor: Exact, rate: Decimal) -> Result<Exact, OutOfRange> {
    let quantity = lots.exact().times(Exact::whole(times))?.times(factor)?;
    quantity.times(rate.exact())?.times(rule.weight.exact())
}

impl PerLot {
    /// Every rate that fits, the most specific first: instrument, then group, then account type, then `rate`. A rate
    /// agreed with the partner stands instead of all of them.
    fn candidates(
        &self,
        plan: &Plan,
        instrument: &str,
        account: &CustomerView,
        own_rate: Option<Decimal>,
    ) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        if let Some(rate) = own_rate {
            candidates.push(Candidate { source: "partner.rates".to_owned(), rate, rank: 8 });
        }
        for (index, entry) in self.rates.iter().enumerate() {
            let fits = entry.instrument.as_ref().is_none_or(|name| name == instrument)
                && entry.group.as_ref().is_none_or(|group| plan.group_holds(group, instrument))
                && is_type(entry.account_type.as_ref(), account);
            if fits {
                let named = |key: &Option<String>, value| if key.is_some() { value } else { 0 };
                let rank = named(&entry.instrument, 4) + named(&entry.group, 2) + named(&entry.account_type, 1);
                candidates.push(Candidate { source: format!("rates[{index}]"), rate: entry.rate, rank });
            }
        }
        if let Some(rate) = self.rate {
            candidates.push(Candidate { source: "rate".to_owned(), rate, rank: 0 });
        }
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.rank));
        candidates
    }

    fn factor(&self, plan: &Plan, instrument: &str, account: &CustomerView) -> Result<Exact, OutOfRange> {
        let fitting = self.lot_factor.iter().filter(|entry| {
            entry.group.as_ref().is_none_or(|group| plan.group_holds(group, instrument))
                && is_type(entry.account_type.as_ref(), account)
        });
        fitting.map(|entry| entry.factor.exact()).try_fold(Exact::whole(1), Exact::times)
    }
}

fn is_type(asked: Option<&String>, account: &CustomerView) -> bool {
    asked.is_none_or(|asked| account.account_type.as_ref() == Some(asked))
}
