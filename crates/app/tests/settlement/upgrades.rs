//! A member that has brought what its campaign asks moves on to the next one: once, whichever node looks, with its token.

use crate::brokers::{account, customer, deposit, fact, usd};
use crate::fixture::{CPA, Fixture, NOW, fixture_with, node};
use headwater_app::audit::DeedFilter;
use headwater_app::campaign::is_archived;
use headwater_app::ingest::{FactRecord, Record};
use headwater_app::keep::Keep;
use headwater_app::membership::{MemberState, Membership, MembershipChange};
use headwater_app::partner::PartnerRequest;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::ProgramId;
use headwater_domain::money::Decimal;
use headwater_store::Store;
use headwater_store::backend::Tx;
use headwater_store::upgrade::upgrades_due;
use headwater_testkit::database::{TestStore, postgres};
use headwater_testkit::on_both_stores;
use serde_json::{Value, json};
use std::sync::Arc;

on_both_stores! {
    who_brings_enough_moves_on_once_with_its_token,
    revenue_counts_without_what_was_given_back,
    a_customer_counts_for_whose_it_is_now,
    who_has_enough_already_moves_when_the_campaign_says_so,
    who_is_barred_there_stays,
    who_has_enough_moves_once_it_is_let_in,
    a_change_of_a_colour_lets_nobody_be_looked_at,
    who_is_let_in_again_there_moves,
    one_campaign_stays_however_many_are_deleted_at_once,
    upgrades_that_are_said_at_once_go_in_no_circle,
}

fn sale(customer: &str, key: &str, dollars: i64) -> Record {
    let amount = Decimal(dollars * 1_000_000);
    let body = FactBody::Sale { amount, currency: usd(), product: None, billing_period: None };
    fact(FactRecord { body, ..deposit(customer, key, 0) })
}

fn refund(customer: &str, key: &str, of: &str, dollars: i64) -> Record {
    let body = FactBody::Refund { amount: Decimal(dollars * 1_000_000), currency: usd(), sale: of.into() };
    fact(FactRecord { body, ..deposit(customer, key, 0) })
}

async fn next_campaign(fixture: &Fixture) -> ProgramId {
    let asked = json!({"name": "Gold", "landing_url": "https://www.broker.example/gold", "ref_token_param": "?fpr",
        "visitor_cookie_life": 60});
    let asked = asked.as_object().expect("an object");
    fixture.app.campaign_create(fixture.account, asked, None).await.expect("creates").id
}

async fn asks(fixture: &Fixture, to: ProgramId, amount: i64, metric: &str) {
    let asked = json!({"upgrade_details": {"campaign_id": to.0, "amount": amount, "metric": metric}});
    let asked = asked.as_object().expect("an object");
    let after = fixture.app.campaign_patch(fixture.account, fixture.program, asked).await.expect("patches");
    assert!(!is_archived(&after) && after.settings.campaign["upgrade_details"]["amount"] == amount);
}

fn member(fixture: &Fixture, program: ProgramId) -> Option<Arc<Membership>> {
    fixture.app.membership_of(fixture.account, program, fixture.partner).ok()
}

fn state(fixture: &Fixture, program: ProgramId) -> Option<MemberState> {
    member(fixture, program).map(|member| member.state)
}

async fn look(fixture: &Fixture) -> usize {
    fixture.app.upgrade_members().await.expect("looks")
}

async fn deeds(fixture: &Fixture) -> Vec<Value> {
    let filter = DeedFilter { action: Some("promoter_campaign.upgraded".into()), ..DeedFilter::default() };
    let deeds = fixture.app.deed_list(fixture.account, filter, 100).await.expect("lists");
    deeds.iter().map(|deed| serde_json::from_str(&deed.detail).expect("JSON")).collect()
}

