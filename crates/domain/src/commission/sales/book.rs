//! What conditions on sales look at: every sale that counts, by its person and by its partner, in the order of (time, key).
//!
//! Made once an evaluation, and only where a plan asks. A sale is asked about as it stands among all sales that are known now, so
//! neither their arrival nor a batch decides anything. Leaves money to `percent`, and what is rewarded to the claims.

use super::{Comparison, SaleCondition, SaleMetric, SaleState, Sales, hold_together};
use crate::commission::held::HeldReason;
use crate::commission::percent::{Revenue, Unsummed};
use crate::commission::person::Person;
use crate::commission::place::{Place, Places, RuleOf, Standing};
use crate::commission::plan::PlanVersion;
use crate::commission::rates;
use crate::commission::terms::{CustomerView, Terms};
use crate::fact::{Fact, FactBody};
use crate::ids::{FactId, PartnerId, PersonId};
use crate::money::{Currency, Decimal, Exact, MICROS, OutOfRange};
use crate::time::Instant;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a rule says of a sale.
#[derive(Debug, Clone)]
pub(crate) enum Judged {
    /// It is rewarded: what was looked at.
    Rewarded(Vec<SaleState>),
    /// It is not, and why.
    Refused(String),
    /// What decides is not known yet.
    Unknown(HeldReason, String),
}

/// A sale of which something is left.
#[derive(Debug, Clone)]
struct Sold<'a> {
    fact: &'a Fact,
    account: &'a CustomerView,
    left: Exact,
    currency: Currency,
    product: Option<&'a str>,
    billing_period: Option<&'a str>,
    person: PersonId,
    /// Where it stands, paid or not; `None` where no plan prices it.
    place: Option<Place>,
    /// Whose it is, where it is somebody's.
    partner: Option<PartnerId>,
}

/// Sales that are looked at together: a partner's, all of them or those of one product.
type Group<'a> = (PartnerId, Option<Option<&'a str>>);

/// What a figure is, or why nobody knows yet.
type Figure = Result<Exact, (HeldReason, String)>;

/// Every sale that counts.
#[derive(Debug, Default)]
pub(crate) struct SalesBook<'a> {
    of_persons: BTreeMap<PersonId, Vec<Sold<'a>>>,
    of_partners: BTreeMap<Group<'a>, Vec<Sold<'a>>>,
    /// How many persons had bought something with each sale of a group.
    customers: BTreeMap<Group<'a>, Vec<usize>>,
    /// The running revenue after each sale of a group, by the plan that says in what.
    revenue: BTreeMap<(Group<'a>, usize), Vec<Figure>>,
    /// Which reward of the rule each sale of a person is.
    redeemed: BTreeMap<(PersonId, Arc<str>), BTreeMap<FactId, i64>>,
}

