//! Links: creating, reading with counters, changing.
//!
//! Leaves to others: what a click on one does (`click`). A link is never deleted, since clicks and money point to it.

use crate::click::Clicks;
use crate::click::directory::{ClickPartner, ClickProgram, link_of_row};
use crate::keep::Keep;
use headwater_domain::ids::{AccountId, LinkId, PartnerId, ProgramId, first_id_at};
use headwater_domain::link::landing::LandingPage;
use headwater_domain::link::{Link, LinkError, LinkStatus, STATS_WINDOW_DAYS, Utm, parse_lang};
use headwater_domain::time::Instant;
use headwater_store::backend::{Error, Tx};
use headwater_store::click::ClickCounts;
use headwater_store::directory::LinkRow;
use headwater_store::link::{LinkEventCount, NewLink, link_event_counts, link_insert, link_update};
use std::sync::Arc;

/// What a caller says of a new link; names are public ids.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "each field is the parameter of its own name")]
pub struct LinkRequest {
    pub partner_id: String,
    pub landing_page: String,
    pub encrypt_partner_id: bool,
    pub utm: Vec<(String, String)>,
    pub region_routing: bool,
    pub lang: Option<String>,
    pub program_id: Option<String>,
    /// JSON text.
    pub metadata: String,
}

/// Why a link is not made or found.
#[derive(Debug, thiserror::Error)]
pub enum LinkFailure {
    /// No such partner in this account.
    #[error("No partner has this id.")]
    UnknownPartner,
    /// No such program in this account, or none that the key may use.
    #[error("No program has this id.")]
    UnknownProgram,
    /// No such link in this account.
    #[error("No link has this id.")]
    UnknownLink,
    /// A parameter.
    #[error(transparent)]
    Refused(#[from] LinkError),
    /// The store.
    #[error(transparent)]
    Store(#[from] Error),
}

/// The counters of a link's last 30 days.
#[derive(Debug, Clone)]
pub struct LinkStats {
    /// Clicks that counted.
    pub clicks: ClickCounts,
    /// Events by type.
    pub events: Vec<LinkEventCount>,
}

/// Makes the row of a link without writing it. `programs` is what the key may use; `None`: all.
fn prepare(
    clicks: &Clicks,
    account: AccountId,
    programs: Option<&[ProgramId]>,
    asked: &LinkRequest,
    now: Instant,
) -> Result<NewLink, LinkFailure> {
    let directory = clicks.directory();
    let partner = directory.partner_named(account, &asked.partner_id).ok_or(LinkFailure::UnknownPartner)?;
    let program = program_for(clicks, account, programs, asked.program_id.as_deref(), partner)?;
    let landing_page = LandingPage::parse(&asked.landing_page, &program.site).map_err(LinkError::from)?;
    let utm = Utm::from_pairs(asked.utm.iter().map(|(key, value)| (key.as_str(), value.as_str())))?;
    let lang = asked.lang.as_deref().map(parse_lang).transpose()?;
    Ok(NewLink {
        account_id: account.0,
        program_id: program.id.0,
        partner_id: partner.id.0,
        landing_page: landing_page.as_str().to_owned(),
        encrypt_partner_id: asked.encrypt_partner_id,
        region_routing: asked.region_routing,
        lang,
        utm: utm_json(&utm),
        tracking_id: new_tracking_id(),
        metadata: asked.metadata.clone(),
        is_default: false,
        created_at: now.0,
    })
}

/// Creates a link.
pub async fn create(
    clicks: &Clicks,
    account: AccountId,
    programs: Option<&[ProgramId]>,
    asked: &LinkRequest,
    now: Instant,
    keep: Keep<Link>,
) -> Result<Link, LinkFailure> {
    let new = prepare(clicks, account, programs, asked, now)?;
    let program = clicks.directory().program(account, ProgramId(new.program_id)).cloned();
    let (program, keys) = (program.ok_or(LinkFailure::UnknownProgram)?, clicks.keys().clone());
    let write = async move |tx: &Tx<'_>| {
        let id = link_insert(tx, &new).await?.ok_or(Error::Missing)?;
        let link = link_of_row(&row_of(id, &new), &program, &keys).ok_or(Error::Missing)?;
        keep.keep(tx, &link).await?;
        Ok(link)
    };
    let link = clicks.store().money.write(write).await?;
    clicks.refresh_committed().await;
    Ok(link)
}

/// A new link as it will be read back.
fn row_of(id: i64, new: &NewLink) -> LinkRow {
    LinkRow {
        id,
        account_id: new.account_id,
        program_id: new.program_id,
        partner_id: new.partner_id,
        landing_page: new.landing_page.clone(),
        encrypt_partner_id: new.encrypt_partner_id,
        region_routing: new.region_routing,
        lang: new.lang.clone(),
        utm: new.utm.clone(),
        tracking_id: new.tracking_id.clone(),
        status: LinkStatus::Active.name().to_owned(),
        metadata: new.metadata.clone(),
        is_default: new.is_default,
        created_at: new.created_at,
    }
}

/// A link by its public id.
pub fn read(
    clicks: &Clicks,
    account: AccountId,
    programs: Option<&[ProgramId]>,
    public_id: &str,
) -> Result<Link, LinkFailure> {
    let directory = clicks.directory();
    let entry = directory.link_named(public_id).ok_or(LinkFailure::UnknownLink)?;
    visible(entry, account, programs).cloned().ok_or(LinkFailure::UnknownLink)
}

/// A link's counters.
pub async fn stats(clicks: &Clicks, account: AccountId, link: LinkId, now: Instant) -> Result<LinkStats, LinkFailure> {
    let from_id = first_id_at(now.plus_seconds(-i64::from(STATS_WINDOW_DAYS) * 86_400));
    let events = clicks.store().money.read(async move |tx| link_event_counts(tx, account.0, link.0, from_id).await);
    let (counts, events) = tokio::join!(clicks.counts(account, link, now), events);
    Ok(LinkStats { clicks: counts?, events: events? })
}

/// Changes status and metadata.
pub async fn patch(
    clicks: &Clicks,
    account: AccountId,
    programs: Option<&[ProgramId]>,
    public_id: &str,
    status: Option<LinkStatus>,
    metadata: Option<String>,
) -> Result<Link, LinkFailure> {
    let id = read(clicks, account, programs, public_id)?.id;
    let write = async move |tx: &Tx<'_>| {
        link_update(tx, account.0, id.0, status.map(LinkStatus::name), metadata.as_deref()).await
    };
    clicks.store().money.write(write).await?;
    clicks.refresh_committed().await;
    find(clicks, account, programs, id)
}

