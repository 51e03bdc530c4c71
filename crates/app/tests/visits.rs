//! Visits on both engines: which click stands, what is refused, and what a stalled store costs the visitor.

use headwater_app::click::recorder::{ClickRecorder, WAIT_MILLIS_MAX};
use headwater_app::click::{ClickQuery, Clicks, Redirect, Visit};
use headwater_app::keep::Keep;
use headwater_app::link::{self, LinkRequest};
use headwater_domain::click::keys::ClickKeys;
use headwater_domain::click::session::SessionId;
use headwater_domain::click::token::Traffic;
use headwater_domain::click::visitor::ClickFlags;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::link::{Link, LinkStatus};
use headwater_domain::time::Instant;
use headwater_store::partner::{NewPartner, partner_insert, partner_status_put};
use headwater_store::tenant::{account_insert, program_insert};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;

on_both_stores! {
    first_click_stands_for_the_window,
    last_click_moves_to_the_new_one,
    clicks_that_do_not_count_attribute_nothing,
    a_click_of_an_advertisement_brings_nobody_where_the_campaign_blocks_them,
    a_click_of_an_advertisement_says_so_where_the_campaign_looks_at_them,
    a_ref_alone_belongs_to_the_partners_default_link,
    a_bad_landing_page_keeps_the_attribution,
    lists_narrow_by_partner_and_count_per_link,
}

const DAY: i64 = 86_400;

struct World {
    clicks: Clicks,
    account: AccountId,
    program: ProgramId,
    store: TestStore,
}

fn day(number: i64) -> Instant {
    Instant::from_seconds(1_770_000_000 + number * DAY)
}

async fn world(store: TestStore, settings: &'static str) -> World {
    let (account, program) = store
        .store
        .money
        .write(async move |tx| {
            let account = account_insert(tx, "Broker", 0).await?;
            let program = program_insert(tx, account, "IB", "https://www.broker.example", settings, 0).await?;
            for name in ["ib_1", "ib_2"] {
                let new = NewPartner {
                    account_id: account,
                    external_id: Some(name.into()),
                    name: name.into(),
                    email: None,
                    program_id: Some(program),
                    parent_id: None,
                    plan: None,
                    rates: "{}".into(),
                    metadata: "{}".into(),
                    created_at: 0,
                };
                partner_insert(tx, &new).await?;
            }
            Ok((account, program))
        })
        .await
        .expect("a world");
    let recorder = ClickRecorder::start(store.store.clone());
    let keys = ClickKeys::derive(&[9; 32], None);
    let clicks = Clicks::open(store.store.clone(), keys, 1, recorder).await.expect("opens");
    World { clicks, account: AccountId(account), program: ProgramId(program), store }
}

impl World {
    async fn link(&self, partner: &str, hidden: bool) -> Link {
        let asked = LinkRequest {
            partner_id: partner.into(),
            landing_page: "/en/open-account".into(),
            encrypt_partner_id: hidden,
            utm: vec![("source".into(), "telegram".into())],
            metadata: "{}".into(),
            ..LinkRequest::default()
        };
        link::create(&self.clicks, self.account, None, &asked, day(-1), Keep::nothing()).await.expect("a link")
    }

    async fn go(&self, visit: &Visit, at: Instant) -> Redirect {
        self.clicks.visit(visit, [5; 16], at).await.expect("a program")
    }

    fn click_of(&self, redirect: &Redirect) -> Option<i64> {
        let token = parameter(redirect, "clickId").expect("every redirect has one");
        self.clicks.keys().read(&token, self.account).ok().map(|claim| claim.click.0)
    }

    async fn rows(&self, partner: Option<i64>) -> Vec<headwater_store::click::ClickRow> {
        let asked = ClickQuery {
            account: self.account,
            programs: None,
            partner: partner.map(PartnerId),
            link: None,
            session: None,
            country: None,
            from: None,
            to: None,
            after: None,
        };
        self.clicks.list(asked, 100).await.expect("lists").expect("no cursor")
    }
}

fn parameter(redirect: &Redirect, name: &str) -> Option<String> {
    redirect.location.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned())
}

fn visit_of(link: &Link, extra: &str) -> Visit {
    let base = url::Url::parse("https://go.broker.example").expect("a base");
    let address = link.address(&base, "ib_1");
    let query = format!("{}{extra}", address.query().expect("a query"));
    Visit { device_type: "desktop", ..with_query(&query) }
}

