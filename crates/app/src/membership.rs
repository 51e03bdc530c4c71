//! Memberships: a partner in a program, by which token it is named there, and whether it may earn there.
//!
//! Whoever gets a link, a customer or a home in a program becomes a member of it (`store::membership`); here stand joining
//! by hand, changing, and barring. Invariant: a member that waits to be let in, or is rejected or blocked, is barred from that moment
//! on: it brings no new clients and earns nothing in that program, as a suspended partner does in all of them.

pub(crate) mod transfer;

use crate::announce::{Told, announce};
use crate::app::App;
use crate::campaign::is_archived;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::reprice::Mark;
use crate::upgrade::look_at_member;
use headwater_domain::ids::{AccountId, MembershipId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::directory::{MembershipRow, MembershipStatusRow};
use headwater_store::membership::{first_token, membership_insert, membership_status_put, membership_update};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

const TOKEN_CHARACTERS_MAX: usize = 64;

/// How far a membership has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberState {
    /// Waits to be let in: barred until then. Whoever asks to look first wants to owe nothing before.
    Pending,
    /// Let in.
    Accepted,
    /// Not let in: barred.
    Rejected,
    /// Thrown out: barred.
    Blocked,
    /// Left; what it brought stays its own.
    Inactive,
}

impl MemberState {
    /// Each of them.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Accepted, Self::Rejected, Self::Blocked, Self::Inactive];

    /// The name on the wire and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Blocked => "blocked",
            Self::Inactive => "inactive",
        }
    }

    /// Reads [`Self::name`].
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it brings nobody and earns nothing.
    pub fn is_barred(self) -> bool {
        matches!(self, Self::Pending | Self::Rejected | Self::Blocked)
    }

    /// Whether somebody decided against it.
    pub fn is_shut_out(self) -> bool {
        matches!(self, Self::Rejected | Self::Blocked)
    }
}

/// A partner in a program.
#[derive(Debug, Clone)]
pub struct Membership {
    /// Its number.
    pub id: MembershipId,
    /// Whose it is.
    pub account: AccountId,
    /// In which program.
    pub program: ProgramId,
    /// Which partner.
    pub partner: PartnerId,
    /// How far it has come.
    pub state: MemberState,
    /// Its row.
    pub row: MembershipRow,
    /// Whether it is barred, by date.
    pub barred: BTreeMap<i64, bool>,
}

impl Membership {
    /// Whether it is barred at `at`.
    pub fn is_barred_at(&self, at: Instant) -> bool {
        self.barred.range(..=at.0).next_back().is_some_and(|(_, barred)| *barred)
    }

    /// What a caller said of it that nothing is decided by.
    pub fn data(&self) -> Map<String, Value> {
        serde_json::from_str(&self.row.data).unwrap_or_default()
    }
}

/// Memberships in memory, by number, by place and by token.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memberships {
    all: BTreeMap<MembershipId, Arc<Membership>>,
    places: HashMap<(ProgramId, PartnerId), MembershipId>,
    tokens: BTreeMap<(String, AccountId), MembershipId>,
}

impl Memberships {
    /// Puts in what changed.
    pub(crate) fn apply(&mut self, rows: Vec<MembershipRow>, statuses: &[MembershipStatusRow]) {
        // All of them first: one may have the token now that another one had.
        for known in rows.iter().filter_map(|row| self.all.get(&MembershipId(row.id))) {
            self.tokens.remove(&(known.row.ref_token.clone(), known.account));
        }
        for row in rows {
            let (id, account) = (MembershipId(row.id), AccountId(row.account_id));
            let (program, partner) = (ProgramId(row.program_id), PartnerId(row.partner_id));
            let known = self.all.get(&id);
            let barred = known.map(|known| known.barred.clone()).unwrap_or_default();
            let Some(state) = MemberState::parse(&row.state) else {
                tracing::error!(membership = row.id, "the stored state of a membership cannot be read");
                continue;
            };
            self.places.insert((program, partner), id);
            self.tokens.insert((row.ref_token.clone(), account), id);
            self.all.insert(id, Arc::new(Membership { id, account, program, partner, state, row, barred }));
        }
        for row in statuses {
            if let Some(membership) = self.all.get_mut(&MembershipId(row.membership_id)) {
                Arc::make_mut(membership).barred.insert(row.from_at, row.barred);
            }
        }
    }

    pub(crate) fn of(&self, program: ProgramId, partner: PartnerId) -> Option<&Arc<Membership>> {
        self.all.get(self.places.get(&(program, partner))?)
    }

    pub(crate) fn get(&self, id: MembershipId) -> Option<&Arc<Membership>> {
        self.all.get(&id)
    }

