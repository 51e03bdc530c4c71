//! Who brought a client: the signals of an event in their order, the window, and the binding that already stands.
//!
//! Pure: what the signals resolve to is an argument. `referral-api.md` §6, points 1–4.

use crate::click::token::Traffic;
use crate::ids::{ClickId, LinkId, PartnerId};
use crate::time::Instant;

/// By what an event was attributed; the published names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The click id.
    Click,
    /// The session of the visitor's cookie.
    Session,
    /// A browser fingerprint, or IP and user agent.
    Fingerprint,
    /// The client was attributed before.
    Profile,
    /// Nothing.
    None,
}

impl Evidence {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Click => "click",
            Self::Session => "session",
            Self::Fingerprint => "fingerprint",
            Self::Profile => "profile",
            Self::None => "none",
        }
    }
}

/// A genuine click that a signal led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touch {
    /// The click.
    pub click: ClickId,
    /// The link that was clicked.
    pub link: LinkId,
    /// Whose link it is.
    pub partner: PartnerId,
    /// When it was clicked.
    pub at: Instant,
    /// Which signal led here.
    pub evidence: Evidence,
    /// What brought the click: of an advertisement, whom it binds waits for a decision.
    pub traffic: Traffic,
}

/// The binding of a client to a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// Whose client it is.
    pub partner: PartnerId,
    /// By which link, where known.
    pub link: Option<LinkId>,
    /// By which click, where known.
    pub click: Option<ClickId>,
}

/// What an event is attributed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributed {
    /// The binding, or nothing.
    pub binding: Option<Binding>,
    /// By what.
    pub evidence: Evidence,
    /// Whether the client must be bound now.
    pub binds: bool,
    /// Why a signal that was there did not count.
    pub reason: Option<&'static str>,
}

/// Attributes one event. `existing` is the binding of its client, `touch` what its best signal led to.
///
/// A client that is bound stays so, whatever it clicks afterwards. A click older than the window attributes no new
/// client. Without a client nothing is bound, but the event shows its click.
pub fn attribute(
    existing: Option<Binding>,
    touch: Option<Touch>,
    has_client: bool,
    occurred_at: Instant,
    window_days: i64,
) -> Attributed {
    if let Some(binding) = existing {
        let evidence = match touch {
            Some(touch) if Some(touch.click) == binding.click => touch.evidence,
            _ => Evidence::Profile,
        };
        return Attributed { binding: Some(binding), evidence, binds: false, reason: None };
    }
    let Some(touch) = touch else {
        return Attributed { binding: None, evidence: Evidence::None, binds: false, reason: None };
    };
    let window_end = touch.at.plus_seconds(window_days.saturating_mul(86_400));
    if occurred_at >= window_end {
        let reason = Some("click_outside_window");
        return Attributed { binding: None, evidence: Evidence::None, binds: false, reason };
    }
    let binding = Binding { partner: touch.partner, link: Some(touch.link), click: Some(touch.click) };
    Attributed { binding: Some(binding), evidence: touch.evidence, binds: has_client, reason: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(click: i64, day: i64) -> Touch {
        Touch {
            click: ClickId(click),
            link: LinkId(1),
            partner: PartnerId(click),
            at: Instant::from_seconds(day * 86_400),
            evidence: Evidence::Click,
            traffic: Traffic::Open,
        }
    }

    #[test]
    fn the_window_is_half_open() {
        for (day, attributed) in [(0, true), (29, true), (30, false), (31, false)] {
            let got = attribute(None, Some(touch(7, 0)), true, Instant::from_seconds(day * 86_400), 30);
            assert_eq!(got.binds, attributed, "day {day}");
            assert_eq!(got.binding.is_some(), attributed, "day {day}");
        }
    }

    #[test]
    fn a_bound_client_keeps_its_click() {
        let existing = Binding { partner: PartnerId(7), link: None, click: Some(ClickId(7)) };
        let got = attribute(Some(existing), Some(touch(8, 100)), true, Instant::from_seconds(101 * 86_400), 30);
        assert_eq!(got.binding, Some(existing));
        assert_eq!((got.evidence, got.binds), (Evidence::Profile, false));
        let same = attribute(Some(existing), Some(touch(7, 0)), true, Instant::from_seconds(101 * 86_400), 30);
        assert_eq!(same.evidence, Evidence::Click);
    }

    #[test]
    fn without_a_client_nothing_is_bound() {
        let got = attribute(None, Some(touch(7, 0)), false, Instant::from_seconds(5), 30);
        assert_eq!((got.binds, got.binding.map(|b| b.partner)), (false, Some(PartnerId(7))));
    }
}
