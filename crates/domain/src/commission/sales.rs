//! `sales`: which sales a rule of sales rewards: by what was bought, how long after the first one, how often, and by what
//! the customer or the partner has reached.
//!
//! Here is what the modifier says, and whether figures meet it; [`book`] keeps the figures. A sale counts while anything is left of
//! it after its refunds, and stands in the order of (time, key). Leaves what a sale is worth to the rule's kind.

mod book;

pub(super) use book::{Judged, SalesBook};

use super::plan::{Kind, Plan, Rule};
use crate::money::{Decimal, Exact, OutOfRange, Unit};
use std::fmt;

/// The keys of the modifier. An empty list lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sales {
    /// What was bought.
    pub product: Vec<String>,
    /// For how long it was paid.
    pub billing_period: Vec<String>,
    /// Only within so many months of the customer's first sale, half-open.
    pub within_months: Option<i64>,
    /// At most so many sales of one customer.
    pub max_redemptions: Option<i64>,
    /// Only customers who had bought nothing before they were referred.
    pub new_customers_only: bool,
    /// What else must hold, joined from left to right.
    pub conditions: Vec<SaleCondition>,
}

/// One comparison of a figure at a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleCondition {
    /// What is looked at.
    pub metric: SaleMetric,
    /// How it is compared.
    pub is: Comparison,
    /// With what.
    pub value: Decimal,
    /// Whether only sales of the same product are looked at.
    pub same_product: bool,
    /// Whether it is enough that it holds or those before it do, rather than needed beside them.
    pub or_before: bool,
}

/// What a condition looks at: each as it stands with the sale that is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaleMetric {
    /// Which sale of the customer it is.
    CustomerSalesCount,
    /// Whole months since the customer's first sale.
    CustomerAgeInMonths,
    /// How many of the partner's customers have bought something.
    PartnerCustomersCount,
    /// What the partner's customers have paid, in the plan's currency.
    PartnerRevenue,
}

/// How a figure is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Below the value.
    LessThan,
    /// The value or below.
    AtMost,
    /// The value.
    EqualTo,
    /// The value or above.
    AtLeast,
    /// Above the value.
    MoreThan,
    /// Once, twice, three times … the value.
    MultipleOf,
    /// The value or above, for the first time: below it without the sale. Of figures of a partner alone, which only rise.
    Reaching,
}

/// One thing that was looked at, for the explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaleState {
    /// The key of the modifier, or the metric.
    pub name: &'static str,
    /// How it is compared.
    pub is: Comparison,
    /// With what.
    pub needed: Decimal,
    /// What it was at the sale.
    pub value: Exact,
    /// Whether it holds.
    pub is_met: bool,
}

impl SaleMetric {
    /// Every metric, as documents name them.
    pub const NAMES: &str = "customer_sales_count, customer_age_in_months, partner_customers_count or partner_revenue";

    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::CustomerSalesCount => "customer_sales_count",
            Self::CustomerAgeInMonths => "customer_age_in_months",
            Self::PartnerCustomersCount => "partner_customers_count",
            Self::PartnerRevenue => "partner_revenue",
        }
    }

    /// Reads [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        let all =
            [Self::CustomerSalesCount, Self::CustomerAgeInMonths, Self::PartnerCustomersCount, Self::PartnerRevenue];
        all.into_iter().find(|metric| metric.name() == name)
    }

    /// Whether it follows a running total over all customers of a partner.
    pub fn is_of_partner(self) -> bool {
        matches!(self, Self::PartnerCustomersCount | Self::PartnerRevenue)
    }
}

impl Comparison {
    /// Every comparison, as documents name them.
    pub const NAMES: &str = "less_than, at_most, equal_to, at_least, more_than, multiple_of or reaching";

