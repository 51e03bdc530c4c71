//! `eligibility`: which trades count, and what credit in the equity leaves of them.
//!
//! A refused trade pays nothing, with the reason and by how much it failed. A daily row cannot show these details.

use super::held::HeldReason;
use crate::fact::{Fact, FactBody, Trade};
use crate::money::{Decimal, Exact, OutOfRange};

/// The keys of the modifier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Eligibility {
    /// Seconds from opening to closing.
    pub min_duration_seconds: Option<i64>,
    /// Points from the opening to the closing price.
    pub min_move_points: Option<Decimal>,
    /// The same in spreads.
    pub min_move_spreads: Option<Decimal>,
    /// Whether a trade at one price is refused.
    pub exclude_zero_move: bool,
    /// Whether a trade that leaves the equity below 0 is refused.
    pub exclude_negative_equity: bool,
    /// Below this share of own money the amount shrinks to that share.
    pub credit_threshold: Option<Decimal>,
    /// Whether a fact without the details is paid all the same.
    pub pays_without_detail: bool,
}

/// What a fact passes with.
pub(super) enum Eligible {
    /// The factor on its amount.
    Counts(Exact),
    Refused(HeldReason, String),
}

/// One check: met, failed, or without what it looks at.
enum Check {
    Met,
    Failed(HeldReason, String),
    Unknown(&'static str),
}

impl Eligibility {
    /// Whether a trading fact counts.
    pub(super) fn judge(&self, fact: &Fact) -> Result<Eligible, OutOfRange> {
        let FactBody::Trade(trade) = &fact.body else {
            let lacking = matches!(fact.body, FactBody::TradingDay(_)) && self.asks();
            return Ok(if lacking {
                self.without("the details of single trades")
            } else {
                Eligible::Counts(Exact::whole(1))
            });
        };
        let checks = [self.duration(trade), self.movement(trade)?, self.zero_move(trade), self.equity(trade)];
        let mut unknown = None;
        for check in checks {
            match check {
                Check::Failed(reason, detail) => return Ok(Eligible::Refused(reason, detail)),
                Check::Unknown(what) => unknown = unknown.or(Some(what)),
                Check::Met => {}
            }
        }
        let own_money = match (self.credit_threshold, trade.equity, trade.credit) {
            (None, ..) => Exact::whole(1),
            (Some(_), Some(equity), _) if equity <= Decimal::ZERO => Exact::zero(),
            (Some(threshold), Some(equity), Some(credit)) => {
                let share = equity.exact().minus(&credit.exact())?.over(&equity.exact())?;
                let share = if share.is_negative() { Exact::zero() } else { share };
                if share < threshold.exact() { share } else { Exact::whole(1) }
            }
            (Some(_), ..) => {
                unknown = unknown.or(Some("equity and credit"));
                Exact::whole(1)
            }
        };
        Ok(unknown.map_or(Eligible::Counts(own_money.clone()), |what| match self.without(what) {
            Eligible::Counts(_) => Eligible::Counts(own_money),
            refused @ Eligible::Refused(..) => refused,
        }))
    }

    fn asks(&self) -> bool {
        *self != Self { pays_without_detail: self.pays_without_detail, ..Self::default() }
    }

    fn without(&self, what: &str) -> Eligible {
        if self.pays_without_detail {
            return Eligible::Counts(Exact::whole(1));
        }
        Eligible::Refused(HeldReason::NotEvaluable, format!("lacks {what}"))
    }

    fn duration(&self, trade: &Trade) -> Check {
        let Some(least) = self.min_duration_seconds else { return Check::Met };
        let Some(closed) = trade.closed_at else { return Check::Unknown("closed_at") };
        let micros = closed.0.saturating_sub(trade.opened_at.0);
        if micros >= least.saturating_mul(1_000_000) {
            return Check::Met;
        }
        let detail = format!("open for {} s of {least} s", micros.div_euclid(1_000_000));
        Check::Failed(HeldReason::MinDuration, detail)
    }

    fn movement(&self, trade: &Trade) -> Result<Check, OutOfRange> {
        if self.min_move_points.is_none() && self.min_move_spreads.is_none() {
            return Ok(Check::Met);
        }
        let (Some(open), Some(close), Some(point)) = (trade.open_price, trade.close_price, trade.point_size) else {
            return Ok(Check::Unknown("open_price, close_price or point_size"));
        };
        if point <= Decimal::ZERO {
            return Ok(Check::Unknown("a point_size above 0"));
        }
        let moved = close.exact().minus(&open.exact())?.over(&point.exact())?;
        let moved = if moved.is_negative() { Exact::zero().minus(&moved)? } else { moved };
        let mut least = self.min_move_points.map(Decimal::exact);
        let mut unknown = None;
        if let Some(spreads) = self.min_move_spreads {
            match trade.spread_points {
                Some(spread) => {
                    let by_spread = spreads.exact().times(&spread.exact())?;
                    least = Some(least.map_or(by_spread.clone(), |least| least.max(by_spread)));
                }
                None => unknown = Some("spread_points"),
            }
        }
        Ok(match (least, unknown) {
            (Some(least), _) if moved < least => {
                Check::Failed(HeldReason::MinMove, format!("moved {moved} of {least} points"))
            }
            (_, Some(what)) => Check::Unknown(what),
            _ => Check::Met,
        })
    }

    fn zero_move(&self, trade: &Trade) -> Check {
        match (self.exclude_zero_move, trade.open_price, trade.close_price) {
            (true, Some(open), Some(close)) if open == close => {
                Check::Failed(HeldReason::ZeroMove, format!("opened and closed at {open}"))
            }
            (false, ..) | (true, Some(_), Some(_)) => Check::Met,
            (true, ..) => Check::Unknown("open_price or close_price"),
        }
    }

    fn equity(&self, trade: &Trade) -> Check {
        match (self.exclude_negative_equity, trade.equity_after) {
            (true, Some(equity)) if equity < Decimal::ZERO => {
                Check::Failed(HeldReason::NegativeEquity, format!("left the equity at {equity}"))
            }
            (false, _) | (true, Some(_)) => Check::Met,
            (true, None) => Check::Unknown("equity_after"),
        }
    }
}
