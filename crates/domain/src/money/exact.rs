//! Exact fractions: what worths are computed in until the one rounding.
//!
//! A fraction is reduced only where its parts would leave 128 bits: most sums and products of decimals never need it.
//! Two fractions are equal where they are the same number. Nothing wraps: what does not fit is [`OutOfRange`].

use super::{Decimal, MICROS, Unit};
use std::cmp::Ordering;
use std::fmt;

/// An exact fraction.
#[derive(Debug, Clone, Copy)]
pub struct Exact {
    numerator: i128,
    /// Above 0.
    denominator: i128,
}

/// A computation left the range of exact 128-bit fractions. The fact is held; nothing wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount is too large to compute exactly")]
pub struct OutOfRange;

/// Denominators above this are reduced, so that the next operation has room.
const DENOMINATOR_COMFORTABLE: i128 = 1_000_000_000_000_000_000;

/// Worths stay under this; a [`Decimal`] goes to 9.2 · 10¹².
const PAYABLE_LIMIT: u128 = 4_000_000_000_000;

impl Exact {
    /// Nothing.
    pub const fn zero() -> Self {
        Self { numerator: 0, denominator: 1 }
    }
    /// A whole number.
    pub fn whole(n: i64) -> Self {
        Self { numerator: i128::from(n), denominator: 1 }
    }
    /// Millionths; small denominators where they do.
    pub(super) fn of_micros(micros: i64) -> Self {
        let (numerator, denominator) = match micros {
            _ if micros % MICROS == 0 => (micros / MICROS, 1),
            _ if micros % 10_000 == 0 => (micros / 10_000, 100),
            _ => (micros, MICROS),
        };
        Self { numerator: i128::from(numerator), denominator: i128::from(denominator) }
    }
    /// Whether it is nothing.
    pub fn is_zero(self) -> bool {
        self.numerator == 0
    }
    /// Whether it is below nothing.
    pub fn is_negative(self) -> bool {
        self.numerator < 0
    }

