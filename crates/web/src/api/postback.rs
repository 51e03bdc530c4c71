//! `GET|POST /postback` and `/postback.gif`: events from servers that cannot send JSON (`postbacks.md` §10).
//!
//! The parameters have the names of several trackers; which names of events count, and who may send, is the program's to
//! say. Answers are text, or a pixel. Invariant: no key is logged, since no part of a query is.

use crate::body::{BodyError, REFERRAL_BYTES_MAX, read};
use crate::listener::Peer;
use crate::state::WebState;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse as _, Response};
use headwater_app::postback::Report;
use headwater_domain::money::{Currency, Decimal};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use std::net::IpAddr;

/// A transparent GIF of one pixel.
const PIXEL: &[u8] =
    b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";
const CLICKS: [&str; 6] = ["click_id", "cid", "subid", "clickid", "transaction_id", "cnv_id"];
const AMOUNTS: [&str; 4] = ["amount", "payout", "revenue", "sum"];
const EVENTS: [&str; 4] = ["event", "goal", "et", "status"];
/// Of any parameter.
const CHARACTERS_MAX: usize = 500;

/// What a server sends.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PostbackQuery {
    /// The click's token; also as `cid`, `subid`, `clickid`, `transaction_id`, `cnv_id`.
    pub click_id: String,
    /// What happened, by a name of the program's list; also as `goal`, `et`, `status`.
    #[param(example = "FIRST_DEPOSIT")]
    pub event: String,
    /// How much; also as `payout`, `revenue`, `sum`.
    #[param(example = "250.00")]
    pub amount: Option<String>,
    /// ISO 4217; the program's, where it is left out.
    pub currency: Option<String>,
    /// Yours: the same click, event and `txid` count once.
    pub txid: Option<String>,
    /// Kept with the event.
    pub status: Option<String>,
    /// The program's postback token; not needed from its addresses.
    pub key: Option<String>,
}

/// Report an event
///
/// By a server that cannot send JSON. The client is the one of the click. Without the program's token, and not from one
/// of its addresses: 403.
#[utoipa::path(get, path = "/postback", operation_id = "postback_get", tag = "Events", security(()), params(PostbackQuery),
    responses((status = 200, description = "`OK`; also for a double, and for a name that is not on the list"),
        (status = 400, description = "What is wrong")))]
pub async fn get(
    State(state): State<WebState>,
    peer: Option<Extension<Peer>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    report(&state, peer, &method, &uri, &headers, Body::empty(), ok).await
}

/// Report an event (form)
///
/// The parameters of the address and those of a form together.
#[utoipa::path(post, path = "/postback", operation_id = "postback_post", tag = "Events", security(()), params(PostbackQuery),
    responses((status = 200, description = "`OK`"), (status = 400, description = "What is wrong")))]
pub async fn post(
    State(state): State<WebState>,
    peer: Option<Extension<Peer>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    report(&state, peer, &method, &uri, &headers, body, ok).await
}

/// Report an event by a pixel
///
/// As `/postback`, answered with a transparent GIF.
#[utoipa::path(get, path = "/postback.gif", operation_id = "postback_gif_get", tag = "Events", security(()),
    params(PostbackQuery), responses((status = 200, description = "A GIF of one pixel")))]
pub async fn get_gif(
    State(state): State<WebState>,
    peer: Option<Extension<Peer>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    report(&state, peer, &method, &uri, &headers, Body::empty(), pixel).await
}

/// Report an event by a pixel (form)
///
/// As `/postback`, answered with a transparent GIF.
#[utoipa::path(post, path = "/postback.gif", operation_id = "postback_gif_post", tag = "Events", security(()),
    params(PostbackQuery), responses((status = 200, description = "A GIF of one pixel")))]
pub async fn post_gif(
    State(state): State<WebState>,
    peer: Option<Extension<Peer>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    report(&state, peer, &method, &uri, &headers, body, pixel).await
}

fn ok() -> Response {
    "OK".into_response()
}

fn pixel() -> Response {
    ([(header::CONTENT_TYPE, "image/gif")], PIXEL).into_response()
}

