//! Trading facts as the rules see them: a daily row, or one leg of a trade.

use crate::fact::{Fact, FactBody};
use crate::money::Decimal;
use crate::time::Instant;

/// Which part of a trading fact is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Leg {
    /// A trade as it opens.
    Open,
    /// A trade as it closes.
    Close,
    /// A day's closed round turns.
    Day,
}

/// What was traded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Traded<'a> {
    pub leg: Leg,
    pub instrument: &'a str,
    pub lots: Decimal,
    pub volume_usd: Option<Decimal>,
}

impl<'a> Traded<'a> {
    /// The legs of a trading fact, each with its moment; a daily row has none of its own.
    pub(super) fn legs(fact: &'a Fact) -> impl Iterator<Item = (Self, Option<Instant>)> {
        let (day, legs) = match &fact.body {
            FactBody::TradingDay(day) => {
                let traded =
                    Self { leg: Leg::Day, instrument: &day.instrument, lots: day.lots, volume_usd: day.volume_usd };
                (Some((traded, None)), None)
            }
            FactBody::Trade(trade) => {
                let at =
                    |leg| Self { leg, instrument: &trade.instrument, lots: trade.lots, volume_usd: trade.volume_usd };
                let open = (at(Leg::Open), Some(trade.opened_at));
                let close = trade.closed_at.map(|closed| (at(Leg::Close), Some(closed)));
                (None, Some((open, close)))
            }
            _ => (None, None),
        };
        let (open, close) = legs.map_or((None, None), |(open, close)| (Some(open), close));
        day.into_iter().chain(open).chain(close)
    }
}
