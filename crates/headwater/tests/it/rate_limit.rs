//! The limits of the pushing dialects on one node and over two: each node counts for itself, so two allow at most twice as
//! much (`docs/operating/running.md`), and a refusal says honestly when to come back.

use crate::broker::Broker;
use crate::server::Engine;
use reqwest::{Client, Method, RequestBuilder};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

const PER_MINUTE: f64 = 1000.0;

/// How many are granted before the first refusal, and what `Retry-After` says then.
async fn granted(http: &Client, make: impl Fn(&Client) -> RequestBuilder) -> (u32, u64) {
    for sent in 0..4000 {
        let answer = make(http).send().await.expect("it answers");
        if answer.status() == 429 {
            let seconds = answer.headers()["retry-after"].to_str().expect("text").parse().expect("seconds");
            assert_eq!(answer.headers()["ratelimit-limit"], "1000");
            assert!(answer.text().await.expect("a body").contains("rate_limited"));
            return (sent, seconds);
        }
    }
    panic!("there is no limit");
}

#[tokio::test]
async fn two_nodes_allow_at_most_twice_the_limit_and_retry_after_is_honest() {
    let broker = Broker::start(Engine::Postgres).await;
    let second = broker.server.second_node();
    let http = Client::builder().no_proxy().build().expect("a client");
    let token = broker.access_token("read").await;
    let brand_token = broker.key("brand_token");
    let forex = |url: &str| {
        let (url, token) = (format!("{url}/api/v1/forex/customers?per_page=1"), format!("Bearer {token}"));
        move |http: &Client| http.request(Method::GET, &url).header("authorization", &token)
    };
    let brand = |url: &str| {
        let url = format!("{url}/tracking/events/customers");
        move |http: &Client| http.request(Method::POST, &url).header("x-api-key", brand_token).body("[]")
    };
    let begun = Instant::now();
    let mut all = [0, 0];
    for url in [&broker.server.url, &second.url] {
        let (forex_sent, forex_seconds) = granted(&http, forex(url)).await;
        let (brand_sent, brand_seconds) = granted(&http, brand(url)).await;
        assert!(forex_sent >= 1000 && brand_sent >= 1000, "never less than the limit: {forex_sent} {brand_sent}");
        assert!(forex_seconds == 1 && brand_seconds == 1, "a bucket fills at 16.7 a second");
        all = [all[0] + forex_sent, all[1] + brand_sent];
    }
    // The buckets fill while they are emptied.
    let filled = begun.elapsed().as_secs_f64() / 60.0 * PER_MINUTE + 1.0;
    for sent in all {
        assert!(f64::from(sent) <= 2.0 * (PER_MINUTE + filled), "{sent}");
    }
    sleep_until(Instant::now() + Duration::from_secs(1)).await;
    let again = forex(&broker.server.url)(&http).send().await.expect("it answers");
    assert_eq!(again.status(), 200, "who waits for Retry-After is served");
}
