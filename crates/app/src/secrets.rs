//! Keys that derive from the master key, and fresh random bytes. Nothing here is ever logged.

use headwater_domain::click::formx::FormxKey;
use headwater_domain::seal;
use sha2::{Digest as _, Sha256};

/// The server's keys. All nodes of one store share the master key.
#[derive(Clone)]
pub struct Secrets {
    master: [u8; 32],
    click_keys: Vec<[u8; 32]>,
    formx_keys: Vec<FormxKey>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets(…)")
    }
}

/// A sealed secret was sealed under another master key, or changed.
#[derive(Debug, thiserror::Error)]
#[error("a stored secret does not open; is HEADWATER_MASTER_KEY the one it was sealed with?")]
pub struct DoesNotOpen;

impl Secrets {
    /// Derives everything from 32 master bytes.
    pub fn new(master: [u8; 32]) -> Self {
        let click_keys = vec![derive(&master, "click token 1")];
        let formx_keys = vec![FormxKey { id: 1, secret: derive(&master, "formx 1") }];
        Self { master, click_keys, formx_keys }
    }

    /// The keys of click tokens, the present one first.
    pub fn click_keys(&self) -> &[[u8; 32]] {
        &self.click_keys
    }

    /// The keys of hidden partner ids, the present one first.
    pub fn formx_keys(&self) -> &[FormxKey] {
        &self.formx_keys
    }

    /// Seals bytes for the store; `context` binds them to their place.
    pub fn seal(&self, plaintext: &[u8], context: &str) -> String {
        hex::encode(seal::seal(&self.master, random(), plaintext, context.as_bytes()))
    }

    /// Opens what [`Self::seal`] made.
    pub fn open(&self, sealed: &str, context: &str) -> Result<Vec<u8>, DoesNotOpen> {
        let sealed = hex::decode(sealed).map_err(|_| DoesNotOpen)?;
        seal::open(&self.master, &sealed, context.as_bytes()).map_err(|_| DoesNotOpen)
    }
}

fn derive(master: &[u8; 32], purpose: &str) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"headwater key derivation\n");
    hash.update(master);
    hash.update(purpose.as_bytes());
    hash.finalize().into()
}

/// Fresh random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness once it has started");
    bytes
}
