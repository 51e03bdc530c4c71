//! Referrals that go from campaign to campaign: what they do is paid where they are, once, and what they did is known there.

mod life;

use crate::brokers::{deposit, fact};
use crate::fixture::{Fixture, NOW, fixture_with};
use headwater_app::batch::{BatchAction, BatchRequest};
use headwater_app::commission::CommissionFilter;
use headwater_app::ingest::{FactRecord, Ingest, RecordStatus, Source};
use headwater_app::keep::Keep;
use headwater_app::membership::Membership;
use headwater_app::partner::PartnerRequest;
use headwater_app::referral::{Named, NewReferral, Referral, ReferralChange, ReferralFilter};
use headwater_app::tracking::{Bought, TrackFailure, Tracked, Visitor};
use headwater_app::webhook::WebhookChange;
use headwater_domain::ids::{CustomerId, PartnerId, ProgramId};
use headwater_domain::money::Decimal;
use headwater_domain::postback::rewards_event;
use headwater_domain::time::Instant;
use headwater_store::backend::{Statement, Tx};
use headwater_store::membership::membership_ensure;
use headwater_store::plan::{plan_activate, plan_insert};
use headwater_store::tenant::program_insert;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Map, Value, json};
use std::sync::Arc;

on_both_stores! {
    what_it_buys_is_paid_where_it_is,
    what_was_used_up_there_is_used_up_here,
    who_was_new_when_it_was_referred_stays_new,
    what_qualified_there_does_not_qualify_here,
    who_had_not_qualified_qualifies_here,
    a_sale_of_before_and_what_is_given_back_go_to_the_campaign_of_their_time,
    who_goes_and_comes_back_is_paid_once_in_each_time,
    a_promoter_takes_its_referrals_along_and_says_who_stays,
    a_move_that_was_cut_short_is_done_once,
    who_shares_goes_along_where_it_is_there,
    what_is_said_of_it_goes_along_and_is_forgotten_whole,
    moves_that_cannot_be_are_refused,
}

static TOLD: Statement = Statement::new("SELECT event_type, body FROM delivery ORDER BY id");

/// A fifth of each sale.
const FIFTH: &str =
    r#"{"name":"ib","currency":"USD","rules":[{"id":"share","kind":"percent","percent":"20","of":["sale"]}]}"#;
/// A tenth of each sale.
const TENTH: &str =
    r#"{"name":"gold","currency":"USD","rules":[{"id":"share","kind":"percent","percent":"10","of":["sale"]}]}"#;

/// Two campaigns, and a promoter that is a member of both.
struct Two {
    fixture: Fixture,
    old: Arc<Membership>,
    new: Arc<Membership>,
}

async fn two(store: TestStore, old: &'static str, new: &'static str) -> Two {
    let fixture = fixture_with(store, old).await;
    let (account, partner) = (fixture.account.0, fixture.partner.0);
    let made = async move |tx: &Tx<'_>| {
        let program = program_insert(tx, account, "q", "https://gold.broker.example", r#"{"plan":"gold"}"#, 0).await?;
        let number = plan_insert(tx, account, "gold", new, 0).await?;
        plan_activate(tx, account, "gold", number, 0).await?;
        membership_ensure(tx, account, program, partner, 0).await?;
        Ok(program)
    };
    let program = ProgramId(fixture.app.store.money.write(made).await.expect("a program"));
    let first = fixture.program.0;
    let join = async move |tx: &Tx<'_>| membership_ensure(tx, account, first, partner, 0).await;
    fixture.app.store.money.write(join).await.expect("a member");
    fixture.app.refresh().await.expect("refreshes");
    let member = |program| fixture.app.membership_of(fixture.account, program, fixture.partner).expect("a member");
    let (old, new) = (member(fixture.program), member(program));
    Two { fixture, old, new }
}

fn email(who: &str) -> Named {
    Named::new(Some(&format!("{who}@buyer.example")), None)
}

impl Two {
    async fn referral(&self, who: &str) -> CustomerId {
        let (app, account) = (&self.fixture.app, self.fixture.account);
        let made = NewReferral { entry_source: "api", ..NewReferral::default() };
        app.referral_create(account, &self.old, &email(who), made).await.expect("creates").id()
    }

    fn pass(&self, seconds: i64) {
        self.fixture.app.clock.advance_seconds(seconds);
    }

