//! What advertisements bring waits where the campaign says so, however the click is named; and what is earned of it is approved with it.

use crate::fixture::{Fixture, NOW, fixture_with, id_of};
use headwater_app::click::Visit;
use headwater_app::commission::{CommissionFilter, Verdict};
use headwater_app::history::History;
use headwater_app::ingest::{CustomerRecord, FactKey, FactRecord, Field, Ingest, OnRepeat, Record, Referrer, Source};
use headwater_app::keep::Keep;
use headwater_app::referral::{Named, Referral, ReferralChange, ReferralFilter, STATE};
use headwater_app::settle::Track;
use headwater_app::track::{ClickSignal, Signals};
use headwater_app::tracking::{Bought, Visitor};
use headwater_domain::attribution::Touch;
use headwater_domain::click::session::SessionId;
use headwater_domain::click::token::Traffic;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::ClickId;
use headwater_domain::link::LINK_PREFIX;
use headwater_domain::money::Decimal;
use headwater_store::backend::Statement;
use headwater_testkit::count::{Figure, count};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Map, Value, json};

on_both_stores! {
    however_an_advertisements_click_is_named_its_referral_waits,
    who_was_bound_before_does_not_wait,
    what_is_earned_is_approved_with_the_referral_and_told_once,
    a_refund_of_what_waits_waits_with_it,
    who_is_disabled_while_it_waits_is_approved_by_enabling_alone,
    nothing_is_approved_that_the_program_would_not_have_approved,
    an_event_of_a_browser_that_is_confirmed_later_waits_too,
    a_client_of_a_click_and_its_name_wait_together,
    a_state_that_a_record_says_keeps_waiting_as_well,
    an_account_that_turns_out_to_be_a_waiting_client_waits,
    who_is_forgotten_while_it_waits_goes_on_waiting,
    in_a_cell_of_many_clients_a_posting_waits_where_its_fact_is_of_who_waits,
}

const PLAN: &str = r#"{"name":"ib","currency":"USD","rules":[
    {"id":"share","kind":"percent","percent":"20","of":["sale"]},
    {"id":"points","kind":"flat","unit":"points","amount":"250","on":"SALE","once_per":"event"},
    {"id":"lead","kind":"flat","amount":"3","on":"SUBSCRIPTION","once_per":"event"}]}"#;
static TOLD: Statement = Statement::new(
    "SELECT event_type FROM delivery WHERE event_id IS NULL AND event_type LIKE 'commission.%' ORDER BY id",
);
/// The second client of a month makes each of them worth more.
const STEPS: &str = r#"{"name":"ib","currency":"USD","rules":[{"id":"cpa","kind":"cpa","amount":"10","qualify":{"min_first_deposit":"5"},
    "brackets":{"metric":"ftd","steps":[{"from":"0","rate":"10"},{"from":"2","rate":"14"}]}}]}"#;
const WHO: &str = "client@example.org";

async fn asking(store: TestStore) -> Fixture {
    let fixture = fixture_with(store, PLAN).await;
    say(&fixture, "pending").await;
    fixture
}

async fn say(fixture: &Fixture, traffic: &str) {
    let asked = json!({ "track_ad_traffic": traffic }).as_object().cloned().expect("an object");
    fixture.app.campaign_patch(fixture.account, fixture.program, &asked).await.expect("it can be said");
    fixture.app.refresh().await.expect("refreshes");
}