async fn report(
    state: &WebState,
    peer: Option<Extension<Peer>>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
    done: fn() -> Response,
) -> Response {
    let address = peer.map(|Extension(Peer(peer))| state.proxies.client(peer, headers));
    // A proxy or a scanner that only looks reports nothing.
    let outcome = if *method == Method::HEAD { Ok(()) } else { take(state, address, uri, headers, body).await };
    let mut response = match outcome {
        Ok(()) => done(),
        Err(refused) => refused,
    };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn take(
    state: &WebState,
    address: Option<IpAddr>,
    uri: &Uri,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Response> {
    let of_body = |error: BodyError| (error.status(), error.to_string()).into_response();
    let form = read(headers, body, REFERRAL_BYTES_MAX).await.map_err(of_body)?;
    let sent = Sent::read(uri.query().unwrap_or_default().as_bytes(), &form).map_err(bad)?;
    let click = sent.first_of(&CLICKS).unwrap_or_default();
    let program = state.app.postback_program(sent.first_of(&["key"]), click, address).ok_or_else(|| {
        let message = "Send the program's postback token as key, or from one of its addresses.";
        (StatusCode::FORBIDDEN, message).into_response()
    })?;
    let allowance = state.postback_rate.take(&program.id, state.app.clock.now());
    if !allowance.is_granted() {
        let message = "Too many requests: wait for the seconds in Retry-After.";
        let mut response = (StatusCode::TOO_MANY_REQUESTS, message).into_response();
        allowance.add_to(response.headers_mut());
        return Err(response);
    }
    let report = sent.report().map_err(bad)?;
    match state.app.postback_take(&program, report).await {
        Ok(_) => Ok(()),
        Err(error) => {
            tracing::error!(%error, "an inbound postback could not be taken");
            let message = "The service cannot do this now. A retry is safe.";
            Err((StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], message).into_response())
        }
    }
}

fn bad(message: String) -> Response {
    (StatusCode::BAD_REQUEST, message).into_response()
}

/// The parameters, those of the address first.
#[derive(Debug)]
struct Sent(Vec<(String, String)>);

impl Sent {
    fn read(query: &[u8], form: &[u8]) -> Result<Self, String> {
        let mut all: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(query).chain(url::form_urlencoded::parse(form)) {
            if all.iter().any(|(known, _)| *known == name) {
                return Err(format!("{} must be sent once.", shown(&name)));
            }
            if value.chars().count() > CHARACTERS_MAX || value.contains(['\0', '\u{fffd}']) {
                return Err(format!("{} must be UTF-8 text of at most {CHARACTERS_MAX} characters.", shown(&name)));
            }
            all.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(all))
    }

    /// The first of these names that is there and not empty.
    fn first_of(&self, names: &[&str]) -> Option<&str> {
        let of = |name: &&str| self.0.iter().find(|(known, value)| known == name && !value.is_empty());
        names.iter().find_map(of).map(|(_, value)| value.as_str())
    }

    fn report(&self) -> Result<Report, String> {
        let click = self.first_of(&CLICKS).ok_or("click_id is required: send the token of the click.")?;
        let event = self.first_of(&EVENTS).ok_or("event is required.")?;
        let amount = self.first_of(&AMOUNTS).map(|text| {
            let value = Decimal::parse(text).ok().filter(|value| *value >= Decimal::ZERO);
            value.map(|value| (value, text.to_owned())).ok_or("amount must be a decimal of 0 or more, such as 250.00.")
        });
        let currency = self
            .first_of(&["currency"])
            .map(|text| Currency::parse(&text.to_ascii_uppercase()).ok_or("currency must be an ISO 4217 code."));
        Ok(Report {
            click: click.to_owned(),
            event: event.to_owned(),
            amount: amount.transpose()?,
            currency: currency.transpose()?,
            transaction: self.first_of(&["txid"]).map(str::to_owned),
            status: self.first_of(&["status"]).map(str::to_owned),
        })
    }
}

/// A parameter's name in an answer: it may be anything.
fn shown(name: &str) -> String {
    name.chars().filter(char::is_ascii_graphic).take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(query: &str) -> Result<Report, String> {
        Sent::read(query.as_bytes(), b"")?.report()
    }

    #[test]
    fn parameters_have_the_names_of_several_trackers() {
        for query in [
            "click_id=t&event=dep&amount=1.50&currency=usd&txid=x",
            "cid=t&goal=dep&payout=1.50&currency=USD&txid=x",
            "subid=t&et=dep&revenue=1.50&currency=USD&txid=x",
            "clickid=t&status=dep&sum=1.50&currency=USD&txid=x",
            "click_id=&transaction_id=t&event=dep&amount=1.50&currency=USD&txid=x",
            "cnv_id=t&event=dep&amount=1.50&currency=USD&txid=x",
        ] {
            let report = report(query).expect(query);
            let amount = report.amount.as_ref().map(|(_, text)| text.as_str());
            let read = (report.click.as_str(), report.event.as_str(), amount, report.transaction.as_deref());
            assert_eq!(read, ("t", "dep", Some("1.50"), Some("x")), "{query}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (query, names) in [
            ("event=dep", "click_id"),
            ("click_id=t", "event"),
            ("click_id=t&event=dep&amount=1e5", "amount"),
            ("click_id=t&event=dep&amount=-1", "amount"),
            ("click_id=t&event=dep&currency=XXQ", "currency"),
            ("click_id=t&click_id=u&event=dep", "click_id"),
            ("click_id=%ff&event=dep", "click_id"),
        ] {
            assert!(report(query).expect_err(query).starts_with(names), "{query}");
        }
    }
}
