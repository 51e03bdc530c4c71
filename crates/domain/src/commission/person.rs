//! A person with its facts in order, and what its sales have left after their refunds.

use super::claim::{Claims, Counted};
use super::held::HeldReason;
use super::plan::Plan;
use super::terms::{CustomerView, PersonView, Terms};
use crate::fact::{Fact, FactBody, MoneyKind};
use crate::ids::FactId;
use crate::money::{Currency, Exact};
use std::collections::{BTreeMap, BTreeSet};

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

/// The refunds of a person's sales. Whoever reads the facts gives a refund to the person of its sale.
struct Refunds<'a> {
    /// By the key of the sale, in the order of (time, key).
    of_sale: BTreeMap<&'a str, Vec<&'a Fact>>,
    /// Which of these sales are known.
    sales: BTreeSet<&'a str>,
}

impl<'a> Refunds<'a> {
    fn of(facts: &[&'a Fact]) -> Self {
        let mut of_sale: BTreeMap<&str, Vec<&Fact>> = BTreeMap::new();
        for fact in facts {
            if let FactBody::Refund { sale, .. } = &fact.body {
                of_sale.entry(sale).or_default().push(fact);
            }
        }
        let mut sales = BTreeSet::new();
        if !of_sale.is_empty() {
            let is_sale = |fact: &&&Fact| matches!(fact.body, FactBody::Sale { .. });
            sales.extend(
                facts.iter().filter(is_sale).map(|fact| fact.key.as_str()).filter(|key| of_sale.contains_key(key)),
            );
        }
        for refunds in of_sale.values_mut() {
            refunds.sort_by(|a, b| (a.at, &a.key).cmp(&(b.at, &b.key)));
        }
        Self { of_sale, sales }
    }
}

/// Whether the plan looks away: it takes nothing back by refunds and chargebacks.
pub(super) fn is_ignored(fact: &Fact, plan: &Plan) -> bool {
    let takes_back = matches!(fact.body, FactBody::Refund { .. } | FactBody::Money { kind: MoneyKind::Chargeback, .. });
    takes_back && !plan.clawback
}

impl<'a> Person<'a> {
    /// Refunds without their sale, and those above what it has left, are held, where the plan takes anything back.
    pub(super) fn open(view: &'a PersonView, claims: &mut Claims<'a>) -> Self {
        let mut facts: Vec<&Fact> = view.facts.iter().collect();
        facts.sort_by(|a, b| (a.at, a.body.type_name(), &a.key).cmp(&(b.at, b.body.type_name(), &b.key)));
        let mut sales = BTreeMap::new();
        let refunds = Refunds::of(&facts);
        let claws_back = |fact: &Fact, claims: &Claims<'_>| {
            let account = view.account(fact.customer);
            let plan = account.and_then(|account| {
                let partner = Terms::partner_at(account, fact.at)?;
                claims.terms.plan_at(partner, fact.at, account.registered_at)
            });
            plan.is_none_or(|version| version.plan.clawback)
        };
        for of in &facts {
            if let FactBody::Refund { sale, .. } = &of.body
                && !refunds.sales.contains(sale.as_str())
                && claws_back(of, claims)
            {
                claims.hold(of.id, HeldReason::UnknownSale, format!("no sale has the key {sale}"));
            }
            let FactBody::Sale { amount: price, currency: paid_in, .. } = &of.body else { continue };
            let Some(of_sale) = refunds.of_sale.get(of.key.as_str()).filter(|_| claws_back(of, claims)) else {
                continue;
            };
            count_refunds(of, (price.exact(), *paid_in), of_sale, &mut sales, claims);
        }
        Self { view, first: view.first_account(), facts, sales }
    }
}

/// What the sale has left after the refunds that fit.
fn count_refunds(
    of: &Fact,
    (price, paid_in): (Exact, Currency),
    refunds: &[&Fact],
    sales: &mut BTreeMap<FactId, (Exact, Vec<Counted>)>,
    claims: &mut Claims<'_>,
) {
    let (left, counted) = sales.entry(of.id).or_insert_with(|| (price, Vec::new()));
    for refund in refunds {
        let FactBody::Refund { amount, currency, .. } = &refund.body else { continue };
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
}
