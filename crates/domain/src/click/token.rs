//! The click token: what URLs, cookies and `tracking_data` carry instead of a click's number.
//!
//! 40 characters of base32 (`referral-api.md` §5): number (53 bits), link (40), Unix second (32), then 75 bits of
//! HMAC-SHA-256 of these and the account under the click key. Whoever holds the key can tell partner, program and
//! time from the token alone, so a click whose row was lost still attributes.
//!
//! A click that does not count (a bot's, a prefetch, a rejected one) gets a token too, so that a redirect always looks
//! the same; it carries link 0 and is never read as a click, whether its row exists or not.
//!
//! There is no bit left to say that a click is of an advertisement whose referrals wait ([`Traffic::Advertised`]): its tag says it, which is
//! made under another word.
//!
//! Invariant: no text that was not minted for a click that counts, under one of the keys, for this account, is ever
//! read as a click.

use super::base32;
use crate::ids::{AccountId, ClickId, ID_MAX, LinkId};
use crate::time::Instant;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// How many characters a token has.
pub const TOKEN_CHARACTERS: usize = 40;

/// The greatest link number a token can carry.
pub const LINK_MAX: i64 = (1 << 40) - 1;

/// 125 bits of claim and 75 bits of authenticity, five bits a character.
const CLAIM_DIGITS: u32 = 25;
const TAG_DIGITS: u32 = 15;

/// What brought a click, as far as it matters to whom it brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Traffic {
    /// Anything that the program takes as it comes.
    Open,
    /// A paid advertisement, while the program let what advertisements bring wait for a decision.
    Advertised,
}

impl Traffic {
    const ALL: [Self; 2] = [Self::Open, Self::Advertised];

    /// Under which word the tag is made.
    fn word(self) -> &'static [u8] {
        match self {
            Self::Open => b"click:",
            Self::Advertised => b"click of an advertisement:",
        }
    }
}

/// What a genuine token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClickClaim {
    /// The click's number.
    pub click: ClickId,
    /// The link that was clicked.
    pub link: LinkId,
    /// When, in Unix seconds.
    pub at_second: u32,
    /// What brought it.
    pub traffic: Traffic,
}

impl ClickClaim {
    /// When the click was made, to the second.
    pub fn at(&self) -> Instant {
        Instant::from_seconds(i64::from(self.at_second))
    }
}

/// Why a text is not a click of this account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not 40 characters of the alphabet.
    #[error("not a click token")]
    Malformed,
    /// Forged, altered, of another account, or under a key that was dropped.
    #[error("not a genuine click token of this account")]
    NotGenuine,
    /// Genuine, but of a visit that attributes nothing: a bot, a prefetch, a rejected click.
    #[error("the token of a click that does not count")]
    DoesNotCount,
}

/// The token of a click. `at` counts to the second. `link` is `None` for a click that does not count.
///
/// # Panics
/// If the click's number is not below 2^53 or the link's not below 2^40: both come from our own counters.
pub fn mint(
    key: &[u8; 32],
    account: AccountId,
    click: ClickId,
    link: Option<LinkId>,
    at: Instant,
    traffic: Traffic,
) -> String {
    assert!((1..=ID_MAX).contains(&click.0), "click {click} is out of range");
    let link = link.map_or(0, |link| {
        assert!((1..=LINK_MAX).contains(&link.0), "link {link} is out of range");
        link.0
    });
    let second = u32::try_from(at.seconds().clamp(0, i64::from(u32::MAX))).expect("clamped to 32 bits");
    let claim =
        (u128::from(click.0.unsigned_abs()) << 72) | (u128::from(link.unsigned_abs()) << 32) | u128::from(second);
    let mut text = String::with_capacity(TOKEN_CHARACTERS);
    base32::push(&mut text, claim, CLAIM_DIGITS);
    base32::push(&mut text, tag(key, account, claim, traffic), TAG_DIGITS);
    text
}

/// Reads a token of this account under any of the keys (the present and the previous one), in either case.
pub fn read(text: &str, keys: &[[u8; 32]], account: AccountId) -> Result<ClickClaim, TokenError> {
    let bytes: &[u8; TOKEN_CHARACTERS] = text.as_bytes().try_into().map_err(|_| TokenError::Malformed)?;
    let (claim, stated) = bytes.split_at(CLAIM_DIGITS as usize);
    let claim = base32::read(claim).ok_or(TokenError::Malformed)?;
    let stated = base32::read(stated).ok_or(TokenError::Malformed)?.to_be_bytes();
    let is_of = |traffic: &Traffic| {
        keys.iter().any(|key| tag(key, account, claim, *traffic).to_be_bytes().ct_eq(&stated).into())
    };
    let traffic = Traffic::ALL.into_iter().find(is_of).ok_or(TokenError::NotGenuine)?;
    let part = |shift: u32, bits: u32| i64::try_from((claim >> shift) & ((1 << bits) - 1)).expect("at most 53 bits");
    let link = LinkId(part(32, 40));
    if link.0 == 0 {
        return Err(TokenError::DoesNotCount);
    }
    let at_second = u32::try_from(part(0, 32)).expect("32 bits");
    Ok(ClickClaim { click: ClickId(part(72, 53)), link, at_second, traffic })
}