    fn now(&self) -> Instant {
        self.fixture.app.clock.now()
    }

    async fn go(&self, id: CustomerId, to: &Membership) -> Referral {
        self.pass(60);
        let (app, account) = (&self.fixture.app, self.fixture.account);
        let moved = app.referral_move(account, id, to, false, self.now()).await.expect("moves");
        self.pass(60);
        moved
    }

    fn bought(who: &str, key: &str, dollars: i64) -> Bought {
        Bought {
            named: email(who),
            visitor: Visitor::default(),
            event_id: key.into(),
            amount_minor: dollars * 100,
            currency: None,
            sale_event_id: None,
            at: None,
            attributes: Map::new(),
        }
    }

    async fn try_sale(&self, bought: Bought) -> Result<Tracked, TrackFailure> {
        self.pass(1);
        self.fixture.app.track_sale(self.fixture.account, bought).await
    }

    async fn sale(&self, who: &str, key: &str, dollars: i64) -> Tracked {
        self.try_sale(Self::bought(who, key, dollars)).await.expect("tracks")
    }

    async fn refund(&self, who: &str, key: &str, of: Option<&str>, dollars: i64) -> Option<Tracked> {
        self.pass(1);
        let bought = Bought { sale_event_id: of.map(str::to_owned), ..Self::bought(who, key, dollars) };
        self.fixture.app.track_refund(self.fixture.account, bought).await.expect("tracks")
    }

    /// What was paid in the old campaign and in the new one, in dollars; and everything is as it would be recomputed.
    async fn paid(&self) -> (i64, i64) {
        self.fixture.app.reprice().await.expect("prices");
        let filter = CommissionFilter::default();
        let rows = self.fixture.app.commission_list(self.fixture.account, filter, 10_000).await.expect("lists");
        let of = |program: ProgramId| {
            rows.iter().filter(|row| row.program_id == program.0).map(|row| row.amount).sum::<i64>() / 1_000_000
        };
        self.fixture.sound().await;
        (of(self.old.program), of(self.new.program))
    }

    async fn listed(&self, state: Option<&str>) -> Vec<(i64, i64)> {
        let filter = ReferralFilter {
            account_id: self.fixture.account.0,
            state: state.map(str::to_owned),
            ..ReferralFilter::default()
        };
        let (rows, total) = self.fixture.app.referral_list(filter, 100, 0).await.expect("lists");
        assert_eq!(rows.len(), usize::try_from(total).expect("few"));
        rows.iter().map(|row| (row.row.id, row.row.program_id)).collect()
    }

    async fn hears(&self) {
        let change = WebhookChange {
            url: Some("https://crm.broker.example/rewards".into()),
            event_types: Some(rewards_event::names()),
            ..WebhookChange::default()
        };
        self.fixture.app.webhook_create(self.fixture.account, change, Keep::nothing()).await.expect("a webhook");
    }

    /// The names of what was told of referrals, each with whose it is.
    async fn told(&self) -> Vec<(String, i64)> {
        let rows = self.fixture.app.store.money.read(async |tx| tx.all::<(String, String)>(&TOLD, &[]).await).await;
        let rows = rows.expect("the store answers").into_iter().filter(|(name, _)| name.starts_with("referral."));
        let id = |body: &str| {
            let body: Value = serde_json::from_str(body).expect("JSON");
            let found = body.pointer("/event/data/id").or(body.pointer("/data/id")).and_then(Value::as_i64);
            found.unwrap_or_else(|| panic!("no id: {body}"))
        };
        rows.map(|(name, body)| (name, id(&body))).collect()
    }

    async fn act(&self, action: BatchAction, ids: &[i64], parameters: Value) -> Vec<(i64, String)> {
        self.pass(60);
        let parameters = parameters.as_object().cloned().expect("an object");
        let request = BatchRequest { action, ids: ids.into(), parameters, actor: "key:1".into() };
        let story = self.fixture.app.batch_start(self.fixture.account, request).await.expect("starts");
        self.pass(60);
        story.errors
    }

    async fn push(&self, program: ProgramId, record: FactRecord) -> RecordStatus {
        let ingest = Ingest {
            account: self.fixture.account,
            program,
            source: Source::Push,
            all_or_nothing: false,
            records: vec![fact(record)],
            keep: Keep::nothing(),
        };
        self.fixture.app.record(ingest).await.expect("records").remove(0).status
    }
}

