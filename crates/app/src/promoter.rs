//! Promoters: partners as the rewards dialect sees them, and what is done about one of them.
//!
//! What a partner has no column for stands in its metadata under `promoter`. Leaves what they brought to `figures`.

mod figures;

pub use figures::Figures;

use crate::announce::announce;
use crate::app::App;
use crate::directory::{Directory, Partner};
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::membership::transfer::{Transfer, transfer};
use crate::membership::{MemberState, Membership, MembershipChange};
use crate::partner::{Joins, PartnerRequest};
use crate::reprice::Mark;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_store::backend::Tx;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Where a partner's metadata keeps what this dialect says of it.
const PROMOTER: &str = "promoter";
/// Under which attempt of its caller's it was made, among what is said of it.
const ATTEMPT: &str = "attempt";
/// For as long as answers are kept.
const ATTEMPT_SECONDS: i64 = 72 * 3600;
const ARCHIVED: &str = "archived_at";
/// The caller's id of a promoter, where it has one beside the partner's.
pub(crate) const CUST_ID: &str = "cust_id";

/// By what a path names a promoter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FindBy {
    /// Its number.
    Id,
    /// Its email.
    Email,
    /// The caller's id.
    CustId,
    /// A membership's token.
    RefToken,
    /// A membership's code.
    PromoCode,
    /// A token of its user's; nobody is found by one.
    AuthToken,
}

/// What is done about one promoter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromoterAct {
    /// Its membership in a program becomes this; it joins where it is no member.
    Become(ProgramId, MemberState),
    /// Off the lists.
    Archive,
    /// On the lists again.
    Restore,
    /// It leaves one program for another; its customers stay where they are.
    Move(ProgramId, ProgramId),
    /// Under another one.
    Under(PartnerId),
}

/// What a caller says of a promoter; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct PromoterRequest {
    /// Its email.
    pub email: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// The caller's id.
    pub cust_id: Option<String>,
    /// Above which it is; `Some(None)`: none.
    pub parent: Option<Option<PartnerId>>,
    /// By which token a new one is named in its first program.
    pub ref_token: Option<String>,
    /// Put into what is said of it: `null` clears a key.
    pub said: Map<String, Value>,
}

