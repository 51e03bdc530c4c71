//! The rewards dialect's promoters, their memberships and referrals: the same people as in every other dialect.

use crate::broker::{Broker, answer};
use crate::rewards_track::rewards;
use crate::server::Engine;
use reqwest::Method;
use serde_json::{Value, json};

async fn company(broker: &Broker, method: Method, path: &str, body: Value) -> (u16, Value) {
    rewards(broker, method, &format!("/api/v2/company/{path}"), &body).await
}

async fn done(broker: &Broker, method: Method, path: &str, body: Value) -> Value {
    let (status, object) = company(broker, method, path, body).await;
    assert!((200..300).contains(&status), "{path}: {status} {object}");
    object
}

async fn sale(broker: &Broker, who: &str, key: &str, token: Option<&str>) -> (u16, Value) {
    let body = json!({"email": who, "event_id": key, "amount": 1000, "ref_id": token});
    rewards(broker, Method::POST, "/api/v2/track/sale", &body).await
}

/// A program that pays a fifth of each sale.
async fn selling(engine: Engine) -> Broker {
    let broker = Broker::start(engine).await;
    let plan = json!({"name": "sales", "currency": "USD", "rules": [{"id": "share", "kind": "percent", "percent": "20", "of": ["sale"]}]});
    broker.done(Method::POST, "/api/v1/plans", &plan).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "sales" })).await;
    broker
}

async fn a_blocked_member_brings_nobody_and_earns_nothing(engine: Engine) {
    let broker = selling(engine).await;
    let members = done(&broker, Method::GET, "promoter_campaigns", json!({})).await;
    let (token, promoter) = (members[0]["ref_token"].as_str().expect("a token"), &members[0]["promoter_id"]);
    let link = members[0]["ref_link"].as_str().expect("a link");
    assert!(link.ends_with(&format!("/click?fpr={token}")), "{link}");
    let (status, event) = sale(&broker, "a@buyer.example", "1", Some(token)).await;
    assert_eq!((status, &event["commissions"][0]["amount"]), (200, &200.into()), "{event}");

    let ids = json!({"ids": [promoter], "campaign_id": members[0]["campaign_id"]});
    let batch = done(&broker, Method::POST, "promoters/block", ids.clone()).await;
    assert_eq!((&batch["action_label"], &batch["failed_count"]), (&"promoter/block".into(), &0.into()));
    assert_eq!(sale(&broker, "a@buyer.example", "2", None).await.0, 404, "of its own referral");
    assert_eq!(sale(&broker, "b@buyer.example", "3", Some(token)).await.0, 404, "of a new one");
    let path = link.split_once("/click").expect("our own redirect").1;
    let click =
        broker.request(None, Method::GET, &format!("/click{path}")).header("user-agent", "Mozilla/5.0 Firefox/140.0");
    let landing = click.send().await.expect("it redirects").headers()["location"].to_str().expect("text").to_owned();
    assert!(!landing.contains(&format!("partner-id={promoter}")), "a blocked member is not named: {landing}");
    let (_, list) = company(&broker, Method::GET, "promoters?filters[state]=blocked", json!({})).await;
    assert_eq!(list["data"][0]["id"], *promoter);

    done(&broker, Method::POST, "promoters/accept", ids).await;
    let (status, event) = sale(&broker, "a@buyer.example", "2", None).await;
    assert_eq!((status, &event["commissions"][0]["amount"]), (200, &200.into()), "{event}");
    let figures = done(&broker, Method::GET, &format!("promoters/{promoter}"), json!({})).await;
    let expected = json!({"clicks_count": 0, "referrals_count": 1, "sales_count": 2, "customers_count": 1, "active_customers_count": 1, "revenue_amount": 2000});
    assert_eq!(figures["stats"], expected, "{figures}");
    assert_eq!(figures["balances"], json!({"cash": 400}));
}

