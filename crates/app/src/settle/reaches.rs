//! How far what changes is felt by the plans of several partners (`commission::Reach`): worked out once for all persons of a
//! settlement whose partners are the same.
//!
//! Leaves to `part` and `window` what follows of it. Invariant: all is of the one configuration that the settlement decides
//! on; a plan that changes is of another directory, and so of another settlement.

use super::sources::Truths;
use crate::directory::Directory;
use headwater_domain::commission::Reach;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_store::backend::Result;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is known of the partners that were asked about; persons mostly have the same.
#[derive(Debug)]
pub(super) struct Reaches {
    directory: Arc<Directory>,
    known: BTreeMap<(ProgramId, BTreeSet<PartnerId>), Option<Arc<Reach>>>,
}

impl Reaches {
    pub(super) fn new(directory: Arc<Directory>) -> Self {
        Self { directory, known: BTreeMap::new() }
    }

    /// The reach of the plans of these partners in the program, and of all above them; `None`: what changes may be felt
    /// anywhere.
    pub(super) fn of(
        &mut self,
        (account, program): (AccountId, ProgramId),
        partners: BTreeSet<PartnerId>,
    ) -> Result<Option<Arc<Reach>>> {
        let key = (program, partners);
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let Some(program) = self.directory.program(account, program) else { return Ok(None) };
        let terms = self.directory.partners_from(key.1.iter().copied().collect(), program)?;
        let reach = Reach::of(terms.values()).map(Arc::new);
        self.known.insert(key, reach.clone());
        Ok(reach)
    }

    /// Which sources the program names as the truth.
    pub(super) fn truths(&self, account: AccountId, program: ProgramId) -> Truths {
        let program = self.directory.program(account, program);
        program.map(|program| program.settings.sources.clone()).unwrap_or_default()
    }
}
