//! Two nodes on one PostgreSQL, the same client, the same event id, the same second.
//!
//! A third session holds the client's lock until both nodes wait for it, so that the race happens every time.

use crate::fixture::{CPA, Fixture, fixture_with, id_of, node, told};
use headwater_app::app::App;
use headwater_app::commission::{CommissionFilter, Verdict};
use headwater_app::history::History;
use headwater_app::settle::{Answer, Command, Track};
use headwater_domain::ids::{EventId, PersonId};
use headwater_store::Store;
use headwater_store::settlement::{Number, events_lock, persons_lock, programs_lock};
use headwater_testkit::count::{Figure, count};
use headwater_testkit::database::postgres;
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

const BROWSERS: &str = "browser";

fn stop(error: &str) {
    panic!("the store stopped: {error}");
}

/// Two nodes, and the store of a third session.
struct Race {
    fixture: Fixture,
    other: Arc<App>,
    third: Store,
}

async fn race() -> Race {
    race_with(CPA).await
}

async fn race_with(plan: &'static str) -> Race {
    let fixture = fixture_with(postgres().await, plan).await;
    let open = async || Store::open(&fixture.store.place, stop).await.expect("opens");
    let (other, third) = (node(open().await).await, open().await);
    Race { fixture, other, third }
}

/// Holds the client's row until it is told to let go.
struct Held {
    let_go: Arc<Notify>,
    done: JoinHandle<()>,
}

impl Race {
    async fn hold(&self, person: PersonId) -> Held {
        self.hold_all(vec![], vec![Number { id: person.0 }]).await
    }

    async fn hold_all(&self, programs: Vec<Number>, persons: Vec<Number>) -> Held {
        let let_go = Arc::new(Notify::new());
        let (holds, held) = oneshot::channel();
        let holds = std::sync::Mutex::new(Some(holds));
        let (store, waiting) = (self.third.clone(), Arc::clone(&let_go));
        let done = tokio::spawn(async move {
            let work = async move |tx: &headwater_store::backend::Tx<'_>| {
                programs_lock(tx, &programs).await?;
                persons_lock(tx, &persons).await?;
                if let Some(holds) = holds.lock().expect("nobody panics here").take() {
                    holds.send(()).expect("the test waits");
                }
                waiting.notified().await;
                Ok(())
            };
            store.money.write(work).await.expect("locks");
        });
        held.await.expect("it holds the row");
        Held { let_go, done }
    }

    /// Sends one command to each node; lets the client's row go when both wait for it.
    async fn at_once(&self, person: PersonId, first: Command, second: Command) -> [Answer; 2] {
        let held = self.hold(person).await;
        let send = |app: &Arc<App>, command| {
            let app = Arc::clone(app);
            tokio::spawn(async move { app.settle(command).await.expect("settles") })
        };
        let (first, second) = (send(&self.fixture.app, first), send(&self.other, second));
        while count(&self.third, Figure::WaitingSessions).await < 2 {
            tokio::task::yield_now().await;
        }
        held.let_go.notify_one();
        held.done.await.expect("lets go");
        [first.await.expect("answers"), second.await.expect("answers")]
    }

    /// Sends an event to each node at the same moment; `track` is given the number of the node.
    async fn both(&self, track: impl Fn(usize) -> Track) -> [serde_json::Value; 2] {
        let send = |app: &Arc<App>, track: Track| {
            let app = Arc::clone(app);
            tokio::spawn(async move { app.settle(Command::Track(Box::new(track))).await.expect("settles") })
        };
        let (first, second) = (send(&self.fixture.app, track(0)), send(&self.other, track(1)));
        [first.await.expect("answers"), second.await.expect("answers")].map(told)
    }

    /// A browser's deposit that waits for a confirmation.
    async fn browsers_deposit(&self, event_key: Option<&str>) -> (EventId, PersonId) {
        let browsers = Track {
            trusted: false,
            fingerprint: BROWSERS.into(),
            event_key: event_key.map(str::to_owned),
            ..self.fixture.deposit()
        };
        let event = self.fixture.settle(browsers).await;
        (id_of(&event), PersonId(event["clientId"].as_i64().expect("a client")))
    }

    async fn counted_once(&self) {
        let once = [
            (Figure::Events, 1),
            (Figure::Commissions, 1),
            (Figure::Deliveries, 1),
            (Figure::Paid, 400_000_000),
            (Figure::Unbalanced, 0),
            (Figure::Balance, 0),
        ];
        self.fixture.check(&once).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_confirmations_on_two_nodes_count_once() {
    let race = race().await;
    let (event, person) = race.browsers_deposit(None).await;
    let account = race.fixture.account;
    let confirm = || Command::Confirm { account, event, amount: None, currency: None };
    let answers = race.at_once(person, confirm(), confirm()).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::NotUnverified).count(), 1, "{answers:?}");
    race.counted_once().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_confirmation_and_a_refusal_on_two_nodes_are_one_of_them() {
    let race = race().await;
    let (event, person) = race.browsers_deposit(None).await;
    let account = race.fixture.account;
    let confirm = Command::Confirm { account, event, amount: None, currency: None };
    let answers = race.at_once(person, confirm, Command::Reject { account, event }).await;
    assert_eq!(answers.iter().filter(|answer| **answer == Answer::NotUnverified).count(), 1, "{answers:?}");
    let confirmed = i64::from(answers[1] == Answer::NotUnverified);
    let expected = [(Figure::Events, 1), (Figure::Commissions, confirmed), (Figure::Deliveries, confirmed)];
    race.fixture.check(&expected).await;
}

