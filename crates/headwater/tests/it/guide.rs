//! What the guides show is what happens: their requests are copied and run against a real server, as a reader does.
//!
//! Every `sh` block of a guide runs in one shell, in order, where curl ends with an error on any status from 400 on. The
//! receivers that the guide shows in JavaScript and Python judge the published signature.

use crate::server::{Engine, Server, text};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Key bytes 00 to 1f, time 1760000005, the body below (`docs/api/referral.md` shows the scheme).
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const HEADER: &str = "t=1760000005,v1=f80ddbb4ecbc60f9f56b78b08ba1881fa2f3fa066cc02e301a0dc69f323a0d11";
const BODY: &str = r#"{"id":"pbd_01J8ZQ4T9V","event_id":"90417","event_type":"FIRST_DEPOSIT","created":1760000000,"livemode":true,"data":{"id":90417,"eventType":"FIRST_DEPOSIT","clickId":7731,"clientId":512,"amount":250.00,"currency":"USD","isConversion":true,"isDuplicate":false,"timestamp":"2025-10-09T08:53:20Z"}}"#;

/// A shell in which a refused request is an error, wherever in a line it stands.
const SHELL: &str = "set -eo pipefail\ncurl() { command curl --fail-with-body --max-time 30 \"$@\" || { \
    echo \"REFUSED: curl $*\" >&2; kill -TERM $$; return 1; }; }\n";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks of this language, in order.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let path = root().join(document);
    let all = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let fence = format!("```{language}\n");
    all.split(&fence).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
}

/// Runs a guide's blocks in one shell beside the server; the output of all.
fn run(server: &Server, script: &str) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let key = server.keys["secret_key"].as_str().expect("a key");
    let output = Command::new("bash")
        .args(["-c", &format!("{SHELL}{script}")])
        .current_dir(&folder)
        .env("BASE", &server.url)
        .env("KEY", key)
        .env("no_proxy", "*")
        .stdin(Stdio::null())
        .output()
        .expect("bash is there");
    let said = text(&output);
    assert!(output.status.success(), "{said}\n{script}");
    said
}

