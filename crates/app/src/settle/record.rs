//! Records of customers and facts: all of one command are decided together, and every person that they touch is priced
//! once, after the last of them; but for facts of which something was denied (`origin`).
//!
//! Customers come before facts, whatever their order in the request. What is refused is known before anything is done, so
//! that one refused record can refuse all (`refuse`). `account` has the customers, `revision` the facts. Invariant: an equal record changes nothing.

use super::Answer;
use super::decide::Decision;
use crate::directory::Program;
use crate::ingest::{Ingest, Record, RecordStatus, Recorded, Rejection};
use headwater_domain::ids::{FactId, PersonId};
use headwater_store::backend::Result;
use std::collections::BTreeMap;

/// Persons to price, with the facts that changed for them.
pub(super) type Touched = BTreeMap<PersonId, Vec<FactId>>;

impl Decision<'_> {
    /// Decides all records of one sender.
    pub(super) fn record_all(&mut self, ingest: &Ingest) -> Result<Answer> {
        if !self.is_as_seen(ingest) {
            return Ok(Answer::Overtaken);
        }
        let program = self.program(ingest.account, ingest.program)?;
        let refused = self.refusals(ingest, &program);
        if ingest.all_or_nothing && refused.iter().any(Option::is_some) {
            let status = |refused: Option<Rejection>| refused.map_or(RecordStatus::Unchanged, RecordStatus::Rejected);
            return Ok(Answer::Recorded(refused.into_iter().map(|refused| nothing(status(refused))).collect()));
        }
        let mut touched = Touched::new();
        let mut answers: Vec<Option<Recorded>> = refused
            .into_iter()
            .map(|refused| refused.map(|rejection| nothing(RecordStatus::Rejected(rejection))))
            .collect();
        for (answer, record) in answers.iter_mut().zip(&ingest.records) {
            if let Record::Customer(customer) = record {
                *answer = Some(self.record_customer(&program, customer, &mut touched));
            }
        }
        for (answer, record) in answers.iter_mut().zip(&ingest.records) {
            if let (Record::Fact(fact), None) = (record, &answer) {
                let is_apart = self.price_apart(ingest, &program, fact, &mut touched)?;
                *answer = Some(self.record_fact(ingest, &program, fact, &mut touched));
                if is_apart {
                    self.price_now(ingest, &program, &mut touched)?;
                    self.price_programs()?;
                }
            }
        }
        self.price_now(ingest, &program, &mut touched)?;
        Ok(Answer::Recorded(answers.into_iter().flatten().collect()))
    }

    pub(super) fn price_touched(&mut self, program: &Program, touched: Touched) -> Result<()> {
        let mut standing = Touched::new();
        for (person, changed) in touched {
            standing.entry(self.view.known.standing(person)).or_default().extend(changed);
        }
        for (person, changed) in standing {
            let Some(mut record) = self.view.persons.remove(&person) else { continue };
            let priced = self.price_changed(&mut record, program, &changed);
            self.update_person(&record);
            self.view.persons.insert(person, record);
            priced?;
        }
        Ok(())
    }
}

/// A record that left nothing.
pub(super) fn nothing(status: RecordStatus) -> Recorded {
    Recorded { status, warnings: Vec::new(), fact: None, customer: None }
}
