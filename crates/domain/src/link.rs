//! A link: a partner's entry point, and the address that is given out for it.
//!
//! Leaves to others: where a visitor lands (`link::landing`), rows (`store::link`), the redirect (`web::visitor`).

pub mod landing;

use crate::ids::{LinkId, PartnerId};
use crate::ids::{ProgramId, to_prefixed};
use crate::time::Instant;
use landing::{LandingError, LandingPage};
use url::Url;

/// The prefix of a link's public id.
pub const LINK_PREFIX: &str = "ln_";
/// The longest value of one UTM key, in characters.
pub const UTM_CHARACTERS_MAX: usize = 500;
/// How far back a link's counters look.
pub const STATS_WINDOW_DAYS: u32 = 30;

/// Campaign labels of a link or a click, appended to URLs as `utm_*`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Utm {
    /// `utm_source`.
    pub source: Option<String>,
    /// `utm_medium`.
    pub medium: Option<String>,
    /// `utm_campaign`: also the campaign label of plans.
    pub campaign: Option<String>,
    /// `utm_term`.
    pub term: Option<String>,
    /// `utm_content`.
    pub content: Option<String>,
}

/// Why a link is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// A UTM key that is none of the five.
    #[error("utm.{0} is not one of source, medium, campaign, term, content.")]
    UnknownUtm(String),
    /// A UTM value that is too long or has control characters.
    #[error("utm.{0} must be text of at most {UTM_CHARACTERS_MAX} characters without control characters.")]
    BadUtm(&'static str),
    /// The language is not a short tag.
    #[error("lang must be an ISO 639-1 language such as en, or one with its region such as pt-BR.")]
    BadLang,
    /// The landing page.
    #[error(transparent)]
    Landing(#[from] LandingError),
}

impl LinkError {
    /// The parameter at fault, as the referral dialect names it.
    pub fn param(&self) -> String {
        match self {
            Self::UnknownUtm(key) => format!("utm.{key}"),
            Self::BadUtm(key) => format!("utm.{key}"),
            Self::BadLang => "lang".into(),
            Self::Landing(_) => "landing_page".into(),
        }
    }
}

impl Utm {
    /// From keys without `utm_`. An empty value counts as absent.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, LinkError> {
        let mut utm = Self::default();
        for (key, value) in pairs {
            let (name, slot) = utm.slot(key).ok_or_else(|| LinkError::UnknownUtm(key.to_owned()))?;
            if value.chars().count() > UTM_CHARACTERS_MAX || value.chars().any(char::is_control) {
                return Err(LinkError::BadUtm(name));
            }
            *slot = (!value.is_empty()).then(|| value.to_owned());
        }
        Ok(utm)
    }

    /// Sets one key of a click's query; whether it was one of the five. Values that are too long are cut, control
    /// characters dropped: a visitor is never refused.
    pub fn accept(&mut self, key: &str, value: &str) -> bool {
        let Some((_, slot)) = self.slot(key) else { return false };
        if slot.is_none() {
            let kept: String = value.chars().filter(|c| !c.is_control()).take(UTM_CHARACTERS_MAX).collect();
            *slot = (!kept.is_empty()).then_some(kept);
        }
        true
    }

    /// The keys that are set, in the order of the link anatomy, without `utm_`.
    pub fn pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("source", &self.source),
            ("medium", &self.medium),
            ("campaign", &self.campaign),
            ("term", &self.term),
            ("content", &self.content),
        ]
        .into_iter()
        .filter_map(|(key, value)| Some((key, value.as_deref()?)))
    }

    /// This value of the key, else the link's own.
    #[must_use]
    pub fn or(self, link: &Self) -> Self {
        Self {
            source: self.source.or_else(|| link.source.clone()),
            medium: self.medium.or_else(|| link.medium.clone()),
            campaign: self.campaign.or_else(|| link.campaign.clone()),
            term: self.term.or_else(|| link.term.clone()),
            content: self.content.or_else(|| link.content.clone()),
        }
    }

    fn slot(&mut self, key: &str) -> Option<(&'static str, &mut Option<String>)> {
        Some(match key {
            "source" => ("source", &mut self.source),
            "medium" => ("medium", &mut self.medium),
            "campaign" => ("campaign", &mut self.campaign),
            "term" => ("term", &mut self.term),
            "content" => ("content", &mut self.content),
            _ => return None,
        })
    }
}

/// The languages of ISO 639-1.
const LANGUAGES: &str = "aa ab ae af ak am an ar as av ay az ba be bg bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en eo es \
    et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja jv ka kg ki kj kk kl \
    km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om \
    or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr \
    ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu";

/// An ISO 639-1 language, where wanted with the region or script that sites name after it (`pt-BR`, RFC 5646 §4.4.1).
pub fn parse_lang(text: &str) -> Result<String, LinkError> {
    let (language, rest) = text.split_once('-').map_or((text, None), |(language, rest)| (language, Some(rest)));
    let known = language.len() == 2 && LANGUAGES.split(' ').any(|code| code == language);
    let fine = |rest: &str| {
        rest.len() <= 32
            && rest.split('-').all(|tag| (2..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric()))
    };
    if known && rest.is_none_or(fine) { Ok(text.to_owned()) } else { Err(LinkError::BadLang) }
}

