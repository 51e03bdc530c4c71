//! The OpenAPI document: what the routes say of themselves, and what holds for all of them.
//!
//! Each handler describes its own operation, and is registered by that description (`routes.rs`), so a route without a
//! description does not exist. This file adds what is the same everywhere: the title, the key, the errors, the headers
//! of the limits, `Idempotency-Key`, and the paths that no handler of the API serves.

use crate::problem::ErrorBody;
use serde_json::{Value, json};
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, ContentBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr, ResponseBuilder, SecurityRequirement,
};
use utoipa::{PartialSchema as _, ToSchema as _};

/// The name of the security scheme of `X-API-Key`.
pub const API_KEY_SCHEME: &str = "api_key";

const DESCRIPTION: &str = "Links, clicks, events, commissions and postbacks of a partner program.\n\n\
    Send your key in `X-API-Key`. Lists are walked with `limit` and `starting_after`, newest first. Every `POST` takes an \
    `Idempotency-Key`: the same request is carried out once and answered alike for 72 hours. A key may send 600 requests a \
    minute, a whole minute's at once.";

/// Each tag with its sentence, in the order in which a newcomer needs them.
const TAGS: [(&str, &str); 22] = [
    ("Links", "Where partners send visitors"),
    ("Visitor", "What a visitor's browser asks for, without a key"),
    ("Clicks", "Visits to links"),
    ("Events", "What clients do, attributed to clicks"),
    ("Postback endpoints", "Where events are delivered to"),
    ("Brand", "A broker pushes its customers and their activity, with its brand token"),
    ("Forex", "A broker pushes and reads customers, transactions and trading, with an access token"),
    (
        "Rewards",
        "Rewards of partners and customers: earned, approved, fulfilled; with a rewards key and its `Account-ID`",
    ),
    ("Affiliate", "What a partner's own user sees and does; with its token and the `Account-ID`"),
    ("Programs", "Management: a site with its attribution, currency and plan"),
    ("Partners", "Management: who brings clients"),
    ("Plans", "Management: what is paid for"),
    ("Commissions", "Management: what was earned, and why"),
    ("Payouts", "Management: paying what was earned"),
    ("Simulations", "Management: what a draft plan would have paid"),
    ("Ledger", "Management: the books"),
    ("Exchange rates", "Management: what currencies are worth, day by day"),
    ("Facts", "Management: what commissions are computed from"),
    ("Webhooks", "Management: what rewards webhooks did not take"),
    ("Customers", "Management: who was brought, and by whom"),
    ("Keys", "Management: what opens these APIs"),
    ("Server", "How the server is"),
];

/// What a request with a key can be refused with: status, code, message, and the sentence of the reference.
const REFUSALS: [(&str, &str, &str, &str); 4] = [
    ("401", "missing_api_key", "Send your API key in the X-API-Key header.", "Missing or invalid API key"),
    ("403", "forbidden", "This key lacks the permission links.", "The key has no right to this"),
    (
        "429",
        "rate_limited",
        "Too many requests: wait for the seconds in Retry-After.",
        "Too many requests; `Retry-After` says when to come back",
    ),
    (
        "500",
        "internal_error",
        "Something went wrong on our side. A retry is safe.",
        "Our fault, as is every 5xx; a retry is safe",
    ),
];

/// Adds what holds for all operations to the document that the routes made. Without a server entry a reader calls its
/// own host.
pub fn finish_document(mut document: OpenApi, version: &str) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Headwater")
        .version(version)
        .description(Some(DESCRIPTION))
        .license(Some(LicenseBuilder::new().name("Apache-2.0").identifier(Some("Apache-2.0")).build()))
        .build();
    let key = ApiKeyValue::with_description("X-API-Key", "A secret key (`sk_…`), or where allowed a publishable one.");
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(API_KEY_SCHEME, SecurityScheme::ApiKey(ApiKey::Header(key)));
    let brand_token = ApiKeyValue::with_description("x-api-key", "A program's brand token.");
    components.add_security_scheme("brand_token", SecurityScheme::ApiKey(ApiKey::Header(brand_token)));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token from `/oauth/token`."));
    components.add_security_scheme("access_token", SecurityScheme::Http(bearer.build()));
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A rewards key (`rk_…`)."));
    components.add_security_scheme("rewards_key", SecurityScheme::Http(bearer.build()));
    let text = "The token of a partner's user (`pu_…`).";
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(text));
    components.add_security_scheme("partner_token", SecurityScheme::Http(bearer.build()));
    let mut schemas = Vec::new();
    ErrorBody::schemas(&mut schemas);
    schemas.push((ErrorBody::name().into_owned(), ErrorBody::schema()));
    components.schemas.extend(schemas);
    let no_scopes: [&str; 0] = [];
    document.security.get_or_insert_with(|| vec![SecurityRequirement::new(API_KEY_SCHEME, no_scopes)]);
    let used =
        |tag: &str| document.paths.paths.values().flat_map(operations).any(|(_, operation)| has_tag(operation, tag));
    let is_used: Vec<_> = TAGS.iter().filter(|(tag, _)| *tag == "Server" || used(tag)).collect();
    document.tags = Some(
        is_used.into_iter().map(|(tag, text)| TagBuilder::new().name(*tag).description(Some(*text)).build()).collect(),
    );
    for (path, item) in &mut document.paths.paths {
        let has_id = path.contains('{');
        for (is_post, operation) in operations_mut(item) {
            if operation.security.is_none() {
                add_shared(operation, is_post, has_id);
            } else if is_post && (knows_its_key(operation) || takes_access_token(operation)) {
                add_idempotency_key(operation);
            }
        }
    }
    for (path, text, kind) in [
        ("/health", "Whether the process is alive", "text/plain"),
        ("/ready", "Whether the store can be reached; 503 while it cannot", "text/plain"),
        ("/metrics", "Metrics in the text form of Prometheus", "text/plain"),
        ("/openapi.json", "This document", "application/json"),
        ("/docs", "This document, for people", "text/html"),
    ] {
        document.paths.paths.insert(path.into(), PathItem::new(HttpMethod::Get, open_page(path, text, kind)));
    }
    document
}

