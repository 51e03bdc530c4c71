//! Splits: who shares what the direct partner earns of a customer, from a moment on.
//!
//! A split belongs to a binding: a customer that is bound anew starts without one. What is shared is the direct partner's own
//! part, after caps, carry and tiers: not what the partners above it get, not rebates, not what customers get. Leaves
//! rounding to `sum`, which keeps the sum of the parts what the direct partner alone would have been paid.

use super::claim::Claim;
use super::plan::OnSuspended;
use super::terms::{CustomerView, Terms};
use crate::ids::PartnerId;
use crate::money::{Decimal, MICROS};
use crate::time::Instant;
use serde_json::{Value, json};
use std::sync::Arc;

/// All of it, in percent.
const WHOLE: Decimal = Decimal(100 * MICROS);

/// What one partner gets of what the direct partner earns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitPart {
    /// Who gets it.
    pub partner: PartnerId,
    /// From 0 to 100.
    pub percent: Decimal,
}

/// Who shares from a moment on, until the next split of the same binding. The direct partner keeps the remainder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// From here on.
    pub from: Instant,
    /// Nobody: the split ends.
    pub parts: Vec<SplitPart>,
}

/// Why parts make no split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A percent below 0 or above 100.
    #[error("must have percentages from 0 to 100")]
    Percent,
    /// More is given away than there is.
    #[error("must not add up to more than 100 percent")]
    Sum,
    /// The one who keeps the remainder is among the parts.
    #[error("cannot name the promoter whose referral it is, who gets the remainder")]
    Direct,
    /// Somebody is named twice.
    #[error("cannot name a promoter twice")]
    Twice,
}

impl Split {
    /// A split of what `direct` earns.
    ///
    /// # Errors
    /// [`SplitError`], the first that is found.
    pub fn of(direct: PartnerId, from: Instant, parts: Vec<SplitPart>) -> Result<Self, SplitError> {
        let mut sum = Decimal::ZERO;
        for (index, part) in parts.iter().enumerate() {
            if part.percent < Decimal::ZERO || part.percent > WHOLE {
                return Err(SplitError::Percent);
            }
            if part.partner == direct {
                return Err(SplitError::Direct);
            }
            if parts[..index].iter().any(|known| known.partner == part.partner) {
                return Err(SplitError::Twice);
            }
            sum = sum.checked_add(part.percent).filter(|sum| *sum <= WHOLE).ok_or(SplitError::Sum)?;
        }
        Ok(Self { from, parts })
    }

    /// Who shares since the last of these, which are those of one binding.
    pub fn latest(splits: &[Self]) -> &[SplitPart] {
        splits.last().map_or(&[], |split| &split.parts)
    }

    /// The dated splits of a binding as they are stored; `None` where there are none.
    pub fn to_stored(splits: &[Self]) -> Option<String> {
        let split = |split: &Self| json!([split.from.0, stored_parts(&split.parts)]);
        (!splits.is_empty()).then(|| Value::from(splits.iter().map(split).collect::<Vec<_>>()).to_string())
    }

    /// Reads [`Self::to_stored`].
    pub fn from_stored(text: &str) -> Option<Vec<Self>> {
        let stored: Vec<(i64, Vec<(i64, i64)>)> = serde_json::from_str(text).ok()?;
        let split = |(from, parts)| Self { from: Instant(from), parts: read_parts(parts) };
        Some(stored.into_iter().map(split).collect())
    }

    /// Puts this split among those of a binding, in the place of one of the same moment; those of later moments end.
    pub fn put_into(self, splits: &mut Vec<Self>) {
        splits.retain(|known| known.from < self.from);
        // Where nobody shared before, nothing ends.
        if !self.parts.is_empty() || !splits.is_empty() {
            splits.push(self);
        }
    }
}

impl SplitPart {
    /// Who shared what a commission is a portion of, as it is stored; `None` where nobody did.
    pub fn to_stored(parts: &[Self]) -> Option<String> {
        (!parts.is_empty()).then(|| stored_parts(parts).to_string())
    }

    /// Reads [`Self::to_stored`].
    pub fn from_stored(text: &str) -> Option<Vec<Self>> {
        serde_json::from_str(text).ok().map(read_parts)
    }
}

fn stored_parts(parts: &[SplitPart]) -> Value {
    parts.iter().map(|part| json!([part.partner.0, part.percent.0])).collect()
}

fn read_parts(parts: Vec<(i64, i64)>) -> Vec<SplitPart> {
    let part = |(partner, percent)| SplitPart { partner: PartnerId(partner), percent: Decimal(percent) };
    parts.into_iter().map(part).collect()
}

