//! A rebate that names the partner it is for: paid by that partner's terms, moved with the fact, and recomputed alike.

use crate::brokers::{AT, account, customer, deposit, fact, usd};
use crate::fixture::{Fixture, fixture_with};
use headwater_app::history::History;
use headwater_app::ingest::{FactRecord, Source};
use headwater_app::keep::Keep;
use headwater_app::ledger::BalanceFilter;
use headwater_app::partner::PartnerRequest;
use headwater_app::simulate::SimulationRequest;
use headwater_domain::commission::lint;
use headwater_domain::fact::{FactBody, MoneyKind, MoneyStatus};
use headwater_domain::ids::{FactId, PartnerId};
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::time::Instant;
use headwater_testkit::database::TestStore;
use headwater_testkit::on_both_stores;
use serde_json::Value;
use std::sync::Arc;

on_both_stores! {
    a_named_partner_is_paid_by_its_own_terms,
    a_rebate_that_moves_posts_the_difference_to_both,
    named_partners_are_priced_with_everybody_of_theirs,
    an_account_that_joins_another_takes_its_named_partners_along,
}

/// The customer's partner bears a tenth of every rebate.
const THROUGH: &str = r#"{"name":"ib","currency":"USD","rules":[{"id":"ext","kind":"external","of":"ib_rebate"},
    {"id":"share","kind":"percent","percent":"10","of":["-ib_rebate"]}]}"#;
/// What a partner gets of all rebates in a month ends at 150.
const CAPPED: &str = r#"{"name":"ib","currency":"USD","rules":[{"id":"ext","kind":"external","of":"ib_rebate",
    "cap":{"per":"period","amount":"150"}}]}"#;

/// Partners `ib2` and `ib3`, beside `ib1` of the fixture, who has the customers.
async fn scene(store: TestStore, plan: &'static str) -> (Fixture, PartnerId, PartnerId) {
    let fixture = fixture_with(store, plan).await;
    let mut made = Vec::new();
    for name in ["ib2", "ib3"] {
        let asked = PartnerRequest { id: Some(name.into()), name: Some(name.into()), ..PartnerRequest::default() };
        made.push(fixture.app.partner_create(fixture.account, asked, Keep::nothing()).await.expect("creates").id);
    }
    fixture.push(vec![account(customer(&fixture, "c1")), account(customer(&fixture, "c2"))]).await;
    (fixture, made[0], made[1])
}

fn rebate(customer: &str, key: &str, dollars: i64, payee: Option<PartnerId>) -> FactRecord {
    let (kind, status) = (MoneyKind::IbRebate, MoneyStatus::Approved);
    let body = FactBody::Money { kind, amount: Decimal(dollars * 1_000_000), currency: usd(), status, payee };
    FactRecord { body, ..deposit(customer, key, 0) }
}

/// Dollars of all accounts of a partner.
async fn earned(fixture: &Fixture, partner: PartnerId) -> i64 {
    let owner = Some(format!("partner:{partner}"));
    let filter = BalanceFilter { owner, ..BalanceFilter::default() };
    let balances = fixture.app.balance_list(fixture.account, filter).await.expect("lists");
    balances.iter().map(|row| row.balance).sum::<i64>() / 1_000_000
}

async fn a_named_partner_is_paid_by_its_own_terms(store: TestStore) {
    let (fixture, second, _) = scene(store, THROUGH).await;
    let sent = fixture.send(Source::Forex, vec![fact(rebate("c1", "r1", 100, Some(second)))]).await;
    assert_eq!((earned(&fixture, second).await, earned(&fixture, fixture.partner).await), (100, -10));
    explained(&fixture, sent[0].fact.expect("recorded"), second).await;

    // Its suspension holds what is its own, and nobody else's.
    fixture.app.partner_suspend(fixture.account, "ib2", true, Some(AT.plus_seconds(-60))).await.expect("suspends");
    fixture.app.reprice().await.expect("prices");
    assert_eq!((earned(&fixture, second).await, earned(&fixture, fixture.partner).await), (0, -10));
    assert_eq!(fixture.held().await, ["partner_suspended"]);
    fixture.sound().await;
    fixture.app.partner_suspend(fixture.account, "ib2", false, Some(AT.plus_seconds(-30))).await.expect("restores");
    fixture.app.reprice().await.expect("prices");
    assert_eq!((earned(&fixture, second).await, fixture.held().await), (100, Vec::new()));

    // A new version of its plan, dated back.
    let document =
        serde_json::from_str(&THROUGH.replace("\"of\":\"ib_rebate\"", "\"of\":\"ib_rebate\",\"weight\":\"0.5\""));
    let saved = fixture.app.plan_save(fixture.account, &document.expect("JSON"), Keep::nothing()).await;
    let (_, number) = saved.expect("saves");
    fixture.app.plan_activate(fixture.account, "ib", number, Instant(1)).await.expect("activates");
    fixture.app.reprice().await.expect("prices");
    assert_eq!((earned(&fixture, second).await, earned(&fixture, fixture.partner).await), (50, -10));
    fixture.sound().await;
    assert_eq!(simulated(&fixture, THROUGH, second).await, (50, 100));
}