/// Dialects that judge the key themselves.
fn knows_its_key(operation: &Operation) -> bool {
    ["Brand", "Rewards", "Affiliate"].iter().any(|tag| has_tag(operation, tag))
}

/// Not the route that makes one: its answer is a new token each time.
fn takes_access_token(operation: &Operation) -> bool {
    has_tag(operation, "Forex") && operation.request_body.is_some() && is_keyed(operation)
}

fn is_keyed(operation: &Operation) -> bool {
    operation.security.as_ref().is_some_and(|all| all.iter().any(|one| *one != SecurityRequirement::default()))
}

fn has_tag(operation: &Operation, tag: &str) -> bool {
    operation.tags.as_ref().is_some_and(|tags| tags.iter().any(|t| t == tag))
}

fn operations(item: &PathItem) -> impl Iterator<Item = (&'static str, &Operation)> {
    let all = [
        ("get", &item.get),
        ("post", &item.post),
        ("put", &item.put),
        ("patch", &item.patch),
        ("delete", &item.delete),
        ("options", &item.options),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_ref()?)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (bool, &mut Operation)> {
    let all = [(false, &mut item.get), (true, &mut item.post), (false, &mut item.patch), (false, &mut item.delete)];
    all.into_iter().filter_map(|(is_post, operation)| Some((is_post, operation.as_mut()?)))
}

/// The errors, the headers of the limit, and where it is a POST the key under which it is carried out once.
fn add_shared(operation: &mut Operation, is_post: bool, has_id: bool) {
    for response in operation.responses.responses.values_mut() {
        if let RefOr::T(response) = response {
            for (name, text) in [
                ("RateLimit-Limit", "Requests a minute of this key"),
                ("RateLimit-Remaining", "How many more may come at once"),
                ("RateLimit-Reset", "Seconds until the whole allowance is back"),
            ] {
                let number = ObjectBuilder::new().schema_type(SchemaType::Type(Type::Integer));
                let header = HeaderBuilder::new().schema(Some(number.build())).description(Some(text)).build();
                response.headers.insert(name.into(), header.into());
            }
        }
    }
    let takes_input = operation.request_body.is_some() || operation.parameters.is_some();
    let mut refusals = REFUSALS.to_vec();
    if takes_input {
        let message = "landing_page must start with a single slash.";
        refusals.push(("400", "validation_failed", message, "A parameter is invalid, or the request malformed"));
    }
    if has_id {
        refusals.push(("404", "link_not_found", "No referral link matches id ln_abc123.", "No such object"));
    }
    if is_post {
        let text = "The `Idempotency-Key` was used for another request, or the state of things does not allow it";
        refusals.push(("409", "idempotency_key_reused", "This Idempotency-Key was used for another request.", text));
        add_idempotency_key(operation);
    }
    for (status, code, message, text) in refusals {
        let example = json!({"error": {"code": code, "message": message}});
        operation.responses.responses.entry(status.into()).or_insert_with(|| refusal(text, example).into());
    }
}

fn add_idempotency_key(operation: &mut Operation) {
    let text = ObjectBuilder::new().schema_type(SchemaType::Type(Type::String)).max_length(Some(255));
    let key = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some("Yours. The same request under the same key is carried out once and answered alike."))
        .schema(Some(text.build()))
        .build();
    operation.parameters.get_or_insert_default().push(key.into());
}

