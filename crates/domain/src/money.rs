//! Exact numbers: decimals as the wire and the stores carry them, fractions as the rules compute with them, units,
//! and the one rounding. Never binary floating point, never an unchecked operation.
//!
//! A [`Decimal`] is a whole number of millionths in 64 bits: six decimals cover every ISO 4217 currency and let both
//! stores keep exact sums (`docs/adr/0002-exact-numbers.md`).

mod exact;

pub use exact::{Exact, OutOfRange};
use std::fmt;

/// Millionths in one.
pub const MICROS: i64 = 1_000_000;
/// A decimal on the wire is below this many units in size (`conventions.md` §5).
const UNITS_MAX: i64 = 9_000_000_000_000;
const SIGNIFICANT_DIGITS_MAX: usize = 15;

/// An exact decimal with up to six places, held as millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Decimal(pub i64);

/// The text is outside the grammar of decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a plain decimal with at most 15 digits, six of them after the point, below 9,000,000,000,000")]
pub struct NotADecimal;

impl Decimal {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// Parses `-?(0|[1-9][0-9]*)(\.[0-9]{1,6})?`, at most 15 significant digits.
    ///
    /// # Errors
    /// [`NotADecimal`] for everything else: exponents, `+`, separators, NaN.
    pub fn parse(text: &str) -> Result<Self, NotADecimal> {
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) if (1..=6).contains(&fraction.len()) => (whole, fraction),
            Some(_) => return Err(NotADecimal),
            None => (unsigned, ""),
        };
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
            return Err(NotADecimal);
        }
        let leading = whole.trim_start_matches('0');
        let significant =
            if leading.is_empty() { fraction.trim_start_matches('0').len() } else { leading.len() + fraction.len() };
        if significant > SIGNIFICANT_DIGITS_MAX {
            return Err(NotADecimal);
        }
        let whole: i64 = whole.parse().map_err(|_| NotADecimal)?;
        if whole >= UNITS_MAX {
            return Err(NotADecimal);
        }
        let padded = fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
        let fraction = padded.fold(0_i64, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let micros = whole.checked_mul(MICROS).and_then(|w| w.checked_add(fraction)).ok_or(NotADecimal)?;
        Ok(Self(if text.starts_with('-') { -micros } else { micros }))
    }

    /// As a fraction, to compute with.
    pub fn exact(self) -> Exact {
        Exact::of_micros(self.0)
    }

    /// The sum, or `None` where it does not fit.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` where it does not fit.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The same size with the other sign.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(self.0.checked_neg().expect("amounts stay far from the end of 64 bits"))
    }

    /// As text with at least `places` decimals, further ones only where they are not zero.
    pub fn to_text(self, places: u32) -> String {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let mut fraction = format!("{:06}", micros % MICROS.unsigned_abs());
        while fraction.len() > places as usize && fraction.ends_with('0') {
            fraction.pop();
        }
        let whole = micros / MICROS.unsigned_abs();
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_text(0))
    }
}

/// What an amount is counted in: a currency, or a reward unit. Two different units never add up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// ISO 4217, three capital letters.
    Currency(Currency),
    /// Loyalty points.
    Points,
    /// Account credits.
    Credits,
    /// Free months.
    FreeMonths,
    /// A fixed discount, in minor units of the plan's currency.
    MonetaryDiscount(Currency),
    /// A discount in whole percent.
    PercentDiscount,
}

