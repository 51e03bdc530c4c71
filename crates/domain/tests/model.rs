//! An independent, naive model of flat, cpa and `per_lot`: cents by hand, no cells, no fractions. Whatever the order of
//! arrival, the batching, the re-sends and the reversals, the posted totals equal the model's.

use headwater_domain::commission::{
    Binding, CustomerView, ExchangeRates, PartnerTerms, PersonView, PlanVersion, PostedCell, Terms, evaluate, lint,
    postings,
};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{CustomerId, FactId, PartnerId, PersonId};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use proptest::prelude::*;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// 2025-01-01T00:00:00Z.
const START_SECONDS: i64 = 1_735_689_600;

#[derive(Debug, Clone)]
struct Case {
    lot_rate_micros: i64,
    flat_cents: i64,
    cpa_cents: i64,
    minimum_units: i64,
    records: Vec<Record>,
    batch: usize,
}

/// One record of a feed: a row, a deposit or an event of an account on a day of the year.
#[derive(Debug, Clone)]
struct Record {
    what: u8,
    account: i64,
    day: i64,
    size: i64,
    alive: bool,
}

impl Record {
    /// Several records may have one key: the last to arrive counts.
    fn key(&self) -> String {
        format!("{}-{}-{}", self.what, self.account, self.day)
    }

    fn month(&self) -> i64 {
        self.day / 31
    }

    fn fact(&self, id: i64) -> Fact {
        let at = self.at();
        let size = Decimal(self.size * 10_000).to_string();
        let (type_name, body) = match self.what {
            0 => (
                "trade",
                json!({"opened_at": at.iso8601(), "closed_at": at.iso8601(), "instrument": "EURUSD",
                "lots": if self.alive { size } else { "0".into() }, "currency": "USD"}),
            ),
            1 => (
                "deposit",
                json!({"amount": size, "currency": "USD",
                "status": if self.alive { "approved" } else { "reversed" }}),
            ),
            _ => ("event", json!({"event": if self.alive { "SUBSCRIPTION" } else { "CANCELLED" }})),
        };
        let body = FactBody::from_json(type_name, &body).expect("well formed");
        Fact { id: FactId(id), key: self.key(), revision: None, customer: CustomerId(self.account), at, body }
    }

    /// Within the first ten days of its month, so that a month of 31 days in the model is a calendar month.
    fn at(&self) -> Instant {
        let month_start = [0, 31, 59][usize::try_from(self.month()).expect("January to March")];
        Instant::from_seconds(START_SECONDS + (month_start + self.day % 31) * 86_400 + 3600 * i64::from(self.what))
    }
}

fn half_away(numerator: i64, denominator: i64) -> i64 {
    let size = (2 * numerator.abs() + denominator) / (2 * denominator);
    if numerator < 0 { -size } else { size }
}

/// Cents, from the last record of each key.
fn model(case: &Case) -> i64 {
    let mut last: BTreeMap<String, &Record> = BTreeMap::new();
    for record in &case.records {
        last.insert(record.key(), record);
    }
    let alive: Vec<&Record> = last.into_values().filter(|record| record.alive).collect();
    let mut total = 0;
    let mut lots: BTreeMap<(i64, i64), i64> = BTreeMap::new();
    for trade in alive.iter().filter(|record| record.what == 0) {
        *lots.entry((trade.account, trade.month())).or_default() += trade.size;
    }
    // Hundredths of a lot times millionths of a unit are 10^-8 units: 10^6 of them are a cent.
    total += lots.values().map(|hundredths| half_away(hundredths * case.lot_rate_micros, 1_000_000)).sum::<i64>();
    let events = alive.iter().filter(|record| record.what == 2).count();
    total += case.flat_cents * i64::try_from(events).expect("few");
    let accounts: BTreeSet<i64> = alive.iter().map(|record| record.account).collect();
    let mut deposits: Vec<(i64, i64, i64)> =
        alive.iter().filter(|r| r.what == 1).map(|r| (r.day, r.account, r.size)).collect();
    deposits.sort_unstable();
    let is_qualified = deposits.first().is_some_and(|(_, _, size)| *size >= case.minimum_units * 100);
    assert!(accounts.len() <= 2);
    total + if is_qualified { case.cpa_cents } else { 0 }
}

