//! What was denied inside a cell that several facts share: which commissions belong together, and what a denial allows.
//!
//! A cell of a month holds many sales. One of them may be denied while the others are owed, so each commission names where
//! it comes from: the key of the fact that brought it, of a refund that of its sale. Commissions of one origin
//! belong together, and so do all those that a commission of several origins links. Leaves to `life` where a new commission
//! stands. Invariant: no decision makes what stands (all that earns and was not denied, less all that takes back and was
//! approved) less than what the facts say, of what belongs together or of the whole cell, nor what was denied less than
//! what was taken back of it.

use super::origin::Origin;
use crate::ids::CommissionId;
use crate::money::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// What was decided about a commission, whatever became of it since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// Waits.
    Pending,
    /// Owed or paid.
    Approved,
    /// Refused.
    Denied,
}

impl Decided {
    /// Its name in the store and on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }
}

/// A commission of a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The commission.
    pub id: CommissionId,
    /// What it earns, or takes back.
    pub amount: Decimal,
    /// What was decided about it.
    pub decided: Decided,
    /// Where it comes from; nowhere where terms changed and no fact did.
    pub origins: Vec<Origin>,
}

/// The commissions of a cell, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares(Vec<Share>);

/// Some commissions added up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sums {
    posted: i128,
    denied: i128,
    /// What earns and was not denied, less what takes back and was approved.
    standing: i128,
    is_last_denied: bool,
    /// The most that was denied at a time.
    denied_most: i128,
}

/// What a cell had before a new commission is posted in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Before {
    /// Of what the new commission belongs to.
    same: Sums,
    /// Whether that is all of one origin: then the latest of it is taken back first.
    is_one: bool,
    /// Of everything else in the cell.
    rest: Sums,
    /// Whether all that brought the new commission is new.
    is_new: bool,
}

/// Whose what is taken back was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakenFrom {
    /// The payee's: it was not denied.
    Owed,
    /// Nobody's: it was denied.
    Denied,
    /// Some of either, or it cannot be told: somebody has to look.
    Both,
}

/// Why a decision cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contradiction {
    /// The payee would owe so much that it never had; what takes it back was approved.
    TakenBack {
        /// The last that takes it back.
        by: Option<CommissionId>,
        /// How much.
        debt: Decimal,
    },
    /// It takes back so much more than is owed, because that was denied.
    CorrectsDenied {
        /// How much.
        debt: Decimal,
    },
    /// The facts say that nothing of it is owed.
    GivenUp,
}

impl Sums {
    fn add(&mut self, share: &Share) {
        let amount = i128::from(share.amount.0);
        self.posted += amount;
        self.is_last_denied = share.decided == Decided::Denied;
        match share.decided {
            Decided::Denied => {
                self.denied += amount;
                self.denied_most = self.denied_most.max(self.denied);
            }
            Decided::Approved => self.standing += amount,
            Decided::Pending => self.standing += amount.max(0),
        }
    }

    /// What was denied and then taken back from that: where it is given again it is denied again.
    fn gone(self) -> i128 {
        self.denied_most - self.denied
    }

    fn owed(self) -> i128 {
        self.posted - self.denied
    }

    /// What the payee would owe although the facts do not say so.
    fn debt(self) -> i128 {
        (self.posted.min(0) - self.standing).max(0)
    }

    /// What can be approved of what was denied. More that was denied than the facts took back was given to the payee.
    fn approvable(self) -> i128 {
        self.denied.max(self.posted.min(0))
    }
}

impl Before {
    /// A cell in which nothing was posted, or nothing denied.
    pub const NOTHING: Self = {
        let nothing = Sums { posted: 0, denied: 0, standing: 0, is_last_denied: false, denied_most: 0 };
        Self { same: nothing, is_one: true, rest: nothing, is_new: true }
    };

    /// Whose it is that this amount takes back: first of what it belongs to, then of the rest. What gives again what was
    /// denied and taken back is denied like that.
    pub fn taken_from(&self, amount: Decimal) -> TakenFrom {
        let taken = -i128::from(amount.0);
        if taken <= 0 {
            return self.given_again(-taken);
        }
        let of_same = taken.min(self.same.posted.max(0));
        let beyond = taken - of_same;
        let same = (of_same > 0).then(|| self.of_same(of_same));
        let rest = (beyond > 0).then(|| self.of_rest(beyond, of_same > 0));
        match (same, rest) {
            (Some(same), Some(rest)) if same != rest => TakenFrom::Both,
            (Some(from), _) | (None, Some(from)) => from,
            (None, None) => TakenFrom::Owed,
        }
    }

