//! The metric `ftd`: persons that met the plan's `qualification` in a period; without one, any first deposit.

use super::brackets::{Metric, Volumes, counting};
use super::condition::{Conditions, Sweep};
use super::cpa::{first_met, judged};
use super::person::Person;
use super::place::{Place, Places};
use super::plan::PlanVersion;
use super::terms::Terms;
use crate::money::{Decimal, Exact};
use std::sync::Arc;

/// Counts each person once for every rule with this metric, its partner's or one's above.
pub(super) fn count<'a>(
    people: &[Person<'a>],
    places: &mut Places<'a>,
    terms: &'a Terms<'a>,
    volumes: &mut Volumes<'a>,
) {
    let mut versions: Vec<&Arc<PlanVersion>> = Vec::new();
    for version in terms.partners.values().flat_map(|partner| &partner.plans) {
        let counts =
            version.plan.rules.iter().any(|rule| rule.brackets.as_ref().is_some_and(|b| b.metric == Metric::Ftd));
        if counts && !versions.iter().any(|known| Arc::ptr_eq(known, version)) {
            versions.push(version);
        }
    }
    for version in versions {
        let any_deposit = Conditions { min_first_deposit: Some(Decimal::ZERO), ..Conditions::default() };
        let asked = version.plan.qualification.as_ref().unwrap_or(&any_deposit);
        for person in people {
            let Some((judged, _)) = judged(person).into_iter().next() else { continue };
            let sweep = Sweep::over(asked, &version.plan, judged.account, &judged.facts, terms.exchange);
            let holds = |place: &Place| counting(place).any(|(_, (known, _), _)| Arc::ptr_eq(known, version));
            let Some(met) = first_met(&sweep, asked, &judged, people, places, terms, holds).filter(|met| met.is_paid)
            else {
                continue;
            };
            for (partner, (known, index), period) in counting(&met.place) {
                let rule = &known.plan.rules[*index];
                let is_ftd = rule.brackets.as_ref().is_some_and(|brackets| brackets.metric == Metric::Ftd);
                if is_ftd && Arc::ptr_eq(known, version) && rule.when.admits_customer(judged.account) {
                    let order = (met.place.at, met.fact.key.as_str(), met.fact.id);
                    volumes.add(partner, &rule.id, period, order, Exact::whole(1));
                }
            }
        }
    }
}
