//! `Formx`: a partner and a link, hidden in a URL.
//!
//! Lower-case hex of `version(1) ‖ key_id(1) ‖ nonce(12) ‖ AES-256-GCM(partner ‖ 0x1f ‖ link) ‖ tag(16)` with
//! `"formx:" ‖ account` as associated data (`referral-api.md` §4). Both numbers are in decimal, the account's too.
//! Only the named key is tried. Upper-case hex is refused: one token has one spelling, so that a flipped bit of the
//! text is always a different, refused token.

use crate::ids::{AccountId, LinkId, PartnerId};
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};

const VERSION: u8 = 1;
const NONCE_BYTES: usize = 12;
const HEAD_BYTES: usize = 2 + NONCE_BYTES;
const SEPARATOR: u8 = 0x1f;
/// Head, two numbers of 19 digits, a separator and the tag, in hex: nothing longer is ours.
const TEXT_BYTES_MAX: usize = 2 * (HEAD_BYTES + 39 + 16);

/// One key for partner tokens. Rotated keys stay for reading.
#[derive(Clone)]
pub struct FormxKey {
    /// Named in each token.
    pub id: u8,
    /// 256 random bits.
    pub key: [u8; 32],
}

/// What a genuine token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FormxClaim {
    /// The partner it hides.
    pub partner: PartnerId,
    /// The link it was made for.
    pub link: LinkId,
}

/// Why a text is not a partner token of this account. Visitors see no difference between the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormxError {
    /// Not lower-case hex of this version.
    #[error("not a Formx token")]
    Malformed,
    /// Forged, altered, of another account, or under a key that we do not hold.
    #[error("not a genuine Formx token of this account")]
    NotGenuine,
}

/// Hides a partner and a link. `nonce` is random and never used twice with one key.
pub fn seal(key: &FormxKey, account: AccountId, nonce: [u8; NONCE_BYTES], claim: FormxClaim) -> String {
    let mut plain = claim.partner.0.to_string().into_bytes();
    plain.push(SEPARATOR);
    plain.extend_from_slice(claim.link.0.to_string().as_bytes());
    let sealed = Aes256Gcm::new(&key.key.into())
        .encrypt(&Nonce::from(nonce), Payload { msg: &plain, aad: associated(account).as_bytes() })
        .expect("a plaintext of 39 bytes is far below the cipher's bound");
    let mut bytes = vec![VERSION, key.id];
    bytes.extend_from_slice(&nonce);
    bytes.extend_from_slice(&sealed);
    hex::encode(bytes)
}

/// Reads a token with the key it names.
pub fn open(text: &str, keys: &[FormxKey], account: AccountId) -> Result<FormxClaim, FormxError> {
    if text.len() > TEXT_BYTES_MAX || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return Err(FormxError::Malformed);
    }
    let bytes = hex::decode(text).map_err(|_| FormxError::Malformed)?;
    let (head, sealed) = bytes.split_at_checked(HEAD_BYTES).ok_or(FormxError::Malformed)?;
    if head[0] != VERSION {
        return Err(FormxError::Malformed);
    }
    let key = keys.iter().find(|key| key.id == head[1]).ok_or(FormxError::NotGenuine)?;
    let nonce: [u8; NONCE_BYTES] = head[2..].try_into().expect("the head holds twelve bytes of nonce");
    let plain = Aes256Gcm::new(&key.key.into())
        .decrypt(&Nonce::from(nonce), Payload { msg: sealed, aad: associated(account).as_bytes() })
        .map_err(|_| FormxError::NotGenuine)?;
    let text = std::str::from_utf8(&plain).map_err(|_| FormxError::Malformed)?;
    let (partner, link) = text.split_once(char::from(SEPARATOR)).ok_or(FormxError::Malformed)?;
    let number = |digits: &str| digits.parse::<i64>().map_err(|_| FormxError::Malformed);
    Ok(FormxClaim { partner: PartnerId(number(partner)?), link: LinkId(number(link)?) })
}

fn associated(account: AccountId) -> String {
    format!("formx:{account}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> [FormxKey; 2] {
        [FormxKey { id: 2, key: [2; 32] }, FormxKey { id: 1, key: [1; 32] }]
    }

    fn claim() -> FormxClaim {
        FormxClaim { partner: PartnerId(2044), link: LinkId(17) }
    }

    #[test]
    fn sealed_is_opened_by_its_own_account_only() {
        let text = seal(&keys()[0], AccountId(9), [5; 12], claim());
        assert!(text.starts_with("0102050505050505050505050505"));
        assert_eq!(open(&text, &keys(), AccountId(9)), Ok(claim()));
        assert_eq!(open(&text, &keys(), AccountId(8)), Err(FormxError::NotGenuine));
        assert_eq!(open(&text.to_uppercase(), &keys(), AccountId(9)), Err(FormxError::Malformed));
    }

    #[test]
    fn a_rotated_key_still_reads_and_a_dropped_one_does_not() {
        let text = seal(&keys()[1], AccountId(9), [5; 12], claim());
        assert_eq!(open(&text, &keys(), AccountId(9)), Ok(claim()));
        assert_eq!(open(&text, &keys()[..1], AccountId(9)), Err(FormxError::NotGenuine));
    }

    #[test]
    fn only_the_named_key_is_tried() {
        let text = seal(&keys()[0], AccountId(9), [5; 12], claim());
        let renamed = [FormxKey { id: 2, key: [1; 32] }, FormxKey { id: 1, key: [2; 32] }];
        assert_eq!(open(&text, &renamed, AccountId(9)), Err(FormxError::NotGenuine));
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        for seed in 0..8 {
            let text = seal(&keys()[0], AccountId(9), [seed; 12], claim());
            let bytes = hex::decode(&text).expect("hex");
            for bit in 0..bytes.len() * 8 {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                assert!(open(&hex::encode(flipped), &keys(), AccountId(9)).is_err(), "bit {bit} of the bytes");
            }
            for bit in 0..text.len() * 8 {
                let mut flipped = text.clone().into_bytes();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let flipped = String::from_utf8_lossy(&flipped).into_owned();
                assert!(open(&flipped, &keys(), AccountId(9)).is_err(), "bit {bit} of the text");
            }
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let text = seal(&keys()[0], AccountId(9), [5; 12], claim());
        for end in 0..text.len() {
            assert!(open(&text[..end], &keys(), AccountId(9)).is_err(), "{end}");
        }
        assert!(open(&format!("{text}00"), &keys(), AccountId(9)).is_err());
        assert_eq!(open(&"00".repeat(5000), &keys(), AccountId(9)), Err(FormxError::Malformed));
    }
}
