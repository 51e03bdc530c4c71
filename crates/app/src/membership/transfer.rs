//! A promoter leaves one campaign for another: by hand (`move_to_campaign`), or because it reached what its campaign asks.
//!
//! Its token goes with it, so that the link that it spread brings whoever follows it into the new campaign; what it brought
//! before stays where it is. Where it is in the other campaign already, both tokens are in use and each stays. Invariant: all of
//! it is one transaction, and done once: who has left and is there already is not moved again.

use super::{MemberState, Membership, changed, joined, made};
use crate::announce::Told;
use crate::app::App;
use crate::campaign::is_archived;
use crate::error::Error;
use crate::upgrade::look_at_member;
use headwater_domain::ids::{AccountId, MembershipId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::membership::{membership_insert, membership_status_put, membership_update};
use serde_json::{Map, Value};

/// Who leaves what for what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Transfer {
    pub account: AccountId,
    pub partner: PartnerId,
    pub from: ProgramId,
    pub to: ProgramId,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Transferred {
    /// Nothing where it was done before.
    pub told: Vec<Told>,
    /// The membership that was left, and the other one.
    pub memberships: Option<(MembershipId, MembershipId)>,
}

/// Does it, as the directory stands: to be refreshed in this transaction, behind the lock of dated changes. `note` is put into
/// what is kept of the membership that is left.
pub(crate) async fn transfer(
    tx: &Tx<'_>,
    app: &App,
    moving: Transfer,
    note: Map<String, Value>,
    now: Instant,
) -> StoreResult<Result<Transferred, Error>> {
    let directory = app.directory();
    let member = |program| directory.membership_in(program, moving.partner).filter(|m| m.account == moving.account);
    let (Some(left), known) = (member(moving.from), member(moving.to)) else {
        return Ok(Err(Error::NotFound("promoter_campaign")));
    };
    if directory.program(moving.account, moving.to).is_none_or(|program| is_archived(program)) {
        return Ok(Err(Error::NotFound("campaign")));
    }
    if moving.from == moving.to {
        return Ok(Err(Error::invalid("to_campaign_id", "must be another campaign")));
    }
    if left.state == MemberState::Inactive && known.is_some_and(|known| known.state != MemberState::Inactive) {
        return Ok(Ok(Transferred::default()));
    }
    if left.state.is_shut_out() || known.is_some_and(|known| known.state.is_shut_out()) {
        let message = "The promoter is rejected or blocked in one of the campaigns.".into();
        return Ok(Err(Error::Conflict { code: "member_barred", param: None, message }));
    }
    let (account, accepted) = (moving.account, MemberState::Accepted);
    let there = if let Some(known) = known {
        Membership::clone(known)
    } else {
        let (program, partner) = (moving.to.0, moving.partner.0);
        let (id, is_new) = membership_insert(tx, account.0, program, partner, accepted.name(), now.0).await?;
        if !is_new {
            // It joined a moment ago by a way that waits for nobody.
            return Ok(Err(Error::Busy));
        }
        made(id, account, moving.to, moving.partner, accepted, now)
    };
    let is_there = known.is_some_and(|known| known.state != MemberState::Inactive);
    let takes_token = !is_there && left.state != MemberState::Inactive;
    let (left_token, token) = if takes_token {
        // A token names one membership at every moment: this one is nobody's, and no caller may choose it.
        put(tx, left, left.state, &format!("~{}", left.id), &left.row.data).await?;
        (&there.row.ref_token, &left.row.ref_token)
    } else {
        (&left.row.ref_token, &there.row.ref_token)
    };
    let mut data = left.data();
    data.extend(note);
    put(tx, &there, accepted, token, &there.row.data).await?;
    put(tx, left, MemberState::Inactive, left_token, &Value::Object(data).to_string()).await?;
    for waited in [left, &there].into_iter().filter(|member| member.is_barred_at(now)) {
        // Whoever waited to be let in is, by being moved: what it brings and brought is paid from here on.
        membership_status_put(tx, waited.id.0, now.0, false).await?;
        app.mark_from(account, now).set(tx).await?;
    }
    if known.is_none_or(|known| known.state != accepted) {
        // It may have brought there before what the other campaign asks.
        look_at_member(tx, app, &there, accepted).await?;
    }
    let mut told = Vec::new();
    if known.is_none() {
        let mut new = there.clone();
        new.row.ref_token.clone_from(token);
        told.push(joined(&directory, &new));
    } else if (accepted, token) != (there.state, &there.row.ref_token) {
        told.push(changed(&directory, &there, accepted, token));
    }
    if (MemberState::Inactive, left_token) != (left.state, &left.row.ref_token) {
        told.push(changed(&directory, left, MemberState::Inactive, left_token));
    }
    Ok(Ok(Transferred { told, memberships: Some((left.id, there.id)) }))
}

async fn put(tx: &Tx<'_>, member: &Membership, state: MemberState, token: &str, data: &str) -> StoreResult<()> {
    if membership_update(tx, member.account.0, member.id.0, state.name(), token, data).await? {
        return Ok(());
    }
    Err(headwater_store::backend::Error::Abandoned(format!("the token of membership {} is another one's", member.id)))
}