async fn who_brings_enough_moves_on_once_with_its_token(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    asks(&fixture, gold, 2, "customers").await;
    fixture.push(vec![account(customer(&fixture, "c1")), account(customer(&fixture, "c2"))]).await;
    fixture.push(vec![sale("c1", "s1", 10), sale("c1", "s2", 10)]).await;
    assert_eq!((look(&fixture).await, member(&fixture, gold).map(|m| m.id)), (0, None), "one customer, twice");
    let token = member(&fixture, fixture.program).expect("a member").row.ref_token.clone();

    fixture.push(vec![sale("c2", "s3", 10)]).await;
    assert_eq!(look(&fixture).await, 1);
    assert_eq!(state(&fixture, fixture.program), Some(MemberState::Inactive));
    let there = member(&fixture, gold).expect("moved");
    assert_eq!((there.state, &there.row.ref_token), (MemberState::Accepted, &token), "its link goes with it");
    let named = fixture.app.directory().membership_by_token(fixture.account, &token).map(|member| member.program);
    assert_eq!(named, Some(gold));
    let deeds_then = deeds(&fixture).await;
    assert_eq!((deeds_then.len(), &deeds_then[0]["to_campaign_id"]), (1, &gold.0.into()));

    // Put back by hand, it stays, whatever it brings.
    let back = headwater_app::promoter::PromoterAct::Move(gold, fixture.program);
    fixture.app.promoter_act(fixture.account, fixture.partner, &back).await.expect("moves");
    fixture.push(vec![sale("c2", "s4", 10)]).await;
    assert_eq!((look(&fixture).await, deeds(&fixture).await.len()), (0, 1));
    let back = member(&fixture, fixture.program).expect("a member");
    assert_eq!((back.state, &back.row.ref_token), (MemberState::Accepted, &token));
    assert_eq!(state(&fixture, gold), Some(MemberState::Inactive));
    fixture.sound().await;
}

async fn revenue_counts_without_what_was_given_back(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    asks(&fixture, gold, 10_000, "revenue").await;
    fixture.push(vec![account(customer(&fixture, "c1")), sale("c1", "s1", 100), refund("c1", "r1", "s1", 1)]).await;
    assert_eq!((look(&fixture).await, state(&fixture, gold)), (0, None), "99.00 of 100.00");
    fixture.push(vec![sale("c1", "s2", 1)]).await;
    assert_eq!((look(&fixture).await, state(&fixture, gold)), (1, Some(MemberState::Accepted)));
}

async fn a_customer_counts_for_whose_it_is_now(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    let asked = PartnerRequest { id: Some("ib2".into()), name: Some("Two".into()), ..PartnerRequest::default() };
    let second = fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates").id;
    fixture.push(vec![account(customer(&fixture, "c1")), sale("c1", "s1", 100)]).await;
    let id = fixture.app.customer_named(fixture.account, "c1").await.expect("known");
    fixture.app.customer_attribute(fixture.account, id, "ib2", Some(NOW), "wrong link").await.expect("moves");
    asks(&fixture, gold, 1, "customers").await;
    assert_eq!((look(&fixture).await, state(&fixture, gold)), (1, None), "it is the first one's no more");
    let moved = fixture.app.membership_of(fixture.account, gold, second).expect("moved");
    assert_eq!(moved.state, MemberState::Accepted);
}

async fn who_has_enough_already_moves_when_the_campaign_says_so(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    fixture.push(vec![account(customer(&fixture, "c1")), sale("c1", "s1", 100), refund("c1", "r1", "s1", 100)]).await;
    asks(&fixture, gold, 1, "active_customers").await;
    assert_eq!(look(&fixture).await, 0, "all of it was given back");
    asks(&fixture, gold, 1, "customers").await;
    assert_eq!((look(&fixture).await, state(&fixture, gold)), (1, Some(MemberState::Accepted)));
}

