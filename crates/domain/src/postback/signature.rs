//! One secret per endpoint, three signature headers per delivery (`postbacks.md` §5).
//!
//! The signed bytes are the stored body, never a re-serialised one. Leaves to others: where secrets are kept (sealed,
//! by the app), and which delivery was made before a rotation (the store). A secret never shows in `Debug`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use std::fmt;
use std::fmt::Write as _;

/// How the text form of a secret starts (Standard Webhooks).
const PREFIX: &str = "whsec_";
/// Standard Webhooks allows 24 to 64 bytes; we make 32.
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;

/// The key bytes `K` that an endpoint's deliveries are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The bytes cannot be a signing secret: they are not 24 to 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a signing secret of 24 to 64 bytes")]
pub struct NotASecret;

impl Secret {
    /// A new secret of 32 random bytes, which the caller drew.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes.to_vec())
    }

    /// From raw key bytes, as they come out of the seal.
    ///
    /// # Errors
    /// [`NotASecret`] where there are fewer than 24 or more than 64.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotASecret> {
        if (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes.len()) { Ok(Self(bytes.to_vec())) } else { Err(NotASecret) }
    }

    /// The raw key bytes, to be sealed.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// `whsec_` and base64: what the owner sees once, and the key of the referral scheme.
    pub fn whsec(&self) -> String {
        format!("{PREFIX}{}", BASE64.encode(&self.0))
    }

    /// Lower-case hex: `secret_key` of the rewards dialect, and the key of its scheme.
    pub fn secret_key(&self) -> String {
        hex::encode(&self.0)
    }

    /// The last four characters of the `whsec_` form, to tell secrets apart.
    pub fn hint(&self) -> String {
        let text = self.whsec();
        text[text.len() - 4..].to_owned()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Which secrets sign a delivery.
#[derive(Debug, Clone, Copy)]
pub struct Signers<'a> {
    /// The endpoint's secret now.
    pub current: &'a Secret,
    /// The one before it, while the grace of a rotation lasts: it co-signs.
    pub previous: Option<&'a Secret>,
    /// The secret of the time when the delivery was made. `X-Webhook-Signature` holds one value and no timestamp, so
    /// a delivery made before a rotation keeps its old one on retry.
    pub at_creation: &'a Secret,
}

impl<'a> Signers<'a> {
    /// One secret, never rotated.
    pub fn one(secret: &'a Secret) -> Self {
        Self { current: secret, previous: None, at_creation: secret }
    }
}

