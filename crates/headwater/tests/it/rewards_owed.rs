//! What is owed and how it is paid, over HTTP: the method of the moment, debts in balances, and sums that count what is there.

use crate::broker::Broker;
use crate::rewards_payouts::{company, ids, read, selling};
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

async fn done(broker: &Broker, path: &str, body: &Value) -> Value {
    let (status, made) = company(broker, Method::POST, path, body).await;
    assert!(matches!(status, 200..=202), "{path} {body}: {status} {made}");
    made
}

async fn paid_by(broker: &Broker, method: &str) {
    broker.done(Method::PATCH, "/api/v1/partners/ib_2044", &json!({"payout": {"method": method}})).await;
}

/// One payout for each commission in money, oldest first.
async fn payouts_of_money(broker: &Broker) -> Vec<i64> {
    let mut commissions = ids(&read(broker, "/commissions?unit=cash").await);
    commissions.sort_unstable();
    for id in commissions {
        done(broker, "/commissions/generate_payouts", &json!({"ids": [id]})).await;
    }
    let payouts = read(broker, "/payouts?per_page=100").await;
    let of_money = payouts.as_array().expect("rows").iter().filter(|row| row["unit"] == "cash");
    let mut payouts: Vec<i64> = of_money.map(|row| row["id"].as_i64().expect("a number")).collect();
    payouts.sort_unstable();
    payouts
}

async fn a_waiting_payout_is_paid_as_its_promoter_says_now(engine: Engine) {
    let broker = selling(engine).await;
    let [first, second] = payouts_of_money(&broker).await[..] else { panic!("two sales") };
    let of_method = async |method: &str| {
        let rows = read(&broker, &format!("/payouts?filters[payout_method]={method}&filters[only_payable]=true")).await;
        let mut rows = ids(&rows);
        rows.sort_unstable();
        rows
    };
    let method =
        async |id: i64| read(&broker, &format!("/payouts?ids[]={id}")).await[0]["payout_method"]["method"].clone();
    assert_eq!((of_method("bank").await, method(first).await), (vec![first, second], "bank".into()));
    done(&broker, "/payouts/mark_as_paid", &json!({"ids": [second]})).await;
    paid_by(&broker, "paypal").await;
    assert_eq!((of_method("bank").await, of_method("paypal").await), (vec![], vec![first]));
    assert_eq!((method(first).await, method(second).await), ("paypal".into(), "bank".into()), "what was paid stays");
    let groups = read(&broker, "/payouts/group_by_promoters").await;
    let group =
        groups["data"].as_array().expect("groups").iter().find(|group| group["unit"] == "cash").expect("cash").clone();
    assert_eq!((&group["payout_method"]["method"], &group["amount"]), (&"paypal".into(), &1960.into()), "{group}");
    let sums = read(&broker, "/payouts/stats?stats_by[payout_method]=true").await;
    let by = |method: &str| sums["data"]["by_payout_method"][method]["amounts"]["cash"].clone();
    assert_eq!((by("bank"), by("paypal")), (980.into(), 980.into()), "{sums}");
    let promoter = read(&broker, "/promoters").await["data"][0].clone();
    assert_eq!(promoter["selected_payout_method"]["method"], "paypal", "{promoter}");

    let (status, _) =
        company(&broker, Method::POST, "/payouts/create_payments_batch", &json!({"method": "bank"})).await;
    assert_eq!(status, 400, "nobody is paid by bank any more");
    let gathered = done(&broker, "/payouts/create_payments_batch", &json!({"method": "paypal"})).await;
    assert_eq!(gathered["data"]["payout_ids"], json!([first]), "{gathered}");
    paid_by(&broker, "wise").await;
    assert_eq!(method(first).await, "paypal", "payments keep how they were gathered");
    let payments = format!("/payments_batches/{}", gathered["data"]["id"]);
    assert_eq!(company(&broker, Method::DELETE, &payments, &Value::Null).await.0, 200);
    assert_eq!((method(first).await, of_method("wise").await), ("wise".into(), vec![first]), "it waits again");
    done(&broker, "/payouts/mark_as_paid", &json!({"ids": [first]})).await;
    paid_by(&broker, "bank").await;
    assert_eq!(method(first).await, "wise");
    done(&broker, "/payouts/mark_as_unpaid", &json!({"ids": [first]})).await;
    assert_eq!(method(first).await, "bank");
}

