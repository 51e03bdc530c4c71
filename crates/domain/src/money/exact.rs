//! Exact fractions: what worths are computed in until the one rounding.
//!
//! A fraction is reduced only where its parts would leave 128 bits: most sums and products of decimals never need it. What
//! does not fit then is carried on in whole numbers of any size. Two fractions are equal where they are the same number.

use super::{Decimal, MICROS, Unit};
use num_bigint::{BigInt, BigUint};
use num_rational::BigRational;
use num_traits::{Signed as _, Zero as _};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

/// An exact fraction: two whole numbers of 128 bits, or, where these are too small, of any size.
///
/// Sums of many quotients (amounts at inverse exchange rates, shares of equity) have denominators that multiply up: a
/// month of them does not fit into 128 bits, and must be exact all the same.
#[derive(Debug, Clone)]
pub struct Exact(Parts);

#[derive(Debug, Clone)]
enum Parts {
    /// The denominator is above 0. Not always in lowest terms.
    Small {
        numerator: i128,
        denominator: i128,
    },
    Large(Arc<BigRational>),
}

/// A computation left the range of numbers that are computed with. The fact is held; nothing wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the amount is too large to compute exactly")]
pub struct OutOfRange;

/// Denominators above this are reduced, so that the next operation has room.
const DENOMINATOR_COMFORTABLE: i128 = 1_000_000_000_000_000_000;
/// Worths stay under this; a [`Decimal`] goes to 9.2 · 10¹².
const PAYABLE_LIMIT: u128 = 4_000_000_000_000;
/// Numbers of more bits than this come from no trade; they would only cost time.
const BITS_MAX: u64 = 65_536;

impl Exact {
    /// Nothing.
    pub const fn zero() -> Self {
        Self(Parts::Small { numerator: 0, denominator: 1 })
    }
    /// A whole number.
    pub fn whole(n: i64) -> Self {
        small(i128::from(n), 1)
    }
    /// Millionths; small denominators where they do.
    pub(super) fn of_micros(micros: i64) -> Self {
        let (numerator, denominator) = match micros {
            _ if micros % MICROS == 0 => (micros / MICROS, 1),
            _ if micros % 10_000 == 0 => (micros / 10_000, 100),
            _ => (micros, MICROS),
        };
        small(i128::from(numerator), i128::from(denominator))
    }
    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        match &self.0 {
            Parts::Small { numerator, .. } => *numerator == 0,
            Parts::Large(ratio) => ratio.is_zero(),
        }
    }
    /// Whether it is below nothing.
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Parts::Small { numerator, .. } => *numerator < 0,
            Parts::Large(ratio) => ratio.is_negative(),
        }
    }

    /// Whether it can be a worth: so far inside the range of [`Decimal`] that the difference of two is a decimal too.
    pub fn is_payable(&self) -> bool {
        match &self.0 {
            // No quotient is above its numerator: most need no division.
            Parts::Small { numerator, denominator } => {
                numerator.unsigned_abs() < PAYABLE_LIMIT
                    || numerator.unsigned_abs() / denominator.unsigned_abs() < PAYABLE_LIMIT
            }
            Parts::Large(ratio) => ratio.to_integer().magnitude() < &BigUint::from(PAYABLE_LIMIT),
        }
    }

    /// The sum.
    pub fn plus(&self, other: &Self) -> Result<Self, OutOfRange> {
        if let (Parts::Small { numerator: n1, denominator: d1 }, Parts::Small { numerator: n2, denominator: d2 }) =
            (&self.0, &other.0)
        {
            // Most sums: of hundredths and hundredths, or with nothing.
            if d1 == d2
                && *d1 <= DENOMINATOR_COMFORTABLE
                && let Some(sum) = n1.checked_add(*n2)
            {
                return Ok(small(sum, *d1));
            }
            if *n2 == 0 {
                return Ok(self.clone());
            }
        }
        if let (Parts::Small { .. }, Parts::Small { .. }) = (&self.0, &other.0)
            && let Some(sum) = added(self, other).or_else(|| added(&self.reduced(), &other.reduced()))
        {
            return Ok(sum.comfortable());
        }
        fitting(self.large() + other.large())
    }

    /// The difference.
    pub fn minus(&self, other: &Self) -> Result<Self, OutOfRange> {
        self.plus(&other.negated())
    }

    /// The same size with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        match &self.0 {
            Parts::Small { numerator, denominator } => match numerator.checked_neg() {
                Some(numerator) => small(numerator, *denominator),
                None => Self(Parts::Large(Arc::new(-self.large()))),
            },
            Parts::Large(ratio) => Self(Parts::Large(Arc::new(-(**ratio).clone()))),
        }
    }

    /// The product.
    pub fn times(&self, other: &Self) -> Result<Self, OutOfRange> {
        if let (Parts::Small { .. }, Parts::Small { .. }) = (&self.0, &other.0)
            && let Some(product) = product(self, other).or_else(|| product(&self.reduced(), &other.reduced()))
        {
            return Ok(product.comfortable());
        }
        fitting(self.large() * other.large())
    }

    /// The quotient; dividing by nothing is out of range.
    pub fn over(&self, other: &Self) -> Result<Self, OutOfRange> {
        if other.is_zero() {
            return Err(OutOfRange);
        }
        if let Parts::Small { numerator, denominator } = other.0
            && let (Some(size), Some(turned)) = (numerator.checked_abs(), denominator.checked_mul(numerator.signum()))
        {
            return self.times(&small(turned, size));
        }
        fitting(self.large() / other.large())
    }

    fn comfortable(self) -> Self {
        match &self.0 {
            Parts::Small { denominator, .. } if *denominator > DENOMINATOR_COMFORTABLE => self.reduced(),
            _ => self,
        }
    }

    /// The same number in lowest terms; large ones always are.
    fn reduced(&self) -> Self {
        match &self.0 {
            Parts::Small { numerator, denominator } => {
                let common = greatest_common_divisor(*numerator, *denominator);
                small(numerator / common, denominator / common)
            }
            Parts::Large(_) => self.clone(),
        }
    }

    fn large(&self) -> BigRational {
        match &self.0 {
            Parts::Small { numerator, denominator } => {
                BigRational::new(BigInt::from(*numerator), BigInt::from(*denominator))
            }
            Parts::Large(ratio) => (**ratio).clone(),
        }
    }

    /// The most whole minor units that are not more than it; of an amount that is not negative.
    pub(crate) fn floor(&self, unit: Unit) -> Result<Decimal, OutOfRange> {
        let scale = 10_i64.pow(unit.minor_digits());
        let minor = match &self.0 {
            Parts::Small { numerator, denominator } => {
                multiplied(*numerator, i128::from(scale)).map(|numerator| numerator.div_euclid(*denominator))
            }
            Parts::Large(_) => None,
        };
        let minor = match minor {
            Some(minor) => minor,
            None => {
                i128::try_from((self.large() * BigInt::from(scale)).floor().to_integer()).map_err(|_| OutOfRange)?
            }
        };
        in_micros(minor, scale)
    }

    /// The one rounding of the product: half away from zero, to the unit's minor digits (`commissions.md` §1).
    pub fn round(&self, unit: Unit) -> Result<Decimal, OutOfRange> {
        let scale = 10_i64.pow(unit.minor_digits());
        if let Parts::Small { numerator, denominator } = &self.0
            && let Some(numerator) = multiplied(*numerator, i128::from(scale))
        {
            let (size, divisor) = (numerator.unsigned_abs(), denominator.unsigned_abs());
            let (whole, rest) = match (u64::try_from(size), u64::try_from(divisor)) {
                (Ok(size), Ok(divisor)) => (u128::from(size / divisor), u128::from(size % divisor)),
                _ => (size / divisor, size % divisor),
            };
            let half_up = i128::try_from(whole + u128::from(rest >= divisor - rest)).map_err(|_| OutOfRange)?;
            return in_micros(if numerator < 0 { -half_up } else { half_up }, scale);
        }
        // `Ratio::round` rounds half away from zero.
        let minor = (self.large() * BigInt::from(scale)).round().to_integer();
        in_micros(i128::try_from(minor).map_err(|_| OutOfRange)?, scale)
    }
}

