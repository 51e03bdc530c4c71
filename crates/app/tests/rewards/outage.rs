//! A receiver that is down for hours or days hears of every approval in the end, and each reward is fulfilled once.

use crate::books::Books;
use crate::story::{act, holds, points, told};
use headwater_app::batch::BatchAction;
use headwater_app::delivery::{Attempt, Room, delivery_claim, delivery_finish};
use headwater_app::keep::Keep;
use headwater_app::webhook::WebhookChange;
use headwater_domain::postback::retry::Profile;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const ROOM: Room = Room { total: 100, failing: 100 };
const HOUR_SECONDS: i64 = 3600;
const STEP_SECONDS: i64 = 600;

on_both_stores! {
    two_hours_of_silence_lose_nothing,
    two_days_of_silence_lose_nothing,
}

/// A receiver that delivers each reward it hears of, and says so.
#[derive(Default)]
struct Receiver {
    events: BTreeSet<String>,
    fulfilled: BTreeMap<i64, u32>,
}

impl Receiver {
    async fn hear(&mut self, books: &Books, body: &[u8]) {
        let message: Value = serde_json::from_slice(body).expect("JSON");
        let is_new = self.events.insert(message["event_id"].as_str().expect("an id").to_owned());
        if is_new && message["changes"]["status"] == json!(["pending", "approved"]) {
            let id = message["entity_id"].as_i64().expect("a number");
            *self.fulfilled.entry(id).or_default() += 1;
            assert!(act(books, BatchAction::CommissionMarkFulfilled, &[id]).await.errors.is_empty());
        }
    }
}

/// The worker's rounds for so long; `receiver` is there or down.
async fn deliver(books: &Books, mut receiver: Option<&mut Receiver>, seconds: i64) {
    for _ in 0..seconds / STEP_SECONDS {
        loop {
            let now = books.app.clock.now();
            let claimed = delivery_claim(&books.app.outbox, "w", ROOM, now).await.expect("claims");
            if claimed.is_empty() {
                break;
            }
            for one in claimed {
                let status = if let Some(receiver) = receiver.as_deref_mut() {
                    receiver.hear(books, &one.body).await;
                    204
                } else {
                    503
                };
                let attempt = Attempt {
                    status: Some(status),
                    duration_ms: 7,
                    response: String::new(),
                    error: None,
                    retry_after_seconds: None,
                };
                assert!(delivery_finish(&books.app, &one, attempt, now).await.expect("finishes"));
            }
        }
        books.app.clock.advance_seconds(STEP_SECONDS);
    }
}

async fn silence(store: TestStore, hours: i64) {
    let books = Books::new(store).await;
    for (retry_profile, max_retries) in [(None, None), (None, Some(3)), (Some(Profile::Exp2), None)] {
        let change = WebhookChange {
            url: Some("https://crm.broker.example/rewards".into()),
            event_types: Some(vec!["commission.updated".into(), "payout.updated".into()]),
            retry_profile,
            max_retries,
            ..WebhookChange::default()
        };
        let (webhook, _) = books.app.webhook_create(books.account, change, Keep::nothing()).await.expect("a webhook");
        let mut approved = BTreeSet::new();
        for _ in 0..4 {
            let id = books.post(points(&books)).await;
            act(&books, BatchAction::CommissionApprove, &[id]).await;
            approved.insert(id);
            deliver(&books, None, hours * HOUR_SECONDS / 4).await;
        }
        let mut receiver = Receiver::default();
        // The longest wait between two attempts is a day, and a tenth of it.
        deliver(&books, Some(&mut receiver), 27 * HOUR_SECONDS).await;
        let once: BTreeMap<_, _> = approved.iter().map(|id| (*id, 1)).collect();
        assert_eq!(receiver.fulfilled, once, "{retry_profile:?} {max_retries:?}");
        let completed = told(&books).await.into_iter().filter(|(name, body)| {
            let ids = body["data"]["commission_ids"].as_array();
            name == "payout.updated"
                && ids.is_some_and(|ids| ids.iter().all(|id| approved.contains(&id.as_i64().expect("a number"))))
        });
        assert_eq!(completed.count(), approved.len(), "each payout is completed once");
        books.app.webhook_delete(books.account, webhook.id).await.expect("deleted");
    }
    holds(&books).await;
}

async fn two_hours_of_silence_lose_nothing(store: TestStore) {
    silence(store, 2).await;
}

async fn two_days_of_silence_lose_nothing(store: TestStore) {
    silence(store, 48).await;
}
