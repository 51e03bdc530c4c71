//! Settlements on both engines: one event, one commission, one delivery, whatever comes at once; books that add up.

use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_app::endpoint::{EndpointInput, endpoint_create};
use headwater_app::keep::Keep;
use headwater_app::settle::{Answer, Command, Track};
use headwater_domain::attribution::{Evidence, Touch};
use headwater_domain::ids::{AccountId, ClickId, EventId, KeyId, LinkId, PartnerId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_store::partner::{NewPartner, partner_insert};
use headwater_store::plan::{plan_activate, plan_insert};
use headwater_store::tenant::{account_insert, program_insert};
use headwater_testkit::count::{Figure, count};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::Value;
use std::sync::Arc;

on_both_stores! {
    one_event_sent_64_times_at_once_is_one_event,
    a_first_deposit_pays_once_and_the_books_add_up,
    a_browsers_money_counts_after_a_secret_key_confirms_it,
    the_second_registration_is_a_duplicate_and_pays_nothing,
    another_content_under_a_used_event_id_is_refused,
}

const NOW: Instant = Instant::from_seconds(1_790_000_000);

/// A program with one partner, a plan that pays 400 for a first deposit of 250, and one endpoint.
struct Fixture {
    app: Arc<App>,
    account: AccountId,
    program: ProgramId,
    partner: PartnerId,
    _store: TestStore,
}

async fn fixture(store: TestStore) -> Fixture {
    let plan = r#"{"name":"ib","currency":"USD","rules":[{"id":"cpa","kind":"cpa","amount":"400","qualify":{"min_first_deposit":"250"}}]}"#;
    let (account, program, partner) = store
        .store
        .money
        .write(async move |tx| {
            let account = account_insert(tx, "a", 0).await?;
            let program = program_insert(tx, account, "p", "https://www.broker.example", r#"{"plan":"ib"}"#, 0).await?;
            let new = NewPartner {
                account_id: account,
                external_id: Some("ib1".into()),
                name: "One".into(),
                email: None,
                program_id: None,
                parent_id: None,
                plan: None,
                rates: "{}".into(),
                metadata: "{}".into(),
                created_at: 0,
            };
            let partner = partner_insert(tx, &new).await?.expect("the first of its name");
            let number = plan_insert(tx, account, "ib", plan, 0).await?;
            plan_activate(tx, account, "ib", number, 0).await?;
            Ok((account, program, partner))
        })
        .await
        .expect("an empty store takes a fixture");
    let start = Start {
        clock: Clock::manual(NOW),
        master_key: [7; 32],
        public_url: "https://go.broker.example".into(),
        egress_allow: Vec::new(),
    };
    let app = App::start(store.store.clone(), start).await.expect("starts");
    let input = EndpointInput {
        url: "https://crm.broker.example/hook".into(),
        enabled_events: vec!["*".into()],
        description: None,
        metadata: "{}".into(),
        payload_style: headwater_domain::postback::subscription::PayloadStyle::Referral,
    };
    endpoint_create(&app.outbox, AccountId(account), input, NOW, Keep::nothing()).await.expect("creates");
    app.refresh().await.expect("refreshes");
    let (account, program, partner) = (AccountId(account), ProgramId(program), PartnerId(partner));
    Fixture { app, account, program, partner, _store: store }
}

impl Fixture {
    fn track(&self, event_type: &str) -> Track {
        Track {
            account: self.account,
            program: self.program,
            key: KeyId(1),
            trusted: true,
            event_type: event_type.into(),
            touch: Some(Touch {
                click: ClickId(77),
                link: LinkId(1),
                partner: self.partner,
                at: NOW.plus_seconds(-60),
                evidence: Evidence::Click,
            }),
            touch_reason: None,
            email_key: Some("client@example.org".into()),
            name: None,
            amount: None,
            currency: None,
            metadata: None,
            data: None,
            event_key: None,
            fingerprint: "f".into(),
            occurred_at: None,
            idempotency: None,
        }
    }

    fn deposit(&self) -> Track {
        let usd = Currency::parse("USD");
        Track { amount: Some((Decimal(250_000_000), "250.00".into())), currency: usd, ..self.track("FIRST_DEPOSIT") }
    }

    async fn settle(&self, track: Track) -> Value {
        match self.app.settle(Command::Track(Box::new(track))).await.expect("settles") {
            Answer::Event { json, .. } => serde_json::from_str(&json).expect("JSON"),
            other => panic!("{other:?}"),
        }
    }

    async fn count(&self, figure: Figure) -> i64 {
        count(&self.app.store, figure).await
    }
}

async fn one_event_sent_64_times_at_once_is_one_event(store: TestStore) {
    let fixture = Arc::new(fixture(store).await);
    let senders: Vec<_> = (0..64)
        .map(|_| {
            let fixture = Arc::clone(&fixture);
            tokio::spawn(async move {
                let track = Track { event_key: Some("deposit-1".into()), ..fixture.deposit() };
                fixture.settle(track).await
            })
        })
        .collect();
    let mut answers = Vec::new();
    for sender in senders {
        answers.push(sender.await.expect("answers"));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0]["isConversion"], true);
    for (figure, expected) in [
        (Figure::Events, 1),
        (Figure::Commissions, 1),
        (Figure::Deliveries, 1),
        (Figure::Paid, 400_000_000),
        (Figure::Balance, 0),
    ] {
        assert_eq!(fixture.count(figure).await, expected, "{figure:?}");
    }
}

async fn a_first_deposit_pays_once_and_the_books_add_up(store: TestStore) {
    let fixture = fixture(store).await;
    let registered = fixture.settle(fixture.track("REGISTRATION")).await;
    assert_eq!((registered["isConversion"].clone(), registered["attribution"].clone()), (false.into(), "click".into()));
    let deposited = fixture.settle(fixture.deposit()).await;
    assert_eq!(deposited["isConversion"], true);
    assert_eq!(deposited["partnerId"], "ib1");
    let again = fixture.settle(fixture.deposit()).await;
    assert_eq!((again["isConversion"].clone(), again["isDuplicate"].clone()), (false.into(), true.into()));
    let expected = [
        (Figure::Events, 3),
        (Figure::Commissions, 1),
        (Figure::Entries, 2),
        (Figure::Unbalanced, 0),
        (Figure::Balance, 0),
        (Figure::Deliveries, 3),
    ];
    for (figure, expected) in expected {
        assert_eq!(fixture.count(figure).await, expected, "{figure:?}");
    }
}

async fn a_browsers_money_counts_after_a_secret_key_confirms_it(store: TestStore) {
    let fixture = fixture(store).await;
    let browser = Track { trusted: false, ..fixture.deposit() };
    let event = fixture.settle(browser).await;
    assert_eq!((event["verified"].clone(), event["isConversion"].clone()), (false.into(), false.into()));
    assert_eq!((fixture.count(Figure::Commissions).await, fixture.count(Figure::Deliveries).await), (0, 0));
    let event = EventId(event["id"].as_i64().expect("a number"));
    let (account, amount, currency) = (fixture.account, None, None);
    let confirm = Command::Confirm { account, event, amount, currency };
    let Answer::Event { json, .. } = fixture.app.settle(confirm.clone()).await.expect("settles") else {
        panic!("an event")
    };
    let confirmed: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((confirmed["verified"].clone(), confirmed["isConversion"].clone()), (true.into(), true.into()));
    assert_eq!((fixture.count(Figure::Commissions).await, fixture.count(Figure::Deliveries).await), (1, 1));
    assert_eq!(fixture.app.settle(confirm).await.expect("settles"), Answer::NotUnverified);
    let foreign = Command::Confirm { account: AccountId(99), event, amount: None, currency: None };
    assert_eq!(fixture.app.settle(foreign).await.expect("settles"), Answer::EventUnknown);
}

async fn the_second_registration_is_a_duplicate_and_pays_nothing(store: TestStore) {
    let fixture = fixture(store).await;
    let first = fixture.settle(fixture.track("REGISTRATION")).await;
    let second = fixture.settle(fixture.track("REGISTRATION")).await;
    assert_eq!((first["isDuplicate"].clone(), second["isDuplicate"].clone()), (false.into(), true.into()));
    assert_eq!(first["clientId"], second["clientId"]);
}

async fn another_content_under_a_used_event_id_is_refused(store: TestStore) {
    let fixture = fixture(store).await;
    let first = Track { event_key: Some("k".into()), ..fixture.track("REGISTRATION") };
    let event = fixture.settle(first.clone()).await;
    assert_eq!(fixture.settle(first.clone()).await, event);
    let other = Track { fingerprint: "other".into(), ..first };
    let refused = fixture.app.settle(Command::Track(Box::new(other))).await.expect("settles");
    assert_eq!(refused, Answer::EventKeyReused);
    assert_eq!(fixture.count(Figure::Events).await, 1);
}
