//! Partners: creating, changing, suspending and moving them. Reading is the directory's.
//!
//! Status and parent are dated: a change says from when. A change is worked out on what is stored when its turn has come, so
//! two at once both stand. Invariant: nobody is above himself at any instant.

use crate::announce::{Told, announce};
use crate::app::App;
use crate::directory::Partner;
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::membership::{self, MemberState};
use crate::promoter::{CUST_ID, cust_id, metadata_with, promoter_must_be_alone};
use crate::reprice::Mark;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::money::Decimal;
use headwater_domain::time::Instant;
use headwater_store::backend::{Error as StoreError, Tx};
use headwater_store::directory::PartnerRow;
use headwater_store::membership::{membership_insert, membership_status_put, membership_update};
use headwater_store::partner::{NewPartner, partner_insert, partner_parent_put, partner_status_put, partner_update};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a new partner was given up: another one has its token.
const TOKEN_TAKEN: &str = "the ref_token of a new member is taken";
const ID_CHARACTERS_MAX: usize = 128;
const NAME_CHARACTERS_MAX: usize = 500;
/// 64 before the `@`, 255 after it (RFC 5321 §4.5.3.1).
const EMAIL_BYTES_MAX: usize = 320;

/// What a caller says of a partner; `None` leaves as it is, `Some(None)` clears.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the parameter of its own name")]
pub struct PartnerRequest {
    pub id: Option<String>,
    pub name: Option<String>,
    pub email: Option<Option<String>>,
    pub program: Option<Option<ProgramId>>,
    /// Another partner's id.
    pub parent: Option<Option<String>>,
    pub plan: Option<Option<String>>,
    pub rates: Option<BTreeMap<String, Decimal>>,
    /// JSON text.
    pub metadata: Option<String>,
    /// What the rewards dialect says of it, put into what it said before: `null` clears a key. There the email and the caller's
    /// id are one promoter's.
    pub promoter: Option<Map<String, Value>>,
    /// How a new one becomes a member of `program`.
    pub joins: Joins,
}

/// How a new partner becomes a member of its program.
#[derive(Debug, Clone)]
pub struct Joins {
    /// How far it has come.
    pub state: MemberState,
    /// By which token it is named; `None`: one of ours.
    pub ref_token: Option<String>,
}

impl Default for Joins {
    fn default() -> Self {
        Self { state: MemberState::Accepted, ref_token: None }
    }
}

/// A change of a partner, worked out on what is stored while nobody else changes it.
struct Change {
    id: PartnerId,
    next: NewPartner,
    is_moved: bool,
    parent: Option<PartnerId>,
    reprices_from: Option<Instant>,
    /// What webhooks hear of it.
    told: Vec<Told>,
}

