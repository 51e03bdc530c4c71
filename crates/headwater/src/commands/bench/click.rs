//! The scenario `click`: visitors follow one link, and each becomes a stored row. Beside it nginx answers `return 302`
//! and writes its access log, on as many connections.

use super::load::Tally;
use super::nginx::Nginx;
use super::report::{Figures, Side};
use super::request::{Ask, Order};
use super::round::{Rounds, load};
use super::stage::Stage;
use super::{Settings, machine};
use anyhow::{Context as _, Result};

pub async fn measure(settings: &Settings, connections: usize) -> Result<Figures> {
    let mut stage = Stage::set_up(settings).await?;
    let nginx = Nginx::start(&stage.path("nginx")?).await?;
    let link = url::Url::parse(&stage.link_url)?;
    let ask = Ask::Visit(link[url::Position::BeforePath..].to_owned());
    let others_before = machine::others_percent_now().await;
    let idle_bytes = machine::resident_bytes(stage.server.id());
    let written_before = machine::written_bytes(stage.server.id());
    let mut rounds = Rounds::new(settings.seconds);
    let mut acknowledged = 0;
    while let Some(round) = rounds.next() {
        let order = |address: &str| Order {
            address: address.to_owned(),
            connections,
            milliseconds: round.milliseconds,
            status_expected: 302,
            run: round.number,
            ask: ask.clone(),
        };
        let watch = machine::Watch::start(settings.own());
        let ours = load(&order(&stage.server.address), stage.server.id())?;
        acknowledged += ours.acknowledged;
        let reference = nginx.as_ref().map(|nginx| load(&order(&nginx.address), nginx.id())).transpose()?;
        rounds.keep(&round, watch.others_percent(), ours, reference);
    }
    let written_bytes =
        machine::written_bytes(stage.server.id()).zip(written_before).map(|(after, before)| after - before);
    let resident_bytes = machine::resident_bytes(stage.server.id());
    stage.restart()?;
    let counters = stage.link_counters().await?;
    let found = counters["clicks"].as_u64().context("a link without clicks")?;
    stage.clear().await?;
    let side = |name: &str, tally: &Tally| Side::of(name, tally);
    let mut figures = Figures {
        scenario: "click",
        store: settings.store_name(),
        connections,
        ours: side("GET /click", &rounds.ours),
        reference: nginx.as_ref().map(|_| side("nginx return 302, access log", &rounds.reference)),
        ratio_thousandths: rounds.ratio_thousandths(),
        goal_thousandths: Some(if connections < 256 { 600 } else { 700 }),
        acknowledged: acknowledged + settings.claim_more,
        found,
        written_bytes,
        reference_written_bytes: nginx.as_ref().and_then(Nginx::log_bytes),
        resident_idle_bytes: idle_bytes,
        resident_bytes,
        rounds: rounds.kept(),
        rounds_dropped: rounds.dropped(),
        others_before_percent: others_before,
        others_percent_max: rounds.others_percent_max(),
        notes: Vec::new(),
    };
    if nginx.is_none() {
        figures.notes.push("nginx is not installed: there is no reference, and no ratio".to_owned());
    }
    figures.notes.extend(rounds.note());
    Ok(figures)
}
