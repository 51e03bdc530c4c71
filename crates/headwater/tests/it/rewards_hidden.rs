//! What a partner is not shown of the partners below it cannot be found out in another way.

use crate::broker::Broker;
use crate::rewards_affiliate::{read, sale, text, token};
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

/// A parent that gets a tenth of what its child earns; gives the tokens of both users.
async fn above_and_below(engine: Engine) -> (Broker, String, String) {
    let broker = Broker::start(engine).await;
    let plan = json!({"name": "sales", "currency": "USD", "auto_approve": true, "hold_days": 0,
        "tiers": {"method": "override", "levels": ["10"]},
        "rules": [{"id": "share", "kind": "percent", "percent": "20", "of": ["sale"]}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    let below = json!({"id": "below", "name": "Below", "parent": "ib_2044"});
    broker.done(Method::POST, "/api/v1/partners", &below).await;
    broker.done(Method::POST, "/api/referral/links", &json!({"partner_id": "below", "landing_page": "/"})).await;
    let mut keys = Vec::new();
    for id in ["ib_2044", "below"] {
        let key = text(&token(&broker, id).await["key"]).to_owned();
        let current = read(&broker, &key, "promoters/current").await;
        let ref_token = text(&current["promoter_campaigns"][0]["ref_token"]).to_owned();
        sale(&broker, &format!("{id}.secret@buyer.example"), &format!("inv-{id}"), &ref_token).await;
        keys.push(key);
    }
    let below = keys.pop().expect("two");
    (broker, keys.pop().expect("two"), below)
}

fn count(rows: &Value) -> usize {
    rows.as_array().expect("rows").len()
}

async fn whose_sale_it_was_cannot_be_searched_out(engine: Engine) {
    let (broker, above, below) = above_and_below(engine).await;
    let rows = read(&broker, &above, "commissions").await;
    let of_tier =
        |tier: i64| rows.as_array().expect("rows").iter().find(|row| row["tier"] == tier).expect("one").clone();
    assert_eq!((count(&rows), &of_tier(2)["referral"]), (2, &Value::Null), "{rows}");
    for (part, found) in [("below.secret", 0), ("inv-below", 0), ("secret@buyer", 1), ("ib_2044.secret", 1)] {
        let rows = read(&broker, &above, &format!("commissions?q={part}")).await;
        assert_eq!(count(&rows), found, "{part}: {rows}");
    }
    for (check, found) in [("no_suspicion", 1), ("ad_source", 0)] {
        let rows = read(&broker, &above, &format!("commissions?filters[fraud_check]={check}")).await;
        assert_eq!(count(&rows), found, "{check}: {rows}");
    }
    assert_eq!(count(&read(&broker, &below, "commissions?q=below.secret").await), 1, "its own");

    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({"tree_visible": true})).await;
    assert_eq!(count(&read(&broker, &above, "commissions?q=below.secret").await), 1, "where the tree is shown");
}

/// With rows on one side of it whose email is known, an order would tell where a hidden one stands.
async fn an_order_by_referral_does_not_look_at_a_hidden_one(engine: Engine) {
    let (broker, above, _) = above_and_below(engine).await;
    // "below…" would stand before "ib_2044…" one way and after it the other way.
    let mut places = Vec::new();
    for direction in ["asc", "desc"] {
        let rows = read(&broker, &above, &format!("commissions?sorting[referral]={direction}")).await;
        let rows = rows.as_array().expect("rows").clone();
        places.push(rows.iter().position(|row| row["tier"] == 2).expect("the hidden one"));
    }
    broker.done(Method::POST, "/api/v1/partners", &json!({"id": "last", "name": "Last", "parent": "ib_2044"})).await;
    let member = json!({"partner_id": "last", "landing_page": "/"});
    broker.done(Method::POST, "/api/referral/links", &member).await;
    let key = text(&token(&broker, "last").await["key"]).to_owned();
    let current = read(&broker, &key, "promoters/current").await;
    sale(&broker, "zz@buyer.example", "inv-z", text(&current["promoter_campaigns"][0]["ref_token"])).await;
    for (direction, place) in ["asc", "desc"].into_iter().zip(places) {
        let rows = read(&broker, &above, &format!("commissions?sorting[referral]={direction}")).await;
        let rows = rows.as_array().expect("rows").clone();
        let hidden: Vec<_> =
            rows.iter().enumerate().filter(|(_, row)| row["tier"] == 2).map(|(index, _)| index).collect();
        let together = if place == 0 { vec![0, 1] } else { vec![1, 2] };
        assert_eq!(hidden, together, "those from before and from behind stand together: {direction}");
    }
}

async fn a_statement_does_not_number_a_hidden_referral(engine: Engine) {
    let (broker, above, _) = above_and_below(engine).await;
    let paid = broker.done(Method::POST, "/api/v1/payouts", &json!({"program": broker.program()})).await;
    let payouts = read(&broker, &above, "payouts").await;
    let id = &payouts["data"][0]["id"];
    assert!(id.is_number(), "{paid} {payouts}");
    let statement = read(&broker, &above, &format!("payouts/{id}/statement")).await;
    let lines = statement["statement"]["commissions"].as_array().expect("lines").clone();
    assert_eq!(lines.len(), 2, "{statement}");
    let customers = lines.iter().filter(|line| line["customer"].is_number()).count();
    assert_eq!(customers, 1, "its own referral alone: {statement}");
    let whole = broker.done(Method::GET, &format!("/api/v1/payouts/{id}/statement"), &Value::Null).await;
    let lines = whole["statement"]["commissions"].as_array().expect("lines");
    assert!(lines.iter().all(|line| line["customer"].is_number()), "the operator sees both: {whole}");
}

on_both_engines! {
    whose_sale_it_was_cannot_be_searched_out,
    an_order_by_referral_does_not_look_at_a_hidden_one,
    a_statement_does_not_number_a_hidden_referral,
}