/// The token, the session and the number of a click.
async fn click(fixture: &Fixture, extra: &str, random: u8) -> (String, String, i64) {
    let lid = headwater_domain::ids::to_prefixed(LINK_PREFIX, fixture.link.0, headwater_domain::time::Instant(0));
    let query: Vec<_> = url::form_urlencoded::parse(format!("lid={lid}{extra}").as_bytes()).into_owned().collect();
    let session = SessionId::new(NOW, [random; 16]);
    let visit = Visit { query, session: Some(session), device_type: "desktop", ..Visit::default() };
    let redirect = fixture.app.clicks.visit(&visit, [random; 16], NOW).await.expect("there is a program");
    let parameter = |name: &str| {
        let mut pairs = redirect.location.query_pairs();
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).expect("there is one")
    };
    let token = parameter("clickId");
    let number = fixture.app.clicks.keys().read(&token, fixture.account).expect("it counts").click.0;
    // On a machine that has much to do the row comes later than the redirect.
    let row = Signals { click: Some(ClickSignal::Number(number)), session: None };
    while fixture.app.resolve_signals(fixture.account, fixture.program, &row, NOW).await.expect("reads").0.is_none() {
        tokio::task::yield_now().await;
    }
    (token, parameter("sessionId"), number)
}

async fn touch(fixture: &Fixture, signals: &Signals) -> Touch {
    let found = fixture.app.resolve_signals(fixture.account, fixture.program, signals, NOW).await.expect("reads");
    found.0.expect("it leads somewhere")
}

async fn touch_of(fixture: &Fixture, extra: &str, random: u8) -> Touch {
    let (token, ..) = click(fixture, extra, random).await;
    touch(fixture, &Signals { click: Some(ClickSignal::Token(token)), session: None }).await
}

async fn referral(fixture: &Fixture, email: &str) -> Referral {
    let named = Named::new(Some(email), None);
    let found = fixture.app.referral_named(fixture.account, Some(fixture.program), &named).await.expect("reads");
    found.expect("it is known")
}

fn fraud_check(referral: &Referral) -> Option<String> {
    referral.attributes().get("fraud_check").and_then(Value::as_str).map(str::to_owned)
}

async fn state(fixture: &Fixture, email: &str) -> (String, Option<String>) {
    let found = referral(fixture, email).await;
    (found.row.state.clone(), fraud_check(&found))
}

fn waiting() -> (String, Option<String>) {
    ("pending".into(), Some("ad_source".into()))
}

/// Becomes `null` (approved, enabled) or a word.
async fn become_state(fixture: &Fixture, email: &str, state: Value) {
    become_of(fixture, &referral(fixture, email).await, state).await;
}

async fn become_of(fixture: &Fixture, referral: &Referral, state: Value) {
    let attributes = Map::from_iter([(STATE.to_owned(), state)]);
    let change = ReferralChange { attributes, ..ReferralChange::default() };
    fixture.app.referral_patch(fixture.account, referral.id(), change).await.expect("changes");
}

fn bought(key: &str, session: &str) -> Bought {
    Bought {
        named: Named::new(Some(WHO), None),
        visitor: Visitor { tid: Some(session.to_owned()), ..Visitor::default() },
        event_id: key.into(),
        amount_minor: 5000,
        currency: None,
        sale_event_id: None,
        at: None,
        attributes: Map::new(),
    }
}

/// Unit, amount and status of every commission, in order.
async fn commissions(fixture: &Fixture) -> Vec<(String, String, String)> {
    let rows = fixture.app.commission_list(fixture.account, CommissionFilter::default(), 100).await.expect("lists");
    let mut rows: Vec<_> =
        rows.into_iter().map(|row| (row.unit, Decimal(row.amount).to_string(), row.status)).collect();
    rows.sort();
    rows
}

fn are(rows: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    rows.iter().map(|(unit, amount, status)| ((*unit).into(), (*amount).into(), (*status).into())).collect()
}

async fn told(fixture: &Fixture) -> Vec<String> {
    let rows = fixture.app.store.money.read(async |tx| tx.all::<(String,)>(&TOLD, &[]).await).await;
    rows.expect("the store answers").into_iter().map(|(name,)| name).collect()
}

async fn holds(fixture: &Fixture) {
    assert_eq!(count(&fixture.app.store, Figure::Unbalanced).await, 0);
    let verdict = History::read(fixture.app.store.clone()).await.expect("reads").verify().await.expect("verifies");
    assert_eq!(verdict.difference, None);
}