impl Unit {
    /// How many decimals an amount of this unit may have.
    pub fn minor_digits(self) -> u32 {
        match self {
            Self::Currency(c) | Self::MonetaryDiscount(c) => c.minor_digits(),
            Self::Points | Self::Credits | Self::FreeMonths | Self::PercentDiscount => 0,
        }
    }
    /// One in the last of those places.
    pub fn minor_unit(self) -> Decimal {
        Decimal(MICROS / 10_i64.pow(self.minor_digits()))
    }
    /// Whether so much of it means anything: a percent of discount is at most 100 (`conventions.md` §5).
    pub fn admits(self, amount: Decimal) -> bool {
        self != Self::PercentDiscount || amount.0.unsigned_abs() <= 100 * MICROS.unsigned_abs()
    }
    /// The name on the wire. A monetary discount does not name its currency there.
    pub fn name(self) -> String {
        match self {
            Self::Currency(c) => c.code().to_owned(),
            Self::Points => "points".into(),
            Self::Credits => "credits".into(),
            Self::FreeMonths => "free_months".into(),
            Self::MonetaryDiscount(_) => "mon_discount".into(),
            Self::PercentDiscount => "discount_per".into(),
        }
    }
    /// The unit of this name in a plan of this currency.
    pub fn parse(name: &str, plan_currency: Currency) -> Option<Self> {
        match name {
            "points" => Some(Self::Points),
            "credits" => Some(Self::Credits),
            "free_months" => Some(Self::FreeMonths),
            "mon_discount" => Some(Self::MonetaryDiscount(plan_currency)),
            "discount_per" => Some(Self::PercentDiscount),
            code => Currency::parse(code).map(Self::Currency),
        }
    }
    /// Whether a unit of this name, as it is stored, is money rather than a reward.
    pub fn is_money_name(name: &str) -> bool {
        Currency::parse(name).is_some()
    }
    /// Whether it is money rather than a reward.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Currency(_))
    }
}

/// An ISO 4217 currency: its code, and its minor digits beside it because every rounding asks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3], u8);

impl Currency {
    /// Reads a code in either case; `None` where ISO 4217 does not have it.
    pub fn parse(code: &str) -> Option<Self> {
        let mut upper: [u8; 3] = code.as_bytes().try_into().ok()?;
        upper.make_ascii_uppercase();
        let minor_digits =
            iso_currency::Currency::from_code(std::str::from_utf8(&upper).ok()?)?.exponent().unwrap_or(2);
        Some(Self(upper, u8::try_from(minor_digits).ok()?))
    }
    /// Three capital letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters")
    }
    /// JPY 0, USD 2, BHD 3.
    pub fn minor_digits(self) -> u32 {
        u32::from(self.1)
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usd() -> Unit {
        Unit::Currency(Currency::parse("usd").expect("known"))
    }

    #[test]
    fn the_grammar_of_decimals() {
        for (text, micros) in [
            ("0", 0),
            ("-0.5", -500_000),
            ("250.00", 250_000_000),
            ("0.000001", 1),
            ("8999999999999", 8_999_999_999_999_000_000),
        ] {
            assert_eq!(Decimal::parse(text), Ok(Decimal(micros)), "{text}");
        }
        for text in [
            "",
            "-",
            "+1",
            "1e5",
            "1_000",
            "1,5",
            "NaN",
            "01",
            ".5",
            "5.",
            "1.2345678",
            "9000000000000",
            "1234567890.123456",
            "١",
        ] {
            assert_eq!(Decimal::parse(text), Err(NotADecimal), "{text}");
        }
    }

    #[test]
    fn halves_round_away_from_zero() {
        let yen = Unit::Currency(Currency::parse("JPY").expect("known"));
        let half = Decimal::parse("2.5").expect("valid").exact();
        assert_eq!(half.round(yen), Ok(Decimal(3 * MICROS)));
        assert_eq!(Exact::zero().minus(&half).and_then(|x| x.round(yen)), Ok(Decimal(-3 * MICROS)));
        let third = Exact::whole(1).over(&Exact::whole(3)).expect("fits");
        assert_eq!(third.round(usd()), Ok(Decimal(330_000)));
        assert_eq!(third.to_string(), "1/3");
        assert_eq!(Decimal(24_900_000).exact().to_string(), "24.9");
        assert_eq!(Decimal(-5_000).exact().to_string(), "-0.005");
    }

    proptest! {
        #[test]
        fn text_and_back(micros in -8_999_999_999_i64..8_999_999_999) {
            prop_assert_eq!(Decimal::parse(&Decimal(micros).to_string()), Ok(Decimal(micros)));
        }

        #[test]
        fn accepted_means_the_reference_grammar(text in "-?[0-9]{0,4}\\.?[0-9]{0,8}") {
            let body = text.strip_prefix('-').unwrap_or(&text);
            let mut parts = body.splitn(2, '.');
            let whole = parts.next().unwrap_or("");
            let fraction = parts.next();
            let expected = !whole.is_empty() && (whole == "0" || !whole.starts_with('0'))
                && fraction.is_none_or(|f| (1..=6).contains(&f.len()));
            prop_assert_eq!(Decimal::parse(&text).is_ok(), expected);
        }
    }
}