async fn a_batch_says_what_it_moves(engine: Engine) {
    let broker = selling(engine).await;
    let [first, second] = payouts_of_money(&broker).await[..] else { panic!("two sales") };
    // A reward that is denied leaves a cancelled payout behind.
    let points = read(&broker, "/commissions?unit=points").await[0].clone();
    done(&broker, "/commissions/deny", &json!({"ids": [points["id"]]})).await;
    let cancelled = read(&broker, "/payouts?filters[status]=cancelled").await[0].clone();
    assert_eq!(cancelled["id"], points["payout_id"], "{cancelled}");
    done(&broker, "/payouts/mark_as_paid", &json!({"ids": [second]})).await;
    let all = json!({"ids": [first, second, cancelled["id"], 4711]});
    let paid = done(&broker, "/payouts/mark_as_paid", &all).await;
    let meta = json!({"total": 980, "total_incl_tax": 980, "amounts": {"cash": 980}, "payouts_count": 1, "promoters_count": 1, "all_promoters_count": 1});
    assert_eq!((&paid["meta"], &paid["data"]["failed_count"]), (&meta, &2.into()), "{paid}");
    let again = done(&broker, "/payouts/mark_as_paid", &json!({"ids": [first, second]})).await;
    let nothing = json!({"total": 0, "total_incl_tax": 0, "amounts": {}, "payouts_count": 0, "promoters_count": 0, "all_promoters_count": 0});
    assert_eq!(again["meta"], nothing, "it was paid before: {again}");
    let unpaid = done(&broker, "/payouts/mark_as_unpaid", &all).await;
    assert_eq!((&unpaid["meta"]["total"], &unpaid["meta"]["payouts_count"]), (&1960.into(), &2.into()), "{unpaid}");
}

async fn a_debt_stands_in_the_balance(engine: Engine) {
    let broker = selling(engine).await;
    let balances = async || read(&broker, "/promoters").await["data"][0]["balances"].clone();
    assert_eq!(balances().await, json!({"cash": 1960, "points": 500}));
    let payouts = payouts_of_money(&broker).await;
    done(&broker, "/payouts/mark_as_paid", &json!({"ids": payouts})).await;
    assert_eq!(balances().await, json!({"cash": 0, "points": 500}));
    // Given back after it was paid: the promoter owes it.
    let refund = json!({"email": "buyer0@example.org", "event_id": "r-1", "amount": 4900, "sale_event_id": "inv_0"});
    let (status, refunded) = rewards(&broker, Method::POST, "/api/v2/track/refund", &refund).await;
    assert_eq!(status, 200, "{refunded}");
    assert_eq!(balances().await["cash"], -980, "{}", balances().await);
    // The next commission goes against it first.
    let member = read(&broker, "/promoter_campaigns").await[0]["id"].clone();
    let give = |unit: &str, amount: i64| json!({"commission_type": "custom", "promoter_campaign_id": member, "amount": amount, "unit": unit});
    for (unit, amount) in
        [("cash", 1000), ("free_months", 2), ("credits", 30), ("mon_discount", 150), ("discount_per", 15)]
    {
        done(&broker, "/commissions", &give(unit, amount)).await;
    }
    let shown = balances().await;
    for (unit, amount) in [
        ("cash", 20),
        ("free_months", 2),
        ("credits", 30),
        ("discount", 150),
        ("mon_discount", 150),
        ("discount_per", 15),
    ] {
        assert_eq!(shown[unit], amount, "{unit}: {shown}");
    }
}

