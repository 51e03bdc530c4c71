//! What a visit means: whether its click counts, why it may not, and which click stands for the visitor.
//!
//! Rules of `referral-api.md` §4. Leaves to others: reading headers and cookies (`web::visitor`), attributing
//! events (`attribution`). Invariant: a click that does not count never stands, and never displaces one that does.

use super::token::{ClickClaim, Traffic};
use crate::program::AttributionModel;
use crate::time::Instant;

/// Days that a session cookie lives.
pub const COOKIE_DAYS: i64 = 30;
/// How many other parameters a click keeps.
pub const PARAMS_MAX: usize = 50;
/// How many bytes of names and values they may have together.
pub const PARAMS_BYTES_MAX: usize = 4096;

/// Why a click is stored as rejected: it attributes nothing, and the visitor goes to the default landing page, unless the link
/// itself is in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RejectReason {
    /// No partner of this account has this id, or none was named.
    UnknownPartner,
    /// The partner is suspended or not yet approved.
    BlockedPartner,
    /// The partner token is not genuine.
    BadFormx,
    /// No link of this account has this id.
    UnknownLink,
    /// The link belongs to another partner than the one named.
    LinkOfAnotherPartner,
    /// The link is paused.
    PausedLink,
    /// It is of a paid advertisement, which the program takes from nobody.
    Advertisement,
}

impl RejectReason {
    const ALL: [Self; 7] = [
        Self::UnknownPartner,
        Self::BlockedPartner,
        Self::BadFormx,
        Self::UnknownLink,
        Self::LinkOfAnotherPartner,
        Self::PausedLink,
        Self::Advertisement,
    ];

    /// The word on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownPartner => "unknown_partner",
            Self::BlockedPartner => "blocked_partner",
            Self::BadFormx => "bad_formx",
            Self::UnknownLink => "unknown_link",
            Self::LinkOfAnotherPartner => "link_of_another_partner",
            Self::PausedLink => "paused_link",
            Self::Advertisement => "advertisement",
        }
    }
    /// Whether the visitor lands where the link leads all the same: nothing is wrong with it.
    pub fn keeps_landing_page(self) -> bool {
        self == Self::Advertisement
    }
    /// Parses [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// What is odd about a click; kept as bits of one column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ClickFlags(pub i64);

impl ClickFlags {
    /// A crawler, a link preview or a HEAD request.
    pub const IS_BOT: Self = Self(1);
    /// The browser fetched ahead; nobody has clicked.
    pub const IS_PREFETCH: Self = Self(2);
    /// The landing page of the click was refused; the default page was used.
    pub const BAD_LANDING_PAGE: Self = Self(4);
    /// This address clicks more often than the guard allows.
    pub const RATE_LIMITED: Self = Self(8);
    /// Parameters were dropped because there were too many.
    pub const PARAMS_CUT: Self = Self(16);
    /// The browser loaded the link as an image or a frame, not as a page.
    pub const NOT_NAVIGATED: Self = Self(32);
    /// A paid advertisement led here, and whom it brings waits for a decision (`token::Traffic::Advertised`).
    pub const ADVERTISEMENT: Self = Self(64);

    const NAMES: [(Self, &'static str); 7] = [
        (Self::IS_BOT, "is_bot"),
        (Self::IS_PREFETCH, "is_prefetch"),
        (Self::BAD_LANDING_PAGE, "bad_landing_page"),
        (Self::RATE_LIMITED, "rate_limited"),
        (Self::PARAMS_CUT, "params_cut"),
        (Self::NOT_NAVIGATED, "not_navigated"),
        (Self::ADVERTISEMENT, "advertisement"),
    ];

    /// Both together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Together with `other` where `condition` holds.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }
    /// What brought the click.
    pub const fn traffic(self) -> Traffic {
        if self.has(Self::ADVERTISEMENT) { Traffic::Advertised } else { Traffic::Open }
    }
    /// Whether all of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// The words on the wire.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(flag, _)| self.has(*flag)).map(|(_, name)| name)
    }
    /// A visit of a person: what is counted and may attribute.
    pub const fn is_visit(self) -> bool {
        self.0 & (Self::IS_BOT.0 | Self::IS_PREFETCH.0) == 0
    }
}

/// What the request says about who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asking<'a> {
    /// The method was HEAD.
    pub head: bool,
    /// The user agent is a crawler's.
    pub crawler: bool,
    /// `Purpose`, or the older `X-Moz`.
    pub purpose: Option<&'a str>,
    /// `Sec-Purpose`.
    pub sec_purpose: Option<&'a str>,
    /// `Sec-Fetch-Dest`.
    pub fetch_destination: Option<&'a str>,
}

impl Asking<'_> {
    /// The flags that follow.
    pub fn flags(&self) -> ClickFlags {
        let ahead = |value: Option<&str>| {
            value.is_some_and(|v| {
                let lower = v.to_ascii_lowercase();
                ["prefetch", "prerender", "preview"].iter().any(|word| lower.contains(word))
            })
        };
        let embedded = self
            .fetch_destination
            .is_some_and(|to| !to.eq_ignore_ascii_case("document") && !to.eq_ignore_ascii_case("empty"));
        ClickFlags::default()
            .with_if(self.head || self.crawler, ClickFlags::IS_BOT)
            .with_if(ahead(self.purpose) || ahead(self.sec_purpose), ClickFlags::IS_PREFETCH)
            .with_if(embedded, ClickFlags::NOT_NAVIGATED)
    }
}

