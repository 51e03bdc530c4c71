//! The scenario `simulate`: `headwater simulate` over a year of trading days, by a draft with steps and three tiers. Beside
//! it the same rows, read from the same store on all cores, and their lots summed.
//!
//! It runs twice, on a tenth of the rows and on all of them: the memory that it takes at most must not grow with them.
//! What it finds is checked against sums made while the rows were written.

use super::Settings;
use super::load::Tally;
use super::machine::{self, peak_resident_bytes};
use super::process::{self, headwater};
use super::report::{Figures, Side};
use super::round::Rounds;
use super::settling::Settling;
use super::year::{Year, draft};
use anyhow::{Context as _, Result, ensure};
use headwater_domain::fact::FactBody;
use headwater_domain::ids::ProgramId;
use headwater_domain::money::Decimal;
use headwater_store::history::persons_bound;
use headwater_store::person_state::{PersonOf, facts_whole};
use headwater_store::{Place, Store};
use serde_json::Value;
use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The goal is four times as long as reading takes.
const GOAL_THOUSANDTHS: u64 = 250;
const ROUNDS: u64 = 3;
/// How many persons the reference reads at once; ours reads as many where they have few rows.
const PERSONS_AT_ONCE: usize = 64;
/// How often the memory of a running simulation is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub async fn measure(settings: &Settings) -> Result<Figures> {
    let folder = tempfile::Builder::new().prefix("headwater-bench-").tempdir_in(&settings.folder)?;
    let place = process::Place::make(settings.database_url.as_deref(), folder.path()).await?;
    let data = folder.path().join("data");
    let at = place.database_url().map_or_else(|| Place::Folder(data.clone()), |url| Place::Postgres(url.to_owned()));
    let settling = Settling::open(&at).await?;
    let mut year = Year::open(&settling).await?;
    let plan = folder.path().join("draft.json");
    std::fs::write(&plan, draft().to_string())?;
    let asked = Asked { data: &data, plan: &plan, database_url: place.database_url(), program: year.program() };
    let others_before = machine::others_percent_now().await;

    year.grow(settings.rows / 10).await?;
    let (few, few_resident) = (year.rows(), asked.run(&year).await?.1);
    year.grow(settings.rows).await?;
    let store = Store::open_beside(&at, |error| eprintln!("headwater: {error}")).await?;
    let mut rounds = Rounds::new(ROUNDS);
    let (mut priced, mut resident) = (0, None);
    while let Some(round) = rounds.next() {
        let watch = machine::Watch::start(settings.own());
        let reference = read(&store, &year).await?;
        let (ours, peak) = asked.run(&year).await?;
        priced += ours.acknowledged;
        resident = resident.max(peak);
        rounds.keep(&round, watch.others_percent(), ours, Some(reference));
    }
    let mebibytes = |bytes: Option<u64>| bytes.map_or_else(|| "?".to_owned(), |bytes| (bytes >> 20).to_string());
    let mut notes = vec![
        format!("a year of {} customers of {} partners; {} cores", year.customers(), year.partners(), cores()),
        format!(
            "memory at most: {} MiB for {few} rows, {} MiB for {}",
            mebibytes(few_resident),
            mebibytes(resident),
            year.rows()
        ),
        "what it finds is what the rows add up to".to_owned(),
    ];
    notes.extend(rounds.note());
    drop(store);
    settling.app.close().await;
    drop(settling);
    place.clear().await?;
    Ok(Figures {
        scenario: "simulate",
        store: settings.store_name(),
        connections: 1,
        ours: Side::of("a draft over a year", &rounds.ours),
        reference: Some(Side::of("the same rows, read and summed", &rounds.reference)),
        ratio_thousandths: rounds.ratio_thousandths(),
        goal_thousandths: Some(GOAL_THOUSANDTHS),
        acknowledged: priced + settings.claim_more,
        found: priced,
        written_bytes: None,
        reference_written_bytes: None,
        resident_idle_bytes: few_resident,
        resident_bytes: resident,
        rounds: rounds.kept(),
        rounds_dropped: rounds.dropped(),
        others_before_percent: others_before,
        others_percent_max: rounds.others_percent_max(),
        notes,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

struct Asked<'a> {
    data: &'a Path,
    plan: &'a Path,
    database_url: Option<&'a str>,
    program: ProgramId,
}

impl Asked<'_> {
    /// Runs the command to its end; gives what it did and the most memory that it held.
    async fn run(&self, year: &Year<'_>) -> Result<(Tally, Option<u64>)> {
        let started = Instant::now();
        let mut command = headwater()?;
        command.arg("simulate").arg("--data").arg(self.data).arg("--plan").arg(self.plan);
        command.args(["--program", &self.program.to_string(), "--from", "2025-01-01", "--to", "2026-01-01", "--json"]);
        if let Some(url) = self.database_url {
            command.env("HEADWATER_DATABASE_URL", url);
        }
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut output = child.stdout.take().context("its output")?;
        let printed = std::thread::spawn(move || {
            let mut text = String::new();
            output.read_to_string(&mut text).map(|_| text)
        });
        let mut peak = None;
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            peak = peak.max(peak_resident_bytes(child.id()));
            tokio::time::sleep(LOOK).await;
        };
        let elapsed = started.elapsed();
        ensure!(status.success(), "headwater simulate failed: {status}");
        let text = printed.join().ok().context("its output")??;
        let found: Value = serde_json::from_str(text.trim()).context("its answer")?;
        let total = &found["totals"][0];
        let facts = found["facts"].as_u64().context("how many facts")?;
        ensure!(facts == year.rows(), "{facts} facts of {}", year.rows());
        for (key, expected) in [("simulated", year.worth()), ("posted", year.posted())] {
            let came = total[key].as_str().and_then(|text| Decimal::parse(text).ok());
            ensure!(came == Some(expected), "{key}: {} instead of {expected}", total[key]);
        }
        let mut tally = Tally { acknowledged: facts, ..Tally::default() };
        tally.elapsed_micros = u64::try_from(elapsed.as_micros())?;
        tally.latencies.record(tally.elapsed_micros);
        Ok((tally, peak))
    }
}

