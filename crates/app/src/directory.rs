//! The configuration in memory: what a click or an event needs is looked up here, never in the store.
//!
//! It is brought up to date by change number, after each change on this node and once a second for the others'
//! (`store::counter`). Every look-up names its account, so nothing crosses it. Leaves reading plans to `plans`, and who listens to
//! `listening`.

mod listening;
mod plans;

pub use plans::PlanHistory;

use crate::campaign::ended_at;
use crate::key::Credential;
use crate::membership::{Membership, Memberships};
use headwater_domain::commission::{ExchangeRates, PartnerTerms};
use headwater_domain::ids::{AccountId, LinkId, MembershipId, PartnerId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::program::Settings;
use headwater_domain::time::{Date, Instant};
use headwater_store::directory::{
    Changes, EndpointRow, LinkRow, PartnerRow, PlanActivationRow, PlanVersionRow, ProgramRow,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The kind of endpoints that are webhooks of the rewards dialect.
pub const REWARDS_DIALECT: &str = "rewards";

/// A program and its parsed settings.
#[derive(Debug, Clone)]
pub struct Program {
    /// Its number.
    pub id: ProgramId,
    /// Its account.
    pub account: AccountId,
    /// Its row.
    pub row: ProgramRow,
    /// Its settings.
    pub settings: Settings,
    /// Periods that end on or before this day are closed.
    pub closed_before: Option<Date>,
}

impl Program {
    /// Reads a row; `None` where its settings do not parse.
    pub(crate) fn from_row(row: ProgramRow) -> Option<Self> {
        let stored = serde_json::from_str(&row.settings).ok()?;
        let settings = Settings::default().with(&stored).ok()?;
        let closed_before = row.closed_before.as_ref().and_then(|day| day.parse().ok());
        Some(Self { id: ProgramId(row.id), account: AccountId(row.account_id), row, settings, closed_before })
    }
}

/// A partner and what is dated about it.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Its number.
    pub id: PartnerId,
    /// Its account.
    pub account: AccountId,
    /// Its row.
    pub row: PartnerRow,
    /// Rates of its own by rule.
    pub rates: BTreeMap<String, Decimal>,
    /// Whether its stored rates could not be read.
    pub is_unreadable: bool,
    /// Its parents by date.
    pub parents: BTreeMap<i64, Option<PartnerId>>,
    /// Whether it is suspended, by date.
    pub suspended: BTreeMap<i64, bool>,
}

impl Partner {
    /// A partner of which nothing is dated yet.
    pub(crate) fn from_row(row: PartnerRow) -> Self {
        let rates = stored_rates(&row.rates);
        let is_unreadable = rates.is_none();
        let (id, account, rates) = (PartnerId(row.id), AccountId(row.account_id), rates.unwrap_or_default());
        Self { id, account, row, rates, is_unreadable, parents: BTreeMap::new(), suspended: BTreeMap::new() }
    }
    /// Whether it is suspended at `at`.
    pub fn is_suspended_at(&self, at: Instant) -> bool {
        self.suspended.range(..=at.0).next_back().is_some_and(|(_, suspended)| *suspended)
    }
    /// Its parent at `at`.
    pub fn parent_at(&self, at: Instant) -> Option<PartnerId> {
        self.parents.range(..=at.0).next_back().and_then(|(_, parent)| *parent)
    }
}

/// Something stored that cannot be read, in words: pricing without it would make money up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub String);

/// All configuration of all accounts.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    /// The change number that this is up to date with.
    pub version: i64,
    accounts: HashMap<AccountId, String>,
    programs: BTreeMap<ProgramId, Arc<Program>>,
    partners: HashMap<PartnerId, Arc<Partner>>,
    partner_names: HashMap<(AccountId, String), PartnerId>,
    plans: BTreeMap<(AccountId, String), PlanHistory>,
    links: HashMap<LinkId, Arc<LinkRow>>,
    default_links: HashMap<(ProgramId, PartnerId), LinkId>,
    keys: HashMap<String, Arc<Credential>>,
    endpoints: BTreeMap<i64, Arc<EndpointRow>>,
    exchange: HashMap<AccountId, Arc<ExchangeRates>>,
    /// Programs with a plan in which one person's facts can change what another's are worth.
    wide: BTreeSet<ProgramId>,
    memberships: Memberships,
    /// Accounts with a plan that looks along the tree.
    along_trees: BTreeSet<AccountId>,
    /// Who ever stood directly under a partner.
    children: HashMap<PartnerId, BTreeSet<PartnerId>>,
}

