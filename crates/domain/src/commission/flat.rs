//! `flat`: an amount per matching event, once per event, account or person; or per sale that `sales` lets through.
//!
//! The earliest matching event counts, by (time, key); which account's partner is paid is decided by `once_per`.

use super::cell::Scope;
use super::claim::{Claims, Detail, Matter, Rate};
use super::person::Person;
use super::place::{Places, Standing};
use super::plan::{Kind, OncePer};
use super::rates;
use super::terms::Terms;
use crate::fact::FactBody;
use crate::money::{Decimal, Exact};
use std::collections::BTreeSet;

/// The keys of the kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flat {
    /// What a match is worth.
    pub amount: Decimal,
    /// The event; `None` where it is paid for sales.
    pub on: Option<String>,
    /// How often.
    pub once_per: OncePer,
}

/// The claim of a sale, once for each.
pub(super) fn claim_of_sale<'a>(matter: &Matter<'a, '_>, flat: &Flat, claims: &mut Claims<'a>) {
    let own = rates::own_rate(claims.terms, matter.place.setting.partner, matter.rule());
    let rate = Rate { rate: own.unwrap_or(flat.amount).exact(), is_own: own.is_some() };
    let scope = Scope::Event(matter.account.customer, matter.fact.key.clone());
    claims.push(matter.claim(scope, Exact::whole(1), rate, Detail::Amount));
}

/// Claims for every event of the person, in time order.
pub(super) fn claim<'a>(person: &Person<'a>, places: &mut Places<'a>, claims: &mut Claims<'a>) {
    let mut done = BTreeSet::new();
    for fact in &person.facts {
        let FactBody::Event { event, .. } = &fact.body else { continue };
        let Some(own) = person.view.account(fact.customer) else { continue };
        let mut accounts = vec![(own, false)];
        accounts.extend(person.first.map(|first| (first, true)));
        for (account, whole_person) in accounts {
            let Some(partner) = Terms::partner_at(account, fact.at) else { continue };
            // An event of a time in which nobody is active is the one that counts all the same.
            let (place, is_paid) = match places.find(partner, fact.at, account.registered_at) {
                Standing::Priced(place) => (place, true),
                Standing::Nobody(place) => (place, false),
                Standing::Unplanned => continue,
            };
            for rule_of in &place.setting.rules {
                let rule = &rule_of.0.plan.rules[rule_of.1];
                let Kind::Flat(flat) = &rule.kind else { continue };
                let is_ours = (flat.once_per == OncePer::Person) == whole_person;
                if !is_ours
                    || flat.on.as_ref() != Some(event)
                    || !rule.when.admits_event(event)
                    || !rule.when.admits_customer(account)
                {
                    continue;
                }
                let scope = match flat.once_per {
                    OncePer::Event => Scope::Event(own.customer, fact.key.clone()),
                    OncePer::Customer => Scope::Customer(own.customer),
                    OncePer::Person => Scope::Person(person.view.person),
                };
                if !done.insert((rule.id.clone(), scope.clone())) || !is_paid {
                    continue;
                }
                let own_rate = rates::own_rate(claims.terms, place.setting.partner, rule);
                let rate = Rate { rate: own_rate.unwrap_or(flat.amount).exact(), is_own: own_rate.is_some() };
                let matter = Matter { account, fact, place: &place, rule_of };
                claims.push(matter.claim(scope, Exact::whole(1), rate, Detail::Amount));
            }
        }
    }
}
