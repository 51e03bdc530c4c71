//! The conditions of `qualification` and `qualify`: when they were first met, and what is missing.
//!
//! One sweep over the facts in time order. It looks at what the facts say now; an amount that has no exchange rate is
//! never guessed: money in counts as nothing until it is priced, and money out keeps `min_net_deposit` unmet.

mod looked_at;

use super::exchange::ExchangeRates;
use super::held::HeldReason;
use super::plan::Plan;
use super::terms::CustomerView;
use crate::fact::{Fact, FactBody, MoneyKind, MoneyStatus};
use crate::ids::FactId;
use crate::money::{Currency, Decimal, Exact};
use crate::time::Instant;
use std::collections::BTreeMap;

/// What must be met, all of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// In the plan's currency.
    pub min_first_deposit: Option<Decimal>,
    /// Deposits less withdrawals and chargebacks, in the plan's currency.
    pub min_net_deposit: Option<Decimal>,
    /// A count.
    pub min_deposits: Option<i64>,
    /// Closed lots.
    pub min_lots: Option<Decimal>,
    /// In the plan's currency.
    pub min_spread_cost: Option<Decimal>,
    /// A count of `trade` facts.
    pub min_trades: Option<i64>,
    /// Whether the identity must be checked.
    pub kyc_approved: bool,
    /// Empty: any.
    pub countries: Vec<String>,
    /// Empty: any.
    pub account_types: Vec<String>,
    /// Only what happens within so many days counts.
    pub within: Option<Within>,
    /// What the partner must have reached in the period.
    pub partner: Option<Box<PartnerCondition>>,
}

/// `partner`: so many active customers in the period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerCondition {
    /// Persons; two accounts of one human are one.
    pub min_active_customers: i64,
    /// Empty: any.
    pub countries: Vec<String>,
    /// What each of them must meet within the period.
    pub each: Conditions,
}

/// `within_days` with `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// Days of 24 hours.
    pub days: i64,
    /// From when.
    pub from: WithinFrom,
}

/// Where the days begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithinFrom {
    /// The registration of the account registered first.
    Registration,
    /// The first approved deposit.
    FirstDeposit,
}

/// One condition, its value now, and what is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConditionState {
    /// The key in the plan.
    pub name: &'static str,
    /// What the plan asks for.
    pub needed: String,
    /// What there is.
    pub value: String,
    /// How much, or what, is missing; `None` where it is met.
    pub missing: Option<String>,
}

#[derive(Debug, Clone)]
struct Progress {
    first_deposit: Exact,
    net_deposit: Exact,
    net_is_known: bool,
    deposits: i64,
    lots: Exact,
    spread_cost: Exact,
    trades: i64,
    has_kyc: bool,
    places_match: bool,
}

/// What one pass over the facts found.
#[derive(Debug, Clone)]
pub(super) struct Sweep {
    /// Each moment at which a fact that counts came and all was met, in time order, with that fact.
    pub met: Vec<(Instant, FactId)>,
    pub is_met_now: bool,
    pub counted: Vec<(FactId, Option<i64>, Instant)>,
    /// Facts whose amount counts but cannot be priced.
    pub unpriced: Vec<(FactId, Instant, HeldReason, String)>,
    /// `[from, to)`; `None` where it has not begun.
    pub window: Option<(Instant, Instant)>,
    progress: Progress,
    country: Option<String>,
    account_type: Option<String>,
}

const ALWAYS: (Instant, Instant) = (Instant(i64::MIN), Instant(i64::MAX));

