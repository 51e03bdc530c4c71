//! Where a fact stands: whose it is at its date, which rules of which plan versions price it, and who is above.
//!
//! A new plan version prices facts from its date on; a rule that adds up over periods waits for the first period that
//! begins on or after it (`commissions.md` §4). Facts of one partner between two dated changes share one [`Setting`].

use super::plan::{Kind, OnSuspended, Plan, PlanVersion};
use super::terms::Terms;
use crate::ids::PartnerId;
use crate::time::{Instant, Period};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A rule of a plan version, by its index.
pub(super) type RuleOf = (Arc<PlanVersion>, usize);

/// A moment and what holds there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub at: Instant,
    pub setting: Arc<Setting>,
    /// Whether it is that of a partner whom the fact names, and who is not the customer's.
    pub is_of_named: bool,
}

impl Place {
    /// The period that a rule adds this moment up in: of the plan version that the rule stands in, which another version
    /// may have followed in the middle of the period.
    pub(super) fn period_of(&self, rule_of: &RuleOf) -> Period {
        let is_now = Arc::ptr_eq(&rule_of.0, &self.setting.version);
        if is_now { self.setting.period } else { period_of(&rule_of.0.plan, self.at) }
    }
}

/// What holds for a partner's facts between two dated changes within a period.
#[derive(Debug)]
pub(super) struct Setting {
    /// The direct partner: after `compress`, the next active one above.
    pub partner: PartnerId,
    /// The plan version at the moment.
    pub version: Arc<PlanVersion>,
    /// The period that holds the moment.
    pub period: Period,
    /// What prices the facts.
    pub rules: Vec<RuleOf>,
    /// The bonuses among them.
    pub bonuses: Vec<RuleOf>,
    /// The rebates among them.
    pub rebates: Vec<RuleOf>,
    /// The direct partner and all above it, nearest first; never empty.
    pub chain: Vec<Rung>,
    /// Rules of partners above whose volume counts the whole network.
    pub network: Vec<(PartnerId, RuleOf)>,
}

/// A place in the tree.
#[derive(Debug, Clone)]
pub(super) struct Rung {
    pub partner: PartnerId,
    pub suspended: bool,
    /// What the partner's own plan says then.
    pub rules: Vec<RuleOf>,
}

/// Finds places; remembers settings.
pub(super) struct Places<'a> {
    terms: &'a Terms<'a>,
    /// Every instant at which anything dated changes.
    changes: Vec<Instant>,
    /// A version for each way in which plans cut time into periods.
    cuts: Vec<&'a PlanVersion>,
    known: BTreeMap<(PartnerId, usize, i64, usize), Found>,
}

#[derive(Clone)]
enum Found {
    Setting(Arc<Setting>),
    NoPlan,
    Nobody(Arc<Setting>),
}

/// What a moment of a partner's is.
pub(super) enum Standing {
    Priced(Place),
    /// The partner has no plan then: the fact pays nobody.
    Unplanned,
    /// The partner and all above it are suspended and passed over: the fact counts for its own plan, and pays nobody.
    Nobody(Place),
}

impl<'a> Places<'a> {
    pub(super) fn new(terms: &'a Terms<'a>) -> Self {
        let mut changes = BTreeSet::new();
        for partner in terms.partners.values() {
            changes.extend(partner.plans.iter().map(|version| version.from));
            changes.extend(partner.suspended.iter().map(|(from, _)| *from));
            changes.extend(partner.parents.iter().map(|(from, _)| *from));
        }
        let mut cuts: Vec<&PlanVersion> = Vec::new();
        for version in terms.partners.values().flat_map(|partner| &partner.plans) {
            let is_same =
                |cut: &&PlanVersion| cut.plan.period == version.plan.period && cut.plan.zone == version.plan.zone;
            if !cuts.iter().any(is_same) {
                cuts.push(version);
            }
        }
        Self { terms, changes: changes.into_iter().collect(), cuts, known: BTreeMap::new() }
    }

    /// A number that changes whenever a period of any of the plans begins: those above cut time in their own way, and what
    /// their rules are may change with any of their periods.
    fn period_number(&self, at: Instant) -> i64 {
        let first_day = |version: &PlanVersion| period_of(&version.plan, at).first_day;
        if let [only] = self.cuts[..] {
            let day = first_day(only);
            return i64::from(day.year()) * 400 + i64::from(day.day_of_year());
        }
        let starts = self.cuts.iter().map(|version| version.plan.zone.start_of(first_day(version)));
        starts.max().map_or(0, |start| start.0)
    }

    /// The place of a moment of a partner's, for a customer that registered then.
    pub(super) fn find(&mut self, partner: PartnerId, at: Instant, registered_at: Instant) -> Standing {
        let epoch = self.changes.partition_point(|change| *change <= at);
        let keeps_plan = self.terms.partners.get(&partner).is_some_and(|terms| terms.keeps_acquired_plan);
        let acquired = if keeps_plan { self.changes.partition_point(|change| *change <= registered_at) } else { 0 };
        if self.terms.plan_at(partner, at, registered_at).is_none() {
            return Standing::Unplanned;
        }
        let key = (partner, epoch, self.period_number(at), acquired);
        if !self.known.contains_key(&key) {
            let found = self.setting(partner, at, registered_at);
            self.known.insert(key, found);
        }
        let found = self.known[&key].clone();
        match found {
            Found::Setting(setting) => Standing::Priced(Place { at, setting, is_of_named: false }),
            Found::NoPlan => Standing::Unplanned,
            Found::Nobody(setting) => Standing::Nobody(Place { at, setting, is_of_named: false }),
        }
    }

