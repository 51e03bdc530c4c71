//! `percent`: a share of signed terms of revenue, each in the plan's currency at the rate of its day.

use super::claim::{Claims, Detail, Matter, Rate};
use super::held::HeldReason;
use super::plan::Plan;
use super::terms::Terms;
use super::traded::Leg;
use super::{condition, exchange, rates};
use crate::fact::{Fact, FactBody, MoneyKind};
use crate::money::{Currency, Decimal, Exact, OutOfRange};
use crate::time::Instant;
use std::fmt;

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Percent {
    /// Of the sum; `None` where the steps of brackets say it.
    pub percent: Option<Decimal>,
    /// What is summed up.
    pub of: Vec<Term>,
    /// At most so many points of a spread count.
    pub max_points: Option<Decimal>,
    /// What a point of one lot is worth, in the plan's currency.
    pub point_value: Decimal,
}

/// A term and its sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// Whether it is subtracted.
    pub is_subtracted: bool,
    /// What it is.
    pub source: Source,
}

/// What a term is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What the spread brought.
    SpreadCost,
    /// Platform commission.
    Commission,
    /// Swap.
    Swap,
    /// The trader's result.
    Pnl,
    /// Points of spread × lots × the value of a point.
    SpreadPoints,
    /// Money of a kind, where it counts.
    Money(MoneyKind),
    /// Sales, net of their refunds.
    Sale,
    /// A figure of this name.
    Kpi(String),
}

impl Source {
    /// Reads the name of a term without its sign.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "spread_cost" => Some(Self::SpreadCost),
            "commission" => Some(Self::Commission),
            "swap" => Some(Self::Swap),
            "pnl" => Some(Self::Pnl),
            "spread_points" => Some(Self::SpreadPoints),
            "sale" => Some(Self::Sale),
            _ => match name.strip_prefix("kpi:") {
                Some("") => None,
                Some(kpi) => Some(Self::Kpi(kpi.to_owned())),
                None => MoneyKind::parse(name).map(Self::Money),
            },
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SpreadCost => f.write_str("spread_cost"),
            Self::Commission => f.write_str("commission"),
            Self::Swap => f.write_str("swap"),
            Self::Pnl => f.write_str("pnl"),
            Self::SpreadPoints => f.write_str("spread_points"),
            Self::Sale => f.write_str("sale"),
            Self::Money(kind) => f.write_str(kind.name()),
            Self::Kpi(name) => write!(f, "kpi:{name}"),
        }
    }
}

/// As the plan writes it.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.is_subtracted { "-" } else { "" };
        write!(f, "{sign}{}", self.source)
    }
}

impl Term {
    /// Reads a term; `-` before it subtracts.
    pub fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix('-');
        Source::parse(name.unwrap_or(text)).map(|source| Self { is_subtracted: name.is_some(), source })
    }
}

/// Why a fact's terms have no sum.
pub(super) enum Unsummed {
    NoRate(String),
    Missing(String),
    OutOfRange(OutOfRange),
}

/// Converts amounts of one fact.
pub(super) struct Revenue<'a> {
    pub terms: &'a Terms<'a>,
    pub plan: &'a Plan,
    pub at: Instant,
    /// What a sale has left after its refunds.
    pub sale_left: Option<Exact>,
    /// Whether amounts are brought to the plan's currency.
    pub is_converted: bool,
}