async fn however_an_advertisements_click_is_named_its_referral_waits(store: TestStore) {
    let fixture = asking(store).await;
    let signals = async |random: u8| {
        let (token, session, number) = click(&fixture, "&gclid=Cj0K", random).await;
        [
            Signals { click: Some(ClickSignal::Token(token)), session: None },
            Signals { click: Some(ClickSignal::Number(number)), session: None },
            Signals { click: None, session: Some(session) },
        ]
    };
    for (number, signals) in signals(1).await.into_iter().enumerate() {
        let email = format!("client{number}@example.org");
        let touch = Some(touch(&fixture, &signals).await);
        let track = Track { touch, email_key: Some(email.clone()), ..fixture.track("SUBSCRIPTION") };
        fixture.settle(track).await;
        assert_eq!(state(&fixture, &email).await, waiting(), "{signals:?}");
    }
    // A token says it without its row, and whatever the campaign says later.
    let unknown = ClickId(4_711);
    let token = fixture.app.clicks.keys().mint(fixture.account, unknown, Some(fixture.link), NOW, Traffic::Advertised);
    say(&fixture, "allow").await;
    let lost = touch(&fixture, &Signals { click: Some(ClickSignal::Token(token)), session: None }).await;
    let email_key = Some("lost@example.org".to_owned());
    fixture.settle(Track { touch: Some(lost), email_key, ..fixture.track("SUBSCRIPTION") }).await;
    assert_eq!(state(&fixture, "lost@example.org").await, waiting());
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "pending"); 4]));

    for (extra, name) in [("&gclid=Cj0K", "allowed@example.org"), ("", "byhand@example.org")] {
        let touch = Some(touch_of(&fixture, extra, 2).await);
        fixture.settle(Track { touch, email_key: Some(name.into()), ..fixture.track("REGISTRATION") }).await;
        assert_eq!(state(&fixture, name).await, ("signup".to_owned(), None), "{name}");
    }
    say(&fixture, "pending").await;
    let by_hand = Some(touch_of(&fixture, "&utm_medium=email", 3).await);
    let email_key = Some("mail@example.org".to_owned());
    fixture.settle(Track { touch: by_hand, email_key, ..fixture.track("REGISTRATION") }).await;
    assert_eq!(state(&fixture, "mail@example.org").await, ("signup".to_owned(), None));
    holds(&fixture).await;
}

async fn who_was_bound_before_does_not_wait(store: TestStore) {
    let fixture = asking(store).await;
    let first = Some(touch_of(&fixture, "", 1).await);
    fixture.settle(Track { touch: first, ..fixture.track("REGISTRATION") }).await;
    let later = Some(touch_of(&fixture, "&gclid=Cj0K", 2).await);
    fixture.settle(Track { touch: later, ..fixture.track("SUBSCRIPTION") }).await;
    assert_eq!(state(&fixture, WHO).await, ("signup".to_owned(), None));
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "approved")]));
}

