//! `GET /click` and `HEAD /click`: reads the request, lets the operation decide, answers 302.
//!
//! Every visitor is sent somewhere: nothing here answers with an error but the lack of any program. What a stranger sees
//! is the same whatever is wrong with the link.

use super::cookie::{VisitorCookies, registrable_domain, session_cookie, stamp_cookie};
use super::country::Countries;
use super::device::{Devices, USER_AGENT_BYTES_MAX};
use crate::client_address::TrustedProxies;
use crate::limits::rate::RateLimit;
use crate::listener::Peer;
use axum::extract::{Extension, State};
use axum::response::{IntoResponse, Response};
use headwater_app::click::{Clicks, Redirect, Visit};
use headwater_domain::click::visitor::{Asking, ClickFlags};
use headwater_domain::time::Instant;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use std::net::IpAddr;
use std::sync::Arc;

/// Clicks a minute from one address before they are flagged; nobody is turned away.
pub const CLICKS_PER_MINUTE: u32 = 600;
/// Addresses that are remembered for it.
const ADDRESSES_MAX: usize = 100_000;
/// Names in a query that are looked at; the rest is dropped unread.
const QUERY_PAIRS_MAX: usize = 200;

/// What the redirect needs.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "tables and closures have no useful debug form")]
pub struct VisitorState {
    /// The operations.
    pub clicks: Arc<Clicks>,
    /// Where addresses are.
    pub countries: Arc<Countries>,
    /// Whose forwarding headers are believed.
    pub proxies: TrustedProxies,
    /// The clock.
    pub now: Arc<dyn Fn() -> Instant + Send + Sync>,
    /// Random bytes for a new session.
    pub random: fn() -> [u8; 16],
    limit: Arc<RateLimit<IpAddr>>,
    devices: Arc<Devices>,
}

impl VisitorState {
    /// All parts, with the usual limit.
    pub fn new(
        clicks: Arc<Clicks>,
        countries: Arc<Countries>,
        proxies: TrustedProxies,
        now: Arc<dyn Fn() -> Instant + Send + Sync>,
        random: fn() -> [u8; 16],
    ) -> Self {
        let limit = Arc::new(RateLimit::new(CLICKS_PER_MINUTE, ADDRESSES_MAX));
        Self { clicks, countries, proxies, now, random, limit, devices: Arc::default() }
    }
}

/// Which link a visitor follows, and what comes with it.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LinkQuery {
    /// The encrypted partner.
    #[param(rename = "Formx")]
    pub formx: Option<String>,
    /// The partner in clear; `affid` is read as the same.
    #[param(rename = "ref", example = "ib_2044")]
    pub partner: Option<String>,
    /// Stored on the click and passed to the landing page.
    #[param(example = "youtube")]
    pub utm_source: Option<String>,
    /// Stored on the click and passed to the landing page.
    pub utm_medium: Option<String>,
    /// Stored on the click and passed to the landing page.
    #[param(example = "q2-launch")]
    pub utm_campaign: Option<String>,
    /// Stored on the click and passed to the landing page.
    pub utm_term: Option<String>,
    /// Stored on the click and passed to the landing page.
    pub utm_content: Option<String>,
    /// Where the visitor lands.
    #[param(example = "/en/open-account")]
    pub landingpage: Option<String>,
    /// The language.
    #[param(example = "en")]
    pub lang: Option<String>,
    /// The link.
    #[param(example = "ln_01J8ZP6V4C")]
    pub lid: Option<String>,
    /// A program's number, else a label.
    pub campaign: Option<String>,
}

/// Follow a link
///
/// Records the click, sets the cookie `FYNXT_SESSION_ID`, and sends the visitor to the landing page with `clickId` and
/// `sessionId` (and `click-id`, `partner-id`, `program-id`) in the URL. Whatever is wrong with the link, the visitor is
/// sent somewhere. Any other parameter is kept for partners' postbacks. HEAD is answered alike and counts nothing.
// axum answers HEAD with the handler of GET, which sees the method.
#[utoipa::path(get, path = "/click", operation_id = "click", tag = "Visitor", security(()), params(LinkQuery),
    responses((status = 302, description = "To the landing page",
        headers(("Location" = String, description = "With the click's token and the session"),
            ("Set-Cookie" = String, description = "The session, and the click that stands")))))]
pub async fn click(
    State(state): State<VisitorState>,
    peer: Option<Extension<Peer>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let now = (state.now)();
    let address = peer.map(|Extension(Peer(peer))| state.proxies.client(peer, &headers));
    let visit = visit_of(&state, address, &method, &uri, &headers, now);
    let redirect = state.clicks.visit(&visit, (state.random)(), now).await;
    redirect.map_or_else(|| StatusCode::NOT_FOUND.into_response(), |redirect| answer(&redirect))
}