async fn what_it_buys_is_paid_where_it_is(store: TestStore) {
    let two = two(store, FIFTH, TENTH).await;
    two.hears().await;
    let first = two.referral("a").await;
    two.sale("a", "s1", 100).await;
    let told = two.told().await.len();
    let moved = two.go(first, &two.new).await;
    assert_ne!(moved.id(), first);
    assert_eq!((moved.row.program_id, moved.row.partner_id), (two.new.program.0, Some(two.fixture.partner.0)));
    assert_eq!(moved.row.state, "active", "it bought, wherever that was");
    let expected = [("referral.updated", first), ("referral.moved", first), ("referral.created", moved.id())];
    let expected: Vec<_> = expected.map(|(name, id)| (name.to_owned(), id.0)).into();
    assert_eq!(two.told().await[told..], expected);
    assert_eq!(two.paid().await, (20, 0), "the past is paid once, where it was");

    let sale = two.sale("a", "s2", 100).await;
    assert_eq!((sale.referral.id(), sale.commissions.len()), (moved.id(), 1));
    assert_eq!(two.told().await.len(), told + 3, "it has bought before: it is converted no more");
    assert_eq!(two.paid().await, (20, 10));
    // Whoever names the human, or the one that it was, means the one that it is.
    let (app, account) = (&two.fixture.app, two.fixture.account);
    assert_eq!(app.referral_read(account, first).await.expect("found").id(), moved.id());
    for program in [None, Some(two.old.program), Some(two.new.program)] {
        let found = app.referral_named(account, program, &email("a")).await.expect("reads").expect("found");
        assert_eq!(found.id(), moved.id());
    }
    assert_eq!(two.listed(None).await, [(moved.row.id, two.new.program.0)]);
    assert_eq!(two.listed(Some("moved")).await, [(first.0, two.old.program.0)]);
    let of = |program| async move {
        let figures = app.figures(account, Some(two.fixture.partner)).await.expect("counts");
        let of = figures[&(two.fixture.partner, program)].clone();
        (of.referrals, of.customers, of.sales, of.revenue.0 / 1_000_000)
    };
    assert_eq!(of(two.old.program).await, (0, 1, 1, 100));
    assert_eq!(of(two.new.program).await, (1, 1, 1, 100), "what was there since");
    assert!(two.fixture.held().await.is_empty());
    // Again it is done already.
    assert_eq!(two.go(first, &two.new).await.id(), moved.id());
    assert_eq!((two.told().await.len(), two.paid().await), (told + 3, (20, 10)));
}

/// Pays for sales as `sales` says.
fn plan(name: &str, sales: &Value) -> &'static str {
    let rule = json!({"id": "reward", "kind": "flat", "amount": "10", "sales": sales});
    json!({"name": name, "currency": "USD", "rules": [rule]}).to_string().leak()
}

async fn what_was_used_up_there_is_used_up_here(store: TestStore) {
    let once = json!({"max_redemptions": 2});
    let two = two(store, FIFTH, plan("gold", &once)).await;
    let first = two.referral("a").await;
    two.sale("a", "s1", 100).await;
    two.go(first, &two.new).await;
    two.sale("a", "s2", 100).await;
    assert_eq!(two.paid().await, (20, 10), "the second of two");
    two.sale("a", "s3", 100).await;
    assert_eq!(two.paid().await, (20, 10), "the third");
    // Given back whole, the first is none, and the third is the second.
    two.refund("a", "r1", Some("s1"), 100).await.expect("tracked");
    assert_eq!(two.paid().await, (0, 20));
    // Who comes late was first.
    let late = Bought { at: Some(NOW.plus_seconds(30)), ..Two::bought("a", "s0", 50) };
    two.try_sale(late).await.expect("tracks");
    assert_eq!(two.paid().await, (10, 10));
    assert!(two.fixture.held().await.is_empty(), "{:?}", two.fixture.held().await);
}