fn with_query(query: &str) -> Visit {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let query = pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    Visit { query, device_type: "desktop", ..Visit::default() }
}

/// The visitor comes back with the cookies that he was given.
fn again(visit: &Visit, before: &Redirect) -> Visit {
    let mut next = visit.clone();
    next.session = Some(before.session);
    if let Some(stamp) = &before.stamp {
        next.stamps = vec![(before.program, stamp.clone())];
    }
    next
}

async fn first_click_stands_for_the_window(store: TestStore) {
    let world = world(store, "{}").await;
    let link = world.link("ib_1", true).await;
    let first = world.go(&visit_of(&link, "&sub1=a"), day(0)).await;
    assert_eq!(first.location.host_str(), Some("www.broker.example"));
    assert_eq!(first.location.path(), "/en/open-account");
    assert_eq!(parameter(&first, "utm_source").as_deref(), Some("telegram"));
    assert_eq!(parameter(&first, "partner-id"), link.formx.clone(), "the partner stays hidden");
    assert_eq!(parameter(&first, "program-id"), Some(world.program.to_string()));
    assert_eq!(parameter(&first, "click-id"), parameter(&first, "clickId"));
    assert!(first.stamp.is_some());

    let returning = again(&visit_of(&link, ""), &first);
    let second = world.go(&returning, day(29)).await;
    assert_eq!(world.click_of(&second), world.click_of(&first));
    assert_eq!((second.session, &second.stamp), (first.session, &None));
    let third = world.go(&returning, day(31)).await;
    assert_ne!(world.click_of(&third), world.click_of(&first));
    assert!(third.stamp.is_some());
    assert_eq!(world.rows(None).await.len(), 3, "every click is a row");

    let without_stamp = Visit { stamps: Vec::new(), ..again(&visit_of(&link, ""), &first) };
    let fourth = world.go(&without_stamp, day(32)).await;
    assert_eq!(world.click_of(&fourth), world.click_of(&third), "the session alone is remembered");
}