fn visit_of(
    state: &VisitorState,
    address: Option<IpAddr>,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    now: Instant,
) -> Visit {
    let user_agent = lossy(headers, header::USER_AGENT.as_str());
    let user_agent = user_agent.as_deref().map_or("", |text| up_to(text, USER_AGENT_BYTES_MAX));
    let device = state.devices.of(user_agent);
    let place = address.map(|address| state.countries.place_of(address)).unwrap_or_default();
    let cookies = VisitorCookies::read(headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok()));
    let purpose = lossy(headers, "purpose").or_else(|| lossy(headers, "x-moz")).or_else(|| lossy(headers, "x-purpose"));
    let (sec_purpose, fetch_destination) = (lossy(headers, "sec-purpose"), lossy(headers, "sec-fetch-dest"));
    let asking = Asking {
        head: *method == Method::HEAD,
        crawler: device.device_type == super::device::DeviceType::Bot,
        purpose: purpose.as_deref(),
        sec_purpose: sec_purpose.as_deref(),
        fetch_destination: fetch_destination.as_deref(),
    };
    let granted = address.is_none_or(|address| state.limit.take(&address, now).is_granted());
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    Visit {
        query: query.take(QUERY_PAIRS_MAX).map(|(name, value)| (name.into_owned(), value.into_owned())).collect(),
        host: lossy(headers, header::HOST.as_str()),
        session: cookies.session,
        stamps: cookies.stamps,
        flags: asking.flags().with_if(!granted, ClickFlags::RATE_LIMITED),
        ip: address.map(|address| address.to_string()),
        country: place.country,
        region: place.region,
        city: place.city,
        device_type: device.device_type.name(),
        browser: device.browser.clone(),
        os: device.os.clone(),
        user_agent: (!user_agent.is_empty()).then(|| user_agent.to_owned()),
        referer: lossy(headers, header::REFERER.as_str()),
    }
}

fn answer(redirect: &Redirect) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    let location = HeaderValue::from_str(redirect.location.as_str());
    headers.insert(header::LOCATION, location.expect("a serialized URL is visible ASCII"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer-when-downgrade"));
    let domain = registrable_domain(&redirect.site.host());
    let session = session_cookie(redirect.session, domain.as_deref());
    let stamp = redirect
        .stamp
        .as_deref()
        .map(|token| stamp_cookie(token, redirect.program, redirect.window_days, domain.as_deref()));
    for cookie in std::iter::once(session).chain(stamp) {
        let cookie = HeaderValue::from_str(&cookie).expect("our alphabet, numbers and a host name are visible ASCII");
        headers.append(header::SET_COOKIE, cookie);
    }
    response
}

fn lossy(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn up_to(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_domain::click::session::SessionId;
    use headwater_domain::ids::ProgramId;
    use headwater_domain::link::landing::Site;

    fn redirect(stamp: Option<&str>) -> Redirect {
        Redirect {
            location: url::Url::parse("https://www.broker.example/en?clickId=t").expect("a URL"),
            session: SessionId(1),
            stamp: stamp.map(str::to_owned),
            program: ProgramId(1201),
            window_days: 30,
            site: Site::parse("https://www.broker.example").expect("a site"),
        }
    }

    fn cookies(response: &Response) -> Vec<&str> {
        response.headers().get_all(header::SET_COOKIE).iter().map(|v| v.to_str().expect("text")).collect()
    }

    #[test]
    fn the_answer_is_a_302_that_nobody_keeps() {
        let response = answer(&redirect(Some("tok")));
        assert_eq!(response.status(), StatusCode::FOUND);
        for (name, value) in [
            ("location", "https://www.broker.example/en?clickId=t"),
            ("cache-control", "no-store"),
            ("referrer-policy", "no-referrer-when-downgrade"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
        assert_eq!(
            cookies(&response),
            [
                "FYNXT_SESSION_ID=00000000000000000000000001; Path=/; Secure; SameSite=Lax; Domain=broker.example; Max-Age=2592000",
                "hw_click_1201=tok; Path=/; Secure; SameSite=Lax; Domain=broker.example; Max-Age=2592000; HttpOnly",
            ]
        );
    }

    #[test]
    fn a_stamp_that_stands_is_not_set_again() {
        assert_eq!(cookies(&answer(&redirect(None))).len(), 1);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(up_to("aé", 2), "a");
        assert_eq!(up_to("aé", 9), "aé");
    }
}
