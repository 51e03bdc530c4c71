//! `upgrade_details` of a campaign: what a member must have brought to move on to another campaign, and to which one.
//!
//! Kept as it was said, in the setting `campaign`. Leaves looking at members and moving them to `crate::upgrade`. Invariant:
//! what is kept names another campaign of the account, and following it from campaign to campaign comes to an end.

use super::is_archived;
use crate::app::App;
use crate::promoter::Figures;
use crate::reward::RewardFailure;
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::money::{Currency, Decimal, MICROS, Unit};
use serde_json::{Map, Value};

/// Where it stands among what a campaign says.
pub(super) const UPGRADE: &str = "upgrade_details";
const KEYS: [&str; 4] = ["campaign_id", "amount", "metric", "move_referrals_on_level_change"];
/// So that it is money in every currency.
const AMOUNT_MAX: i64 = 1_000_000_000_000;

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpgradeMetric {
    /// Customers that bought.
    Customers,
    /// Those of them that have paid more than they got back.
    ActiveCustomers,
    /// What all of them paid, less refunds, in the campaign's currency.
    Revenue,
}

/// When and where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upgrade {
    /// The other campaign.
    pub to: ProgramId,
    /// What is to be reached; of revenue in minor units.
    pub amount: i64,
    /// Of what.
    pub metric: UpgradeMetric,
}

impl UpgradeMetric {
    const NAMES: &str = "customers, active_customers or revenue";

    fn parse(name: &str) -> Option<Self> {
        match name {
            "customers" => Some(Self::Customers),
            "active_customers" => Some(Self::ActiveCustomers),
            "revenue" => Some(Self::Revenue),
            _ => None,
        }
    }
}

impl Upgrade {
    /// What a campaign says; `None` where nobody moves on.
    pub fn of(campaign: &Map<String, Value>) -> Option<Self> {
        let said = campaign.get(UPGRADE)?.as_object()?;
        Some(Self {
            to: ProgramId(said.get("campaign_id")?.as_i64()?),
            amount: said.get("amount")?.as_i64()?,
            metric: UpgradeMetric::parse(said.get("metric")?.as_str()?)?,
        })
    }

    /// Whether who has brought this is to move on.
    pub fn is_reached(&self, figures: &Figures, currency: Currency) -> bool {
        match self.metric {
            UpgradeMetric::Customers => figures.customers >= self.amount,
            UpgradeMetric::ActiveCustomers => figures.active_customers >= self.amount,
            UpgradeMetric::Revenue => {
                let parts = 10_i64.pow(Unit::Currency(currency).minor_digits());
                let millionths = i128::from(self.amount) * i128::from(MICROS) / i128::from(parts);
                let Decimal(revenue) = figures.revenue;
                i128::from(revenue) >= millionths
            }
        }
    }
}

/// Whether the request ends what was said before.
pub(super) fn is_ended(asked: &Map<String, Value>) -> bool {
    asked.get(UPGRADE).is_some_and(|value| value.is_null() || value.as_object().is_some_and(Map::is_empty))
}

/// Refuses what could not be carried out; `own` is the campaign, where it is there already.
pub(super) fn check(
    app: &App,
    account: AccountId,
    own: Option<ProgramId>,
    asked: &Map<String, Value>,
) -> Result<(), RewardFailure> {
    if is_ended(asked) {
        return Ok(());
    }
    let Some(value) = asked.get(UPGRADE) else { return Ok(()) };
    let at = |name: &str| format!("{UPGRADE}.{name}");
    let Some(said) = value.as_object() else { return Err(RewardFailure::wrong(UPGRADE, "must be an object")) };
    if let Some(unknown) = said.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err(RewardFailure::wrong(&at(unknown), "is not known here"));
    }
    if !said.get("amount").and_then(Value::as_i64).is_some_and(|amount| (1..=AMOUNT_MAX).contains(&amount)) {
        return Err(RewardFailure::wrong(&at("amount"), &format!("must be a whole number from 1 to {AMOUNT_MAX}")));
    }
    if said.get("metric").and_then(Value::as_str).and_then(UpgradeMetric::parse).is_none() {
        return Err(RewardFailure::wrong(&at("metric"), &format!("must be {}", UpgradeMetric::NAMES)));
    }
    match said.get(KEYS[3]) {
        None | Some(Value::Null | Value::Bool(false)) => {}
        Some(Value::Bool(true)) => {
            return Err(RewardFailure::cannot(&at(KEYS[3]), "cannot be carried out: a referral stays in its campaign"));
        }
        Some(_) => return Err(RewardFailure::wrong(&at(KEYS[3]), "must be true or false")),
    }
    leads_on(app, account, own, asked)
}

/// Refuses another campaign that is not there, and a circle. Holds for what the account says now: whoever writes asks again when
/// its turn has come.
pub(crate) fn leads_on(
    app: &App,
    account: AccountId,
    own: Option<ProgramId>,
    asked: &Map<String, Value>,
) -> Result<(), RewardFailure> {
    let Some(said) = asked.get(UPGRADE).and_then(Value::as_object).filter(|said| !said.is_empty()) else {
        return Ok(());
    };
    let at = |name: &str| format!("{UPGRADE}.{name}");
    let directory = app.directory();
    let campaign = |id| directory.program(account, id).filter(|program| !is_archived(program));
    let to = said.get("campaign_id").and_then(Value::as_i64).map(ProgramId).filter(|id| campaign(*id).is_some());
    let Some(to) = to else {
        return Err(RewardFailure::wrong(&at("campaign_id"), "must be the id of a campaign"));
    };
    let mut next = Some(to);
    // Each campaign names at most one other: more steps than campaigns would be a circle that was there before.
    for _ in 0..=directory.programs(account).count() {
        let Some(id) = next else { break };
        if own == Some(id) {
            let why = if id == to { "must be another campaign" } else { "leads back to this campaign" };
            return Err(RewardFailure::wrong(&at("campaign_id"), why));
        }
        next = campaign(id).and_then(|program| Upgrade::of(&program.settings.campaign)).map(|upgrade| upgrade.to);
    }
    Ok(())
}
