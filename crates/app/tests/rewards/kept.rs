//! What is made under a caller's key is answered with it: a process that dies after the commit leaves the answer behind.

use crate::books::{Books, Posting};
use crate::story::heard;
use headwater_app::keep::{Attempt, Given, Keep, Known};
use headwater_app::payout::payments::Payments;
use headwater_app::promo_code::{CodeMaker, PromoCode};
use headwater_app::promoter::PromoterRequest;
use headwater_app::reward::{ProductRow, Reward};
use headwater_domain::ids::KeyId;
use headwater_domain::payout::PayoutSettings;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::{Map, Value, json};

on_both_stores! {
    what_is_made_is_answered_in_its_own_transaction,
    a_campaign_that_was_cut_short_is_ended,
    a_code_and_a_promoter_whose_answers_were_lost_are_told_again,
}

fn attempt(name: &str) -> Attempt {
    Attempt { key: KeyId(1), scope: format!("POST /{name} k"), fingerprint: name.into() }
}

fn object(value: &Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn thanks() -> Map<String, Value> {
    object(&json!({"name": "Thanks", "is_promoter_reward": true, "promoter_reward_type": "sale",
        "schemas": [{"unit": "points", "amount": 5, "flat_amount": true}]}))
}

fn keep<T>(books: &Books, name: &str, number: impl Fn(&T) -> i64 + Send + Sync + 'static) -> Keep<T> {
    books.app.keep(Some(attempt(name)), move |made: &T| Given { status: 201, body: number(made).to_string() })
}

async fn answered(books: &Books, name: &str, id: i64) {
    let known = books.app.answer_known(&attempt(name)).await.expect("reads");
    assert_eq!(known, Known::Answered(Given { status: 201, body: id.to_string() }), "{name}");
}

async fn what_is_made_is_answered_in_its_own_transaction(store: TestStore) {
    let books = heard(store).await;
    let made = |made: &Reward| made.row.id;
    let reward = books.app.reward_create(books.account, thanks(), keep(&books, "rewards", made)).await.expect("made");
    answered(&books, "rewards", reward.row.id).await;
    // Another node that had not seen the answer makes nothing.
    let again = books.app.reward_create(books.account, thanks(), keep(&books, "rewards", made)).await;
    assert!(again.is_err());
    assert_eq!(books.app.reward_list(books.account, 10, 0).await.expect("lists").1, 1);

    let pro = || object(&json!({"name": "Pro"}));
    let made = |made: &ProductRow| made.id;
    let product = books.app.product_create(books.account, pro(), keep(&books, "products", made)).await.expect("made");
    answered(&books, "products", product.id).await;
    assert!(books.app.product_create(books.account, pro(), keep(&books, "products", made)).await.is_err());
    assert_eq!(books.app.product_list(books.account, 10, 0).await.expect("lists").1, 1);

    let by_bank = PayoutSettings::from_json(&json!({"method": "bank", "details": {}})).expect("valid");
    books.app.partner_payout_put(books.account, books.partners[0], &by_bank).await.expect("sets");
    books.post(Posting::new(books.partners[0])).await;
    let now = books.app.clock.now();
    books.app.payout_run(books.account, books.program, now, "key:1").await.expect("runs");
    let kept = keep(&books, "payments", |made: &Payments| made.batch.id);
    let payments = books.app.payments_create(books.account, "bank", "key:1", kept).await.expect("gathers");
    assert_eq!(payments.payouts.len(), 1);
    answered(&books, "payments", payments.batch.id).await;
}

async fn a_code_and_a_promoter_whose_answers_were_lost_are_told_again(store: TestStore) {
    let books = heard(store).await;
    let asked = |name: &str| PromoterRequest {
        email: Some("new@broker.example".into()),
        name: Some(name.into()),
        ..PromoterRequest::default()
    };
    let attempt = |name: &str| Some(name.to_owned());
    let create =
        |name: &'static str, attempt| books.app.promoter_create(books.account, asked(name), None, None, attempt);
    let made = create("New", attempt("once-1")).await.expect("made");
    assert_eq!(create("New", attempt("once-1")).await.expect("found").id, made.id);
    for other in [attempt("once-2"), None] {
        assert!(create("New", other).await.is_err_and(|error| error.to_string().contains("taken")));
    }

    let member = books.app.memberships_of(books.account, made.id)[0].id;
    let kept = || keep(&books, "promo_codes", |made: &PromoCode| made.id);
    let by = CodeMaker::Company;
    let code =
        books.app.promo_code_create(books.account, member, "SPRING", Map::new(), by, kept()).await.expect("made");
    answered(&books, "promo_codes", code.id).await;
    let again = books.app.promo_code_create(books.account, member, "SUMMER", Map::new(), by, kept()).await;
    assert!(again.is_err(), "another node that had not seen the answer makes nothing");
    assert_eq!(books.app.promo_code_list(books.account, None, 10, 0).await.expect("lists").1, 1);
}

async fn a_campaign_that_was_cut_short_is_ended(store: TestStore) {
    let books = heard(store).await;
    let reward = books.app.reward_create(books.account, thanks(), Keep::nothing()).await.expect("made").row.id;
    let asked =
        object(&json!({"name": "Points", "landing_url": "https://www.broker.example", "ref_token_param": "?fpr",
        "visitor_cookie_life": 60, "rewards_for_promoters": [{"reward_id": reward, "apply_on": "all"}]}));
    // What a first attempt had made of it when its process died: the program, and no plan.
    let begun = object(&json!({"name": "Points", "site_url": "https://www.broker.example", "window_days": 60,
        "campaign": {"attempt": "once-1", "ref_token_param": "?fpr", "rewards_for_promoters": [{"reward_id": reward, "apply_on": "all"}]}}));
    let half = books.app.program_create(books.account, &begun, Keep::nothing()).await.expect("made");
    assert_eq!(half.settings.plan, None);
    let count = || books.app.campaign_list(books.account).len();
    let before = count();
    for _ in 0..2 {
        let made = books.app.campaign_create(books.account, &asked, Some("once-1".into())).await.expect("ended");
        assert_eq!((made.id, made.settings.plan.clone()), (half.id, Some(format!("campaign-{}", half.id))));
        assert_eq!(count(), before);
    }
    let other = books.app.campaign_create(books.account, &asked, Some("once-2".into())).await.expect("made");
    let third = books.app.campaign_create(books.account, &asked, None).await.expect("made");
    assert!(other.id != half.id && third.id != other.id && count() == before + 2, "each attempt makes its own");
    books.app.clock.advance_seconds(73 * 3600);
    let late = books.app.campaign_create(books.account, &asked, Some("once-2".into())).await.expect("made");
    assert_ne!(late.id, other.id, "the key is forgotten by then");
}
