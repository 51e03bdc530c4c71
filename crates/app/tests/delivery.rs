//! Endpoints and deliveries on both engines, with a manual clock and no network.

use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_app::delivery::{
    Attempt, ClaimedDelivery, DeliveryError, Room, delivery_claim, delivery_finish, delivery_get, delivery_list,
    delivery_retry, leases_release, leases_release_of,
};
use headwater_app::endpoint::{
    Endpoint, EndpointError, EndpointInput, EndpointPatch, endpoint_create, endpoint_delete, endpoint_get,
    endpoint_list, endpoint_rotate_secret, endpoint_update,
};
use headwater_app::keep::Keep;
use headwater_app::outbox::Outbox;
use headwater_app::secrets::Secrets;
use headwater_domain::ids::{AccountId, DeliveryId};
use headwater_domain::postback::delivery_public_id;
use headwater_domain::postback::subscription::{DeliveryStatus, EndpointStatus, PayloadStyle};
use headwater_domain::time::Instant;
use headwater_store::delivery::{NewDelivery, deliveries_insert};
use headwater_store::tenant::account_insert;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use std::collections::BTreeMap;
use std::sync::Arc;

const START: Instant = Instant::from_seconds(1_800_000_000);
const ROOM: Room = Room { total: 100, failing: 100 };

on_both_stores! {
    an_endpoint_lives_as_its_owner_says,
    a_secret_is_sealed_and_co_signs_during_the_grace,
    a_delivery_is_claimed_once_and_finished_behind_its_fence,
    a_failing_delivery_follows_the_schedule_to_the_dead_letters_and_back,
    a_dead_receiver_with_a_backlog_takes_one_place,
    a_410_and_five_bad_days_disable,
    an_overloaded_endpoint_is_left_alone,
    a_delete_empties_the_queue_and_lets_what_flies_land,
    a_stopped_worker_gives_its_leases_back,
    another_account_finds_nothing,
}

struct Scene {
    app: Arc<App>,
    outbox: Outbox,
    account: AccountId,
    fresh: TestStore,
}

async fn scene(fresh: TestStore) -> Scene {
    let account = fresh.store.money.write(async |tx| account_insert(tx, "a", START.0).await).await.expect("an account");
    let start = Start {
        clock: Clock::manual(START),
        master_key: [7; 32],
        public_url: "https://go.broker.example".into(),
        egress_allow: Vec::new(),
    };
    let app = App::start(fresh.store.clone(), start).await.expect("starts");
    Scene { outbox: app.outbox.clone(), app, account: AccountId(account), fresh }
}

fn input() -> EndpointInput {
    EndpointInput {
        url: "https://crm.broker.example/hooks/fx".to_owned(),
        enabled_events: vec!["REGISTRATION".to_owned()],
        description: Some("CRM".to_owned()),
        metadata: r#"{"env":"prod"}"#.to_owned(),
        payload_style: PayloadStyle::Referral,
    }
}

impl Scene {
    async fn endpoint(&self) -> Endpoint {
        endpoint_create(&self.outbox, self.account, input(), START, Keep::nothing()).await.expect("created").0
    }

    /// Queues deliveries with these numbers.
    async fn queue(&self, endpoint: &Endpoint, numbers: std::ops::Range<i64>, at: Instant) {
        let rows: Vec<_> = numbers
            .map(|id| NewDelivery {
                id,
                account_id: self.account.0,
                endpoint_id: endpoint.id.0,
                event_id: Some(id),
                event_type: "REGISTRATION".to_owned(),
                body: format!("{{\"id\":{id}}}"),
                is_test: false,
                created_at: at.0,
                payout_id: None,
            })
            .collect();
        self.outbox_store(rows).await;
    }

    async fn outbox_store(&self, rows: Vec<NewDelivery>) {
        self.fresh.store.money.write(async move |tx| deliveries_insert(tx, &rows).await).await.expect("queued");
    }