fn tag(key: &[u8; 32], account: AccountId, claim: u128, traffic: Traffic) -> u128 {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(traffic.word());
    mac.update(&account.0.to_be_bytes());
    mac.update(&claim.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let head: [u8; 16] = digest[..16].try_into().expect("a SHA-256 digest has 32 bytes");
    u128::from_be_bytes(head) >> (128 - 75)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: [u8; 32] = [7; 32];
    const PREVIOUS: [u8; 32] = [8; 32];

    fn claim_of(click: i64, link: i64, second: u32) -> ClickClaim {
        ClickClaim { click: ClickId(click), link: LinkId(link), at_second: second, traffic: Traffic::Open }
    }

    fn mint_claim(key: &[u8; 32], claim: ClickClaim) -> String {
        mint(key, AccountId(3), claim.click, Some(claim.link), claim.at(), claim.traffic)
    }

    #[test]
    fn layout_is_number_link_second_and_tag() {
        let text = mint_claim(&KEY, claim_of(1, 1, 1));
        assert_eq!(&text[..25], "0000000000400000004000001");
        assert_eq!(text.len(), TOKEN_CHARACTERS);
    }

    #[test]
    fn a_previous_key_still_verifies_and_a_dropped_one_does_not() {
        let claim = claim_of(ID_MAX, LINK_MAX, u32::MAX);
        let old = mint_claim(&PREVIOUS, claim);
        assert_eq!(read(&old, &[KEY, PREVIOUS], AccountId(3)), Ok(claim));
        assert_eq!(read(&old, &[KEY], AccountId(3)), Err(TokenError::NotGenuine));
        assert_eq!(read(&old, &[], AccountId(3)), Err(TokenError::NotGenuine));
    }

    #[test]
    fn a_token_of_another_account_is_not_genuine() {
        let text = mint_claim(&KEY, claim_of(5, 6, 7));
        assert_eq!(read(&text, &[KEY], AccountId(4)), Err(TokenError::NotGenuine));
    }

    #[test]
    fn the_token_of_a_click_that_does_not_count_is_no_click() {
        let text = mint(&KEY, AccountId(3), ClickId(5), None, Instant::from_seconds(7), Traffic::Open);
        assert_eq!(read(&text, &[KEY], AccountId(3)), Err(TokenError::DoesNotCount));
    }

    #[test]
    fn only_the_tag_tells_a_click_of_an_advertisement() {
        let open = claim_of(5, 6, 7);
        let advertised = ClickClaim { traffic: Traffic::Advertised, ..open };
        let (of_open, of_advertised) = (mint_claim(&KEY, open), mint_claim(&PREVIOUS, advertised));
        assert_eq!(of_open[..25], of_advertised[..25]);
        assert_ne!(of_open, mint_claim(&KEY, advertised));
        assert_eq!(read(&of_advertised, &[KEY, PREVIOUS], AccountId(3)), Ok(advertised));
        assert_eq!(read(&of_advertised, &[KEY, PREVIOUS], AccountId(4)), Err(TokenError::NotGenuine));
        assert_eq!(read(&of_open, &[KEY, PREVIOUS], AccountId(3)), Ok(open), "tokens from before there was a choice");
        assert_eq!(of_open, "0000000000m0000000r000007t3qnpkn9pxve2w6");
    }

    proptest! {
        #[test]
        fn minted_is_read_in_either_case(click in 1..=ID_MAX, link in 1..=LINK_MAX, second: u32, is_advertised: bool) {
            let traffic = if is_advertised { Traffic::Advertised } else { Traffic::Open };
            let claim = ClickClaim { traffic, ..claim_of(click, link, second) };
            let text = mint_claim(&KEY, claim);
            prop_assert_eq!(text.to_lowercase(), text.clone());
            prop_assert_eq!(read(&text, &[KEY], AccountId(3)), Ok(claim));
            prop_assert_eq!(read(&text.to_uppercase(), &[KEY], AccountId(3)), Ok(claim));
        }

        #[test]
        fn any_character_changed_is_refused(
            click in 1..=ID_MAX, link in 1..=LINK_MAX, second: u32, place in 0_usize..40, other in any::<char>(),
        ) {
            let text = mint_claim(&KEY, claim_of(click, link, second));
            let mut characters: Vec<char> = text.chars().collect();
            prop_assume!(!characters[place].eq_ignore_ascii_case(&other));
            characters[place] = other;
            let changed: String = characters.into_iter().collect();
            prop_assert!(read(&changed, &[KEY], AccountId(3)).is_err());
        }

        #[test]
        fn every_other_digit_in_every_place_is_refused(click in 1..=ID_MAX, place in 0_usize..40) {
            let text = mint_claim(&KEY, claim_of(click, 12, 1_800_000_000));
            for digit in "0123456789abcdefghjkmnpqrstvwxyzilou".chars().filter(|d| !text[place..].starts_with(*d)) {
                let mut changed = text.clone();
                changed.replace_range(place..=place, digit.encode_utf8(&mut [0; 4]));
                prop_assert!(read(&changed, &[KEY], AccountId(3)).is_err());
            }
        }

        #[test]
        fn no_other_text_is_read(text in ".{0,60}") {
            prop_assert!(read(&text, &[KEY], AccountId(3)).is_err());
        }
    }
}