impl Sweep {
    pub(super) fn over(
        conditions: &Conditions,
        plan: &Plan,
        account: &CustomerView,
        facts: &[&Fact],
        exchange: &ExchangeRates,
    ) -> Self {
        let looked_at = facts.iter().filter(|fact| conditions.look_at(fact));
        let mut timeline: Vec<(Instant, &Fact)> = looked_at.map(|fact| (standing(fact, plan), *fact)).collect();
        timeline.sort_by_key(|(at, fact)| (*at, fact.body.type_name(), &fact.key));
        let first_deposit_at = timeline.iter().find(|(_, fact)| is_deposit(fact, plan)).map(|(at, _)| *at);
        let window = window(conditions, account, first_deposit_at);
        let matches = |list: &[String], value: &Option<String>| {
            list.is_empty() || value.as_ref().is_some_and(|value| list.contains(value))
        };
        let mut sweep = Self {
            met: Vec::new(),
            is_met_now: false,
            counted: Vec::new(),
            unpriced: Vec::new(),
            window,
            progress: Progress {
                first_deposit: Exact::zero(),
                net_deposit: Exact::zero(),
                net_is_known: true,
                deposits: 0,
                lots: Exact::zero(),
                spread_cost: Exact::zero(),
                trades: 0,
                has_kyc: false,
                places_match: matches(&conditions.countries, &account.country)
                    && matches(&conditions.account_types, &account.account_type),
            },
            country: account.country.clone(),
            account_type: account.account_type.clone(),
        };
        let pricing = Pricing { conditions, plan, exchange, first_deposit_at };
        for (at, fact) in timeline {
            if window.is_none_or(|window| !is_within(fact, at, window, plan)) {
                continue;
            }
            match pricing.count(&mut sweep.progress, at, fact) {
                Ok(false) => continue,
                Ok(true) => {}
                Err((reason, detail)) => sweep.unpriced.push((fact.id, at, reason, detail)),
            }
            sweep.counted.push((fact.id, fact.revision, at));
            sweep.is_met_now = conditions.are_met(&sweep.progress);
            if sweep.is_met_now {
                sweep.met.push((at, fact.id));
            }
        }
        sweep
    }

    /// Each condition with its value now.
    pub(super) fn states(&self, conditions: &Conditions) -> Vec<ConditionState> {
        let progress = &self.progress;
        let mut states = Vec::new();
        let mut number = |name, needed: Option<Exact>, value: Exact, is_known: bool| {
            let Some(needed) = needed else { return };
            let missing = needed.minus(&value).ok().filter(|missing| !missing.is_negative() && !missing.is_zero());
            let missing = missing.map(|missing| missing.to_string());
            let missing = if is_known { missing } else { missing.or_else(|| Some("unknown".to_owned())) };
            states.push(ConditionState { name, needed: needed.to_string(), value: value.to_string(), missing });
        };
        let money = |minimum: Option<Decimal>| minimum.map(Decimal::exact);
        number("min_first_deposit", money(conditions.min_first_deposit), progress.first_deposit.clone(), true);
        number(
            "min_net_deposit",
            money(conditions.min_net_deposit),
            progress.net_deposit.clone(),
            progress.net_is_known,
        );
        number("min_deposits", conditions.min_deposits.map(Exact::whole), Exact::whole(progress.deposits), true);
        number("min_lots", money(conditions.min_lots), progress.lots.clone(), true);
        number("min_spread_cost", money(conditions.min_spread_cost), progress.spread_cost.clone(), true);
        number("min_trades", conditions.min_trades.map(Exact::whole), Exact::whole(progress.trades), true);
        if conditions.kyc_approved {
            let value = if progress.has_kyc { "approved" } else { "" }.to_owned();
            let missing = (!progress.has_kyc).then(|| "approved".to_owned());
            states.push(ConditionState { name: "kyc", needed: "approved".to_owned(), value, missing });
        }
        let mut place = |name, list: &[String], value: &Option<String>| {
            if list.is_empty() {
                return;
            }
            let is_met = value.as_ref().is_some_and(|value| list.contains(value));
            let missing = (!is_met).then(|| list.join(", "));
            let value = value.clone().unwrap_or_default();
            states.push(ConditionState { name, needed: list.join(", "), value, missing });
        };
        place("countries", &conditions.countries, &self.country);
        place("account_types", &conditions.account_types, &self.account_type);
        states
    }
}