    pub(crate) fn by_token(&self, account: AccountId, token: &str) -> Option<&Arc<Membership>> {
        self.all.get(self.tokens.get(&(token.to_owned(), account))?)
    }

    /// Those that a token names, at most one of each account.
    pub(crate) fn of_token(&self, token: &str) -> impl Iterator<Item = &Arc<Membership>> {
        let from = (token.to_owned(), AccountId(0));
        let to = (token.to_owned(), AccountId(i64::MAX));
        self.tokens.range(from..=to).filter_map(|(_, id)| self.all.get(id))
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<Membership>> {
        self.all.values()
    }
}

/// What a caller changes of a membership; `None` leaves as it is.
#[derive(Debug, Clone, Default)]
pub struct MembershipChange {
    /// How far it has come.
    pub state: Option<MemberState>,
    /// By which token it is named.
    pub ref_token: Option<String>,
    /// Put into what is said of it: `null` clears a key.
    pub data: Map<String, Value>,
}

/// The `data` of a membership's webhooks, and how other entities name it.
pub(crate) fn entity(directory: &Directory, membership: &Membership) -> Value {
    let partner = directory.partner_by_id(membership.account, membership.partner);
    let program = directory.program(membership.account, membership.program);
    json!({
        "id": membership.id.0, "campaign_id": membership.program.0, "promoter_id": membership.partner.0,
        "state": membership.state.name(), "ref_token": membership.row.ref_token,
        "created_at": Instant(membership.row.created_at).iso8601(),
        "promoter": partner.map(|p| json!({"id": p.row.id, "email": p.row.email, "name": p.row.name})),
        "campaign": program.map(|p| json!({"id": p.row.id, "name": p.row.name})),
    })
}

/// A membership that was just made.
pub(crate) fn joined(directory: &Directory, membership: &Membership) -> Told {
    let state = membership.state.name();
    let names = vec![("created", json!({})), (state, json!({"state": [null, state]}))];
    let data = entity(directory, membership);
    Told::other(membership.account, membership.program, "promoter_campaign", membership.id.0, data, names)
}

/// A membership as the directory will have it.
pub(crate) fn made(
    id: i64,
    account: AccountId,
    program: ProgramId,
    partner: PartnerId,
    state: MemberState,
    at: Instant,
) -> Membership {
    let row = MembershipRow {
        id,
        account_id: account.0,
        program_id: program.0,
        partner_id: partner.0,
        state: state.name().to_owned(),
        ref_token: first_token(program.0, partner.0),
        data: "{}".into(),
        created_at: at.0,
    };
    Membership { id: MembershipId(id), account, program, partner, state, row, barred: BTreeMap::new() }
}

impl App {
    /// Makes a partner a member of a program, unless it is one; gives the membership and whether it is new.
    pub async fn membership_create(
        self: &Arc<Self>,
        account: AccountId,
        program: ProgramId,
        partner: PartnerId,
        state: MemberState,
    ) -> Result<(Arc<Membership>, bool)> {
        self.program_read(account, program)?;
        self.directory().partner_by_id(account, partner).ok_or(Error::NotFound("partner"))?;
        let now = self.clock.now();
        let app = Arc::clone(self);
        let insert = async move |tx: &Tx<'_>| {
            let (id, is_new) = membership_insert(tx, account.0, program.0, partner.0, state.name(), now.0).await?;
            if is_new && state.is_barred() {
                membership_status_put(tx, id, now.0, true).await?;
            }
            let made = made(id, account, program, partner, state, now);
            let told = if is_new { vec![joined(&app.directory(), &made)] } else { Vec::new() };
            Ok((id, is_new, announce(tx, &app, &told, now).await?))
        };
        let (id, is_new, delivers) = self.store.money.write(insert).await?;
        if delivers {
            self.outbox.ring();
        }
        self.refresh_committed().await;
        Ok((self.membership_read(account, MembershipId(id))?, is_new))
    }

    /// A membership of this account.
    pub fn membership_read(&self, account: AccountId, id: MembershipId) -> Result<Arc<Membership>> {
        self.directory().membership(account, id).cloned().ok_or(Error::NotFound("promoter_campaign"))
    }

    /// A partner's membership in a program.
    pub fn membership_of(&self, account: AccountId, program: ProgramId, partner: PartnerId) -> Result<Arc<Membership>> {
        let directory = self.directory();
        let found = directory.membership_in(program, partner).filter(|found| found.account == account);
        found.cloned().ok_or(Error::NotFound("promoter_campaign"))
    }

