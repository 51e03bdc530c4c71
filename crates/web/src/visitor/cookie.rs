//! The visitor's two first-party cookies, read and written by hand.
//!
//! `FYNXT_SESSION_ID` holds the session id and nothing else: the visitor's script and the broker's server read it and
//! send it back with events. Which click is stamped on the visitor is in a cookie of our own beside it,
//! `hw_click_<program>`, whose value is the click token: genuine without a look into the store, so that first-click
//! attribution costs the redirect nothing, survives a restart and holds on every node. One program's stamp does not
//! touch another's.
//!
//! Registrable domain: without a public suffix list of our own, the last two labels of the site's host, or three where
//! the last two look like a public suffix of a country (`co.uk`, `com.br`). A guess that is too wide is refused by
//! browsers, which know the list; the session then lives in the redirect's parameters only.

use headwater_domain::click::session::SessionId;
use headwater_domain::click::visitor::COOKIE_DAYS;
use headwater_domain::ids::ProgramId;
use url::Host;

/// The session cookie's name: published.
pub const SESSION_COOKIE: &str = "FYNXT_SESSION_ID";
/// The stamp's name, before the program's number.
const STAMP_PREFIX: &str = "hw_click_";
/// Programs on one registrable domain that a visitor can carry stamps of.
const STAMPS_MAX: usize = 16;
/// A header that is longer is not looked at.
const COOKIE_BYTES_MAX: usize = 16 * 1024;

/// Second-level labels under which countries register names.
const SUFFIX_LABELS: &[&str] = &[
    "ac", "co", "com", "edu", "go", "gob", "gouv", "gov", "id", "info", "ltd", "me", "mil", "ne", "net", "nom", "or",
    "org", "plc", "sch", "web",
];

/// What the request's cookies say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VisitorCookies {
    /// The session, where there is one in our form.
    pub session: Option<SessionId>,
    /// Stamped clicks, by program: tokens that are not yet verified.
    pub stamps: Vec<(ProgramId, String)>,
}

impl VisitorCookies {
    /// Reads `Cookie` headers. The first of equal names counts, as browsers send the most specific one first.
    pub fn read<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut cookies = Self::default();
        for pair in headers.into_iter().filter(|h| h.len() <= COOKIE_BYTES_MAX).flat_map(|h| h.split(';')) {
            let Some((name, value)) = pair.split_once('=') else { continue };
            let (name, value) = (name.trim(), value.trim().trim_matches('"'));
            if name == SESSION_COOKIE && cookies.session.is_none() {
                cookies.session = SessionId::parse(value);
            } else if cookies.stamps.len() < STAMPS_MAX
                && let Some(program) = name.strip_prefix(STAMP_PREFIX).and_then(|number| number.parse().ok())
            {
                cookies.stamps.push((ProgramId(program), value.to_owned()));
            }
        }
        cookies
    }
}

/// `Set-Cookie` of the session, read by the visitor's script, so not `HttpOnly`.
pub fn session_cookie(session: SessionId, domain: Option<&str>) -> String {
    with_attributes(&format!("{SESSION_COOKIE}={session}"), COOKIE_DAYS, domain)
}

/// `Set-Cookie` of the stamp. It lives as long as the program's window; scripts have no need of it.
pub fn stamp_cookie(token: &str, program: ProgramId, window_days: i64, domain: Option<&str>) -> String {
    with_attributes(&format!("{STAMP_PREFIX}{program}={token}"), window_days, domain) + "; HttpOnly"
}

fn with_attributes(pair: &str, days: i64, domain: Option<&str>) -> String {
    let seconds = days.saturating_mul(86_400);
    let domain = domain.map(|d| format!("; Domain={d}")).unwrap_or_default();
    format!("{pair}; Path=/; Secure; SameSite=Lax{domain}; Max-Age={seconds}")
}

/// The domain for the cookies of a site; `None` for addresses and hosts of one label, which get a host-only cookie.
pub fn registrable_domain(host: &Host<&str>) -> Option<String> {
    let Host::Domain(name) = host else { return None };
    let name = name.trim_end_matches('.');
    let labels: Vec<&str> = name.split('.').collect();
    if labels.len() < 2 || labels.last() == Some(&"localhost") {
        return None;
    }
    let is_country_suffix = labels[labels.len() - 1].len() == 2 && SUFFIX_LABELS.contains(&labels[labels.len() - 2]);
    let kept = if is_country_suffix { 3 } else { 2 };
    if labels.len() < kept {
        return None;
    }
    Some(labels[labels.len() - kept..].join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_read_among_others() {
        let session = SessionId(77);
        let header = format!("a=b; hw_click_12=other; {SESSION_COOKIE}={session};hw_click_1201=tok; bad; =; x==y");
        let cookies = VisitorCookies::read([header.as_str()]);
        let stamps = vec![(ProgramId(12), "other".into()), (ProgramId(1201), "tok".into())];
        assert_eq!(cookies, VisitorCookies { session: Some(session), stamps });
        for header in ["", ";", "FYNXT_SESSION_ID", "FYNXT_SESSION_ID=<script>", "fynxt_session_id=x"] {
            assert_eq!(VisitorCookies::read([header]), VisitorCookies::default(), "{header}");
        }
    }

    #[test]
    fn attributes() {
        assert_eq!(
            session_cookie(SessionId(0), Some("broker.example")),
            "FYNXT_SESSION_ID=00000000000000000000000000; Path=/; Secure; SameSite=Lax; Domain=broker.example; Max-Age=2592000"
        );
        assert_eq!(
            stamp_cookie("tok", ProgramId(1201), 10, None),
            "hw_click_1201=tok; Path=/; Secure; SameSite=Lax; Max-Age=864000; HttpOnly"
        );
    }

    #[test]
    fn registrable_domains() {
        for (url, domain) in [
            ("https://www.broker.example", Some("broker.example")),
            ("https://broker.example", Some("broker.example")),
            ("https://a.b.broker.co.uk", Some("broker.co.uk")),
            ("https://broker.com.br", Some("broker.com.br")),
            ("https://www.broker.de", Some("broker.de")),
            ("https://co.uk", None),
            ("http://localhost:8080", None),
            ("http://shop.localhost", None),
            ("http://127.0.0.1:8080", None),
            ("http://[::1]", None),
        ] {
            let url = url::Url::parse(url).expect("a URL");
            assert_eq!(registrable_domain(&url.host().expect("a host")).as_deref(), domain, "{url}");
        }
    }
}
