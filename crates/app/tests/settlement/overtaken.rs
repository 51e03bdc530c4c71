//! Calls at the same moment, of a client that nobody knew before or of one sale: they end as one after another would.
//!
//! On PostgreSQL two nodes share them out.

use crate::fixture::{Fixture, fixture_with, node};
use headwater_app::app::App;
use headwater_app::error::Error;
use headwater_app::membership::MemberState;
use headwater_app::referral::{Named, NewReferral, ReferralChange};
use headwater_app::tracking::{Bought, TrackFailure, Tracked, Visitor};
use headwater_domain::ids::AccountId;
use headwater_store::Place;
use headwater_testkit::count::Figure;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::Map;
use std::future::Future;
use std::sync::Arc;
use tokio::task::JoinSet;

const ROUNDS: i64 = 5;
const SHARE: &str =
    r#"{"name":"ib","currency":"USD","rules":[{"id":"share","kind":"percent","percent":"10","of":["sale"]}]}"#;

/// A program with one member, and the nodes that serve it.
pub struct Shop {
    pub fixture: Fixture,
    pub nodes: Vec<Arc<App>>,
    token: String,
}

pub async fn shop(store: TestStore) -> Shop {
    let fixture = fixture_with(store, SHARE).await;
    let joined =
        fixture.app.membership_create(fixture.account, fixture.program, fixture.partner, MemberState::Accepted).await;
    let token = joined.expect("joins").0.row.ref_token.clone();
    let mut nodes = vec![Arc::clone(&fixture.app)];
    if matches!(fixture.store.place, Place::Postgres(_)) {
        nodes.push(node(fixture.store.store.clone()).await);
    }
    Shop { fixture, nodes, token }
}

impl Shop {
    fn visitor(&self) -> Visitor {
        Visitor { ref_id: Some(self.token.clone()), ..Visitor::default() }
    }

    fn bought(&self, named: &Named, event_id: String, amount_minor: i64) -> Bought {
        Bought {
            named: named.clone(),
            visitor: self.visitor(),
            event_id,
            amount_minor,
            currency: None,
            sale_event_id: None,
            at: None,
            attributes: Map::new(),
        }
    }

    /// All at once, on one node after the other; the answers in the order of the calls.
    pub async fn at_once<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        calls: impl IntoIterator<Item = impl FnOnce(Arc<App>, AccountId) -> F>,
    ) -> Vec<T> {
        let mut running = JoinSet::new();
        for (number, call) in calls.into_iter().enumerate() {
            let call = call(Arc::clone(&self.nodes[number % self.nodes.len()]), self.fixture.account);
            let nodes = self.nodes.clone();
            running.spawn(async move {
                tick(&nodes);
                (number, call.await)
            });
        }
        let mut answers = running.join_all().await;
        answers.sort_by_key(|(number, _)| *number);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    async fn sells_at_once(&self, all: Vec<Bought>) -> Vec<Result<Tracked, TrackFailure>> {
        self.at_once(
            all.into_iter()
                .map(|bought| move |app: Arc<App>, account| async move { app.track_sale(account, bought).await }),
        )
        .await
    }

    /// What each of these refunds took of its sale, in whole minor units of USD, the greatest first; 0: nothing was left.
    async fn refunds_at_once(&self, all: Vec<Bought>) -> Vec<i64> {
        let answers = self
            .at_once(all.into_iter().map(|bought| {
                move |app: Arc<App>, account| async move { app.track_refund(account, bought).await.expect("tracks") }
            }))
            .await;
        let taken = |told: &Option<Tracked>| {
            told.as_ref().and_then(|told| told.amount).map_or(0, |(amount, _)| amount.0 / 10_000)
        };
        let mut taken: Vec<_> = answers.iter().map(taken).collect();
        taken.sort_unstable_by(|a, b| b.cmp(a));
        taken
    }

    async fn check(&self, expected: &[(Figure, i64)]) {
        self.fixture.check(expected).await;
    }
}

/// No two calls come at the very same moment of the clock.
fn tick(nodes: &[Arc<App>]) {
    for node in nodes {
        node.clock.advance_seconds(1);
    }
}

fn client(round: i64) -> Named {
    Named::new(Some(&format!("client{round}@example.org")), None)
}

async fn the_first_sales_of_a_client_are_all_kept(store: TestStore) {
    let shop = shop(store).await;
    for round in 0..ROUNDS {
        let sales = (0..4).map(|sale| shop.bought(&client(round), format!("{round}-{sale}"), 1000)).collect();
        for answer in shop.sells_at_once(sales).await {
            assert_eq!(answer.expect("every sale is one of its own").commissions.len(), 1, "round {round}");
        }
    }
    shop.check(&[
        (Figure::Customers, ROUNDS),
        (Figure::Commissions, 4 * ROUNDS),
        (Figure::Paid, 4 * ROUNDS * 1_000_000),
    ])
    .await;
}

async fn one_sale_sent_twice_at_once_is_kept_once(store: TestStore) {
    let shop = shop(store).await;
    for round in 0..ROUNDS {
        let sale = shop.bought(&client(round), format!("{round}"), 1000);
        let answers = shop.sells_at_once(vec![sale.clone(), sale]).await;
        let refused = answers.iter().filter(|answer| matches!(answer, Err(TrackFailure::Repeated)));
        assert_eq!((refused.count(), answers.iter().filter(|answer| answer.is_ok()).count()), (1, 1), "{answers:?}");
    }
    shop.check(&[(Figure::Customers, ROUNDS), (Figure::Commissions, ROUNDS)]).await;
}

