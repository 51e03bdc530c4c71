//! Which account, program, partner and link a visit names, and why its click may not count.
//!
//! In this order: `lid` names link and account; else the token of a membership (`fpr`, `via` …); else `campaign`, where it is a program's number; else the one account
//! that has a partner of this `ref`; else the program whose site shares the host's domain; else the first program.
//! Whatever is found, the visitor is sent somewhere, and strangers see no difference between the reasons.

use super::Visit;
use super::directory::{ClickDirectory, ClickPartner, ClickProgram};
use crate::campaign::{blocks_advertisements, has_ended, lets_advertisements_wait};
use headwater_domain::click::advertisement::is_advertisement;
use headwater_domain::click::formx::FormxClaim;
use headwater_domain::click::keys::ClickKeys;
use headwater_domain::click::token::Traffic;
use headwater_domain::click::visitor::RejectReason;
use headwater_domain::ids::{AccountId, PartnerId, ProgramId};
use headwater_domain::link::{Link, LinkStatus};
use headwater_domain::time::Instant;
use std::sync::Arc;

/// How campaigns name the token of a membership (`rewards-api.md` §8).
pub const REF_TOKEN_PARAMETERS: [&str; 8] = ["fpr", "via", "fp_ref", "deal", "ref", "_from", "_by", "_go"];

/// What a visit names.
#[derive(Debug)]
pub struct Resolved {
    /// The program; always known, since the visitor goes to its site.
    pub program: Arc<ClickProgram>,
    /// The partner.
    pub partner: Option<PartnerId>,
    /// How the landing URL names the partner: the partner token where the partner is hidden.
    pub partner_shown: Option<String>,
    /// The link.
    pub link: Option<Arc<(AccountId, Link)>>,
    /// Why it does not count.
    pub reject: Option<RejectReason>,
    /// What brought the visitor, as far as the program asks.
    pub traffic: Traffic,
    /// The partner has no default link in this program yet.
    pub needs_default_link: bool,
}

