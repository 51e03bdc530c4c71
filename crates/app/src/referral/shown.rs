//! Referrals as they are shown, by webhooks and by lists.

use super::ReferralRow;
use super::named::{EMAIL_PREFIX, UID};
use crate::commission::shown::split_partners;
use crate::directory::Directory;
use crate::membership::Membership;
use headwater_domain::commission::{Split, SplitPart};
use headwater_domain::ids::ProgramId;
use headwater_domain::postback::entity::SplitPartner;
use headwater_domain::time::Instant;
use serde_json::{Value, json};
use std::sync::Arc;

/// A referral as webhooks show it.
#[derive(Debug, Clone)]
pub(crate) struct Shown {
    pub id: i64,
    pub email: Option<String>,
    pub external_id: Option<String>,
    /// JSON text.
    pub attributes: Option<String>,
    pub state: String,
    pub created_at: Instant,
    pub split: Vec<SplitPart>,
}

impl Shown {
    pub(crate) fn of_row(row: &ReferralRow) -> Self {
        Self {
            id: row.id,
            email: row.email.clone(),
            external_id: row.external_id.clone(),
            attributes: row.attributes.clone(),
            state: row.state.clone(),
            created_at: Instant(row.created_at),
            split: split_of(row),
        }
    }
}

/// The `data` of a referral's webhooks.
pub(crate) fn entity(directory: &Directory, shown: &Shown, membership: Option<&Arc<Membership>>) -> Value {
    json!({
        "id": shown.id, "email": shown.email, "uid": uid_of(shown.external_id.as_deref(), shown.attributes.as_deref()),
        "state": shown.state, "created_at": shown.created_at.iso8601(),
        "promoter_campaign": membership.map(|membership| crate::membership::entity(directory, membership)),
        "split_details": membership.map(|membership| split_json(directory, membership.program, &shown.split)),
    })
}

/// Who shares what is earned of a referral, as it is shown; `null` where nobody does.
pub(crate) fn split_json(directory: &Directory, program: ProgramId, parts: &[SplitPart]) -> Value {
    let partners: Vec<Value> = split_partners(directory, program, parts).iter().map(SplitPartner::to_json).collect();
    if partners.is_empty() { Value::Null } else { partners.into() }
}

pub(super) fn split_of(row: &ReferralRow) -> Vec<SplitPart> {
    let splits = row.splits.as_deref().and_then(Split::from_stored).unwrap_or_default();
    Split::latest(&splits).to_vec()
}

/// The caller's id of a referral, where it gave one.
pub(crate) fn uid_of(external_id: Option<&str>, attributes: Option<&str>) -> Option<String> {
    match external_id {
        Some(id) if !id.starts_with(EMAIL_PREFIX) => Some(id.to_owned()),
        _ => {
            let attributes: Value = serde_json::from_str(attributes?).ok()?;
            attributes[UID].as_str().map(str::to_owned)
        }
    }
}
