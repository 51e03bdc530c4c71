//! Exact numbers: decimals as the wire and the stores carry them, fractions as the rules compute with them, units,
//! and the one rounding. Never binary floating point, never an unchecked operation.
//!
//! A [`Decimal`] is a whole number of millionths in 64 bits: six decimals cover every ISO 4217 currency and let both
//! stores keep exact sums (`docs/adr/0002-exact-numbers.md`).

use num_rational::Ratio;
use num_traits::{CheckedAdd, CheckedDiv, CheckedMul, CheckedSub, Signed, Zero};
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
        let significant = format!("{whole}{fraction}");
        if significant.trim_start_matches('0').len() > SIGNIFICANT_DIGITS_MAX {
            return Err(NotADecimal);
        }
        let whole: i64 = whole.parse().map_err(|_| NotADecimal)?;
        if whole >= UNITS_MAX {
            return Err(NotADecimal);
        }
        let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| NotADecimal)?;
        let micros = whole.checked_mul(MICROS).and_then(|w| w.checked_add(fraction)).ok_or(NotADecimal)?;
        Ok(Self(if text.starts_with('-') { -micros } else { micros }))
    }

    /// As a fraction, to compute with.
    pub fn exact(self) -> Exact {
        Exact(Ratio::new(i128::from(self.0), i128::from(MICROS)))
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

/// An exact fraction: what worths are computed in until the one rounding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exact(Ratio<i128>);

/// A computation left the range of exact 128-bit fractions. The fact is held; nothing wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount is too large to compute exactly")]
pub struct OutOfRange;

impl Exact {
    /// Nothing.
    pub fn zero() -> Self {
        Self(Ratio::zero())
    }
    /// A whole number.
    pub fn whole(n: i64) -> Self {
        Self(Ratio::from_integer(i128::from(n)))
    }
    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }
    /// Whether it is below nothing.
    pub fn is_negative(self) -> bool {
        self.0.is_negative()
    }
    /// The sum.
    pub fn plus(self, other: Self) -> Result<Self, OutOfRange> {
        self.0.checked_add(&other.0).map(Self).ok_or(OutOfRange)
    }
    /// The difference.
    pub fn minus(self, other: Self) -> Result<Self, OutOfRange> {
        self.0.checked_sub(&other.0).map(Self).ok_or(OutOfRange)
    }
    /// The product.
    pub fn times(self, other: Self) -> Result<Self, OutOfRange> {
        self.0.checked_mul(&other.0).map(Self).ok_or(OutOfRange)
    }
    /// The quotient; dividing by nothing is out of range.
    pub fn over(self, other: Self) -> Result<Self, OutOfRange> {
        if other.0.is_zero() {
            return Err(OutOfRange);
        }
        self.0.checked_div(&other.0).map(Self).ok_or(OutOfRange)
    }

    /// The most whole minor units that are not more than it; of an amount that is not negative.
    pub(crate) fn floor(self, unit: Unit) -> Result<Decimal, OutOfRange> {
        let scale = 10_i128.pow(unit.minor_digits());
        let numerator = self.0.numer().checked_mul(&scale).ok_or(OutOfRange)?;
        let minor = numerator.div_euclid(*self.0.denom());
        let micros = minor.checked_mul(i128::from(MICROS) / scale).ok_or(OutOfRange)?;
        i64::try_from(micros).map(Decimal).map_err(|_| OutOfRange)
    }

    /// The one rounding of the product: half away from zero, to the unit's minor digits (`commissions.md` §1).
    pub fn round(self, unit: Unit) -> Result<Decimal, OutOfRange> {
        let scale = 10_i128.pow(unit.minor_digits());
        let numerator = self.0.numer().checked_mul(&scale).ok_or(OutOfRange)?;
        let denominator = *self.0.denom();
        let size = numerator.unsigned_abs();
        let divisor = denominator.unsigned_abs();
        let half_up = (size / divisor) + u128::from((size % divisor) >= divisor - (size % divisor));
        let minor = i128::try_from(half_up).map_err(|_| OutOfRange)?;
        let micros = minor.checked_mul(i128::from(MICROS) / scale).ok_or(OutOfRange)?;
        let micros = i64::try_from(micros).map_err(|_| OutOfRange)?;
        Ok(Decimal(if numerator < 0 { -micros } else { micros }))
    }
}

impl fmt::Display for Exact {
    /// `12.5`, or `1/3` where no decimal ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut rest, mut twos, mut fives) = (*self.0.denom(), 0_u32, 0_u32);
        while rest % 2 == 0 {
            rest /= 2;
            twos += 1;
        }
        while rest % 5 == 0 {
            rest /= 5;
            fives += 1;
        }
        let places = twos.max(fives);
        let scaled = 10_i128.checked_pow(places).and_then(|s| self.0.numer().checked_mul(&(s / self.0.denom())));
        match scaled {
            Some(scaled) if rest == 1 => {
                let sign = if scaled < 0 { "-" } else { "" };
                let text = format!("{:0>width$}", scaled.unsigned_abs(), width = places as usize + 1);
                let (whole, fraction) = text.split_at(text.len() - places as usize);
                if places == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
            }
            _ => write!(f, "{}/{}", self.0.numer(), self.0.denom()),
        }
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
    /// Whether it is money rather than a reward.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Currency(_))
    }
}

/// An ISO 4217 currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

impl Currency {
    /// Reads a code in either case; `None` where ISO 4217 does not have it.
    pub fn parse(code: &str) -> Option<Self> {
        let upper = code.to_ascii_uppercase();
        iso_currency::Currency::from_code(&upper)?;
        upper.as_bytes().try_into().ok().map(Self)
    }
    /// Three capital letters.
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).expect("three ASCII letters")
    }
    /// JPY 0, USD 2, BHD 3.
    pub fn minor_digits(self) -> u32 {
        iso_currency::Currency::from_code(self.code()).and_then(iso_currency::Currency::exponent).map_or(2, u32::from)
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
        assert_eq!(Exact::zero().minus(half).and_then(|x| x.round(yen)), Ok(Decimal(-3 * MICROS)));
        let third = Exact::whole(1).over(Exact::whole(3)).expect("fits");
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
