//! A refund is kept with the person of its sale, whoever it names: it reduces that sale's cells, and follows the sale when
//! that is sent again as another customer's.
//!
//! Leaves what fits into a sale to the engine. Invariant: of the sales that a command names, or whose refunds it names, no
//! refund stands with another person than its sale, whichever of them arrived first.

use super::decide::Decision;
use super::names::sale_of;
use super::record::Touched;
use crate::ingest::{Ingest, Record};
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{FactId, PersonId};
use headwater_domain::source::Source;
use headwater_store::ingest::FactMove;
use std::collections::{BTreeMap, BTreeSet};

/// A refund and where it stands.
struct Standing {
    person: PersonId,
    fact: FactId,
    source: Source,
    sale: String,
}

impl Decision<'_> {
    /// Brings the refunds of the sales that were named to where these stand now. Of several sales of one key the refund is
    /// of the one from its own source, else of the one that came first.
    pub(super) fn follow_sales(&mut self, ingest: &Ingest, touched: &mut Touched) {
        let facts = ingest.records.iter().filter_map(|record| match record {
            Record::Fact(fact) => sale_of(fact),
            Record::Customer(_) => None,
        });
        let named: BTreeSet<String> = facts.collect();
        if named.is_empty() {
            return;
        }
        let mut sales: BTreeMap<&str, Vec<(Source, FactId, PersonId)>> = BTreeMap::new();
        let mut refunds = Vec::new();
        for person in self.view.persons.values().filter(|person| person.program == ingest.program) {
            for fact in &person.facts {
                let Some(arrival) = person.arrivals.get(&fact.id) else { continue };
                match &fact.body {
                    FactBody::Sale { .. } if named.contains(&fact.key) => {
                        sales.entry(&fact.key).or_default().push((arrival.source, arrival.first, person.id));
                    }
                    FactBody::Refund { sale, .. } if named.contains(sale) => {
                        let (fact, source, sale) = (fact.id, arrival.source, sale.clone());
                        refunds.push(Standing { person: person.id, fact, source, sale });
                    }
                    _ => {}
                }
            }
        }
        let home = |refund: Standing| {
            let of_key = sales.get(refund.sale.as_str())?.iter();
            let (.., home) = of_key.min_by_key(|(source, first, _)| (*source != refund.source, *first))?;
            (*home != refund.person).then_some((refund, *home))
        };
        let moves: Vec<_> = refunds.into_iter().filter_map(home).collect();
        for (refund, home) in moves {
            self.move_refund(ingest, &refund, home, touched);
        }
    }

    fn move_refund(&mut self, ingest: &Ingest, refund: &Standing, home: PersonId, touched: &mut Touched) {
        let Some(record) = self.view.persons.get_mut(&refund.person) else { return };
        let Some(place) = record.place_of(refund.fact) else { return };
        let Some(arrival) = record.arrivals.remove(&refund.fact) else { return };
        let fact = record.facts.remove(place);
        let name = (ingest.program, refund.source, fact.body.type_name(), fact.key.clone());
        if let Some((person, ..)) = self.view.known.facts.get_mut(&name) {
            *person = home;
        }
        self.move_fact(FactMove {
            program_id: ingest.program.0,
            source: refund.source.name().into(),
            kind: fact.body.type_name().into(),
            fact_key: fact.key.clone(),
            person_id: home.0,
        });
        if let Some(record) = self.view.persons.get_mut(&home) {
            record.arrivals.insert(fact.id, arrival);
            record.facts.push(fact);
        }
        for person in [refund.person, home] {
            touched.entry(person).or_default().push(refund.fact);
        }
    }
}
