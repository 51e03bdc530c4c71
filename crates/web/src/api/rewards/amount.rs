//! Amounts of this dialect: money and monetary discounts in minor units, other rewards in whole ones.
//!
//! Nothing is rounded here: an amount that has a part of a minor unit is shown with it. How one is shown is the domain's, because
//! webhooks show it too. Leaves what an amount is of to its [`Unit`].

use crate::json::field::FieldError;
use crate::json::field::Fields;
use headwater_domain::money::{Decimal, MICROS, Unit};
pub use headwater_domain::postback::entity::{amount_json as to_wire, unit_name};

/// An amount as it was sent, a whole number; `None` where it is too large for our books.
pub fn from_wire(minor: i64, unit: Unit) -> Option<Decimal> {
    let micros = i128::from(minor) * i128::from(MICROS) / 10_i128.pow(unit.minor_digits());
    let text = Decimal(i64::try_from(micros).ok()?).to_text(0);
    // The grammar of decimals has the bounds.
    Decimal::parse(&text).ok()
}

/// A required field that holds an amount.
pub fn required(fields: &Fields<'_>, name: &str, unit: Unit) -> Result<Decimal, FieldError> {
    let minor = fields.required_integer(name)?;
    from_wire(minor, unit).ok_or_else(|| fields.error(name, "invalid_record", "is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::money::Currency;
    use serde_json::json;

    #[test]
    fn minor_units_are_those_of_the_unit() {
        let currency = |code| Currency::parse(code).expect("a currency");
        for (unit, text, wire) in [
            (Unit::Currency(currency("USD")), "49", json!(4900)),
            (Unit::Currency(currency("USD")), "-0.01", json!(-1)),
            (Unit::Currency(currency("JPY")), "4900", json!(4900)),
            (Unit::Currency(currency("BHD")), "1.234", json!(1234)),
            (Unit::MonetaryDiscount(currency("USD")), "5.5", json!(550)),
            (Unit::Points, "250", json!(250)),
            (Unit::FreeMonths, "3", json!(3)),
            (Unit::PercentDiscount, "15", json!(15)),
        ] {
            let amount = Decimal::parse(text).expect("a decimal");
            assert_eq!(to_wire(amount, unit), wire, "{text}");
            assert_eq!(from_wire(wire.as_i64().expect("whole"), unit), Some(amount), "{text}");
        }
        let usd = Unit::Currency(currency("USD"));
        assert_eq!(to_wire(Decimal::parse("-1.2345").expect("a decimal"), usd).to_string(), "-123.45");
        assert_eq!(from_wire(i64::MAX, usd), None);
        assert_eq!((unit_name(usd), unit_name(Unit::Points)), ("cash".to_owned(), "points".to_owned()));
    }
}
