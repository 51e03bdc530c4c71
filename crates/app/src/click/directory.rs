//! What a click needs to know, in memory: programs, partners and links, put in as the rows that changed.
//!
//! Invariant: every answer is of one account; a number or name of another account is as if it did not exist.

use crate::key::KeyKind;
use crate::membership::{Membership, Memberships};
use headwater_domain::click::formx::FormxClaim;
use headwater_domain::click::keys::ClickKeys;
use headwater_domain::ids::{AccountId, LinkId, PartnerId, ProgramId, from_prefixed};
use headwater_domain::link::landing::{LandingPage, Site};
use headwater_domain::link::{LINK_PREFIX, Link, LinkStatus, Utm};
use headwater_domain::program::Settings;
use headwater_domain::time::Instant;
use headwater_store::directory::{Changes, LinkRow, PartnerRow, ProgramRow};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// A program, as far as clicks and links go.
#[derive(Debug, Clone)]
pub struct ClickProgram {
    /// Its number.
    pub id: ProgramId,
    /// Whose it is.
    pub account: AccountId,
    /// Where visitors land.
    pub site: Site,
    /// Its settings.
    pub settings: Settings,
    /// Where a visitor goes whose link cannot be used.
    pub default_landing_page: LandingPage,
}

/// A partner, as far as clicks and links go.
#[derive(Debug, Clone)]
pub struct ClickPartner {
    /// Its number.
    pub id: PartnerId,
    /// Whose it is.
    pub account: AccountId,
    /// The public id.
    pub external_id: String,
    /// The program it joined first.
    pub program: Option<ProgramId>,
    /// From when on it is suspended or not; the latest entry up to a moment counts.
    suspended_from: BTreeMap<Instant, bool>,
}

impl ClickPartner {
    /// Whether it is suspended at a moment.
    pub fn is_suspended(&self, at: Instant) -> bool {
        self.suspended_from.range(..=at).next_back().is_some_and(|(_, suspended)| *suspended)
    }
}

/// The tables.
#[derive(Debug, Clone, Default)]
pub struct ClickDirectory {
    programs: BTreeMap<ProgramId, Arc<ClickProgram>>,
    partners: HashMap<PartnerId, Arc<ClickPartner>>,
    partner_numbers: HashMap<(AccountId, String), PartnerId>,
    links: BTreeMap<LinkId, Arc<(AccountId, Link)>>,
    default_links: HashMap<(ProgramId, PartnerId), LinkId>,
    /// The brand tokens that are not revoked, by number.
    brands: BTreeMap<i64, ProgramId>,
    memberships: Memberships,
}

impl ClickDirectory {
    /// Puts in what changed. A row that cannot be used is left out and logged: one bad row must not stop the others.
    pub fn apply(&mut self, changes: &Changes, keys: &ClickKeys) {
        for row in &changes.programs {
            if let Some(program) = program(row) {
                self.programs.insert(program.id, Arc::new(program));
            } else {
                tracing::error!(program = row.id, "a stored program has no usable site");
            }
        }
        for row in &changes.partners {
            self.put_partner(row);
        }
        for row in &changes.partner_statuses {
            if let Some(partner) = self.partners.get_mut(&PartnerId(row.partner_id)) {
                Arc::make_mut(partner).suspended_from.insert(Instant(row.from_at), row.suspended);
            }
        }
        self.memberships.apply(changes.memberships.clone(), &changes.membership_statuses);
        for row in &changes.links {
            self.put_link(row, keys);
        }
        for row in changes.api_keys.iter().filter(|row| row.kind == KeyKind::Brand.name()) {
            match row.program_id.filter(|_| row.revoked_at.is_none()) {
                Some(program) => drop(self.brands.insert(row.id, ProgramId(program))),
                None => drop(self.brands.remove(&row.id)),
            }
        }
    }

    fn put_partner(&mut self, row: &PartnerRow) {
        let (id, account) = (PartnerId(row.id), AccountId(row.account_id));
        let suspended_from = self.partners.get(&id).map(|known| known.suspended_from.clone()).unwrap_or_default();
        self.partner_numbers.insert((account, row.external_id.clone()), id);
        let program = row.program_id.map(ProgramId);
        let external_id = row.external_id.clone();
        self.partners.insert(id, Arc::new(ClickPartner { id, account, external_id, program, suspended_from }));
    }

    fn put_link(&mut self, row: &LinkRow, keys: &ClickKeys) {
        let (account, program) = (AccountId(row.account_id), ProgramId(row.program_id));
        let Some(known) = self.programs.get(&program) else { return };
        let Some(link) = link_of_row(row, known, keys) else {
            tracing::error!(link = row.id, "a stored link cannot be read");
            return;
        };
        if row.is_default {
            self.default_links.insert((program, link.partner), link.id);
        }
        self.links.insert(link.id, Arc::new((account, link)));
    }

    /// Whether a brand pushes to this program, so that its landing pages want `tracking_data`.
    pub fn has_brand(&self, program: ProgramId) -> bool {
        self.brands.values().any(|known| *known == program)
    }