/// Whether a link takes visitors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkStatus {
    /// It does.
    Active,
    /// Visitors are redirected, but nothing is attributed.
    Paused,
}

impl LinkStatus {
    /// `active` or `paused`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
        }
    }
    /// Parses [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "active" => Some(Self::Active),
            "paused" => Some(Self::Paused),
            _ => None,
        }
    }
}

/// One link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number; the public id is made from it and from `created`.
    pub id: LinkId,
    /// The partner that owns it.
    pub partner: PartnerId,
    /// The program whose attribution, window and plan apply.
    pub program: ProgramId,
    /// Where visitors land.
    pub landing_page: LandingPage,
    /// The partner token, where the address hides the partner.
    pub formx: Option<String>,
    /// Whether the country of the visitor chooses the domain.
    pub region_routing: bool,
    /// Labels.
    pub utm: Utm,
    /// Language.
    pub lang: Option<String>,
    /// A short random name of the link.
    pub tracking_id: String,
    /// Whether it takes visitors.
    pub status: LinkStatus,
    /// The caller's own JSON, as text.
    pub metadata: String,
    /// When it was made.
    pub created: Instant,
}

impl Link {
    /// `ln_…`
    pub fn public_id(&self) -> String {
        to_prefixed(LINK_PREFIX, self.id.0, self.created)
    }

    /// The address to give out, on the redirector's own base URL. `partner` is the partner's public id.
    ///
    /// The order of the parameters is that of the published link anatomy.
    pub fn address(&self, redirector: &Url, partner: &str) -> Url {
        let mut url = redirector.clone();
        url.set_path("/click");
        url.set_fragment(None);
        url.set_query(None);
        {
            let mut query = url.query_pairs_mut();
            match &self.formx {
                Some(token) => query.append_pair("Formx", token),
                None => query.append_pair("ref", partner),
            };
            for (key, value) in self.utm.pairs() {
                query.append_pair(&format!("utm_{key}"), value);
            }
            query.append_pair("landingpage", self.landing_page.as_str());
            if let Some(lang) = &self.lang {
                query.append_pair("lang", lang);
            }
            query.append_pair("lid", &self.public_id());
        }
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(formx: Option<&str>) -> Link {
        let site = landing::Site::parse("https://www.broker.example/").expect("a site");
        Link {
            id: LinkId(7),
            partner: PartnerId(1),
            program: ProgramId(1201),
            landing_page: LandingPage::parse("/en/open-account", &site).expect("a landing page"),
            formx: formx.map(str::to_owned),
            region_routing: false,
            utm: Utm::from_pairs([("campaign", "autumn sale"), ("source", "telegram")]).expect("known keys"),
            lang: Some("en".into()),
            tracking_id: "t7Qk2m".into(),
            status: LinkStatus::Active,
            metadata: "{}".into(),
            created: Instant::parse("2026-02-03T10:11:12Z").expect("valid"),
        }
    }

    #[test]
    fn the_address_keeps_the_published_order() {
        let base = Url::parse("https://go.broker.example").expect("a base");
        let hidden = link(Some("01c0ffee"));
        let id = hidden.public_id();
        assert_eq!(
            hidden.address(&base, "ib_2044").as_str(),
            format!(
                "https://go.broker.example/click?Formx=01c0ffee&utm_source=telegram&utm_campaign=autumn+sale\
                 &landingpage=%2Fen%2Fopen-account&lang=en&lid={id}"
            )
        );
        assert!(
            link(None).address(&base, "ib&1").as_str().starts_with("https://go.broker.example/click?ref=ib%261&utm_")
        );
    }

    #[test]
    fn an_unknown_utm_key_names_itself() {
        let error = Utm::from_pairs([("source", "x"), ("medum", "y")]).expect_err("a typo");
        assert_eq!(error.param(), "utm.medum");
        let error = Utm::from_pairs([("term", "a\r\nb")]).expect_err("control characters");
        assert_eq!(error.param(), "utm.term");
    }

    #[test]
    fn a_click_keeps_its_own_labels_and_takes_the_links_for_the_rest() {
        let mut utm = Utm::default();
        assert!(utm.accept("source", "youtube"));
        assert!(utm.accept("source", "second"));
        assert!(!utm.accept("id", "1"));
        let utm = utm.or(&link(None).utm);
        assert_eq!(utm.pairs().collect::<Vec<_>>(), [("source", "youtube"), ("campaign", "autumn sale")]);
    }

    #[test]
    fn languages() {
        assert!(parse_lang("pt-BR").is_ok());
        for text in ["", "e", "en us", "en&x=1", "e\n", "eng", "xx", "EN", "klingon", "pt-", "pt-B", "pt--BR"] {
            assert_eq!(parse_lang(text), Err(LinkError::BadLang), "{text}");
        }
    }
}
