//! `external`: the broker's own figure of what the partner earned, passed through.

use super::claim::{Claims, Detail, Matter, Rate};
use super::percent::{Percent, Revenue, Source, Term, summed};
use super::plan::{Kind, Rule};
use super::terms::{CustomerView, Terms};
use crate::fact::Fact;
use crate::ids::PartnerId;
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

/// Which rules look at a fact where it stands. A figure that names its partner is passed through to that one alone; all
/// else that is made of it (terms of a `percent`) stays with the customer's partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The fact names nobody, or the customer's own partner.
    Whole,
    /// The customer's partner, where the fact names another.
    Own,
    /// The partner that the fact names.
    Named,
}

impl Side {
    pub(super) fn is_of(self, rule: &Rule) -> bool {
        match self {
            Self::Whole => true,
            Self::Own => !matches!(rule.kind, Kind::External(_)),
            Self::Named => matches!(rule.kind, Kind::External(_)),
        }
    }

    /// Where an untraded fact of the account stands: with the customer's partner, with the one that it names, or both.
    pub(super) fn of(fact: &Fact, account: &CustomerView) -> Vec<(Option<PartnerId>, Self)> {
        let own = Terms::partner_at(account, fact.at);
        match fact.body.payee().filter(|_| !account.is_away_at(fact.at)) {
            Some(named) if own != Some(named) => {
                let own = own.map(|own| (Some(own), Self::Own));
                own.into_iter().chain([(Some(named), Self::Named)]).collect()
            }
            _ => vec![(own, Self::Whole)],
        }
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