async fn what_is_earned_is_approved_with_the_referral_and_told_once(store: TestStore) {
    let fixture = asking(store).await;
    crate::rewards::webhook(&fixture, vec![fixture.program]).await;
    let (_, session, _) = click(&fixture, "&gclid=Cj0K", 1).await;
    let sold = fixture.app.track_sale(fixture.account, bought("1", &session)).await.expect("tracks");
    assert_eq!(
        (sold.referral.row.state.as_str(), fraud_check(&sold.referral).as_deref()),
        ("pending", Some("ad_source"))
    );
    assert_eq!(commissions(&fixture).await, are(&[("USD", "10", "pending"), ("points", "250", "pending")]));
    assert_eq!(fixture.app.fall_due(None).await.expect("looks"), 0, "no hold ends for what nobody approved");
    // What somebody decides about is decided.
    let rows = fixture.app.commission_list(fixture.account, CommissionFilter::default(), 9).await.expect("lists");
    let points = rows.iter().find(|row| row.unit == "points").expect("there are points").id;
    let decide = fixture.app.commissions_decide(fixture.account, vec![points], Verdict::Deny, "x".into());
    assert_eq!(decide.await.expect("decides").failed, []);
    let before = told(&fixture).await.len();

    become_state(&fixture, WHO, Value::Null).await;
    assert_eq!(
        state(&fixture, WHO).await,
        ("active".to_owned(), Some("ad_source".to_owned())),
        "the suspicion is kept"
    );
    assert_eq!(commissions(&fixture).await, are(&[("USD", "10", "approved"), ("points", "250", "denied")]));
    assert_eq!(told(&fixture).await[before..], ["commission.updated", "commission.approved"]);
    become_state(&fixture, WHO, Value::Null).await;
    assert_eq!(told(&fixture).await.len(), before + 2, "once");
    fixture.app.track_sale(fixture.account, bought("2", &session)).await.expect("tracks");
    let all = [
        ("USD", "10", "approved"),
        ("USD", "10", "approved"),
        ("points", "250", "approved"),
        ("points", "250", "denied"),
    ];
    assert_eq!(commissions(&fixture).await, are(&all));
    holds(&fixture).await;
}

async fn a_refund_of_what_waits_waits_with_it(store: TestStore) {
    let fixture = asking(store).await;
    let (_, session, _) = click(&fixture, "&gclid=Cj0K", 1).await;
    fixture.app.track_sale(fixture.account, bought("1", &session)).await.expect("tracks");
    let refund = Bought { amount_minor: 1000, sale_event_id: Some("1".into()), ..bought("r", &session) };
    fixture.app.track_refund(fixture.account, refund).await.expect("tracks").expect("it is of a sale");
    let pending = [("USD", "-2", "pending"), ("USD", "10", "pending"), ("points", "250", "pending")];
    assert_eq!(commissions(&fixture).await, are(&pending));
    become_state(&fixture, WHO, Value::Null).await;
    assert_eq!(commissions(&fixture).await, are(&pending.map(|(unit, amount, _)| (unit, amount, "approved"))));
    holds(&fixture).await;
}

async fn who_is_disabled_while_it_waits_is_approved_by_enabling_alone(store: TestStore) {
    let fixture = asking(store).await;
    let track = |event: &str, touch: Touch| Track { touch: Some(touch), ..fixture.track(event) };
    let advertised = touch_of(&fixture, "&gclid=Cj0K", 1).await;
    fixture.settle(track("SUBSCRIPTION", advertised)).await;
    become_state(&fixture, WHO, "denied".into()).await;
    // Other dialects report it all the same.
    fixture.settle(track("SUBSCRIPTION", advertised)).await;
    assert_eq!(state(&fixture, WHO).await.0, "denied");
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "pending"); 2]));
    become_state(&fixture, WHO, Value::Null).await;
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "approved"); 2]));
    // Once approved, it is like any other.
    become_state(&fixture, WHO, "denied".into()).await;
    fixture.settle(track("SUBSCRIPTION", advertised)).await;
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "approved"); 3]));
    holds(&fixture).await;
}

async fn nothing_is_approved_that_the_program_would_not_have_approved(store: TestStore) {
    let fixture = asking(store).await;
    let auto_approve = async |said: Value| {
        let asked = Map::from_iter([("auto_approve".to_owned(), said)]);
        fixture.app.campaign_patch(fixture.account, fixture.program, &asked).await.expect("it can be said");
    };
    let touch = Some(touch_of(&fixture, "&gclid=Cj0K", 1).await);
    let subscription = || Track { touch, ..fixture.track("SUBSCRIPTION") };
    auto_approve(false.into()).await;
    fixture.settle(subscription()).await;
    auto_approve(Value::Null).await;
    fixture.settle(subscription()).await;
    become_state(&fixture, WHO, Value::Null).await;
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "approved"), ("USD", "3", "pending")]));

    let email_key = Some("other@example.org".to_owned());
    fixture.settle(Track { email_key, ..subscription() }).await;
    auto_approve(false.into()).await;
    become_state(&fixture, "other@example.org", Value::Null).await;
    let two_wait = [("USD", "3", "approved"), ("USD", "3", "pending"), ("USD", "3", "pending")];
    assert_eq!(commissions(&fixture).await, are(&two_wait), "the program looks at each now");
    holds(&fixture).await;
}