impl<'a> SalesBook<'a> {
    /// The sales of these persons; nothing where no plan asks for them.
    pub(crate) fn of(people: &[Person<'a>], places: &mut Places<'a>, terms: &Terms<'a>) -> Self {
        let mut book = Self::default();
        let plans = || terms.partners.values().flat_map(|partner| &partner.plans).map(|version| &version.plan);
        if !plans().any(super::Plan::looks_back_over_sales) {
            return book;
        }
        let follows_partners = plans().any(super::Plan::follows_sales_of_partners);
        for person in people {
            let mut sales: Vec<Sold<'a>> = person.facts.iter().filter_map(|fact| sold(person, fact, places)).collect();
            sales.sort_by(|a, b| order(a.fact).cmp(&order(b.fact)));
            for sold in sales.iter().filter(|_| follows_partners) {
                let Some(partner) = sold.partner else { continue };
                for product in [None, Some(sold.product)] {
                    book.of_partners.entry((partner, product)).or_default().push(sold.clone());
                }
            }
            book.of_persons.insert(person.view.person, sales);
        }
        for (group, sales) in &mut book.of_partners {
            sales.sort_by(|a, b| order(a.fact).cmp(&order(b.fact)));
            let mut persons = BTreeSet::new();
            let counted = sales.iter().map(|sold| {
                persons.insert(sold.person);
                persons.len()
            });
            book.customers.insert(*group, counted.collect());
        }
        book
    }

    /// What the rule says of a sale of the person.
    pub(crate) fn judge(&mut self, person: PersonId, fact: &Fact, rule_of: &RuleOf, terms: &Terms<'a>) -> Judged {
        let rule = &rule_of.0.plan.rules[rule_of.1];
        let Some(sales) = &rule.sales else { return Judged::Rewarded(Vec::new()) };
        let Some(sold) = self.find(person, fact).cloned() else {
            return Judged::Refused("nothing is left of the sale after its refunds".to_owned());
        };
        let mut states = match self.judge_alone(&sold, sales, rule_of, terms) {
            Judged::Rewarded(states) => states,
            other => return other,
        };
        let Some(max) = sales.max_redemptions else { return Judged::Rewarded(states) };
        let key = (person, rule.id.clone());
        if !self.redeemed.contains_key(&key) {
            let redeemed = self.redemptions(person, &rule.id, terms);
            self.redeemed.insert(key.clone(), redeemed);
        }
        let count = self.redeemed[&key].get(&fact.id).copied().unwrap_or(max.saturating_add(1));
        let state = SaleState {
            name: "max_redemptions",
            is: Comparison::AtMost,
            needed: Decimal(max.saturating_mul(MICROS)),
            value: Exact::whole(count),
            is_met: count <= max,
        };
        if count > max {
            return Judged::Refused(state.to_string());
        }
        states.push(state);
        Judged::Rewarded(states)
    }

    fn find(&self, person: PersonId, fact: &Fact) -> Option<&Sold<'a>> {
        let sales = self.of_persons.get(&person)?;
        let place = sales.binary_search_by(|sold| order(sold.fact).cmp(&order(fact))).ok()?;
        sales.get(place)
    }

    /// Which reward under rules of this id each sale of the person is, in order. A sale at a time when nobody was active is rewarded in
    /// nobody's favour; one under a version of the rule that asked nothing of sales was rewarded, too, and so was one in another
    /// program, where the rule that holds for the next sale here would have rewarded it. The first above the most is one above it, and
    /// so is every later one.
    fn redemptions(&mut self, person: PersonId, rule_id: &str, terms: &Terms<'a>) -> BTreeMap<FactId, i64> {
        let mut redeemed = BTreeMap::new();
        let mut count = 0;
        let sales = self.of_persons.get(&person).cloned().unwrap_or_default();
        let of_id = |(version, index): &&RuleOf| *version.plan.rules[*index].id == *rule_id;
        let rule_at = |sold: &Sold<'a>| sold.place.as_ref()?.setting.rules.iter().find(of_id).cloned();
        for (number, sold) in sales.iter().enumerate() {
            let held = match &sold.place {
                Some(_) => rule_at(sold),
                None if sold.account.is_away_at(sold.fact.at) => sales[number..].iter().find_map(rule_at),
                None => None,
            };
            let Some(rule_of) = &held else { continue };
            let rule = &rule_of.0.plan.rules[rule_of.1];
            if !rates::admits(rule, &rule_of.0.plan, sold.fact, sold.account) {
                continue;
            }
            let max = rule.sales.as_ref().and_then(|sales| sales.max_redemptions);
            let holds = match &rule.sales {
                Some(sales) => matches!(self.judge_alone(sold, sales, rule_of, terms), Judged::Rewarded(_)),
                None => true,
            };
            if holds {
                redeemed.insert(sold.fact.id, count + 1);
                if max.is_none_or(|max| count < max) {
                    count += 1;
                }
            }
        }
        redeemed
    }