const fn small(numerator: i128, denominator: i128) -> Exact {
    Exact(Parts::Small { numerator, denominator })
}

/// A large fraction, small again where it fits.
fn fitting(ratio: BigRational) -> Result<Exact, OutOfRange> {
    match (i128::try_from(ratio.numer()), i128::try_from(ratio.denom())) {
        (Ok(numerator), Ok(denominator)) => Ok(small(numerator, denominator)),
        _ if ratio.numer().bits() > BITS_MAX || ratio.denom().bits() > BITS_MAX => Err(OutOfRange),
        _ => Ok(Exact(Parts::Large(Arc::new(ratio)))),
    }
}

/// Minor units as millionths.
fn in_micros(minor: i128, scale: i64) -> Result<Decimal, OutOfRange> {
    let micros = minor.checked_mul(i128::from(MICROS / scale)).ok_or(OutOfRange)?;
    i64::try_from(micros).map(Decimal).map_err(|_| OutOfRange)
}

/// The sum of two small fractions, where it is small.
fn added(one: &Exact, other: &Exact) -> Option<Exact> {
    let (Parts::Small { numerator: n1, denominator: d1 }, Parts::Small { numerator: n2, denominator: d2 }) =
        (&one.0, &other.0)
    else {
        return None;
    };
    if d1 == d2 {
        return Some(small(n1.checked_add(*n2)?, *d1));
    }
    let ((fine, by), (coarse, of)) = if d1 > d2 { ((n1, d1), (n2, d2)) } else { ((n2, d2), (n1, d1)) };
    let (times, rest) = divided(*by, *of);
    if rest == 0 {
        return Some(small(multiplied(*coarse, times)?.checked_add(*fine)?, *by));
    }
    let common = greatest_common_divisor(*by, *of);
    let (fine_by, coarse_by) = (of / common, by / common);
    let numerator = multiplied(*fine, fine_by)?.checked_add(multiplied(*coarse, coarse_by)?)?;
    Some(small(numerator, multiplied(*by, fine_by)?))
}