    /// Changes what is given. Barring and letting in again hold from now on; what was earned before stays.
    pub async fn membership_patch(
        self: &Arc<Self>,
        account: AccountId,
        id: MembershipId,
        change: MembershipChange,
    ) -> Result<Arc<Membership>> {
        let now = self.clock.now();
        let app = Arc::clone(self);
        let update = async move |tx: &Tx<'_>| {
            Mark::begin(tx).await?;
            app.refresh_in(tx).await?;
            patch(tx, &app, (account, id), &change, now).await
        };
        let delivers = self.store.money.write(update).await?;
        self.refresh_committed().await;
        if delivers? {
            self.outbox.ring();
        }
        self.membership_read(account, id)
    }
}

/// Does it, as the directory stands: to be refreshed in this transaction, behind the lock of dated changes. Gives whether there is
/// something to deliver.
async fn patch(
    tx: &Tx<'_>,
    app: &App,
    (account, id): (AccountId, MembershipId),
    change: &MembershipChange,
    now: Instant,
) -> StoreResult<Result<bool>> {
    let before = match app.membership_read(account, id) {
        Ok(before) => before,
        Err(unknown) => return Ok(Err(unknown)),
    };
    let state = change.state.unwrap_or(before.state);
    let has_ended = app.program_read(account, before.program).is_ok_and(|program| is_archived(&program));
    if has_ended && state != before.state {
        return Ok(Err(Error::invalid("state", "stays as it is: the campaign was deleted")));
    }
    let token = change.ref_token.as_ref().unwrap_or(&before.row.ref_token);
    if *token != before.row.ref_token
        && let Err(refused) = check_token(token)
    {
        return Ok(Err(refused));
    }
    let mut data = before.data();
    for (key, value) in &change.data {
        if value.is_null() {
            data.remove(key);
        } else {
            data.insert(key.clone(), value.clone());
        }
    }
    let data = Value::Object(data).to_string();
    if (state, token, &data) == (before.state, &before.row.ref_token, &before.row.data) {
        return Ok(Ok(false));
    }
    if !membership_update(tx, account.0, id.0, state.name(), token, &data).await? {
        return Ok(Err(Error::invalid("ref_token", "has already been taken")));
    }
    let barred = state.is_barred();
    if barred != before.is_barred_at(now) {
        membership_status_put(tx, id.0, now.0, barred).await?;
        app.mark_from(account, now).set(tx).await?;
    }
    if state != before.state {
        look_at_member(tx, app, &before, state).await?;
    }
    let told = changed(&app.directory(), &before, state, token);
    Ok(Ok(announce(tx, app, &[told], now).await?))
}

/// A membership that was changed: under `updated`, and under the name of a new state.
pub(crate) fn changed(directory: &Directory, before: &Membership, state: MemberState, token: &str) -> Told {
    let mut next = Membership { state, ..before.clone() };
    token.clone_into(&mut next.row.ref_token);
    let mut changes = Map::new();
    if token != before.row.ref_token {
        changes.insert("ref_token".into(), json!([before.row.ref_token, token]));
    }
    let of_state = json!([before.state.name(), state.name()]);
    if state != before.state {
        changes.insert("state".into(), of_state.clone());
    }
    let mut names = vec![("updated", Value::Object(changes))];
    if state != before.state {
        names.push((state.name(), json!({"state": of_state})));
    }
    let data = entity(directory, &next);
    Told::other(before.account, before.program, "promoter_campaign", before.id.0, data, names)
}

/// Refuses a token that a caller may not choose.
pub(crate) fn check_token(token: &str) -> Result<()> {
    let message = "must have 1 to 64 letters, digits, `-`, `_` or `.`, and not the form of a token of ours";
    if is_token(token) { Ok(()) } else { Err(Error::invalid("ref_token", message)) }
}

/// A token that a caller may choose: no URL needs to escape it, and no membership to come will have it from the start.
fn is_token(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let parts = text.strip_prefix('p').and_then(|rest| rest.split_once('c'));
    let is_ours = parts.is_some_and(|(partner, program)| is_number(partner) && is_number(program));
    (1..=TOKEN_CHARACTERS_MAX).contains(&text.len()) && text.chars().all(plain) && !is_ours
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_token_is_never_one_that_a_membership_will_have_from_the_start() {
        for (text, is_free) in
            [("northdesk", true), ("p7", true), ("p7c1000", false), ("p7c1000x", true), ("a b", false), ("", false)]
        {
            assert_eq!(is_token(text), is_free, "{text}");
        }
        let first = first_token(1000, 7);
        assert!(!is_token(&first), "{first}");
    }
}
