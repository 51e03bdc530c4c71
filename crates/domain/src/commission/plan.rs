//! A plan as the engine reads it: parsed, linted, every default filled in (`commissions.md` §3).
//!
//! Only `lint` makes one, so a plan in hand is a plan without mistakes. Each rule kind keeps its own file.

use super::bonus::{Bonus, Rebate};
use super::brackets::{Brackets, Mode};
use super::budget::Budget;
use super::cap::{Cap, CapPer};
use super::carry::Carry;
use super::condition::Conditions;
use super::cpa::Cpa;
use super::cpa_ladder::CpaLadder;
use super::eligibility::Eligibility;
use super::external::External;
use super::flat::Flat;
use super::per_lot::PerLot;
use super::per_million::PerMillion;
use super::percent::Percent;
use super::sales::Sales;
use super::tiers::Tiers;
use crate::money::{Currency, Decimal, Unit};
use crate::time::{Instant, PeriodLength, Zone};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A linted plan document.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What it pays in, and what its minimums are in.
    pub currency: Currency,
    /// The accounting period.
    pub period: PeriodLength,
    /// How days are cut.
    pub zone: Zone,
    /// Days of 24 hours from the fact until an approved amount is payable.
    pub hold_days: i64,
    /// Whether postings need nobody's approval.
    pub auto_approve: bool,
    /// The first deposit is the sum within this many hours of the first one; 0: the first alone.
    pub ftd_window_hours: i64,
    /// Whether reversals and chargebacks take back.
    pub clawback: bool,
    /// An exchange rate older than this is none.
    pub max_rate_age_days: i64,
    /// What makes a customer a qualified FTD.
    pub qualification: Option<Conditions>,
    /// What a suspended partner's place in the tree does.
    pub on_suspended: OnSuspended,
    /// What everything paid for one trade or daily row stays within.
    pub budget: Option<Budget>,
    /// How the partners above take part.
    pub tiers: Option<Tiers>,
    /// Instrument groups.
    pub groups: BTreeMap<String, BTreeSet<String>>,
    /// The rules, in document order.
    pub rules: Vec<Rule>,
}

/// One rule: what every kind has, and its kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Unique in the plan.
    pub id: Arc<str>,
    /// Which facts and customers it is about.
    pub when: When,
    /// Who is paid.
    pub pays: Pays,
    /// In what.
    pub unit: Unit,
    /// The factor on its worth.
    pub weight: Decimal,
    /// Whether the plan's tiers apply to it.
    pub tiers: bool,
    /// Rates by the volume of a period.
    pub brackets: Option<Brackets>,
    /// The most that it is worth.
    pub cap: Option<Cap>,
    /// What a negative period does.
    pub carry: Option<Carry>,
    /// Which trades count.
    pub eligibility: Option<Eligibility>,
    /// Which sales count; `None` where it is not asked.
    pub sales: Option<Sales>,
    /// What it is worth.
    pub kind: Kind,
}

/// What a rule is worth; one file per kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// An amount per event.
    Flat(Flat),
    /// An amount once qualified.
    Cpa(Cpa),
    /// The amount of the highest step that the deposits reach.
    CpaLadder(CpaLadder),
    /// Lots times a rate.
    PerLot(PerLot),
    /// Volume times a rate.
    PerMillion(PerMillion),
    /// A share of revenue.
    Percent(Percent),
    /// A percent of another rule, on top.
    Bonus(Bonus),
    /// A percent of another rule, from the partner to the client.
    Rebate(Rebate),
    /// The broker's own figure.
    External(External),
}

/// What a suspended partner's place in the tree does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnSuspended {
    /// Its part is held; everybody else keeps their place.
    Block,
    /// It is passed over: those above move down.
    Compress,
    /// Its part stays with the house.
    House,
}

/// Who is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pays {
    /// The partner.
    Partner,
    /// The customer.
    Customer,
}

/// How often an amount is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OncePer {
    /// For each event.
    Event,
    /// For each account.
    Customer,
    /// For each person.
    Person,
}

/// Filters; an empty list lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// The account's country.
    pub country: Vec<String>,
    /// The account's type.
    pub account_type: Vec<String>,
    /// The fact's instrument.
    pub instrument: Vec<String>,
    /// A group of the plan that holds the instrument.
    pub group: Vec<String>,
    /// The source's product group.
    pub product_group: Vec<String>,
    /// The event's name.
    pub event: Vec<String>,
    /// The account's campaign.
    pub campaign: Vec<String>,
    /// The account's link.
    pub link: Vec<String>,
}

/// A plan from a date on.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanVersion {
    /// The plan's name.
    pub name: String,
    /// Counts from 1.
    pub version: i64,
    /// In force from here.
    pub from: Instant,
    /// What it says.
    pub plan: Plan,
}