/// The product of two small fractions, where it is small.
fn product(one: &Exact, other: &Exact) -> Option<Exact> {
    let (Parts::Small { numerator: n1, denominator: d1 }, Parts::Small { numerator: n2, denominator: d2 }) =
        (&one.0, &other.0)
    else {
        return None;
    };
    Some(small(multiplied(*n1, *n2)?, multiplied(*d1, *d2)?))
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
        if let (Parts::Small { numerator: n1, denominator: d1 }, Parts::Small { numerator: n2, denominator: d2 }) =
            (&self.0, &other.0)
        {
            if d1 == d2 {
                return n1.cmp(n2);
            }
            if let (Some(left), Some(right)) = (multiplied(*n1, *d2), multiplied(*n2, *d1)) {
                return left.cmp(&right);
            }
        }
        self.large().cmp(&other.large())
    }
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
        let ratio = self.large();
        let (mut rest, mut twos, mut fives) = (ratio.denom().clone(), 0_u32, 0_u32);
        let (two, five, ten) = (BigInt::from(2), BigInt::from(5), BigInt::from(10));
        while (&rest % &two).is_zero() {
            rest /= &two;
            twos += 1;
        }
        while (&rest % &five).is_zero() {
            rest /= &five;
            fives += 1;
        }
        if rest != BigInt::from(1) {
            return write!(f, "{}/{}", ratio.numer(), ratio.denom());
        }
        let places = twos.max(fives);
        let scaled = (ratio * ten.pow(places)).to_integer();
        let sign = if scaled.is_negative() { "-" } else { "" };
        let text = format!("{:0>width$}", scaled.magnitude().to_string(), width = places as usize + 1);
        let (whole, fraction) = text.split_at(text.len() - places as usize);
        if places == 0 { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{fraction}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use num_rational::Ratio;
    use proptest::prelude::*;

    fn exact(numerator: i64, denominator: u32) -> Exact {
        small(i128::from(numerator), i128::from(denominator) + 1)
    }

    proptest! {
        #[test]
        fn sums_products_and_order_are_those_of_fractions_of_any_size(
            a in any::<i64>(), b in any::<u32>(), c in any::<i64>(), d in any::<u32>(), e in any::<i64>(), f in any::<u32>(),
        ) {
            let (x, y, z) = (exact(a, b), exact(c, d), exact(e, f));
            let sum = x.plus(&y).and_then(|sum| sum.times(&z)).and_then(|sum| sum.times(&sum));
            let reference = (x.large() + y.large()) * z.large();
            prop_assert_eq!(sum.map(|sum| sum.large()), Ok(&reference * &reference));
            prop_assert_eq!(x.cmp(&y), x.large().cmp(&y.large()));
            prop_assert_eq!(x.minus(&x).map(|none| none.is_zero()), Ok(true));
            if !y.is_zero() {
                prop_assert_eq!(x.over(&y).map(|over| over.large()), Ok(x.large() / y.large()));
            }
        }
    }

    /// A month of amounts at the inverse of that day's rate: no common denominator fits into 128 bits.
    #[test]
    fn a_month_of_inverse_rates_adds_up_exactly() {
        let mut sum = Exact::zero();
        let mut reference = Ratio::from_integer(BigInt::from(0));
        for day in 0..31 {
            let rate = 10_803 + day * 37;
            sum = sum.plus(&Exact::whole(1_000_000).over(&Exact::whole(rate)).expect("a quotient")).expect("any size");
            reference += Ratio::new(BigInt::from(1_000_000), BigInt::from(rate));
        }
        assert!(matches!(sum.0, Parts::Large(_)), "the example is meant to leave 128 bits");
        assert_eq!(sum.large(), reference);
        let usd = Unit::parse("USD", super::super::Currency::parse("USD").expect("known")).expect("a unit");
        let minor = (reference * BigInt::from(100)).round().to_integer();
        assert_eq!(sum.round(usd).map(|amount| BigInt::from(amount.0)), Ok(minor * BigInt::from(10_000)));
        assert_eq!(sum.minus(&sum).map(|none| none.is_zero()), Ok(true));
    }

    #[test]
    fn what_no_trade_is_worth_is_out_of_range() {
        assert_eq!(Exact::whole(1).over(&Exact::zero()).err(), Some(OutOfRange));
        let mut product = Exact::whole(i64::MAX);
        let failed = (0..20).find_map(|_| {
            let square = product.times(&product);
            square.map(|square| product = square).err()
        });
        assert_eq!(failed, Some(OutOfRange));
        let usd = Unit::parse("USD", super::super::Currency::parse("USD").expect("known")).expect("a unit");
        assert_eq!(Exact::whole(i64::MAX).round(usd).err(), Some(OutOfRange));
    }
}