/// The broker's event, sent to both nodes, meets the browser's under the same id.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_id_on_two_nodes_counts_once() {
    let race = race().await;
    let (event, person) = race.browsers_deposit(Some("order-1")).await;
    let brokers = Track { event_key: Some("order-1".into()), ..race.fixture.deposit() };
    let send = || Command::Track(Box::new(brokers.clone()));
    let answers = race.at_once(person, send(), send()).await.map(told);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(id_of(&answers[0]), event);
    race.counted_once().await;
}

/// Two ids of the broker's for one deposit of a browser: one confirms it, the other is an event of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_twin_is_confirmed_by_one_event() {
    let race = race().await;
    let (event, person) = race.browsers_deposit(None).await;
    let send = |event_key: &str| {
        Command::Track(Box::new(Track { event_key: Some(event_key.into()), ..race.fixture.deposit() }))
    };
    let answers = race.at_once(person, send("order-1"), send("order-2")).await.map(told);
    assert_eq!(answers.iter().filter(|answer| id_of(answer) == event).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|answer| answer["isConversion"] == true).count(), 1, "{answers:?}");
    let expected =
        [(Figure::Events, 2), (Figure::Commissions, 1), (Figure::Paid, 400_000_000), (Figure::Deliveries, 2)];
    race.fixture.check(&expected).await;
}

/// Clients and ids that neither node knows yet, each sent to both nodes at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_clients_and_ids_on_two_nodes_count_once() {
    let race = race().await;
    let rounds = 20;
    for round in 0..rounds {
        let answers = race.both(|_| deposit_of(&race, round, format!("order-{round}"))).await;
        assert_eq!(answers[0], answers[1], "round {round}");
    }
    let expected = [
        (Figure::Events, rounds),
        (Figure::Persons, rounds),
        (Figure::Customers, rounds),
        (Figure::EventKeys, rounds),
        (Figure::Commissions, rounds),
        (Figure::Deliveries, rounds),
        (Figure::Paid, rounds * 400_000_000),
        (Figure::Unbalanced, 0),
        (Figure::Balance, 0),
    ];
    race.fixture.check(&expected).await;
}

/// The control: the id is what makes them one. Under two ids they are two deposits, of which the first alone pays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_ids_on_two_nodes_are_two_events() {
    let race = race().await;
    let answers = race.both(|node| deposit_of(&race, 0, format!("order-{node}"))).await;
    assert_ne!(id_of(&answers[0]), id_of(&answers[1]));
    assert_eq!(answers[0]["clientId"], answers[1]["clientId"]);
    race.fixture.check(&[(Figure::Events, 2), (Figure::Persons, 1), (Figure::Commissions, 1)]).await;
}

fn deposit_of(race: &Race, client: i64, event_key: String) -> Track {
    let email_key = Some(format!("client{client}@example.org"));
    Track { email_key, event_key: Some(event_key), ..race.fixture.deposit() }
}

