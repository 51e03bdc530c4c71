//! A program with one partner, one link of campaign `autumn`, a plan, and one endpoint; and the events of its clients.

use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_app::endpoint::{EndpointInput, endpoint_create};
use headwater_app::error::Error;
use headwater_app::keep::Keep;
use headwater_app::settle::{Answer, Command, Track};
use headwater_app::track::EventFilter;
use headwater_domain::attribution::{Evidence, Touch};
use headwater_domain::click::token::Traffic;
use headwater_domain::event::Event;
use headwater_domain::ids::{AccountId, ClickId, EventId, KeyId, LinkId, PartnerId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_store::Store;
use headwater_store::link::{NewLink, link_insert};
use headwater_store::partner::{NewPartner, partner_insert};
use headwater_store::plan::{plan_activate, plan_insert};
use headwater_store::tenant::{account_insert, program_insert};
use headwater_testkit::count::{Figure, count};
use headwater_testkit::database::TestStore;
use serde_json::Value;
use std::sync::Arc;

pub const NOW: Instant = Instant::from_seconds(1_790_000_000);
/// Pays 400 for a first deposit of 250.
pub const CPA: &str = r#"{"name":"ib","currency":"USD","rules":[{"id":"cpa","kind":"cpa","amount":"400","qualify":{"min_first_deposit":"250"}}]}"#;

pub struct Fixture {
    pub app: Arc<App>,
    pub account: AccountId,
    pub program: ProgramId,
    pub partner: PartnerId,
    pub link: LinkId,
    pub store: TestStore,
}

/// A node on this store; all nodes of a test have one master key.
pub async fn node(store: Store) -> Arc<App> {
    let start = Start {
        clock: Clock::manual(NOW),
        master_key: [7; 32],
        public_url: "https://go.broker.example".into(),
        egress_allow: Vec::new(),
    };
    App::start(store, start).await.expect("starts")
}

pub async fn fixture(store: TestStore) -> Fixture {
    fixture_with(store, CPA).await
}

pub async fn fixture_with(store: TestStore, plan: &'static str) -> Fixture {
    let made = store.store.money.write(async move |tx| {
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
        let new = NewLink {
            account_id: account,
            program_id: program,
            partner_id: partner,
            landing_page: "/".into(),
            encrypt_partner_id: false,
            region_routing: false,
            lang: None,
            utm: r#"{"campaign":"autumn"}"#.into(),
            tracking_id: "t".into(),
            metadata: "{}".into(),
            is_default: false,
            created_at: 0,
        };
        let link = link_insert(tx, &new).await?.expect("no default link");
        let number = plan_insert(tx, account, "ib", plan, 0).await?;
        plan_activate(tx, account, "ib", number, 0).await?;
        Ok((account, program, partner, link))
    });
    let (account, program, partner, link) = made.await.expect("an empty store takes a fixture");
    let app = node(store.store.clone()).await;
    let input = EndpointInput {
        url: "https://crm.broker.example/hook".into(),
        enabled_events: vec!["*".into()],
        description: None,
        metadata: "{}".into(),
        payload_style: headwater_domain::postback::subscription::PayloadStyle::Referral,
    };
    endpoint_create(&app.outbox, AccountId(account), input, NOW, Keep::nothing()).await.expect("creates");
    app.refresh().await.expect("refreshes");
    let (account, program) = (AccountId(account), ProgramId(program));
    Fixture { app, account, program, partner: PartnerId(partner), link: LinkId(link), store }
}

impl Fixture {
    /// An event of `client@example.org`, who clicked the link a minute ago, sent with a secret key.
    pub fn track(&self, event_type: &str) -> Track {
        Track {
            account: self.account,
            program: self.program,
            key: KeyId(1),
            trusted: true,
            event_type: event_type.into(),
            touch: Some(Touch {
                click: ClickId(77),
                link: self.link,
                partner: self.partner,
                at: NOW.plus_seconds(-60),
                evidence: Evidence::Click,
                traffic: Traffic::Open,
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

    /// Its first deposit, of 250 USD.
    pub fn deposit(&self) -> Track {
        let usd = Currency::parse("USD");
        Track { amount: Some((Decimal(250_000_000), "250.00".into())), currency: usd, ..self.track("FIRST_DEPOSIT") }
    }

    pub async fn ask(&self, track: Track) -> Result<Answer, Error> {
        self.app.settle(Command::Track(Box::new(track))).await
    }

    pub async fn settle(&self, track: Track) -> Value {
        told(self.ask(track).await.expect("settles"))
    }

    pub async fn confirm(&self, event: EventId) -> Answer {
        let confirm = Command::Confirm { account: self.account, event, amount: None, currency: None };
        self.app.settle(confirm).await.expect("settles")
    }

    /// Every event, the oldest first.
    pub async fn events(&self) -> Vec<Event> {
        let mut events = self.app.event_list(EventFilter::all(self.account), 1000).await.expect("lists");
        events.reverse();
        events
    }

    pub async fn count(&self, figure: Figure) -> i64 {
        count(&self.store.store, figure).await
    }

    pub async fn check(&self, expected: &[(Figure, i64)]) {
        for (figure, expected) in expected {
            assert_eq!(self.count(*figure).await, *expected, "{figure:?}");
        }
    }
}

/// The event of an answer.
pub fn told(answer: Answer) -> Value {
    match answer {
        Answer::Event { json, .. } => serde_json::from_str(&json).expect("JSON"),
        other => panic!("no event: {other:?}"),
    }
}

pub fn id_of(event: &Value) -> EventId {
    EventId(event["id"].as_i64().expect("a number"))
}
