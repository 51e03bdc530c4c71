//! Rounding several amounts together: their sum is rounded once, and shared out in minor units by largest remainder.

use crate::money::{Decimal, Exact, OutOfRange, Unit};

/// The sum, rounded once and shared out.
pub(super) fn by_largest_remainder(parts: &[Exact], unit: Unit) -> Result<Vec<Decimal>, OutOfRange> {
    let sum = parts.iter().try_fold(Exact::zero(), |sum, part| sum.plus(part))?;
    share_out(sum.round(unit)?, parts, unit)
}

/// What the parts make, rounded to less than a minor unit up or down, given out in minor units: whole ones first, then one
/// each to the largest remainders; ties go to the one nearest the client.
pub(super) fn share_out(rounded: Decimal, parts: &[Exact], unit: Unit) -> Result<Vec<Decimal>, OutOfRange> {
    let sum = parts.iter().try_fold(Exact::zero(), |sum, part| sum.plus(part))?;
    if sum.is_negative() {
        let positive: Vec<Exact> = parts.iter().map(Exact::negated).collect();
        return Ok(share_out(rounded.negated(), &positive, unit)?.into_iter().map(Decimal::negated).collect());
    }
    let minor = unit.minor_unit();
    let mut given = Vec::new();
    let mut remainders = Vec::new();
    // Parts of both signs may add up to less than one of them.
    let (mut left, minor_micros) = (i128::from(rounded.0), i128::from(minor.0));
    for (index, part) in parts.iter().enumerate() {
        let whole = part.floor(unit)?;
        left -= i128::from(whole.0);
        remainders.push((part.minus(&whole.exact())?, std::cmp::Reverse(index)));
        given.push(whole);
    }
    remainders.sort();
    for (_, std::cmp::Reverse(index)) in remainders.into_iter().rev() {
        if left <= 0 {
            break;
        }
        given[index] = given[index].checked_add(minor).ok_or(OutOfRange)?;
        left -= minor_micros;
    }
    Ok(given)
}