/// What the dialect says of a partner.
pub fn said(partner: &Partner) -> Map<String, Value> {
    let metadata: Map<String, Value> = serde_json::from_str(&partner.row.metadata).unwrap_or_default();
    metadata.get(PROMOTER).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The caller's id of a promoter, where it has one.
pub fn cust_id(partner: &Partner) -> Option<String> {
    let said = said(partner).get(CUST_ID).and_then(Value::as_str).map(str::to_owned);
    let own = Some(&partner.row.external_id).filter(|id| **id != partner.row.id.to_string());
    said.or_else(|| own.cloned())
}

/// Since when it is off the lists.
pub fn archived_at(partner: &Partner) -> Option<String> {
    said(partner).get(ARCHIVED).and_then(Value::as_str).map(str::to_owned)
}

impl App {
    /// The promoter that a path names.
    pub async fn promoter_find(&self, account: AccountId, by: FindBy, value: &str) -> Result<Arc<Partner>> {
        let directory = self.directory();
        let by_id = |id: PartnerId| directory.partner_by_id(account, id).cloned();
        let among = |fits: &dyn Fn(&Partner) -> bool| directory.partners(account).into_iter().find(|p| fits(p));
        let found = match by {
            FindBy::Id => value.parse().ok().and_then(|id| by_id(PartnerId(id))),
            FindBy::Email => {
                let email = value.trim();
                among(&|p| p.row.email.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(email)))
            }
            FindBy::CustId => among(&|p| cust_id(p).as_deref() == Some(value)),
            FindBy::RefToken => directory.membership_by_token(account, value).and_then(|m| by_id(m.partner)),
            FindBy::PromoCode => {
                self.promo_code_member(account, value).await?.and_then(|membership| by_id(membership.partner))
            }
            FindBy::AuthToken => None,
        };
        found.ok_or(Error::NotFound("promoter"))
    }

    /// A new promoter, a member of its first program.
    pub async fn promoter_create(
        self: &Arc<Self>,
        account: AccountId,
        asked: PromoterRequest,
        program: Option<ProgramId>,
        state: Option<MemberState>,
        attempt: Option<String>,
    ) -> Result<Arc<Partner>> {
        let email = asked.email.ok_or_else(|| Error::invalid("email", "is required"))?;
        if let Some(attempt) = &attempt
            && let Some(made) = self.promoter_begun(account, &email, attempt).await?
        {
            return Ok(made);
        }
        let program = match program {
            Some(program) => self
                .campaign_read(account, program)
                .map_err(|_| Error::invalid("initial_campaign_id", "must be the id of a campaign"))?,
            None => self.campaign_list(account).first().cloned().ok_or(Error::NotFound("campaign"))?,
        };
        let parent =
            asked.parent.map(|parent| parent.map(|id| self.parent_named(account, id)).transpose()).transpose()?;
        let mut said = asked.said;
        said.retain(|_, value| !value.is_null());
        said.extend(attempt.map(|attempt| (ATTEMPT.to_owned(), attempt.into())));
        let request = PartnerRequest {
            parent,
            joins: Joins { state: state.unwrap_or(MemberState::Accepted), ref_token: asked.ref_token },
            id: asked.cust_id,
            name: Some(asked.name.unwrap_or_else(|| email.clone())),
            email: Some(Some(email)),
            program: Some(Some(program.id)),
            promoter: Some(said),
            ..PartnerRequest::default()
        };
        self.partner_create(account, request, Keep::nothing()).await.map_err(|error| match error {
            Error::Conflict { param: Some("id"), .. } => Error::invalid("cust_id", "has already been taken"),
            Error::Invalid { param, message } if param == "id" => Error::invalid("cust_id", message),
            other => other,
        })
    }

    /// The promoter of this email that the same attempt made, whose answer was lost.
    async fn promoter_begun(&self, account: AccountId, email: &str, attempt: &str) -> Result<Option<Arc<Partner>>> {
        let since = self.clock.now().plus_seconds(-ATTEMPT_SECONDS).0;
        match self.promoter_find(account, FindBy::Email, email).await {
            Ok(found) => {
                let is_its = said(&found).get(ATTEMPT).is_some_and(|of| of == attempt);
                Ok(Some(found).filter(|found| is_its && found.row.created_at >= since))
            }
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// How `partner` operations name the promoter that is asked for as a parent.
    fn parent_named(&self, account: AccountId, id: PartnerId) -> Result<String> {
        let unknown = |_| Error::invalid("parent_promoter_id", "must be the id of a promoter");
        self.promoter_by_id(account, id).map(|parent| parent.row.external_id.clone()).map_err(unknown)
    }

    /// Changes what is given.
    pub async fn promoter_patch(
        self: &Arc<Self>,
        account: AccountId,
        id: PartnerId,
        asked: PromoterRequest,
    ) -> Result<Arc<Partner>> {
        let before = self.promoter_by_id(account, id)?;
        let mut changes = asked.said;
        changes.extend(asked.cust_id.map(|cust_id| (CUST_ID.to_owned(), cust_id.into())));
        let request = PartnerRequest {
            parent: asked
                .parent
                .map(|parent| parent.map(|id| self.parent_named(account, id)).transpose())
                .transpose()?,
            name: asked.name,
            email: asked.email.map(Some),
            promoter: Some(changes),
            ..PartnerRequest::default()
        };
        self.partner_patch(account, &before.row.external_id, request).await
    }

    /// Does it, for one promoter. What is so already is done.
    pub async fn promoter_act(self: &Arc<Self>, account: AccountId, id: PartnerId, act: &PromoterAct) -> Result<()> {
        let partner = self.promoter_by_id(account, id)?;
        match act {
            PromoterAct::Become(program, state) => {
                let (member, is_new) = self.membership_create(account, *program, id, *state).await?;
                if !is_new {
                    let change = MembershipChange { state: Some(*state), ..MembershipChange::default() };
                    self.membership_patch(account, member.id, change).await?;
                }
            }
            PromoterAct::Archive => self.archive(account, &partner, self.clock.now().iso8601().into()).await?,
            PromoterAct::Restore => self.archive(account, &partner, Value::Null).await?,
            PromoterAct::Move(from, to) => {
                self.promoter_transfer(Transfer { account, partner: id, from: *from, to: *to }).await?;
            }
            PromoterAct::Under(parent) => {
                let parent = self.promoter_by_id(account, *parent)?;
                self.partner_move(account, &partner.row.external_id, Some(&parent.row.external_id), None).await?;
            }
        }
        Ok(())
    }

    /// It leaves one campaign for another.
    async fn promoter_transfer(self: &Arc<Self>, moving: Transfer) -> Result<()> {
        let (app, now) = (Arc::clone(self), self.clock.now());
        let write = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            match transfer(tx, &app, moving, Map::new(), now).await? {
                Ok(done) => Ok(Ok(announce(tx, &app, &done.told, now).await?)),
                Err(refused) => Ok(Err(refused)),
            }
        };
        let delivers = self.store.money.write(write).await?;
        self.refresh_committed().await;
        if delivers? {
            self.outbox.ring();
        }
        Ok(())
    }

    async fn archive(self: &Arc<Self>, account: AccountId, partner: &Partner, at: Value) -> Result<()> {
        if archived_at(partner).is_some() != at.is_null() {
            return Ok(());
        }
        let said = Map::from_iter([(ARCHIVED.to_owned(), at)]);
        let request = PartnerRequest { promoter: Some(said), ..PartnerRequest::default() };
        self.partner_patch(account, &partner.row.external_id, request).await?;
        Ok(())
    }

    fn promoter_by_id(&self, account: AccountId, id: PartnerId) -> Result<Arc<Partner>> {
        self.directory().partner_by_id(account, id).cloned().ok_or(Error::NotFound("promoter"))
    }

    /// The memberships of a partner, oldest first.
    pub fn memberships_of(&self, account: AccountId, partner: PartnerId) -> Vec<Arc<Membership>> {
        let directory = self.directory();
        directory.memberships(account).filter(|membership| membership.partner == partner).cloned().collect()
    }
}

/// A partner's metadata with what the dialect says of it now.
pub(crate) fn metadata_with(metadata: &str, changes: &Map<String, Value>) -> String {
    let mut metadata: Map<String, Value> = serde_json::from_str(metadata).unwrap_or_default();
    let mut said = metadata.get(PROMOTER).and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in changes {
        if value.is_null() {
            said.remove(key);
        } else {
            said.insert(key.clone(), value.clone());
        }
    }
    metadata.insert(PROMOTER.into(), Value::Object(said));
    Value::Object(metadata).to_string()
}

/// Refuses an email or an id of the caller's that another promoter has; `own`: who is changed. To be asked while nobody else
/// changes one.
pub(crate) fn promoter_must_be_alone(
    directory: &Directory,
    account: AccountId,
    own: Option<&Partner>,
    email: Option<&str>,
    own_id: Option<&str>,
) -> Result<()> {
    let is_same_email = |p: &Partner| {
        email.is_some_and(|email| p.row.email.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(email)))
    };
    // Few metadata are worth parsing: only those that may name it.
    let text = own_id.map(|id| Value::from(id).to_string());
    let may_be_named = |p: &Partner| {
        own_id == Some(&p.row.external_id) || text.as_deref().is_some_and(|text| p.row.metadata.contains(text))
    };
    let is_same_id = |p: &Partner| may_be_named(p) && cust_id(p).as_deref() == own_id;
    // Who kept what it has takes nothing.
    let (asks_email, asks_id) = (!own.is_some_and(is_same_email), !own.is_some_and(is_same_id));
    for other in directory.partners(account) {
        if own.is_some_and(|own| own.id == other.id) {
            continue;
        }
        if asks_email && is_same_email(&other) {
            return Err(Error::invalid("email", "has already been taken"));
        }
        if asks_id && is_same_id(&other) {
            return Err(Error::invalid("cust_id", "has already been taken"));
        }
    }
    Ok(())
}
