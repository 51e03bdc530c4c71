//! `flat`: an amount per matching event, once per event, account or person.
//!
//! The earliest matching event counts, by (time, key); which account's partner is paid is decided by `once_per`.

use super::evaluate::{Books, Counted, Detail, Money, Stage};
use super::plan::{Kind, OncePer, Rule};
use super::terms::{CustomerView, Place};
use super::{HeldReason, Scope};
use crate::fact::{Fact, FactBody};
use crate::money::Decimal;
use std::collections::BTreeSet;

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flat {
    /// What a match is worth.
    pub amount: Decimal,
    /// The event.
    pub on: String,
    /// How often.
    pub once_per: OncePer,
}

/// Prices every event of the person, in time order.
pub(super) fn price(stage: &Stage<'_>, books: &mut Books) {
    let mut done = BTreeSet::new();
    let mut events: Vec<&Fact> =
        stage.person.facts.iter().filter(|fact| matches!(fact.body, FactBody::Event { .. })).collect();
    events.sort_by_key(|fact| (fact.at, &fact.key));
    for fact in events {
        let FactBody::Event { event, .. } = &fact.body else { continue };
        let Some(own) = stage.person.account(fact.customer) else { continue };
        let mut accounts = vec![(own, false)];
        accounts.extend(stage.first.map(|first| (first, true)));
        for (account, whole_person) in accounts {
            let Some(place) = stage.terms.place(account, fact.at) else { continue };
            let Some(version) = place.version.clone() else { continue };
            for rule in &version.plan.rules {
                let Kind::Flat(flat) = &rule.kind else { continue };
                let is_ours = (flat.once_per == OncePer::Person) == whole_person;
                if !is_ours || flat.on != *event || !rule.when.admits_event(event) {
                    continue;
                }
                let scope = match flat.once_per {
                    OncePer::Event => Scope::Event(own.customer, fact.key.clone()),
                    OncePer::Customer => Scope::Customer(own.customer),
                    OncePer::Person => Scope::Person(stage.person.person),
                };
                if rule.when.admits_customer(account) && done.insert((rule.id.clone(), scope.clone())) {
                    pay(stage, books, fact, account, &place, rule, flat, scope);
                }
            }
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "one match with everything that was found about it")]
fn pay(
    stage: &Stage<'_>,
    books: &mut Books,
    fact: &Fact,
    account: &CustomerView,
    place: &Place,
    rule: &Rule,
    flat: &Flat,
    scope: Scope,
) {
    if place.suspended {
        books.hold(fact.id, HeldReason::PartnerSuspended, &format!("rule {}", rule.id));
        return;
    }
    let own_rate = stage.terms.own_rate(place.partner, &rule.id);
    let amount = own_rate.unwrap_or(flat.amount);
    let Some(version) = &place.version else { return };
    let exact = amount.exact().times(rule.weight.exact());
    books.add(Money {
        rule,
        version,
        partner: place.partner,
        account,
        scope,
        counted: vec![Counted { fact: fact.id, revision: fact.revision, at: place.at }],
        moment: place.at,
        exact,
        detail: Detail::Amount { amount, own_rate, conditions: Vec::new() },
    });
}