async fn an_event_of_a_browser_that_is_confirmed_later_waits_too(store: TestStore) {
    let fixture = asking(store).await;
    let usd = headwater_domain::money::Currency::parse("USD");
    let amount = Some((Decimal(250_000_000), "250.00".into()));
    let touch = Some(touch_of(&fixture, "&gclid=Cj0K", 1).await);
    let sent = |email: &str| Track {
        touch,
        email_key: Some(email.into()),
        trusted: false,
        amount: amount.clone(),
        currency: usd,
        ..fixture.track("SUBSCRIPTION")
    };
    let event = fixture.settle(sent(WHO)).await;
    fixture.confirm(id_of(&event)).await;
    assert_eq!(state(&fixture, WHO).await, waiting());
    // By the broker's own report, which knows of no click.
    fixture.settle(sent("twin@example.org")).await;
    fixture.settle(Track { trusted: true, touch: None, ..sent("twin@example.org") }).await;
    assert_eq!(state(&fixture, "twin@example.org").await, waiting());
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "pending"); 2]));
    holds(&fixture).await;
}

async fn a_client_of_a_click_and_its_name_wait_together(store: TestStore) {
    let fixture = asking(store).await;
    let filter = || ReferralFilter { account_id: fixture.account.0, ..ReferralFilter::default() };
    // Of whom the name is known before there is a click, there are two accounts.
    for (random, email, is_known, accounts) in [(1, "new@example.org", false, 1), (2, "known@example.org", true, 2)] {
        let named = |event: &str, touch| Track { touch, email_key: Some(email.into()), ..fixture.track(event) };
        if is_known {
            fixture.settle(named("REGISTRATION", None)).await;
        }
        let touch = touch_of(&fixture, "&gclid=Cj0K", random).await;
        let of_click = Some(format!(" click:{}", touch.click));
        fixture.settle(Track { touch: Some(touch), email_key: of_click, ..fixture.track("SUBSCRIPTION") }).await;
        fixture.settle(named("SUBSCRIPTION", Some(touch))).await;
        assert_eq!(state(&fixture, email).await, waiting(), "{email}");
        let (all, _) = fixture.app.referral_list(filter(), 9, 0).await.expect("lists");
        let pending: Vec<_> = all.iter().filter(|referral| referral.row.state == "pending").collect();
        assert_eq!(pending.len(), accounts, "{email}");
        for referral in pending {
            assert_eq!(fraud_check(referral).as_deref(), Some("ad_source"));
            become_of(&fixture, referral, Value::Null).await;
        }
        assert!(commissions(&fixture).await.iter().all(|(.., status)| status == "approved"), "{email}");
    }
    assert_eq!(commissions(&fixture).await.len(), 4);
    holds(&fixture).await;
}

/// A subscription of the customer `c1`, perhaps with a record of it that says a state.
async fn push(fixture: &Fixture, state: Option<Value>, key: &str) {
    let customer = |state| CustomerRecord {
        attributes: Map::from_iter([(STATE.to_owned(), state)]),
        ..crate::brokers::customer(fixture, "c1")
    };
    let fact = FactRecord {
        customer: "c1".into(),
        key: FactKey::Own(key.into()),
        revision: None,
        at: None,
        body: FactBody::Event { event: "SUBSCRIPTION".into(), amount: None, currency: None },
        attributes: Map::new(),
        on_repeat: OnRepeat::Refuse,
    };
    let customer = state.map(|state| Record::Customer(Box::new(customer(state))));
    let ingest = Ingest {
        account: fixture.account,
        program: fixture.program,
        source: Source::Push,
        all_or_nothing: true,
        records: customer.into_iter().chain([Record::Fact(Box::new(fact))]).collect(),
        keep: Keep::nothing(),
    };
    fixture.app.record(ingest).await.expect("records");
}

