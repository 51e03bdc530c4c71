//! Names that one has at most, asked for by many at the same moment: promoters by email and by the caller's id, products by
//! theirs. One gets it, and the others hear what they would have heard later.

use crate::overtaken::{Shop, shop};
use headwater_app::app::App;
use headwater_app::error::Error;
use headwater_app::keep::Keep;
use headwater_app::promoter::{FindBy, PromoterRequest, cust_id};
use headwater_app::reward::RewardFailure;
use headwater_domain::ids::{AccountId, PartnerId};
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Map, Value, json};
use std::fmt::Debug;
use std::sync::Arc;

const ROUNDS: i64 = 5;

fn promoter(email: &str) -> PromoterRequest {
    PromoterRequest { email: Some(email.into()), ..PromoterRequest::default() }
}

/// One was done, and the others were refused for this field.
fn one_of<T: Debug, E: Debug>(answers: &[Result<T, E>], is_taken: impl Fn(&E) -> bool) {
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    assert!(refused.into_iter().all(is_taken), "{answers:?}");
}

fn is_of(field: &'static str) -> impl Fn(&Error) -> bool {
    move |error| matches!(error, Error::Invalid { param, .. } if param == field)
}

impl Shop {
    async fn promoter(&self, email: &str) -> PartnerId {
        let (app, account) = (&self.fixture.app, self.fixture.account);
        let made = app.promoter_create(account, promoter(email), None, None, None).await.expect("a new one");
        for node in &self.nodes {
            node.refresh().await.expect("refreshes");
        }
        made.id
    }

    async fn with_email(&self, email: &str) -> usize {
        let node = &self.fixture.app;
        node.refresh().await.expect("refreshes");
        let all = node.directory().partners(self.fixture.account);
        all.iter().filter(|partner| partner.row.email.as_deref() == Some(email)).count()
    }
}

async fn promoters_made_at_once_share_no_email(store: TestStore) {
    let shop = shop(store).await;
    for round in 0..ROUNDS {
        let emails = ["one", "ONE", "one", "One"].map(|name| format!("{name}{round}@example.org"));
        let calls = emails.map(|email| {
            move |app: Arc<App>, account| async move {
                app.promoter_create(account, promoter(&email), None, None, None).await
            }
        });
        one_of(&shop.at_once(calls).await, is_of("email"));
    }
}

async fn a_promoter_renamed_beside_a_new_one_shares_no_email(store: TestStore) {
    let shop = shop(store).await;
    for round in 0..ROUNDS {
        let known = shop.promoter(&format!("before{round}@example.org")).await;
        let email = format!("after{round}@example.org");
        let calls = (0..4).map(|number| {
            let asked = promoter(&email);
            move |app: Arc<App>, account| async move {
                if number % 2 == round % 2 {
                    app.promoter_patch(account, known, asked).await.map(|_| "renamed")
                } else {
                    app.promoter_create(account, asked, None, None, None).await.map(|_| "made")
                }
            }
        });
        let answers = shop.at_once(calls).await;
        assert!(answers.iter().filter_map(|answer| answer.as_ref().err()).all(is_of("email")), "{answers:?}");
        // To be given what one has already is no refusal.
        let mut done: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        done.dedup();
        assert!(matches!(done[..], [&("renamed" | "made")]), "{answers:?}");
        assert_eq!(shop.with_email(&email).await, 1, "{answers:?}");
    }
}

async fn promoters_share_no_id_of_the_caller(store: TestStore) {
    let shop = shop(store).await;
    let account = shop.fixture.account;
    for round in 0..ROUNDS {
        let mut known = Vec::new();
        for number in 0..4 {
            known.push(shop.promoter(&format!("id{round}-{number}@example.org")).await);
        }
        let own_id = format!("crm \"{round}\"");
        let renamed = |id: PartnerId| {
            let asked = PromoterRequest { cust_id: Some(own_id.clone()), ..PromoterRequest::default() };
            move |app: Arc<App>, account: AccountId| async move { app.promoter_patch(account, id, asked).await }
        };
        one_of(&shop.at_once(known.iter().map(|id| renamed(*id))).await, is_of("cust_id"));
        let app = &shop.fixture.app;
        app.refresh().await.expect("refreshes");
        let found = app.promoter_find(account, FindBy::CustId, &own_id).await.expect("one has it");
        assert_eq!(cust_id(&found), Some(own_id.clone()));
        let new = PromoterRequest { cust_id: Some(own_id), ..promoter(&format!("new{round}@example.org")) };
        let refused = app.promoter_create(account, new, None, None, None).await.expect_err("one has it");
        assert!(is_of("cust_id")(&refused), "{refused}");
    }
}

/// What two say of one promoter at once, both stand.
async fn what_is_said_of_a_promoter_at_once_all_stands(store: TestStore) {
    let shop = shop(store).await;
    let known = shop.promoter("said@example.org").await;
    let calls = (0..4).map(|number| {
        let said = Map::from_iter([(format!("word{number}"), Value::from(number))]);
        let asked = PromoterRequest { said, ..PromoterRequest::default() };
        move |app: Arc<App>, account| async move { app.promoter_patch(account, known, asked).await.expect("changes") }
    });
    shop.at_once(calls).await;
    let app = &shop.fixture.app;
    app.refresh().await.expect("refreshes");
    let partner = app.directory().partner_by_id(shop.fixture.account, known).cloned().expect("there");
    let expected = json!({"word0": 0, "word1": 1, "word2": 2, "word3": 3});
    assert_eq!(Value::Object(headwater_app::promoter::said(&partner)), expected);
}

async fn products_share_no_name(store: TestStore) {
    let shop = shop(store).await;
    let product = |ext_id: Value| match json!({"name": "Pro", "ext_id": ext_id}) {
        Value::Object(document) => document,
        _ => unreachable!("it is one"),
    };
    let is_taken = |failure: &RewardFailure| matches!(failure, RewardFailure::Refused(why) if why.field == "ext_id");
    for round in 0..ROUNDS {
        // Sales name it as it is written.
        let names = [json!(round), json!(round.to_string()), json!(round), json!(round.to_string())];
        let calls = names.map(|name| {
            let document = product(name);
            move |app: Arc<App>, account| async move { app.product_create(account, document, Keep::nothing()).await }
        });
        one_of(&shop.at_once(calls).await, is_taken);
    }
    let (app, account) = (&shop.fixture.app, shop.fixture.account);
    for name in [json!("other"), Value::Null, Value::Null] {
        app.product_create(account, product(name), Keep::nothing()).await.expect("a name of its own, or none");
    }
    let again = app.product_create(account, product(json!("other")), Keep::nothing()).await;
    assert!(is_taken(&again.expect_err("one has it")));
}

on_both_stores! {
    promoters_made_at_once_share_no_email,
    a_promoter_renamed_beside_a_new_one_shares_no_email,
    promoters_share_no_id_of_the_caller,
    what_is_said_of_a_promoter_at_once_all_stands,
    products_share_no_name,
}
