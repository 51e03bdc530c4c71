//! Credentials: made, shown once, kept as a hash, and looked up by their public part.
//!
//! A key is `<prefix>_<lookup>_<secret>`: the lookup finds the row, the whole text is compared by hash in constant
//! time, and an unknown lookup does the same work.

use crate::app::App;
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::secrets::random;
use headwater_domain::ids::{AccountId, KeyId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::api_key::{NewApiKey, api_key_insert, api_key_revoke};
use headwater_store::directory::ApiKeyRow;
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// What a credential opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// `sk_`: the referral dialect and our own API.
    Secret,
    /// `pk_`: tracking from a browser.
    Publishable,
    /// A UUID: the brand dialect.
    Brand,
    /// The forex dialect's OAuth client.
    Oauth,
    /// `rk_`: the rewards dialect.
    Rewards,
    /// `pu_`: the rewards dialect's affiliate API, for the user of one partner.
    Partner,
}

impl KeyKind {
    /// The stored name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Publishable => "publishable",
            Self::Brand => "brand",
            Self::Oauth => "oauth",
            Self::Rewards => "rewards",
            Self::Partner => "partner",
        }
    }
    /// Reads [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Secret, Self::Publishable, Self::Brand, Self::Oauth, Self::Rewards, Self::Partner]
            .into_iter()
            .find(|k| k.name() == name)
    }
}

/// The permissions that a secret key can have; all by default.
pub const PERMISSIONS: [&str; 6] = ["links", "events:track", "events:read", "clicks:read", "pii:read", "endpoints"];

/// A stored credential.
#[derive(Debug, Clone)]
pub struct Credential {
    /// Its number.
    pub id: KeyId,
    /// Whose it is.
    pub account: AccountId,
    /// The one program it is bound to.
    pub program: Option<ProgramId>,
    /// The one partner whose user it is.
    pub partner: Option<PartnerId>,
    /// What it opens.
    pub kind: KeyKind,
    /// From which origins a browser may use it.
    pub origins: Vec<String>,
    /// The programs it is limited to; empty: all.
    pub programs: Vec<ProgramId>,
    /// Its permissions.
    pub permissions: Vec<String>,
    /// Its row.
    pub row: ApiKeyRow,
}

impl Credential {
    /// Reads a row; lists that do not parse are empty, which opens nothing.
    pub fn from_row(row: ApiKeyRow) -> Self {
        let programs: Vec<i64> = serde_json::from_str(&row.programs).unwrap_or_else(|_| vec![0]);
        Self {
            id: KeyId(row.id),
            account: AccountId(row.account_id),
            program: row.program_id.map(ProgramId),
            partner: row.partner_id.map(PartnerId),
            kind: KeyKind::parse(&row.kind).unwrap_or(KeyKind::Publishable),
            origins: serde_json::from_str(&row.origins).unwrap_or_default(),
            programs: programs.into_iter().map(ProgramId).collect(),
            permissions: serde_json::from_str(&row.permissions).unwrap_or_default(),
            row,
        }
    }
    /// Whether it is neither revoked nor expired.
    pub fn is_in_force_at(&self, at: Instant) -> bool {
        self.row.revoked_at.is_none() && self.row.expires_at.is_none_or(|end| at.0 < end)
    }
    /// Whether it may do this; see [`PERMISSIONS`].
    pub fn may(&self, permission: &str) -> bool {
        self.permissions.iter().any(|p| p == permission)
    }
    /// Whether it is limited neither to programs nor in what it may do.
    pub fn is_unlimited(&self) -> bool {
        self.program.is_none() && self.programs.is_empty() && PERMISSIONS.iter().all(|permission| self.may(permission))
    }
    /// Whether it may see this program.
    pub fn sees(&self, program: ProgramId) -> bool {
        self.program.is_none_or(|p| p == program) && (self.programs.is_empty() || self.programs.contains(&program))
    }
}

/// What a new credential is for.
#[derive(Debug, Clone)]
pub struct KeyRequest {
    /// What it opens.
    pub kind: KeyKind,
    /// The program it is bound to.
    pub program: Option<ProgramId>,
    /// The partner whose user it is.
    pub partner: Option<PartnerId>,
    /// Origins of a publishable key.
    pub origins: Vec<String>,
    /// Programs that a secret key is limited to; empty: all.
    pub programs: Vec<ProgramId>,
    /// Permissions of a secret key.
    pub permissions: Vec<String>,
    /// When it stops to work.
    pub expires_at: Option<Instant>,
}

/// A credential that was just made: the only time its text is known.
#[derive(Debug, Clone)]
pub struct IssuedKey {
    /// Its number.
    pub id: KeyId,
    /// The whole text; for an OAuth client its secret.
    pub text: String,
    /// The OAuth client's id.
    pub client_id: Option<String>,
}