    /// Whether it can be a worth: so far inside the range of [`Decimal`] that the difference of two is a decimal too.
    pub fn is_payable(self) -> bool {
        let size = self.numerator.unsigned_abs() / self.denominator.unsigned_abs();
        size < PAYABLE_LIMIT
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Result<Self, OutOfRange> {
        let sum = self.added(other).or_else(|| self.reduced().added(other.reduced()));
        sum.map(Self::comfortable).ok_or(OutOfRange)
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Result<Self, OutOfRange> {
        let negated = other.numerator.checked_neg().ok_or(OutOfRange)?;
        self.plus(Self { numerator: negated, ..other })
    }

    /// The product.
    pub fn times(self, other: Self) -> Result<Self, OutOfRange> {
        let product = self.multiplied(other).or_else(|| {
            let (a, b) = (self.reduced(), other.reduced());
            let crossed = Self { numerator: a.numerator, denominator: b.denominator }.reduced();
            let other = Self { numerator: b.numerator, denominator: a.denominator }.reduced();
            crossed.multiplied(other)
        });
        product.map(Self::comfortable).ok_or(OutOfRange)
    }

    /// The quotient; dividing by nothing is out of range.
    pub fn over(self, other: Self) -> Result<Self, OutOfRange> {
        let (numerator, denominator) = match other.numerator.cmp(&0) {
            Ordering::Equal => return Err(OutOfRange),
            Ordering::Greater => (other.denominator, other.numerator),
            Ordering::Less => (-other.denominator, other.numerator.checked_neg().ok_or(OutOfRange)?),
        };
        self.times(Self { numerator, denominator })
    }

    fn added(self, other: Self) -> Option<Self> {
        if self.denominator == other.denominator {
            let numerator = self.numerator.checked_add(other.numerator)?;
            return Some(Self { numerator, denominator: self.denominator });
        }
        let (fine, coarse) = if self.denominator > other.denominator { (self, other) } else { (other, self) };
        let (times, rest) = divided(fine.denominator, coarse.denominator);
        if rest == 0 {
            let numerator = multiplied(coarse.numerator, times)?.checked_add(fine.numerator)?;
            return Some(Self { numerator, denominator: fine.denominator });
        }
        let common = greatest_common_divisor(fine.denominator, coarse.denominator);
        let (fine_by, coarse_by) = (coarse.denominator / common, fine.denominator / common);
        let numerator = multiplied(fine.numerator, fine_by)?.checked_add(multiplied(coarse.numerator, coarse_by)?)?;
        Some(Self { numerator, denominator: multiplied(fine.denominator, fine_by)? })
    }

    fn multiplied(self, other: Self) -> Option<Self> {
        let numerator = multiplied(self.numerator, other.numerator)?;
        Some(Self { numerator, denominator: multiplied(self.denominator, other.denominator)? })
    }

    fn comfortable(self) -> Self {
        if self.denominator > DENOMINATOR_COMFORTABLE { self.reduced() } else { self }
    }

    /// The same number in lowest terms.
    fn reduced(self) -> Self {
        let common = greatest_common_divisor(self.numerator, self.denominator);
        Self { numerator: self.numerator / common, denominator: self.denominator / common }
    }

    /// The most whole minor units that are not more than it; of an amount that is not negative.
    pub(crate) fn floor(self, unit: Unit) -> Result<Decimal, OutOfRange> {
        let (numerator, denominator, micros) = self.minor(unit)?;
        let minor = numerator.div_euclid(denominator);
        i64::try_from(minor.checked_mul(micros).ok_or(OutOfRange)?).map(Decimal).map_err(|_| OutOfRange)
    }

    /// The one rounding of the product: half away from zero, to the unit's minor digits (`commissions.md` §1).
    pub fn round(self, unit: Unit) -> Result<Decimal, OutOfRange> {
        let (numerator, denominator, micros) = self.minor(unit)?;
        let (size, divisor) = (numerator.unsigned_abs(), denominator.unsigned_abs());
        let (whole, rest) = match (u64::try_from(size), u64::try_from(divisor)) {
            (Ok(size), Ok(divisor)) => (u128::from(size / divisor), u128::from(size % divisor)),
            _ => (size / divisor, size % divisor),
        };
        let half_up = whole + u128::from(rest >= divisor - rest);
        let minor = i128::try_from(half_up).map_err(|_| OutOfRange)?;
        let micros = i64::try_from(minor.checked_mul(micros).ok_or(OutOfRange)?).map_err(|_| OutOfRange)?;
        Ok(Decimal(if numerator < 0 { -micros } else { micros }))
    }

    /// In minor units of the unit, as a fraction, and how many millionths one of them is.
    fn minor(self, unit: Unit) -> Result<(i128, i128, i128), OutOfRange> {
        let scale = 10_i128.pow(unit.minor_digits());
        let micros = i128::from(MICROS) / scale;
        if let Some(numerator) = multiplied(self.numerator, scale) {
            return Ok((numerator, self.denominator, micros));
        }
        let reduced = self.reduced();
        Ok((reduced.numerator.checked_mul(scale).ok_or(OutOfRange)?, reduced.denominator, micros))
    }
}

/// The product; two numbers of 64 bits need no check.
fn multiplied(a: i128, b: i128) -> Option<i128> {
    match (i64::try_from(a), i64::try_from(b)) {
        (Ok(a), Ok(b)) => Some(i128::from(a) * i128::from(b)),
        _ => a.checked_mul(b),
    }
}

/// Quotient and rest of two numbers above 0.
fn divided(a: i128, b: i128) -> (i128, i128) {
    match (u64::try_from(a), u64::try_from(b)) {
        (Ok(a), Ok(b)) => (i128::from(a / b), i128::from(a % b)),
        _ => (a / b, a % b),
    }
}

/// At least 1; the second is above 0.
fn greatest_common_divisor(a: i128, b: i128) -> i128 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        if let (Ok(mut small_a), Ok(mut small_b)) = (u64::try_from(a), u64::try_from(b)) {
            while small_b != 0 {
                (small_a, small_b) = (small_b, small_a % small_b);
            }
            a = u128::from(small_a);
            break;
        }
        (a, b) = (b, a % b);
    }
    i128::try_from(a).expect("a divisor is not more than the denominator")
}