impl Revenue<'_> {
    /// The sum of the terms that this fact has, in the plan's currency; `None` where it has none of them.
    pub(super) fn of(
        &self,
        terms: &[Term],
        points: &Percent,
        fact: &Fact,
        leg: Option<Leg>,
    ) -> Result<Option<Exact>, Unsummed> {
        let mut sum: Option<Exact> = None;
        for term in terms {
            let Some(value) = self.term(&term.source, points, fact, leg)? else { continue };
            let before = sum.unwrap_or_else(Exact::zero);
            let after = if term.is_subtracted { before.minus(&value) } else { before.plus(&value) };
            sum = Some(after.map_err(Unsummed::OutOfRange)?);
        }
        Ok(sum)
    }

    fn term(
        &self,
        source: &Source,
        percent: &Percent,
        fact: &Fact,
        leg: Option<Leg>,
    ) -> Result<Option<Exact>, Unsummed> {
        if leg == Some(Leg::Open) {
            return Ok(None);
        }
        match (&fact.body, source) {
            (FactBody::TradingDay(day), source) => {
                let value = match source {
                    Source::SpreadCost => day.spread_cost,
                    Source::Commission => day.commission,
                    Source::Swap => day.swap,
                    Source::Pnl => day.pnl,
                    Source::SpreadPoints => return Err(Unsummed::Missing("spread_points".to_owned())),
                    Source::Money(_) | Source::Sale | Source::Kpi(_) => None,
                };
                value.map(|value| self.convert(value.exact(), day.currency)).transpose()
            }
            (FactBody::Trade(trade), source) => {
                let value = match source {
                    Source::SpreadCost => trade.spread_cost,
                    Source::Commission => trade.commission,
                    Source::SpreadPoints => {
                        let points =
                            trade.spread_points.ok_or_else(|| Unsummed::Missing("spread_points".to_owned()))?;
                        return spread(points, percent, trade.lots).map(Some).map_err(Unsummed::OutOfRange);
                    }
                    _ => None,
                };
                value.map(|value| self.convert(value.exact(), trade.currency)).transpose()
            }
            (FactBody::Money { kind, amount, currency, status, .. }, Source::Money(asked)) if kind == asked => {
                let is_void = *kind == MoneyKind::Chargeback && !self.plan.clawback;
                if is_void || !condition::counts(*status, self.plan) {
                    return Ok(None);
                }
                self.convert(amount.exact(), *currency).map(Some)
            }
            (FactBody::Sale { amount, currency, .. }, Source::Sale) => {
                let left = self.sale_left.clone().filter(|_| self.plan.clawback).unwrap_or_else(|| amount.exact());
                self.convert(left, *currency).map(Some)
            }
            (FactBody::Kpi { name, value, currency, .. }, Source::Kpi(asked)) if name == asked => match currency {
                Some(currency) => self.convert(value.exact(), *currency).map(Some),
                None => Ok(Some(value.exact())),
            },
            _ => Ok(None),
        }
    }

    /// Each term that the fact has, in the fact's currency; points of a spread are in the plan's. For the explanation.
    pub(super) fn told(&self, terms: &[Term], points: &Percent, fact: &Fact) -> Vec<(String, Exact)> {
        let unconverted = Revenue { is_converted: false, sale_left: self.sale_left.clone(), ..*self };
        let told = terms.iter().filter_map(|term| {
            let value = unconverted.term(&term.source, points, fact, None).ok()??;
            Some((term.to_string(), value))
        });
        told.collect()
    }

    /// In the plan's currency, at the rate of the fact's day.
    pub(super) fn convert(&self, amount: Exact, currency: Currency) -> Result<Exact, Unsummed> {
        if currency == self.plan.currency || amount.is_zero() || !self.is_converted {
            return Ok(amount);
        }
        let quote = self.quote(currency).ok_or_else(|| {
            let day = self.plan.zone.day_of(self.at);
            Unsummed::NoRate(format!("no rate from {currency} to {} for {day}", self.plan.currency))
        })?;
        amount.times(&quote.rate).map_err(Unsummed::OutOfRange)
    }

    /// The exchange rate of the fact's day.
    pub(super) fn quote(&self, currency: Currency) -> Option<exchange::Quote> {
        let day = self.plan.zone.day_of(self.at);
        self.terms.exchange.quote(currency, self.plan.currency, day, self.plan.max_rate_age_days)
    }
}

fn spread(points: Decimal, percent: &Percent, lots: Decimal) -> Result<Exact, OutOfRange> {
    let points = percent.max_points.map_or(points, |most| points.min(most));
    points.exact().times(&lots.exact())?.times(&percent.point_value.exact())
}

/// The claim of what the fact brings.
pub(super) fn claim<'a>(
    matter: &Matter<'a, '_>,
    percent: &Percent,
    leg: Option<Leg>,
    sale_left: Option<Exact>,
    claims: &mut Claims<'a>,
) {
    let plan = &matter.rule_of.0.plan;
    let revenue =
        Revenue { terms: claims.terms, plan, at: matter.place.at, sale_left: sale_left.clone(), is_converted: true };
    let sum = revenue.of(&percent.of, percent, matter.fact, leg);
    let Some(base) = summed(sum, matter, claims) else { return };
    let own = rates::own_rate(claims.terms, matter.place.setting.partner, matter.rule());
    let rate = own.or(percent.percent).unwrap_or(Decimal::ZERO);
    let rate = Rate { rate: super::bonus::percent_of_one(rate), is_own: own.is_some() };
    claims.push(matter.claim(matter.customer_period(), base, rate, Detail::Revenue { sale_left }));
}

/// The sum, or the reason why there is none, held.
pub(super) fn summed(
    sum: Result<Option<Exact>, Unsummed>,
    matter: &Matter<'_, '_>,
    claims: &mut Claims<'_>,
) -> Option<Exact> {
    match sum {
        Ok(sum) => sum,
        Err(Unsummed::NoRate(detail)) => {
            claims.hold(matter.fact.id, HeldReason::NoExchangeRate, detail);
            None
        }
        Err(Unsummed::Missing(what)) => {
            let detail = format!("rule {} needs {what}", matter.rule().id);
            claims.hold(matter.fact.id, HeldReason::NotEvaluable, detail);
            None
        }
        Err(Unsummed::OutOfRange(error)) => {
            claims.hold_out_of_range(matter.fact.id, error);
            None
        }
    }
}
