//! When a person meets conditions: `qualification`, `qualify`, ladders, first deposits.
//!
//! Leaves what is paid for it to the other files. A condition holds now, over all that is known; its moment is the
//! first at which it held over what had happened by then.
//!
//! Chosen where the contract is silent: inside `within_days` only facts of the window count, for every condition; an
//! amount without an exchange rate is held: a deposit does not count yet, a withdrawal makes the sum unknown; an open
//! trade counts for
//! `min_trades` alone; the partner's active customers are counted as persons, by the account registered first, over
//! facts of the period of the moment.

use super::fraction::Fraction;
use super::world::{
    Customer, DAY_MICROS, Fact, FactId, HOUR_MICROS, Micros, World, fraction, list, period_of, start_of, zone_of,
};
use super::worth::counts;
use headwater_domain::time::Instant;
use serde_json::Value;
use std::collections::BTreeMap;

/// Whose facts count, and up to when.
#[derive(Clone, Copy)]
pub struct Look<'w> {
    pub world: &'w World,
    pub plan: &'w Value,
    /// The accounts that add up, the one registered first in front.
    pub accounts: &'w [&'w Customer],
    /// Facts after this moment are not seen; `None`: all are.
    pub until: Option<Micros>,
    /// The moment that is judged, for what is judged per period.
    pub moment: Micros,
}

impl<'w> Look<'w> {
    fn facts(&self) -> Vec<(Micros, &'w Fact)> {
        let zone = zone_of(self.plan);
        let of_accounts = |fact: &&Fact| self.accounts.iter().any(|account| account.name == fact.customer);
        let mut facts: Vec<(Micros, &Fact)> =
            self.world.facts.values().filter(of_accounts).map(|fact| (fact.at(&zone), fact)).collect();
        facts.retain(|(at, _)| self.until.is_none_or(|until| *at <= until));
        facts.sort_by_key(|(at, fact)| (*at, fact.id.1.clone(), fact.id.0.clone()));
        facts
    }

    /// The last fact of a moment among those that have a part in what is met; where none has, of all.
    pub fn fact_at(&self, moment: Micros, has_part: &dyn Fn(&Fact) -> bool) -> Option<FactId> {
        let of_moment: Vec<&Fact> =
            self.facts().into_iter().filter(|(at, _)| *at == moment).map(|(_, fact)| fact).collect();
        let last = of_moment.iter().rfind(|fact| has_part(fact)).or(of_moment.last());
        last.map(|fact| fact.id.clone())
    }

    /// The approved deposits, oldest first.
    fn deposits(&self) -> Vec<(Micros, &'w Fact)> {
        let mut deposits = self.facts();
        deposits.retain(|(_, fact)| fact.kind() == "deposit" && counts(self.plan, fact));
        deposits
    }

    pub fn first_deposit_at(&self) -> Option<Micros> {
        self.deposits().first().map(|(at, _)| *at)
    }

    /// The deposits that are the first deposit together.
    fn first_deposits(&self) -> Vec<(Micros, &'w Fact)> {
        let deposits = self.deposits();
        let Some((first_at, _)) = deposits.first().copied() else { return deposits };
        match self.plan["ftd_window_hours"].as_i64().unwrap_or(0) {
            0 => deposits.into_iter().take(1).collect(),
            hours => deposits.into_iter().filter(|(at, _)| *at < first_at + hours * HOUR_MICROS).collect(),
        }
    }

    pub fn is_of_first_deposit(&self, fact: &Fact) -> bool {
        self.first_deposits().iter().any(|(_, deposit)| deposit.id == fact.id)
    }

    /// `None` where there is none yet.
    pub fn first_deposit(&self, window: Option<(Micros, Micros)>) -> Option<Fraction> {
        let inside = |at: Micros| window.is_none_or(|(from, to)| from <= at && at < to);
        let parts = self.first_deposits();
        parts.first()?;
        let inside = parts.into_iter().filter(|(at, _)| inside(*at));
        Some(inside.filter_map(|(at, fact)| self.money(fact, "amount", at)).sum())
    }

    /// Deposits less withdrawals and chargebacks.
    pub fn net_deposit(&self, window: Option<(Micros, Micros)>) -> Option<Fraction> {
        let inside = |at: Micros| window.is_none_or(|(from, to)| from <= at && at < to);
        let signed = self.facts().into_iter().filter(|(at, fact)| inside(*at) && counts(self.plan, fact));
        let signed = signed.filter_map(|(at, fact)| match fact.kind() {
            "deposit" => self.money(fact, "amount", at).map(Some),
            "withdrawal" | "chargeback" => Some(self.money(fact, "amount", at).map(|amount| -amount)),
            _ => None,
        });
        signed.sum::<Option<Fraction>>()
    }

    fn money(&self, fact: &Fact, key: &str, at: Micros) -> Option<Fraction> {
        let home = self.plan["currency"].as_str().unwrap();
        let rate = self.world.exchange_rate(self.plan, fact.text("currency").unwrap_or(home), home, at)?;
        Some(fact.fraction(key)? * rate)
    }

    /// The window of the conditions; `(MIN, MIN)` where it has not begun.
    fn window(&self, conditions: &Value) -> Option<(Micros, Micros)> {
        let days = conditions["within_days"].as_i64()?;
        let from = match conditions["from"].as_str() {
            Some("registration") => self.accounts.first().map(|account| account.registered_at),
            _ => self.first_deposit_at(),
        };
        Some(from.map_or((Micros::MIN, Micros::MIN), |from| (from, from + days * DAY_MICROS)))
    }