    /// Its name in documents.
    pub fn name(self) -> &'static str {
        match self {
            Self::LessThan => "less_than",
            Self::AtMost => "at_most",
            Self::EqualTo => "equal_to",
            Self::AtLeast => "at_least",
            Self::MoreThan => "more_than",
            Self::MultipleOf => "multiple_of",
            Self::Reaching => "reaching",
        }
    }

    /// Reads [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        let all = [
            Self::LessThan,
            Self::AtMost,
            Self::EqualTo,
            Self::AtLeast,
            Self::MoreThan,
            Self::MultipleOf,
            Self::Reaching,
        ];
        all.into_iter().find(|comparison| comparison.name() == name)
    }

    /// Whether the figure compares so with the value; what the figure was before the sale is for the book to ask.
    pub(super) fn holds(self, figure: &Exact, value: Decimal) -> Result<bool, OutOfRange> {
        let value = value.exact();
        Ok(match self {
            Self::LessThan => *figure < value,
            Self::AtMost => *figure <= value,
            Self::EqualTo => *figure == value,
            Self::AtLeast | Self::Reaching => *figure >= value,
            Self::MoreThan => *figure > value,
            Self::MultipleOf if value.is_zero() || figure.is_zero() => false,
            Self::MultipleOf => {
                let times = figure.over(&value)?;
                times.round(Unit::Points)?.exact() == times
            }
        })
    }
}

/// As it is said of a sale that it keeps out.
impl fmt::Display for SaleState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.is_met { "" } else { "not " };
        write!(f, "{} is {}, {not}{} {}", self.name, self.value, self.is.name().replace('_', " "), self.needed)
    }
}

/// Whether conditions hold together: from left to right, without precedence. None always do.
fn hold_together(conditions: &[SaleCondition], states: &[SaleState]) -> bool {
    let mut joined = conditions.iter().zip(states).map(|(condition, state)| (condition.or_before, state.is_met));
    let Some((_, first)) = joined.next() else { return true };
    joined.fold(first, |before, (or_before, is_met)| if or_before { before || is_met } else { before && is_met })
}

impl Rule {
    /// Whether it is paid for sales by the amount, rather than for an event.
    pub(super) fn is_flat_of_sales(&self) -> bool {
        self.sales.is_some() && matches!(self.kind, Kind::Flat(_))
    }
}

impl Plan {
    /// Whether a sale's worth depends on the person's other sales, however long ago they were.
    pub fn looks_back_over_sales(&self) -> bool {
        self.rules.iter().any(|rule| rule.sales.is_some())
    }

    /// Whether it follows what a partner's customers have bought, over all of them and all of time.
    pub fn follows_sales_of_partners(&self) -> bool {
        let conditions = self.rules.iter().filter_map(|rule| rule.sales.as_ref()).flat_map(|sales| &sales.conditions);
        conditions.into_iter().any(|condition| condition.metric.is_of_partner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_compare_as_their_words_say() {
        let figure = |text: &str| Decimal::parse(text).expect("a decimal").exact();
        for (is, value, met, not_met) in [
            (Comparison::LessThan, "3", "2", "3"),
            (Comparison::AtMost, "3", "3", "4"),
            (Comparison::EqualTo, "3", "3", "2"),
            (Comparison::AtLeast, "3", "3", "2"),
            (Comparison::MoreThan, "3", "4", "3"),
            (Comparison::MultipleOf, "3", "6", "7"),
            (Comparison::MultipleOf, "0.5", "2.5", "2.6"),
            (Comparison::MultipleOf, "3", "3", "0"),
        ] {
            let value = Decimal::parse(value).expect("a decimal");
            assert_eq!(is.holds(&figure(met), value), Ok(true), "{met} {} {value}", is.name());
            assert_eq!(is.holds(&figure(not_met), value), Ok(false), "{not_met} {} {value}", is.name());
        }
    }

    #[test]
    fn conditions_are_joined_from_left_to_right() {
        let condition = |or_before: bool| SaleCondition {
            metric: SaleMetric::CustomerSalesCount,
            is: Comparison::EqualTo,
            value: Decimal(0),
            same_product: false,
            or_before,
        };
        let state = |is_met: bool| SaleState {
            name: "customer_sales_count",
            is: Comparison::EqualTo,
            needed: Decimal(0),
            value: Exact::zero(),
            is_met,
        };
        for (joins, met, together) in [
            (vec![], vec![], true),
            (vec![false], vec![false], false),
            (vec![false, false], vec![true, false], false),
            (vec![false, true], vec![false, true], true),
            // (one or two) and three.
            (vec![false, true, false], vec![true, false, false], false),
            // (one and two) or three.
            (vec![false, false, true], vec![false, true, true], true),
        ] {
            let conditions: Vec<_> = joins.iter().copied().map(condition).collect();
            let states: Vec<_> = met.iter().copied().map(state).collect();
            assert_eq!(hold_together(&conditions, &states), together, "{joins:?} {met:?}");
        }
    }
}