impl App {
    /// Creates a partner.
    pub async fn partner_create(
        self: &Arc<Self>,
        account: AccountId,
        asked: PartnerRequest,
        keep: Keep<Partner>,
    ) -> Result<Arc<Partner>> {
        let name = asked.name.clone().ok_or_else(|| Error::invalid("name", "is required"))?;
        self.partner_check(account, &asked)?;
        let parent = asked.parent.flatten();
        let parent = parent.as_deref().map(|name| self.parent(account, name)).transpose()?;
        let new = NewPartner {
            account_id: account.0,
            external_id: asked.id,
            name,
            email: asked.email.flatten(),
            program_id: asked.program.flatten().map(|p| p.0),
            parent_id: parent.map(|p| p.0),
            plan: asked.plan.flatten(),
            rates: rates_json(&asked.rates.unwrap_or_default()),
            metadata: match &asked.promoter {
                Some(said) => metadata_with(asked.metadata.as_deref().unwrap_or_default(), said),
                None => asked.metadata.unwrap_or_else(|| "{}".into()),
            },
            created_at: self.clock.now().0,
        };
        let (app, joins, is_promoter) = (Arc::clone(self), asked.joins, asked.promoter.is_some());
        if let Some(token) = &joins.ref_token {
            membership::check_token(token)?;
        }
        let insert = async move |tx: &Tx<'_>| {
            if is_promoter {
                // Nobody else takes its names meanwhile.
                Mark::begin(tx).await?;
                app.refresh_in(tx).await?;
                let (email, own_id) = (new.email.as_deref(), new.external_id.as_deref());
                if let Err(refused) = promoter_must_be_alone(&app.directory(), account, None, email, own_id) {
                    return Ok(Err(refused));
                }
            }
            let Some(id) = partner_insert(tx, &new).await? else {
                return Ok(Err(Error::Conflict {
                    code: "partner_exists",
                    param: Some("id"),
                    message: "A partner has this id already.".into(),
                }));
            };
            let made = made(id, &new);
            keep.keep(tx, &made).await?;
            let names = vec![("created", json!({}))];
            let mut told = vec![Told::other(account, None, "promoter", id, entity(&made), names)];
            if let Some(program) = new.program_id {
                let state = joins.state;
                let (number, _) = membership_insert(tx, account.0, program, id, state.name(), new.created_at).await?;
                if state.is_barred() {
                    // From the beginning: there was no moment at which it had been let in.
                    membership_status_put(tx, number, 0, true).await?;
                }
                let program = ProgramId(program);
                let mut member = membership::made(number, account, program, made.id, state, Instant(new.created_at));
                if let Some(token) = &joins.ref_token {
                    member.row.ref_token.clone_from(token);
                }
                // It was made together with the partner, accepted and under a token of ours.
                if !membership_update(tx, account.0, number, state.name(), &member.row.ref_token, "{}").await? {
                    return Err(StoreError::Abandoned(TOKEN_TAKEN.into()));
                }
                told.push(membership::joined(&app.directory(), &member));
            }
            Ok(Ok((id, announce(tx, &app, &told, Instant(new.created_at)).await?)))
        };
        let made: Result<_> = self.store.money.write(insert).await.map_err(|error| match error {
            StoreError::Abandoned(why) if why == TOKEN_TAKEN => Error::invalid("ref_token", "has already been taken"),
            other => other.into(),
        })?;
        let (id, delivers) = made?;
        if delivers {
            self.outbox.ring();
        }
        self.refresh_committed().await;
        self.directory().partner_by_id(account, PartnerId(id)).cloned().ok_or(Error::NotFound("partner"))
    }

    /// Changes what is given; a new parent holds from now on.
    pub async fn partner_patch(
        self: &Arc<Self>,
        account: AccountId,
        name: &str,
        asked: PartnerRequest,
    ) -> Result<Arc<Partner>> {
        self.partner_read(account, name)?;
        self.partner_check(account, &asked)?;
        let (app, asked_name, now) = (Arc::clone(self), name.to_owned(), self.clock.now());
        let update = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            let change = match app.partner_change(account, &asked_name, &asked, now) {
                Ok(change) => change,
                Err(refused) => return Ok(Err(refused)),
            };
            partner_update(tx, change.id.0, &change.next).await?;
            if change.is_moved {
                partner_parent_put(tx, change.id.0, now.0, change.parent.map(|p| p.0)).await?;
            }
            if let Some(from) = change.reprices_from {
                app.mark_from(account, from).set(tx).await?;
            }
            Ok(Ok(announce(tx, &app, &change.told, now).await?))
        };
        if self.store.money.write(update).await?? {
            self.outbox.ring();
        }
        self.refresh_committed().await;
        self.partner_read(account, name)
    }

    /// What a request makes of a partner as it is now.
    fn partner_change(&self, account: AccountId, name: &str, asked: &PartnerRequest, now: Instant) -> Result<Change> {
        let before = self.partner_read(account, name)?;
        let row = &before.row;
        let metadata = asked.metadata.as_ref().unwrap_or(&row.metadata);
        let metadata = match &asked.promoter {
            Some(said) => {
                let own_id = said.get(CUST_ID).and_then(Value::as_str);
                let email = asked.email.as_ref().and_then(Option::as_deref);
                promoter_must_be_alone(&self.directory(), account, Some(&before), email, own_id)?;
                metadata_with(metadata, said)
            }
            None => metadata.clone(),
        };
        let next = NewPartner {
            account_id: account.0,
            external_id: Some(row.external_id.clone()),
            name: asked.name.clone().unwrap_or_else(|| row.name.clone()),
            email: asked.email.clone().unwrap_or_else(|| row.email.clone()),
            program_id: asked.program.map_or(row.program_id, |program| program.map(|p| p.0)),
            parent_id: None,
            plan: asked.plan.clone().unwrap_or_else(|| row.plan.clone()),
            rates: asked.rates.as_ref().map_or_else(|| row.rates.clone(), rates_json),
            metadata,
            created_at: row.created_at,
        };
        let parent = match &asked.parent {
            None => None,
            Some(parent) => self.new_parent(account, &before, parent.as_deref(), now)?,
        };
        let is_moved = asked.parent.is_some();
        let reprices = next.plan != row.plan || next.rates != row.rates || next.program_id != row.program_id;
        let reprices_from = if reprices { Some(Instant(0)) } else { is_moved.then_some(now) };
        let told = changed(&before, &next);
        Ok(Change { id: before.id, next, is_moved, parent, reprices_from, told })
    }

    /// Suspends or restores a partner from `at` on; `None`: now.
    pub async fn partner_suspend(
        &self,
        account: AccountId,
        name: &str,
        suspended: bool,
        at: Option<Instant>,
    ) -> Result<Arc<Partner>> {
        let id = self.partner_read(account, name)?.id.0;
        let at = at.unwrap_or_else(|| self.clock.now()).0;
        let mark = self.mark_from(account, Instant(at));
        self.store
            .money
            .write(async move |tx| {
                Mark::begin(tx).await?;
                partner_status_put(tx, id, at, suspended).await?;
                mark.set(tx).await
            })
            .await?;
        self.refresh_committed().await;
        self.partner_read(account, name)
    }

    /// Puts a partner under another, or under none, from `at` on; `None`: now.
    pub async fn partner_move(
        self: &Arc<Self>,
        account: AccountId,
        name: &str,
        parent: Option<&str>,
        at: Option<Instant>,
    ) -> Result<Arc<Partner>> {
        let at = at.unwrap_or_else(|| self.clock.now());
        let (app, moved_name, parent) = (Arc::clone(self), name.to_owned(), parent.map(str::to_owned));
        let put = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            let moved = app.partner_read(account, &moved_name);
            let placed =
                moved.and_then(|moved| Ok((moved.id, app.new_parent(account, &moved, parent.as_deref(), at)?)));
            let (id, parent) = match placed {
                Ok(placed) => placed,
                Err(refused) => return Ok(Err(refused)),
            };
            partner_parent_put(tx, id.0, at.0, parent.map(|p| p.0)).await?;
            app.mark_from(account, at).set(tx).await?;
            Ok(Ok(()))
        };
        self.store.money.write(put).await??;
        self.refresh_committed().await;
        self.partner_read(account, name)
    }

    /// A partner by the operator's id, else by its number.
    pub fn partner_read(&self, account: AccountId, name: &str) -> Result<Arc<Partner>> {
        self.directory().partner(account, name).cloned().ok_or(Error::NotFound("partner"))
    }

    /// The partner of this name, where it may be above `moved` from `at` on.
    fn new_parent(
        &self,
        account: AccountId,
        moved: &Partner,
        parent: Option<&str>,
        at: Instant,
    ) -> Result<Option<PartnerId>> {
        let parent = parent.map(|name| self.parent(account, name)).transpose()?;
        if parent.is_some_and(|parent| self.makes_cycle(account, moved, parent, at)) {
            let message = "This parent is below the partner, or is the partner.".into();
            return Err(Error::Conflict { code: "cycle", param: Some("parent"), message });
        }
        Ok(parent)
    }

    fn parent(&self, account: AccountId, name: &str) -> Result<PartnerId> {
        let found = self.directory().partner(account, name).map(|p| p.id);
        found.ok_or_else(|| Error::invalid("parent", "must be the id of a partner"))
    }

    fn partner_check(&self, account: AccountId, asked: &PartnerRequest) -> Result<()> {
        if asked.program.flatten().is_some_and(|id| self.directory().program(account, id).is_none()) {
            return Err(Error::invalid("program", "must be the id of a program"));
        }
        if asked.id.as_deref().is_some_and(|id| !is_label(id, ID_CHARACTERS_MAX)) {
            return Err(Error::invalid(
                "id",
                "must have at most 128 characters, without control characters or spaces at its ends",
            ));
        }
        if asked.name.as_deref().is_some_and(|name| !is_label(name, NAME_CHARACTERS_MAX)) {
            return Err(Error::invalid(
                "name",
                "must have at most 500 characters, without control characters or spaces at its ends",
            ));
        }
        if asked.email.as_ref().and_then(Option::as_deref).is_some_and(|email| !is_email(email)) {
            return Err(Error::invalid("email", "must be an email address"));
        }
        self.plan_must_exist(account, asked.plan.as_ref().and_then(Option::as_deref))
    }

    /// Whether the partner would be above `parent` at `at`, or at any later change while this move is in force.
    fn makes_cycle(&self, account: AccountId, moved: &Partner, parent: PartnerId, at: Instant) -> bool {
        let directory = self.directory();
        let until = moved.parents.range(at.0 + 1..).next().map_or(i64::MAX, |(next, _)| *next);
        let all = directory.partners(account);
        let later = all.iter().flat_map(|p| p.parents.range(at.0..until).map(|(change, _)| *change));
        std::iter::once(at.0).chain(later).any(|instant| {
            let above =
                |id: PartnerId| directory.partner_by_id(account, id).and_then(|p| p.parent_at(Instant(instant)));
            let mut chain = std::iter::successors(Some(parent), |id| if *id == moved.id { None } else { above(*id) });
            chain.by_ref().take(all.len() + 1).any(|id| id == moved.id)
        })
    }
}