impl Directory {
    /// Puts in what changed.
    pub fn apply(&mut self, changes: Changes) {
        self.version = changes.version;
        for row in changes.accounts {
            self.accounts.insert(AccountId(row.id), row.name);
        }
        for row in changes.programs {
            let id = ProgramId(row.id);
            let Some(program) = Program::from_row(row) else {
                tracing::error!(program = id.0, "the stored settings of a program cannot be read; it is not served");
                self.programs.remove(&id);
                continue;
            };
            self.programs.insert(program.id, Arc::new(program));
        }
        for row in changes.partners {
            self.put_partner(row);
        }
        for row in changes.partner_parents {
            self.change_partner(row.partner_id, |p| {
                p.parents.insert(row.from_at, row.parent_id.map(PartnerId));
            });
            if let Some(parent) = row.parent_id {
                self.children.entry(PartnerId(parent)).or_default().insert(PartnerId(row.partner_id));
            }
        }
        for row in changes.partner_statuses {
            self.change_partner(row.partner_id, |p| {
                p.suspended.insert(row.from_at, row.suspended);
            });
        }
        self.memberships.apply(changes.memberships, &changes.membership_statuses);
        self.apply_plans(changes.plan_versions, changes.plan_activations);
        for row in changes.links {
            let id = LinkId(row.id);
            if row.is_default {
                self.default_links.insert((ProgramId(row.program_id), PartnerId(row.partner_id)), id);
            }
            self.links.insert(id, Arc::new(row));
        }
        for row in changes.api_keys {
            self.keys.insert(row.lookup.clone(), Arc::new(Credential::from_row(row)));
        }
        for row in changes.endpoints {
            self.endpoints.insert(row.id, Arc::new(row));
        }
        for row in changes.exchange_rates {
            let day = row.day.parse().ok();
            let pair = Currency::parse(&row.from_currency).zip(Currency::parse(&row.to_currency));
            if let (Some(day), Some((from, to)), Ok(rate)) = (day, pair, Decimal::parse(&row.rate)) {
                let rates = self.exchange.entry(AccountId(row.account_id)).or_default();
                Arc::make_mut(rates).insert(day, from, to, rate);
            } else {
                tracing::error!(account = row.account_id, day = row.day, "a stored exchange rate cannot be read");
            }
        }
        self.find_wide();
    }

    /// A plan counts for every program of its account, also after another one took its place.
    fn find_wide(&mut self) {
        let accounts: BTreeSet<_> =
            self.plans.iter().filter(|(_, history)| history.is_wide).map(|((account, _), _)| *account).collect();
        let wide = self.programs.values().filter(|program| accounts.contains(&program.account));
        self.wide = wide.map(|program| program.id).collect();
        let along_trees = self.plans.iter().filter(|(_, history)| history.is_along_trees);
        self.along_trees = along_trees.map(|((account, _), _)| *account).collect();
    }

    /// Whether one person's facts can change what another's are worth in this program.
    pub fn is_wide(&self, program: ProgramId) -> bool {
        self.wide.contains(&program)
    }
    /// The partners whose cells hold something of each other's clients: the partner alone, or its tree where any plan of its
    /// account looks along it; also by places that were left since.
    pub fn stands_with(&self, partner: PartnerId) -> BTreeSet<PartnerId> {
        let mut found = BTreeSet::from([partner]);
        let Some(account) = self.partners.get(&partner).map(|partner| partner.account) else { return found };
        if !self.along_trees.contains(&account) {
            return found;
        }
        let mut open = vec![partner];
        while let Some(partner) = open.pop() {
            let above = self.partners.get(&partner).into_iter().flat_map(|p| p.parents.values().flatten());
            let below = self.children.get(&partner).into_iter().flatten();
            open.extend(above.chain(below).filter(|next| found.insert(**next)));
        }
        found
    }
    /// Every program of every account, for what time alone does.
    pub fn programs_of_all_accounts(&self) -> impl Iterator<Item = &Arc<Program>> {
        self.programs.values()
    }

