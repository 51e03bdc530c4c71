//! What batches do about promoters and referrals: each by its own operation, which changes nothing when it is repeated.
//!
//! Parameters are those that the call named, checked before the batch was made; here a missing one is an error of the item.

use super::BatchAction;
use crate::app::App;
use crate::error::{Error, Result};
use crate::membership::MemberState;
use crate::promoter::PromoterAct;
use crate::referral::{DENIED, ReferralChange, STATE};
use headwater_domain::ids::{AccountId, CustomerId, MembershipId, PartnerId, ProgramId};
use headwater_domain::time::Instant;
use serde_json::{Map, Value};
use std::sync::Arc;

/// Does it with one promoter or referral. `at` is when the batch was asked for: also when it is cut short and goes on.
pub(super) async fn act(
    app: &Arc<App>,
    account: AccountId,
    action: BatchAction,
    id: i64,
    parameters: &Map<String, Value>,
    at: Instant,
) -> Result<()> {
    let (partner, customer) = (PartnerId(id), CustomerId(id));
    let becomes = |state| -> Result<PromoterAct> {
        Ok(PromoterAct::Become(ProgramId(number(parameters, "campaign_id")?), state))
    };
    let act = match action {
        BatchAction::PromoterAccept | BatchAction::PromoterAddToCampaign => becomes(MemberState::Accepted)?,
        BatchAction::PromoterReject => becomes(MemberState::Rejected)?,
        BatchAction::PromoterBlock => becomes(MemberState::Blocked)?,
        BatchAction::PromoterArchive => PromoterAct::Archive,
        BatchAction::PromoterRestore => PromoterAct::Restore,
        BatchAction::PromoterMoveToCampaign => {
            let program = |name: &str| number(parameters, name).map(ProgramId);
            let (from, to) = (program("from_campaign_id")?, program("to_campaign_id")?);
            app.promoter_act(account, partner, &PromoterAct::Move(from, to)).await?;
            let is_soft = parameters.get("soft_move_referrals").and_then(Value::as_bool).unwrap_or(false);
            return if is_soft { app.referrals_follow(account, partner, from, to).await } else { Ok(()) };
        }
        BatchAction::PromoterAssignParent => PromoterAct::Under(PartnerId(number(parameters, "parent_promoter_id")?)),
        BatchAction::ReferralDelete => {
            let line = app.line(account, customer).await?;
            match app.referral_read(account, customer).await {
                // Deleted already: perhaps by this batch before it was cut short, and its clicks are still there.
                Err(Error::NotFound(noun)) => match app.customer_read(account, customer).await {
                    Ok(story) if story.person.is_erased => {}
                    _ => return Err(Error::NotFound(noun)),
                },
                other => drop(other?),
            }
            let all: Vec<CustomerId> = line.map_or(vec![customer], |line| line.customers().into_keys().collect());
            for customer in all {
                app.customer_erase(account, customer).await?;
            }
            return Ok(());
        }
        BatchAction::ReferralApprove | BatchAction::ReferralEnable => {
            return referral_state(app, account, customer, Value::Null).await;
        }
        BatchAction::ReferralDisable => return referral_state(app, account, customer, DENIED.into()).await,
        BatchAction::ReferralMoveToPromoter => {
            let to = app.membership_read(account, MembershipId(number(parameters, "promoter_campaign_id")?))?;
            let whole = parameters.get("move_associated_commissions").and_then(Value::as_bool).unwrap_or(false);
            return app.referral_move(account, customer, &to, whole, at).await.map(drop);
        }
        _ => return Err(Error::NotFound("operation of this action")),
    };
    app.promoter_act(account, partner, &act).await
}

async fn referral_state(app: &Arc<App>, account: AccountId, id: CustomerId, state: Value) -> Result<()> {
    let attributes = Map::from_iter([(STATE.to_owned(), state)]);
    app.referral_patch(account, id, ReferralChange { attributes, ..ReferralChange::default() }).await.map(drop)
}

fn number(parameters: &Map<String, Value>, name: &str) -> Result<i64> {
    parameters.get(name).and_then(Value::as_i64).ok_or_else(|| Error::invalid(name, "is required"))
}
