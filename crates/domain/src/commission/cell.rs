//! The cell: the unit in which commissions are computed, posted and corrected (`commissions.md` §1).
//!
//! Its text is a stored key: unique within a program, stable for ever, and read back by [`CellKey::parse`].

use crate::ids::{CustomerId, PartnerId, PersonId};
use crate::money::{Currency, Unit};
use crate::time::Period;
use std::sync::Arc;

/// Who is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Payee {
    /// A partner.
    Partner(PartnerId),
    /// A customer.
    Customer(CustomerId),
}

/// What the cell adds up over.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One customer's period: linear rules.
    CustomerPeriod(CustomerId, Period),
    /// A partner's whole period: brackets, carry, caps by day or period.
    Period(Period),
    /// One customer for ever.
    Customer(CustomerId),
    /// One person for ever.
    Person(PersonId),
    /// One event of one customer, by its natural key.
    Event(CustomerId, String),
}

impl Scope {
    /// The period, where it is of one.
    pub fn period(&self) -> Option<Period> {
        match self {
            Self::CustomerPeriod(_, period) | Self::Period(period) => Some(*period),
            Self::Customer(_) | Self::Person(_) | Self::Event(..) => None,
        }
    }
}

/// (payee, rule, unit, level, scope).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CellKey {
    /// Who is paid.
    pub payee: Payee,
    /// The rule's id.
    pub rule: Arc<str>,
    /// What is paid.
    pub unit: Unit,
    /// 0 for the direct partner, 1 for its parent, and so on.
    pub level: u16,
    /// What it adds up over.
    pub scope: Scope,
}

impl CellKey {
    /// The stored key, five fields with `|` between them.
    pub fn text(&self) -> String {
        let payee = match self.payee {
            Payee::Partner(id) => format!("partner:{id}"),
            Payee::Customer(id) => format!("customer:{id}"),
        };
        let unit = match self.unit {
            Unit::MonetaryDiscount(currency) => format!("mon_discount:{currency}"),
            unit => unit.name(),
        };
        let scope = match &self.scope {
            Scope::CustomerPeriod(id, period) => format!("period:{id}:{period}"),
            Scope::Period(period) => format!("all:{period}"),
            Scope::Customer(id) => format!("customer:{id}"),
            Scope::Person(id) => format!("person:{id}"),
            Scope::Event(id, key) => format!("event:{id}:{}", escaped(key)),
        };
        format!("{payee}|{}|{unit}|{}|{scope}", escaped(&self.rule), self.level)
    }

    /// Reads [`Self::text`].
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('|');
        let mut field = || fields.next();
        let (payee, rule, unit, level, scope) = (field()?, field()?, field()?, field()?, field()?);
        if field().is_some() {
            return None;
        }
        let (what, id) = payee.split_once(':')?;
        let payee = match what {
            "partner" => Payee::Partner(PartnerId(id.parse().ok()?)),
            "customer" => Payee::Customer(CustomerId(id.parse().ok()?)),
            _ => return None,
        };
        let unit = match unit.split_once(':') {
            Some(("mon_discount", currency)) => Unit::MonetaryDiscount(Currency::parse(currency)?),
            Some(_) => return None,
            None => match unit {
                "points" => Unit::Points,
                "credits" => Unit::Credits,
                "free_months" => Unit::FreeMonths,
                "discount_per" => Unit::PercentDiscount,
                code => Unit::Currency(Currency::parse(code)?),
            },
        };
        let (what, rest) = scope.split_once(':')?;
        let scope = match what {
            "period" => {
                let (id, period) = rest.split_once(':')?;
                Scope::CustomerPeriod(CustomerId(id.parse().ok()?), Period::parse(period)?)
            }
            "all" => Scope::Period(Period::parse(rest)?),
            "customer" => Scope::Customer(CustomerId(rest.parse().ok()?)),
            "person" => Scope::Person(PersonId(rest.parse().ok()?)),
            "event" => {
                let (id, key) = rest.split_once(':')?;
                Scope::Event(CustomerId(id.parse().ok()?), plain(key)?)
            }
            _ => return None,
        };
        Some(Self { payee, rule: plain(rule)?.into(), unit, level: level.parse().ok()?, scope })
    }
}

/// `%` and `|` as `%25` and `%7C`: everything else stands for itself.
fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('|', "%7C")
}

fn plain(text: &str) -> Option<String> {
    let text = text.replace("%7C", "|");
    let without = text.replace("%25", "");
    (!without.contains('%')).then(|| text.replace("%25", "%"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::PeriodLength;
    use jiff::civil::date;

    #[test]
    fn the_text_of_a_cell_reads_back() {
        let usd = Currency::parse("USD").expect("known");
        let period = |length, day| Period::holding(length, day);
        for (payee, rule, unit, scope, text) in [
            (
                Payee::Partner(PartnerId(7)),
                "lots",
                Unit::Currency(usd),
                Scope::CustomerPeriod(CustomerId(5), period(PeriodLength::Month, date(2025, 1, 9))),
                "partner:7|lots|USD|0|period:5:2025-01",
            ),
            (
                Payee::Customer(CustomerId(5)),
                "a|b%7C",
                Unit::MonetaryDiscount(usd),
                Scope::Event(CustomerId(5), "k|:%".into()),
                "customer:5|a%7Cb%257C|mon_discount:USD|0|event:5:k%7C:%25",
            ),
            (
                Payee::Partner(PartnerId(7)),
                "cpa",
                Unit::Points,
                Scope::Person(PersonId(3)),
                "partner:7|cpa|points|0|person:3",
            ),
        ] {
            let cell = CellKey { payee, rule: rule.into(), unit, level: 0, scope };
            assert_eq!(cell.text(), text);
            assert_eq!(CellKey::parse(text), Some(cell));
        }
        assert_eq!(CellKey::parse("partner:7|lots|USD|0"), None);
    }
}