/// Every row once, in the order of persons, on all cores.
async fn read(store: &Store, year: &Year<'_>) -> Result<Tally> {
    let started = Instant::now();
    let (account_id, id) = (year.account().0, year.program().0);
    let bound = store.money.read(async move |tx| persons_bound(tx, id, i64::MIN, i64::MAX).await).await?;
    let mut persons: Vec<i64> = bound.into_iter().map(|row| row.person_id).collect();
    persons.dedup();
    let mut running = tokio::task::JoinSet::new();
    let (mut rows, mut lots) = (0_u64, Decimal::ZERO);
    let mut take = |part: Result<(u64, Decimal)>| -> Result<()> {
        let (count, sum) = part?;
        rows += count;
        lots = lots.checked_add(sum).context("out of range")?;
        Ok(())
    };
    for persons in persons.chunks(PERSONS_AT_ONCE) {
        if running.len() > cores() {
            take(running.join_next().await.context("a task")??)?;
        }
        let asked: Vec<_> = persons.iter().map(|id| PersonOf { account_id, id: *id }).collect();
        let store = store.clone();
        running.spawn(async move {
            let rows = store.money.read(async move |tx| facts_whole(tx, &asked).await).await?;
            tokio::task::spawn_blocking(move || {
                let mut lots = Decimal::ZERO;
                for row in &rows {
                    let body = FactBody::from_stored(&row.kind, &row.body).context("a fact that cannot be read")?;
                    if let FactBody::TradingDay(day) = body {
                        lots = lots.checked_add(day.lots).context("out of range")?;
                    }
                }
                anyhow::Ok((u64::try_from(rows.len())?, lots))
            })
            .await?
        });
    }
    while let Some(done) = running.join_next().await {
        take(done?)?;
    }
    ensure!((rows, lots) == (year.rows(), year.lots()), "{rows} rows of {lots} lots were read");
    let mut tally = Tally { acknowledged: rows, ..Tally::default() };
    tally.elapsed_micros = u64::try_from(started.elapsed().as_micros())?;
    tally.latencies.record(tally.elapsed_micros);
    Ok(tally)
}