async fn a_first_sale_beside_its_sign_ups_is_kept(store: TestStore) {
    let shop = shop(store).await;
    for round in 0..ROUNDS {
        let (named, visitor) = (client(round), shop.visitor());
        let calls = (0..4).map(|number| {
            let sale = (number == round % 4).then(|| shop.bought(&named, format!("{round}"), 1000));
            let (named, visitor) = (named.clone(), visitor.clone());
            move |app: Arc<App>, account| async move {
                match sale {
                    Some(sale) => (true, app.track_sale(account, sale).await),
                    None => (false, app.track_signup(account, &named, &visitor, None, Map::new()).await),
                }
            }
        });
        let mut signed_up = 0;
        for (is_sale, answer) in shop.at_once(calls).await {
            match answer {
                Ok(told) if is_sale => assert_eq!(told.commissions.len(), 1, "round {round}"),
                Ok(_) => signed_up += 1,
                Err(error) => assert!(!is_sale && matches!(error, TrackFailure::SignedUp), "round {round}: {error}"),
            }
        }
        assert!(signed_up <= 1, "round {round}: {signed_up} sign-ups");
    }
    shop.check(&[(Figure::Customers, ROUNDS), (Figure::Commissions, ROUNDS)]).await;
}

/// One email with many ids, or one id with many emails: one referral, and the others have signed up before.
async fn a_client_that_signs_up_many_times_at_once_is_one(store: TestStore) {
    let shop = shop(store).await;
    for round in 0..ROUNDS {
        let same = format!("same{round}");
        let of = |number: i64| {
            let other = format!("other{round}-{number}");
            let (email, uid) = if round % 2 == 0 { (&same, &other) } else { (&other, &same) };
            Named::new(Some(&format!("{email}@example.org")), Some(uid))
        };
        let visitor = shop.visitor();
        let calls =
            (0..4).map(|number| {
                let (named, visitor) = (of(number), visitor.clone());
                move |app: Arc<App>, account| async move {
                    app.track_signup(account, &named, &visitor, None, Map::new()).await
                }
            });
        let answers = shop.at_once(calls).await;
        let refused = answers.iter().filter(|answer| matches!(answer, Err(TrackFailure::SignedUp)));
        assert_eq!((refused.count(), answers.iter().filter(|answer| answer.is_ok()).count()), (3, 1), "{answers:?}");
    }
    shop.check(&[(Figure::Customers, ROUNDS)]).await;
}

async fn referrals_made_or_renamed_at_once_share_no_name(store: TestStore) {
    let shop = shop(store).await;
    let (app, account) = (&shop.fixture.app, shop.fixture.account);
    let member = app.directory().membership_by_token(account, &shop.token).cloned().expect("a member");
    let is_taken = |error: &Error| matches!(error, Error::Invalid { param, .. } if param == "uid");
    for round in 0..ROUNDS {
        let calls = (0..4).map(|number| {
            let member = Arc::clone(&member);
            let named = Named::new(Some(&format!("made{round}-{number}@example.org")), Some(&format!("made{round}")));
            move |app: Arc<App>, account| async move {
                app.referral_create(account, &member, &named, NewReferral::default()).await
            }
        });
        let answers = shop.at_once(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(is_taken), "{answers:?}");

        let mut ids = Vec::new();
        for number in 0..4 {
            let named = Named::new(Some(&format!("named{round}-{number}@example.org")), None);
            ids.push(app.referral_create(account, &member, &named, NewReferral::default()).await.expect("makes").id());
        }
        let calls = ids.into_iter().map(|id| {
            let change = ReferralChange { uid: Some(format!("named{round}")), ..ReferralChange::default() };
            move |app: Arc<App>, account| async move { app.referral_patch(account, id, change).await }
        });
        let answers = shop.at_once(calls).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
        assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(is_taken), "{answers:?}");
    }
    shop.check(&[(Figure::Customers, 5 * ROUNDS)]).await;
}

async fn refunds_of_two_sales_at_once_take_one_each(store: TestStore) {
    let shop = shop(store).await;
    for round in 0..ROUNDS {
        for sale in 0..2 {
            let sale = shop.bought(&client(round), format!("{round}-{sale}"), 1000);
            assert!(shop.sells_at_once(vec![sale]).await.remove(0).is_ok());
        }
        let refunds = (0..2).map(|refund| shop.bought(&client(round), format!("r{round}-{refund}"), 1000)).collect();
        assert_eq!(shop.refunds_at_once(refunds).await, [1000, 1000], "round {round}");
    }
    shop.check(&[(Figure::Held, 0), (Figure::Paid, 0), (Figure::Commissions, 4 * ROUNDS)]).await;
}

async fn refunds_of_one_sale_at_once_share_it(store: TestStore) {
    let shop = shop(store).await;
    for round in 0..ROUNDS {
        let sale = shop.bought(&client(round), format!("{round}"), 1000);
        assert!(shop.sells_at_once(vec![sale]).await.remove(0).is_ok());
        let refund = |refund: i64| {
            let sale_event_id = (round % 2 == 0).then(|| format!("{round}"));
            Bought { sale_event_id, ..shop.bought(&client(round), format!("r{round}-{refund}"), 600) }
        };
        assert_eq!(shop.refunds_at_once((0..3).map(refund).collect()).await, [600, 400, 0], "round {round}");
    }
    shop.check(&[(Figure::Held, 0), (Figure::Paid, 0), (Figure::Commissions, 3 * ROUNDS)]).await;
}

on_both_stores! {
    the_first_sales_of_a_client_are_all_kept,
    one_sale_sent_twice_at_once_is_kept_once,
    a_first_sale_beside_its_sign_ups_is_kept,
    a_client_that_signs_up_many_times_at_once_is_one,
    referrals_made_or_renamed_at_once_share_no_name,
    refunds_of_two_sales_at_once_take_one_each,
    refunds_of_one_sale_at_once_share_it,
}
