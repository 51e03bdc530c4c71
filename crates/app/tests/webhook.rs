//! Webhooks and their deliveries on both engines, with a manual clock and no network.

use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_app::delivery::{Attempt, ClaimedDelivery, Room, delivery_claim, delivery_finish, leases_release_of};
use headwater_app::endpoint::endpoint_list;
use headwater_app::error::Error;
use headwater_app::keep::Keep;
use headwater_app::webhook::{Webhook, WebhookChange};
use headwater_domain::ids::{AccountId, EndpointId, ProgramId};
use headwater_domain::postback::retry::Profile;
use headwater_domain::time::Instant;
use headwater_store::delivery::{NewDelivery, deliveries_insert};
use headwater_store::tenant::{account_insert, program_insert};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use std::collections::BTreeMap;
use std::sync::Arc;

const START: Instant = Instant::from_seconds(1_800_000_000);
const ROOM: Room = Room { total: 100, failing: 100 };
const HOUR: i64 = 3600;
const STEP_SECONDS: i64 = 300;

on_both_stores! {
    a_webhook_lives_as_its_owner_says,
    what_cannot_be_a_webhook_is_refused,
    a_webhook_hears_of_its_programs_and_types,
    a_receiver_that_is_down_for_two_days_gets_everything_once,
    a_probe_gives_up_after_75_hours,
    without_retries_there_is_no_probe,
    a_delivery_keeps_the_secret_that_it_was_made_under,
    an_attempt_has_the_owners_headers_and_time,
    a_delivery_is_retried_by_hand_until_its_retries_are_used_up,
    a_deleted_webhook_takes_its_deliveries_along,
}

struct Scene {
    app: Arc<App>,
    account: AccountId,
    other: AccountId,
    program: ProgramId,
    clock: Clock,
    fresh: TestStore,
}

async fn scene(fresh: TestStore) -> Scene {
    let made = fresh.store.money.write(async |tx| {
        let account = account_insert(tx, "a", START.0).await?;
        let program = program_insert(tx, account, "p", "https://www.broker.example", "{}", START.0).await?;
        Ok((account, account_insert(tx, "b", START.0).await?, program))
    });
    let (account, other, program) = made.await.expect("an empty store takes two accounts");
    let clock = Clock::manual(START);
    let start = Start {
        clock: clock.clone(),
        master_key: [7; 32],
        public_url: "https://go.broker.example".into(),
        egress_allow: Vec::new(),
    };
    let app = App::start(fresh.store.clone(), start).await.expect("starts");
    let (account, other, program) = (AccountId(account), AccountId(other), ProgramId(program));
    Scene { app, account, other, program, clock, fresh }
}

fn change() -> WebhookChange {
    WebhookChange {
        url: Some("https://crm.broker.example/hooks".to_owned()),
        event_types: Some(vec!["commission.created".to_owned(), "commission.updated".to_owned()]),
        ..WebhookChange::default()
    }
}

fn retries(max_retries: i64) -> WebhookChange {
    WebhookChange { max_retries: Some(max_retries), ..change() }
}

impl Scene {
    async fn webhook(&self, change: WebhookChange) -> Webhook {
        self.app.webhook_create(self.account, change, Keep::nothing()).await.expect("created").0
    }

    async fn queue(&self, webhook: &Webhook, numbers: std::ops::Range<i64>) {
        let rows: Vec<_> = numbers
            .map(|id| NewDelivery {
                id,
                account_id: self.account.0,
                endpoint_id: webhook.id.0,
                event_id: None,
                event_type: "commission.updated".to_owned(),
                body: format!("{{\"event_id\":\"{id}\"}}"),
                is_test: false,
                created_at: self.clock.now().0,
                payout_id: None,
            })
            .collect();
        self.fresh.store.money.write(async move |tx| deliveries_insert(tx, &rows).await).await.expect("queued");
    }

    async fn claim(&self) -> Vec<ClaimedDelivery> {
        delivery_claim(&self.app.outbox, "w", ROOM, self.clock.now()).await.expect("claims")
    }

