//! Where a fact stands: whose it is at its date, which rules of which plan versions price it, and who is above.
//!
//! A new plan version prices facts from its date on; a rule that adds up over periods waits for the first period that
//! begins on or after it (`commissions.md` §4). Facts of one partner between two dated changes share one [`Setting`].

use super::held::HeldReason;
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
    known: BTreeMap<(PartnerId, usize, i64, usize), Found>,
}

#[derive(Clone)]
enum Found {
    Setting(Arc<Setting>),
    NoPlan,
    Held,
}

/// What a moment of a partner's is.
pub(super) enum Standing {
    Priced(Place),
    /// The partner has no plan then: the fact pays nobody.
    Unplanned,
    Held(HeldReason, &'static str),
}

impl<'a> Places<'a> {
    pub(super) fn new(terms: &'a Terms<'a>) -> Self {
        let mut changes = BTreeSet::new();
        for partner in terms.partners.values() {
            changes.extend(partner.plans.iter().map(|version| version.from));
            changes.extend(partner.suspended.iter().map(|(from, _)| *from));
            changes.extend(partner.parents.iter().map(|(from, _)| *from));
        }
        Self { terms, changes: changes.into_iter().collect(), known: BTreeMap::new() }
    }

    /// The place of a moment of a partner's, for a customer that registered then.
    pub(super) fn find(&mut self, partner: PartnerId, at: Instant, registered_at: Instant) -> Standing {
        let epoch = self.changes.partition_point(|change| *change <= at);
        let keeps_plan = self.terms.partners.get(&partner).is_some_and(|terms| terms.keeps_acquired_plan);
        let acquired = if keeps_plan { self.changes.partition_point(|change| *change <= registered_at) } else { 0 };
        let Some(version) = self.terms.plan_at(partner, at, registered_at) else { return Standing::Unplanned };
        // The start of the period of the partner's own plan tells periods apart. A compressed partner's place is
        // another's, whose period may be of another length: then the day does.
        let day = version.plan.zone.day_of(at);
        let compresses = version.plan.on_suspended == OnSuspended::Compress && self.terms.is_suspended(partner, at);
        let first_day = if compresses { day } else { Period::holding(version.plan.period, day).first_day };
        let key = (partner, epoch, i64::from(first_day.year()) * 400 + i64::from(first_day.day_of_year()), acquired);
        if !self.known.contains_key(&key) {
            let found = self.setting(partner, at, registered_at);
            self.known.insert(key, found);
        }
        let found = self.known[&key].clone();
        match found {
            Found::Setting(setting) => Standing::Priced(Place { at, setting }),
            Found::NoPlan => Standing::Unplanned,
            Found::Held => Standing::Held(HeldReason::PartnerSuspended, "nobody above the suspended partner is active"),
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
            match terms.parent_at(direct, at).filter(|parent| passed.insert(*parent)) {
                Some(parent) => direct = parent,
                None => return Found::Held,
            }
        };
        let compress = version.plan.on_suspended == OnSuspended::Compress;
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
        Found::Setting(Arc::new(Setting {
            partner: direct,
            version: Arc::clone(version),
            period,
            bonuses: of_kind(|kind| matches!(kind, Kind::Bonus(_))),
            rebates: of_kind(|kind| matches!(kind, Kind::Rebate(_))),
            rules,
            chain,
            network,
        }))
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