impl Conditions {
    fn are_met(&self, progress: &Progress) -> bool {
        let at_least = |minimum: Option<Decimal>, value: Exact| minimum.is_none_or(|min| value >= min.exact());
        at_least(self.min_first_deposit, progress.first_deposit.clone())
            && at_least(self.min_net_deposit, progress.net_deposit.clone())
            && (self.min_net_deposit.is_none() || progress.net_is_known)
            && self.min_deposits.is_none_or(|min| progress.deposits >= min)
            && at_least(self.min_lots, progress.lots.clone())
            && at_least(self.min_spread_cost, progress.spread_cost.clone())
            && self.min_trades.is_none_or(|min| progress.trades >= min)
            && (!self.kyc_approved || progress.has_kyc)
            && progress.places_match
    }
}

struct Pricing<'a> {
    conditions: &'a Conditions,
    plan: &'a Plan,
    exchange: &'a ExchangeRates,
    first_deposit_at: Option<Instant>,
}

type Unpriced = (HeldReason, String);

impl Pricing<'_> {
    /// Adds the fact to what there is; `false` where no condition looks at it.
    fn count(&self, progress: &mut Progress, at: Instant, fact: &Fact) -> Result<bool, Unpriced> {
        let too_large = |error: crate::money::OutOfRange| (HeldReason::NotEvaluable, error.to_string());
        let asked = self.conditions;
        if asked.ask_for_nothing() {
            return Ok(true);
        }
        match &fact.body {
            FactBody::Event { event, .. } if asked.kyc_approved && event == "KYC_COMPLETED" => {
                progress.has_kyc = true;
                Ok(true)
            }
            FactBody::Money { amount, currency, .. } if is_deposit(fact, self.plan) => {
                let is_first = asked.min_first_deposit.is_some() && self.is_in_first_deposit(progress, at);
                progress.deposits += 1;
                if is_first || asked.min_net_deposit.is_some() {
                    let value = self.convert(*amount, *currency, at)?;
                    if is_first {
                        progress.first_deposit = progress.first_deposit.plus(&value).map_err(too_large)?;
                    }
                    progress.net_deposit = progress.net_deposit.plus(&value).map_err(too_large)?;
                    return Ok(true);
                }
                Ok(asked.min_deposits.is_some())
            }
            FactBody::Money { kind, amount, currency, status, .. } if asked.min_net_deposit.is_some() => {
                let takes_out = match kind {
                    MoneyKind::Withdrawal => counts(*status, self.plan),
                    MoneyKind::Chargeback => self.plan.clawback && counts(*status, self.plan),
                    _ => false,
                };
                if takes_out {
                    let value = self.convert(*amount, *currency, at).inspect_err(|_| progress.net_is_known = false)?;
                    progress.net_deposit = progress.net_deposit.minus(&value).map_err(too_large)?;
                }
                Ok(takes_out)
            }
            FactBody::TradingDay(day) => self.count_trading(progress, at, day.lots, day.spread_cost, day.currency),
            FactBody::Trade(trade) => {
                let closed = trade.closed_at.is_some();
                progress.trades += 1;
                let traded =
                    closed && self.count_trading(progress, at, trade.lots, trade.spread_cost, trade.currency)?;
                Ok(traded || asked.min_trades.is_some())
            }
            _ => Ok(false),
        }
    }

    fn count_trading(
        &self,
        progress: &mut Progress,
        at: Instant,
        lots: Decimal,
        spread_cost: Option<Decimal>,
        currency: Currency,
    ) -> Result<bool, Unpriced> {
        let too_large = |error: crate::money::OutOfRange| (HeldReason::NotEvaluable, error.to_string());
        progress.lots = progress.lots.plus(&lots.exact()).map_err(too_large)?;
        if let (Some(_), Some(cost)) = (self.conditions.min_spread_cost, spread_cost) {
            let value = self.convert(cost, currency, at)?;
            progress.spread_cost = progress.spread_cost.plus(&value).map_err(too_large)?;
            return Ok(true);
        }
        Ok(self.conditions.min_lots.is_some())
    }

    /// The first deposit alone, or all within the window that begins with it.
    fn is_in_first_deposit(&self, progress: &Progress, at: Instant) -> bool {
        let Some(first) = self.first_deposit_at else { return false };
        if self.plan.ftd_window_hours == 0 {
            return at == first && progress.deposits == 0;
        }
        at < first.plus_seconds(self.plan.ftd_window_hours.saturating_mul(3600))
    }

    fn convert(&self, amount: Decimal, currency: Currency, at: Instant) -> Result<Exact, Unpriced> {
        let day = self.plan.zone.day_of(at);
        let quote = self.exchange.quote(currency, self.plan.currency, day, self.plan.max_rate_age_days);
        let quote = quote.ok_or_else(|| {
            let detail = format!("no rate from {currency} to {} for {day}", self.plan.currency);
            (HeldReason::NoExchangeRate, detail)
        })?;
        amount.exact().times(&quote.rate).map_err(|error| (HeldReason::NotEvaluable, error.to_string()))
    }
}

