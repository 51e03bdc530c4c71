//! Payouts, payments and commissions by hand over HTTP, as the rewards dialect answers them.

use crate::broker::Broker;
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

pub async fn company(broker: &Broker, method: Method, path: &str, body: &Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company{path}"), body).await
}

pub async fn read(broker: &Broker, path: &str) -> Value {
    let (status, body) = company(broker, Method::GET, path, &Value::Null).await;
    assert_eq!(status, 200, "{path}: {body}");
    body
}

/// A fifth of each sale in money and 250 points, approved at once; the partner is paid by bank.
pub async fn selling(engine: Engine) -> Broker {
    let broker = Broker::start(engine).await;
    let plan = json!({"name": "sales", "currency": "USD", "rules": [
        {"id": "share", "kind": "percent", "percent": "20", "of": ["sale"]},
        {"id": "points", "kind": "flat", "unit": "points", "amount": "250", "on": "SALE", "once_per": "event"}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    broker.done(Method::PATCH, "/api/v1/partners/ib_2044", &json!({"payout": {"method": "bank"}})).await;
    let token = format!("p1c{}", broker.program());
    for number in 0..2 {
        let sale = json!({"email": format!("buyer{number}@example.org"), "event_id": format!("inv_{number}"), "amount": 4900, "ref_id": token});
        assert_eq!(rewards(&broker, Method::POST, "/api/v2/track/sale", &sale).await.0, 200);
    }
    broker
}

pub fn ids(rows: &Value) -> Vec<i64> {
    rows.as_array().expect("a bare array").iter().map(|row| row["id"].as_i64().expect("a number")).collect()
}

async fn money_is_gathered_sent_and_paid(engine: Engine) {
    let broker = selling(engine).await;
    let (status, error) =
        company(&broker, Method::POST, "/payouts/create_payments_batch", &json!({"method": "bank"})).await;
    let nobody = "there is no pending payout of money by this method";
    assert!(status == 400 && error.to_string().contains(nobody), "rewards wait, and are not sent: {error}");
    let cash = read(&broker, "/commissions?unit=cash&status=approved").await;
    let (status, batch) =
        company(&broker, Method::POST, "/commissions/generate_payouts", &json!({"ids": ids(&cash)})).await;
    assert_eq!((status, &batch["status"]), (200, &"completed".into()), "{batch}");
    let payouts = read(&broker, "/payouts?filters[only_payable]=true&filters[payout_method]=bank").await;
    let payout = &payouts[0];
    assert_eq!(
        (ids(&payouts).len(), &payout["amount"], &payout["unit"]),
        (1, &1960.into(), &"cash".into()),
        "{payouts}"
    );
    assert_eq!(payout["commission_ids"].as_array().map(Vec::len), Some(2));
    let groups = read(&broker, "/payouts/group_by_promoters?filters[status]=pending").await;
    let group =
        groups["data"].as_array().expect("groups").iter().find(|group| group["unit"] == "cash").expect("cash").clone();
    assert_eq!(
        (&group["amount"], &group["is_amount_payable"], &group["payout_ids"]),
        (&1960.into(), &true.into(), &json!([payout["id"]]))
    );
    let due = read(&broker, "/payouts/due_stats").await;
    assert_eq!(due["data"]["custom"]["amounts"]["cash"], 1960, "{due}");
    for (query, cash, points) in [
        ("filters[status]=pending", 1960, 500),
        ("filters[status]=processing", 0, 0),
        (&format!("filters[campaign_id]={}", broker.program()), 1960, 500),
        ("filters[campaign_id][]=4711", 0, 0),
        ("q=alpha", 1960, 500),
        ("q=nobody", 0, 0),
    ] {
        let due = read(&broker, &format!("/payouts/due_stats?{query}")).await;
        let sum = |period: &str, unit: &str| due["data"][period]["amounts"][unit].as_i64().unwrap_or(0);
        assert_eq!((sum("custom", "cash"), sum("next", "points")), (cash, points), "{query}: {due}");
        if query.starts_with("q=") {
            continue;
        }
        let all = read(&broker, &format!("/payouts/stats?{query}")).await;
        for (name, group) in [("by_status", "pending"), ("by_payout_method", "bank")] {
            let sum = |unit: &str| all["data"][name][group]["amounts"][unit].as_i64().unwrap_or(0);
            assert_eq!((sum("cash"), sum("points")), (cash, points), "{query}: {all}");
        }
    }
    // What of it was given back since is found by the payout.
    let refunded = format!("/commissions?filters[payout_id]={}&filters[refunded]=true", payout["id"]);
    assert_eq!(read(&broker, &refunded).await, json!([]));
    let refund = json!({"email": "buyer1@example.org", "event_id": "back_1", "amount": 100});
    assert_eq!(rewards(&broker, Method::POST, "/api/v2/track/refund", &refund).await.0, 200);
    let refunded = read(&broker, &refunded).await;
    assert_eq!((ids(&refunded).len(), &refunded[0]["event_id"]), (1, &"inv_1".into()), "{refunded}");

    let (status, made) =
        company(&broker, Method::POST, "/payouts/create_payments_batch", &json!({"method": "bank"})).await;
    assert_eq!(
        (status, &made["data"]["status"], &made["data"]["total"]),
        (201, &"awaiting_confirmation".into(), &1960.into()),
        "{made}"
    );
    assert_eq!(made["meta"], json!({"failed": []}));
    let path = format!("/payments_batches/{}", made["data"]["id"]);
    assert_eq!(company(&broker, Method::DELETE, &path, &Value::Null).await.0, 200);
    let (_, made) = company(&broker, Method::POST, "/payouts/create_payments_batch", &json!({"method": "bank"})).await;
    let path = format!("/payments_batches/{}", made["data"]["id"]);
    let file = format!("/api/v1/payments/{}/file", made["data"]["id"]);
    let file = broker.request(Some(broker.key("secret_key")), Method::GET, &file).send().await.expect("it answers");
    assert_eq!(file.headers()["content-type"], "text/csv; charset=utf-8");
    let file = file.text().await.expect("text");
    let lines: Vec<_> = file.lines().collect();
    assert_eq!((lines[0], lines.len()), ("payout,partner,name,email,amount,currency,details", 2), "{file}");
    assert!(lines[1].contains(",19.60,USD,"), "{file}");
    let (status, paid) = company(&broker, Method::POST, &format!("{path}/pay"), &Value::Null).await;
    assert_eq!(
        (status, &paid["data"]["status"], &paid["data"]["is_payable"]),
        (200, &"processing".into(), &false.into()),
        "{paid}"
    );
    let (status, error) = company(&broker, Method::DELETE, &path, &Value::Null).await;
    assert_eq!((status, &error["code"]), (422, &"operation_failed".into()), "{error}");

    let own = json!({"ids": [payout["id"]]});
    let (status, done) = company(&broker, Method::POST, "/payouts/mark_as_paid", &own).await;
    assert_eq!(
        (status, &done["data"]["status"], &done["data"]["action_label"]),
        (200, &"completed".into(), &"payout/mark_as_paid".into())
    );
    let meta = json!({"total": 1960, "promoters_count": 1, "total_incl_tax": 1960, "all_promoters_count": 1,
        "amounts": {"cash": 1960}, "payouts_count": 1});
    assert_eq!(done["meta"], meta, "{done}");
    assert_eq!(read(&broker, "/commissions?filters[paid]=yes").await.as_array().map(Vec::len), Some(2));
    let sums = read(&broker, "/payouts/stats?stats_by[status]=true").await;
    let rows = sums["data"]["status"].as_array().expect("rows");
    assert!(
        rows.iter().any(|row| row["status"] == "completed" && row["amount"] == 1960 && row["unit"] == "cash"),
        "{sums}"
    );
    assert_eq!(sums["data"].get("paid_period"), None, "only what was asked for");
    for (method, path, body, status, code) in [
        (Method::POST, "/payouts/mark_as_paid", json!({"ids": [4711]}), 422, "operation_failed"),
        (Method::POST, "/payouts/create_payments_batch", json!({"method": "cheque"}), 400, "invalid_record"),
        (Method::POST, "/payments_batches/4711/pay", Value::Null, 404, "not_found"),
        (Method::GET, "/payouts?filters[status]=paid", Value::Null, 422, "invalid_params"),
    ] {
        let (got, error) = company(&broker, method, path, &body).await;
        assert_eq!((got, error["code"].as_str()), (status, Some(code)), "{path}: {error}");
    }
}

async fn commissions_are_made_by_hand(engine: Engine) {
    let broker = selling(engine).await;
    let points = read(&broker, "/commissions?unit=points").await;
    let (referral, membership) = (&points[0]["referral"]["id"], &points[0]["promoter_campaign"]["id"]);
    let sale = json!({"commission_type": "sale", "referral_id": referral, "sale_amount": 1000, "plan_id": "pro", "internal_note": "by phone"});
    let (status, made) = company(&broker, Method::POST, "/commissions", &sale).await;
    let mut amounts: Vec<_> = made.as_array().expect("an array").iter().map(|row| row["amount"].as_i64()).collect();
    amounts.sort_unstable();
    assert_eq!((status, amounts), (200, vec![Some(200), Some(250)]), "{made}");
    assert_eq!((&made[0]["internal_note"], &made[0]["plan_id"]), (&"by phone".into(), &"pro".into()), "{made}");
    let custom = json!({"commission_type": "custom", "promoter_campaign_id": membership, "amount": 3,
        "unit": "free_months", "event_id": "thanks-1"});
    let (status, made) = company(&broker, Method::POST, "/commissions", &custom).await;
    let again = company(&broker, Method::POST, "/commissions", &custom).await;
    assert_eq!((again.0, &again.1["code"]), (409, &"conflict".into()), "one event_id, one commission: {}", again.1);
    assert_eq!((status, &made[0]["commission_type"], &made[0]["amount"]), (200, &"custom".into(), &3.into()), "{made}");
    assert_eq!((&made[0]["unit"], made[0]["payout_id"].is_i64()), (&"free_months".into(), true));
    for (body, status, code) in [
        (json!({"commission_type": "gift"}), 400, "invalid_record"),
        (json!({"commission_type": "sale", "referral_id": 4711, "sale_amount": 1}), 404, "not_found"),
        (json!({"commission_type": "sale", "referral_id": referral}), 400, "invalid_record"),
        (json!({"commission_type": "custom", "promoter_campaign_id": 4711, "amount": 1}), 404, "not_found"),
        (json!({"commission_type": "custom", "promoter_campaign_id": membership, "amount": 0}), 400, "invalid_record"),
        (
            json!({"commission_type": "custom", "promoter_campaign_id": membership, "amount": 1, "unit": "gold"}),
            400,
            "invalid_record",
        ),
    ] {
        let (got, error) = company(&broker, Method::POST, "/commissions", &body).await;
        assert_eq!((got, error["code"].as_str()), (status, Some(code)), "{body}: {error}");
    }
    let one = made[0]["id"].clone();
    let (status, batch) = company(&broker, Method::DELETE, "/commissions/destroy", &json!({"ids": [one]})).await;
    assert_eq!((status, &batch["failed_count"]), (200, &0.into()), "{batch}");
    assert_eq!(company(&broker, Method::GET, &format!("/commissions/{one}"), &Value::Null).await.0, 404);
}

on_both_engines! {
    money_is_gathered_sent_and_paid,
    commissions_are_made_by_hand,
}
