//! What every node keeps in memory: configuration, read as the rows that changed since a change number.
//!
//! Reading from 0 is the start; there is no other way to load. Writing is in the file of each noun.

use crate::backend::{Result, Tx};
use crate::{record, sql};

record! {
    /// A tenant.
    pub struct AccountRow { id: i64, name: String }
}
record! {
    /// A program; `settings` is JSON.
    pub struct ProgramRow {
        id: i64, account_id: i64, name: String, site_url: String, settings: String, created_at: i64, closed_before: Option<String>,
    }
}
record! {
    /// A partner; `rates` and `metadata` are JSON.
    pub struct PartnerRow {
        id: i64, account_id: i64, external_id: String, name: String, email: Option<String>, program_id: Option<i64>,
        plan: Option<String>, rates: String, metadata: String, created_at: i64,
    }
}
record! {
    /// A partner's parent from an instant on.
    pub struct PartnerParentRow { partner_id: i64, from_at: i64, parent_id: Option<i64> }
}
record! {
    /// Whether a partner is suspended from an instant on.
    pub struct PartnerStatusRow { partner_id: i64, from_at: i64, suspended: bool }
}
record! {
    /// A partner in a program; `data` is JSON.
    pub struct MembershipRow {
        id: i64, account_id: i64, program_id: i64, partner_id: i64, state: String, ref_token: String, data: String, created_at: i64,
    }
}
record! {
    /// Whether a membership is barred from an instant on.
    pub struct MembershipStatusRow { membership_id: i64, from_at: i64, barred: bool }
}
record! {
    /// A saved plan document.
    pub struct PlanVersionRow { id: i64, account_id: i64, name: String, number: i64, document: String, created_at: i64 }
}
record! {
    /// From when a version of a plan is in force.
    pub struct PlanActivationRow { account_id: i64, name: String, from_at: i64, number: i64 }
}
record! {
    /// A link; `utm` and `metadata` are JSON.
    pub struct LinkRow {
        id: i64, account_id: i64, program_id: i64, partner_id: i64, landing_page: String, encrypt_partner_id: bool,
        region_routing: bool, lang: Option<String>, utm: String, tracking_id: String, status: String, metadata: String,
        is_default: bool, created_at: i64,
    }
}
record! {
    /// A credential; only a hash of its secret is kept. `origins`, `programs` and `permissions` are JSON arrays.
    pub struct ApiKeyRow {
        id: i64, account_id: i64, program_id: Option<i64>, kind: String, lookup: String, secret_hash: String, hint: String,
        origins: String, programs: String, permissions: String, expires_at: Option<i64>, revoked_at: Option<i64>, created_at: i64,
        partner_id: Option<i64>,
    }
}
record! {
    /// A postback endpoint or a webhook; `enabled_events`, `metadata`, `programs` and `headers` are JSON, secrets are sealed.
    pub struct EndpointRow {
        id: i64, account_id: i64, url: String, enabled_events: String, description: Option<String>, metadata: String,
        payload_style: String, status: String, sealed_secret: String, sealed_previous: Option<String>,
        previous_until: Option<i64>, secret_hint: String, deleted_at: Option<i64>, created_at: i64,
        dialect: String, programs: String, timeout_seconds: i64, retry_profile: String, max_retries: i64, headers: String,
        basic_auth_user: Option<String>, sealed_basic_auth: Option<String>, basic_auth_enabled: bool, updated_at: i64,
    }
}
record! {
    /// An exchange rate of a day (`YYYY-MM-DD`).
    pub struct ExchangeRateRow { account_id: i64, day: String, from_currency: String, to_currency: String, rate: String }
}

