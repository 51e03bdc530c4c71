//! `per_million`: traded volume in millions of dollars times a rate.

use super::claim::{Claims, Detail, Matter, Rate};
use super::held::HeldReason;
use super::rates;
use super::traded::{Leg, Traded};
use crate::money::{Decimal, Exact, OutOfRange};

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerMillion {
    /// Per million dollars; `None` where the steps of brackets say it.
    pub rate: Option<Decimal>,
}

/// The claim of a closed trade or a daily row; without a volume it is held.
pub(super) fn claim<'a>(matter: &Matter<'a, '_>, kind: &PerMillion, traded: &Traded<'_>, claims: &mut Claims<'a>) {
    let Some(quantity) = millions(traded) else {
        if traded.leg != Leg::Open {
            let detail = format!("rule {} needs volume_usd", matter.rule().id);
            claims.hold(matter.fact.id, HeldReason::NotEvaluable, detail);
        }
        return;
    };
    let own = rates::own_rate(claims.terms, matter.place.setting.partner, matter.rule());
    let rate = own.or(kind.rate).unwrap_or(Decimal::ZERO);
    match quantity {
        Ok(quantity) => {
            let rate = Rate { rate: rate.exact(), is_own: own.is_some() };
            claims.push(matter.claim(matter.customer_period(), quantity, rate, Detail::Volume));
        }
        Err(error) => claims.hold_out_of_range(matter.fact.id, error),
    }
}

/// The closed volume in millions; `None` where it is not said, or the trade is only opening.
pub(super) fn millions(traded: &Traded<'_>) -> Option<Result<Exact, OutOfRange>> {
    let volume = traded.volume_usd.filter(|_| traded.leg != Leg::Open)?;
    Some(volume.exact().over(&Exact::whole(1_000_000)))
}
