//! Who is read with whom a batch touches: everybody that shares a cell with it, and nobody else.

use crate::fixture::{Fixture, NOW, fixture_with};
use headwater_app::error::Error;
use headwater_app::history::History;
use headwater_app::keep::Keep;
use headwater_app::partner::PartnerRequest;
use headwater_app::settle::Track;
use headwater_domain::ids::{CustomerId, PartnerId};
use headwater_domain::time::Instant;
use headwater_store::backend::Statement;
use headwater_testkit::count::{Figure, tamper};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    clients_of_other_partners_are_not_read,
    a_tree_is_read_where_a_plan_looks_along_it,
    who_was_bound_elsewhere_meanwhile_is_taken_back_there,
    whoever_is_priced_with_others_waits_no_longer,
}

const STEPS: &str = r#"{"name":"ib","currency":"USD","qualification":{"min_first_deposit":"5"},"rules":[
    {"id":"cpa","kind":"cpa","amount":"10","brackets":{"metric":"ftd","steps":[{"from":"0","rate":"10"},{"from":"2","rate":"14"}]}}]}"#;

/// A fact that cannot be read stops whoever reads it.
static SPOIL_LAST_FACT: Statement = Statement::new("UPDATE fact SET body = '[]' WHERE id = (SELECT MAX(id) FROM fact)");

/// Partners `ib2` and `ib3`, beside `ib1` of the fixture.
async fn partners(fixture: &Fixture) -> (PartnerId, PartnerId) {
    let mut made = Vec::new();
    for name in ["ib2", "ib3"] {
        let asked = PartnerRequest { id: Some(name.into()), name: Some(name.into()), ..PartnerRequest::default() };
        made.push(fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates").id);
    }
    (made[0], made[1])
}

/// The first deposit of a client whom this partner brought.
fn deposit(fixture: &Fixture, client: &str, partner: PartnerId) -> Track {
    let mut track = Track { email_key: Some(format!("{client}@example.org")), ..fixture.deposit() };
    if let Some(touch) = &mut track.touch {
        touch.partner = partner;
    }
    track
}

async fn verified(fixture: &Fixture) -> Option<String> {
    let history = History::read(fixture.store.store.clone()).await.expect("reads");
    history.verify().await.expect("recomputes").difference
}

async fn clients_of_other_partners_are_not_read(store: TestStore) {
    let fixture = fixture_with(store, STEPS).await;
    let (other, _) = partners(&fixture).await;
    fixture.settle(deposit(&fixture, "a", fixture.partner)).await;
    fixture.settle(deposit(&fixture, "b", other)).await;
    tamper(&fixture.store.store, &SPOIL_LAST_FACT).await;
    fixture.settle(deposit(&fixture, "c", fixture.partner)).await;
    fixture.check(&[(Figure::Paid, 38_000_000), (Figure::Balance, 0)]).await;
    let refused = fixture.ask(deposit(&fixture, "d", other)).await;
    assert!(matches!(refused, Err(Error::Store(_))), "whom its cells depend on is read: {refused:?}");
}

async fn a_tree_is_read_where_a_plan_looks_along_it(store: TestStore) {
    let tiers = STEPS.replace("\"rules\"", "\"tiers\":{\"method\":\"override\",\"levels\":[\"20\"]},\"rules\"");
    let fixture = fixture_with(store, tiers.leak()).await;
    let (below, apart) = partners(&fixture).await;
    fixture.app.partner_move(fixture.account, "ib2", Some("ib1"), Some(Instant(0))).await.expect("moves");
    fixture.settle(deposit(&fixture, "a", below)).await;
    fixture.settle(deposit(&fixture, "b", fixture.partner)).await;
    fixture.settle(deposit(&fixture, "c", below)).await;
    // 28 and a fifth of it to the parent; 10 of its own.
    fixture.check(&[(Figure::Paid, 43_600_000), (Figure::Balance, 0)]).await;
    assert_eq!(verified(&fixture).await, None);
    tamper(&fixture.store.store, &SPOIL_LAST_FACT).await;
    fixture.settle(deposit(&fixture, "d", apart)).await;
    assert!(fixture.ask(deposit(&fixture, "e", fixture.partner)).await.is_err());
}

async fn who_was_bound_elsewhere_meanwhile_is_taken_back_there(store: TestStore) {
    let fixture = fixture_with(store, STEPS).await;
    let (second, _) = partners(&fixture).await;
    fixture.settle(deposit(&fixture, "a", fixture.partner)).await;
    fixture.settle(deposit(&fixture, "b", second)).await;
    let a = fixture.events().await[0].client.expect("a client");
    for partner in ["ib2", "ib3"] {
        let moved = fixture.app.customer_attribute(fixture.account, CustomerId(a.0), partner, Some(Instant(1)), "sold");
        moved.await.expect("binds");
        fixture.app.reprice().await.expect("prices");
        assert_eq!(verified(&fixture).await, None, "{partner}");
    }
    // 10 each for b with the second and a with the third: nothing is left of a with the first two.
    fixture.check(&[(Figure::Paid, 20_000_000), (Figure::Balance, 0)]).await;
}

async fn whoever_is_priced_with_others_waits_no_longer(store: TestStore) {
    let fixture = fixture_with(store, STEPS).await;
    let (other, _) = partners(&fixture).await;
    fixture.settle(deposit(&fixture, "a", fixture.partner)).await;
    fixture.settle(deposit(&fixture, "b", fixture.partner)).await;
    fixture.settle(deposit(&fixture, "c", other)).await;
    let document = serde_json::from_str(&STEPS.replace("\"14\"", "\"20\"")).expect("JSON");
    let saved = fixture.app.plan_save(fixture.account, &document, Keep::nothing()).await;
    let (_, number) = saved.expect("saves");
    fixture.app.plan_activate(fixture.account, "ib", number, Instant(1)).await.expect("activates");
    fixture.app.clock.advance_seconds(1);
    let next = Track { occurred_at: Some(NOW), ..deposit(&fixture, "d", fixture.partner) };
    fixture.settle(next).await;
    fixture.check(&[(Figure::Paid, 70_000_000)]).await;
    assert_eq!(fixture.app.reprice().await.expect("prices"), 1, "a and b were priced with d");
    assert_eq!(verified(&fixture).await, None);
}