impl Ord for Exact {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.denominator == other.denominator {
            return self.numerator.cmp(&other.numerator);
        }
        let crossed =
            |a: Self, b: Self| Some((multiplied(a.numerator, b.denominator)?, multiplied(b.numerator, a.denominator)?));
        if let Some((left, right)) = crossed(*self, *other) {
            return left.cmp(&right);
        }
        compare_by_parts(*self, *other)
    }
}

/// Whole parts first, then the rests turned over: exact however large the parts are.
fn compare_by_parts(a: Exact, b: Exact) -> Ordering {
    let (whole_a, whole_b) = (a.numerator.div_euclid(a.denominator), b.numerator.div_euclid(b.denominator));
    let (rest_a, rest_b) = (a.numerator.rem_euclid(a.denominator), b.numerator.rem_euclid(b.denominator));
    whole_a.cmp(&whole_b).then_with(|| match (rest_a, rest_b) {
        (0, 0) => Ordering::Equal,
        (0, _) => Ordering::Less,
        (_, 0) => Ordering::Greater,
        _ => compare_by_parts(
            Exact { numerator: b.denominator, denominator: rest_b },
            Exact { numerator: a.denominator, denominator: rest_a },
        ),
    })
}

impl PartialOrd for Exact {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Exact {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Exact {}

impl fmt::Display for Exact {
    /// `12.5`, or `1/3` where no decimal ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { numerator, denominator } = self.reduced();
        let (mut rest, mut twos, mut fives) = (denominator, 0_u32, 0_u32);
        while rest % 2 == 0 {
            rest /= 2;
            twos += 1;
        }
        while rest % 5 == 0 {
            rest /= 5;
            fives += 1;
        }
        let places = twos.max(fives);
        let scaled = 10_i128.checked_pow(places).and_then(|s| numerator.checked_mul(s / denominator));
        match scaled {
            Some(scaled) if rest == 1 => {
                let sign = if scaled < 0 { "-" } else { "" };
                let text = format!("{:0>width$}", scaled.unsigned_abs(), width = places as usize + 1);
                let (whole, fraction) = text.split_at(text.len() - places as usize);
                if places == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
            }
            _ => write!(f, "{numerator}/{denominator}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_rational::Ratio;
    use num_traits::{CheckedAdd as _, CheckedMul as _};
    use proptest::prelude::*;

    fn exact(numerator: i64, denominator: u32) -> Exact {
        Exact { numerator: i128::from(numerator), denominator: i128::from(denominator) + 1 }
    }

    fn ratio(number: Exact) -> Ratio<i128> {
        Ratio::new(number.numerator, number.denominator)
    }

    proptest! {
        #[test]
        fn sums_products_and_order_are_those_of_reduced_fractions(
            a in any::<i64>(), b in any::<u32>(), c in any::<i64>(), d in any::<u32>(), e in any::<i64>(), f in any::<u32>(),
        ) {
            let (x, y, z) = (exact(a, b), exact(c, d), exact(e, f));
            let sum = x.plus(y).and_then(|sum| sum.times(z));
            let reference = ratio(x).checked_add(&ratio(y)).and_then(|sum| sum.checked_mul(&ratio(z)));
            if let Some(reference) = reference {
                prop_assert_eq!(sum.map(ratio), Ok(reference));
            }
            prop_assert_eq!(x.cmp(&y), ratio(x).cmp(&ratio(y)));
            prop_assert_eq!(compare_by_parts(x, y), ratio(x).cmp(&ratio(y)));
            prop_assert_eq!(x.minus(x).map(Exact::is_zero), Ok(true));
        }
    }

    #[test]
    fn what_does_not_fit_is_out_of_range() {
        let most = Exact { numerator: i128::MAX, denominator: 1 };
        assert_eq!(most.plus(Exact::whole(1)).err(), Some(OutOfRange));
        assert_eq!(most.times(Exact::whole(2)).err(), Some(OutOfRange));
        assert_eq!(Exact::whole(1).over(Exact::zero()).err(), Some(OutOfRange));
        let half = Exact::whole(1).over(Exact::whole(2)).expect("a half");
        assert_eq!(most.times(half).and_then(|x| x.times(Exact::whole(2))), Ok(most));
    }
}
