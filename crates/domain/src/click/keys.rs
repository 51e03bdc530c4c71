//! The keys of click and partner tokens, derived from the server's master key.
//!
//! Each purpose has a key of its own, by HMAC-SHA-256 over a label. After a rotation of the master key the keys of the
//! previous one stay for reading.

use super::formx::{self, FormxClaim, FormxKey};
use super::token::{self, ClickClaim, TokenError, Traffic};
use crate::ids::{AccountId, ClickId, LinkId};
use crate::time::Instant;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The present keys, and previous ones for reading.
#[derive(Clone)]
pub struct ClickKeys {
    click: Vec<[u8; 32]>,
    formx: Vec<FormxKey>,
}

impl std::fmt::Debug for ClickKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ClickKeys(…)")
    }
}

impl ClickKeys {
    /// Keys that were derived elsewhere, the present one of each kind first.
    ///
    /// # Panics
    /// Where a kind has none.
    pub fn new(click: Vec<[u8; 32]>, formx: Vec<FormxKey>) -> Self {
        assert!(!click.is_empty() && !formx.is_empty(), "there is always a present key");
        Self { click, formx }
    }

    /// From the present master key and the one before it.
    pub fn derive(master: &[u8; 32], previous: Option<&[u8; 32]>) -> Self {
        let masters = || std::iter::once(master).chain(previous);
        Self {
            click: masters().map(|m| labelled(m, b"headwater click token 1")).collect(),
            formx: masters()
                .map(|m| {
                    let key = labelled(m, b"headwater formx 1");
                    // Names the key without telling it. Should two keys share an id (1 in 256), tokens under the older one are
                    // refused from then on: only the named key is tried.
                    FormxKey { id: labelled(&key, b"id")[0], key }
                })
                .collect(),
        }
    }

    /// The token of a click; `link` is `None` where it does not count.
    pub fn mint(
        &self,
        account: AccountId,
        click: ClickId,
        link: Option<LinkId>,
        at: Instant,
        traffic: Traffic,
    ) -> String {
        token::mint(&self.click[0], account, click, link, at, traffic)
    }

    /// Reads a click token.
    pub fn read(&self, text: &str, account: AccountId) -> Result<ClickClaim, TokenError> {
        token::read(text, &self.click, account)
    }

    /// The partner token of a link: always the same for one link, so that its address does not change. The nonce is
    /// derived from what is hidden, so it is used twice only for the same text.
    pub fn hide(&self, account: AccountId, claim: FormxClaim) -> String {
        let key = &self.formx[0];
        let mut seed = b"nonce".to_vec();
        for number in [account.0, claim.partner.0, claim.link.0] {
            seed.extend_from_slice(&number.to_be_bytes());
        }
        let digest = labelled(&key.key, &seed);
        let nonce = digest[..12].try_into().expect("twelve of 32 bytes");
        formx::seal(key, account, nonce, claim)
    }

    /// Reads a partner token.
    pub fn reveal(&self, text: &str, account: AccountId) -> Result<FormxClaim, formx::FormxError> {
        formx::open(text, &self.formx, account)
    }
}

fn labelled(key: &[u8; 32], label: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(label);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::PartnerId;

    #[test]
    fn tokens_survive_one_rotation() {
        let (account, at) = (AccountId(1), Instant::from_seconds(9));
        let old = ClickKeys::derive(&[1; 32], None);
        let claim = FormxClaim { partner: PartnerId(2), link: LinkId(3) };
        let click = old.mint(account, ClickId(4), Some(LinkId(3)), at, Traffic::Open);
        let hidden = old.hide(account, claim);
        assert_eq!(old.hide(account, claim), hidden, "an address does not change");
        let rotated = ClickKeys::derive(&[2; 32], Some(&[1; 32]));
        assert_eq!(rotated.read(&click, account).map(|c| c.click), Ok(ClickId(4)));
        assert_eq!(rotated.reveal(&hidden, account), Ok(claim));
        let twice = ClickKeys::derive(&[3; 32], Some(&[2; 32]));
        assert!(twice.read(&click, account).is_err() && twice.reveal(&hidden, account).is_err());
    }
}
