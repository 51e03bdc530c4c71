//! The worker against a real receiver: a test delivery arrives signed, is tried once, and the stop is orderly.

use headwater_app::app::{App, Start};
use headwater_app::clock::Clock;
use headwater_app::delivery::endpoint_test;
use headwater_app::endpoint::{EndpointInput, endpoint_create};
use headwater_app::keep::Keep;
use headwater_domain::ids::{AccountId, DeliveryId, ProgramId};
use headwater_domain::postback::signature::{Signers, headers};
use headwater_domain::postback::subscription::PayloadStyle;
use headwater_domain::postback::target::Cidr;
use headwater_domain::time::Instant;
use headwater_outbound::delivery::run;
use headwater_outbound::egress::{Egress, Settings};
use headwater_testkit::database;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;

const NOW: Instant = Instant::from_seconds(1_800_000_000);

/// Answers one request with `answer` and gives its text.
async fn one_request(listener: TcpListener, answer: &'static str) -> String {
    let (mut socket, _) = listener.accept().await.expect("a connection");
    let (mut text, mut buffer) = (Vec::new(), [0; 8192]);
    while !text.ends_with(b"}}") {
        let read = socket.read(&mut buffer).await.expect("reads");
        assert!(read > 0, "the request ends early");
        text.extend_from_slice(&buffer[..read]);
    }
    socket.write_all(answer.as_bytes()).await.expect("answers");
    String::from_utf8(text).expect("text")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_delivery_arrives_signed_and_its_answer_comes_back() {
    for (answer, status, wanted) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", "delivered", 204),
        ("HTTP/1.1 500 No\r\nContent-Length: 3\r\n\r\nbad", "failed", 500),
    ] {
        let fresh = database::sqlite().await;
        let allow = Cidr::parse_list("127.0.0.0/8").expect("a range");
        let account = AccountId(fresh.account().await);
        let start = Start {
            clock: Clock::manual(NOW),
            master_key: [7; 32],
            public_url: "https://go.broker.example".into(),
            egress_allow: allow.clone(),
        };
        let app = App::start(fresh.store.clone(), start).await.expect("starts");
        let outbox = app.outbox.clone();
        let egress = Egress::new(Settings::new(allow)).expect("sets up");
        let (stop, stopped) = watch::channel(false);
        let worker = tokio::spawn(run(app, egress, stopped));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        let receiver = tokio::spawn(one_request(listener, answer));
        let input = EndpointInput {
            url,
            enabled_events: vec!["*".to_owned()],
            description: None,
            metadata: "{}".to_owned(),
            payload_style: PayloadStyle::Referral,
        };
        let (endpoint, secret) = endpoint_create(&outbox, account, input, NOW, Keep::nothing()).await.expect("created");
        let made = endpoint_test(&outbox, account, &endpoint.public_id, ProgramId(1000), DeliveryId(5), NOW).await;
        let delivery = made.expect("tested");
        assert_eq!((delivery.row.status.as_str(), delivery.row.last_status), (status, Some(wanted)));
        assert_eq!(delivery.attempts.len(), 1);
        let request = receiver.await.expect("received");
        let (head, body) = request.split_once("\r\n\r\n").expect("a body");
        assert!(body.contains("\"livemode\":false") && body.contains(&delivery.public_id), "{body}");
        let head = head.to_ascii_lowercase();
        for (name, value) in headers(Signers::one(&secret), &delivery.public_id, NOW.seconds(), body.as_bytes()) {
            let line = format!("{name}: {value}").to_ascii_lowercase();
            assert!(head.contains(&line), "{line} in {head}");
        }
        assert!(head.contains("fx-event-type: registration") && head.contains("fx-delivery-attempt: 1"), "{head}");
        stop.send(true).expect("runs");
        worker.await.expect("stops in order");
    }
}