    /// Everything but how often.
    fn judge_alone(&mut self, sold: &Sold<'a>, sales: &Sales, rule_of: &RuleOf, terms: &Terms<'a>) -> Judged {
        for (key, list, value) in
            [("product", &sales.product, sold.product), ("billing_period", &sales.billing_period, sold.billing_period)]
        {
            if !list.is_empty() && !value.is_some_and(|value| list.iter().any(|entry| entry == value)) {
                let (value, among) = (value.unwrap_or("unknown"), list.join(", "));
                return Judged::Refused(format!("sales.{key}: {value} is not among {among}"));
            }
        }
        if sales.new_customers_only
            && let Some(before) = self.bought_before_referral(sold)
        {
            return Judged::Refused(format!("the customer bought before it was referred: {before}"));
        }
        let mut states = Vec::new();
        if let Some(months) = sales.within_months {
            let age = self.age(sold, false, &rule_of.0);
            let state = SaleState {
                name: "within_months",
                is: Comparison::LessThan,
                needed: Decimal(months.saturating_mul(MICROS)),
                value: Exact::whole(age),
                is_met: age < months,
            };
            if !state.is_met {
                return Judged::Refused(state.to_string());
            }
            states.push(state);
        }
        let mut judged = Vec::new();
        for condition in &sales.conditions {
            let known = self.compare(sold, condition, &rule_of.0, terms);
            match known {
                Ok((value, is_met)) => judged.push(SaleState {
                    name: condition.metric.name(),
                    is: condition.is,
                    needed: condition.value,
                    value,
                    is_met,
                }),
                Err((reason, detail)) => {
                    let rule = &rule_of.0.plan.rules[rule_of.1].id;
                    return Judged::Unknown(reason, format!("rule {rule}: {}: {detail}", condition.metric.name()));
                }
            }
        }
        if !hold_together(&sales.conditions, &judged) {
            let unmet = judged.iter().filter(|state| !state.is_met).map(ToString::to_string);
            return Judged::Refused(unmet.collect::<Vec<_>>().join("; "));
        }
        states.extend(judged);
        Judged::Rewarded(states)
    }

    /// The figure at the sale, and whether the condition holds.
    fn compare(
        &mut self,
        sold: &Sold<'a>,
        condition: &SaleCondition,
        version: &Arc<PlanVersion>,
        terms: &Terms<'a>,
    ) -> Result<(Exact, bool), (HeldReason, String)> {
        let figure = self.figure(sold, condition, version, terms)?;
        let holds = |figure: &Exact| condition.is.holds(figure, condition.value).map_err(out_of_range);
        let mut is_met = holds(&figure)?;
        if is_met && condition.is == Comparison::Reaching {
            is_met = !holds(&self.figure_before(sold, condition, version, terms)?)?;
        }
        Ok((figure, is_met))
    }

    /// What a figure of the partner was at the sale before; nothing at the first one.
    fn figure_before(
        &mut self,
        sold: &Sold<'a>,
        condition: &SaleCondition,
        version: &Arc<PlanVersion>,
        terms: &Terms<'a>,
    ) -> Figure {
        let group = sold.partner.map(|partner| (partner, condition.same_product.then_some(sold.product)));
        let before = group.and_then(|group| {
            let last = self.last_until(sold, group)?.checked_sub(1)?;
            self.of_partners.get(&group)?.get(last).cloned()
        });
        before.map_or_else(|| Ok(Exact::zero()), |before| self.figure(&before, condition, version, terms))
    }

    fn figure(
        &mut self,
        sold: &Sold<'a>,
        condition: &SaleCondition,
        version: &Arc<PlanVersion>,
        terms: &Terms<'a>,
    ) -> Figure {
        let group = || sold.partner.map(|partner| (partner, condition.same_product.then_some(sold.product)));
        let whole = |count: usize| Exact::whole(i64::try_from(count).unwrap_or(i64::MAX));
        Ok(match condition.metric {
            SaleMetric::CustomerSalesCount => whole(self.until(sold, condition.same_product).count()),
            SaleMetric::CustomerAgeInMonths => Exact::whole(self.age(sold, condition.same_product, version)),
            SaleMetric::PartnerCustomersCount => {
                let last = group().and_then(|group| Some((group, self.last_until(sold, group)?)));
                let count = last.and_then(|(group, last)| self.customers.get(&group)?.get(last));
                whole(count.copied().unwrap_or(0))
            }
            SaleMetric::PartnerRevenue => match group() {
                Some(group) => self.revenue_until(sold, group, version, terms)?,
                None => Exact::zero(),
            },
        })
    }