async fn who_was_new_when_it_was_referred_stays_new(store: TestStore) {
    let asked = json!({"new_customers_only": true, "within_months": 2,
        "conditions": [{"metric": "customer_sales_count", "is": "at_least", "value": "2"}]});
    let two = two(store, FIFTH, plan("gold", &asked)).await;
    let (new, known) = (two.referral("new").await, two.referral("known").await);
    let before = Bought { at: Some(NOW.plus_seconds(-10 * 86_400)), ..Two::bought("known", "k1", 100) };
    two.try_sale(before).await.expect("tracks");
    two.sale("new", "n1", 100).await;
    two.go(new, &two.new).await;
    two.go(known, &two.new).await;
    two.sale("new", "n2", 100).await;
    two.sale("known", "k2", 100).await;
    let (old, paid) = two.paid().await;
    assert_eq!(paid, 10, "the second sale of whom the promoter brought, and not of whom it did not; {old}");
    two.pass(40 * 86_400);
    two.sale("new", "n3", 100).await;
    assert_eq!(two.paid().await.1, 20, "within two months of the first sale");
    two.pass(40 * 86_400);
    two.sale("new", "n4", 100).await;
    assert_eq!(two.paid().await.1, 20, "its first sale was there");
}

/// Pays for a first deposit of 250.
const OLD_CPA: &str = r#"{"name":"ib","currency":"USD","rules":[{"id":"cpa","kind":"cpa","amount":"400","qualify":{"min_first_deposit":"250"}}]}"#;
const NEW_CPA: &str = r#"{"name":"gold","currency":"USD","rules":[{"id":"cpa","kind":"cpa","amount":"300","qualify":{"min_first_deposit":"250"}},
    {"id":"account","kind":"cpa","amount":"7","once_per":"customer","qualify":{"min_first_deposit":"250"}},
    {"id":"net","kind":"cpa","amount":"50","qualify":{"min_net_deposit":"1000"}}]}"#;

fn deposited(key: &str, dollars: i64, at: Instant) -> FactRecord {
    FactRecord { at: Some(at), ..deposit("email:a@buyer.example", key, dollars) }
}

async fn what_qualified_there_does_not_qualify_here(store: TestStore) {
    let two = two(store, OLD_CPA, NEW_CPA).await;
    let first = two.referral("a").await;
    assert_eq!(two.push(two.old.program, deposited("d1", 300, two.now())).await, RecordStatus::Created);
    assert_eq!(two.paid().await, (400, 0));
    two.go(first, &two.new).await;
    two.push(two.new.program, deposited("d2", 500, two.now())).await;
    assert_eq!(two.paid().await, (400, 0));
    // What both campaigns add up to is reached here.
    two.push(two.new.program, deposited("d3", 500, two.now())).await;
    assert_eq!(two.paid().await, (400, 50));
    let back = two.go(first, &two.old).await;
    assert_eq!(back.id(), first);
    two.push(two.old.program, deposited("d4", 500, two.now())).await;
    assert_eq!(two.paid().await, (400, 50));
}

async fn who_had_not_qualified_qualifies_here(store: TestStore) {
    let two = two(store, OLD_CPA, NEW_CPA).await;
    let first = two.referral("a").await;
    two.go(first, &two.new).await;
    two.push(two.new.program, deposited("d1", 300, two.now())).await;
    assert_eq!(two.paid().await, (0, 307));
    two.go(first, &two.old).await;
    two.push(two.old.program, deposited("d2", 300, two.now())).await;
    assert_eq!(two.paid().await, (0, 307));
}

async fn a_sale_of_before_and_what_is_given_back_go_to_the_campaign_of_their_time(store: TestStore) {
    let two = two(store, FIFTH, TENTH).await;
    let first = two.referral("a").await;
    let signup = |two: &Two| {
        let (app, account) = (Arc::clone(&two.fixture.app), two.fixture.account);
        let visitor = Visitor { ref_id: Some(two.new.row.ref_token.clone()), ..Visitor::default() };
        async move { app.track_signup(account, &email("a"), &visitor, None, Map::new()).await }
    };
    let visitor = Visitor { ref_id: Some(two.old.row.ref_token.clone()), ..Visitor::default() };
    let (app, account) = (&two.fixture.app, two.fixture.account);
    app.track_signup(account, &email("a"), &visitor, None, Map::new()).await.expect("signs up");
    two.sale("a", "s1", 100).await;
    let moved = two.go(first, &two.new).await;
    assert!(matches!(signup(&two).await, Err(TrackFailure::SignedUp)));
    for key in ["s1"] {
        let again = two.try_sale(Two::bought("a", key, 100)).await;
        assert!(matches!(again, Err(TrackFailure::Repeated)), "{again:?}");
    }
    let late = Bought { at: Some(NOW.plus_seconds(2)), ..Two::bought("a", "s0", 50) };
    assert_eq!(two.try_sale(late.clone()).await.expect("tracks").commissions.len(), 1);
    assert!(matches!(two.try_sale(late).await, Err(TrackFailure::Repeated)));
    two.sale("a", "s2", 100).await;
    assert_eq!(two.paid().await, (30, 10));

    two.refund("a", "r1", Some("s1"), 50).await.expect("tracked");
    assert_eq!(two.paid().await, (20, 10));
    two.pass(1);
    let again = Bought { sale_event_id: Some("s1".into()), ..Two::bought("a", "r1", 50) };
    let again = app.track_refund(account, again).await;
    assert!(matches!(again, Err(TrackFailure::Repeated)), "{again:?}");
    // One that names no sale is of the latest that has so much left.
    two.refund("a", "r2", None, 100).await.expect("tracked");
    assert_eq!(two.paid().await, (20, 0));
    two.refund("a", "r3", None, 50).await.expect("tracked");
    let (old, new) = two.paid().await;
    assert_eq!((old, new), (10, 0));
    assert_eq!(app.referral_read(account, first).await.expect("found").id(), moved.id());
}