/// At most `limit + 1` links, newest first, after the link `after`, perhaps of one partner.
pub fn list(
    clicks: &Clicks,
    account: AccountId,
    programs: Option<&[ProgramId]>,
    partner: Option<PartnerId>,
    after: Option<LinkId>,
    limit: usize,
) -> Vec<Link> {
    let directory = clicks.directory();
    let links = directory.links_before(account, partner, after);
    links.filter(|l| programs.is_none_or(|p| p.contains(&l.program))).take(limit + 1).cloned().collect()
}

/// Makes the default link of a partner in a program, to which clicks by `ref` alone belong. Two visitors at once make
/// one: the unique index decides.
pub(crate) async fn ensure_default(
    clicks: &Clicks,
    resolved: &crate::click::Resolved,
    now: Instant,
) -> Result<(), Error> {
    let Some(partner) = resolved.partner else { return Ok(()) };
    let new = NewLink {
        account_id: resolved.program.account.0,
        program_id: resolved.program.id.0,
        partner_id: partner.0,
        landing_page: resolved.program.default_landing_page.as_str().to_owned(),
        encrypt_partner_id: false,
        region_routing: false,
        lang: None,
        utm: "{}".into(),
        tracking_id: new_tracking_id(),
        metadata: "{}".into(),
        is_default: true,
        created_at: now.0,
    };
    clicks.store().money.write(async move |tx| link_insert(tx, &new).await).await?;
    clicks.refresh_committed().await;
    Ok(())
}

fn find(clicks: &Clicks, account: AccountId, programs: Option<&[ProgramId]>, id: LinkId) -> Result<Link, LinkFailure> {
    let directory = clicks.directory();
    let entry = directory.link(id).ok_or(LinkFailure::UnknownLink)?;
    visible(entry, account, programs).cloned().ok_or(LinkFailure::UnknownLink)
}

fn visible<'l>(
    entry: &'l Arc<(AccountId, Link)>,
    account: AccountId,
    programs: Option<&[ProgramId]>,
) -> Option<&'l Link> {
    let fits = entry.0 == account && programs.is_none_or(|p| p.contains(&entry.1.program));
    fits.then_some(&entry.1)
}

fn program_for(
    clicks: &Clicks,
    account: AccountId,
    programs: Option<&[ProgramId]>,
    named: Option<&str>,
    partner: &ClickPartner,
) -> Result<Arc<ClickProgram>, LinkFailure> {
    let directory = clicks.directory();
    let found = match named {
        Some(text) => text.parse().ok().and_then(|number| directory.program(account, ProgramId(number))),
        None => {
            partner.program.and_then(|id| directory.program(account, id)).or_else(|| directory.default_program(account))
        }
    };
    let found = found.filter(|program| programs.is_none_or(|p| p.contains(&program.id)));
    found.cloned().ok_or(LinkFailure::UnknownProgram)
}

fn utm_json(utm: &Utm) -> String {
    let map: serde_json::Map<_, serde_json::Value> =
        utm.pairs().map(|(key, value)| (key.to_owned(), value.into())).collect();
    serde_json::Value::Object(map).to_string()
}

/// Six characters: a name for people, not a key of anything.
fn new_tracking_id() -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bytes = [0_u8; 6];
    // Without randomness the name is dull, not wrong.
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}
