//! `POST /oauth/token`: the client credentials grant (RFC 6749 §4.4), with the error bodies of its §5.2.
//!
//! A client says who it is in one place: HTTP Basic, a form, or a JSON body. Leaves tokens themselves to `app::oauth`.

use crate::body;
use crate::json::field::parse_object;
use crate::state::WebState;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_app::oauth::{Scope, TOKEN_SECONDS};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use std::collections::BTreeMap;

/// More than any honest request has.
const BODY_BYTES_MAX: usize = 16 * 1024;

/// An error of RFC 6749 §5.2.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TokenError {
    status: StatusCode,
    code: &'static str,
    description: &'static str,
    is_basic: bool,
}

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    client_id: String,
    client_secret: String,
    scopes: Vec<Scope>,
    is_basic: bool,
}

type Parameters = BTreeMap<String, String>;

/// Get an access token
///
/// The client credentials grant; a form, HTTP Basic or a JSON body.
#[utoipa::path(post, path = "/oauth/token", operation_id = "oauth_token", tag = "Forex",
    security(()),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "grant_type, client_id, client_secret and scope"),
    responses((status = 200, description = "A token for an hour", body = Value)))]
pub async fn issue(State(state): State<WebState>, headers: HeaderMap, sent: Body) -> Response {
    let mut response = match answer(&state, &headers, sent).await {
        Ok(response) => response,
        Err(error) => error.into_response(),
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn answer(state: &WebState, headers: &HeaderMap, sent: Body) -> Result<Response, TokenError> {
    let bytes = body::read(headers, sent, BODY_BYTES_MAX)
        .await
        .map_err(|_| TokenError::new("invalid_request", "The body could not be read."))?;
    let asked = parse(headers, &bytes)?;
    let client = state.app.oauth_client(&asked.client_id, &asked.client_secret).ok_or(TokenError {
        status: StatusCode::UNAUTHORIZED,
        code: "invalid_client",
        description: "No client has this id and secret.",
        is_basic: asked.is_basic,
    })?;
    let token = state.app.oauth_token_issue(&client, asked.scopes).await.map_err(|error| {
        tracing::error!(%error, "a token could not be issued");
        let description = "The service cannot do this now. A retry is safe.";
        TokenError {
            status: StatusCode::SERVICE_UNAVAILABLE,
            ..TokenError::new("temporarily_unavailable", description)
        }
    })?;
    let body = json!({
        "access_token": token.text, "token_type": "Bearer", "expires_in": TOKEN_SECONDS, "scope": Scope::list(&token.scopes),
    });
    Ok(Json(body).into_response())
}

fn parse(headers: &HeaderMap, bytes: &[u8]) -> Result<Asked, TokenError> {
    let basic = headers.get(header::AUTHORIZATION).map(basic).transpose()?;
    let parameters = parameters(headers, bytes)?;
    match parameters.get("grant_type").map(String::as_str) {
        Some("client_credentials") => {}
        None | Some("") => return Err(TokenError::new("invalid_request", "grant_type is required.")),
        Some(_) => return Err(TokenError::new("unsupported_grant_type", "grant_type must be client_credentials.")),
    }
    let given = |name: &str| parameters.get(name).filter(|value| !value.is_empty()).cloned();
    let in_body = (given("client_id"), given("client_secret"));
    let is_basic = basic.is_some();
    let (client_id, client_secret) = match (basic, in_body) {
        (Some(_), (_, Some(_))) => {
            return Err(TokenError::new("invalid_request", "Send the client's credentials in one place only."));
        }
        // A client may repeat its id, but not as another.
        (Some((id, _)), (Some(other), None)) if id != other => {
            return Err(TokenError::new("invalid_request", "Send the client's credentials in one place only."));
        }
        (Some(pair), _) => pair,
        (None, (Some(id), Some(secret))) => (id, secret),
        (None, _) => {
            let description = "Send client_id and client_secret, or HTTP Basic authentication.";
            return Err(TokenError {
                status: StatusCode::UNAUTHORIZED,
                ..TokenError::new("invalid_client", description)
            });
        }
    };
    let scopes = match given("scope") {
        None => vec![Scope::Read, Scope::Write],
        Some(text) => Scope::parse_list(&text)
            .ok_or_else(|| TokenError::new("invalid_scope", "scope may name read and write, parted by spaces."))?,
    };
    Ok(Asked { client_id, client_secret, scopes, is_basic })
}

/// The client's id and secret in an `Authorization` header; each is form-encoded before it is joined (RFC 6749 §2.3.1).
fn basic(value: &HeaderValue) -> Result<(String, String), TokenError> {
    let refused = || TokenError {
        status: StatusCode::UNAUTHORIZED,
        is_basic: true,
        ..TokenError::new(
            "invalid_client",
            "The Authorization header must be HTTP Basic with the client's id and secret.",
        )
    };
    let text = value.to_str().map_err(|_| refused())?;
    let (scheme, encoded) = text.split_once(' ').ok_or_else(refused)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(refused());
    }
    let decoded = STANDARD.decode(encoded.trim()).map_err(|_| refused())?;
    let decoded = String::from_utf8(decoded).map_err(|_| refused())?;
    let (id, secret) = decoded.split_once(':').ok_or_else(refused)?;
    let plain = |text: &str| {
        let named = format!("v={text}");
        url::form_urlencoded::parse(named.as_bytes()).next().map(|(_, value)| value.into_owned())
    };
    plain(id).zip(plain(secret)).ok_or_else(refused)
}

fn parameters(headers: &HeaderMap, bytes: &[u8]) -> Result<Parameters, TokenError> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parameters = Parameters::new();
    if content_type.trim_start().to_ascii_lowercase().starts_with("application/json") {
        let fields =
            parse_object(bytes).map_err(|_| TokenError::new("invalid_request", "The body is no JSON object."))?;
        for name in fields.names() {
            // Only strings are parameters; others are as unknown as a parameter of another name.
            if let Ok(Some(value)) = fields.optional_string(name) {
                parameters.insert(name.to_owned(), value);
            }
        }
        return Ok(parameters);
    }
    for (name, value) in url::form_urlencoded::parse(bytes) {
        if parameters.insert(name.into_owned(), value.into_owned()).is_some() {
            return Err(TokenError::new("invalid_request", "A parameter is there twice."));
        }
    }
    Ok(parameters)
}

