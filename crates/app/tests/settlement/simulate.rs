//! A draft over recorded history: the window, what was posted, steps that several persons reach, and how many run.

use crate::fixture::{Fixture, NOW, fixture_with, node};
use headwater_app::error::Error;
use headwater_app::history::History;
use headwater_app::keep::Keep;
use headwater_app::partner::PartnerRequest;
use headwater_app::settle::Track;
use headwater_app::simulate::{Compared, Simulation, SimulationRequest};
use headwater_domain::commission::lint;
use headwater_domain::ids::CustomerId;
use headwater_domain::money::{Currency, Decimal, Unit};
use headwater_domain::time::{Date, Instant, Zone};
use headwater_store::backend::{Database, Tx};
use headwater_store::history::{PostedWithin, persons_bound, posted_within};
use headwater_store::simulation::simulation_insert;
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

on_both_stores! {
    a_draft_is_compared_with_what_was_posted,
    facts_outside_the_window_are_left_out,
    what_was_posted_is_what_the_books_say,
    steps_that_several_persons_reach_are_priced_alike_in_a_stream_and_together,
    what_the_plan_in_force_paid_along_a_tree_is_what_it_simulates,
    pages_hold_everybody_and_everything_once,
    two_run_at_once_and_a_third_is_told_so,
    what_was_left_running_has_failed_after_a_start,
}

const FLAT: &str =
    r#"{"name":"ib","currency":"USD","rules":[{"id":"each","kind":"flat","amount":"10","on":"SUBSCRIPTION"}]}"#;

fn of(client: &str, track: Track) -> Track {
    Track { email_key: Some(format!("{client}@example.org")), ..track }
}

fn usd() -> Unit {
    Unit::Currency(Currency::parse("USD").expect("known"))
}

fn day(after: i64) -> Date {
    Zone::UTC.day_of(NOW.plus_seconds(after * 86_400))
}

fn asked(fixture: &Fixture, draft: &Value, from: Date, to: Date) -> SimulationRequest {
    let plan = lint(draft).expect("clean");
    SimulationRequest { account: fixture.account, program: fixture.program, plan, from, to }
}

async fn simulated(fixture: &Fixture, draft: &Value, from: Date, to: Date) -> Simulation {
    let history = Arc::new(History::read(fixture.store.store.clone()).await.expect("reads"));
    history.simulate(asked(fixture, draft, from, to)).await.expect("simulates")
}

fn flat(amount: &str) -> Value {
    serde_json::from_str(&FLAT.replace("\"10\"", &format!("\"{amount}\""))).expect("JSON")
}

async fn a_draft_is_compared_with_what_was_posted(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    fixture.settle(of("a", fixture.track("SUBSCRIPTION"))).await;
    fixture.settle(of("b", fixture.track("SUBSCRIPTION"))).await;
    let found = simulated(&fixture, &flat("7"), day(0), day(1)).await;
    let expected = Compared { posted: 20_000_000, simulated: 14_000_000 };
    assert_eq!(found.partners.get(&(fixture.partner, usd())), Some(&expected));
    assert_eq!((found.persons, found.facts, found.totals.get(&usd())), (2, 2, Some(&expected)));
    let of_customers: Vec<Compared> = found.customers.values().copied().collect();
    assert_eq!(of_customers, [Compared { posted: 10_000_000, simulated: 7_000_000 }; 2]);
    fixture.check(&[(Figure::Commissions, 2), (Figure::Paid, 20_000_000)]).await;
}

async fn facts_outside_the_window_are_left_out(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    fixture.settle(of("a", fixture.track("SUBSCRIPTION"))).await;
    fixture.app.clock.advance_seconds(86_400);
    fixture.settle(of("b", fixture.track("SUBSCRIPTION"))).await;
    let total = async |from, to| {
        let found = simulated(&fixture, &flat("7"), day(from), day(to)).await;
        (found.facts, found.totals.get(&usd()).copied())
    };
    let one = Compared { posted: 10_000_000, simulated: 7_000_000 };
    assert_eq!(total(1, 2).await, (1, Some(one)), "the second day of a month alone");
    assert_eq!(total(0, 1).await, (1, Some(one)));
    let both = Compared { posted: 20_000_000, simulated: 14_000_000 };
    assert_eq!(total(0, 2).await, (2, Some(both)));
    assert_eq!(total(2, 9).await, (0, None));
}