async fn who_goes_and_comes_back_is_paid_once_in_each_time(store: TestStore) {
    let two = two(store, FIFTH, TENTH).await;
    let first = two.referral("a").await;
    two.sale("a", "s1", 100).await;
    let there = two.go(first, &two.new).await;
    two.sale("a", "s2", 100).await;
    let back = two.go(there.id(), &two.old).await;
    assert_eq!(back.id(), first, "the one that it was stands for it again");
    assert_eq!(two.listed(None).await, [(first.0, two.old.program.0)]);
    assert_eq!(two.listed(Some("moved")).await, [(there.row.id, two.new.program.0)]);
    assert_eq!(two.paid().await, (20, 10));
    two.sale("a", "s3", 100).await;
    assert_eq!(two.paid().await, (40, 10));
    assert_eq!(two.go(there.id(), &two.new).await.id(), there.id());
    two.sale("a", "s4", 100).await;
    assert_eq!(two.paid().await, (40, 20));
    for (key, paid) in [("s1", (20, 20)), ("s2", (20, 10)), ("s3", (0, 10)), ("s4", (0, 0))] {
        two.refund("a", &format!("r{key}"), Some(key), 100).await.expect("tracked");
        assert_eq!(two.paid().await, paid, "{key}");
    }
    assert!(two.fixture.held().await.is_empty(), "{:?}", two.fixture.held().await);
}

async fn a_promoter_takes_its_referrals_along_and_says_who_stays(store: TestStore) {
    let two = two(store, FIFTH, TENTH).await;
    let (account, partner) = (two.fixture.account, two.fixture.partner);
    let mut first = Vec::new();
    for who in ["a", "b", "c"] {
        first.push(two.referral(who).await);
        two.sale(who, &format!("1{who}"), 100).await;
    }
    // Somebody brought the second one there, too.
    let asked = PartnerRequest { id: Some("ib2".into()), name: Some("Two".into()), ..PartnerRequest::default() };
    let other = two.fixture.app.partner_create(account, asked, Keep::nothing()).await.expect("creates").id;
    let program = two.new.program;
    let join = async move |tx: &Tx<'_>| membership_ensure(tx, account.0, program.0, other.0, 0).await;
    two.fixture.app.store.money.write(join).await.expect("a member");
    two.fixture.app.refresh().await.expect("refreshes");
    let member = two.fixture.app.membership_of(account, program, other).expect("a member");
    let made = NewReferral { entry_source: "api", ..NewReferral::default() };
    two.fixture.app.referral_create(account, &member, &email("b"), made).await.expect("creates");

    let parameters = |is_soft: bool| json!({"from_campaign_id": two.old.program.0, "to_campaign_id": program.0, "soft_move_referrals": is_soft});
    let hard = two.act(BatchAction::PromoterMoveToCampaign, &[partner.0], parameters(false)).await;
    assert_eq!(hard, []);
    two.sale("a", "2a", 100).await;
    assert_eq!(two.paid().await, (80, 0), "without, they stay");
    for _ in 0..2 {
        let soft = two.act(BatchAction::PromoterMoveToCampaign, &[partner.0], parameters(true)).await;
        let [(id, error)] = &soft[..] else { panic!("one stays: {soft:?}") };
        assert_eq!(*id, partner.0);
        assert!(error.contains("referrals stay") && error.contains(&format!("{}: ", first[1])), "{error}");
    }
    for who in ["a", "c"] {
        two.sale(who, &format!("3{who}"), 100).await;
    }
    assert_eq!(two.paid().await, (80, 20));
}