impl TokenError {
    fn new(code: &'static str, description: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, code, description, is_basic: false }
    }
}

impl IntoResponse for TokenError {
    fn into_response(self) -> Response {
        let body = json!({"error": self.code, "error_description": self.description});
        let mut response = (self.status, Json(body)).into_response();
        if self.is_basic && self.status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Basic realm=\"headwater\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    fn asked(authorization: Option<&str>, content_type: &str, body: &str) -> Result<Asked, &'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, content_type.parse().expect("a value"));
        if let Some(text) = authorization {
            headers.insert(header::AUTHORIZATION, text.parse().expect("a value"));
        }
        parse(&headers, body.as_bytes()).map_err(|error| error.code)
    }

    #[test]
    fn a_client_says_who_it_is_in_any_one_place() {
        let basic = format!("Basic {}", STANDARD.encode("ci_1:cs_2"));
        let json = r#"{"grant_type":"client_credentials","client_id":"ci_1","client_secret":"cs_2"}"#;
        for (authorization, content_type, body) in [
            (None, FORM, "grant_type=client_credentials&client_id=ci_1&client_secret=cs_2"),
            (Some(basic.as_str()), FORM, "grant_type=client_credentials"),
            (Some(basic.as_str()), FORM, "grant_type=client_credentials&client_id=ci_1"),
            (None, "application/json", json),
        ] {
            let asked = asked(authorization, content_type, body).expect(body);
            assert_eq!((asked.client_id.as_str(), asked.client_secret.as_str()), ("ci_1", "cs_2"), "{body}");
            assert_eq!(asked.scopes, [Scope::Read, Scope::Write]);
        }
    }

    #[test]
    fn errors_are_those_of_the_standard() {
        let basic = format!("Basic {}", STANDARD.encode("ci_1:cs_2"));
        for (authorization, body, code) in [
            (None, "client_id=a&client_secret=b", "invalid_request"),
            (None, "grant_type=password&client_id=a&client_secret=b", "unsupported_grant_type"),
            (None, "grant_type=client_credentials", "invalid_client"),
            (None, "grant_type=client_credentials&client_id=a", "invalid_client"),
            (None, "grant_type=client_credentials&client_id=a&client_secret=b&scope=admin", "invalid_scope"),
            (
                None,
                "grant_type=client_credentials&grant_type=client_credentials&client_id=a&client_secret=b",
                "invalid_request",
            ),
            (Some(basic.as_str()), "grant_type=client_credentials&client_id=a&client_secret=b", "invalid_request"),
            (Some(basic.as_str()), "grant_type=client_credentials&client_id=other", "invalid_request"),
            (Some("Bearer x"), "grant_type=client_credentials", "invalid_client"),
            (Some("Basic !"), "grant_type=client_credentials", "invalid_client"),
        ] {
            assert_eq!(asked(authorization, FORM, body).expect_err(code), code, "{body}");
        }
    }
}
