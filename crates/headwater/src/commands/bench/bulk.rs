//! The scenarios `bulk` and `activities`: a thousand daily rows a request, new and sent again, priced by a plan of ten rules
//! into the ledger. Beside them the bare store upserts the same rows, a request's in one transaction.
//!
//! Rows a second, on both sides. Reading the same bodies without a store is measured in every round as well, on one core,
//! and told in a note. Afterwards every row must be there, and the ledger must owe exactly what the rows come to.

use super::load::Tally;
use super::report::{Figures, Side};
use super::request::{Ask, Order};
use super::round::{Rounds, load, median};
use super::rows::{COUNTRIES, CUSTOMERS, INSTRUMENTS, RECORDS, Rows, Sent};
use super::stage::{COMMISSION, PARTNER, Stage};
use super::{Settings, machine};
use anyhow::{Context as _, Result, ensure};
use headwater_store::Store;
use headwater_store::backend::Database;
use headwater_store::bare::{BareDay, bare_create, bare_upsert, trading_days_count};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Every matching lot pays so much, in USD.
const RATE: u64 = 2;
/// Access tokens: each may ask a thousand times a minute, and a brand's key as often.
const TOKENS: usize = 4;
const MILLIONTHS: i64 = 1_000_000;

pub async fn measure(settings: &Settings, rows: Rows, connections: usize) -> Result<Figures> {
    let mut stage = Stage::set_up(settings).await?;
    let mut ask = ask(&stage, rows).await?;
    let place = stage.other_place(settings).await?;
    let bare = Store::open(&place.to_store(), |error| eprintln!("headwater: {error}")).await?;
    bare_create(&bare.money).await?;
    let mut bare_rows = Bare { rows, next_block: 0 };
    let others_before = machine::others_percent_now().await;
    let idle_bytes = machine::resident_bytes(stage.server.id());
    let (written_before, mut reference_written) = (machine::written_bytes(stage.server.id()), Some(0));
    let mut rounds = Rounds::new(settings.seconds);
    let (mut sent, mut parsed) = (Sent::default(), Vec::new());
    while let Some(round) = rounds.next() {
        if let Ask::Push { first_block, .. } = &mut ask {
            *first_block = sent.requests + sent.starts;
        }
        let order = Order {
            address: stage.server.address.clone(),
            connections,
            milliseconds: round.milliseconds,
            status_expected: 200,
            run: round.number,
            ask: ask.clone(),
        };
        let watch = machine::Watch::start(settings.own());
        let ours = load(&order, stage.server.id())?;
        ensure!(ours.failures.is_empty(), "pushes were not taken: {:?}", ours.failures);
        sent.requests += ours.acknowledged / RECORDS;
        sent.starts += connections as u64;
        let before = machine::written_bytes(std::process::id());
        let reference = bare_rows.run(&bare.money, round.milliseconds).await?;
        let after = machine::written_bytes(std::process::id());
        reference_written = reference_written.zip(after.zip(before)).map(|(sum, (after, before))| sum + after - before);
        let parse = parse_alone(rows, round.milliseconds / 4)?;
        parsed.extend((ours.per_second() * 1000).checked_div(parse.per_second()));
        rounds.keep(&round, watch.others_percent(), ours, Some(reference));
    }
    drop(bare);
    let written_bytes =
        machine::written_bytes(stage.server.id()).zip(written_before).map(|(after, before)| after - before);
    let resident_bytes = machine::resident_bytes(stage.server.id());
    let found = {
        let store = stage.open_store().await?;
        u64::try_from(trading_days_count(&store.money).await?)?
    };
    stage.start()?;
    let (owed, by_hand) = (stage.owed_to_partners().await?, COMMISSION * CUSTOMERS + RATE * sent.lots());
    ensure!(owed == by_hand, "{owed} USD is owed for what was pushed, and {by_hand} by hand");
    stage.clear().await?;
    place.clear().await?;
    let mut notes = vec![
        format!("the ledger owes {owed} USD, as by hand: {RATE} for each of {} lots", sent.lots()),
        "a row counts as an answer; p50 and p99 are of requests of a thousand rows".to_owned(),
    ];
    if let Some(ratio) = median(parsed) {
        notes.push(format!(
            "{}.{:02} of reading the same bodies alone, on one core (goal 0.25)",
            ratio / 1000,
            ratio % 1000 / 10
        ));
    }
    notes.extend(rounds.note());
    Ok(Figures {
        scenario: if rows == Rows::TradingDays { "bulk" } else { "activities" },
        store: settings.store_name(),
        connections,
        ours: Side::of(path(rows).trim_start_matches("/api/v1"), &rounds.ours),
        reference: Some(Side::of("the bare store, the same rows", &rounds.reference)),
        ratio_thousandths: rounds.ratio_thousandths(),
        goal_thousandths: Some(if settings.database_url.is_some() { 500 } else { 350 }),
        acknowledged: sent.rows() + settings.claim_more,
        found,
        written_bytes,
        reference_written_bytes: reference_written,
        resident_idle_bytes: idle_bytes,
        resident_bytes,
        rounds: rounds.kept(),
        rounds_dropped: rounds.dropped(),
        others_before_percent: others_before,
        others_percent_max: rounds.others_percent_max(),
        notes,
    })
}

fn path(rows: Rows) -> &'static str {
    match rows {
        Rows::TradingDays => "/api/v1/forex/trading-activity",
        Rows::Activities => "/tracking/events/activities",
    }
}