    async fn claim(&self, token: &str, now: Instant) -> Vec<ClaimedDelivery> {
        delivery_claim(&self.outbox, token, ROOM, now).await.expect("claims")
    }

    async fn finish(&self, claimed: &ClaimedDelivery, status: u16, now: Instant) -> bool {
        delivery_finish(&self.app, claimed, answer(status), now).await.expect("finishes")
    }

    async fn status(&self, endpoint: &Endpoint, id: i64) -> (String, Option<String>) {
        let public_id = delivery_public_id(DeliveryId(id), START);
        let found = delivery_get(&self.outbox, self.account, &endpoint.public_id, &public_id, START).await;
        let row = found.expect("there").row;
        (row.status, row.reason)
    }
}

fn answer(status: u16) -> Attempt {
    Attempt { status: Some(status), duration_ms: 7, response: "ok".to_owned(), error: None, retry_after_seconds: None }
}

fn ids(claimed: &[ClaimedDelivery]) -> Vec<i64> {
    claimed.iter().map(|c| c.id.0).collect()
}

async fn an_endpoint_lives_as_its_owner_says(fresh: TestStore) {
    let scene = scene(fresh).await;
    let (outbox, account) = (&scene.outbox, scene.account);
    let (endpoint, secret) = endpoint_create(outbox, account, input(), START, Keep::nothing()).await.expect("created");
    assert!(endpoint.public_id.starts_with("pe_") && secret.whsec().ends_with(&endpoint.secret_hint));
    assert_eq!(endpoint_get(outbox, account, &endpoint.public_id).await.expect("there"), endpoint);
    let patch = EndpointPatch {
        enabled_events: Some(vec!["*".to_owned()]),
        description: Some(None),
        status: Some(EndpointStatus::Disabled),
        ..EndpointPatch::default()
    };
    let changed = endpoint_update(outbox, account, &endpoint.public_id, patch).await.expect("changed");
    assert_eq!((changed.status, changed.description.as_deref()), (EndpointStatus::Disabled, None));
    assert_eq!((changed.enabled_events.names(), changed.url.as_str()), (vec!["*"], endpoint.url.as_str()));
    let second = scene.endpoint().await;
    let (page, more) = endpoint_list(outbox, account, None, 1).await.expect("lists");
    assert_eq!((page[0].public_id.as_str(), more), (second.public_id.as_str(), true));
    let (page, more) = endpoint_list(outbox, account, Some(&second.public_id), 1).await.expect("lists");
    assert_eq!((page[0].public_id.as_str(), more), (endpoint.public_id.as_str(), false));
    let bad = EndpointInput { url: "http://127.0.0.1/".to_owned(), ..input() };
    assert!(matches!(endpoint_create(outbox, account, bad, START, Keep::nothing()).await, Err(EndpointError::Url(_))));
    let bad = EndpointInput { enabled_events: vec![], ..input() };
    assert!(matches!(
        endpoint_create(outbox, account, bad, START, Keep::nothing()).await,
        Err(EndpointError::Events(_))
    ));
    let bad = EndpointPatch { url: Some("https://10.0.0.1/".to_owned()), ..EndpointPatch::default() };
    assert!(matches!(endpoint_update(outbox, account, &second.public_id, bad).await, Err(EndpointError::Url(_))));
}

async fn a_secret_is_sealed_and_co_signs_during_the_grace(fresh: TestStore) {
    let scene = scene(fresh).await;
    let (endpoint, first) =
        endpoint_create(&scene.outbox, scene.account, input(), START, Keep::nothing()).await.expect("created");
    scene.queue(&endpoint, 1..2, START).await;
    let rotated_at = START.plus_seconds(10);
    let rotated =
        endpoint_rotate_secret(&scene.outbox, scene.account, &endpoint.public_id, 60, rotated_at, Keep::nothing())
            .await
            .expect("rotated");
    let second = rotated.1;
    assert_ne!(first, second);
    scene.queue(&endpoint, 2..3, START.plus_seconds(20)).await;
    for (now, previous) in [(START.plus_seconds(69), Some(&first)), (START.plus_seconds(105), None)] {
        let claimed = scene.claim("w", now).await;
        assert_eq!(ids(&claimed), [1, 2]);
        assert!(claimed.iter().all(|c| c.secret == second && c.previous_secret.as_ref() == previous));
        assert_eq!((&claimed[0].secret_at_creation, &claimed[1].secret_at_creation), (&first, &second));
        leases_release_of(&scene.outbox, "w").await.expect("released");
    }
    let other_key = Outbox::new(scene.fresh.store.clone(), Secrets::new([8; 32]), &[]);
    let claimed = delivery_claim(&other_key, "w", ROOM, START.plus_seconds(200)).await.expect("claims");
    assert!(claimed.is_empty(), "another master key opens nothing");
}

