//! `external`: the broker's own figure of what the partner earned, passed through.

use super::claim::{Claims, Detail, Matter, Rate};
use super::percent::{Percent, Revenue, Source, Term, summed};
use crate::fact::Fact;
use crate::money::{Decimal, Exact, MICROS};

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// `ib_rebate` or a figure.
    pub of: Source,
}

impl External {
    /// The figure as the one term of a sum. No term of this kind looks at points.
    fn as_percent(&self) -> Percent {
        let of = vec![Term { is_subtracted: false, source: self.of.clone() }];
        Percent { percent: None, of, max_points: None, point_value: Decimal(MICROS) }
    }

    /// The figure in the fact's currency, for the explanation.
    pub(super) fn told(&self, revenue: &Revenue<'_>, fact: &Fact) -> Vec<(String, Exact)> {
        let figure = self.as_percent();
        revenue.told(&figure.of, &figure, fact)
    }
}

/// The claim of a figure.
pub(super) fn claim<'a>(matter: &Matter<'a, '_>, external: &External, claims: &mut Claims<'a>) {
    let plan = &matter.rule_of.0.plan;
    let revenue = Revenue { terms: claims.terms, plan, at: matter.place.at, sale_left: None, is_converted: true };
    let figure = external.as_percent();
    let sum = revenue.of(&figure.of, &figure, matter.fact, None);
    if let Some(figure) = summed(sum, matter, claims) {
        let rate = Rate { rate: Exact::whole(1), is_own: true };
        claims.push(matter.claim(matter.customer_period(), figure, rate, Detail::Revenue { sale_left: None }));
    }
}