/// Posted and simulated dollars of a partner.
async fn simulated(fixture: &Fixture, draft: &str, partner: PartnerId) -> (i128, i128) {
    let plan = lint(&serde_json::from_str(draft).expect("JSON")).expect("clean");
    let (from, to) = ("2026-08-01".parse().expect("a day"), "2026-10-01".parse().expect("a day"));
    let asked = SimulationRequest { account: fixture.account, program: fixture.program, plan, from, to };
    let history = Arc::new(History::read(fixture.store.store.clone()).await.expect("reads"));
    let found = history.simulate(asked).await.expect("simulates");
    let compared = found.partners.get(&(partner, Unit::Currency(usd()))).copied().expect("has a part");
    (compared.posted / 1_000_000, compared.simulated / 1_000_000)
}

/// The fact says which rules counted it, and the posting whose figure it is.
async fn explained(fixture: &Fixture, id: FactId, named: PartnerId) {
    let explained = fixture.app.fact_explain(fixture.account, id).await.expect("explains");
    let rules: Vec<_> = explained.rules.iter().map(|rule| (&*rule.rule, rule.reason.as_str())).collect();
    assert_eq!(rules, [("share", "counted"), ("ext", "counted")]);
    let commissions = explained.story.commissions;
    let passed = commissions.iter().find(|row| row.rule == "ext").expect("it was passed through");
    let told: Value = serde_json::from_str(&passed.explanation).expect("JSON");
    assert_eq!(told["inputs"][0]["named_partner"], named.to_string());
}

async fn a_rebate_that_moves_posts_the_difference_to_both(store: TestStore) {
    let (fixture, second, third) = scene(store, THROUGH).await;
    for (customer, payee, expected) in [
        ("c1", Some(second), [-10, 100, 0]),
        ("c1", Some(third), [-10, 0, 100]),
        ("c1", None, [90, 0, 0]),
        ("c2", Some(fixture.partner), [90, 0, 0]),
        ("c2", Some(second), [-10, 100, 0]),
    ] {
        fixture.push(vec![fact(rebate(customer, "r1", 100, payee))]).await;
        let mut found = Vec::new();
        for partner in [fixture.partner, second, third] {
            found.push(earned(&fixture, partner).await);
        }
        assert_eq!(found, expected, "{customer} {payee:?}");
        fixture.sound().await;
    }
}

async fn named_partners_are_priced_with_everybody_of_theirs(store: TestStore) {
    let (fixture, second, third) = scene(store, CAPPED).await;
    fixture.push(vec![fact(rebate("c1", "r1", 100, Some(second)))]).await;
    fixture.push(vec![fact(rebate("c2", "r2", 100, Some(second)))]).await;
    assert_eq!(earned(&fixture, second).await, 150, "both are under one cap");
    assert_eq!(simulated(&fixture, &CAPPED.replace("150", "120"), second).await, (150, 120));
    fixture.sound().await;
    // One leaves: the other's room grows.
    fixture.push(vec![fact(rebate("c1", "r1", 100, Some(third)))]).await;
    assert_eq!((earned(&fixture, second).await, earned(&fixture, third).await), (100, 100));
    fixture.sound().await;
    fixture.push(vec![fact(rebate("c2", "r2", 120, Some(third)))]).await;
    assert_eq!((earned(&fixture, second).await, earned(&fixture, third).await), (0, 150));
    fixture.app.partner_suspend(fixture.account, "ib3", true, Some(Instant(1))).await.expect("suspends");
    fixture.app.reprice().await.expect("prices");
    assert_eq!((earned(&fixture, third).await, earned(&fixture, fixture.partner).await), (0, 0));
    fixture.sound().await;
}

async fn an_account_that_joins_another_takes_its_named_partners_along(store: TestStore) {
    let (fixture, second, _) = scene(store, CAPPED).await;
    let joined = |id: &str| account(crate::brokers::with_email(&fixture, id, "one@example.org"));
    fixture.push(vec![joined("c1")]).await;
    fixture.push(vec![fact(rebate("c2", "r1", 100, Some(second))), joined("c2")]).await;
    fixture.push(vec![fact(rebate("c1", "r2", 100, Some(second)))]).await;
    assert_eq!(earned(&fixture, second).await, 150);
    fixture.sound().await;
}
