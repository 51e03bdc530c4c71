//! What a partner's user may see beside its own: the partners below, where a program lets them be seen.
//!
//! Leaves who is above whom at another time to pricing (`settle`). Invariant: outside the programs that are visible to it,
//! and outside its own tree, nothing of another partner is shown to a partner.

use crate::app::App;
use crate::directory::Partner;
use headwater_domain::ids::{PartnerId, ProgramId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A partner below, and how far.
#[derive(Debug, Clone)]
pub struct Below {
    /// Which.
    pub partner: Arc<Partner>,
    /// 1: directly.
    pub depth: usize,
}

impl App {
    /// Programs of which the partner is a member and that show it the tree below.
    pub fn tree_programs(&self, partner: &Partner) -> BTreeSet<ProgramId> {
        let directory = self.directory();
        let members = self.memberships_of(partner.account, partner.id).into_iter().map(|member| member.program);
        let shows = |id: &ProgramId| directory.program(partner.account, *id).is_some_and(|p| p.settings.tree_visible);
        members.filter(shows).collect()
    }

    /// The partners below that its user may see, nearest first: those that are members of a program that shows them.
    pub fn partners_below(&self, partner: &Partner) -> Vec<Below> {
        let programs = self.tree_programs(partner);
        if programs.is_empty() {
            return Vec::new();
        }
        let (directory, now) = (self.directory(), self.clock.now());
        let mut children: BTreeMap<PartnerId, Vec<Arc<Partner>>> = BTreeMap::new();
        for other in directory.partners(partner.account) {
            if let Some(parent) = other.parent_at(now) {
                children.entry(parent).or_default().push(other);
            }
        }
        let (mut below, mut level, mut depth) = (Vec::new(), vec![partner.id], 0);
        // Taking the children out ends the walk, whatever the rows say.
        while !level.is_empty() {
            depth += 1;
            let next: Vec<_> = level.iter().filter_map(|id| children.remove(id)).flatten().collect();
            level = next.iter().map(|partner| partner.id).collect();
            below.extend(next.into_iter().map(|partner| Below { partner, depth }));
        }
        let is_member = |of: &Below| programs.iter().any(|id| directory.membership_in(*id, of.partner.id).is_some());
        below.retain(is_member);
        below
    }
}