async fn last_click_moves_to_the_new_one(store: TestStore) {
    let world = world(store, r#"{"attribution":"last_click"}"#).await;
    let link = world.link("ib_1", false).await;
    let first = world.go(&visit_of(&link, ""), day(0)).await;
    assert_eq!(parameter(&first, "partner-id").as_deref(), Some("ib_1"));
    let second = world.go(&again(&visit_of(&link, ""), &first), day(1)).await;
    assert_ne!(world.click_of(&second), world.click_of(&first));
    assert_eq!(second.stamp, parameter(&second, "clickId"));
}

async fn clicks_that_do_not_count_attribute_nothing(store: TestStore) {
    let world = world(store, r#"{"default_landing_page":"/welcome"}"#).await;
    let (link, hidden) = (world.link("ib_1", false).await, world.link("ib_1", true).await);
    let token = hidden.formx.clone().expect("hidden");
    let bent = format!("{}{}", &token[..40], token[40..].replace('a', "b").replace('0', "1"));
    for (visit, path, reason) in [
        (Visit { flags: ClickFlags::IS_BOT, ..visit_of(&link, "") }, "/en/open-account", None),
        (Visit { flags: ClickFlags::IS_PREFETCH, ..visit_of(&link, "") }, "/en/open-account", None),
        (with_query("ref=nobody"), "/welcome", Some("unknown_partner")),
        (with_query(""), "/welcome", Some("unknown_partner")),
        (with_query("lid=ln_nothing"), "/welcome", Some("unknown_link")),
        (with_query(&format!("Formx={bent}")), "/welcome", Some("bad_formx")),
        (with_query(&format!("ref=ib_2&lid={}", link.public_id())), "/welcome", Some("link_of_another_partner")),
    ] {
        let redirect = world.go(&visit, day(0)).await;
        assert_eq!(redirect.location.path(), path, "{reason:?}");
        assert_eq!(world.click_of(&redirect), None, "{reason:?}");
        assert_eq!(redirect.stamp, None);
        let rows = world.rows(None).await;
        assert_eq!(rows[0].reject_reason.as_deref(), reason);
    }
    link::patch(&world.clicks, world.account, None, &link.public_id(), Some(LinkStatus::Paused), None)
        .await
        .expect("paused");
    assert_eq!(world.click_of(&world.go(&visit_of(&link, ""), day(0)).await), None);
    assert_eq!(world.rows(None).await[0].reject_reason.as_deref(), Some("paused_link"));

    let at = day(0).0;
    let suspend = async move |tx: &headwater_store::backend::Tx<'_>| partner_status_put(tx, 1, at, true).await;
    world.store.store.money.write(suspend).await.expect("suspends");
    world.clicks.refresh().await.expect("refreshes");
    assert_eq!(world.click_of(&world.go(&visit_of(&hidden, ""), day(0)).await), None);
    assert_eq!(world.rows(None).await[0].reject_reason.as_deref(), Some("blocked_partner"));
    assert!(world.click_of(&world.go(&visit_of(&hidden, ""), day(-1)).await).is_some(), "not blocked before");
}

async fn a_click_of_an_advertisement_brings_nobody_where_the_campaign_blocks_them(store: TestStore) {
    let world = world(store, r#"{"campaign":{"track_ad_traffic":"block"}}"#).await;
    let link = world.link("ib_1", false).await;
    let first = world.go(&visit_of(&link, ""), day(0)).await;
    assert!(world.click_of(&first).is_some(), "by hand");
    for query in ["&gclid=Cj0K", "&utm_medium=cpc"] {
        let redirect = world.go(&visit_of(&link, query), day(0)).await;
        assert_eq!((world.click_of(&redirect), redirect.stamp.clone()), (None, None), "{query}");
        assert_eq!(parameter(&redirect, "partner-id"), None, "{query}");
        assert_eq!(redirect.location.path(), "/en/open-account", "the visitor lands where the link leads");
        assert_eq!(world.rows(None).await[0].reject_reason.as_deref(), Some("advertisement"), "{query}");
    }
    let later = world.go(&again(&visit_of(&link, "&gclid=Cj0K"), &first), day(1)).await;
    let kept = (later.stamp.is_none(), later.session);
    assert_eq!(kept, (true, first.session), "its session and its cookie stand for the click before");
}

async fn a_click_of_an_advertisement_says_so_where_the_campaign_looks_at_them(store: TestStore) {
    let world = world(store, r#"{"campaign":{"track_ad_traffic":"pending"}}"#).await;
    let link = world.link("ib_1", false).await;
    let traffic = |redirect: &Redirect| {
        let token = parameter(redirect, "clickId").expect("every redirect has one");
        world.clicks.keys().read(&token, world.account).expect("it counts").traffic
    };
    let by_hand = world.go(&visit_of(&link, ""), day(0)).await;
    assert_eq!((traffic(&by_hand), world.rows(None).await[0].flags), (Traffic::Open, 0));
    let other = Visit { session: Some(SessionId::new(day(0), [6; 16])), ..visit_of(&link, "&gclid=Cj0K") };
    let bought = world.go(&other, day(0)).await;
    assert_eq!((traffic(&bought), bought.stamp.is_some()), (Traffic::Advertised, true));
    let row = &world.rows(None).await[0];
    assert_eq!((row.flags, row.reject_reason.as_deref()), (ClickFlags::ADVERTISEMENT.0, None));
    // The first click stands, with the cookie or by its session alone.
    let later = again(&visit_of(&link, ""), &bought);
    assert_eq!(traffic(&world.go(&later, day(1)).await), Traffic::Advertised);
    assert_eq!(traffic(&world.go(&Visit { stamps: Vec::new(), ..later }, day(1)).await), Traffic::Advertised);
    assert_eq!(world.rows(None).await[0].flags, 0, "nobody paid for this one");
    let later = world.go(&again(&visit_of(&link, "&gclid=Cj0K"), &by_hand), day(1)).await;
    assert_eq!(traffic(&later), Traffic::Open, "who was brought before");
}

async fn a_ref_alone_belongs_to_the_partners_default_link(store: TestStore) {
    let world = world(store, "{}").await;
    for name in ["ref=ib_2", "affid=ib_2", "ref=2"] {
        let redirect = world.go(&with_query(name), day(0)).await;
        assert!(world.click_of(&redirect).is_some(), "{name}");
    }
    let links = link::list(&world.clicks, world.account, None, Some(PartnerId(2)), None, 10);
    assert_eq!(links.len(), 1, "one default link, however many clicks");
    assert!(world.rows(Some(2)).await.iter().all(|row| row.link_id == Some(links[0].id.0)));
}

async fn a_bad_landing_page_keeps_the_attribution(store: TestStore) {
    let world = world(store, r#"{"default_landing_page":"/welcome"}"#).await;
    let link = world.link("ib_1", false).await;
    let visit = with_query(&format!("ref=ib_1&landingpage=%2F%2Fevil.com&lid={}", link.public_id()));
    let redirect = world.go(&visit, day(0)).await;
    assert_eq!(redirect.location.path(), "/welcome");
    assert_eq!(redirect.location.host_str(), Some("www.broker.example"));
    assert!(world.click_of(&redirect).is_some());
    assert_eq!(world.rows(None).await[0].flags, ClickFlags::BAD_LANDING_PAGE.0);
}

async fn lists_narrow_by_partner_and_count_per_link(store: TestStore) {
    let world = world(store, "{}").await;
    let (one, two) = (world.link("ib_1", false).await, world.link("ib_1", true).await);
    for (n, link) in [&one, &two, &one].into_iter().enumerate() {
        let random = [u8::try_from(n).expect("few"); 16];
        world.clicks.visit(&visit_of(link, ""), random, day(0)).await.expect("goes");
    }
    world.go(&with_query("ref=ib_2"), day(0)).await;
    assert_eq!(world.rows(Some(1)).await.len(), 3);
    assert_eq!(world.rows(Some(2)).await.len(), 1);
    let stats = link::stats(&world.clicks, world.account, one.id, day(1)).await.expect("counts");
    assert_eq!((stats.clicks.clicks, stats.clicks.unique_clicks, stats.events.len()), (2, 2, 0));
    let later = link::stats(&world.clicks, world.account, one.id, day(31)).await.expect("counts");
    assert_eq!(later.clicks.clicks, 0);
}

/// The writer is held by a job that waits for this test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stalled_store_costs_a_visitor_at_most_the_wait() {
    let world = world(headwater_testkit::database::sqlite().await, "{}").await;
    let link = world.link("ib_1", false).await;
    let (release, stall) = stall(&world).await;
    let before = std::time::Instant::now();
    let redirect = world.go(&visit_of(&link, ""), day(0)).await;
    let waited = before.elapsed().as_millis();
    assert!(waited < u128::from(WAIT_MILLIS_MAX) * 4, "waited {waited} ms");
    assert!(world.click_of(&redirect).is_some(), "the click attributes although its row is not there yet");
    assert_eq!(world.rows(None).await.len(), 0);
    release.send(()).expect("still held");
    stall.await.expect("runs").expect("commits");
    world.go(&visit_of(&link, ""), day(0)).await;
    assert_eq!(world.rows(None).await.len(), 2, "the row has followed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_waits_for_the_rows_that_visitors_did_not_wait_for() {
    let world = world(headwater_testkit::database::sqlite().await, "{}").await;
    let link = world.link("ib_1", false).await;
    let (release, stall) = stall(&world).await;
    world.go(&visit_of(&link, ""), day(0)).await;
    world.go(&visit_of(&link, ""), day(0)).await;
    assert_eq!(world.rows(None).await.len(), 0);
    let ((), ()) = tokio::join!(world.clicks.close(), async { release.send(()).expect("still held") });
    stall.await.expect("runs").expect("commits");
    assert_eq!(world.rows(None).await.len(), 2);
    world.go(&visit_of(&link, ""), day(0)).await;
    assert_eq!(world.rows(None).await.len(), 2, "and none is taken after");
}

type Stall = tokio::task::JoinHandle<Result<(), headwater_store::backend::Error>>;

/// Holds the clicks' writer until it is released.
async fn stall(world: &World) -> (std::sync::mpsc::Sender<()>, Stall) {
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Mutex::new(held);
    let database = world.store.store.clicks.clone();
    let (started, has_started) = tokio::sync::oneshot::channel::<()>();
    let started = std::sync::Mutex::new(Some(started));
    let stall = tokio::spawn(async move {
        let work = async move |_: &headwater_store::backend::Tx<'_>| {
            if let Some(started) = started.lock().expect("one thread").take() {
                let _ = started.send(());
            }
            let _ = held.lock().expect("one thread").recv();
            Ok(())
        };
        database.write(work).await
    });
    has_started.await.expect("the writer is held");
    (release, stall)
}
