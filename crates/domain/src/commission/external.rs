//! `external`: the broker's own figure of what the partner earned, passed through.

use super::claim::{Claims, Detail, Matter, Rate};
use super::percent::{Percent, Revenue, Source, Term, summed};
use crate::money::{Decimal, Exact, MICROS};

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct External {
    /// `ib_rebate` or a figure.
    pub of: Source,
}

/// The claim of a figure.
pub(super) fn claim<'a>(matter: &Matter<'a, '_>, external: &External, claims: &mut Claims<'a>) {
    let plan = &matter.rule_of.0.plan;
    let revenue = Revenue { terms: claims.terms, plan, at: matter.place.at, sale_left: None };
    let term = [Term { is_subtracted: false, source: external.of.clone() }];
    // No term of this kind looks at points.
    let no_points = Percent { percent: None, of: Vec::new(), max_points: None, point_value: Decimal(MICROS) };
    let sum = revenue.of(&term, &no_points, matter.fact, None);
    if let Some(figure) = summed(sum, matter, claims) {
        let rate = Rate { rate: Exact::whole(1), is_own: true };
        claims.push(matter.claim(matter.customer_period(), figure, rate, Detail::Revenue));
    }
}