/// The text of a new key and how it is stored: (text, lookup, client id).
fn compose(kind: KeyKind) -> (String, String, Option<String>) {
    let lookup = hex::encode(random::<8>());
    let secret = hex::encode(random::<20>());
    match kind {
        KeyKind::Secret => (format!("sk_{lookup}_{secret}"), lookup, None),
        KeyKind::Publishable => (format!("pk_{lookup}_{secret}"), lookup, None),
        KeyKind::Rewards => (format!("rk_{lookup}_{secret}"), lookup, None),
        KeyKind::Partner => (format!("pu_{lookup}_{secret}"), lookup, None),
        KeyKind::Oauth => (format!("cs_{secret}"), format!("ci_{lookup}"), Some(format!("ci_{lookup}"))),
        KeyKind::Brand => {
            let mut bytes = random::<16>();
            bytes[6] = (bytes[6] & 0x0f) | 0x40;
            bytes[8] = (bytes[8] & 0x3f) | 0x80;
            let hex = hex::encode(bytes);
            let uuid = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
            (uuid.clone(), lookup_of(&uuid), None)
        }
    }
}

/// The public part by which the row is found. A brand token has none, so a hash of half of it serves.
fn lookup_of(text: &str) -> String {
    match text.split('_').collect::<Vec<_>>()[..] {
        [_, lookup, _] => lookup.to_owned(),
        _ => hex::encode(&Sha256::digest(format!("lookup {text}").as_bytes())[..12]),
    }
}

pub(crate) fn hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// A credential that is not written yet.
pub(crate) struct Prepared {
    pub(crate) row: NewApiKey,
    pub(crate) text: String,
    pub(crate) client_id: Option<String>,
}

/// Composes a credential, for a caller that writes it in a transaction of its own.
pub(crate) fn prepare(account: AccountId, request: &KeyRequest, now: Instant) -> Prepared {
    let (text, lookup, client_id) = compose(request.kind);
    let programs: Vec<i64> = request.programs.iter().map(|p| p.0).collect();
    let row = NewApiKey {
        account_id: account.0,
        program_id: request.program.map(|p| p.0),
        partner_id: request.partner.map(|p| p.0),
        kind: request.kind.name().to_owned(),
        lookup,
        secret_hash: hash(&text),
        hint: text[text.len() - 4..].to_owned(),
        origins: serde_json::json!(request.origins).to_string(),
        programs: serde_json::json!(programs).to_string(),
        permissions: serde_json::json!(request.permissions).to_string(),
        expires_at: request.expires_at.map(|at| at.0),
        created_at: now.0,
    };
    Prepared { row, text, client_id }
}

impl App {
    /// Makes a credential.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the kind opens one program or is one partner's, and none is named (`conventions.md` §4).
    pub async fn key_issue(&self, account: AccountId, request: KeyRequest, keep: Keep<IssuedKey>) -> Result<IssuedKey> {
        let of_one_program = matches!(request.kind, KeyKind::Publishable | KeyKind::Brand | KeyKind::Oauth);
        if of_one_program && request.program.is_none() {
            return Err(Error::invalid("program", format!("is required for a {} key", request.kind.name())));
        }
        if request.partner.is_some() != (request.kind == KeyKind::Partner) {
            return Err(Error::invalid("partner", "is required for a partner key, and for no other"));
        }
        let prepared = prepare(account, &request, self.clock.now());
        let insert = async move |tx: &headwater_store::backend::Tx<'_>| {
            let id = KeyId(api_key_insert(tx, &prepared.row).await?);
            let issued = IssuedKey { id, text: prepared.text.clone(), client_id: prepared.client_id.clone() };
            keep.keep(tx, &issued).await?;
            Ok(issued)
        };
        let issued = self.store.money.write(insert).await?;
        self.refresh_committed().await;
        Ok(issued)
    }

    /// Revokes a credential: dead at once on this node, within seconds on others.
    pub async fn key_revoke(&self, account: AccountId, id: KeyId) -> Result<()> {
        let now = self.clock.now().0;
        let done = self.store.money.write(async move |tx| api_key_revoke(tx, account.0, id.0, now).await).await?;
        self.refresh_committed().await;
        if done { Ok(()) } else { Err(Error::NotFound("key")) }
    }

    /// Whether a publishable key in force may be used from this origin.
    pub fn origin_is_known(&self, origin: &str) -> bool {
        let now = self.clock.now();
        self.directory().all_credentials().any(|key| {
            key.kind == KeyKind::Publishable && key.is_in_force_at(now) && key.origins.iter().any(|o| o == origin)
        })
    }

    /// The credential of this text, if it is genuine and in force.
    pub fn authenticate(&self, text: &str) -> Option<Arc<Credential>> {
        let found = self.directory().credential(&lookup_of(text)).cloned();
        let given = hash(text);
        let expected = found.as_ref().map_or_else(|| hash("nobody"), |c| c.row.secret_hash.clone());
        let genuine = bool::from(given.as_bytes().ct_eq(expected.as_bytes()));
        let now = self.clock.now();
        found.filter(|credential| genuine && credential.is_in_force_at(now))
    }
}