    fn setting(&self, partner: PartnerId, at: Instant, registered_at: Instant) -> Found {
        let terms = self.terms;
        let mut direct = partner;
        let mut passed = BTreeSet::new();
        let version = loop {
            let Some(version) = terms.plan_at(direct, at, registered_at) else { return Found::NoPlan };
            if version.plan.on_suspended != OnSuspended::Compress || !terms.is_suspended(direct, at) {
                break version;
            }
            let Some(parent) = terms.parent_at(direct, at).filter(|parent| passed.insert(*parent)) else {
                let version = terms.plan_at(partner, at, registered_at).expect("it was found above");
                return Found::Nobody(self.setting_of(partner, version, false, at, registered_at));
            };
            direct = parent;
        };
        let compress = version.plan.on_suspended == OnSuspended::Compress;
        Found::Setting(self.setting_of(direct, version, compress, at, registered_at))
    }

    fn setting_of(
        &self,
        direct: PartnerId,
        version: &Arc<PlanVersion>,
        compress: bool,
        at: Instant,
        registered_at: Instant,
    ) -> Arc<Setting> {
        let terms = self.terms;
        let mut chain = Vec::new();
        let mut seen = BTreeSet::new();
        let mut rung = Some(direct);
        while let Some(partner) = rung.filter(|partner| seen.insert(*partner)) {
            let suspended = terms.is_suspended(partner, at);
            if !(compress && suspended) {
                let rules = terms.rules_at(partner, at, registered_at).map_or_else(Vec::new, |(rules, _)| rules);
                chain.push(Rung { partner, suspended, rules });
            }
            rung = terms.parent_at(partner, at);
        }
        let mut network = Vec::new();
        for rung in &chain[1..] {
            let wide = |(version, index): &&RuleOf| {
                version.plan.rules[*index].brackets.as_ref().is_some_and(super::brackets::Brackets::is_of_network)
            };
            let wide = rung.rules.iter().filter(wide).cloned();
            network.extend(wide.map(|rule| (rung.partner, rule)));
        }
        let (rules, period) = terms.rules_at(direct, at, registered_at).expect("the direct partner has a plan");
        let of_kind = |is: fn(&Kind) -> bool| -> Vec<RuleOf> {
            rules.iter().filter(|(version, index)| is(&version.plan.rules[*index].kind)).cloned().collect()
        };
        Arc::new(Setting {
            partner: direct,
            version: Arc::clone(version),
            period,
            bonuses: of_kind(|kind| matches!(kind, Kind::Bonus(_))),
            rebates: of_kind(|kind| matches!(kind, Kind::Rebate(_))),
            rules,
            chain,
            network,
        })
    }
}

impl Terms<'_> {
    /// What prices a partner's facts at a moment, and the period of its plan that holds the moment.
    pub(super) fn rules_at(
        &self,
        partner: PartnerId,
        at: Instant,
        registered_at: Instant,
    ) -> Option<(Vec<RuleOf>, Period)> {
        let terms = self.partners.get(&partner)?;
        let now = terms.plan_at(at, registered_at)?;
        let period = period_of(&now.plan, at);
        let period_starts = now.plan.zone.start_of(period.first_day);
        let began = terms.plan_at(period_starts, registered_at);
        let mut rules = Vec::new();
        for (index, rule) in now.plan.rules.iter().enumerate() {
            let was_periodic =
                began.is_some_and(|began| began.plan.rule(&rule.id).is_some_and(|(_, r)| r.is_periodic()));
            if was_periodic {
                continue;
            }
            if !rule.is_periodic() {
                rules.push((Arc::clone(now), index));
                continue;
            }
            // It waits for the next period; until then the versions before it say what the rule is.
            let before = terms
                .plans_of(registered_at)
                .iter()
                .rev()
                .filter(|version| version.from <= at && version.from >= period_starts);
            let before = before.chain(began).find_map(|version| {
                let (index, rule) = version.plan.rule(&rule.id)?;
                (!rule.is_periodic() || version.from <= period_starts).then(|| (Arc::clone(version), index))
            });
            rules.extend(before);
        }
        if let Some(began) = began {
            let periodic = began.plan.rules.iter().enumerate().filter(|(_, rule)| rule.is_periodic());
            rules.extend(periodic.map(|(index, _)| (Arc::clone(began), index)));
        }
        rules.sort_by_key(|(_, index)| *index);
        Some((rules, period))
    }
}

/// The period of the plan that holds a moment.
pub(super) fn period_of(plan: &Plan, at: Instant) -> Period {
    Period::holding(plan.period, plan.zone.day_of(at))
}