async fn a_promoter_is_made_found_and_changed(engine: Engine) {
    let broker = selling(engine).await;
    let body = json!({"email": "NorthDesk@Example.org", "cust_id": "crm-7", "profile": {"first_name": "North Desk", "last_name": "Media"}});
    let (status, promoter) = company(&broker, Method::POST, "promoters", body.clone()).await;
    assert_eq!(
        (status, &promoter["name"], &promoter["cust_id"]),
        (201, &"North Desk Media".into(), &"crm-7".into()),
        "{promoter}"
    );
    let member = &promoter["promoter_campaigns"][0];
    assert_eq!(
        (&member["state"], &member["campaign_id"].to_string()),
        (&"accepted".into(), &broker.program().to_owned())
    );
    let (status, error) = company(&broker, Method::POST, "promoters", body).await;
    assert_eq!((status, error["errors"]["email"].is_array()), (400, true), "{error}");

    let own = member["ref_token"].as_str().expect("a token");
    let taken = json!({"ref_token": "northdesk", "coupon": "SPRING"});
    let changed = done(&broker, Method::PUT, &format!("promoter_campaigns/{}", member["id"]), taken).await;
    assert_eq!((&changed["ref_token"], &changed["coupon"]), (&"northdesk".into(), &"SPRING".into()));
    let other = done(&broker, Method::GET, "promoter_campaigns/search?q=alpha", json!({})).await;
    let (status, error) = company(
        &broker,
        Method::PUT,
        &format!("promoter_campaigns/{}", other[0]["id"]),
        json!({"ref_token": "northdesk"}),
    )
    .await;
    assert_eq!((status, error["errors"]["ref_token"].is_array()), (400, true), "{error}");
    let code = json!({"code": "NORTH10", "promoter_campaign_id": member["id"]});
    done(&broker, Method::POST, "promo_codes", code).await;

    for (by, value) in [
        ("email", "northdesk@example.org"),
        ("cust_id", "crm-7"),
        ("ref_token", "northdesk"),
        ("promo_code", "NORTH10"),
    ] {
        let found = done(&broker, Method::GET, &format!("promoters/{value}?find_by={by}"), json!({})).await;
        assert_eq!(found["id"], promoter["id"], "{by}");
    }
    for path in [
        format!("promoters/{own}?find_by=ref_token"),
        "promoters/999".to_owned(),
        "promoters/x?find_by=auth_token".to_owned(),
    ] {
        assert_eq!(company(&broker, Method::GET, &path, json!({})).await.0, 404, "{path}");
    }
    let note = json!({"note": "calls on Mondays", "email": "m.silva@example.org"});
    let changed = done(&broker, Method::PUT, &format!("promoters/{}", promoter["id"]), note).await;
    assert_eq!((&changed["note"], &changed["email"]), (&"calls on Mondays".into(), &"m.silva@example.org".into()));

    let ids = json!({"ids": [promoter["id"], 999]});
    let batch = done(&broker, Method::POST, "promoters/archive", ids).await;
    assert_eq!(
        (&batch["failed_count"], batch["processing_errors"].as_array().map(Vec::len)),
        (&1.into(), Some(1)),
        "{batch}"
    );
    let count = async |filter: &str| {
        let (_, list) = company(&broker, Method::GET, &format!("promoters{filter}"), json!({})).await;
        list["data"].as_array().map(Vec::len)
    };
    assert_eq!((count("").await, count("?filters[archived]=true").await), (Some(1), Some(1)));
    let (status, error) = company(&broker, Method::GET, "promoters?filters[colour]=red", json!({})).await;
    assert_eq!((status, error["code"].as_str()), (422, Some("invalid_params")));

    let sale = json!({"email": "c@buyer.example", "event_id": "1", "amount": 1000, "promo_code": "NORTH10"});
    let (status, event) = rewards(&broker, Method::POST, "/api/v2/track/sale", &sale).await;
    assert_eq!((status, &event["commissions"][0]["recipient"]["id"]), (200, &promoter["id"]), "{event}");
}

async fn a_referral_is_the_customer_of_every_other_dialect(engine: Engine) {
    let broker = selling(engine).await;
    let members = done(&broker, Method::GET, "promoter_campaigns", json!({})).await;
    let promoter = done(&broker, Method::POST, "promoters", json!({"email": "other@example.org"})).await;
    let other = &promoter["promoter_campaigns"][0]["id"];
    let body = json!({"email": "Client@Example.org", "uid": "u-1", "promoter_campaign_id": members[0]["id"], "username": "client"});
    let (status, referral) = company(&broker, Method::POST, "referrals", body.clone()).await;
    assert_eq!(
        (status, &referral["state"], &referral["email"]),
        (200, &"signup".into(), &"client@example.org".into()),
        "{referral}"
    );
    assert_eq!(referral["promoter_campaign"]["id"], members[0]["id"]);
    assert_eq!(company(&broker, Method::POST, "referrals", body).await.0, 400);

    assert_eq!(sale(&broker, "client@example.org", "1", None).await.0, 200);
    let list = done(&broker, Method::GET, "referrals?filters[type]=customer&q=client", json!({})).await;
    assert_eq!((&list[0]["id"], &list[0]["state"]), (&referral["id"], &"active".into()), "{list}");
    let leads = done(&broker, Method::GET, "referrals?filters[type]=lead", json!({})).await;
    assert_eq!(leads, json!([]));
    let (status, customer) =
        answer(broker.request(Some(broker.key("secret_key")), Method::GET, "/api/v1/customers/u-1")).await;
    assert!(status == 200 && customer.contains("client@example.org"), "{customer}");

    let moved = json!({"ids": [referral["id"]], "promoter_campaign_id": other, "move_associated_commissions": true});
    let batch = done(&broker, Method::POST, "referrals/move_to_promoter", moved).await;
    assert_eq!(batch["action_label"], "referral/move_to_promoter");
    let found = done(&broker, Method::GET, "referrals/u-1?find_by=uid", json!({})).await;
    assert_eq!(found["promoter_campaign"]["id"], *other);
    let (status, event) = sale(&broker, "client@example.org", "2", None).await;
    assert_eq!(
        (
            status,
            &event["commissions"].as_array().expect("rows").iter().any(|c| c["recipient"]["id"] == promoter["id"])
        ),
        (200, &true),
        "{event}"
    );

    done(&broker, Method::POST, "referrals/disable", json!({"ids": [referral["id"]]})).await;
    assert_eq!(sale(&broker, "client@example.org", "3", None).await.0, 404, "disabled");
    done(&broker, Method::POST, "referrals/enable", json!({"ids": [referral["id"]]})).await;
    assert_eq!(sale(&broker, "client@example.org", "3", None).await.0, 200);
    done(&broker, Method::DELETE, "referrals", json!({"ids": [referral["id"]]})).await;
    assert_eq!(company(&broker, Method::GET, &format!("referrals/{}", referral["id"]), json!({})).await.0, 404);
    assert_eq!(done(&broker, Method::GET, "referrals", json!({})).await, json!([]));
}

on_both_engines! {
    a_blocked_member_brings_nobody_and_earns_nothing,
    a_promoter_is_made_found_and_changed,
    a_referral_is_the_customer_of_every_other_dialect,
}