async fn what_was_posted_is_what_the_books_say(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    fixture.settle(of("a", fixture.track("SUBSCRIPTION"))).await;
    let saved = fixture.app.plan_save(fixture.account, &flat("12.50"), Keep::nothing()).await;
    let (_, number) = saved.expect("saves");
    fixture.app.plan_activate(fixture.account, "ib", number, Instant(1)).await.expect("activates");
    let posted = async || {
        let found = simulated(&fixture, &flat("7"), day(0), day(1)).await;
        found.totals.get(&usd()).map(|compared| compared.posted)
    };
    assert_eq!(posted().await, Some(10_000_000), "the plan in force says more, and nothing was posted by it yet");
    fixture.app.reprice().await.expect("prices");
    assert_eq!(posted().await, Some(12_500_000));
}

/// Two clients together reach the step from 300 on. What follows steps alone is streamed; a cap over the period, which
/// cuts nothing here, makes the same draft one that is priced together.
async fn steps_that_several_persons_reach_are_priced_alike_in_a_stream_and_together(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    fixture.settle(of("a", fixture.deposit())).await;
    fixture.settle(of("b", fixture.deposit())).await;
    let draft = |mode: &str| {
        let steps = json!([{"from": "0", "rate": "10"}, {"from": "300", "rate": "20"}]);
        json!({"name": "draft", "currency": "USD", "rules": [{"id": "share", "kind": "percent", "of": ["deposit"],
            "brackets": {"metric": "base", "mode": mode, "steps": steps}}]})
    };
    let mut together = draft("whole");
    together["rules"][0]["cap"] = json!({"per": "period", "amount": "1000000"});
    for (draft, amount) in [(&draft("whole"), 100_000_000), (&together, 100_000_000), (&draft("marginal"), 70_000_000)]
    {
        let found = simulated(&fixture, draft, day(0), day(1)).await;
        let expected = Compared { posted: 0, simulated: amount };
        assert_eq!(found.totals.get(&usd()), Some(&expected), "{draft}");
        assert_eq!(found.partners.get(&(fixture.partner, usd())), Some(&expected), "{draft}");
        let of_customers: i128 = found.customers.values().map(|compared| compared.simulated).sum();
        assert_eq!((found.customers.len(), of_customers), (2, amount), "{draft}");
    }
}

/// Two partners under one, each with clients: they run into steps and caps apart, and what the one above gets of both is
/// added up before it is rounded.
async fn what_the_plan_in_force_paid_along_a_tree_is_what_it_simulates(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    for (name, parent) in [("above", None), ("left", Some("above")), ("right", Some("above"))] {
        let (id, parent) = (Some(name.to_owned()), Some(parent.map(str::to_owned)));
        let asked = PartnerRequest { id, parent, name: Some(name.to_owned()), ..PartnerRequest::default() };
        let made = fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates");
        for client in 0..2 {
            let mut track = of(&format!("{name}{client}"), fixture.deposit());
            track.amount = Some((Decimal(250_130_000), "250.13".to_owned()));
            track.touch.iter_mut().for_each(|touch| touch.partner = made.id);
            fixture.settle(track).await;
        }
    }
    for (tiers, mode, cap) in [
        (json!({"method": "override", "levels": ["0.333"]}), "marginal", "1000000"),
        (json!({"method": "override", "levels": ["0.333"]}), "whole", "60"),
        (json!({"method": "ratio", "percents": ["50", "0.333"]}), "marginal", "60"),
        (json!({"method": "split", "shares": ["66.667", "33.333"]}), "marginal", "60"),
        (json!({"method": "difference"}), "marginal", "60"),
        (json!({"method": "override", "levels": ["0.333"]}), "whole", ""),
        (json!({"method": "split", "shares": ["66.667", "33.333"]}), "whole", ""),
    ] {
        let steps = json!([{"from": "0", "rate": "10"}, {"from": "300", "rate": "20"}]);
        let mut plan = json!({"name": "ib", "currency": "USD", "tiers": tiers, "rules": [
            {"id": "share", "kind": "percent", "of": ["deposit"],
                "brackets": {"metric": "base", "mode": mode, "steps": steps}}]});
        if !cap.is_empty() {
            plan["rules"][0]["cap"] = json!({"per": "period", "amount": cap});
        }
        let saved = fixture.app.plan_save(fixture.account, &plan, Keep::nothing()).await;
        let (_, number) = saved.unwrap_or_else(|failure| panic!("{plan}: {failure:?}"));
        fixture.app.plan_activate(fixture.account, "ib", number, Instant(1)).await.expect("activates");
        fixture.app.reprice().await.expect("prices");
        let found = simulated(&fixture, &plan, day(0), day(1)).await;
        assert!(found.partners.len() >= 2, "{plan}: {found:?}");
        for (partner, compared) in &found.partners {
            assert_eq!(compared.difference(), 0, "{plan}: {partner:?} of {found:?}");
        }
    }
}