async fn a_move_that_was_cut_short_is_done_once(store: TestStore) {
    let two = two(store, FIFTH, TENTH).await;
    two.hears().await;
    let mut first = Vec::new();
    for number in 0..7 {
        first.push(two.referral(&format!("c{number}")).await.0);
        two.sale(&format!("c{number}"), &format!("s{number}"), 100).await;
    }
    // Some were moved, and one is recorded there and not moved yet.
    for id in &first[..3] {
        two.go(CustomerId(*id), &two.new).await;
    }
    let recorded = email("c3");
    two.push(two.new.program, deposit("nobody", "d", 1)).await;
    let record = headwater_app::ingest::Record::Customer(Box::new(headwater_app::ingest::CustomerRecord {
        email: headwater_app::ingest::Field::Set(recorded.email.clone().expect("an email")),
        referrer: headwater_app::ingest::Referrer::Unsaid,
        ..crate::brokers::customer(&two.fixture, "email:c3@buyer.example")
    }));
    let ingest = Ingest {
        account: two.fixture.account,
        program: two.new.program,
        source: Source::Push,
        all_or_nothing: true,
        records: vec![record],
        keep: Keep::nothing(),
    };
    two.fixture.app.record(ingest).await.expect("records");
    let parameters = json!({"from_campaign_id": two.old.program.0, "to_campaign_id": two.new.program.0,
        "soft_move_referrals": true});
    for _ in 0..2 {
        let failed = two.act(BatchAction::PromoterMoveToCampaign, &[two.fixture.partner.0], parameters.clone()).await;
        assert_eq!(failed, []);
    }
    let told = two.told().await;
    for id in &first {
        assert_eq!(told.iter().filter(|told| **told == ("referral.moved".into(), *id)).count(), 1, "{id}");
    }
    let listed = two.listed(None).await;
    assert_eq!(listed.len(), 7);
    assert!(listed.iter().all(|(_, program)| *program == two.new.program.0));
    for number in 0..7 {
        two.sale(&format!("c{number}"), &format!("t{number}"), 100).await;
    }
    assert_eq!(two.paid().await, (140, 70));
}

async fn who_shares_goes_along_where_it_is_there(store: TestStore) {
    let two = two(store, FIFTH, TENTH).await;
    let (app, account) = (&two.fixture.app, two.fixture.account);
    let asked = PartnerRequest { id: Some("ib2".into()), name: Some("Two".into()), ..PartnerRequest::default() };
    let other = app.partner_create(account, asked, Keep::nothing()).await.expect("creates").id;
    let join = |program: ProgramId| {
        let store = app.store.clone();
        async move {
            let join = async move |tx: &Tx<'_>| membership_ensure(tx, account.0, program.0, other.0, 0).await;
            store.money.write(join).await.expect("a member");
        }
    };
    join(two.old.program).await;
    app.refresh().await.expect("refreshes");
    let (stays, goes) = (two.referral("stays").await, two.referral("goes").await);
    let member = app.membership_of(account, two.old.program, other).expect("a member");
    for id in [stays, goes] {
        let split = Some(vec![(member.id, Decimal(50_000_000))]);
        app.referral_patch(account, id, ReferralChange { split, ..ReferralChange::default() }).await.expect("splits");
    }
    let alone = two.go(stays, &two.new).await;
    assert_eq!(alone.split_details(app), Value::Null, "who shares is not there");
    join(two.new.program).await;
    app.refresh().await.expect("refreshes");
    let shared = two.go(goes, &two.new).await;
    assert_eq!(shared.split_details(app)[0]["percentage"], json!(50), "{}", shared.split_details(app));
    two.sale("stays", "1", 100).await;
    two.sale("goes", "2", 100).await;
    assert_eq!(two.paid().await, (0, 20));
    let rows = app.commission_list(account, CommissionFilter::default(), 100).await.expect("lists");
    let of = |partner: PartnerId| {
        rows.iter().filter(|row| row.partner_id == Some(partner.0)).map(|row| row.amount / 1_000_000).sum::<i64>()
    };
    assert_eq!((of(two.fixture.partner), of(other)), (15, 5));
}

