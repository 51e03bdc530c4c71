//! The scenario `track`: one first deposit of a new client each, to its attribution, commission, ledger entries and
//! outbox. Beside it the ceiling of the store (`ceiling.rs`).
//!
//! The outbox is written: an endpoint is subscribed, and never answers. Delivering is not measured here.

use super::ceiling::Ceiling;
use super::report::{Figures, Side};
use super::request::{Ask, Order};
use super::round::{Rounds, load};
use super::stage::{COMMISSION, Stage};
use super::{Settings, machine};
use anyhow::{Context as _, Result, ensure};

/// Click tokens that events name.
const CLICKS: usize = 64;
/// Events a second that the keys must be enough for.
const EVENTS_PER_SECOND_MAX: u64 = 20_000;
/// What one key may do at once, and in every second after (`management.md`: 600 a minute).
const KEY_BURST: u64 = 600;
const KEY_PER_SECOND: u64 = 10;

pub async fn measure(settings: &Settings, connections: usize) -> Result<Figures> {
    let mut stage = Stage::set_up(settings).await?;
    let _silent = stage.subscribe().await?;
    let keys = EVENTS_PER_SECOND_MAX * settings.seconds / (KEY_BURST + KEY_PER_SECOND * settings.seconds) + 1;
    let ask = Ask::Track { keys: stage.keys(keys).await?, clicks: stage.clicks(CLICKS).await? };
    let place = stage.other_place(settings).await?;
    let ceiling = match place.database_url() {
        None => Ceiling::of_rows(&stage.path("ceiling")?).await?,
        Some(url) => Ceiling::of_settlements(url).await?,
    };
    let others_before = machine::others_percent_now().await;
    let idle_bytes = machine::resident_bytes(stage.server.id());
    let (written_before, mut reference_written) = (machine::written_bytes(stage.server.id()), Some(0));
    let mut rounds = Rounds::new(settings.seconds);
    let mut acknowledged = 0;
    while let Some(round) = rounds.next() {
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
        acknowledged += ours.acknowledged;
        let before = machine::written_bytes(std::process::id());
        let reference = ceiling.run(connections, round.milliseconds).await?;
        let after = machine::written_bytes(std::process::id());
        reference_written = reference_written.zip(after.zip(before)).map(|(sum, (after, before))| sum + after - before);
        rounds.keep(&round, watch.others_percent(), ours, Some(reference));
    }
    let written_bytes =
        machine::written_bytes(stage.server.id()).zip(written_before).map(|(after, before)| after - before);
    let resident_bytes = machine::resident_bytes(stage.server.id());
    let reference_name = ceiling.name();
    drop(ceiling);
    stage.restart()?;
    let counters = stage.link_counters().await?;
    let found = counters["events_by_type"]["FIRST_DEPOSIT"].as_u64().context("a link without deposits")?;
    let owed = stage.owed_to_partners().await?;
    ensure!(owed == found * COMMISSION, "{found} deposits were attributed, but {owed} is owed for them");
    stage.clear().await?;
    place.clear().await?;
    let mut notes = vec![format!("the ledger owes {owed} USD: {COMMISSION} for each of {found} deposits")];
    notes.extend(rounds.note());
    Ok(Figures {
        scenario: "track",
        store: settings.store_name(),
        connections,
        ours: Side::of("POST events/track", &rounds.ours),
        reference: Some(Side::of(reference_name, &rounds.reference)),
        ratio_thousandths: rounds.ratio_thousandths(),
        goal_thousandths: Some(600),
        acknowledged: acknowledged + settings.claim_more,
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