/// The control: in the same race, what a node read before it had the client's lock is untrue once it has it. A decision
/// on it would have counted the deposit twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_before_the_lock_is_untrue_after_it() {
    let race = race().await;
    let (event, person) = race.browsers_deposit(None).await;
    let decide = |store: Store| {
        tokio::spawn(async move {
            let read = async move |tx: &headwater_store::backend::Tx<'_>| {
                Ok(headwater_store::event::event_read(tx, 1, event.0).await?.expect("there"))
            };
            let seen = store.money.read(read).await.expect("reads");
            let confirm = async move |tx: &headwater_store::backend::Tx<'_>| {
                persons_lock(tx, &[Number { id: person.0 }]).await?;
                let now = events_lock(tx, &[Number { id: event.0 }]).await?;
                Ok(now[0].state.clone())
            };
            (seen.state, store.money.write(confirm).await.expect("locks"))
        })
    };
    let held = race.hold(person).await;
    let confirm = Command::Confirm { account: race.fixture.account, event, amount: None, currency: None };
    let app = Arc::clone(&race.fixture.app);
    let confirming = tokio::spawn(async move { app.settle(confirm).await.expect("settles") });
    while count(&race.third, Figure::WaitingSessions).await < 1 {
        tokio::task::yield_now().await;
    }
    let naive = decide(race.other.store.clone());
    while count(&race.third, Figure::WaitingSessions).await < 2 {
        tokio::task::yield_now().await;
    }
    held.let_go.notify_one();
    held.done.await.expect("lets go");
    assert_eq!(told(confirming.await.expect("answers"))["verified"], true);
    let (before, after) = naive.await.expect("reads");
    assert_eq!((before.as_str(), after.as_str()), ("unverified", "verified"));
}

const SHARE: &str = r#"{"name":"ib","currency":"USD","auto_approve":false,"rules":[
    {"id":"share","kind":"percent","percent":"10","of":["deposit","-withdrawal"]}]}"#;
const STEPPED: &str = r#"{"name":"ib","currency":"USD","auto_approve":false,"rules":[
    {"id":"share","kind":"percent","of":["deposit","-withdrawal"],"brackets":{"metric":"base","steps":[{"from":"0","rate":"10"}]}}]}"#;

/// Whoever denies a commission waits for the settlement that has read how much of its cell was denied, and the settlement
/// for whoever denies: what it takes back is denied where what it takes back from was.
async fn a_verdict_and_a_settlement_of_one_cell_wait_for_each_other(plan: &'static str, is_wide: bool) {
    let race = race_with(plan).await;
    let fixture = &race.fixture;
    let told = fixture.settle(fixture.deposit()).await;
    let person = told["clientId"].as_i64().expect("a client");
    let owner = Number { id: if is_wide { fixture.program.0 } else { person } };
    let held =
        if is_wide { race.hold_all(vec![owner], vec![]).await } else { race.hold_all(vec![], vec![owner]).await };
    let posted = fixture.app.commission_list(fixture.account, CommissionFilter::default(), 10).await.expect("lists");
    let (app, account, ids) = (Arc::clone(&race.other), fixture.account, posted.iter().map(|row| row.id).collect());
    let denying = tokio::spawn(async move {
        let decided = app.commissions_decide(account, ids, Verdict::Deny, "key:1".into()).await.expect("decides");
        assert_eq!(decided.done.len(), 1);
    });
    while count(&race.third, Figure::WaitingSessions).await < 1 {
        assert!(!denying.is_finished(), "it decided beside whoever settles the cell");
        tokio::task::yield_now().await;
    }
    let withdrawal = Track { event_type: "WITHDRAWAL".into(), ..fixture.deposit() };
    let app = Arc::clone(&fixture.app);
    let settling =
        tokio::spawn(async move { app.settle(Command::Track(Box::new(withdrawal))).await.expect("settles") });
    while count(&race.third, Figure::WaitingSessions).await < 2 {
        tokio::task::yield_now().await;
    }
    held.let_go.notify_one();
    held.done.await.expect("lets go");
    denying.await.expect("decides");
    settling.await.expect("settles");
    let posted = fixture.app.commission_list(fixture.account, CommissionFilter::default(), 10).await.expect("lists");
    let came: Vec<_> = posted.iter().rev().map(|row| (row.amount / 1_000_000, row.status.as_str())).collect();
    assert_eq!(came, [(25, "denied"), (-25, "denied")], "the verdict was the first to wait");
    let history = History::read(fixture.store.store.clone()).await.expect("reads");
    assert_eq!(history.verify().await.expect("recomputes").difference, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_waits_for_who_settles_a_persons_cell() {
    a_verdict_and_a_settlement_of_one_cell_wait_for_each_other(SHARE, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_verdict_waits_for_who_settles_a_cell_of_all_persons() {
    a_verdict_and_a_settlement_of_one_cell_wait_for_each_other(STEPPED, true).await;
}