impl When {
    /// Whether a fact of a client may pass both: no filter of the one shuts out all that the other lets through.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let lists = |when: &Self| {
            let Self { country, account_type, instrument, product_group, event, campaign, link, .. } = when.clone();
            [country, account_type, instrument, product_group, event, campaign, link]
        };
        let meets = |(one, other): (Vec<String>, Vec<String>)| {
            one.is_empty() || other.is_empty() || one.iter().any(|entry| other.contains(entry))
        };
        lists(self).into_iter().zip(lists(other)).all(meets)
    }

    /// Whether the account passes: country, account type, campaign and link.
    pub fn admits_customer(&self, customer: &super::CustomerView) -> bool {
        admits(&self.country, customer.country.as_deref())
            && admits(&self.account_type, customer.account_type.as_deref())
            && admits(&self.campaign, customer.campaign.as_deref())
            && admits(&self.link, customer.link.as_deref())
    }

    /// Whether trading in this instrument passes.
    pub fn admits_instrument(&self, plan: &Plan, instrument: &str, product_group: Option<&str>) -> bool {
        admits(&self.instrument, Some(instrument))
            && admits(&self.product_group, product_group)
            && (self.group.is_empty() || self.group.iter().any(|group| plan.group_holds(group, instrument)))
    }

    /// Whether a fact without an instrument passes: money, figures, sales. A figure's group is its product group.
    pub fn admits_untraded(&self, product_group: Option<&str>) -> bool {
        self.instrument.is_empty() && self.group.is_empty() && admits(&self.product_group, product_group)
    }

    /// Whether the event passes.
    pub fn admits_event(&self, event: &str) -> bool {
        admits(&self.event, Some(event))
    }
}

impl Rule {
    /// Whether it adds up over whole periods of a partner, so that a new version waits for the next period.
    pub fn is_periodic(&self) -> bool {
        self.brackets.is_some() || self.carry.is_some() || self.cap.is_some_and(|cap| cap.per == CapPer::Period)
    }

    /// Whether its cells are periods rather than customers or persons.
    pub fn adds_up_by_period(&self) -> bool {
        self.is_periodic() || self.cap.is_some_and(|cap| cap.per == CapPer::Day)
    }

    /// Whether what it pays is for one fact alone: not for a person, an acquisition or a closed period.
    pub fn is_for_fact(&self) -> bool {
        self.carry.is_none() && !matches!(self.kind, Kind::Flat(_) | Kind::Cpa(_) | Kind::CpaLadder(_))
    }

    /// Whether the partners above take part: always for money to a partner only.
    pub fn takes_tiers(&self) -> bool {
        self.tiers && self.pays == Pays::Partner && self.unit.is_money() && !matches!(self.kind, Kind::Rebate(_))
    }
}

impl Plan {
    /// Whether what one person does can change what another one's facts are worth.
    pub fn reaches_beyond_a_person(&self) -> bool {
        self.rules.iter().any(Rule::adds_up_by_period) || self.asks_of_partners() || self.follows_sales_of_partners()
    }

    /// Whether all that it must know of other persons are sums over a partner's period: then persons can be priced a few
    /// at a time, once the sums are known. A running total, a cap over all and a condition on the partner are no sums.
    pub fn looks_beyond_by_sums(&self) -> bool {
        let in_sums = |rule: &Rule| {
            rule.carry.is_none()
                && !rule.cap.is_some_and(|cap| matches!(cap.per, CapPer::Day | CapPer::Period))
                && !rule.brackets.as_ref().is_some_and(|brackets| brackets.mode == Mode::Marginal)
        };
        self.rules.iter().all(in_sums) && !self.asks_of_partners() && !self.follows_sales_of_partners()
    }

    fn asks_of_partners(&self) -> bool {
        let conditions = self.qualification.iter().chain(self.rules.iter().filter_map(|rule| match &rule.kind {
            Kind::Cpa(cpa) => Some(&cpa.qualify),
            _ => None,
        }));
        conditions.into_iter().any(|asked| asked.partner.is_some())
    }

    /// Whether partners of one tree share cells or volumes: by tiers, by steps of a network, by moving up where one is
    /// suspended.
    pub fn reaches_along_the_tree(&self) -> bool {
        let counts_network = |rule: &Rule| rule.brackets.as_ref().is_some_and(Brackets::is_of_network);
        self.tiers.is_some() || self.on_suspended == OnSuspended::Compress || self.rules.iter().any(counts_network)
    }

    /// Whether partners of one tree must be priced together even where the cells that they share are added up afterwards: by
    /// volumes of others than the direct partner, by parts that are rounded together, by moving up where one is suspended.
    pub fn is_priced_along_the_tree(&self) -> bool {
        let is_rounded_together = matches!(self.tiers, Some(Tiers::Split { .. } | Tiers::ShareFromBelow { .. }));
        let is_by_difference = matches!(self.tiers, Some(Tiers::Difference { .. }));
        let is_by_others = |brackets: &Brackets| brackets.is_of_network() || is_by_difference;
        is_rounded_together
            || self.on_suspended == OnSuspended::Compress
            || self.rules.iter().any(|rule| rule.brackets.as_ref().is_some_and(is_by_others))
    }

    /// Whether the instrument is in the group.
    pub fn group_holds(&self, group: &str, instrument: &str) -> bool {
        self.groups.get(group).is_some_and(|members| members.contains(instrument))
    }

    /// The rule of this id and its index.
    pub fn rule(&self, id: &str) -> Option<(usize, &Rule)> {
        self.rules.iter().enumerate().find(|(_, rule)| *rule.id == *id)
    }

    /// The hold in seconds.
    pub fn hold_seconds(&self) -> i64 {
        self.hold_days.saturating_mul(86_400)
    }
}

fn admits(list: &[String], value: Option<&str>) -> bool {
    list.is_empty() || value.is_some_and(|value| list.iter().any(|entry| entry == value))
}