async fn who_is_barred_there_stays(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    let barred = fixture.app.membership_create(fixture.account, gold, fixture.partner, MemberState::Blocked).await;
    barred.expect("makes");
    fixture.push(vec![account(customer(&fixture, "c1")), sale("c1", "s1", 100)]).await;
    asks(&fixture, gold, 1, "customers").await;
    assert_eq!((look(&fixture).await, deeds(&fixture).await.len()), (0, 0));
    assert_eq!(state(&fixture, fixture.program), Some(MemberState::Accepted));
    assert_eq!(state(&fixture, gold), Some(MemberState::Blocked));
}

async fn becomes(fixture: &Fixture, program: ProgramId, state: MemberState) {
    let change = MembershipChange { state: Some(state), ..MembershipChange::default() };
    let id = member(fixture, program).expect("a member").id;
    fixture.app.membership_patch(fixture.account, id, change).await.expect("patches");
}

async fn who_has_enough_moves_once_it_is_let_in(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    asks(&fixture, gold, 1, "customers").await;
    becomes(&fixture, fixture.program, MemberState::Pending).await;
    fixture.push(vec![account(customer(&fixture, "c1")), sale("c1", "s1", 100)]).await;
    assert_eq!((look(&fixture).await, state(&fixture, gold)), (0, None), "it waits to be let in");
    becomes(&fixture, fixture.program, MemberState::Accepted).await;
    assert_eq!((look(&fixture).await, state(&fixture, gold)), (1, Some(MemberState::Accepted)));
}

async fn a_change_of_a_colour_lets_nobody_be_looked_at(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    fixture.push(vec![account(customer(&fixture, "c1"))]).await;
    let waiting = async || {
        let read = async |tx: &Tx<'_>| upgrades_due(tx, i64::MAX, 10).await;
        fixture.store.store.money.read(read).await.expect("reads").len()
    };
    asks(&fixture, gold, 5, "customers").await;
    assert_eq!((waiting().await, look(&fixture).await, waiting().await), (1, 0, 0));
    let colour = json!({"color": "#102030"});
    let colour = colour.as_object().expect("an object");
    fixture.app.campaign_patch(fixture.account, fixture.program, colour).await.expect("patches");
    asks(&fixture, gold, 5, "customers").await;
    assert_eq!(waiting().await, 0, "it asks what it asked");
    asks(&fixture, gold, 4, "customers").await;
    assert_eq!(waiting().await, 1);
}

async fn who_is_let_in_again_there_moves(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    let barred = fixture.app.membership_create(fixture.account, gold, fixture.partner, MemberState::Blocked).await;
    barred.expect("makes");
    asks(&fixture, gold, 1, "customers").await;
    fixture.push(vec![account(customer(&fixture, "c1")), sale("c1", "s1", 100)]).await;
    assert_eq!(look(&fixture).await, 0, "it is barred there");
    becomes(&fixture, gold, MemberState::Inactive).await;
    assert_eq!((look(&fixture).await, state(&fixture, gold)), (1, Some(MemberState::Accepted)));
}

async fn one_campaign_stays_however_many_are_deleted_at_once(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    let (one, two) = tokio::join!(
        fixture.app.campaign_archive(fixture.account, fixture.program),
        fixture.app.campaign_archive(fixture.account, gold)
    );
    assert_ne!(one.is_ok(), two.is_ok(), "one of them, whichever came first: {one:?} {two:?}");
    let refused = one.err().or(two.err()).expect("one is the last").to_string();
    assert!(refused.contains("only campaign"), "{refused}");
    assert_eq!(fixture.app.campaign_list(fixture.account).len(), 1);
}

async fn upgrades_that_are_said_at_once_go_in_no_circle(store: TestStore) {
    let fixture = fixture_with(store, CPA).await;
    let gold = next_campaign(&fixture).await;
    let [there, back] = [gold, fixture.program]
        .map(|to| json!({"upgrade_details": {"campaign_id": to.0, "amount": 1, "metric": "customers"}}));
    let (one, two) = tokio::join!(
        fixture.app.campaign_patch(fixture.account, fixture.program, there.as_object().expect("an object")),
        fixture.app.campaign_patch(fixture.account, gold, back.as_object().expect("an object"))
    );
    assert_ne!(one.is_ok(), two.is_ok(), "one of them, whichever came first: {one:?} {two:?}");
    let refused = one.err().or(two.err()).expect("one leads back").to_string();
    assert!(refused.contains("leads back to this campaign"), "{refused}");
}