/// Which click the redirect and the cookie carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The click that was stamped before: the cookie stays as it is.
    Stamped(ClickClaim),
    /// The new click, and the cookie is set to it.
    New,
    /// The new click is named in the redirect, but by a token that attributes nothing; the cookie stays as it is.
    NewWithoutStamp,
}

/// Decides which click stands. `stamped` is the genuine click in the visitor's cookie for this program, `window_days`
/// the program's. A stamp outside the window, or from the future of a clock that went back, counts as none.
pub fn standing(
    model: AttributionModel,
    window_days: i64,
    stamped: Option<ClickClaim>,
    counts: bool,
    now: Instant,
) -> Standing {
    let live = stamped.filter(|claim| within_window(claim.at(), window_days, now));
    match (counts, model, live) {
        (false, ..) => Standing::NewWithoutStamp,
        (true, AttributionModel::FirstClick, Some(claim)) => Standing::Stamped(claim),
        (true, AttributionModel::LastClick, _) | (true, AttributionModel::FirstClick, None) => Standing::New,
    }
}

/// Whether a click of `at` may still bring a new client at `now`. A click seems up to five minutes ahead at most.
pub fn within_window(at: Instant, window_days: i64, now: Instant) -> bool {
    let end = at.plus_seconds(window_days.saturating_mul(86_400));
    now < end && at <= now.plus_seconds(300)
}

/// The other parameters of a click, bounded; whether some were dropped. The first of equal names is kept.
pub fn bounded_params<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> (Vec<(&'a str, &'a str)>, bool) {
    let mut kept: Vec<(&str, &str)> = Vec::new();
    let (mut bytes, mut cut) = (0, false);
    for (name, value) in pairs {
        if kept.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let size = name.len() + value.len();
        if kept.len() == PARAMS_MAX || bytes + size > PARAMS_BYTES_MAX {
            cut = true;
            continue;
        }
        bytes += size;
        kept.push((name, value));
    }
    (kept, cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClickId, LinkId};

    const DAY: i64 = 86_400;

    fn click_on_day(day: i64) -> ClickClaim {
        let second = u32::try_from(1_800_000_000 + day * DAY).expect("fits");
        ClickClaim { click: ClickId(day + 1), link: LinkId(1), at_second: second, traffic: Traffic::Open }
    }

    #[test]
    fn first_click_is_kept_on_day_29_and_replaced_on_day_31() {
        let decide = |model, day| standing(model, 30, Some(click_on_day(0)), true, click_on_day(day).at());
        assert_eq!(decide(AttributionModel::FirstClick, 29), Standing::Stamped(click_on_day(0)));
        assert_eq!(decide(AttributionModel::FirstClick, 30), Standing::New);
        assert_eq!(decide(AttributionModel::FirstClick, 31), Standing::New);
        for day in [0, 29, 31] {
            assert_eq!(decide(AttributionModel::LastClick, day), Standing::New);
        }
    }

    #[test]
    fn a_click_that_does_not_count_never_displaces_one_that_does() {
        for model in [AttributionModel::FirstClick, AttributionModel::LastClick] {
            let now = click_on_day(1).at();
            for stamped in [Some(click_on_day(0)), None] {
                assert_eq!(standing(model, 30, stamped, false, now), Standing::NewWithoutStamp);
            }
        }
    }

    #[test]
    fn a_stamp_from_the_far_future_is_none() {
        let now = click_on_day(0).at();
        assert_eq!(standing(AttributionModel::FirstClick, 30, Some(click_on_day(2)), true, now), Standing::New);
    }

    #[test]
    fn who_asks() {
        for (asking, flags) in [
            (Asking::default(), vec![]),
            (Asking { head: true, ..Asking::default() }, vec!["is_bot"]),
            (Asking { crawler: true, purpose: Some("prefetch"), ..Asking::default() }, vec!["is_bot", "is_prefetch"]),
            (Asking { sec_purpose: Some("prefetch;prerender"), ..Asking::default() }, vec!["is_prefetch"]),
            (Asking { sec_purpose: Some("Prefetch;anonymous-client-ip"), ..Asking::default() }, vec!["is_prefetch"]),
            (Asking { fetch_destination: Some("image"), ..Asking::default() }, vec!["not_navigated"]),
            (Asking { fetch_destination: Some("document"), ..Asking::default() }, vec![]),
        ] {
            assert_eq!(asking.flags().names().collect::<Vec<_>>(), flags, "{asking:?}");
            assert_eq!(asking.flags().is_visit(), flags.iter().all(|f| *f == "not_navigated"));
        }
    }

    #[test]
    fn parameters_are_bounded_in_number_and_size() {
        let names: Vec<String> = (0..60).map(|n| format!("p{n}")).collect();
        let (kept, cut) = bounded_params(names.iter().map(|n| (n.as_str(), "v")));
        assert_eq!((kept.len(), cut), (50, true));
        let long = "x".repeat(4094);
        let (kept, cut) = bounded_params([("a", long.as_str()), ("b", "2"), ("a", "again"), ("", "3")]);
        assert_eq!((kept.len(), cut), (2, true), "a takes 4095 bytes: only the empty name with one byte fits");
        assert_eq!(bounded_params([("a", "1"), ("a", "2")]), (vec![("a", "1")], false));
    }

    #[test]
    fn names_and_back() {
        for reason in RejectReason::ALL {
            assert_eq!(RejectReason::parse(reason.name()), Some(reason));
        }
    }
}