    /// One round of the worker: whatever is due is tried, and answered so; gives the numbers.
    async fn round(&self, status: u16) -> Vec<i64> {
        let claimed = self.claim().await;
        for one in &claimed {
            let attempt = Attempt {
                status: Some(status),
                duration_ms: 7,
                response: "ok".into(),
                error: None,
                retry_after_seconds: None,
            };
            assert!(delivery_finish(&self.app, one, attempt, self.clock.now()).await.expect("finishes"));
        }
        claimed.iter().map(|one| one.id.0).collect()
    }

    fn stand_at(&self, at: Instant) {
        self.clock.advance_seconds(at.seconds() - self.clock.now().seconds());
    }

    /// Rounds five minutes apart, for so many hours.
    async fn rounds(&self, status: u16, hours: i64) -> Vec<i64> {
        let mut tried = Vec::new();
        for _ in 0..hours * HOUR / STEP_SECONDS {
            tried.extend(self.round(status).await);
            self.clock.advance_seconds(STEP_SECONDS);
        }
        tried
    }

    async fn status(&self, webhook: &Webhook, id: i64) -> String {
        self.app.webhook_delivery(self.account, webhook.id, id).await.expect("there").status
    }
}

async fn a_webhook_lives_as_its_owner_says(fresh: TestStore) {
    let scene = scene(fresh).await;
    let (webhook, secret) = scene.app.webhook_create(scene.account, change(), Keep::nothing()).await.expect("created");
    assert_eq!(secret.secret_key().len(), 64);
    assert_eq!((webhook.timeout_seconds, webhook.max_retries, webhook.retry_profile), (30, 10, Profile::Long));
    assert!(webhook.is_active && webhook.programs.is_empty() && !webhook.is_basic_auth_enabled);
    assert_eq!(scene.app.webhook_read(scene.account, webhook.id).await.expect("there"), webhook);
    scene.stand_at(START.plus_seconds(5));
    let wanted = WebhookChange {
        max_retries: Some(3),
        is_active: Some(false),
        description: Some(Some("CRM".into())),
        ..WebhookChange::default()
    };
    let changed = scene.app.webhook_update(scene.account, webhook.id, wanted).await.expect("changed");
    assert_eq!((changed.max_retries, changed.retry_profile), (3, Profile::Linear20), "a number selects its profile");
    assert_eq!((changed.is_active, changed.description.as_deref(), &changed.url), (false, Some("CRM"), &webhook.url));
    assert_eq!((changed.created_at, changed.updated_at), (START, START.plus_seconds(5)));
    let second = scene.webhook(change()).await;
    let (page, total) = scene.app.webhook_list(scene.account, 1, 0).await.expect("lists");
    assert_eq!((page[0].id, total), (second.id, 2));
    let listed = endpoint_list(&scene.app.outbox, scene.account, None, 100).await.expect("lists");
    assert!(listed.0.is_empty(), "the referral dialect does not see them");
    let foreign = scene.app.webhook_read(scene.other, webhook.id).await;
    assert!(matches!(foreign, Err(Error::NotFound("webhook"))));
    let foreign = scene.app.webhook_update(scene.other, webhook.id, change()).await;
    assert!(matches!(foreign, Err(Error::NotFound("webhook"))));
    assert!(scene.app.webhook_delete(scene.other, webhook.id).await.is_err());
}

async fn what_cannot_be_a_webhook_is_refused(fresh: TestStore) {
    let scene = scene(fresh).await;
    let headers = |name: &str| Some(BTreeMap::from([(name.to_owned(), "x".to_owned())]));
    for (field, wrong) in [
        ("url", WebhookChange { url: None, ..change() }),
        ("url", WebhookChange { url: Some("https://127.0.0.1/".into()), ..change() }),
        ("url", WebhookChange { url: Some("http://crm.broker.example/".into()), ..change() }),
        ("event_types", WebhookChange { event_types: None, ..change() }),
        ("event_types", WebhookChange { event_types: Some(vec![]), ..change() }),
        ("event_types", WebhookChange { event_types: Some(vec!["*".into()]), ..change() }),
        ("campaign_ids", WebhookChange { programs: Some(vec![ProgramId(4711)]), ..change() }),
        ("timeout", WebhookChange { timeout_seconds: Some(121), ..change() }),
        ("max_retries", WebhookChange { max_retries: Some(11), ..change() }),
        ("headers", WebhookChange { headers: headers("Host"), ..change() }),
        ("basic_auth_user", WebhookChange { basic_auth_user: Some(Some("a:b".into())), ..change() }),
        ("basic_auth_enabled", WebhookChange { is_basic_auth_enabled: Some(true), ..change() }),
        ("description", WebhookChange { description: Some(Some("x".repeat(501))), ..change() }),
    ] {
        let refused = scene.app.webhook_create(scene.account, wrong, Keep::nothing()).await;
        assert!(matches!(&refused, Err(Error::Invalid { param, .. }) if param == field), "{field}: {refused:?}");
    }
}

