//! Where a visitor may land: the sites that are registered for a program, and pages on them.
//!
//! Invariant: whatever a link or a click names, the destination's origin is that of a registered site. It is held
//! twice: the text is checked by rules that know browsers' habits (`//`, `\`, control characters and their
//! percent-encoded forms), and the parsed result's origin is compared. Only the parsed absolute URL is ever emitted,
//! never the text: `/..//evil.com` is harmless as an absolute URL and an open redirect as a path.

use crate::program::RegionalDomain;
use url::Url;

/// The longest landing page, in characters.
pub const LANDING_CHARACTERS_MAX: usize = 2048;

/// A registered origin: `https://www.broker.example`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Site(Url);

/// Not the address of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a site is an http or https URL with a host and without user, query or fragment")]
pub struct NotASite;

impl Site {
    /// Reads an `http` or `https` URL without user, query and fragment. A path is kept out: landing pages are absolute.
    pub fn parse(text: &str) -> Result<Self, NotASite> {
        let mut url = Url::parse(text).map_err(|_| NotASite)?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.host().is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !plain {
            return Err(NotASite);
        }
        url.set_path("/");
        Ok(Self(url))
    }

    /// The site's root.
    pub fn url(&self) -> &Url {
        &self.0
    }

    /// Its host, as a name or an IP address.
    pub fn host(&self) -> url::Host<&str> {
        self.0.host().expect("checked when parsed")
    }
}

/// A page on a program's site: a path with perhaps a query, checked against open redirects.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LandingPage(String);

/// Why a text is no landing page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LandingError {
    /// Over [`LANDING_CHARACTERS_MAX`].
    #[error("landing_page must have at most {LANDING_CHARACTERS_MAX} characters.")]
    TooLong,
    /// It does not start with exactly one slash.
    #[error("landing_page must start with a single slash.")]
    NoSingleSlash,
    /// It holds `//`, a backslash or a control character, as they are or percent-encoded.
    #[error("landing_page must not contain //, backslashes or control characters.")]
    Forbidden,
    /// Joined with the site it leads elsewhere.
    #[error("landing_page must stay on the program's site.")]
    LeavesSite,
}

impl LandingPage {
    /// Checks a text against `site`; a fragment is dropped.
    pub fn parse(text: &str, site: &Site) -> Result<Self, LandingError> {
        if text.chars().count() > LANDING_CHARACTERS_MAX {
            return Err(LandingError::TooLong);
        }
        if !text.starts_with('/') || text.starts_with("//") {
            return Err(LandingError::NoSingleSlash);
        }
        if has_forbidden(text) {
            return Err(LandingError::Forbidden);
        }
        let path = text.split_once('#').map_or(text, |(before, _)| before);
        let page = Self(path.to_owned());
        page.on(site)?;
        Ok(page)
    }

    /// The root of a site.
    pub fn root() -> Self {
        Self("/".into())
    }

    /// The path and query.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The page on this site.
    pub fn on(&self, site: &Site) -> Result<Url, LandingError> {
        let url = site.0.join(&self.0).map_err(|_| LandingError::LeavesSite)?;
        let stays = url.origin() == site.0.origin()
            && url.username().is_empty()
            && url.password().is_none()
            && !url.path().starts_with("//");
        if stays { Ok(url) } else { Err(LandingError::LeavesSite) }
    }
}

/// Where a visitor is sent, with `added` appended to the query. A parameter of the page that is also added is dropped,
/// so that nobody can name another click in a landing page and be read first.
///
/// `country` chooses the regional domain where `region_routing` is on; a page that does not fit there, or a country
/// without a domain, goes to the program's own site.
pub fn destination(
    site: &Site,
    regions: &[RegionalDomain],
    region_routing: bool,
    country: Option<&str>,
    page: &LandingPage,
    added: &[(&str, &str)],
) -> Url {
    let regional = country.filter(|_| region_routing).and_then(|country| {
        regions.iter().find(|region| region.countries.iter().any(|c| c.eq_ignore_ascii_case(country)))
    });
    let regional = regional.and_then(|region| Site::parse(&region.url).ok());
    let target = regional.as_ref().unwrap_or(site);
    let mut url = page.on(target).unwrap_or_else(|_| target.0.clone());
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !added.iter().any(|(ours, _)| ours == name))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    if kept.len() != url.query_pairs().count() {
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
    }
    if !added.is_empty() {
        url.query_pairs_mut().extend_pairs(added);
    }
    url
}

/// Whether a text holds `//`, `\` or a control character, as it is or percent-encoded.
fn has_forbidden(text: &str) -> bool {
    if text.contains("//") || text.contains('\\') || text.chars().any(char::is_control) {
        return true;
    }
    let decoded = percent_decoded(text.as_bytes());
    decoded.windows(2).any(|pair| pair == b"//")
        || decoded.iter().any(|b| b.is_ascii_control() || *b == b'\\')
        // U+0080 to U+009F in UTF-8
        || decoded.windows(2).any(|pair| pair[0] == 0xc2 && (0x80..0xa0).contains(&pair[1]))
}