    /// The facts inside the window, in the order of time.
    pub fn counted(&self, conditions: &Value) -> Vec<(Micros, &'w Fact)> {
        let window = self.window(conditions);
        let zone = zone_of(self.plan);
        let inside = |at: Micros, fact: &Fact| match window {
            None => true,
            Some((Micros::MIN, _)) => false,
            Some((from, to)) if fact.kind() == "trading_day" => {
                zone.start_of(zone.day_of(Instant(from))).0 <= at && at < to
            }
            Some((from, to)) => from <= at && at < to,
        };
        self.facts().into_iter().filter(|(at, fact)| inside(*at, fact)).collect()
    }

    /// What is missing, by condition; empty where all are met.
    pub fn missing(&self, conditions: &Value) -> BTreeMap<String, String> {
        let mut missing = BTreeMap::new();
        let window = self.window(conditions);
        let counted = self.counted(conditions);
        let closed: Vec<&(Micros, &Fact)> =
            counted.iter().filter(|(_, fact)| fact.is_trading() && !fact.is_open_trade()).collect();
        let lots = closed.iter().map(|(_, fact)| fact.fraction("lots")).sum::<Option<Fraction>>();
        let spread = closed.iter().filter(|(_, fact)| fact.document.get("spread_cost").is_some());
        let spread = spread.filter_map(|(at, fact)| self.money(fact, "spread_cost", *at)).sum::<Fraction>();
        let count =
            |kind: &str| counted.iter().filter(|(_, fact)| fact.kind() == kind && counts(self.plan, fact)).count();
        let amounts = [
            ("min_first_deposit", self.first_deposit(window)),
            ("min_net_deposit", self.net_deposit(window)),
            ("min_deposits", Some(Fraction::whole(count("deposit") as i128))),
            ("min_lots", lots),
            ("min_spread_cost", Some(spread)),
            ("min_trades", Some(Fraction::whole(count("trade") as i128))),
        ];
        for (key, value) in amounts {
            let Some(least) = fraction(conditions, key) else { continue };
            let value_now = value.unwrap_or(Fraction::ZERO);
            if value_now < least || value.is_none() {
                missing.insert(key.to_owned(), (least - value_now).to_string());
            }
        }
        let is_approved = |fact: &Fact| fact.kind() == "event" && fact.text("event") == Some("KYC_COMPLETED");
        if conditions["kyc"] == "approved" && !counted.iter().any(|(_, fact)| is_approved(fact)) {
            missing.insert("kyc".to_owned(), "approved".to_owned());
        }
        for (key, attribute) in [("countries", "country"), ("account_types", "account_type")] {
            let first = self.accounts.first().map(|account| &account.document[attribute]);
            if conditions.get(key).is_some() && !list(conditions, key).any(|listed| Some(listed) == first) {
                missing.insert(key.to_owned(), attribute.to_owned());
            }
        }
        if let Some(partner) = conditions.get("partner")
            && !self.partner_is_active(partner)
        {
            missing.insert("partner".to_owned(), "min_active_customers".to_owned());
        }
        missing
    }

    fn partner_is_active(&self, wanted: &Value) -> bool {
        let Some(partner) = self.accounts.first().and_then(|account| account.partner.as_ref()) else { return false };
        let period = period_of(self.plan, self.moment);
        let window = (start_of(self.plan, period), start_of(self.plan, period.next()));
        let mut active = 0;
        for person in self.world.persons() {
            let accounts = self.world.accounts(&person);
            let is_of_partner = accounts[0].partner.as_ref() == Some(partner);
            let is_from = wanted.get("countries").is_none()
                || list(wanted, "countries").any(|country| *country == accounts[0].document["country"]);
            let look = Look { accounts: &accounts, ..*self };
            if is_of_partner && is_from && look.meets_in_period(&wanted["each"], window) {
                active += 1;
            }
        }
        fraction(wanted, "min_active_customers").is_none_or(|least| Fraction::whole(active) >= least)
    }

    /// The conditions over the facts of one period alone.
    fn meets_in_period(&self, conditions: &Value, (from, to): (Micros, Micros)) -> bool {
        let mut world = self.world.clone();
        let zone = zone_of(self.plan);
        world.facts.retain(|_, fact| {
            let at = fact.at(&zone);
            from <= at && at < to
        });
        Look { world: &world, ..*self }.missing(conditions).is_empty()
    }

    /// Every moment at which the answer may change.
    pub fn moments(&self, conditions: &Value) -> Vec<Micros> {
        let zone = zone_of(self.plan);
        let mut moments: Vec<Micros> = self.facts().into_iter().map(|(at, _)| at).collect();
        moments.extend(self.accounts.first().map(|account| account.registered_at));
        if conditions.get("partner").is_some() {
            moments.extend(self.world.facts.values().map(|fact| fact.at(&zone)));
        }
        moments.sort_unstable();
        moments.dedup();
        moments
    }
}

/// The first moment at which the conditions were met, where they are met now.
pub fn met_at(world: &World, plan: &Value, accounts: &[&Customer], conditions: &Value) -> Option<Micros> {
    let look = Look { world, plan, accounts, until: None, moment: 0 };
    look.moments(conditions).into_iter().find(|moment| is_met_at(world, plan, accounts, conditions, *moment))
}

/// Whether the conditions were met at a moment and are still, by all that is known.
pub fn is_met_at(world: &World, plan: &Value, accounts: &[&Customer], conditions: &Value, moment: Micros) -> bool {
    [Some(moment), None]
        .into_iter()
        .all(|until| Look { world, plan, accounts, until, moment }.missing(conditions).is_empty())
}
