//! Pricing persons again after a dated change: nothing new happened to them, but what happened is worth something else.

use super::decide::Decision;
use super::{Answer, Command};
use headwater_domain::ids::{AccountId, PersonId, ProgramId};
use headwater_store::backend::Result;
use headwater_store::repricing::Served;
use headwater_store::settlement::Number;

/// The persons that a command asks to be priced again.
pub(super) fn persons(command: &Command) -> Vec<Number> {
    match command {
        Command::Reprice { persons, .. } => persons.iter().map(|(person, _)| Number { id: person.0 }).collect(),
        Command::Track(_) | Command::Confirm { .. } | Command::Reject { .. } | Command::Record(_) => Vec::new(),
    }
}

impl Decision<'_> {
    /// Prices each, or their circles where rules add up over several persons.
    pub(super) fn price_again(
        &mut self,
        account: AccountId,
        program: ProgramId,
        persons: &[(PersonId, Option<i64>)],
    ) -> Result<Answer> {
        let program = self.program(account, program)?;
        for (person, mark) in persons {
            self.view.served.extend(mark.map(|mark| Served { person_id: person.0, mark }));
            if self.directory.is_wide(program.id) {
                self.view.dirty.entry(program.id).or_default();
                continue;
            }
            let Some(mut record) = self.view.persons.remove(person) else { continue };
            let priced = self.price_changed(&mut record, &program, &[]);
            self.update_person(&record);
            self.view.persons.insert(*person, record);
            priced?;
        }
        Ok(Answer::Repriced)
    }
}