async fn a_webhook_hears_of_its_programs_and_types(fresh: TestStore) {
    let scene = scene(fresh).await;
    let all = scene.webhook(change()).await;
    let one = scene.webhook(WebhookChange { programs: Some(vec![scene.program]), ..change() }).await;
    scene.webhook(WebhookChange { is_active: Some(false), ..change() }).await;
    let heard = |program, event_type: &str| {
        let directory = scene.app.directory();
        directory.webhooks(scene.account, program, event_type).map(|row| EndpointId(row.id)).collect::<Vec<_>>()
    };
    assert_eq!(heard(scene.program, "commission.updated"), [all.id, one.id]);
    assert_eq!(heard(ProgramId(4711), "commission.updated"), [all.id]);
    assert_eq!(heard(scene.program, "payout.updated"), []);
}

async fn a_receiver_that_is_down_for_two_days_gets_everything_once(fresh: TestStore) {
    let scene = scene(fresh).await;
    let webhook = scene.webhook(retries(3)).await;
    scene.queue(&webhook, 1..4).await;
    // Two hours: three attempts each, and all are dead letters.
    let tried = scene.rounds(500, 2).await;
    for id in 1..4 {
        assert_eq!(scene.status(&webhook, id).await, "failed", "{tried:?}");
        assert!(tried.iter().filter(|number| **number == id).count() >= 3, "{tried:?}");
    }
    scene.queue(&webhook, 4..5).await;
    // Two days: only the oldest is tried, about once an hour, beside the new one's own attempts.
    let tried = scene.rounds(500, 46).await;
    let of_oldest = tried.iter().filter(|number| **number == 1).count();
    assert!((40..=47).contains(&of_oldest), "{of_oldest}");
    assert_eq!(tried.iter().filter(|number| **number == 2 || **number == 3).count(), 0);
    // It answers again: the probe gets through, and so do the others, each once.
    let mut delivered = scene.rounds(200, 2).await;
    delivered.sort_unstable();
    assert_eq!(delivered, [1, 2, 3, 4]);
    for id in 1..5 {
        assert_eq!(scene.status(&webhook, id).await, "delivered");
    }
}

async fn a_probe_gives_up_after_75_hours(fresh: TestStore) {
    let scene = scene(fresh).await;
    let webhook = scene.webhook(retries(1)).await;
    scene.queue(&webhook, 1..2).await;
    assert_eq!(scene.round(500).await, [1]);
    scene.stand_at(START.plus_seconds(75 * HOUR - 60));
    assert_eq!(scene.round(500).await, [1], "the last probe");
    scene.stand_at(START.plus_seconds(77 * HOUR));
    assert_eq!(scene.round(500).await, [] as [i64; 0]);
    scene.queue(&webhook, 2..3).await;
    assert_eq!(scene.round(200).await, [2]);
    assert_eq!(scene.rounds(200, 2).await, [] as [i64; 0], "the old one stays a dead letter");
    assert_eq!(scene.status(&webhook, 1).await, "failed");
}

async fn without_retries_there_is_no_probe(fresh: TestStore) {
    let scene = scene(fresh).await;
    let webhook = scene.webhook(retries(0)).await;
    scene.queue(&webhook, 1..2).await;
    assert_eq!(scene.rounds(500, 3).await, [1]);
    assert_eq!(scene.rounds(200, 3).await, [] as [i64; 0]);
}