    /// A program of an account.
    pub fn program(&self, account: AccountId, id: ProgramId) -> Option<&Arc<ClickProgram>> {
        self.programs.get(&id).filter(|program| program.account == account)
    }

    /// Any program.
    pub fn program_of_any_account(&self, id: ProgramId) -> Option<&Arc<ClickProgram>> {
        self.programs.get(&id)
    }

    /// The account's first program: the default where a link names none.
    pub fn default_program(&self, account: AccountId) -> Option<&Arc<ClickProgram>> {
        self.programs.values().find(|program| program.account == account)
    }

    /// All programs, by number.
    pub fn programs(&self) -> impl Iterator<Item = &Arc<ClickProgram>> {
        self.programs.values()
    }

    /// A partner of an account by its public id, or by its number in decimal.
    pub fn partner_named(&self, account: AccountId, name: &str) -> Option<&Arc<ClickPartner>> {
        let by_name = self.partner_numbers.get(&(account, name.to_owned())).copied();
        let number = by_name.or_else(|| name.parse().ok().map(PartnerId))?;
        self.partner(account, number)
    }

    /// A partner of an account by its number.
    pub fn partner(&self, account: AccountId, id: PartnerId) -> Option<&Arc<ClickPartner>> {
        self.partners.get(&id).filter(|partner| partner.account == account)
    }

    /// Whether a partner is barred in a program at a moment.
    pub fn is_barred(&self, program: ProgramId, partner: PartnerId, at: Instant) -> bool {
        self.memberships.of(program, partner).is_some_and(|membership| membership.is_barred_at(at))
    }

    /// The memberships that a token names, of one account where it is known.
    pub fn memberships_named<'a>(
        &'a self,
        account: Option<AccountId>,
        token: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Membership>> {
        let named = self.memberships.of_token(token);
        named.filter(move |membership| account.is_none_or(|account| membership.account == account))
    }

    /// A link by its number, with its account.
    pub fn link(&self, id: LinkId) -> Option<&Arc<(AccountId, Link)>> {
        self.links.get(&id)
    }

    /// A link by its whole public id, with its account.
    pub fn link_named(&self, public_id: &str) -> Option<&Arc<(AccountId, Link)>> {
        let found = self.links.get(&LinkId(from_prefixed(LINK_PREFIX, public_id)?))?;
        (found.1.public_id() == public_id).then_some(found)
    }

    /// The link to which a click by `ref` alone belongs.
    pub fn default_link(&self, program: ProgramId, partner: PartnerId) -> Option<&Arc<(AccountId, Link)>> {
        self.links.get(self.default_links.get(&(program, partner))?)
    }

    /// Links of an account, newest first, after `before`, perhaps of one partner.
    pub fn links_before(
        &self,
        account: AccountId,
        partner: Option<PartnerId>,
        before: Option<LinkId>,
    ) -> impl Iterator<Item = &Link> {
        let end = before.unwrap_or(LinkId(i64::MAX));
        let of_account = self.links.range(..end).rev().map(|(_, entry)| entry).filter(move |e| e.0 == account);
        of_account.map(|entry| &entry.1).filter(move |link| partner.is_none_or(|p| link.partner == p))
    }

    /// The accounts that have a partner of this public id.
    pub fn accounts_with_partner(&self, name: &str) -> Vec<AccountId> {
        let mut accounts: Vec<AccountId> = self.programs.values().map(|program| program.account).collect();
        accounts.sort_unstable();
        accounts.dedup();
        accounts.retain(|account| self.partner_named(*account, name).is_some());
        accounts
    }
}

fn program(row: &ProgramRow) -> Option<ClickProgram> {
    let site = Site::parse(&row.site_url).ok()?;
    let stored: Map<String, Value> = serde_json::from_str(&row.settings).ok()?;
    let settings = Settings::default().with(&stored).ok()?;
    let default_landing_page =
        LandingPage::parse(&settings.default_landing_page, &site).unwrap_or_else(|_| LandingPage::root());
    Some(ClickProgram {
        id: ProgramId(row.id),
        account: AccountId(row.account_id),
        site,
        settings,
        default_landing_page,
    })
}

pub(crate) fn link_of_row(row: &LinkRow, program: &ClickProgram, keys: &ClickKeys) -> Option<Link> {
    let (id, partner) = (LinkId(row.id), PartnerId(row.partner_id));
    let stored: Map<String, Value> = serde_json::from_str(&row.utm).ok()?;
    let utm = Utm::from_pairs(stored.iter().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))).ok()?;
    // The site may have moved since: what no longer fits goes to the default page.
    let landing_page =
        LandingPage::parse(&row.landing_page, &program.site).unwrap_or_else(|_| program.default_landing_page.clone());
    let hide = || keys.hide(AccountId(row.account_id), FormxClaim { partner, link: id });
    Some(Link {
        id,
        partner,
        program: program.id,
        landing_page,
        formx: row.encrypt_partner_id.then(hide),
        region_routing: row.region_routing,
        utm,
        lang: row.lang.clone(),
        tracking_id: row.tracking_id.clone(),
        status: LinkStatus::parse(&row.status)?,
        metadata: row.metadata.clone(),
        created: Instant(row.created_at),
    })
}