fn percent_decoded(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%').and_then(|d| std::str::from_utf8(d).ok());
        let value =
            digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit())).and_then(|d| u8::from_str_radix(d, 16).ok());
        decoded.push(value.unwrap_or(*first));
        rest = if value.is_some() { &after[2..] } else { after };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn site() -> Site {
        Site::parse("https://www.broker.example/").expect("a site")
    }

    #[test]
    fn hostile_landing_pages_are_refused() {
        for text in [
            "//evil.com",
            "/\\evil.com",
            "\\\\evil.com",
            "/\t/evil.com",
            "/\n/evil.com",
            "\0//evil.com",
            "https://evil.com",
            "http:evil.com",
            "///evil.com",
            "////evil.com",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            " javascript:alert(1)",
            "data:text/html,x",
            "https://www.broker.example@evil.com/",
            "https://www.broker.example.evil.com/",
            "https:evil.com",
            "/..//evil.com",
            "/.//evil.com",
            "/en/\r\nSet-Cookie: a=b",
            "/en/%0d%0aSet-Cookie:%20a=b",
            "/%2f%2fevil.com",
            "/%2Fevil.com",
            "/%09/evil.com",
            "/%5cevil.com",
            "/%00",
            "/%7f",
            "/%C2%85",
            "/\u{85}",
            "@evil.com",
            ".evil.com",
            "en/open-account",
            "",
            " /en",
        ] {
            assert!(LandingPage::parse(text, &site()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn ordinary_landing_pages_pass() {
        for (text, url) in [
            ("/en/open-account", "https://www.broker.example/en/open-account"),
            ("/", "https://www.broker.example/"),
            ("/en?a=b&c=%20", "https://www.broker.example/en?a=b&c=%20"),
            ("/en#top", "https://www.broker.example/en"),
            ("/@handle:x", "https://www.broker.example/@handle:x"),
            ("/\u{2028}/evil.com", "https://www.broker.example/%E2%80%A8/evil.com"),
            ("/a/../../b", "https://www.broker.example/b"),
            ("/100%", "https://www.broker.example/100%"),
            ("/ελ", "https://www.broker.example/%CE%B5%CE%BB"),
        ] {
            let page = LandingPage::parse(text, &site()).expect(text);
            assert_eq!(page.on(&site()).expect("stays").as_str(), url);
        }
        assert_eq!(LandingPage::parse("/en#top", &site()).expect("fine").as_str(), "/en");
        assert!(LandingPage::parse(&format!("/{}", "é".repeat(2047)), &site()).is_ok());
        assert_eq!(LandingPage::parse(&format!("/{}", "a".repeat(2048)), &site()), Err(LandingError::TooLong));
    }

    #[test]
    fn sites() {
        for text in ["https://broker.example", "http://127.0.0.1:8080", "https://broker.example/en/"] {
            assert!(Site::parse(text).is_ok(), "{text}");
        }
        for text in ["", "broker.example", "ftp://broker.example", "https://u:p@broker.example", "https://a.example/?x"]
        {
            assert_eq!(Site::parse(text), Err(NotASite), "{text}");
        }
    }

    #[test]
    fn our_parameters_cannot_be_preempted() {
        let page = LandingPage::parse("/en?clickId=forged&plan=gold&clickId=again", &site()).expect("fine");
        let url = destination(&site(), &[], false, None, &page, &[("clickId", "ours"), ("sessionId", "s")]);
        assert_eq!(url.as_str(), "https://www.broker.example/en?plan=gold&clickId=ours&sessionId=s");
        let page = LandingPage::parse("/en?click%49d=forged", &site()).expect("fine");
        let url = destination(&site(), &[], false, None, &page, &[("clickId", "ours")]);
        assert_eq!(url.as_str(), "https://www.broker.example/en?clickId=ours");
        let page = LandingPage::parse("/en?plain", &site()).expect("fine");
        assert_eq!(destination(&site(), &[], false, None, &page, &[]).as_str(), "https://www.broker.example/en?plain");
    }

    #[test]
    fn the_country_chooses_the_domain_only_where_routing_is_on() {
        let regions = [RegionalDomain { url: "https://broker.pt".into(), countries: vec!["PT".into(), "BR".into()] }];
        let page = LandingPage::parse("/en", &site()).expect("fine");
        for (routing, country, host) in [
            (true, Some("BR"), "broker.pt"),
            (true, Some("br"), "broker.pt"),
            (true, Some("DE"), "www.broker.example"),
            (true, None, "www.broker.example"),
            (false, Some("BR"), "www.broker.example"),
        ] {
            let url = destination(&site(), &regions, routing, country, &page, &[]);
            assert_eq!(url.host_str(), Some(host), "{routing} {country:?}");
        }
    }

    proptest! {
        #[test]
        fn a_destination_never_leaves_the_site(text in "/[/\\\\@:.%a-z0-9?#&=\\t\\n\u{0}-\u{20}\u{85}\u{2028}]{0,40}") {
            if let Ok(page) = LandingPage::parse(&text, &site()) {
                let url = destination(&site(), &[], true, Some("PT"), &page, &[("clickId", "t")]);
                let again = Url::parse(url.as_str()).expect("what we emit parses");
                prop_assert_eq!(again.origin(), site().url().origin());
                prop_assert!(url.as_str().bytes().all(|b| b.is_ascii_graphic()), "{}", url);
            }
        }
    }
}
