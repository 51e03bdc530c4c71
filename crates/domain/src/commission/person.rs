//! A person with its facts in order, and what its sales have left after their refunds.

use super::claim::{Claims, Counted};
use super::held::HeldReason;
use super::terms::{CustomerView, PersonView};
use crate::fact::{Fact, FactBody};
use crate::ids::FactId;
use crate::money::Exact;
use std::collections::BTreeMap;

/// One human as the rules see it.
#[derive(Debug)]
pub(super) struct Person<'a> {
    pub view: &'a PersonView,
    /// The account registered first.
    pub first: Option<&'a CustomerView>,
    /// In the order of (time, type, key).
    pub facts: Vec<&'a Fact>,
    /// What a sale that has refunds has left, and the refunds that fit.
    pub sales: BTreeMap<FactId, (Exact, Vec<Counted>)>,
}

impl<'a> Person<'a> {
    /// Refunds without their sale, and those above what it has left, are held.
    pub(super) fn open(view: &'a PersonView, claims: &mut Claims<'a>) -> Self {
        let mut facts: Vec<&Fact> = view.facts.iter().collect();
        facts.sort_by(|a, b| (a.at, a.body.type_name(), &a.key).cmp(&(b.at, b.body.type_name(), &b.key)));
        let mut sales = BTreeMap::new();
        for refund in &facts {
            let FactBody::Refund { amount, currency, sale } = &refund.body else { continue };
            let found = facts.iter().find_map(|fact| match &fact.body {
                FactBody::Sale { amount, currency } if fact.key == *sale => Some((fact, amount.exact(), *currency)),
                _ => None,
            });
            let Some((of, price, paid_in)) = found else {
                claims.hold(refund.id, HeldReason::UnknownSale, format!("no sale has the key {sale}"));
                continue;
            };
            let (left, counted) = sales.entry(of.id).or_insert_with(|| (price, Vec::new()));
            if *currency != paid_in {
                let detail = format!("the refund is in {currency}, its sale in {paid_in}");
                claims.hold(refund.id, HeldReason::NotEvaluable, detail);
                continue;
            }
            match left.minus(&amount.exact()) {
                Ok(after) if !after.is_negative() => {
                    *left = after;
                    counted.push(Counted { fact: refund.id, revision: refund.revision, at: of.at });
                }
                Ok(_) => {
                    let detail = format!("{amount} {currency} of {left} {currency} that the sale has left");
                    claims.hold(refund.id, HeldReason::OverRefund, detail);
                }
                Err(error) => claims.hold_out_of_range(refund.id, error),
            }
        }
        Self { view, first: view.first_account(), facts, sales }
    }
}
