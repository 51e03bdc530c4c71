//! Stored secrets, sealed under the master key, and fresh random bytes. Nothing here is ever logged.

use headwater_domain::ids::AccountId;
use headwater_domain::ledger::statement::StatementKey;
use headwater_domain::seal;

/// The server's keys. All nodes of one store share the master key.
#[derive(Clone)]
pub struct Secrets {
    master: [u8; 32],
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
    /// Keeps 32 master bytes.
    pub const fn new(master: [u8; 32]) -> Self {
        Self { master }
    }

    /// Seals bytes for the store; `context` binds them to their place.
    pub fn seal(&self, plaintext: &[u8], context: &str) -> String {
        hex::encode(seal::seal(&self.master, random(), plaintext, context.as_bytes()))
    }

    /// The key that signs an account's statements.
    pub fn statement_key(&self, account: AccountId) -> StatementKey {
        StatementKey::derive(&self.master, account.0)
    }

    /// Opens what [`Self::seal`] made.
    pub fn open(&self, sealed: &str, context: &str) -> Result<Vec<u8>, DoesNotOpen> {
        let sealed = hex::decode(sealed).map_err(|_| DoesNotOpen)?;
        seal::open(&self.master, &sealed, context.as_bytes()).map_err(|_| DoesNotOpen)
    }
}

/// Fresh random bytes from the operating system.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system has randomness once it has started");
    bytes
}
