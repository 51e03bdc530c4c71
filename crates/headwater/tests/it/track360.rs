//! A broker that pushes: the program, the plan and the link that the published samples need to earn something.
//!
//! Leaves what each dialect accepts and answers to `brand` and `forex`.

use crate::broker::{Broker, answer};
use crate::server::Engine;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// The partner that the samples of the forex API name.
pub const PARTNER: &str = "ib_2044";

/// A broker whose program pays 2.00 a lot, and the link on which the sample's `tracking_data` is registered.
pub async fn paying_per_lot(engine: Engine) -> Broker {
    let broker = Broker::start(engine).await;
    let plan = json!({
        "name": "lots", "currency": "USD", "rules": [{ "id": "lots", "kind": "per_lot", "rate": "2.00" }]
    });
    let version = broker.done(Method::POST, "/api/v1/plans", &plan).await["version"].clone();
    let activate = json!({ "version": version, "from": "2020-01-01" });
    broker.done(Method::POST, "/api/v1/plans/lots/activate", &activate).await;
    let program = format!("/api/v1/programs/{}", broker.program());
    broker.done(Method::PATCH, &program, &json!({ "plan": "lots" })).await;
    let link = json!({
        "partner_id": PARTNER, "landing_page": "/", "metadata": { "tracking_data": "2001_1000_abcdefg" }
    });
    broker.done(Method::POST, "/api/referral/links", &link).await;
    broker
}

impl Broker {
    /// A push with the brand token.
    pub async fn brand(&self, what: &str, body: &str) -> (u16, Value) {
        let path = format!("/tracking/events/{what}");
        let request = self.request(Some(self.key("brand_token")), Method::POST, &path).body(body.to_owned());
        let (status, text) = answer(request.header("content-type", "application/json")).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("JSON: {text}")))
    }

    /// An access token.
    pub async fn access_token(&self, scope: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope={scope}",
            self.key("oauth_client_id"),
            self.key("oauth_client_secret")
        );
        let request = self.request(None, Method::POST, "/oauth/token").body(form);
        let (status, text) = answer(request.header("content-type", "application/x-www-form-urlencoded")).await;
        assert_eq!(status, 200, "{text}");
        let token: Value = serde_json::from_str(&text).expect("JSON");
        token["access_token"].as_str().expect("a token").to_owned()
    }

    /// A request of the forex API.
    pub fn forex(&self, token: &str, method: Method, path: &str) -> RequestBuilder {
        self.request(None, method, &format!("/api/v1/forex/{path}")).header("authorization", format!("Bearer {token}"))
    }

    /// A push to the forex API.
    pub async fn forex_push(&self, token: &str, path: &str, body: &str) -> (u16, Value) {
        let (status, text) = answer(self.forex(token, Method::POST, path).body(body.to_owned())).await;
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("JSON: {text}")))
    }

    /// What has been posted, oldest first: the amounts.
    pub async fn posted(&self) -> Vec<String> {
        let mut rows = self.rows("/api/v1/commissions").await;
        rows.reverse();
        rows.iter().map(|row| row["amount"].as_str().expect("an amount").to_owned()).collect()
    }
}
