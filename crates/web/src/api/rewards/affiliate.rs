//! The affiliate API (`/api/v2/affiliate`, `rewards-api.md` §11): what a partner's own user sees and may do.
//!
//! Every call reads the same operations as the company's calls and narrows them to the partner of the token. Invariant: an
//! object of another partner is answered as one that does not exist; the partners below are seen where a program says so.

pub mod campaigns;
pub mod commissions;
pub mod contract_documents;
pub mod payout_methods;
pub mod payouts;
pub mod promo_codes;
pub mod promoters;
pub mod referral_links;
pub mod referrals;
pub mod reports;

use super::problem::RewardsError;
use headwater_app::app::App;
use headwater_app::campaign::is_archived;
use headwater_app::directory::Partner;
use headwater_app::membership::Membership;
use headwater_domain::ids::MembershipId;
use std::sync::Arc;

/// The partner's membership of this number.
pub(super) fn own_membership(app: &App, partner: &Partner, id: i64) -> Result<Arc<Membership>, RewardsError> {
    let found = app.membership_read(partner.account, MembershipId(id))?;
    if found.partner == partner.id { Ok(found) } else { Err(RewardsError::not_found("promoter_campaign")) }
}

/// The same, where the partner may do something for it: not while it waits to be let in, after it was barred, or once its campaign
/// has ended.
pub(super) fn open_membership(app: &App, partner: &Partner, id: i64) -> Result<Arc<Membership>, RewardsError> {
    let (member, now) = (own_membership(app, partner, id)?, app.clock.now());
    if member.is_barred_at(now) || partner.is_suspended_at(now) {
        return Err(RewardsError::operation_failed("This membership is pending, rejected or blocked."));
    }
    if app.program_read(partner.account, member.program).is_ok_and(|program| is_archived(&program)) {
        return Err(RewardsError::operation_failed("The campaign of this membership was deleted."));
    }
    Ok(member)
}