async fn a_delivery_keeps_the_secret_that_it_was_made_under(fresh: TestStore) {
    let scene = scene(fresh).await;
    let (webhook, first) = scene.app.webhook_create(scene.account, change(), Keep::nothing()).await.expect("created");
    scene.queue(&webhook, 1..2).await;
    scene.stand_at(START.plus_seconds(1));
    let (_, second) = scene.app.webhook_rotate_secret(scene.account, webhook.id).await.expect("rotated");
    scene.queue(&webhook, 2..3).await;
    scene.stand_at(START.plus_seconds(2));
    let (_, third) = scene.app.webhook_rotate_secret(scene.account, webhook.id).await.expect("rotated");
    scene.queue(&webhook, 3..4).await;
    let claimed = scene.claim().await;
    let secrets: Vec<_> = claimed.iter().map(|one| &one.secret_at_creation).collect();
    assert_eq!(secrets, [&first, &second, &third]);
}

async fn an_attempt_has_the_owners_headers_and_time(fresh: TestStore) {
    let scene = scene(fresh).await;
    let own =
        BTreeMap::from([("X-Tenant".to_owned(), "7".to_owned()), ("authorization".to_owned(), "Bearer x".to_owned())]);
    let wanted = WebhookChange {
        timeout_seconds: Some(120),
        headers: Some(own),
        basic_auth_user: Some(Some("crm".into())),
        basic_auth_password: Some("pä:ss".into()),
        ..change()
    };
    let webhook = scene.webhook(wanted).await;
    assert!(webhook.is_basic_auth_enabled);
    scene.queue(&webhook, 1..2).await;
    let claimed = scene.claim().await;
    let basic = ("Authorization".to_owned(), "Basic Y3JtOnDDpDpzcw==".to_owned());
    assert_eq!(claimed[0].own_headers, [("X-Tenant".to_owned(), "7".to_owned()), basic]);
    assert_eq!(claimed[0].timeout_seconds, Some(120));
    scene.stand_at(START.plus_seconds(139));
    assert!(scene.claim().await.is_empty(), "leased for as long as the attempt may take");
    leases_release_of(&scene.app.outbox, "w").await.expect("released");
    let off = WebhookChange { is_basic_auth_enabled: Some(false), ..WebhookChange::default() };
    scene.app.webhook_update(scene.account, webhook.id, off).await.expect("changed");
    let claimed = scene.claim().await;
    assert!(claimed[0].own_headers.contains(&("authorization".to_owned(), "Bearer x".to_owned())));
}

async fn a_delivery_is_retried_by_hand_until_its_retries_are_used_up(fresh: TestStore) {
    let scene = scene(fresh).await;
    let webhook = scene.webhook(retries(2)).await;
    scene.queue(&webhook, 1..2).await;
    let retry = async || scene.app.webhook_delivery_retry(scene.account, webhook.id, 1).await;
    assert_eq!(scene.round(500).await, [1]);
    let queued = retry().await.expect("one attempt is left");
    assert_eq!((queued.status.as_str(), queued.attempts - queued.attempts_before), ("pending", 0));
    assert_eq!(scene.round(500).await, [1]);
    scene.stand_at(START.plus_seconds(HOUR));
    assert_eq!(scene.round(500).await, [1]);
    assert_eq!(scene.status(&webhook, 1).await, "failed");
    assert!(matches!(retry().await, Err(Error::Conflict { .. })));
    let unknown = scene.app.webhook_delivery_retry(scene.account, webhook.id, 4711).await;
    assert!(matches!(unknown, Err(Error::NotFound("delivery"))));
}

async fn a_deleted_webhook_takes_its_deliveries_along(fresh: TestStore) {
    let scene = scene(fresh).await;
    let webhook = scene.webhook(change()).await;
    scene.queue(&webhook, 1..3).await;
    scene.app.webhook_delete(scene.account, webhook.id).await.expect("deleted");
    assert!(scene.claim().await.is_empty());
    let gone = scene.app.webhook_deliveries(scene.account, webhook.id, 10, 0).await;
    assert!(matches!(gone, Err(Error::NotFound("webhook"))));
    assert!(scene.app.directory().webhooks(scene.account, scene.program, "commission.updated").next().is_none());
}
