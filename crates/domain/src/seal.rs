//! Secrets at rest that must be readable again, because signing needs them: sealed with AES-256-GCM under the master
//! key, which is never in the database.
//!
//! The nonce is an argument (no randomness here); the caller draws twelve random bytes per sealing. `context` is bound
//! into the seal, so a sealed secret moved to another row does not open. Leaves to others: where the master key is.

use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use aes_gcm::{Aes256Gcm, Nonce};

/// The first byte of a sealed text: the form, so that another cipher or key can follow.
const FORM: u8 = 1;
const NONCE_BYTES: usize = 12;

/// The sealed text does not open: another master key, another row, or changed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed secret does not open under this master key")]
pub struct DoesNotOpen;

/// Seals `plaintext`: one byte of form, the nonce, the ciphertext with its tag.
#[expect(clippy::missing_panics_doc, reason = "secrets are short")]
pub fn seal(master_key: &[u8; 32], nonce: [u8; NONCE_BYTES], plaintext: &[u8], context: &[u8]) -> Vec<u8> {
    let cipher = Aes256Gcm::new(master_key.into());
    let sealed = cipher
        .encrypt(&Nonce::from(nonce), Payload { msg: plaintext, aad: context })
        .expect("AES-GCM refuses only texts of many gigabytes");
    let mut text = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
    text.push(FORM);
    text.extend_from_slice(&nonce);
    text.extend_from_slice(&sealed);
    text
}

/// Opens what [`seal`] made with the same key and context.
///
/// # Errors
/// [`DoesNotOpen`].
pub fn open(master_key: &[u8; 32], sealed: &[u8], context: &[u8]) -> Result<Vec<u8>, DoesNotOpen> {
    let (&FORM, rest) = sealed.split_first().ok_or(DoesNotOpen)? else { return Err(DoesNotOpen) };
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(DoesNotOpen)?;
    Aes256Gcm::new(master_key.into())
        .decrypt(&Nonce::from(*nonce), Payload { msg: ciphertext, aad: context })
        .map_err(|_| DoesNotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [9; 32];

    #[test]
    fn what_is_sealed_opens_again_and_does_not_show() {
        let sealed = seal(&KEY, [3; 12], b"a secret of some length", b"endpoint 1");
        assert_eq!(open(&KEY, &sealed, b"endpoint 1").expect("opens"), b"a secret of some length");
        assert!(!sealed.windows(6).any(|w| w == b"secret"));
    }

    #[test]
    fn another_key_row_or_byte_does_not_open() {
        let sealed = seal(&KEY, [3; 12], b"secret", b"endpoint 1");
        assert_eq!(open(&[8; 32], &sealed, b"endpoint 1"), Err(DoesNotOpen));
        assert_eq!(open(&KEY, &sealed, b"endpoint 2"), Err(DoesNotOpen));
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert_eq!(open(&KEY, &changed, b"endpoint 1"), Err(DoesNotOpen), "byte {index}");
        }
        assert_eq!(open(&KEY, &[], b""), Err(DoesNotOpen));
        assert_eq!(open(&KEY, &[1, 2, 3], b""), Err(DoesNotOpen));
    }
}
