//! Access tokens of the forex API, got and used by the libraries that integrations use: `requests-oauthlib` of the Python
//! registry, and `simple-oauth2` of the JavaScript one.
//!
//! Each signs in with HTTP Basic and with the form, pushes the same customer with its token, lists it, and is told of a wrong
//! secret in the way that the library knows. Nothing of ours takes part. `make test` installs the libraries.

use crate::broker::Broker;
use crate::forex::customer;
use crate::postback_signature::{NODE_VARIABLE, PYTHON_VARIABLE, run, variable};
use crate::server::Engine;
use crate::track360::paying_per_lot;
use serde_json::{Value, json};
use std::process::Command;

const PYTHON: &str = r#"
import json, sys
from oauthlib.oauth2 import BackendApplicationClient, OAuth2Error
from requests.auth import HTTPBasicAuth
from requests_oauthlib import OAuth2Session
given = json.load(sys.stdin)
told = []
for way in [{"auth": HTTPBasicAuth(given["id"], given["secret"])},
            {"client_id": given["id"], "client_secret": given["secret"], "include_client_id": True}]:
    session = OAuth2Session(client=BackendApplicationClient(client_id=given["id"], scope=["read", "write"]))
    token = session.fetch_token(given["url"] + "/oauth/token", **way)
    pushed = session.post(given["url"] + "/api/v1/forex/customers", json=given["records"])
    listed = session.get(given["url"] + "/api/v1/forex/customers", params={"per_page": 1})
    told.append({"type": token["token_type"], "seconds": token["expires_in"], "scope": " ".join(token["scope"]),
                 "pushed": pushed.status_code, "listed": listed.json()["data"][0]["customer_id"]})
try:
    session = OAuth2Session(client=BackendApplicationClient(client_id=given["id"]))
    session.fetch_token(given["url"] + "/oauth/token", auth=HTTPBasicAuth(given["id"], "wrong"))
    refused = None
except OAuth2Error as error:
    refused = error.error
print(json.dumps({"ways": told, "refused": refused}))
"#;

const NODE: &str = r#"
const { ClientCredentials } = require(process.env.MODULES + "/simple-oauth2");
const given = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const client = (secret, authorizationMethod) => new ClientCredentials({
  client: { id: given.id, secret }, auth: { tokenHost: given.url, tokenPath: "/oauth/token" }, options: { authorizationMethod },
});
(async () => {
  const ways = [];
  for (const method of ["header", "body"]) {
    const { token } = await client(given.secret, method).getToken({ scope: "read write" });
    const headers = { Authorization: `${token.token_type} ${token.access_token}`, "Content-Type": "application/json" };
    const url = given.url + "/api/v1/forex/customers";
    const pushed = await fetch(url, { method: "POST", headers, body: JSON.stringify(given.records) });
    const listed = await (await fetch(url + "?per_page=1", { headers })).json();
    ways.push({ type: token.token_type, seconds: token.expires_in, scope: token.scope, pushed: pushed.status,
      listed: listed.data[0].customer_id });
  }
  const refused = await client("wrong", "header").getToken({}).then(() => null, (error) => error.data.payload.error);
  console.log(JSON.stringify({ ways, refused }));
})();
"#;

async fn libraries_of_two_registries_get_and_use_a_token(engine: Engine) {
    let broker: Broker = paying_per_lot(engine).await;
    let given = json!({
        "url": broker.server.url, "id": broker.key("oauth_client_id"), "secret": broker.key("oauth_client_secret"),
        "records": [customer("c1")],
    });
    let mut python = Command::new(variable(PYTHON_VARIABLE));
    // The library insists on HTTPS, which a proxy in front of the server would speak.
    python.args(["-c", PYTHON]).env("OAUTHLIB_INSECURE_TRANSPORT", "1").env("NO_PROXY", "*");
    let mut node = Command::new("node");
    node.args(["-e", NODE]).env("MODULES", variable(NODE_VARIABLE));
    let way = json!({"type": "Bearer", "seconds": 3600, "scope": "read write", "pushed": 200, "listed": "c1"});
    let expected = json!({"ways": [way, way], "refused": "invalid_client"});
    for (language, command) in [("Python", python), ("Node", node)] {
        let given = given.clone();
        let told = tokio::task::spawn_blocking(move || run(command, &given)).await.expect("it ends");
        assert_eq!(Value::clone(&told), expected, "{language}");
    }
}

on_both_engines! {
    libraries_of_two_registries_get_and_use_a_token,
}