/// What is posted after the records differences in batches, in cents; checks that a re-send of everything posts nothing.
fn booked(case: &Case) -> i64 {
    let plan = json!({"name": "p", "currency": "USD", "rules": [
        {"id": "lots", "kind": "per_lot", "rate": Decimal(case.lot_rate_micros).to_string()},
        {"id": "sub", "kind": "flat", "amount": Decimal(case.flat_cents * 10_000).to_string(), "on": "SUBSCRIPTION",
         "once_per": "event"},
        {"id": "cpa", "kind": "cpa", "amount": Decimal(case.cpa_cents * 10_000).to_string(),
         "qualify": {"min_first_deposit": case.minimum_units.to_string()}}]});
    let plan = lint(&plan).expect("clean");
    let version = PlanVersion { name: "p".into(), version: 1, from: Instant(i64::MIN), plan };
    let terms = PartnerTerms { plans: vec![Arc::new(version)], ..PartnerTerms::default() };
    let partners = BTreeMap::from([(PartnerId(1), terms)]);
    let exchange = ExchangeRates::default();
    let terms = Terms { partners: &partners, exchange: &exchange, closed_before: None };
    let view_of = |number| CustomerView {
        customer: CustomerId(number),
        registered_at: Instant::from_seconds(START_SECONDS + number),
        country: None,
        account_type: None,
        campaign: None,
        link: None,
        bindings: vec![Binding::new(Instant(i64::MIN), PartnerId(1))],
    };
    let mut person = PersonView { person: PersonId(1), customers: vec![view_of(1), view_of(2)], facts: Vec::new() };
    let mut books: BTreeMap<String, PostedCell> = BTreeMap::new();
    let mut settle = |person: &PersonView, changed: &[FactId]| {
        let evaluation = evaluate(std::slice::from_ref(person), &terms);
        let differences = postings(&evaluation, &books, changed);
        for posting in &differences {
            let nothing =
                || PostedCell { cell: posting.cell.clone(), amount: Decimal::ZERO, cut_off: Decimal::ZERO, last: None };
            let cell = books.entry(posting.cell_text.clone()).or_insert_with(nothing);
            cell.amount = cell.amount.checked_add(posting.amount).expect("small");
        }
        (differences.len(), books.values().map(|cell| cell.amount.0).sum::<i64>() / 10_000)
    };
    let mut next = 0;
    for batch in case.records.chunks(case.batch) {
        let mut changed = Vec::new();
        for record in batch {
            next += 1;
            let fact = record.fact(next);
            changed.push(fact.id);
            let is_same = |known: &Fact| known.key == fact.key && known.body.type_name() == fact.body.type_name();
            person.facts.retain(|known| !is_same(known));
            person.facts.push(fact);
        }
        settle(&person, &changed);
    }
    let (again, total) = settle(&person, &[]);
    assert_eq!(again, 0, "a re-send posts nothing");
    person.facts.clear();
    assert_eq!(settle(&person, &[FactId(next)]).1, 0, "booked and reversed is nothing");
    total
}

fn record() -> impl Strategy<Value = Record> {
    (0_u8..3, 1_i64..3, 0_i64..3, 0_i64..10, 1_i64..100_000, prop::bool::weighted(0.8)).prop_map(
        |(what, account, month, day, size, alive)| Record { what, account, day: month * 31 + day, size, alive },
    )
}

fn case() -> impl Strategy<Value = Case> {
    let records = prop::collection::vec(record(), 0..25);
    (1_i64..20_000_000, 1_i64..5_000, 1_i64..50_000, 1_i64..900, records, 1_usize..6).prop_map(
        |(lot_rate_micros, flat_cents, cpa_cents, minimum_units, records, batch)| Case {
            lot_rate_micros,
            flat_cents,
            cpa_cents,
            minimum_units,
            records,
            batch,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn postings_add_up_to_the_model(case in case()) {
        prop_assert_eq!(booked(&case), model(&case));
    }

    #[test]
    fn the_order_of_arrival_and_the_batching_change_nothing(case in case(), batch in 1_usize..30) {
        // One record per key: revisions of one key keep their order by contract.
        let mut seen = BTreeSet::new();
        let mut records = case.records.clone();
        records.retain(|record| seen.insert(record.key()));
        let forward = Case { records: records.clone(), ..case.clone() };
        records.reverse();
        let backward = Case { records, batch, ..case };
        prop_assert_eq!(booked(&forward), booked(&backward));
    }
}
