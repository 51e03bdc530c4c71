//! A real delivery, checked by the libraries that its receivers use: `standardwebhooks` of the Python and of the
//! JavaScript registry.
//!
//! The two other signatures have no library, so Python and Node compute them from the published rule (`postbacks.md`
//! §5) with their own HMAC. Nothing of ours takes part in the check.

use crate::broker::{Broker, answer, deposit};
use crate::receiver::{Postback, Receiver};
use crate::server::{Engine, text};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::{Command, Stdio};

/// A Python that can import `standardwebhooks` and `requests_oauthlib`.
pub const PYTHON_VARIABLE: &str = "HEADWATER_TEST_PYTHON";
/// A `node_modules` folder that holds `standardwebhooks` and `simple-oauth2`.
pub const NODE_VARIABLE: &str = "HEADWATER_TEST_NODE_MODULES";
const SIGNATURES: [&str; 3] = ["standard", "referral", "rewards"];

const PYTHON_CHECK: &str = r#"
import base64, hashlib, hmac, json, sys
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError
given = json.load(sys.stdin)
headers, secret, body = given["headers"], given["secret"], base64.b64decode(given["body"])
def mac(key, message):
    return hmac.new(key, message, hashlib.sha256).hexdigest()
try:
    Webhook(secret).verify(body, headers)
    standard = True
except WebhookVerificationError:
    standard = False
at, _, signed = headers["fx-signature"].partition(",v1=")
referral = signed == mac(secret.encode(), at.removeprefix("t=").encode() + b"." + body)
key = base64.b64decode(secret.removeprefix("whsec_")).hex().encode()
rewards = headers["x-webhook-signature"] == mac(key, body)
print(json.dumps({"standard": standard, "referral": referral, "rewards": rewards}))
"#;

const NODE_CHECK: &str = r#"
const { createHmac } = require("node:crypto");
const { Webhook, WebhookVerificationError } = require(process.env.MODULES + "/standardwebhooks");
const { headers, secret, body: encoded } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const body = Buffer.from(encoded, "base64");
const mac = (key, ...parts) => parts.reduce((hmac, part) => hmac.update(part), createHmac("sha256", key)).digest("hex");
let standard = true;
try {
  new Webhook(secret).verify(body, headers);
} catch (error) {
  if (!(error instanceof WebhookVerificationError)) throw error;
  standard = false;
}
const [, at, signed] = /^t=([0-9]+),v1=([0-9a-f]{64})$/.exec(headers["fx-signature"]);
const referral = signed === mac(secret, at, ".", body);
const key = Buffer.from(secret.slice("whsec_".length), "base64").toString("hex");
const rewards = headers["x-webhook-signature"] === mac(key, body);
console.log(JSON.stringify({ standard, referral, rewards }));
"#;

/// What a receiver in each language makes of a delivery: which signatures hold.
fn checks(postback: &Postback, body: &[u8], secret: &str) -> [(&'static str, Value); 2] {
    use base64::Engine as _;
    let headers = postback.headers.iter();
    let headers: serde_json::Map<_, _> =
        headers.map(|(name, value)| (name.to_string(), value.to_str().expect("a printable header").into())).collect();
    let encoded = base64::engine::general_purpose::STANDARD.encode(body);
    let given = json!({ "headers": headers, "secret": secret, "body": encoded });
    let mut python = Command::new(variable(PYTHON_VARIABLE));
    python.args(["-c", PYTHON_CHECK]);
    let mut node = Command::new("node");
    node.args(["-e", NODE_CHECK]).env("MODULES", variable(NODE_VARIABLE));
    [("Python", run(python, &given)), ("Node", run(node, &given))]
}

/// A check that cannot run must fail, not pass.
pub fn variable(name: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set; `make test` installs the libraries of others and sets it"))
}

/// What a program of another language makes of this on its standard input.
pub fn run(mut command: Command, given: &Value) -> Value {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the interpreter starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(given.to_string().as_bytes()).expect("it reads");
    drop(input);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", text(&output));
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// The delivery of a deposit, and the secret that it was signed with.
async fn delivered(engine: Engine) -> (Postback, String) {
    let broker = Broker::start(engine).await;
    let mut receiver = Receiver::start().await;
    let endpoint = broker.endpoint(&receiver.url).await;
    let secret = endpoint["signing_secret"].as_str().expect("shown once").to_owned();
    let mut event = deposit(&broker.visit().await, "client@example.org");
    // Bytes that a receiver's own re-serialisation would change.
    event["metadata"] = r#"{ "note" : "Zoë — 日本",  "n": 1.50 }"#.into();
    let event = broker.done(Method::POST, "/api/referral/events/track", &event).await;
    let postback = receiver.next().await;
    let message = postback.json();
    assert_eq!(message["event_id"], event["id"].to_string());
    assert_eq!(message["id"], postback.header("webhook-id"));
    assert_eq!(message["data"]["metadata"], event["metadata"], "echoed byte for byte");
    assert_eq!(postback.header("fx-event-type"), "FIRST_DEPOSIT");
    let shown = broker.request(Some(broker.key("secret_key")), Method::GET, "/api/postback_endpoints");
    assert!(!answer(shown).await.1.contains(&secret), "a secret is shown once");
    (postback, secret)
}

async fn independent_libraries_verify_a_delivery_and_refuse_a_changed_byte(engine: Engine) {
    let (postback, secret) = delivered(engine).await;
    for (language, verdict) in checks(&postback, &postback.body, &secret) {
        for signature in SIGNATURES {
            assert_eq!(
                verdict[signature],
                true,
                "{language} refused the {signature} signature: {postback_headers:?}",
                postback_headers = postback.headers
            );
        }
    }
    let mut changed = postback.body.to_vec();
    let last = changed.len() - 1;
    for at in [0, last / 2, last] {
        changed[at] ^= 1;
        for (language, verdict) in checks(&postback, &changed, &secret) {
            for signature in SIGNATURES {
                assert_eq!(verdict[signature], false, "{language}: byte {at} is not covered by {signature}");
            }
        }
        changed[at] ^= 1;
    }
    let other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    for (language, verdict) in checks(&postback, &postback.body, other) {
        for signature in SIGNATURES {
            assert_eq!(verdict[signature], false, "{language}: {signature} holds with another secret");
        }
    }
}

#[tokio::test]
async fn independent_libraries_verify_a_delivery_on_sqlite() {
    independent_libraries_verify_a_delivery_and_refuse_a_changed_byte(Engine::Sqlite).await;
}

#[tokio::test]
async fn independent_libraries_verify_a_delivery_on_postgres() {
    independent_libraries_verify_a_delivery_and_refuse_a_changed_byte(Engine::Postgres).await;
}
