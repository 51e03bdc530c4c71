//! Who shares what the direct partner gets of an item, and what each is given of it in minor units.
//!
//! Leaves to `tiers` what the direct partner gets, and to `cells` what is rounded together.
//!
//! Chosen where the contract is silent: a figure for a partner that the fact names is not shared; who is passed over by
//! `compress` leaves its part to the direct partner; a blocked portion is nobody's, and counts where all are rounded.

use super::cells::largest_remainder;
use super::fraction::Fraction;
use super::items::Item;
use super::world::World;

/// One partner's part of the whole; the direct partner's comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Portion {
    /// 0 for the direct partner, else its place among the partners of the case, from 1.
    pub place: usize,
    pub partner: String,
    pub is_blocked: bool,
}

/// Who shares an item, with the part of 1 that is each one's; nobody where all is the direct partner's or the customer's.
pub fn portions(world: &World, item: &Item) -> Vec<(Portion, Fraction)> {
    let splits = &item.customer.splits;
    let in_force = splits.iter().rev().find(|(from, _)| *from <= item.at()).filter(|_| !item.pays_customer());
    let Some((_, parts)) = in_force.filter(|_| !item.is_of_named) else { return Vec::new() };
    let is_compressed = world.version(&item.plan_name, item.at())["on_suspended"] == "compress";
    let mut others = Vec::new();
    let mut left = Fraction::ONE;
    for (partner, percent) in parts {
        let is_active = world.is_active(partner, item.at());
        if partner == item.direct() || (is_compressed && !is_active) {
            continue;
        }
        left = left - percent.percent();
        let place = world.partners[partner].place + 1;
        others.push((Portion { place, partner: partner.clone(), is_blocked: !is_active }, percent.percent()));
    }
    if !others.is_empty() {
        let direct = &item.seats[0];
        let own = Portion { place: 0, partner: direct.partner.clone(), is_blocked: !direct.is_active };
        others.insert(0, (own, left));
    }
    others
}

/// What was rounded for all of them, shared by largest remainder, ties to the first.
pub fn share_out(minor: i128, parts: &[Fraction], digits: u32) -> Vec<i128> {
    let whole: Fraction = parts.iter().copied().sum();
    if whole.is_negative() {
        let mirrored: Vec<Fraction> = parts.iter().map(|part| -*part).collect();
        return share_out(-minor, &mirrored, digits).into_iter().map(|minor| -minor).collect();
    }
    // As in any largest remainder, but the whole may have been rounded to the other side.
    let mut given = largest_remainder(parts, digits);
    let floors: Vec<(i128, Fraction)> = parts.iter().map(|part| part.floor_to_minor(digits)).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    order.sort_by(|a, b| floors[*b].1.cmp(&floors[*a].1).then(a.cmp(b)));
    while given.iter().sum::<i128>() > minor {
        // The last one that was rounded up.
        let last = order.iter().rev().find(|index| given[**index] > floors[**index].0).unwrap();
        given[*last] -= 1;
    }
    while given.iter().sum::<i128>() < minor {
        let next = order.iter().find(|index| given[**index] == floors[**index].0).unwrap();
        given[*next] += 1;
    }
    given
}
