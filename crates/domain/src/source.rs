//! By which way a fact came, and which way is the truth for which figure (`conventions.md` §11, `commissions.md` §5).
//!
//! Leaves holding what does not count to the settlement. Invariant: one figure of one customer is paid from one source.

use crate::fact::{FactBody, MoneyKind};
use crate::money::Decimal;

macro_rules! sources {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// By which way a fact came.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Source { $($(#[$doc])* $variant,)+ }
        impl Source {
            /// The name in settings and in the store.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
            /// Reads [`Self::name`].
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

sources! {
    /// Pushed by a brand.
    Push = "push",
    /// Pushed through the forex API.
    Forex = "forex",
    /// Pulled, or read from a file.
    Pull = "pull",
    /// A referral event.
    Events = "events",
    /// Brought along by a customer that came from another program, which had it.
    Moved = "moved",
}

/// The figures that a fact carries, by the names that settings use. A named business event is none: it is what it is,
/// whoever reports it.
pub fn figures(body: &FactBody) -> Vec<String> {
    let names = |figures: &[(&str, bool)]| {
        figures.iter().filter(|(_, present)| *present).map(|(name, _)| (*name).to_owned()).collect()
    };
    match body {
        FactBody::Event { .. } => Vec::new(),
        FactBody::Money { kind: MoneyKind::IbRebate, .. } => vec!["rebate".to_owned()],
        FactBody::Money { kind, .. } => vec![kind.name().to_owned()],
        FactBody::TradingDay(day) => names(&[
            ("lots", day.lots != Decimal::ZERO),
            ("volume", day.volume_usd.is_some()),
            ("spread_cost", day.spread_cost.is_some()),
            ("commission", day.commission.is_some()),
            ("swap", day.swap.is_some()),
            ("pnl", day.pnl.is_some()),
        ]),
        FactBody::Trade(trade) => names(&[
            ("lots", true),
            ("volume", trade.volume_usd.is_some()),
            ("spread_cost", trade.spread_cost.is_some() || trade.spread_points.is_some()),
            ("commission", trade.commission.is_some()),
        ]),
        FactBody::Kpi { name, .. } => vec![format!("kpi:{name}")],
        FactBody::Sale { .. } | FactBody::Refund { .. } => vec!["sale".to_owned()],
    }
}

/// The fact without a figure that another source is the truth for; `None` where nothing is left of it.
pub fn without(body: &FactBody, figures_elsewhere: &[&str]) -> Option<FactBody> {
    let all = figures(body);
    if all.iter().all(|figure| figures_elsewhere.contains(&figure.as_str())) {
        return None;
    }
    let mut left = body.clone();
    for figure in figures_elsewhere {
        match &mut left {
            FactBody::TradingDay(day) => match *figure {
                "lots" => day.lots = Decimal::ZERO,
                "volume" => day.volume_usd = None,
                "spread_cost" => day.spread_cost = None,
                "commission" => day.commission = None,
                "swap" => day.swap = None,
                "pnl" => day.pnl = None,
                _ => {}
            },
            FactBody::Trade(trade) => match *figure {
                "lots" => trade.lots = Decimal::ZERO,
                "volume" => trade.volume_usd = None,
                "spread_cost" => (trade.spread_cost, trade.spread_points) = (None, None),
                "commission" => trade.commission = None,
                _ => {}
            },
            _ => {}
        }
    }
    Some(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_row_is_left_with_the_figures_of_its_own_source() {
        let row =
            json!({"date": "2025-01-10", "instrument": "EURUSD", "lots": "2", "spread_cost": "5", "currency": "USD"});
        let row = FactBody::from_json("trading_day", &row).expect("a row");
        assert_eq!(figures(&row), ["lots", "spread_cost"]);
        assert_eq!(without(&row, &["lots", "spread_cost"]), None);
        let left = without(&row, &["lots"]).expect("the spread is left");
        assert_eq!(figures(&left), ["spread_cost"]);
    }
}