    fn put_partner(&mut self, row: PartnerRow) {
        let mut partner = Partner::from_row(row);
        if partner.is_unreadable {
            tracing::error!(partner = partner.row.id, "the stored rates of a partner cannot be read; it is not priced");
        }
        if let Some(before) = self.partners.get(&partner.id) {
            partner.parents.clone_from(&before.parents);
            partner.suspended.clone_from(&before.suspended);
        }
        self.partner_names.insert((partner.account, partner.row.external_id.clone()), partner.id);
        self.partners.insert(partner.id, Arc::new(partner));
    }

    fn change_partner(&mut self, id: i64, change: impl FnOnce(&mut Partner)) {
        if let Some(partner) = self.partners.get_mut(&PartnerId(id)) {
            change(Arc::make_mut(partner));
        }
    }

    fn apply_plans(&mut self, versions: Vec<PlanVersionRow>, activations: Vec<PlanActivationRow>) {
        let mut touched = BTreeSet::new();
        for row in versions {
            let name = (AccountId(row.account_id), row.name.clone());
            self.plans.entry(name.clone()).or_default().save(row);
            touched.insert(name);
        }
        for row in activations {
            let name = (AccountId(row.account_id), row.name.clone());
            self.plans.entry(name.clone()).or_default().activations.insert(row.from_at, row.number);
            touched.insert(name);
        }
        for name in touched {
            self.plans.entry(name).or_default().read_timeline();
        }
    }

    /// A program of this account.
    pub fn program(&self, account: AccountId, id: ProgramId) -> Option<&Arc<Program>> {
        self.programs.get(&id).filter(|p| p.account == account)
    }
    /// A program by its number alone, for the public redirect.
    pub fn program_of_any_account(&self, id: ProgramId) -> Option<&Arc<Program>> {
        self.programs.get(&id)
    }
    /// The account's first program, which requests mean that name none.
    pub fn default_program(&self, account: AccountId) -> Option<&Arc<Program>> {
        self.programs.values().find(|p| p.account == account)
    }
    /// All programs of this account, oldest first.
    pub fn programs(&self, account: AccountId) -> impl Iterator<Item = &Arc<Program>> {
        self.programs.values().filter(move |p| p.account == account)
    }
    /// A partner of this account by the operator's id, else by its number.
    pub fn partner(&self, account: AccountId, name: &str) -> Option<&Arc<Partner>> {
        let by_name = self.partner_names.get(&(account, name.to_owned())).copied();
        let id = by_name.or_else(|| name.parse().ok().map(PartnerId))?;
        self.partner_by_id(account, id)
    }
    /// A partner of this account by its number.
    pub fn partner_by_id(&self, account: AccountId, id: PartnerId) -> Option<&Arc<Partner>> {
        self.partners.get(&id).filter(|p| p.account == account)
    }
    /// All partners of this account, oldest first.
    pub fn partners(&self, account: AccountId) -> Vec<Arc<Partner>> {
        let mut all: Vec<_> = self.partners.values().filter(|p| p.account == account).cloned().collect();
        all.sort_by_key(|p| p.id);
        all
    }
    /// A partner's membership in a program.
    pub fn membership_in(&self, program: ProgramId, partner: PartnerId) -> Option<&Arc<Membership>> {
        self.memberships.of(program, partner)
    }
    /// A membership of this account by its number.
    pub fn membership(&self, account: AccountId, id: MembershipId) -> Option<&Arc<Membership>> {
        self.memberships.get(id).filter(|membership| membership.account == account)
    }
    /// A membership of this account by its token.
    pub fn membership_by_token(&self, account: AccountId, token: &str) -> Option<&Arc<Membership>> {
        self.memberships.by_token(account, token)
    }
    /// All memberships of this account, oldest first.
    pub fn memberships(&self, account: AccountId) -> impl Iterator<Item = &Arc<Membership>> {
        self.memberships.all().filter(move |membership| membership.account == account)
    }
    /// A link of this account.
    pub fn link(&self, account: AccountId, id: LinkId) -> Option<&Arc<LinkRow>> {
        self.links.get(&id).filter(|l| l.account_id == account.0)
    }
    /// The link that clicks without one belong to.
    pub fn default_link(&self, program: ProgramId, partner: PartnerId) -> Option<LinkId> {
        self.default_links.get(&(program, partner)).copied()
    }
    /// All links of this account, newest first.
    pub fn links(&self, account: AccountId) -> Vec<Arc<LinkRow>> {
        let mut all: Vec<_> = self.links.values().filter(|l| l.account_id == account.0).cloned().collect();
        all.sort_by_key(|l| std::cmp::Reverse(l.id));
        all
    }
    /// The credential with this public part.
    pub fn credential(&self, lookup: &str) -> Option<&Arc<Credential>> {
        self.keys.get(lookup)
    }
    /// Every credential of every account.
    pub fn all_credentials(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.keys.values()
    }
    /// All credentials of this account, oldest first.
    pub fn credentials(&self, account: AccountId) -> Vec<Arc<Credential>> {
        let mut all: Vec<_> = self.keys.values().filter(|k| k.account == account).cloned().collect();
        all.sort_by_key(|k| k.id);
        all
    }
    /// Every endpoint of this account that is not deleted, oldest first.
    pub fn endpoints(&self, account: AccountId) -> impl Iterator<Item = &Arc<EndpointRow>> {
        self.endpoints.values().filter(move |e| e.account_id == account.0 && e.deleted_at.is_none())
    }
    /// An endpoint of this account, deleted or not.
    pub fn endpoint(&self, account: AccountId, id: i64) -> Option<&Arc<EndpointRow>> {
        self.endpoints.get(&id).filter(|e| e.account_id == account.0)
    }
    /// A plan of this account.
    pub fn plan(&self, account: AccountId, name: &str) -> Option<&PlanHistory> {
        self.plans.get(&(account, name.to_owned()))
    }
    /// All plans of this account by name.
    pub fn plans(&self, account: AccountId) -> impl Iterator<Item = (&str, &PlanHistory)> {
        self.plans.iter().filter(move |((a, _), _)| *a == account).map(|((_, name), history)| (name.as_str(), history))
    }
    /// Every exchange rate of this account; shared, since every event asks.
    pub fn exchange(&self, account: AccountId) -> Arc<ExchangeRates> {
        self.exchange.get(&account).cloned().unwrap_or_default()
    }