/// What the first deposit is worth in the plan's currency, within `ftd_window_hours`; money without a rate is nothing.
pub(super) fn first_deposit(plan: &Plan, account: &CustomerView, facts: &[&Fact], exchange: &ExchangeRates) -> Exact {
    let asked = Conditions { min_first_deposit: Some(Decimal::ZERO), ..Conditions::default() };
    Sweep::over(&asked, plan, account, facts, exchange).progress.first_deposit
}

/// Whether money of this status counts: reversed money still does where the plan claws nothing back.
pub(super) fn counts(status: MoneyStatus, plan: &Plan) -> bool {
    match status {
        MoneyStatus::Approved => true,
        MoneyStatus::Reversed => !plan.clawback,
        MoneyStatus::Pending | MoneyStatus::Rejected | MoneyStatus::Cancelled => false,
    }
}

fn is_deposit(fact: &Fact, plan: &Plan) -> bool {
    matches!(fact.body, FactBody::Money { kind: MoneyKind::Deposit, status, .. } if counts(status, plan))
}

/// When a fact stands: a daily row at the start of its day, a trade when it closed.
pub(super) fn standing(fact: &Fact, plan: &Plan) -> Instant {
    match &fact.body {
        FactBody::TradingDay(day) => plan.zone.start_of(day.date),
        FactBody::Trade(trade) => trade.closed_at.unwrap_or(trade.opened_at),
        _ => fact.at,
    }
}

fn window(
    conditions: &Conditions,
    account: &CustomerView,
    first_deposit_at: Option<Instant>,
) -> Option<(Instant, Instant)> {
    let Some(within) = conditions.within else { return Some(ALWAYS) };
    let from = match within.from {
        WithinFrom::Registration => account.registered_at,
        WithinFrom::FirstDeposit => first_deposit_at?,
    };
    Some((from, from.plus_seconds(within.days.saturating_mul(86_400))))
}

fn is_within(fact: &Fact, at: Instant, window: (Instant, Instant), plan: &Plan) -> bool {
    let (mut from, to) = window;
    if window != ALWAYS && matches!(fact.body, FactBody::TradingDay(_)) {
        from = plan.zone.start_of(plan.zone.day_of(from));
    }
    (from..to).contains(&at)
}

/// What is missing by condition; a window that has closed unmet is `expired`.
pub(super) fn missing(sweep: &Sweep, conditions: &Conditions, now: Instant) -> BTreeMap<String, String> {
    let mut missing: BTreeMap<String, String> = BTreeMap::new();
    for state in sweep.states(conditions) {
        if let Some(what) = state.missing {
            missing.insert(state.name.to_owned(), what);
        }
    }
    let is_over = sweep.window.is_some_and(|(_, to)| to <= now);
    if conditions.within.is_some() && is_over && !missing.is_empty() {
        missing.insert("within_days".to_owned(), "expired".to_owned());
    }
    missing
}