async fn what_is_said_of_it_goes_along_and_is_forgotten_whole(store: TestStore) {
    let two = two(store, FIFTH, TENTH).await;
    let (app, account) = (&two.fixture.app, two.fixture.account);
    let first = two.referral("a").await;
    let said = json!({"referral_state": "denied", "fraud_check": "same_ip_suspicion", "website": "a.example"});
    let attributes = said.as_object().cloned().expect("an object");
    let change = ReferralChange { attributes, name: Some("Ann".into()), ..ReferralChange::default() };
    app.referral_patch(account, first, change).await.expect("changes");
    let moved = two.go(first, &two.new).await;
    assert_eq!((moved.row.name.as_deref(), moved.row.state.as_str()), (Some("Ann"), "denied"));
    assert_eq!(moved.attributes()["fraud_check"], "same_ip_suspicion");
    assert!(matches!(two.try_sale(Two::bought("a", "s1", 100)).await, Err(TrackFailure::Disabled)));
    // By the number of the one that it was, it is enabled.
    assert_eq!(two.act(BatchAction::ReferralEnable, &[first.0], json!({})).await, []);
    two.sale("a", "s1", 100).await;
    assert_eq!(two.paid().await, (0, 10));
    // What was said in the other campaign since does not come back.
    let back = two.go(moved.id(), &two.old).await;
    assert_eq!((back.row.state.as_str(), &back.attributes()["website"]), ("active", &json!("a.example")));
    assert_eq!(two.act(BatchAction::ReferralDelete, &[moved.row.id], json!({})).await, []);
    for id in [first, moved.id()] {
        assert!(app.referral_read(account, id).await.is_err());
        let person = app.customer_read(account, id).await.expect("there").person;
        assert!(person.is_erased, "{id}");
    }
}

async fn moves_that_cannot_be_are_refused(store: TestStore) {
    let two = two(store, FIFTH, TENTH).await;
    let (app, account) = (&two.fixture.app, two.fixture.account);
    let first = two.referral("a").await;
    let whole = json!({"promoter_campaign_id": two.new.id.0, "move_associated_commissions": true});
    let refused = two.act(BatchAction::ReferralMoveToPromoter, &[first.0], whole.clone()).await;
    assert!(refused[0].1.starts_with("move_associated_commissions "), "{refused:?}");
    let moved = two.go(first, &two.new).await;
    let early = app.customer_attribute(account, moved.id(), "ib1", Some(NOW), "by hand").await;
    assert!(early.is_err(), "it was not there then: {early:?}");
    let left = app.customer_attribute(account, first, "ib1", None, "by hand").await;
    assert!(left.is_err(), "it is not there now: {left:?}");
    // Within its campaign it is taken over from when it came.
    two.sale("a", "s1", 100).await;
    let asked = PartnerRequest { id: Some("ib2".into()), name: Some("Two".into()), ..PartnerRequest::default() };
    let other = app.partner_create(account, asked, Keep::nothing()).await.expect("creates").id;
    let program = two.new.program;
    let join = async move |tx: &Tx<'_>| membership_ensure(tx, account.0, program.0, other.0, 0).await;
    app.store.money.write(join).await.expect("a member");
    app.refresh().await.expect("refreshes");
    let member = app.membership_of(account, program, other).expect("a member");
    let whole = json!({"promoter_campaign_id": member.id.0, "move_associated_commissions": true});
    assert_eq!(two.act(BatchAction::ReferralMoveToPromoter, &[first.0], whole).await, []);
    assert_eq!(two.paid().await, (0, 10));
    let rows = app.commission_list(account, CommissionFilter::default(), 100).await.expect("lists");
    let theirs = rows.iter().filter(|row| row.partner_id == Some(other.0)).map(|row| row.amount / 1_000_000);
    assert_eq!(theirs.sum::<i64>(), 10);
    let blocked = headwater_app::membership::MembershipChange {
        state: Some(headwater_app::membership::MemberState::Blocked),
        ..headwater_app::membership::MembershipChange::default()
    };
    app.membership_patch(account, two.old.id, blocked).await.expect("blocks");
    let back = json!({"promoter_campaign_id": two.old.id.0});
    let refused = two.act(BatchAction::ReferralMoveToPromoter, &[first.0], back).await;
    assert!(refused[0].1.contains("is blocked or rejected"), "{refused:?}");
}