/// All configuration that changed after a change number.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the rows of its own name")]
pub struct Changes {
    pub version: i64,
    pub accounts: Vec<AccountRow>,
    pub programs: Vec<ProgramRow>,
    pub partners: Vec<PartnerRow>,
    pub partner_parents: Vec<PartnerParentRow>,
    pub partner_statuses: Vec<PartnerStatusRow>,
    pub memberships: Vec<MembershipRow>,
    pub membership_statuses: Vec<MembershipStatusRow>,
    pub plan_versions: Vec<PlanVersionRow>,
    pub plan_activations: Vec<PlanActivationRow>,
    pub links: Vec<LinkRow>,
    pub api_keys: Vec<ApiKeyRow>,
    pub endpoints: Vec<EndpointRow>,
    pub exchange_rates: Vec<ExchangeRateRow>,
}

/// The rows that changed after `seen`; cheap where nothing did.
pub async fn changes_since(tx: &Tx<'_>, seen: i64) -> Result<Changes> {
    let version = crate::counter::version(tx).await?;
    if version == seen {
        return Ok(Changes { version, ..Changes::default() });
    }
    Ok(Changes {
        version,
        accounts: tx.all(sql!("SELECT id, name FROM account WHERE version > $1"), &[&seen]).await?,
        programs: tx
            .all(
                sql!("SELECT id, account_id, name, site_url, settings, created_at, closed_before FROM program WHERE version > $1"),
                &[&seen],
            )
            .await?,
        partners: tx
            .all(
                sql!(
                    "SELECT id, account_id, external_id, name, email, program_id, plan, rates, metadata, created_at \
                     FROM partner WHERE version > $1"
                ),
                &[&seen],
            )
            .await?,
        partner_parents: tx
            .all(sql!("SELECT partner_id, from_at, parent_id FROM partner_parent WHERE version > $1"), &[&seen])
            .await?,
        partner_statuses: tx
            .all(sql!("SELECT partner_id, from_at, suspended FROM partner_status WHERE version > $1"), &[&seen])
            .await?,
        memberships: tx
            .all(
                sql!(
                    "SELECT id, account_id, program_id, partner_id, state, ref_token, data, created_at FROM membership \
                     WHERE version > $1"
                ),
                &[&seen],
            )
            .await?,
        membership_statuses: tx
            .all(sql!("SELECT membership_id, from_at, barred FROM membership_status WHERE version > $1"), &[&seen])
            .await?,
        plan_versions: tx
            .all(
                sql!(
                    "SELECT id, account_id, name, number, document, created_at FROM plan_version WHERE version > $1 ORDER BY id"
                ),
                &[&seen],
            )
            .await?,
        plan_activations: tx
            .all(sql!("SELECT account_id, name, from_at, number FROM plan_activation WHERE version > $1"), &[&seen])
            .await?,
        links: tx
            .all(
                sql!(
                    "SELECT id, account_id, program_id, partner_id, landing_page, encrypt_partner_id, region_routing, lang, \
                     utm, tracking_id, status, metadata, is_default, created_at FROM link WHERE version > $1"
                ),
                &[&seen],
            )
            .await?,
        api_keys: tx
            .all(
                sql!(
                    "SELECT id, account_id, program_id, kind, lookup, secret_hash, hint, origins, programs, permissions, \
                     expires_at, revoked_at, created_at, partner_id FROM api_key WHERE version > $1"
                ),
                &[&seen],
            )
            .await?,
        endpoints: tx
            .all(
                sql!(
                    "SELECT id, account_id, url, enabled_events, description, metadata, payload_style, status, sealed_secret, \
                     sealed_previous, previous_until, secret_hint, deleted_at, created_at, dialect, programs, timeout_seconds, \
                     retry_profile, max_retries, headers, basic_auth_user, sealed_basic_auth, basic_auth_enabled, updated_at \
                     FROM endpoint WHERE version > $1"
                ),
                &[&seen],
            )
            .await?,
        exchange_rates: tx
            .all(
                sql!(
                    "SELECT account_id, day, from_currency, to_currency, rate FROM exchange_rate WHERE version > $1"
                ),
                &[&seen],
            )
            .await?,
    })
}
