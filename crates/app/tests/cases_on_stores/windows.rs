//! Long histories settled fact by fact, each by the days that it touches: after every step all of the program is recomputed,
//! cell by cell and hold by hold.
//!
//! Leaves what is told to `lives`. Invariant: a good part of all that is priced is priced by a part of what is known, else
//! this test would prove nothing. `HEADWATER_RANDOM_SEED` is the first seed, `HEADWATER_RANDOM_CASES` says how many.

mod lives;

use crate::model::random::Random;
use crate::node;
use crate::world::World;
use headwater_app::history::History;
use headwater_app::ingest::{Ingest, Record, Seen, Source};
use headwater_app::keep::Keep;
use headwater_app::settle::{Command, Track};
use headwater_domain::ids::KeyId;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use lives::{Act, Life};
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};

on_both_stores! { what_is_priced_by_days_is_worth_what_all_days_say }

async fn what_is_priced_by_days_is_worth_what_all_days_say(store: TestStore) {
    let read = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().expect("a whole number"));
    let first = read("HEADWATER_RANDOM_SEED").unwrap_or(1);
    let count = read("HEADWATER_RANDOM_CASES").unwrap_or(12);
    let app = node(&store).await;
    let mut failures = Vec::new();
    for seed in first..first + count {
        let life = Life::draw(seed);
        let mut world = World::open(&app, &life.case).await;
        let mut random = Random::new(seed ^ 0x5eed);
        for (number, act) in life.acts.iter().enumerate() {
            act_out(&mut world, &mut random, act).await;
            let history = History::read(store.store.clone()).await.expect("reads");
            if let Some(difference) = history.verify_program(world.program).await.expect("recomputes") {
                failures.push(format!("seed {seed}, act {number}: {difference}\n  {act:?}"));
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}\n{}", failures.len(), failures.join("\n"));
    let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let (by_part, by_all, again) = (of(&app.priced.by_part), of(&app.priced.by_all), of(&app.priced.again));
    println!("priced by a part {by_part}, by all {by_all}, again {again}");
    assert!(by_part * 4 > by_all, "only {by_part} were priced by a part, {by_all} by all");
    assert!(again * 10 < by_part, "{again} settlements were done again");
}

async fn act_out(world: &mut World, random: &mut Random, act: &Act) {
    match act {
        Act::Facts(facts, source) => {
            let records = facts.iter().map(|fact| world.fact(fact)).collect();
            push(world, *source, records).await;
        }
        Act::Customer(customer) => push(world, Source::Push, vec![world.customer(customer)]).await,
        Act::Event { email, event, amount, at } => track(world, email, event, *amount, *at).await,
        Act::Change(step) => {
            let _refused_or_done = world.step(step).await;
        }
        Act::ChangeThenFacts(step, facts) => {
            // What is dated back is priced again later than what comes in between.
            change_only(world, step).await;
            for fact in facts {
                push(world, Source::Push, vec![world.fact(fact)]).await;
            }
        }
    }
    if random.chance(50) || matches!(act, Act::ChangeThenFacts(..)) {
        world.app.reprice().await.expect("prices again");
    }
}

async fn push(world: &World, source: Source, records: Vec<Record>) {
    let (account, program) = (world.account, world.program);
    let ingest = Ingest {
        account,
        program,
        source,
        all_or_nothing: false,
        records,
        keep: Keep::nothing(),
        seen: Seen::Anything,
    };
    world.app.record(ingest).await.expect("records");
}

async fn change_only(world: &World, step: &Value) {
    if let Some(split) = step.get("split") {
        let _refused_or_done = world.split(split).await;
    }
    let at = |change: &Value| Instant::parse(change["at"].as_str().expect("text")).expect("an instant");
    if let Some(moved) = step.get("move_partner") {
        let (partner, parent) = (moved["partner"].as_str().expect("text"), moved["parent"].as_str());
        let _refused_or_done = world.app.partner_move(world.account, partner, parent, Some(at(moved))).await;
    }
    for (key, suspended) in [("suspend_partner", true), ("restore_partner", false)] {
        if let Some(change) = step.get(key) {
            let partner = change["partner"].as_str().expect("text");
            let done = world.app.partner_suspend(world.account, partner, suspended, Some(at(change))).await;
            done.expect("suspends");
        }
    }
}

/// An event of a client as the broker's server tells it.
async fn track(world: &World, email: &str, event: &str, amount: Option<i64>, at: Instant) {
    let track = Track {
        account: world.account,
        program: world.program,
        key: KeyId(1),
        trusted: true,
        event_type: event.into(),
        touch: None,
        touch_reason: None,
        email_key: Some(email.into()),
        name: None,
        amount: amount.map(|whole| (Decimal(whole * 1_000_000), whole.to_string())),
        currency: amount.and_then(|_| Currency::parse("USD")),
        metadata: None,
        data: None,
        event_key: None,
        fingerprint: "f".into(),
        occurred_at: Some(at),
        idempotency: None,
    };
    world.app.settle(Command::Track(Box::new(track))).await.expect("settles");
}
