//! Books with a webhook that hears everything, and what it was told.

use crate::books::{Books, ONE, Posting};
use headwater_app::batch::{BatchAction, BatchRequest, BatchStory};
use headwater_app::history::History;
use headwater_app::keep::Keep;
use headwater_app::webhook::WebhookChange;
use headwater_domain::postback::rewards_event;
use headwater_store::backend::Statement;
use headwater_testkit::database::TestStore;
use serde_json::Value;

static TOLD: Statement = Statement::new("SELECT event_type, body FROM delivery ORDER BY id");

/// Books whose account has a webhook for every event type.
pub async fn heard(store: TestStore) -> Books {
    let books = Books::new(store).await;
    let change = WebhookChange {
        url: Some("https://crm.broker.example/rewards".into()),
        // Balances change with nearly everything, and are told of in a test of their own (`rewards_told`).
        event_types: Some(
            rewards_event::names().into_iter().filter(|name| name != "promoter.balance.updated").collect(),
        ),
        ..WebhookChange::default()
    };
    books.app.webhook_create(books.account, change, Keep::nothing()).await.expect("a webhook");
    books
}

/// 250 points that wait for a decision.
pub fn points(books: &Books) -> Posting {
    Posting { unit: "points", amount: 250 * ONE, ..Posting::pending(books.partners[0]) }
}

/// Does it with these ids and waits until the batch is over.
pub async fn act(books: &Books, action: BatchAction, ids: &[i64]) -> BatchStory {
    let request = BatchRequest { action, ids: ids.into(), parameters: serde_json::Map::new(), actor: "key:1".into() };
    let started = books.app.batch_start(books.account, request).await.expect("starts");
    books.app.batches_run().await.expect("runs");
    for _ in 0..500 {
        let story = books.app.batch_read(books.account, started.batch.id).await.expect("there");
        if story.batch.finished_at.is_some() {
            return story;
        }
        // The background task of the application holds the lease.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the batch does not end");
}

/// What was not done, in words.
pub async fn refused(books: &Books, action: BatchAction, ids: &[i64]) -> Vec<String> {
    act(books, action, ids).await.errors.into_iter().map(|(id, error)| format!("{id}: {error}")).collect()
}

/// Every message so far: its type and its body.
pub async fn told(books: &Books) -> Vec<(String, Value)> {
    let rows = books.app.store.money.read(async |tx| tx.all::<(String, String)>(&TOLD, &[]).await).await;
    let rows = rows.expect("the store answers").into_iter();
    rows.map(|(name, body)| (name, serde_json::from_str(&body).expect("JSON"))).collect()
}

/// The types of the messages after the first `seen`.
pub async fn names_after(books: &Books, seen: usize) -> Vec<String> {
    told(books).await.into_iter().skip(seen).map(|(name, _)| name).collect()
}

/// The books add up, and payouts agree with their commissions and with the ledger.
pub async fn holds(books: &Books) {
    books.hold().await;
    let verdict = History::read(books.app.store.clone()).await.expect("reads").verify().await.expect("verifies");
    assert_eq!(verdict.difference, None);
}
