//! Node numbers: two live nodes never share one, and a node whose number was given away takes another.

use crate::fixture::{NOW, fixture, node};
use headwater_store::Store;
use headwater_store::backend::Statement;
use headwater_testkit::count::tamper;
use headwater_testkit::database::postgres;
use std::collections::BTreeSet;

static TAKE_AWAY: Statement = Statement::new("UPDATE node_lease SET holder = 'another'");

fn stop(error: &str) {
    panic!("the store stopped: {error}");
}

/// The node's part of a number (`domain::ids`).
fn node_of(id: i64) -> i64 {
    (id >> 6) & 63
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_nodes_number_their_own_way() {
    let store = postgres().await;
    let mut nodes = Vec::new();
    let mut numbers = BTreeSet::new();
    for _ in 0..64 {
        // A node is its lease: one store serves them all.
        let app = node(store.store.clone()).await;
        numbers.insert(node_of(app.next_id(NOW)));
        nodes.push(app);
    }
    assert_eq!(numbers.len(), 64);
    nodes[5].leave().await.expect("gives its number back");
    let again = node(Store::open(&store.place, stop).await.expect("opens")).await;
    assert_eq!(node_of(again.next_id(NOW)), node_of(nodes[5].next_id(NOW)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_number_was_given_away_takes_another() {
    let fixture = fixture(postgres().await).await;
    let before = node_of(fixture.app.next_id(NOW));
    tamper(&fixture.store.store, &TAKE_AWAY).await;
    fixture.app.stay().await.expect("stays");
    assert_ne!(node_of(fixture.app.next_id(NOW)), before);
    let event = fixture.settle(fixture.track("REGISTRATION")).await;
    assert_ne!(node_of(event["id"].as_i64().expect("a number")), before);
    fixture.app.stay().await.expect("stays");
}