    /// The person's sales up to this one.
    fn until(&self, sold: &Sold<'a>, same_product: bool) -> impl Iterator<Item = &Sold<'a>> {
        let (until, product) = (order(sold.fact), sold.product);
        let sales = self.of_persons.get(&sold.person).map_or(&[][..], Vec::as_slice).iter();
        let sales = sales.take_while(move |known| order(known.fact) <= until);
        sales.filter(move |known| !same_product || known.product == product)
    }

    /// Whole months since the first sale, in the zone of the plan that prices this one.
    fn age(&self, sold: &Sold<'a>, same_product: bool, version: &PlanVersion) -> i64 {
        let first = self.until(sold, same_product).next().map_or(sold.fact.at, |first| first.fact.at);
        version.plan.zone.whole_months(first, sold.fact.at)
    }

    /// The first sale, where the person had it before the account was its partner's: registered, and bound to it without a break.
    fn bought_before_referral(&self, sold: &Sold<'a>) -> Option<Instant> {
        let held = sold.account.bindings.iter().rev().skip_while(|binding| binding.from > sold.fact.at);
        let mut held = held.peekable();
        let partner = held.peek()?.partner;
        let bound = held.take_while(|binding| binding.partner == partner).last()?.since();
        let first = self.until(sold, false).next()?.fact.at;
        (first < bound.max(sold.account.registered_at)).then_some(first)
    }

    /// What the group had paid with this sale. From the first sale on that cannot be priced, nobody knows.
    fn revenue_until(
        &mut self,
        sold: &Sold<'a>,
        group: Group<'a>,
        version: &Arc<PlanVersion>,
        terms: &Terms<'a>,
    ) -> Figure {
        let last = self.last_until(sold, group);
        let of_group = self.of_partners.get(&group).map_or(&[][..], Vec::as_slice);
        let key = (group, Arc::as_ptr(version).addr());
        let running = self.revenue.entry(key).or_insert_with(|| {
            let mut sum = Ok(Exact::zero());
            let added = |sold: &Sold<'_>| {
                sum = sum.clone().and_then(|sum: Exact| {
                    let revenue =
                        Revenue { terms, plan: &version.plan, at: sold.fact.at, sale_left: None, is_converted: true };
                    let amount = revenue.convert(sold.left.clone(), sold.currency).map_err(unsummed)?;
                    sum.plus(&amount).map_err(out_of_range)
                });
                sum.clone()
            };
            of_group.iter().map(added).collect()
        });
        last.and_then(|last| running.get(last)).cloned().unwrap_or_else(|| Ok(Exact::zero()))
    }

    /// The place of the last sale of a group up to this one.
    fn last_until(&self, sold: &Sold<'a>, group: Group<'a>) -> Option<usize> {
        let of_group = self.of_partners.get(&group)?;
        of_group.partition_point(|known| order(known.fact) <= order(sold.fact)).checked_sub(1)
    }
}

fn order(fact: &Fact) -> (Instant, &str, FactId) {
    (fact.at, &fact.key, fact.id)
}

fn out_of_range(error: OutOfRange) -> (HeldReason, String) {
    (HeldReason::NotEvaluable, error.to_string())
}

fn unsummed(error: Unsummed) -> (HeldReason, String) {
    match error {
        Unsummed::NoRate(detail) => (HeldReason::NoExchangeRate, detail),
        Unsummed::Missing(detail) => (HeldReason::NotEvaluable, detail),
        Unsummed::OutOfRange(error) => out_of_range(error),
    }
}

/// The sale as it counts; `None` where it is none, or nothing is left of it.
fn sold<'a>(person: &Person<'a>, fact: &'a Fact, places: &mut Places<'a>) -> Option<Sold<'a>> {
    let FactBody::Sale { amount, currency, product, billing_period } = &fact.body else { return None };
    let account = person.view.account(fact.customer)?;
    let left = person.sales.get(&fact.id).map_or_else(|| amount.exact(), |(left, _)| left.clone());
    if left.is_zero() || left.is_negative() {
        return None;
    }
    let own = Terms::partner_at(account, fact.at);
    let place = own.and_then(|partner| match places.find(partner, fact.at, account.registered_at) {
        Standing::Priced(place) | Standing::Nobody(place) => Some(place),
        Standing::Unplanned => None,
    });
    Some(Sold {
        fact,
        account,
        left,
        currency: *currency,
        product: product.as_deref(),
        billing_period: billing_period.as_deref(),
        person: person.view.person,
        partner: place.as_ref().map(|place| place.setting.partner).or(own),
        place,
    })
}