/// A page ends between two persons, also where one was bound twice.
async fn pages_hold_everybody_and_everything_once(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    for client in ["a", "b", "c"] {
        fixture.settle(of(client, fixture.track("SUBSCRIPTION"))).await;
    }
    let asked = PartnerRequest { id: Some("ib2".into()), name: Some("ib2".into()), ..PartnerRequest::default() };
    fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates");
    let b = fixture.events().await[1].client.expect("a client");
    let moved = fixture.app.customer_attribute(fixture.account, CustomerId(b.0), "ib2", Some(NOW), "sold");
    moved.await.expect("binds");
    let program_id = fixture.program.0;
    let asked = PostedWithin { program_id, from: i64::MIN, to: i64::MAX };
    let read = async |limit: i64| {
        let (mut bound, mut posted) = (Vec::new(), Vec::new());
        let (mut person, mut commission) = (i64::MIN, i64::MIN);
        loop {
            let page = async move |tx: &Tx<'_>| {
                Ok((
                    persons_bound(tx, program_id, person, limit).await?,
                    posted_within(tx, asked, commission, limit).await?,
                ))
            };
            let (persons, commissions) = fixture.store.store.money.read(page).await.expect("reads");
            if persons.is_empty() && commissions.is_empty() {
                return (bound, posted);
            }
            person = persons.last().map_or(person, |row| row.person_id);
            commission = commissions.last().map_or(commission, |row| row.id);
            bound.extend(persons.into_iter().map(|row| (row.person_id, row.partner_id)));
            posted.extend(commissions.into_iter().map(|row| (row.id, row.customer_id, row.amount)));
        }
    };
    let at_once = read(100).await;
    assert_eq!((at_once.0.len(), at_once.1.len()), (4, 3));
    let mut by_one = read(1).await;
    by_one.0.sort_unstable();
    assert_eq!(by_one, (at_once.0.iter().copied().collect::<BTreeSet<_>>().into_iter().collect(), at_once.1));
}

async fn two_run_at_once_and_a_third_is_told_so(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    let one = || fixture.app.simulation_create(asked(&fixture, &flat("7"), day(0), day(1)), &Value::Null);
    let (first, second, third) = tokio::join!(one(), one(), one());
    assert_eq!([first.expect("runs").status, second.expect("runs").status], ["done", "done"]);
    assert!(matches!(third, Err(Error::Busy)), "{third:?}");
    assert_eq!(one().await.expect("runs").status, "done");
}

/// On PostgreSQL another node may still run it; a data folder has one process.
async fn what_was_left_running_has_failed_after_a_start(store: TestStore) {
    let fixture = fixture_with(store, FLAT).await;
    let (account, program) = (fixture.account, fixture.program);
    let id = fixture.app.next_id(NOW);
    let insert = async move |tx: &Tx<'_>| simulation_insert(tx, id, account.0, program.0, "{}", NOW.0).await;
    fixture.store.store.money.write(insert).await.expect("inserts");
    if matches!(fixture.store.store.money, Database::Postgres(_)) {
        let beside = node(fixture.store.store.clone()).await;
        assert_eq!(beside.simulation_read(account, id).await.expect("reads").status, "running");
    }
    fixture.app.leave().await.expect("gives its number back");
    let after = node(fixture.store.store.clone()).await;
    assert_eq!(after.simulation_read(account, id).await.expect("reads").status, "failed");
}