async fn a_delivery_is_claimed_once_and_finished_behind_its_fence(fresh: TestStore) {
    let scene = scene(fresh).await;
    let endpoint = scene.endpoint().await;
    scene.queue(&endpoint, 1..2, START).await;
    assert!(scene.claim("early", START.plus_seconds(-1)).await.is_empty(), "not due yet");
    let first = scene.claim("one", START).await;
    assert_eq!((ids(&first), first[0].attempt, first[0].body.as_slice()), (vec![1], 1, &br#"{"id":1}"#[..]));
    assert!(scene.claim("two", START.plus_seconds(29)).await.is_empty(), "leased");
    let second = scene.claim("two", START.plus_seconds(31)).await;
    assert_eq!((ids(&second), &second[0].public_id), (vec![1], &first[0].public_id));
    assert!(!scene.finish(&first[0], 500, START.plus_seconds(32)).await, "the late worker writes nothing");
    assert!(scene.finish(&second[0], 200, START.plus_seconds(33)).await);
    assert!(!scene.finish(&second[0], 500, START.plus_seconds(34)).await, "finished once");
    assert_eq!(scene.status(&endpoint, 1).await, ("delivered".to_owned(), None));
    let found = delivery_get(&scene.outbox, scene.account, &endpoint.public_id, &first[0].public_id, START).await;
    assert_eq!(found.expect("there").attempts.len(), 1);
}

async fn a_failing_delivery_follows_the_schedule_to_the_dead_letters_and_back(fresh: TestStore) {
    let scene = scene(fresh).await;
    let endpoint = scene.endpoint().await;
    scene.queue(&endpoint, 1..2, START).await;
    let (mut now, mut waits) = (START, Vec::new());
    for attempt in 1..=10 {
        let claimed = scene.claim("w", now).await;
        assert_eq!((ids(&claimed), claimed[0].attempt), (vec![1], attempt));
        assert!(scene.finish(&claimed[0], 500, now).await);
        let public_id = &claimed[0].public_id;
        let found = delivery_get(&scene.outbox, scene.account, &endpoint.public_id, public_id, now).await;
        let due = Instant(found.expect("there").row.due_at);
        assert!(scene.claim("w", Instant(due.0 - 1)).await.is_empty() || due == now, "not before it is due");
        waits.push(due.seconds() - now.seconds());
        now = due;
    }
    for (waited, wait) in waits.iter().zip([5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]) {
        assert!((wait * 9 - 10..=wait * 11 + 10).contains(&(waited * 10)), "{waited} for {wait}");
    }
    assert_eq!(scene.status(&endpoint, 1).await, ("failed".to_owned(), Some("attempts_exhausted".to_owned())));
    let public_id = delivery_public_id(DeliveryId(1), START);
    let retried = delivery_retry(&scene.outbox, scene.account, &endpoint.public_id, &public_id, now).await;
    assert_eq!(retried.expect("queued").attempts.len(), 10);
    let again = scene.claim("w", now).await;
    assert_eq!((again[0].attempt, again[0].attempts_before), (11, 10));
    assert!(scene.finish(&again[0], 500, now).await);
    assert_eq!(scene.status(&endpoint, 1).await.0, "pending", "a manual retry starts the schedule anew");
}

async fn a_dead_receiver_with_a_backlog_takes_one_place(fresh: TestStore) {
    let scene = scene(fresh).await;
    let (dead, well) = (scene.endpoint().await, scene.endpoint().await);
    scene.queue(&dead, 1..101, START).await;
    scene.queue(&well, 200..203, START.plus_seconds(1)).await;
    let now = START.plus_seconds(1);
    let claimed = scene.claim("w", now).await;
    let mut per_endpoint = BTreeMap::new();
    for one in &claimed {
        *per_endpoint.entry(one.endpoint).or_insert(0) += 1;
    }
    assert_eq!(per_endpoint, BTreeMap::from([(dead.id, headwater_store::delivery::HEAD), (well.id, 3)]));
    assert!(scene.claim("w2", now).await.is_empty(), "the bound holds over all workers");
    for one in claimed.iter().filter(|one| one.endpoint == dead.id) {
        assert!(scene.finish(one, 503, now).await);
    }
    let next = scene.claim("w", now).await;
    assert_eq!((ids(&next), next[0].is_failing), (vec![9], true), "one place while it fails");
    let none = Room { total: 100, failing: 0 };
    assert!(delivery_claim(&scene.outbox, "w3", none, now).await.expect("claims").is_empty());
    assert!(scene.finish(&next[0], 200, now).await);
    let recovered = scene.claim("w", now).await;
    assert_eq!(recovered.len(), headwater_store::delivery::HEAD, "a success heals it");
}

async fn a_410_and_five_bad_days_disable(fresh: TestStore) {
    let scene = scene(fresh).await;
    let (gone, bad) = (scene.endpoint().await, scene.endpoint().await);
    scene.queue(&gone, 1..3, START).await;
    let claimed = scene.claim("w", START).await;
    assert!(scene.finish(&claimed[0], 410, START).await);
    assert_eq!(scene.status(&gone, 1).await, ("failed".to_owned(), Some("gone".to_owned())));
    let status = async |endpoint: &Endpoint| {
        endpoint_get(&scene.outbox, scene.account, &endpoint.public_id).await.expect("there").status
    };
    assert_eq!(status(&gone).await, EndpointStatus::Disabled);
    scene.queue(&bad, 10..12, START).await;
    for (index, day) in [(0, 0), (1, 5)] {
        let now = START.plus_seconds(day * 86_400);
        let claimed: Vec<_> = scene.claim("w", now).await.into_iter().filter(|c| c.id.0 == 10 + index).collect();
        assert_eq!(status(&bad).await, EndpointStatus::Enabled);
        assert!(scene.finish(&claimed[0], 500, now).await);
    }
    assert_eq!(status(&bad).await, EndpointStatus::Disabled);
    let later = START.plus_seconds(6 * 86_400);
    assert!(scene.claim("w", later).await.is_empty(), "a disabled endpoint gets nothing");
    let enable = EndpointPatch { status: Some(EndpointStatus::Enabled), ..EndpointPatch::default() };
    endpoint_update(&scene.outbox, scene.account, &gone.public_id, enable).await.expect("enabled");
    assert_eq!(ids(&scene.claim("w", later).await), [2], "what waited goes on");
}

async fn an_overloaded_endpoint_is_left_alone(fresh: TestStore) {
    let scene = scene(fresh).await;
    let endpoint = scene.endpoint().await;
    scene.queue(&endpoint, 1..20, START).await;
    let claimed = scene.claim("w", START).await;
    let attempt = Attempt { retry_after_seconds: Some(120), ..answer(429) };
    assert!(delivery_finish(&scene.app, &claimed[0], attempt, START).await.expect("finishes"));
    leases_release_of(&scene.outbox, "w").await.expect("released");
    assert!(scene.claim("w", START.plus_seconds(119)).await.is_empty());
    assert_eq!(scene.claim("w", START.plus_seconds(120)).await.len(), 1);
}

async fn a_delete_empties_the_queue_and_lets_what_flies_land(fresh: TestStore) {
    let scene = scene(fresh).await;
    let endpoint = scene.endpoint().await;
    scene.queue(&endpoint, 1..20, START).await;
    let flying = scene.claim("w", START).await;
    endpoint_delete(&scene.outbox, scene.account, &endpoint.public_id, START.plus_seconds(1)).await.expect("deleted");
    assert!(scene.claim("w2", START.plus_seconds(100)).await.is_empty(), "nothing new starts");
    assert!(scene.finish(&flying[0], 200, START.plus_seconds(2)).await);
    assert!(scene.finish(&flying[1], 500, START.plus_seconds(2)).await);
    let deleted = |status: &str| (status.to_owned(), Some("endpoint_deleted".to_owned()));
    assert_eq!(scene.status(&endpoint, 1).await, ("delivered".to_owned(), None));
    assert_eq!(scene.status(&endpoint, 2).await, deleted("cancelled"));
    assert_eq!(scene.status(&endpoint, 19).await, deleted("cancelled"));
    let (outbox, account) = (&scene.outbox, scene.account);
    let missing = endpoint_get(outbox, account, &endpoint.public_id).await;
    assert!(matches!(missing, Err(EndpointError::NotFound)));
    let list = async |days: i64, status| {
        let now = START.plus_seconds(1 + days * 86_400);
        delivery_list(outbox, account, &endpoint.public_id, status, None, 100, now).await
    };
    assert_eq!(list(29, None).await.expect("visible").0.len(), 19);
    assert_eq!(list(29, Some(DeliveryStatus::Delivered)).await.expect("visible").0.len(), 1);
    assert!(matches!(list(30, None).await, Err(DeliveryError::Endpoint(EndpointError::NotFound))));
    let public_id = delivery_public_id(DeliveryId(19), START);
    let retried = delivery_retry(outbox, account, &endpoint.public_id, &public_id, START.plus_seconds(5)).await;
    assert!(matches!(retried, Err(DeliveryError::EndpointDeleted)));
}

async fn a_stopped_worker_gives_its_leases_back(fresh: TestStore) {
    let scene = scene(fresh).await;
    let endpoint = scene.endpoint().await;
    scene.queue(&endpoint, 1..4, START).await;
    assert_eq!(scene.claim("one", START).await.len(), 3);
    assert_eq!(leases_release_of(&scene.outbox, "two").await.expect("releases"), 0);
    assert_eq!(leases_release_of(&scene.outbox, "one").await.expect("releases"), 3);
    assert_eq!(scene.claim("two", START).await.len(), 3);
    assert_eq!(leases_release(&scene.outbox).await.expect("releases"), 3);
    assert_eq!(scene.claim("three", START).await.len(), 3);
}

async fn another_account_finds_nothing(fresh: TestStore) {
    let scene = scene(fresh).await;
    let endpoint = scene.endpoint().await;
    scene.queue(&endpoint, 1..2, START).await;
    let other = AccountId(scene.account.0 + 1);
    let public_id = delivery_public_id(DeliveryId(1), START);
    let (outbox, id) = (&scene.outbox, endpoint.public_id.as_str());
    assert!(matches!(endpoint_get(outbox, other, id).await, Err(EndpointError::NotFound)));
    assert!(matches!(endpoint_delete(outbox, other, id, START).await, Err(EndpointError::NotFound)));
    assert!(matches!(
        endpoint_rotate_secret(outbox, other, id, 0, START, Keep::nothing()).await,
        Err(EndpointError::NotFound)
    ));
    let patched = endpoint_update(outbox, other, id, EndpointPatch::default()).await;
    assert!(matches!(patched, Err(EndpointError::NotFound)));
    assert!(delivery_get(outbox, other, id, &public_id, START).await.is_err());
    assert!(delivery_retry(outbox, other, id, &public_id, START).await.is_err());
    let forged = headwater_domain::postback::endpoint_public_id(endpoint.id, START.plus_seconds(1));
    assert!(matches!(endpoint_get(outbox, scene.account, &forged).await, Err(EndpointError::NotFound)));
}