/// The signature headers of one attempt, in a fixed order.
///
/// `webhook_id` is the delivery id: constant over retries and without a dot. `attempt_unix` is the second in which this
/// attempt starts. `body` is exactly what is sent.
pub fn headers(signers: Signers<'_>, webhook_id: &str, attempt_unix: i64, body: &[u8]) -> Vec<(&'static str, String)> {
    debug_assert!(!webhook_id.contains('.'), "a dot in the id would make the signed bytes ambiguous");
    let at = attempt_unix.to_string();
    let mut referral = format!("t={at}");
    let mut standard = String::new();
    for secret in std::iter::once(signers.current).chain(signers.previous) {
        let signed = mac(secret.whsec().as_bytes(), &[at.as_bytes(), b".", body]);
        write!(referral, ",v1={}", hex::encode(signed)).expect("writing to a string");
        let parts = [webhook_id.as_bytes(), b".", at.as_bytes(), b".", body];
        let separator = if standard.is_empty() { "" } else { " " };
        write!(standard, "{separator}v1,{}", BASE64.encode(mac(&secret.0, &parts))).expect("writing to a string");
    }
    let rewards = hex::encode(mac(signers.at_creation.secret_key().as_bytes(), &[body]));
    vec![
        ("FX-Signature", referral),
        ("X-Webhook-Signature", rewards),
        ("webhook-id", webhook_id.to_owned()),
        ("webhook-timestamp", at),
        ("webhook-signature", standard),
    ]
}

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "pbd_01J8ZQ4T9V";
    const BODY: &str = concat!(
        r#"{"id":"pbd_01J8ZQ4T9V","event_id":"90417","event_type":"FIRST_DEPOSIT","created":1760000000,"livemode":true,"#,
        r#""data":{"id":90417,"eventType":"FIRST_DEPOSIT","clickId":7731,"clientId":512,"amount":250.00,"currency":"USD","#,
        r#""isConversion":true,"isDuplicate":false,"timestamp":"2025-10-09T08:53:20Z"}}"#
    );

    fn counting() -> Secret {
        Secret::from_random(std::array::from_fn(|i| u8::try_from(i).expect("below 32")))
    }

    fn value<'a>(headers: &'a [(&'static str, String)], name: &str) -> &'a str {
        &headers.iter().find(|(n, _)| *n == name).expect("there").1
    }

    #[test]
    fn the_published_vector_holds_byte_for_byte() {
        use sha2::Digest as _;
        assert_eq!(BODY.len(), 294);
        assert_eq!(
            hex::encode(Sha256::digest(BODY)),
            "e76ebf5ad573ccb0b4ca49f03b361b2756d5f870c58937f43e8b7fe6e56f1c8c"
        );
        let secret = counting();
        assert_eq!(secret.whsec(), "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
        assert_eq!(secret.secret_key(), "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        assert_eq!(secret.hint(), "Hh8=");
        let expected = vec![
            (
                "FX-Signature",
                "t=1760000005,v1=f80ddbb4ecbc60f9f56b78b08ba1881fa2f3fa066cc02e301a0dc69f323a0d11".to_owned(),
            ),
            ("X-Webhook-Signature", "510cc6abb05ac042fde4a269aebcdd2a9b22e90267a7b3737e648f622da24648".to_owned()),
            ("webhook-id", ID.to_owned()),
            ("webhook-timestamp", "1760000005".to_owned()),
            ("webhook-signature", "v1,LCZJOpntAalcWhB3vIlCKkOp3acFQH5IDwFuXFUHFi8=".to_owned()),
        ];
        assert_eq!(headers(Signers::one(&secret), ID, 1_760_000_005, BODY.as_bytes()), expected);
    }

    #[test]
    fn both_secrets_sign_during_the_grace_and_the_single_value_keeps_its_own() {
        let (old, new) = (counting(), Secret::from_random([7; 32]));
        let at = 1_760_000_005;
        let alone = headers(Signers::one(&old), ID, at, BODY.as_bytes());
        let alone_new = headers(Signers::one(&new), ID, at, BODY.as_bytes());
        let rotated =
            headers(Signers { current: &new, previous: Some(&old), at_creation: &old }, ID, at, BODY.as_bytes());
        let old_v1 = value(&alone, "FX-Signature").strip_prefix("t=1760000005").expect("starts so");
        assert_eq!(value(&rotated, "FX-Signature"), format!("{}{old_v1}", value(&alone_new, "FX-Signature")));
        assert_eq!(
            value(&rotated, "webhook-signature"),
            format!("{} {}", value(&alone_new, "webhook-signature"), value(&alone, "webhook-signature"))
        );
        assert_eq!(value(&rotated, "X-Webhook-Signature"), value(&alone, "X-Webhook-Signature"));
    }

    #[test]
    fn every_changed_byte_changes_every_signature() {
        let secret = counting();
        let right = headers(Signers::one(&secret), ID, 1_760_000_005, BODY.as_bytes());
        for index in 0..BODY.len() {
            let mut body = BODY.as_bytes().to_vec();
            body[index] ^= 1;
            let wrong = headers(Signers::one(&secret), ID, 1_760_000_005, &body);
            for name in ["FX-Signature", "X-Webhook-Signature", "webhook-signature"] {
                assert_ne!(value(&right, name), value(&wrong, name), "byte {index}, {name}");
            }
        }
    }

    #[test]
    fn a_secret_does_not_show_itself_and_has_a_sensible_length() {
        assert_eq!(format!("{:?}", counting()), "Secret(…)");
        assert_eq!(Secret::from_bytes(&[1; 23]), Err(NotASecret));
        assert!(Secret::from_bytes(&[1; 24]).is_ok());
        assert_eq!(Secret::from_bytes(&[1; 65]), Err(NotASecret));
    }
}
