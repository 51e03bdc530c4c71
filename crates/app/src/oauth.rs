//! OAuth clients and their access tokens: the client credentials grant of the forex dialect (RFC 6749 §4.4).
//!
//! A token is opaque: 256 random bits, kept as a hash, bound to its client's account and to the scopes it was asked for.
//! Leaves the forms of a request and of an error body to the dialect. Invariant: a token opens nothing once it has
//! expired or its client was revoked, since both are looked at whenever it is used.

use crate::app::App;
use crate::error::Result;
use crate::key::{Credential, KeyKind, hash};
use crate::secrets::random;
use headwater_domain::time::Instant;
use headwater_store::oauth::{OauthTokenRow, oauth_token_insert, oauth_token_read};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// How long a token works: `forex-api.md` §1, after the published guide.
pub const TOKEN_SECONDS: i64 = 3600;

/// What a token may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Lists.
    Read,
    /// Pushes.
    Write,
}

impl Scope {
    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }

    /// Reads a list parted by spaces; `None` where it names an unknown scope or none at all.
    pub fn parse_list(text: &str) -> Option<Vec<Self>> {
        let known = |name: &str| [Self::Read, Self::Write].into_iter().find(|scope| scope.name() == name);
        let asked = text.split(' ').filter(|name| !name.is_empty()).map(known).collect::<Option<Vec<_>>>()?;
        let scopes: Vec<_> = [Self::Read, Self::Write].into_iter().filter(|scope| asked.contains(scope)).collect();
        (!scopes.is_empty()).then_some(scopes)
    }

    /// The list on the wire.
    pub fn list(scopes: &[Self]) -> String {
        scopes.iter().map(|scope| scope.name()).collect::<Vec<_>>().join(" ")
    }
}

/// A token that was just made: the only time its text is known.
#[derive(Debug, Clone)]
pub struct IssuedToken {
    /// The whole text.
    pub text: String,
    /// What it may be used for.
    pub scopes: Vec<Scope>,
}

/// Who sends a token, and what it may do.
#[derive(Debug, Clone)]
pub struct Bearer {
    /// The client.
    pub client: Arc<Credential>,
    /// What the token may be used for.
    pub scopes: Vec<Scope>,
    /// Tells this token from others of its client, and opens nothing.
    pub token_hash: String,
}

impl App {
    /// The OAuth client with this id and secret, if both are genuine and in force.
    pub fn oauth_client(&self, client_id: &str, client_secret: &str) -> Option<Arc<Credential>> {
        let found = self.directory().credential(client_id).filter(|c| c.kind == KeyKind::Oauth).cloned();
        let expected = found.as_ref().map_or_else(|| hash("nobody"), |client| client.row.secret_hash.clone());
        let genuine = bool::from(hash(client_secret).as_bytes().ct_eq(expected.as_bytes()));
        let now = self.clock.now();
        found.filter(|client| genuine && client.is_in_force_at(now))
    }

    /// A token for this client, good for [`TOKEN_SECONDS`].
    pub async fn oauth_token_issue(&self, client: &Credential, scopes: Vec<Scope>) -> Result<IssuedToken> {
        let text = format!("hwat_{}", hex::encode(random::<32>()));
        let now = self.clock.now();
        let row = OauthTokenRow {
            token_hash: hash(&text),
            key_id: client.id.0,
            account_id: client.account.0,
            client_id: client.row.lookup.clone(),
            scopes: Scope::list(&scopes),
            expires_at: now.plus_seconds(TOKEN_SECONDS).0,
            created_at: now.0,
        };
        self.store.money.write(async move |tx| oauth_token_insert(tx, &row).await).await?;
        Ok(IssuedToken { text, scopes })
    }

    /// Who sends this token; `None` where it is unknown, expired, or its client is revoked.
    pub async fn oauth_bearer(&self, text: &str) -> Result<Option<Bearer>> {
        let token_hash = hash(text);
        let now = self.clock.now();
        let row = self.store.money.read(async move |tx| oauth_token_read(tx, &token_hash).await).await?;
        Ok(row.and_then(|row| self.bearer(row, now)))
    }

    fn bearer(&self, row: OauthTokenRow, now: Instant) -> Option<Bearer> {
        let client = self.directory().credential(&row.client_id).cloned()?;
        let is_its_own = client.id.0 == row.key_id && client.account.0 == row.account_id;
        let works = is_its_own && now.0 < row.expires_at && client.is_in_force_at(now);
        let scopes = Scope::parse_list(&row.scopes)?;
        works.then_some(Bearer { client, scopes, token_hash: row.token_hash })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_a_list_of_known_names() {
        assert_eq!(Scope::parse_list("write read"), Some(vec![Scope::Read, Scope::Write]));
        assert_eq!(Scope::parse_list("read"), Some(vec![Scope::Read]));
        for text in ["", " ", "admin", "read admin", "READ"] {
            assert_eq!(Scope::parse_list(text), None, "{text:?}");
        }
        assert_eq!(Scope::list(&[Scope::Read, Scope::Write]), "read write");
    }
}
