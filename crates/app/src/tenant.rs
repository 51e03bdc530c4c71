//! Accounts: a new one, with its first program, an administrator and one credential of each kind.
//!
//! Leaves to others: what a credential opens (`key`) and what a program is (`program`). Invariant: an account is written
//! whole or not at all, and its secrets are known only in the answer.

use crate::app::App;
use crate::error::{Error, Result};
use crate::key::{KeyKind, KeyRequest, PERMISSIONS, prepare};
use crate::secrets::random;
use argon2::{Argon2, PasswordHasher as _};
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::program::{Settings, check_site_url};
use headwater_store::api_key::api_key_insert;
use headwater_store::tenant::{account_insert, program_insert, user_insert};

/// A new account and its secrets: the only time that they are known.
#[derive(Clone)]
#[expect(missing_docs, reason = "each field is the key of its own name in management.md")]
#[allow(missing_debug_implementations, reason = "secrets have no debug form")]
pub struct Initialised {
    pub account_id: AccountId,
    pub program_id: ProgramId,
    pub secret_key: String,
    pub publishable_key: String,
    pub brand_token: String,
    pub oauth_client_id: String,
    pub oauth_client_secret: String,
    pub rewards_key: String,
    pub admin_email: String,
    pub admin_password: String,
}

/// The credentials of a new account, in the order in which they are written.
const KINDS: [KeyKind; 5] = [KeyKind::Secret, KeyKind::Publishable, KeyKind::Brand, KeyKind::Oauth, KeyKind::Rewards];

/// The site of an account that can be made; asked before there is a store, so that a wrong word leaves none behind.
pub fn check_account(account_name: &str, program_name: &str, site_url: &str) -> Result<url::Url> {
    let site = check_site_url(site_url).map_err(|message| Error::invalid("site_url", message))?;
    for (param, text) in [("account", account_name), ("program", program_name)] {
        if text.trim().is_empty() {
            return Err(Error::invalid(param, "must not be empty"));
        }
    }
    Ok(site)
}

impl App {
    /// Makes an account. `site_url` is the site of its first program; the publishable key works from its origin.
    pub async fn init_account(&self, account_name: &str, program_name: &str, site_url: &str) -> Result<Initialised> {
        let site = check_account(account_name, program_name, site_url)?;
        let admin_email = format!("admin@{}", site.host_str().unwrap_or("localhost"));
        let admin_password = hex::encode(random::<12>());
        let password_hash = password_hash(&admin_password);
        let now = self.clock.now();
        let origin = site.origin().ascii_serialization();
        // The numbers are known inside the transaction only, so the rows get them there.
        let prepared: Vec<_> = KINDS.map(|kind| prepare(AccountId(0), &request(kind, &origin), now)).into();
        let rows: Vec<_> = prepared.iter().map(|key| key.row.clone()).collect();
        let (account, program, site_url) = (account_name.to_owned(), program_name.to_owned(), site_url.to_owned());
        let email = admin_email.clone();
        let (account_id, program_id) = self
            .store
            .money
            .write(async move |tx| {
                let account_id = account_insert(tx, &account, now.0).await?;
                let settings = serde_json::Value::Object(Settings::default().to_json()).to_string();
                let program_id = program_insert(tx, account_id, &program, &site_url, &settings, now.0).await?;
                user_insert(tx, account_id, &email, &password_hash, "admin", now.0).await?;
                for row in &rows {
                    let mut row = row.clone();
                    row.account_id = account_id;
                    row.program_id = (row.kind != KeyKind::Secret.name()).then_some(program_id);
                    api_key_insert(tx, &row).await?;
                }
                Ok((account_id, program_id))
            })
            .await?;
        self.refresh_committed().await;
        let [secret, publishable, brand, oauth, rewards] = &prepared[..] else {
            unreachable!("one credential was prepared for each kind");
        };
        Ok(Initialised {
            account_id: AccountId(account_id),
            program_id: ProgramId(program_id),
            secret_key: secret.text.clone(),
            publishable_key: publishable.text.clone(),
            brand_token: brand.text.clone(),
            oauth_client_id: oauth.client_id.clone().unwrap_or_default(),
            oauth_client_secret: oauth.text.clone(),
            rewards_key: rewards.text.clone(),
            admin_email,
            admin_password,
        })
    }
}

fn request(kind: KeyKind, origin: &str) -> KeyRequest {
    let is = |k: KeyKind| kind == k;
    KeyRequest {
        kind,
        program: None,
        partner: None,
        origins: if is(KeyKind::Publishable) { vec![origin.to_owned()] } else { Vec::new() },
        programs: Vec::new(),
        permissions: if is(KeyKind::Secret) { PERMISSIONS.map(str::to_owned).into() } else { Vec::new() },
        expires_at: None,
    }
}

/// Argon2id with the crate's present defaults and a salt of its own, as a PHC string.
fn password_hash(password: &str) -> String {
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &random::<16>());
    hash.expect("the default parameters and a salt of 16 bytes are in range").to_string()
}
