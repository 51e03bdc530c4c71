//! Which of a person's facts are priced: not those of an account that nobody knows, and of each figure only those of the
//! source that is the truth for it (`commissions.md` §5).
//!
//! The program's settings name the truth; else it is, account by account, the source that brought the figure first. What
//! an event says is said of the person: it stands for every account. Trades of a source are the truth before its daily
//! rows. What was brought along from another program is what it is, and is the truth for nothing. Invariant: one figure of one account is paid from one source.

use super::view::PersonRecord;
use headwater_domain::commission::{Held, HeldReason};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{CustomerId, FactId};
use headwater_domain::source::{Source, figures, without};
use std::collections::{BTreeMap, BTreeSet};

/// Who brought a figure first: of an account, of the person's events, or of the person in any way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Of {
    Account(CustomerId),
    Events,
    Anything,
}

/// Which source is the truth for a figure, where the program's settings say so.
pub(super) type Truths = BTreeMap<String, Source>;

/// What is priced, and what is held instead.
pub(super) fn admitted(person: &PersonRecord, sources: &Truths) -> (Vec<Fact>, Vec<Held>) {
    if are_all_admitted(person, sources) {
        return (person.facts.clone(), Vec::new());
    }
    let truth = Truth::of(person, sources);
    let (mut facts, mut held) = (Vec::with_capacity(person.facts.len()), Vec::new());
    for fact in &person.facts {
        if person.placeholders.contains(&fact.customer) {
            let detail = "no record of this customer has come".to_owned();
            held.push(Held { fact: fact.id, reason: HeldReason::UnknownCustomer, detail });
            continue;
        }
        let elsewhere = truth.elsewhere(person, fact);
        if elsewhere.is_empty() {
            facts.push(fact.clone());
            continue;
        }
        let told: Vec<_> = elsewhere.iter().map(|(figure, by)| format!("{figure} is paid from {by}")).collect();
        held.push(Held { fact: fact.id, reason: HeldReason::SecondSource, detail: told.join(", ") });
        let figures: Vec<&str> = elsewhere.iter().map(|(figure, _)| figure.as_str()).collect();
        facts.extend(without(&fact.body, &figures).map(|body| Fact { body, ..fact.clone() }));
    }
    (facts, held)
}

/// Whether every fact is priced as it came.
pub(super) fn are_all_admitted(person: &PersonRecord, sources: &Truths) -> bool {
    sources.is_empty() && person.placeholders.is_empty() && comes_one_way(person)
}

/// Whether all trading of an account comes from one source, as trades or as daily rows: then a fact of it is priced as it
/// would be among all others. Figures with names of their own are told apart alike.
pub(super) fn is_one_way(ways: Option<&BTreeSet<String>>) -> bool {
    let Some(ways) = ways else { return false };
    let (kpis, trades): (Vec<&String>, Vec<&String>) = ways.iter().partition(|way| way.starts_with("kpi:"));
    kpis.len() <= 1 && trades.len() <= 1
}

/// All facts are of one source, and trading comes as trades or as daily rows.
fn comes_one_way(person: &PersonRecord) -> bool {
    let own = person.arrivals.values().filter(|arrival| arrival.source != Source::Moved);
    let mut sources = own.map(|arrival| arrival.source);
    let first = sources.next();
    let has = |is: fn(&FactBody) -> bool| person.facts.iter().any(|fact| is(&fact.body));
    sources.all(|source| Some(source) == first)
        && !(has(|body| matches!(body, FactBody::Trade(_))) && has(|body| matches!(body, FactBody::TradingDay(_))))
}

struct Truth<'a> {
    sources: &'a Truths,
    first: BTreeMap<(Of, String), (FactId, Source)>,
    /// Figures of an account that a source brings by trades.
    by_trades: BTreeSet<(CustomerId, Source, String)>,
}

impl<'a> Truth<'a> {
    fn of(person: &PersonRecord, sources: &'a Truths) -> Self {
        let mut truth = Self { sources, first: BTreeMap::new(), by_trades: BTreeSet::new() };
        for fact in &person.facts {
            let arrival = person.arrivals.get(&fact.id).filter(|arrival| arrival.source != Source::Moved);
            let Some(arrival) = arrival else { continue };
            let of = if arrival.source == Source::Events { Of::Events } else { Of::Account(fact.customer) };
            for figure in figures(&fact.body) {
                if matches!(fact.body, FactBody::Trade(_)) {
                    truth.by_trades.insert((fact.customer, arrival.source, figure.clone()));
                }
                for of in [of, Of::Anything] {
                    let came = (arrival.first, arrival.source);
                    let first = truth.first.entry((of, figure.clone())).or_insert(came);
                    *first = came.min(*first);
                }
            }
        }
        truth
    }

    /// The figures of a fact that are paid from elsewhere, each with where.
    fn elsewhere(&self, person: &PersonRecord, fact: &Fact) -> Vec<(String, &'static str)> {
        let arrival = person.arrivals.get(&fact.id).filter(|arrival| arrival.source != Source::Moved);
        let Some(arrival) = arrival else { return Vec::new() };
        let mut elsewhere = Vec::new();
        for figure in figures(&fact.body) {
            let truth = self.source(&figure, fact.customer, arrival.source);
            let by_trades = matches!(fact.body, FactBody::TradingDay(_))
                && self.by_trades.contains(&(fact.customer, arrival.source, figure.clone()));
            if truth != arrival.source {
                elsewhere.push((figure, truth.name()));
            } else if by_trades {
                elsewhere.push((figure, "single trades"));
            }
        }
        elsewhere
    }

    fn source(&self, figure: &str, customer: CustomerId, own: Source) -> Source {
        if let Some(set) = self.sources.get(figure) {
            return *set;
        }
        let first = |of: Of| self.first.get(&(of, figure.to_owned()));
        let found = match own {
            Source::Events => first(Of::Anything),
            _ => first(Of::Account(customer)).into_iter().chain(first(Of::Events)).min(),
        };
        found.map_or(own, |(_, source)| *source)
    }
}