/// `None` only where there is no program.
pub fn resolve(directory: &ClickDirectory, keys: &ClickKeys, visit: &Visit, now: Instant) -> Option<Resolved> {
    let asked = |name: &str| visit.query.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let formx = asked("Formx");
    // A membership's token names partner and program at once, by one of the names that campaigns use for it.
    let member = REF_TOKEN_PARAMETERS.iter().find_map(|name| {
        let token = asked(name)?;
        let mut members = directory.memberships_named(None, token);
        members.next().filter(|_| members.next().is_none())
    });
    let named = asked("ref").or_else(|| asked("affid"));
    let is_member = member.filter(|member| {
        asked("affid").is_none() && named.is_none_or(|name| directory.partner_named(member.account, name).is_none())
    });
    let lid = asked("lid");
    let by_lid = lid.and_then(|lid| directory.link_named(lid)).cloned();
    let by_campaign = asked("campaign")
        .and_then(|text| text.parse().ok())
        .and_then(|number| directory.program_of_any_account(ProgramId(number)));

    let account = by_lid
        .as_ref()
        .map(|entry| entry.0)
        .or_else(|| is_member.map(|member| member.account))
        .or_else(|| by_campaign.map(|program| program.account))
        .or_else(|| formx.and_then(|text| account_of_formx(directory, keys, text)))
        .or_else(|| named.and_then(|name| only(&directory.accounts_with_partner(name))));
    let fallback = || directory.programs().find(|p| shares_domain(p, visit)).or_else(|| directory.programs().next());
    let account = account.or_else(|| fallback().map(|program| program.account))?;

    let claim = formx.map(|text| keys.reveal(text, account));
    let partner: Result<Option<&Arc<ClickPartner>>, RejectReason> = match (&claim, named) {
        (Some(Err(_)), _) => Err(RejectReason::BadFormx),
        (Some(Ok(claim)), _) => directory.partner(account, claim.partner).map(Some).ok_or(RejectReason::UnknownPartner),
        (None, _) if is_member.is_some() => {
            let found = is_member.filter(|member| member.account == account);
            let found = found.and_then(|member| directory.partner(account, member.partner));
            found.map(Some).ok_or(RejectReason::UnknownPartner)
        }
        (None, Some(name)) => directory.partner_named(account, name).map(Some).ok_or(RejectReason::UnknownPartner),
        (None, None) => match (&by_lid, lid) {
            (Some(entry), _) => Ok(directory.partner(account, entry.1.partner)),
            (None, Some(_)) => Err(RejectReason::UnknownLink),
            (None, None) => Err(RejectReason::UnknownPartner),
        },
    };
    let (partner, mut reject) = match partner {
        Ok(partner) => (partner, None),
        Err(reason) => (None, Some(reason)),
    };

    let by_formx = claim.as_ref().and_then(|c| c.as_ref().ok()).and_then(|c| directory.link(c.link)).cloned();
    let mut link = by_lid.or_else(|| by_formx.filter(|entry| entry.0 == account));
    let program = link
        .as_ref()
        .and_then(|entry| directory.program(account, entry.1.program))
        .or_else(|| is_member.and_then(|member| directory.program(account, member.program)))
        .or_else(|| by_campaign.filter(|program| program.account == account))
        .or_else(|| partner.and_then(|p| p.program).and_then(|id| directory.program(account, id)))
        .or_else(|| directory.default_program(account))
        .cloned()?;

    let mut needs_default_link = false;
    let mut traffic = Traffic::Open;
    if let Some(partner) = partner {
        if link.is_none() {
            link = directory.default_link(program.id, partner.id).cloned();
            needs_default_link = link.is_none();
        }
        let brings_nobody =
            directory.is_barred(program.id, partner.id, now) || has_ended(&program.settings.campaign, now);
        let barred = brings_nobody.then_some(RejectReason::BlockedPartner);
        reject = reject.or(barred).or_else(|| reason_against(partner, link.as_ref().map(|entry| &entry.1), now));
        let campaign = &program.settings.campaign;
        let is_bought = || is_bought(visit, link.as_ref().map(|entry| &entry.1));
        let is_blocked = blocks_advertisements(campaign) && is_bought();
        reject = reject.or(is_blocked.then_some(RejectReason::Advertisement));
        if lets_advertisements_wait(campaign) && is_bought() {
            traffic = Traffic::Advertised;
        }
    }
    let hidden = link.as_ref().and_then(|entry| entry.1.formx.clone());
    let partner_shown =
        formx.map(str::to_owned).or(hidden).or_else(|| partner.map(|partner| partner.external_id.clone()));
    Some(Resolved { program, partner: partner.map(|p| p.id), partner_shown, link, reject, traffic, needs_default_link })
}

/// Whether the visitor comes from a paid advertisement.
fn is_bought(visit: &Visit, link: Option<&Link>) -> bool {
    let query = visit.query.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    is_advertisement(query, link.and_then(|link| link.utm.medium.as_deref()))
}

fn reason_against(partner: &ClickPartner, link: Option<&Link>, now: Instant) -> Option<RejectReason> {
    if partner.is_suspended(now) {
        return Some(RejectReason::BlockedPartner);
    }
    let link = link?;
    if link.partner != partner.id {
        return Some(RejectReason::LinkOfAnotherPartner);
    }
    (link.status == LinkStatus::Paused).then_some(RejectReason::PausedLink)
}

/// The account under which a partner token is genuine. Each account is tried: there are few, and only with one does
/// the associated data agree.
fn account_of_formx(directory: &ClickDirectory, keys: &ClickKeys, text: &str) -> Option<AccountId> {
    let mut tried: Vec<AccountId> = Vec::new();
    for program in directory.programs() {
        if !tried.contains(&program.account) {
            let genuine: Result<FormxClaim, _> = keys.reveal(text, program.account);
            if genuine.is_ok() {
                return Some(program.account);
            }
            tried.push(program.account);
        }
    }
    None
}

fn only(accounts: &[AccountId]) -> Option<AccountId> {
    if let [one] = accounts { Some(*one) } else { None }
}

/// Whether the host that was asked lies under the last two labels of the program's site, or the other way round.
fn shares_domain(program: &ClickProgram, visit: &Visit) -> bool {
    let last_two = |host: &str| {
        let labels: Vec<&str> =
            host.split(':').next().unwrap_or(host).trim_end_matches('.').rsplit('.').take(2).collect();
        labels.join(".").to_ascii_lowercase()
    };
    let site = program.site.url().host_str().map(last_two);
    visit.host.as_deref().map(last_two).is_some_and(|asked| Some(asked) == site)
}