    fn given_again(&self, given: i128) -> TakenFrom {
        match self.same.gone() {
            gone if gone <= 0 => TakenFrom::Owed,
            gone if self.is_one && given <= gone => TakenFrom::Denied,
            _ => TakenFrom::Both,
        }
    }

    fn of_same(&self, taken: i128) -> TakenFrom {
        let Sums { denied, is_last_denied, .. } = self.same;
        let owed = self.same.owed();
        if denied <= 0 {
            TakenFrom::Owed
        } else if owed <= 0 || (self.is_one && is_last_denied && denied >= taken) {
            TakenFrom::Denied
        } else if self.is_one && !is_last_denied && owed >= taken {
            TakenFrom::Owed
        } else {
            TakenFrom::Both
        }
    }

    fn of_rest(&self, taken: i128, goes_beyond: bool) -> TakenFrom {
        let (denied, owed) = (self.rest.denied, self.rest.owed());
        if denied <= 0 {
            TakenFrom::Owed
        } else if owed <= 0 {
            // More than was ever earned is nobody's denied amount.
            if denied >= taken { TakenFrom::Denied } else { TakenFrom::Both }
        } else if self.is_new && !goes_beyond && owed >= taken {
            // A new fact that earns less than nothing lessens what is owed.
            TakenFrom::Owed
        } else {
            TakenFrom::Both
        }
    }
}

impl Shares {
    /// The commissions of a cell, the oldest first.
    pub fn of(shares: Vec<Share>) -> Self {
        Self(shares)
    }

    /// Whether any of it comes from there.
    pub fn knows(&self, origin: Origin) -> bool {
        self.0.iter().any(|share| share.origins.contains(&origin))
    }

    /// Takes in the next commission.
    pub fn push(&mut self, share: Share) {
        self.0.push(share);
    }

    /// A commission of it was decided.
    pub fn decide(&mut self, id: CommissionId, decided: Decided) {
        if let Some(share) = self.0.iter_mut().find(|share| share.id == id) {
            share.decided = decided;
        }
    }

    /// What a commission finds that comes from there; `is_new`: by new facts alone, neither refunds nor revisions.
    pub fn before(&self, origins: &[Origin], is_new: bool) -> Before {
        let groups = self.groups();
        let is_named = |share: &Share| share.origins.iter().any(|origin| origins.contains(origin));
        let of_groups: BTreeSet<usize> =
            self.0.iter().zip(&groups).filter(|(share, _)| is_named(share)).map(|(_, group)| *group).collect();
        let is_same = |place: usize| of_groups.contains(&groups[place]);
        let of_same = (0..groups.len()).filter(|place| is_same(*place)).flat_map(|place| &self.0[place].origins);
        let all_of_same: BTreeSet<&Origin> = of_same.chain(origins).collect();
        Before {
            same: self.sums(is_same),
            is_one: all_of_same.len() <= 1,
            rest: self.sums(|place| !is_same(place)),
            is_new: is_new && !origins.is_empty(),
        }
    }

    /// Whether a commission can be denied, and which others of the cell with it: what takes it back and waits, where nothing
    /// else is left of what it belongs to.
    ///
    /// # Errors
    /// [`Contradiction::TakenBack`]
    pub fn deny(&self, id: CommissionId) -> Result<Vec<CommissionId>, Contradiction> {
        let earns = |place: &usize| self.0[*place].amount > Decimal::ZERO;
        let Some(place) = self.place(id).filter(earns) else { return Ok(Vec::new()) };
        let (debt, within) = self.new_debt(place, Decided::Denied);
        if debt <= 0 {
            return Ok(self.waiting_with(place));
        }
        let takes_back = |place: &&usize| {
            let share = &self.0[**place];
            share.amount < Decimal::ZERO && share.decided == Decided::Approved
        };
        let by = within.iter().rev().find(takes_back).map(|place| self.0[*place].id);
        Err(Contradiction::TakenBack { by, debt: decimal(debt) })
    }

