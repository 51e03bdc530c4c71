//! The scenario `engine`: facts in, postings out, in memory and on one core, by a plan of ten rules. Beside it the same
//! rows, read and summed.
//!
//! Both sides start from rows as the store holds them, so that the difference is the pricing alone. What the postings
//! come to is checked against the sum that the rules give on paper.

use super::load::Tally;
use super::report::{Figures, Side};
use super::round::Rounds;
use super::{Settings, machine};
use anyhow::{Context as _, Result, anyhow, ensure};
use headwater_domain::commission::{
    Binding, CustomerView, ExchangeRates, PartnerTerms, PersonView, PlanVersion, Posting, Terms, evaluate, lint,
    postings,
};
use headwater_domain::fact::{Fact, FactBody};
use headwater_domain::ids::{CustomerId, FactId, PartnerId, PersonId};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant as At;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A quarter's trading days, and the deposit before them.
const DAYS: i64 = 64;
const PARTNER: PartnerId = PartnerId(1);
/// Facts a second that the engine must price (`performance.md`).
const FACTS_PER_SECOND_MIN: u64 = 300_000;

/// How long explanations are written.
const TOLD_MILLISECONDS: u64 = 1000;

/// A fact as the store holds it.
struct Row {
    id: i64,
    kind: &'static str,
    key: String,
    at: i64,
    body: String,
}

pub async fn measure(settings: &Settings) -> Result<Figures> {
    let rows = rows()?;
    let plan = lint(&plan()).map_err(|mistakes| anyhow!("the plan: {mistakes:?}"))?;
    let version = PlanVersion { name: plan.name.clone(), version: 1, from: At(0), plan };
    let terms = PartnerTerms { plans: vec![Arc::new(version)], ..PartnerTerms::default() };
    let partners = BTreeMap::from([(PARTNER, terms)]);
    let others_before = machine::others_percent_now().await;
    let mut rounds = Rounds::new(settings.seconds);
    let mut priced = 0;
    while let Some(round) = rounds.next() {
        let watch = machine::Watch::start(settings.own());
        let ours = repeat(round.milliseconds, rows.len(), || price(&rows, &partners, &mut |_| {}))?;
        let reference = repeat(round.milliseconds, rows.len(), || sum(&rows))?;
        priced += ours.acknowledged;
        rounds.keep(&round, watch.others_percent(), ours, Some(reference));
    }
    let mut written = 0;
    let mut tell = |posting: &Posting<'_>| written += posting.explanation().len();
    let told = repeat(TOLD_MILLISECONDS, rows.len(), || price(&rows, &partners, &mut tell))?;
    let mut notes = vec![
        format!("the goal is {FACTS_PER_SECOND_MIN} facts a second; postings are as computed by hand"),
        format!(
            "with every posting's explanation, as where it is stored: {} facts a second, {} bytes a fact",
            told.per_second(),
            u64::try_from(written)? / (told.acknowledged + u64::try_from(rows.len())?)
        ),
    ];
    notes.extend(rounds.note());
    Ok(Figures {
        scenario: "engine",
        store: "memory",
        connections: 1,
        ours: Side::of("facts in, postings out", &rounds.ours),
        reference: Some(Side::of("the same rows, read and summed", &rounds.reference)),
        ratio_thousandths: rounds.ratio_thousandths(),
        goal_thousandths: None,
        acknowledged: priced + settings.claim_more,
        found: priced,
        written_bytes: None,
        reference_written_bytes: None,
        resident_idle_bytes: None,
        resident_bytes: machine::resident_bytes(std::process::id()),
        rounds: rounds.kept(),
        rounds_dropped: rounds.dropped(),
        others_before_percent: others_before,
        others_percent_max: rounds.others_percent_max(),
        notes,
    })
}

/// Again and again for so long; each time counts as so many facts and must come to the same.
fn repeat(milliseconds: u64, facts: usize, mut work: impl FnMut() -> Result<Decimal>) -> Result<Tally> {
    let started = Instant::now();
    let mut tally = Tally::default();
    let expected = work()?;
    while started.elapsed() < Duration::from_millis(milliseconds) {
        let begun = Instant::now();
        let came = work()?;
        ensure!(came == expected, "{came} instead of {expected} for the same facts");
        tally.acknowledged += u64::try_from(facts)?;
        tally.latencies.record(u64::try_from(begun.elapsed().as_micros())?);
    }
    tally.elapsed_micros = u64::try_from(started.elapsed().as_micros())?;
    Ok(tally)
}

