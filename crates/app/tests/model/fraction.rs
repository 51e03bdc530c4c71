//! Exact fractions, so that the model never rounds but where the contract rounds.
//!
//! Leaves the number of minor digits to the unit. An overflow of 127 bits stops the test: it is never wrapped.

use std::cmp::Ordering;
use std::fmt;
use std::iter::Sum;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A fraction in lowest terms, with a bottom above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fraction {
    top: i128,
    bottom: i128,
}

impl Fraction {
    pub const ZERO: Self = Self { top: 0, bottom: 1 };
    pub const ONE: Self = Self { top: 1, bottom: 1 };

    pub fn new(top: i128, bottom: i128) -> Self {
        assert!(bottom != 0, "a division by zero");
        let (mut a, mut b) = (top.abs(), bottom.abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let sign = bottom.signum();
        Self { top: sign * top / a.max(1), bottom: sign * bottom / a.max(1) }
    }

    pub fn whole(number: i128) -> Self {
        Self { top: number, bottom: 1 }
    }

    /// Reads a decimal such as `-12.450`.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, after) = text.split_once('.').unwrap_or((text, ""));
        let digits = format!("{before}{after}");
        let places = u32::try_from(after.len()).ok()?;
        Some(Self::new(digits.parse().ok()?, 10_i128.checked_pow(places)?))
    }

    pub fn is_negative(self) -> bool {
        self.top < 0
    }

    pub fn abs(self) -> Self {
        Self { top: self.top.abs(), bottom: self.bottom }
    }

    pub fn percent(self) -> Self {
        self / Self::whole(100)
    }

    /// The nearest whole number of minor units, half away from zero.
    pub fn round_to_minor(self, digits: u32) -> i128 {
        let scaled = self * Self::whole(10_i128.pow(digits));
        let nearest = (2 * scaled.top.abs() + scaled.bottom) / (2 * scaled.bottom);
        scaled.top.signum() * nearest
    }

    /// The whole minor units below or at this, of a value that is not negative; and what is left over.
    pub fn floor_to_minor(self, digits: u32) -> (i128, Self) {
        let scaled = self * Self::whole(10_i128.pow(digits));
        let floor = scaled.top.div_euclid(scaled.bottom);
        (floor, scaled - Self::whole(floor))
    }
}

impl Add for Fraction {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        // Over the least common bottom, so that the sum stays small: each is multiplied by what it lacks of it.
        let ratio = Self::new(self.bottom, other.bottom);
        Self::new(self.top * ratio.bottom + other.top * ratio.top, self.bottom * ratio.bottom)
    }
}

impl Sub for Fraction {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for Fraction {
    type Output = Self;
    fn neg(self) -> Self {
        Self { top: -self.top, bottom: self.bottom }
    }
}

impl Mul for Fraction {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        // Cancelled crosswise first, so that the product stays small.
        let (a, b) = (Self::new(self.top, other.bottom), Self::new(other.top, self.bottom));
        Self { top: a.top * b.top, bottom: a.bottom * b.bottom }
    }
}

impl Div for Fraction {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let upside_down = Self::new(other.bottom, other.top);
        self.mul(upside_down)
    }
}

impl Sum for Fraction {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, |sum, part| sum + part)
    }
}

impl PartialOrd for Fraction {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Fraction {
    fn cmp(&self, other: &Self) -> Ordering {
        let ratio = Self::new(self.bottom, other.bottom);
        (self.top * ratio.bottom).cmp(&(other.top * ratio.top))
    }
}

/// As a decimal where it is one; never rounded.
impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = (0..20).find(|digits| 10_i128.pow(*digits) % self.bottom == 0);
        match digits {
            Some(digits) => f.write_str(&decimal_text(self.round_to_minor(digits), digits)),
            None => write!(f, "{}/{}", self.top, self.bottom),
        }
    }
}

/// Minor units as the decimal they are.
pub fn decimal_text(minor: i128, digits: u32) -> String {
    let unit = 10_i128.pow(digits);
    let sign = if minor < 0 { "-" } else { "" };
    let whole = minor.abs() / unit;
    if digits == 0 {
        return format!("{sign}{whole}");
    }
    format!("{sign}{whole}.{:0width$}", minor.abs() % unit, width = digits as usize)
}
