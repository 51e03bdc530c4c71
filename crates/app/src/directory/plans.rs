//! The plans of accounts as the rules need them: parsed, and in the order in which they came into force.
//!
//! Invariant: a version in force that cannot be read makes its plan unreadable, and nothing is priced by it.

use headwater_domain::commission::{Plan, PlanVersion, lint};
use headwater_domain::time::Instant;
use headwater_store::directory::PlanVersionRow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A plan's versions and the dates from which they are in force.
#[derive(Debug, Clone, Default)]
pub struct PlanHistory {
    /// By number.
    pub versions: BTreeMap<i64, PlanVersionRow>,
    /// From when which number is in force.
    pub activations: BTreeMap<i64, i64>,
    /// The same, parsed and sorted, as the rules need it.
    pub timeline: Vec<Arc<PlanVersion>>,
    /// Whether any version that was ever saved looks further than one person. It stays: what was posted by it has to be taken
    /// back by whatever follows.
    pub is_wide: bool,
    /// The same of versions by which partners of one tree share cells.
    pub is_along_trees: bool,
    /// The first version in force that could not be read: nothing is priced by this plan until it can be.
    pub unreadable: Option<i64>,
}

impl PlanHistory {
    /// Takes in a version that was saved.
    pub(super) fn save(&mut self, row: PlanVersionRow) {
        let plan = parsed(&row);
        self.is_wide |= plan.as_ref().is_some_and(Plan::reaches_beyond_a_person);
        self.is_along_trees |= plan.as_ref().is_some_and(Plan::reaches_along_the_tree);
        self.versions.insert(row.number, row);
    }

    /// Reads what is in force from when on, anew.
    pub(super) fn read_timeline(&mut self) {
        self.timeline.clear();
        self.unreadable = None;
        for (from, number) in &self.activations {
            // An activation can arrive before its version does; both are there once they are committed.
            let Some(row) = self.versions.get(number) else { continue };
            let Some(plan) = parsed(row) else {
                tracing::error!(plan = row.name, number, "a stored plan cannot be read; nothing is priced by it");
                self.unreadable.get_or_insert(*number);
                continue;
            };
            let version = PlanVersion { name: row.name.clone(), version: *number, from: Instant(*from), plan };
            self.timeline.push(Arc::new(version));
        }
    }
}

fn parsed(row: &PlanVersionRow) -> Option<Plan> {
    lint(&serde_json::from_str(&row.document).ok()?).ok()
}