fn price(
    rows: &[Row],
    partners: &BTreeMap<PartnerId, PartnerTerms>,
    tell: &mut dyn FnMut(&Posting<'_>),
) -> Result<Decimal> {
    let customer = CustomerView {
        customer: CustomerId(1),
        registered_at: At(0),
        country: Some("DE".to_owned()),
        account_type: None,
        campaign: None,
        link: None,
        bindings: vec![Binding::new(At(0), PARTNER)],
    };
    let facts: Vec<Fact> = rows.iter().map(read).collect::<Result<_>>()?;
    let changed: Vec<FactId> = facts.iter().map(|fact| fact.id).collect();
    let person = PersonView { person: PersonId(1), customers: vec![customer], facts };
    let exchange = ExchangeRates::default();
    let terms = Terms { partners, exchange: &exchange, closed_before: None };
    let evaluation = evaluate(std::slice::from_ref(&person), &terms);
    ensure!(evaluation.held.is_empty(), "facts are held: {:?}", evaluation.held);
    let mut owed = Decimal::ZERO;
    for posting in postings(&evaluation, &BTreeMap::new(), &changed) {
        owed = owed.checked_add(posting.amount).context("out of range")?;
        tell(&posting);
    }
    let by_hand = Decimal::parse(&by_hand().to_string()).context("a number")?;
    ensure!(owed == by_hand, "{owed} is owed, and {by_hand} by hand");
    Ok(owed)
}

fn sum(rows: &[Row]) -> Result<Decimal> {
    let mut sum = Decimal::ZERO;
    for row in rows {
        let amount = match read(row)?.body {
            FactBody::TradingDay(day) => day.lots,
            FactBody::Money { amount, .. } => amount,
            _ => Decimal::ZERO,
        };
        sum = sum.checked_add(amount).context("out of range")?;
    }
    Ok(sum)
}

fn read(row: &Row) -> Result<Fact> {
    let body = FactBody::from_stored(row.kind, &row.body).context("a fact that cannot be read")?;
    let key = row.key.clone();
    Ok(Fact { id: FactId(row.id), key, revision: None, customer: CustomerId(1), at: At(row.at), body })
}

/// A deposit, and days of one lot each.
fn rows() -> Result<Vec<Row>> {
    let start = At::parse("2026-01-05T12:00:00Z").context("a time")?;
    let deposit = json!({ "amount": "500", "currency": "USD", "status": "approved" });
    let mut rows = vec![Row { id: 1, kind: "deposit", key: "d".to_owned(), at: start.0, body: deposit.to_string() }];
    for day in 0..DAYS {
        let at = start.plus_seconds(day * 86_400);
        let date = at.iso8601().chars().take(10).collect::<String>();
        let instrument = if day % 2 == 0 { "EURUSD" } else { "XAUUSD" };
        let body = json!({ "date": date, "instrument": instrument, "lots": "1", "currency": "USD", "pnl": "-3.25" });
        rows.push(Row { id: day + 2, kind: "trading_day", key: date, at: at.0, body: body.to_string() });
    }
    Ok(rows)
}

/// One rule for the deposit, nine for lots: four for every instrument, three for one of them, two for the other.
fn plan() -> Value {
    let mut rules = vec![json!({ "id": "cpa", "kind": "cpa", "amount": "400" })];
    for (number, instrument) in
        [None, None, None, None, Some("EURUSD"), Some("EURUSD"), Some("EURUSD"), Some("XAUUSD"), Some("XAUUSD")]
            .into_iter()
            .enumerate()
    {
        let mut rule = json!({ "id": format!("lots{number}"), "kind": "per_lot", "rate": "2" });
        if let Some(instrument) = instrument {
            rule["when"] = json!({ "instrument": [instrument] });
        }
        rules.push(rule);
    }
    json!({ "name": "ten", "currency": "USD", "qualification": { "min_first_deposit": "250" }, "rules": rules })
}

/// What `plan` owes for `rows`.
const fn by_hand() -> i64 {
    400 + 2 * (4 * DAYS + 3 * DAYS / 2 + 2 * DAYS / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_rules_price_every_fact() {
        assert_eq!(plan()["rules"].as_array().map(Vec::len), Some(10));
        assert_eq!(by_hand(), 1232);
        let tally = repeat(0, 1, || sum(&rows()?)).expect("summed");
        assert_eq!(tally.acknowledged, 0, "the first only says what must come");
    }
}