async fn sums_count_each_amount_once(engine: Engine) {
    let broker = selling(engine).await;
    let [first, _] = payouts_of_money(&broker).await[..] else { panic!("two sales") };
    // What is cancelled is paid by another payout: its commission must not count twice.
    let commission = read(&broker, &format!("/payouts?ids[]={first}")).await[0]["commission_ids"][0].clone();
    let member = read(&broker, "/promoter_campaigns").await[0]["id"].clone();
    let other =
        done(&broker, "/promoters", &json!({"email": "other@example.org"})).await["promoter_campaigns"][0]["id"]
            .clone();
    let give = |member: &Value, unit: &str, amount: i64| json!({"commission_type": "custom", "promoter_campaign_id": member, "amount": amount, "unit": unit});
    let taken_back = done(&broker, "/commissions", &give(&member, "points", -100)).await[0].clone();
    assert!(taken_back["payout_id"].is_i64(), "{taken_back}");
    done(&broker, "/commissions", &give(&other, "credits", 7)).await;
    let points = read(&broker, "/commissions?unit=points&filters[amount][from]=250").await[0].clone();
    done(&broker, "/commissions/deny", &json!({"ids": [points["id"]]})).await;

    let due = read(&broker, "/payouts/due_stats").await;
    let of = |group: &str, name: &str| due["data"][group][name].clone();
    assert_eq!(of("custom", "amounts"), json!({"cash": 1960}), "{due}");
    assert_eq!(
        of("next", "amounts"),
        json!({"credits": 7, "points": 150}),
        "250 − 100, and nothing of what was denied: {due}"
    );
    assert_eq!((of("next", "promoters_count"), of("custom", "promoters_count")), (2.into(), 1.into()), "{due}");
    assert_eq!((of("custom", "total_incl_tax"), of("next", "total_incl_tax")), (1960.into(), 0.into()), "{due}");
    let sums = read(&broker, "/payouts/stats").await;
    let by_status = &sums["data"]["by_status"];
    assert_eq!(by_status["cancelled"]["amounts"], json!({"points": 250}), "{sums}");
    assert_eq!(by_status["pending"]["amounts"], json!({"cash": 1960, "credits": 7, "points": 150}), "{sums}");
    assert_eq!(by_status["pending"]["promoters_count"], 2, "{sums}");
    assert_eq!(sums["data"]["by_payout_method"]["bank"]["amounts"], json!({"cash": 1960, "points": 150}), "{sums}");

    let groups = read(&broker, "/payouts/group_by_promoters").await;
    let rows = groups["data"].as_array().expect("groups");
    let mut shown: Vec<_> =
        rows.iter().map(|row| (row["unit"].as_str().unwrap_or_default(), row["amount"].as_i64())).collect();
    shown.sort_unstable();
    assert_eq!(shown, [("cash", Some(1960)), ("credits", Some(7)), ("points", Some(150))], "{groups}");
    let meta = json!({"total": 1960, "total_incl_tax": 1960, "promoters_count": 2, "groups_count": 3,
        "amounts": {"cash": 1960, "credits": 7, "points": 150}});
    assert_eq!(groups["meta"], meta);
    let cancelled = read(&broker, "/payouts/group_by_promoters?filters[status]=cancelled").await;
    assert_eq!(
        (&cancelled["data"][0]["amount"], &cancelled["data"][0]["is_amount_payable"]),
        (&250.into(), &false.into())
    );

    // Taken out of sight and made again, the money is there once.
    let (status, _) = company(&broker, Method::DELETE, "/payouts/destroy", &json!({"ids": [first]})).await;
    assert_eq!(status, 200);
    done(&broker, "/commissions/generate_payouts", &json!({"ids": [commission]})).await;
    let due = read(&broker, "/payouts/due_stats").await;
    assert_eq!(due["data"]["custom"]["amounts"], json!({"cash": 1960}), "{due}");
}

on_both_engines! {
    a_waiting_payout_is_paid_as_its_promoter_says_now,
    a_batch_says_what_it_moves,
    a_debt_stands_in_the_balance,
    sums_count_each_amount_once,
}