    /// Whether a commission can be approved, and which others of the cell with it: those that take it back in part and were
    /// denied with it, the latest first.
    ///
    /// # Errors
    /// [`Contradiction::CorrectsDenied`], [`Contradiction::GivenUp`]
    pub fn approve(&self, id: CommissionId) -> Result<Vec<CommissionId>, Contradiction> {
        let Some(place) = self.place(id) else { return Ok(Vec::new()) };
        if self.0[place].amount < Decimal::ZERO {
            let (debt, _) = self.new_debt(place, Decided::Approved);
            return if debt > 0 { Err(Contradiction::CorrectsDenied { debt: decimal(debt) }) } else { Ok(Vec::new()) };
        }
        if self.0[place].decided != Decided::Denied {
            return Ok(Vec::new());
        }
        let groups = self.groups();
        let mut then = self.clone();
        then.0[place].decided = Decided::Approved;
        let (mut left, mut with) = (i128::from(self.0[place].amount.0), Vec::new());
        let is_same = |taken: &usize| groups[*taken] == groups[place];
        for taken in (0..self.0.len()).rev().filter(is_same) {
            if then.sums(|place| is_same(&place)).denied >= 0 {
                break;
            }
            left += then.approve_with(taken, &mut with);
        }
        // What takes back more than it belongs to took it from the others.
        for taken in (0..self.0.len()).rev().filter(|taken| !is_same(taken)) {
            if then.approvable(&groups) >= 0 {
                break;
            }
            if self.sums(|place| groups[place] == groups[taken]).posted < 0 {
                left += then.approve_with(taken, &mut with);
            }
        }
        let is_covered = then.sums(|place| is_same(&place)).denied >= 0 && then.approvable(&groups) >= 0;
        if is_covered && (with.is_empty() || left > 0) { Ok(with) } else { Err(Contradiction::GivenUp) }
    }

    fn waiting_with(&self, denied: usize) -> Vec<CommissionId> {
        let groups = self.groups();
        let same =
            || self.0.iter().enumerate().filter(|(place, _)| *place != denied && groups[*place] == groups[denied]);
        let is_left = same().any(|(_, share)| share.amount > Decimal::ZERO && share.decided != Decided::Denied);
        let waits = |share: &Share| share.amount < Decimal::ZERO && share.decided == Decided::Pending;
        let gone = self.sums(|place| place == denied || groups[place] == groups[denied]);
        // More than was earned was taken from others.
        if is_left || gone.posted < 0 {
            return Vec::new();
        }
        same().filter(|(_, share)| waits(share)).map(|(_, share)| share.id).collect()
    }

    /// Approves what takes back and was denied; gives its amount.
    fn approve_with(&mut self, place: usize, with: &mut Vec<CommissionId>) -> i128 {
        let share = &mut self.0[place];
        if share.amount >= Decimal::ZERO || share.decided != Decided::Denied {
            return 0;
        }
        share.decided = Decided::Approved;
        with.push(share.id);
        i128::from(share.amount.0)
    }

    /// How much more debt a decision makes, and within which commissions: those that it belongs to, else all.
    fn new_debt(&self, place: usize, decided: Decided) -> (i128, BTreeSet<usize>) {
        let mut then = self.clone();
        then.0[place].decided = decided;
        let groups = self.groups();
        let related: BTreeSet<usize> = (0..groups.len()).filter(|other| groups[*other] == groups[place]).collect();
        let of_related =
            then.sums(|place| related.contains(&place)).debt() - self.sums(|place| related.contains(&place)).debt();
        if of_related > 0 {
            return (of_related, related);
        }
        (then.sums(|_| true).debt() - self.sums(|_| true).debt(), (0..groups.len()).collect())
    }

    /// What can be approved in the whole cell: a benefit that was given in one group covers nothing in another.
    fn approvable(&self, groups: &[usize]) -> i128 {
        let mut of_group: BTreeMap<usize, Sums> = BTreeMap::new();
        for (share, group) in self.0.iter().zip(groups) {
            of_group.entry(*group).or_default().add(share);
        }
        of_group.values().map(|sums| sums.approvable()).sum()
    }

    fn sums(&self, is_meant: impl Fn(usize) -> bool) -> Sums {
        let mut sums = Sums::default();
        self.0.iter().enumerate().filter(|(place, _)| is_meant(*place)).for_each(|(_, share)| sums.add(share));
        sums
    }

    fn place(&self, id: CommissionId) -> Option<usize> {
        self.0.iter().position(|share| share.id == id)
    }

    /// Of each commission the first that it belongs to: what one origin links, and what links origins.
    fn groups(&self) -> Vec<usize> {
        let mut leaders: Vec<usize> = (0..self.0.len()).collect();
        let mut first_of: BTreeMap<Origin, usize> = BTreeMap::new();
        for (place, share) in self.0.iter().enumerate() {
            for origin in &share.origins {
                let first = *first_of.entry(*origin).or_insert(place);
                let (one, other) = (leader(&mut leaders, first), leader(&mut leaders, place));
                leaders[one.max(other)] = one.min(other);
            }
        }
        (0..leaders.len()).map(|place| leader(&mut leaders, place)).collect()
    }
}

fn leader(leaders: &mut [usize], mut place: usize) -> usize {
    while leaders[place] != place {
        leaders[place] = leaders[leaders[place]];
        place = leaders[place];
    }
    place
}

/// A sum of amounts that each fit.
fn decimal(sum: i128) -> Decimal {
    Decimal(i64::try_from(sum).unwrap_or(i64::MAX))
}

#[cfg(test)]
#[path = "denial_tests.rs"]
mod tests;