async fn a_state_that_a_record_says_keeps_waiting_as_well(store: TestStore) {
    let fixture = asking(store).await;
    push(&fixture, Some("pending".into()), "1").await;
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "pending")]));
    // In one settlement with the end of the waiting: what comes with it does not wait.
    push(&fixture, Some(Value::Null), "2").await;
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "approved"); 2]));
    holds(&fixture).await;
}

async fn an_account_that_turns_out_to_be_a_waiting_client_waits(store: TestStore) {
    let fixture = asking(store).await;
    let unbound = CustomerRecord { referrer: Referrer::Unsaid, ..crate::brokers::customer(&fixture, "c1") };
    let record = async |record: CustomerRecord| {
        let ingest = Ingest {
            account: fixture.account,
            program: fixture.program,
            source: Source::Push,
            all_or_nothing: true,
            records: vec![Record::Customer(Box::new(record))],
            keep: Keep::nothing(),
        };
        fixture.app.record(ingest).await.expect("records");
    };
    record(unbound.clone()).await;
    let touch = Some(touch_of(&fixture, "&gclid=Cj0K", 1).await);
    fixture.settle(Track { touch, ..fixture.track("SUBSCRIPTION") }).await;
    record(CustomerRecord { email: Field::Set(WHO.into()), ..unbound }).await;
    let found = referral(&fixture, WHO).await;
    assert_eq!((found.row.external_id.as_deref(), state(&fixture, WHO).await), (Some("c1"), waiting()));
    // What was posted for the one is taken back and posted for the other.
    let moved = [("USD", "-3", "pending"), ("USD", "3", "pending"), ("USD", "3", "pending")];
    assert_eq!(commissions(&fixture).await, are(&moved));
    become_of(&fixture, &found, Value::Null).await;
    assert_eq!(commissions(&fixture).await, are(&moved.map(|(unit, amount, _)| (unit, amount, "approved"))));
    holds(&fixture).await;
}

async fn who_is_forgotten_while_it_waits_goes_on_waiting(store: TestStore) {
    let fixture = asking(store).await;
    for (key, state) in [("1", "pending"), ("2", "denied")] {
        push(&fixture, Some(state.into()), key).await;
    }
    let customer = fixture.app.customer_named(fixture.account, "c1").await.expect("is known");
    fixture.app.customer_erase(fixture.account, customer).await.expect("forgets");
    push(&fixture, None, "3").await;
    assert_eq!(commissions(&fixture).await, are(&[("USD", "3", "pending"); 3]));
    holds(&fixture).await;
}

async fn in_a_cell_of_many_clients_a_posting_waits_where_its_fact_is_of_who_waits(store: TestStore) {
    let fixture = fixture_with(store, STEPS).await;
    say(&fixture, "pending").await;
    let deposit = |email: &str, touch| Track { touch: Some(touch), email_key: Some(email.into()), ..fixture.deposit() };
    fixture.settle(deposit("first@example.org", touch_of(&fixture, "", 1).await)).await;
    fixture.settle(deposit(WHO, touch_of(&fixture, "&gclid=Cj0K", 2).await)).await;
    fixture.settle(deposit("third@example.org", touch_of(&fixture, "", 3).await)).await;
    let steps = [("USD", "10", "approved"), ("USD", "14", "approved"), ("USD", "18", "pending")];
    assert_eq!(commissions(&fixture).await, are(&steps));
    become_state(&fixture, WHO, Value::Null).await;
    assert_eq!(commissions(&fixture).await, are(&steps.map(|(unit, amount, _)| (unit, amount, "approved"))));
    holds(&fixture).await;
}