fn stop(error: &str) {
    panic!("the store stopped: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_that_look_at_once_move_it_once() {
    let fixture = fixture_with(postgres().await, CPA).await;
    let other = node(Store::open(&fixture.store.place, stop).await.expect("opens")).await;
    let gold = next_campaign(&fixture).await;
    fixture.push(vec![account(customer(&fixture, "c1")), sale("c1", "s1", 100)]).await;
    asks(&fixture, gold, 1, "customers").await;
    other.refresh().await.expect("refreshes");
    let (one, two) = tokio::join!(fixture.app.upgrade_members(), other.upgrade_members());
    assert_eq!(one.expect("looks") + two.expect("looks"), 1);
    fixture.app.refresh().await.expect("refreshes");
    assert_eq!((deeds(&fixture).await.len(), state(&fixture, gold)), (1, Some(MemberState::Accepted)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_by_a_node_that_has_not_seen_the_move_does_not_undo_it() {
    let fixture = fixture_with(postgres().await, CPA).await;
    let gold = next_campaign(&fixture).await;
    fixture.push(vec![account(customer(&fixture, "c1")), sale("c1", "s1", 100)]).await;
    asks(&fixture, gold, 1, "customers").await;
    let other = node(Store::open(&fixture.store.place, stop).await.expect("opens")).await;
    let left = member(&fixture, fixture.program).expect("a member").id;
    assert_eq!(look(&fixture).await, 1);

    let data = serde_json::Map::from_iter([("coupon".to_owned(), "NORTH".into())]);
    let change = MembershipChange { data, ..MembershipChange::default() };
    let after = other.membership_patch(fixture.account, left, change).await.expect("patches");
    assert_eq!((after.state, after.data()["coupon"].as_str()), (MemberState::Inactive, Some("NORTH")));
    assert_eq!(after.data()["upgraded"]["campaign_id"], gold.0, "it does not move twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_a_campaign_by_two_nodes_do_not_undo_each_other() {
    let fixture = fixture_with(postgres().await, CPA).await;
    let gold = next_campaign(&fixture).await;
    let other = node(Store::open(&fixture.store.place, stop).await.expect("opens")).await;
    asks(&fixture, gold, 5, "customers").await;
    let colour = json!({"color": "#102030"});
    let colour = colour.as_object().expect("an object");
    let after = other.campaign_patch(fixture.account, fixture.program, colour).await.expect("patches");
    let said = &after.settings.campaign;
    assert_eq!((&said["color"], &said["upgrade_details"]["amount"]), (&"#102030".into(), &5.into()));

    // What this node has not seen yet counts all the same.
    let late = node(Store::open(&fixture.store.place, stop).await.expect("opens")).await;
    asks(&fixture, gold, 6, "customers").await;
    let back = json!({"upgrade_details": {"campaign_id": fixture.program.0, "amount": 1, "metric": "customers"}});
    let refused = late.campaign_patch(fixture.account, gold, back.as_object().expect("an object")).await;
    assert!(refused.is_err_and(|error| error.to_string().contains("leads back")), "a circle");

    // An attempt that the other node made is found here, however short ago it was.
    let asked = json!({"name": "Iron", "landing_url": "https://www.broker.example", "ref_token_param": "?fpr",
        "visitor_cookie_life": 60});
    let asked = asked.as_object().expect("an object");
    let attempt = || Some("once-1".to_owned());
    let (one, two) = tokio::join!(
        other.campaign_create(fixture.account, asked, attempt()),
        fixture.app.campaign_create(fixture.account, asked, attempt())
    );
    assert_eq!(one.expect("makes").id, two.expect("finds").id);
}