    /// What is dated about a partner in a program: its own plan's versions, else the program's.
    ///
    /// # Errors
    /// Where its plan or its rates are stored but cannot be read.
    pub fn partner_terms(&self, program: &Program, id: PartnerId) -> Result<PartnerTerms, Unreadable> {
        let Some(partner) = self.partner_by_id(program.account, id) else { return Ok(PartnerTerms::default()) };
        let name = partner.row.plan.as_ref().or(program.settings.plan.as_ref());
        let plan = name.and_then(|name| self.plan(program.account, name));
        if let (Some(name), Some(number)) = (name, plan.and_then(|plan| plan.unreadable)) {
            return Err(Unreadable(format!("version {number} of the plan {name} cannot be read")));
        }
        if partner.is_unreadable {
            return Err(Unreadable(format!("the rates of partner {id} cannot be read")));
        }
        Ok(PartnerTerms {
            plans: plan.map(|p| p.timeline.clone()).unwrap_or_default(),
            rates: partner.rates.clone(),
            suspended: self.earns_nothing(program, partner),
            parents: partner.parents.iter().map(|(at, parent)| (Instant(*at), *parent)).collect(),
            keeps_acquired_plan: program.settings.keeps_acquired_plan,
        })
    }

    /// From when on a partner earns nothing in a program: suspended, barred there, or its campaign has ended.
    fn earns_nothing(&self, program: &Program, partner: &Partner) -> Vec<(Instant, bool)> {
        let barred = self.memberships.of(program.id, partner.id).map(|membership| membership.barred.clone());
        let ended = ended_at(&program.settings.campaign).map(|at| (at.0, true));
        any_of(&[&partner.suspended, &barred.unwrap_or_default(), &ended.into_iter().collect()])
    }
}

/// From when on any of them holds, and from when on none does.
fn any_of(dated: &[&BTreeMap<i64, bool>]) -> Vec<(Instant, bool)> {
    let holds = |dated: &BTreeMap<i64, bool>, at: i64| dated.range(..=at).next_back().is_some_and(|(_, holds)| *holds);
    let moments: BTreeSet<i64> = dated.iter().flat_map(|one| one.keys()).copied().collect();
    moments.into_iter().map(|at| (Instant(at), dated.iter().any(|one| holds(one, at)))).collect()
}

fn stored_rates(text: &str) -> Option<BTreeMap<String, Decimal>> {
    let stored: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
    stored.into_iter().map(|(rule, rate)| Some((rule, Decimal::parse(&rate).ok()?))).collect()
}
