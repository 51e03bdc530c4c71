//! How far a customer is: each condition of its plan, its value now, and what is missing.

use crate::app::App;
use crate::error::{Error, Result};
use crate::history::History;
use crate::settle;
use headwater_domain::commission::{ConditionReport, Kind, PersonView, Terms, conditions};
use headwater_domain::ids::{AccountId, CustomerId, PersonId, ProgramId};
use headwater_store::person_state::PersonOf;
use std::collections::BTreeSet;

/// Conditions and where they stand: those of a rule, or of the plan's `qualification`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The rule's id; `None`: the plan's `qualification`.
    pub rule: Option<String>,
    /// The report.
    pub report: ConditionReport,
}

impl App {
    /// Every set of conditions that the plan in force now has for this customer.
    pub async fn customer_progress(&self, account: AccountId, customer: CustomerId) -> Result<Vec<Progress>> {
        let story = self.customer_read(account, customer).await?;
        let (directory, person) = (self.directory(), PersonId(story.person.id));
        let program = directory.program(account, ProgramId(story.person.program_id)).cloned();
        let program = program.ok_or(Error::NotFound("program"))?;
        let persons = if directory.is_wide(program.id) {
            // A condition on the partner looks at its other clients too.
            let history = History::read(self.store.clone()).await?;
            let mut circles = history.circles(&program, None).await?;
            let mut persons = Vec::new();
            while let Some(circle) = circles.next(&history, 1).await? {
                if circle.persons.contains(&person) {
                    persons = history.recorded(&program, &circle).await?.persons;
                    break;
                }
            }
            persons
        } else {
            let asked = [PersonOf { account_id: account.0, id: person.0 }];
            let people = self.store.money.read(async move |tx| settle::people(tx, &asked).await).await?;
            let views = people.iter().map(|person| directory.person_view(person).map(|(view, _)| view));
            views.collect::<headwater_store::backend::Result<Vec<PersonView>>>()?
        };
        let bindings = persons.iter().flat_map(|person| &person.customers).flat_map(|customer| &customer.bindings);
        let partners = directory.partners_from(bindings.map(|binding| binding.partner).collect(), &program)?;
        let exchange = directory.exchange(account);
        let terms = Terms { partners: &partners, exchange: &exchange, closed_before: program.closed_before };
        let plans = partners.values().flat_map(|partner| &partner.plans);
        let rules = plans.flat_map(|version| &version.plan.rules).filter(|rule| matches!(rule.kind, Kind::Cpa(_)));
        let rules: BTreeSet<&str> = rules.map(|rule| &*rule.id).collect();
        let account_of = |view: &PersonView| view.account(customer).or(view.first_account()).map(|own| own.customer);
        let own = persons.iter().find(|view| view.person == person).and_then(account_of);
        let Some(own) = own else { return Ok(Vec::new()) };
        let asked = std::iter::once(None).chain(rules.into_iter().map(Some));
        let report = |rule: Option<&str>| {
            let report = conditions(&persons, &terms, own, rule, self.clock.now())?;
            Some(Progress { rule: rule.map(str::to_owned), report })
        };
        Ok(asked.filter_map(report).collect())
    }
}