/// A new partner as the directory will have it.
fn made(id: i64, new: &NewPartner) -> Partner {
    let row = PartnerRow {
        id,
        account_id: new.account_id,
        external_id: new.external_id.clone().unwrap_or_else(|| id.to_string()),
        name: new.name.clone(),
        email: new.email.clone(),
        program_id: new.program_id,
        plan: new.plan.clone(),
        rates: new.rates.clone(),
        metadata: new.metadata.clone(),
        created_at: new.created_at,
    };
    let mut partner = Partner::from_row(row);
    partner.parents.extend(new.parent_id.map(|parent| (new.created_at, Some(PartnerId(parent)))));
    partner
}

/// The `data` of a partner's webhooks.
pub(crate) fn entity(partner: &Partner) -> Value {
    let row = &partner.row;
    json!({"id": row.id, "email": row.email, "name": row.name, "cust_id": cust_id(partner), "joined_at": Instant(row.created_at).iso8601()})
}

/// What webhooks hear of a partner that is changed; nothing where what they show stays.
fn changed(before: &Partner, next: &NewPartner) -> Vec<Told> {
    let mut after = before.clone();
    (after.row.name, after.row.email, after.row.metadata) =
        (next.name.clone(), next.email.clone(), next.metadata.clone());
    let (was, is) = (entity(before), entity(&after));
    let mut changes = Map::new();
    for key in ["email", "name", "cust_id"] {
        if was[key] != is[key] {
            changes.insert(key.into(), json!([was[key], is[key]]));
        }
    }
    let mut names = Vec::new();
    if !changes.is_empty() {
        names.push(("updated", Value::Object(changes)));
    }
    if before.row.metadata != next.metadata {
        names.push(("profile.updated", json!({})));
    }
    if names.is_empty() {
        return Vec::new();
    }
    vec![Told::other(before.account, None, "promoter", before.row.id, is, names)]
}

fn is_label(text: &str, characters_max: usize) -> bool {
    let length = text.chars().count();
    (1..=characters_max).contains(&length) && text.trim() == text && !text.chars().any(char::is_control)
}

/// One `@` with something on both sides, and nothing that a header or a log could stumble over.
pub fn is_email(text: &str) -> bool {
    let parts = text.split_once('@');
    let sides = parts.is_some_and(|(local, host)| !local.is_empty() && !host.is_empty() && !host.contains('@'));
    sides && text.len() <= EMAIL_BYTES_MAX && !text.chars().any(|c| c.is_control() || c.is_whitespace())
}

fn rates_json(rates: &BTreeMap<String, Decimal>) -> String {
    let texts: BTreeMap<_, _> = rates.iter().map(|(rule, rate)| (rule, rate.to_string())).collect();
    serde_json::json!(texts).to_string()
}