async fn the_referral_guide_can_be_followed(engine: Engine) {
    let server = Server::start(engine).await;
    let blocks = blocks("docs/api/referral.md", "sh");
    assert!(blocks.len() >= 12, "{} blocks", blocks.len());
    let said = run(&server, &blocks.join("\n"));
    for proof in [r#""attribution":"click""#, r#""amount":250.00"#, r#""signing_secret":"whsec_"#, r#""deleted":true"#]
    {
        assert!(said.contains(proof), "{proof}: {said}");
    }
    let tracked = said.matches(r#""eventType":"FIRST_DEPOSIT""#).count();
    assert!(tracked >= 2, "the deposit is tracked and listed: {said}");
    assert!(
        said.contains(r#""eventType":"RECURRING_DEPOSIT""#) && said.contains(r#""amount":80,"#),
        "confirmed: {said}"
    );
}

/// A guide of a dialect that pushes: what it must have said in the end.
async fn a_pushing_guide_can_be_followed(engine: Engine, guide: &str, proofs: &[&str]) {
    let server = Server::start(engine).await;
    let said = run(&server, &blocks(guide, "sh").join("\n"));
    for proof in proofs {
        assert!(said.contains(proof), "{guide}: {proof}: {said}");
    }
}

/// At 2.00 a lot the sample's day is worth 24.90.
const BRAND_PROOFS: [&str; 3] = [r#""status":"created""#, "}24.90\n", "true Customers have arrived"];
const REWARDS_PROOFS: [&str; 4] = [
    r#""action_label":"commission/approve""#,
    "\"is_fulfilled\": true",
    r#""action_label":"commission/deny""#,
    r#""action_label":"commission/mark_unfulfilled""#,
];
const FOREX_PROOFS: [&str; 4] =
    [r#""token_type":"Bearer""#, r#""created":1"#, r#""amount_currency":1000"#, "\ntrading-activity\n"];

/// The promoter's points and the buyer's month wait for approval; the refund takes both back.
const REWARDS_PEOPLE_PROOFS: [&str; 4] = [
    r#"["points",250,"promoter","pending"]"#,
    r#"["free_months",1,"referral","pending"]"#,
    r#"["refund",2]"#,
    r#"["client@shop.example","u-77","cancelled"]"#,
];

/// The partner has its token, its link and its way to be paid, and reads its own report.
const REWARDS_AFFILIATE_PROOFS: [&str; 4] = [
    r#""ref_token":"maria""#,
    r#""name":"Weekly""#,
    r#""paypal_email":"maria@partner.example""#,
    "sub_id,period,sales_count",
];

async fn the_tour_of_the_readme_can_be_followed(engine: Engine) {
    let server = Server::start(engine).await;
    let address = server.url.strip_prefix("http://").expect("plain HTTP");
    let all = blocks("README.md", "sh");
    // The server is running already; what makes and starts one is not run.
    let tour: Vec<_> = all.iter().filter(|block| block.contains("curl ")).cloned().collect();
    assert!(tour.len() >= 4, "{} blocks", tour.len());
    let said = run(&server, &tour.join("\n").replace("localhost:8080", address));
    assert!(said.contains(r#""attribution":"click""#), "{said}");
}

async fn keys_are_kept_as_the_operators_guide_says(engine: Engine) {
    let server = Server::start(engine).await;
    let said = run(&server, &blocks("docs/operating/keys.md", "sh").join("\n"));
    assert!(said.contains(r#""permissions":["events:track"]"#), "{said}");
}

/// A receiver's verdicts: the true delivery, then a changed byte, another secret, an old time, and no header at all.
fn judged(mut command: Command) {
    let output = command.env("SECRET", SECRET).env("HEADER", HEADER).env("BODY", BODY).output().expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "true false false false false", "{}", text(&output));
}

#[test]
fn the_receivers_of_the_guide_know_a_true_delivery() {
    let [javascript] = &blocks("docs/api/referral.md", "js")[..] else { panic!("one block of JavaScript") };
    let checks = "const { SECRET, HEADER, BODY } = process.env;
        console.log([verify(SECRET, HEADER, BODY, 1760000100), verify(SECRET, HEADER, BODY + ' ', 1760000100),
            verify('whsec_x', HEADER, BODY, 1760000100), verify(SECRET, HEADER, BODY), verify(SECRET, '', BODY)].join(' '));";
    let mut node = Command::new("node");
    node.args(["-e", &format!("{javascript}\n{checks}")]);
    judged(node);
    let [python_code] = &blocks("docs/api/referral.md", "python")[..] else { panic!("one block of Python") };
    let checks = "\nimport os\ns, h, b = os.environ['SECRET'], os.environ['HEADER'], os.environb[b'BODY']\n\
        print(*(str(v).lower() for v in [verify(s, h, b, 1760000100), verify(s, h, b + b' ', 1760000100), \
        verify('whsec_x', h, b, 1760000100), verify(s, h, b), verify(s, '', b)]))";
    let mut python = Command::new("python3");
    python.args(["-c", &format!("{python_code}\n{checks}")]);
    judged(python);
}

#[tokio::test]
async fn keys_are_kept_as_the_operators_guide_says_on_sqlite() {
    keys_are_kept_as_the_operators_guide_says(Engine::Sqlite).await;
}

#[tokio::test]
async fn the_brand_guide_can_be_followed_on_sqlite() {
    a_pushing_guide_can_be_followed(Engine::Sqlite, "docs/api/brand.md", &BRAND_PROOFS).await;
}

#[tokio::test]
async fn the_brand_guide_can_be_followed_on_postgres() {
    a_pushing_guide_can_be_followed(Engine::Postgres, "docs/api/brand.md", &BRAND_PROOFS).await;
}

#[tokio::test]
async fn the_rewards_guide_can_be_followed_on_sqlite() {
    a_pushing_guide_can_be_followed(Engine::Sqlite, "docs/api/rewards.md", &REWARDS_PROOFS).await;
}

#[tokio::test]
async fn the_rewards_guide_can_be_followed_on_postgres() {
    a_pushing_guide_can_be_followed(Engine::Postgres, "docs/api/rewards.md", &REWARDS_PROOFS).await;
}

#[tokio::test]
async fn the_forex_guide_can_be_followed_on_sqlite() {
    a_pushing_guide_can_be_followed(Engine::Sqlite, "docs/api/forex.md", &FOREX_PROOFS).await;
}

#[tokio::test]
async fn the_forex_guide_can_be_followed_on_postgres() {
    a_pushing_guide_can_be_followed(Engine::Postgres, "docs/api/forex.md", &FOREX_PROOFS).await;
}

#[tokio::test]
async fn the_guide_to_promoters_and_tracking_can_be_followed_on_sqlite() {
    a_pushing_guide_can_be_followed(Engine::Sqlite, "docs/api/rewards_people.md", &REWARDS_PEOPLE_PROOFS).await;
}

#[tokio::test]
async fn the_guide_to_promoters_and_tracking_can_be_followed_on_postgres() {
    a_pushing_guide_can_be_followed(Engine::Postgres, "docs/api/rewards_people.md", &REWARDS_PEOPLE_PROOFS).await;
}

#[tokio::test]
async fn the_guide_for_a_partners_user_can_be_followed_on_sqlite() {
    a_pushing_guide_can_be_followed(Engine::Sqlite, "docs/api/rewards_affiliate.md", &REWARDS_AFFILIATE_PROOFS).await;
}

#[tokio::test]
async fn the_guide_for_a_partners_user_can_be_followed_on_postgres() {
    a_pushing_guide_can_be_followed(Engine::Postgres, "docs/api/rewards_affiliate.md", &REWARDS_AFFILIATE_PROOFS).await;
}

on_both_engines! {
    the_referral_guide_can_be_followed,
    the_tour_of_the_readme_can_be_followed,
}