/// What one partner gets of a claim's direct part.
#[derive(Debug, Clone)]
pub(super) struct Portion {
    pub partner: PartnerId,
    pub percent: Decimal,
    pub suspended: bool,
}

/// Of which partner's direct part a share is a portion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortionOf {
    pub direct: PartnerId,
    /// Whether the direct partner was suspended.
    pub is_direct_withheld: bool,
    pub percent: Decimal,
}

/// Who shares the direct part of a claim, the direct partner first; `None`: all of it is the direct partner's.
pub(super) fn portions(claim: &Claim<'_>, terms: &Terms<'_>) -> Option<Arc<[Portion]>> {
    let place = &claim.place;
    // A figure for a partner that the fact names is that one's alone.
    let parts = if place.is_of_named { return None } else { in_force(claim.account, place.at)? };
    let setting = &place.setting;
    let is_compressed = setting.version.plan.on_suspended == OnSuspended::Compress;
    let mut portions =
        vec![Portion { partner: setting.partner, percent: WHOLE, suspended: setting.chain[0].suspended }];
    for part in parts.iter().filter(|part| part.partner != setting.partner) {
        let suspended = terms.is_suspended(part.partner, place.at);
        // Who is passed over leaves its part to the direct partner.
        if is_compressed && suspended {
            continue;
        }
        let left = portions[0].percent.checked_sub(part.percent);
        portions[0].percent = left.expect("the parts of a split make no more than 100");
        portions.push(Portion { partner: part.partner, percent: part.percent, suspended });
    }
    (portions.len() > 1).then(|| portions.into())
}

/// Who shares at a moment. What stands before the first binding, on its day, is shared as that began.
fn in_force(account: &CustomerView, at: Instant) -> Option<&[SplitPart]> {
    let binding = account.bindings.iter().rev().find(|binding| binding.from <= at).or(account.bindings.first())?;
    let at = at.max(binding.from);
    let split = binding.splits.iter().rev().find(|split| split.from <= at)?;
    Some(&split.parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(partner: i64, percent: &str) -> SplitPart {
        SplitPart { partner: PartnerId(partner), percent: Decimal::parse(percent).expect("a decimal") }
    }

    #[test]
    fn a_split_is_refused_by_name() {
        let of = |parts: &[SplitPart]| Split::of(PartnerId(1), Instant(5), parts.to_vec()).map(|split| split.from);
        assert_eq!(of(&[part(2, "60"), part(3, "40"), part(4, "0")]), Ok(Instant(5)));
        assert_eq!(of(&[part(2, "60"), part(3, "40.000001")]), Err(SplitError::Sum));
        assert_eq!(of(&[part(1, "10")]), Err(SplitError::Direct));
        assert_eq!(of(&[part(2, "10"), part(2, "10")]), Err(SplitError::Twice));
        assert_eq!(of(&[part(2, "-1")]), Err(SplitError::Percent));
        assert_eq!(of(&[part(2, "100.5")]), Err(SplitError::Percent));
    }

    #[test]
    fn the_stored_text_reads_back() {
        let splits = vec![
            Split { from: Instant(5), parts: vec![part(2, "33.333333"), part(3, "0")] },
            Split { from: Instant(9), parts: Vec::new() },
        ];
        let stored = Split::to_stored(&splits).expect("there are some");
        assert_eq!(stored, "[[5,[[2,33333333],[3,0]]],[9,[]]]");
        assert_eq!(Split::from_stored(&stored), Some(splits));
        assert_eq!(Split::to_stored(&[]), None);
        let parts = [part(1, "75"), part(2, "25")];
        let stored = SplitPart::to_stored(&parts).expect("there are some");
        assert_eq!(SplitPart::from_stored(&stored).as_deref(), Some(&parts[..]));
    }

    #[test]
    fn a_later_split_ends_those_from_its_moment_on() {
        let mut splits = Vec::new();
        let split = |from: i64, parts: &[SplitPart]| Split { from: Instant(from), parts: parts.to_vec() };
        split(3, &[]).put_into(&mut splits);
        assert_eq!(splits, []);
        split(5, &[part(2, "10")]).put_into(&mut splits);
        split(9, &[]).put_into(&mut splits);
        assert_eq!(splits, [split(5, &[part(2, "10")]), split(9, &[])]);
        split(5, &[part(3, "10")]).put_into(&mut splits);
        assert_eq!(splits, [split(5, &[part(3, "10")])]);
    }
}