fn refusal(text: &str, example: Value) -> utoipa::openapi::Response {
    let schema = Ref::from_schema_name(ErrorBody::name());
    let content = ContentBuilder::new().schema(Some(schema)).example(Some(example)).build();
    ResponseBuilder::new().description(text).content("application/json", content).build()
}

/// A page that needs no key.
fn open_page(path: &str, text: &str, kind: &str) -> Operation {
    let body = ObjectBuilder::new().schema_type(if kind == "application/json" { Type::Object } else { Type::String });
    let content = ContentBuilder::new().schema(Some(body.build())).build();
    let response = ResponseBuilder::new().description(text).content(kind, content).build();
    OperationBuilder::new()
        .operation_id(Some(path.trim_start_matches('/').replace('.', "_")))
        .tag("Server")
        .summary(Some(text))
        .security(SecurityRequirement::default())
        .response("200", response)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routes::described;
    use std::collections::BTreeSet;

    fn document() -> Value {
        serde_json::to_value(finish_document(described(), "1.2.3")).expect("JSON")
    }

    fn every_operation(document: &Value) -> Vec<(String, String, &Value)> {
        let paths = document["paths"].as_object().expect("paths");
        let operations = paths.iter().flat_map(|(path, item)| {
            let item = item.as_object().expect("an item");
            item.iter().map(|(method, operation)| (path.clone(), method.clone(), operation))
        });
        operations.collect()
    }

    /// Every `$ref`, with where it stands.
    fn references(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    match value.as_str().filter(|_| key == "$ref") {
                        Some(target) => found.push((at.to_owned(), target.to_owned())),
                        None => references(value, &format!("{at}/{key}"), found),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, at, found)),
            _ => {}
        }
    }

    #[test]
    fn it_is_openapi_31_with_its_key() {
        let document = document();
        assert_eq!(document["openapi"], "3.1.0");
        assert_eq!((&document["info"]["title"], &document["info"]["version"]), (&"Headwater".into(), &"1.2.3".into()));
        let scheme = &document["components"]["securitySchemes"]["api_key"];
        assert_eq!(scheme["type"], "apiKey");
        assert_eq!((&scheme["in"], &scheme["name"]), (&"header".into(), &"X-API-Key".into()));
        assert_eq!(document["security"][0]["api_key"], json!([]));
    }

    #[test]
    fn every_operation_is_whole() {
        let document = document();
        let operations = every_operation(&document);
        assert!(operations.len() > 45, "{} operations", operations.len());
        let known: BTreeSet<_> = TAGS.iter().map(|(tag, _)| *tag).collect();
        let mut ids = BTreeSet::new();
        for (path, method, operation) in &operations {
            let at = format!("{method} {path}");
            assert!(["get", "post", "put", "patch", "delete", "options", "head"].contains(&method.as_str()), "{at}");
            assert!(ids.insert(operation["operationId"].as_str().expect(&at)), "{at}: the id is used twice");
            assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty() && !text.ends_with('.')), "{at}");
            let tag = operation["tags"][0].as_str().expect(&at);
            assert!(known.contains(tag), "{at}: {tag} has no sentence");
            let responses = operation["responses"].as_object().expect(&at);
            assert!(responses.keys().any(|status| status.starts_with(['2', '3'])), "{at}: no success");
            assert!(responses.values().all(|response| response["description"].is_string()), "{at}");
            let named: BTreeSet<_> =
                path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let in_path: BTreeSet<_> =
                parameters.iter().filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect();
            assert_eq!(named, in_path, "{at}");
            assert!(parameters.iter().all(|p| p["in"] != "path" || p["required"] == true), "{at}");
            assert!(method != "get" || operation.get("requestBody").is_none(), "{at}: a GET has no body");
            let is_keyed = operation.get("security").is_none();
            for status in ["401", "403", "429", "500"] {
                assert_eq!(responses.contains_key(status), is_keyed, "{at}: {status}");
            }
            let once = parameters.iter().any(|p| p["name"] == "Idempotency-Key");
            // Reports by an address are known by their transactions, and a token is new each time.
            let has_none = path.starts_with("/postback") || path == "/oauth/token";
            assert_eq!(once, method == "post" && !has_none, "{at}: Idempotency-Key");
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_schema_is_used() {
        let document = document();
        let mut found = Vec::new();
        references(&document, "", &mut found);
        assert!(found.len() > 100, "{} references", found.len());
        for (at, target) in &found {
            let pointer = target.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{at}: {target}");
        }
        let schemas = document["components"]["schemas"].as_object().expect("schemas");
        for name in schemas.keys() {
            let target = format!("#/components/schemas/{name}");
            assert!(found.iter().any(|(_, used)| *used == target), "{name} is described and never used");
        }
    }
}