/// The plan and the clients, each with a first deposit that pays; gives what to ask.
async fn ask(stage: &Stage, rows: Rows) -> Result<Ask> {
    stage.use_plan(&plan(rows)).await?;
    let mut tokens = Vec::new();
    for _ in 0..TOKENS {
        tokens.push(stage.access_token().await?);
    }
    let token = tokens.first().context("tokens were made")?;
    let customer = |number: usize| {
        json!({ "customer_id": format!("c{number}"), "signup_date": "2023-12-01T10:00:00Z", "affiliate_id": PARTNER,
            "country_code": COUNTRIES[number % COUNTRIES.len()] })
    };
    let deposit = |number: usize| {
        json!({ "transaction_id": format!("t{number}"), "customer_id": format!("c{number}"), "transaction_type": "deposit",
            "amount_currency": 500, "currency": "USD", "transaction_date": "2023-12-02T10:00:00Z", "status": "approved" })
    };
    let all =
        |of: &dyn Fn(usize) -> Value| Value::Array((0..usize::try_from(CUSTOMERS).unwrap_or(0)).map(of).collect());
    stage.push(token, "customers", &all(&customer)).await?;
    stage.push(token, "transactions", &all(&deposit)).await?;
    let keys = match rows {
        Rows::TradingDays => tokens.iter().map(|token| format!("Authorization: Bearer {token}")).collect(),
        Rows::Activities => vec![format!("X-API-Key: {}", stage.key("brand_token")?)],
    };
    Ok(Ask::Push { rows, path: path(rows).to_owned(), keys, first_block: 0 })
}

/// A first deposit pays, and lots by instrument; by country where no instrument is named. Every row meets one of the nine.
fn plan(rows: Rows) -> Value {
    let (field, values, others) = match rows {
        Rows::TradingDays => ("instrument", INSTRUMENTS, ["USDJPY", "USDCHF", "AUDUSD", "XAGUSD", "BTCUSD"]),
        Rows::Activities => ("country", COUNTRIES, ["FR", "IT", "PL", "NL", "SE"]),
    };
    let mut rules = vec![json!({ "id": "cpa", "kind": "cpa", "amount": COMMISSION.to_string() })];
    for value in values.into_iter().chain(others) {
        rules.push(json!({ "id": value.to_lowercase(), "kind": "per_lot", "rate": RATE.to_string(), "when": { field: [value] } }));
    }
    json!({ "name": "ten", "currency": "USD", "qualification": { "min_first_deposit": "250" }, "rules": rules })
}

/// The reference: one transaction after the other, each a request's rows.
struct Bare {
    rows: Rows,
    next_block: u64,
}

impl Bare {
    async fn run(&mut self, database: &Database, milliseconds: u64) -> Result<Tally> {
        let (started, mut tally) = (Instant::now(), Tally::default());
        let mut again = self.take();
        while started.elapsed() < Duration::from_millis(milliseconds) {
            let new = self.take();
            let rows = self.days(again, new)?;
            again = new;
            let begun = Instant::now();
            bare_upsert(database, rows).await?;
            tally.latencies.record(u64::try_from(begun.elapsed().as_micros())?);
            tally.acknowledged += RECORDS;
        }
        tally.elapsed_micros = u64::try_from(started.elapsed().as_micros())?;
        Ok(tally)
    }

    fn take(&mut self) -> u64 {
        self.next_block += 1;
        self.next_block - 1
    }

    fn days(&self, again: u64, new: u64) -> Result<Vec<BareDay>> {
        let days = [self.rows.day(again), self.rows.day(new)];
        let row = |row: super::rows::Row| {
            let (units, cents) = (i64::try_from(row.units())?, i64::try_from(row.cents())?);
            let amount = units * MILLIONTHS + cents * MILLIONTHS / 100;
            Ok(BareDay {
                day: days[usize::from(row.block == new)].clone(),
                customer: format!("c{}", row.customer),
                instrument: row.instrument.to_owned(),
                currency: "USD".to_owned(),
                lots: i64::from(row.lots) * MILLIONTHS,
                volume_usd: Some(amount * 1000),
                spread_cost: Some(amount),
                commission: Some(amount),
                pnl: Some(-amount),
            })
        };
        self.rows.request(again, new).map(row).collect()
    }
}

/// Reads and judges the bodies as the API does, and throws them away.
fn parse_alone(rows: Rows, milliseconds: u64) -> Result<Tally> {
    let mut body = String::new();
    rows.write(0, 1, &mut body);
    let read = match rows {
        Rows::TradingDays => headwater_web::api::forex::pushes::trading_days_read,
        Rows::Activities => headwater_web::api::brand::activities::activities_read,
    };
    let (started, mut tally) = (Instant::now(), Tally::default());
    while started.elapsed() < Duration::from_millis(milliseconds) || tally.acknowledged == 0 {
        let found = read(&body.clone().into());
        ensure!(found as u64 == RECORDS, "{found} records were read of {RECORDS}");
        tally.acknowledged += RECORDS;
    }
    tally.elapsed_micros = u64::try_from(started.elapsed().as_micros())?;
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_has_ten_rules_and_the_bodies_are_read() {
        for rows in [Rows::TradingDays, Rows::Activities] {
            assert_eq!(plan(rows)["rules"].as_array().map(Vec::len), Some(10));
            assert!(headwater_domain::commission::lint(&plan(rows)).is_ok());
            assert_eq!(parse_alone(rows, 0).map(|tally| tally.acknowledged).ok(), Some(RECORDS));
        }
    }
}
