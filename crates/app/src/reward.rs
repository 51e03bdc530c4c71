//! Rewards: what may be earned, said once and put into campaigns.
//!
//! A reward is stored as it was said, as far as `accepted` knows the names; what it pays are rules of its campaigns' plans (`reward_plan`), made again whenever it
//! changes. Leaves what is sold to `product`. Invariant: a stored reward can be paid.

pub(crate) mod accepted;
mod product;

pub(crate) use product::product_name;

use crate::app::App;
use crate::error::Error;
use crate::keep::Keep;
use crate::reward_plan::{AppliesTo, Inexpressible, RewardTerms, check};
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::money::Currency;
use headwater_store::backend::Tx;
pub use headwater_store::reward::{ProductRow, RewardRow};
use headwater_store::reward::{reward_insert, reward_list, reward_update};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Rewards of one account that are looked at together.
pub const REWARDS_MAX: i64 = 10_000;

/// Why a reward or a campaign is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RewardFailure {
    /// A field that cannot be used, or that a plan cannot say.
    #[error("{} {}", .0.field, .0.message)]
    Refused(Inexpressible),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<Inexpressible> for RewardFailure {
    fn from(refused: Inexpressible) -> Self {
        Self::Refused(refused)
    }
}

impl RewardFailure {
    pub(crate) fn wrong(field: &str, message: &str) -> Self {
        Self::Refused(Inexpressible {
            field: field.into(),
            message: message.into(),
            is_understood: false,
            position: None,
        })
    }
    pub(crate) fn cannot(field: &str, message: &str) -> Self {
        Self::Refused(Inexpressible {
            field: field.into(),
            message: message.into(),
            is_understood: true,
            position: None,
        })
    }
}

/// A reward.
#[derive(Debug, Clone)]
pub struct Reward {
    /// Its row.
    pub row: RewardRow,
    /// What its caller said.
    pub document: Map<String, Value>,
}

impl Reward {
    /// What it says, for the sales that a campaign applies it to.
    pub(crate) fn terms_for(&self, applies_to: AppliesTo) -> RewardTerms<'_> {
        RewardTerms { id: self.row.id, document: &self.document, applies_to }
    }

    fn from_row(row: RewardRow) -> Self {
        let document = serde_json::from_str(&row.document).unwrap_or_default();
        Self { row, document }
    }
}

impl App {
    /// A new reward, which can be paid in the currency of the account's first program.
    pub async fn reward_create(
        self: &Arc<Self>,
        account: AccountId,
        said: Map<String, Value>,
        keep: Keep<Reward>,
    ) -> Result<Reward, RewardFailure> {
        let (document, is_hidden) = accepted::reward(said)?;
        accepted::agrees(&document, &document)?;
        self.reward_check(account, 0, &document)?;
        let (text, now) = (Value::Object(document).to_string(), self.clock.now());
        let insert = async move |tx: &Tx<'_>| {
            let id = reward_insert(tx, account.0, &text, now.0).await?;
            let is_hidden = is_hidden == Some(true);
            if is_hidden {
                reward_update(tx, account.0, id, &text, is_hidden).await?;
            }
            let row = RewardRow { total: 1, id, document: text.clone(), is_hidden, created_at: now.0 };
            let made = Reward::from_row(row);
            keep.keep(tx, &made).await?;
            Ok(made)
        };
        Ok(self.store.money.write(insert).await.map_err(Error::from)?)
    }

    /// Changes what is given, also in the plans of the campaigns that have it.
    pub async fn reward_patch(
        self: &Arc<Self>,
        account: AccountId,
        id: i64,
        changes: Map<String, Value>,
    ) -> Result<Reward, RewardFailure> {
        let before = self.reward_read(account, id).await?;
        let (changes, is_hidden) = accepted::reward(changes)?;
        // What was stored before names were sorted out is sorted out now.
        let mut document = accepted::names_of_reward(before.document.clone());
        document.extend(changes.clone());
        accepted::agrees(&document, &changes)?;
        self.reward_check(account, id, &document)?;
        let next = Reward { document: document.clone(), ..before.clone() };
        let programs = self.campaigns_with(account, id);
        // Every plan is made before any is changed, so that one that cannot be made changes nothing.
        for program in &programs {
            self.campaign_plan(account, *program, Some(&next)).await?;
        }
        self.reward_store(account, &next, is_hidden.unwrap_or(before.row.is_hidden)).await?;
        for program in programs {
            self.campaign_plan_save(account, program).await?;
        }
        Ok(self.reward_read(account, id).await?)
    }

    /// Takes a reward off the lists. Campaigns that have it go on paying it.
    pub async fn reward_hide(self: &Arc<Self>, account: AccountId, id: i64) -> Result<Reward, Error> {
        let reward = self.reward_read(account, id).await?;
        self.reward_store(account, &reward, true).await?;
        self.reward_read(account, id).await
    }

    async fn reward_store(self: &Arc<Self>, account: AccountId, reward: &Reward, is_hidden: bool) -> Result<(), Error> {
        let (id, text) = (reward.row.id, Value::Object(reward.document.clone()).to_string());
        let update = async move |tx: &Tx<'_>| reward_update(tx, account.0, id, &text, is_hidden).await;
        self.store.money.write(update).await?;
        Ok(())
    }

    /// A reward of this account, hidden or not.
    pub async fn reward_read(&self, account: AccountId, id: i64) -> Result<Reward, Error> {
        let read = async move |tx: &Tx<'_>| reward_list(tx, account.0, Some(id), 1, 0).await;
        let found = self.store.money.read(read).await?.into_iter().next();
        found.map(Reward::from_row).ok_or(Error::NotFound("reward"))
    }

    /// Rewards that are not hidden, newest first, and how many there are.
    pub async fn reward_list(
        self: &Arc<Self>,
        account: AccountId,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<Reward>, i64), Error> {
        let read = async move |tx: &Tx<'_>| {
            let rows = reward_list(tx, account.0, None, limit, offset).await?;
            let total = match rows.first() {
                Some(row) => row.total,
                None => reward_list(tx, account.0, None, 1, 0).await?.first().map_or(0, |row| row.total),
            };
            Ok((rows, total))
        };
        let (rows, total) = self.store.money.read(read).await?;
        Ok((rows.into_iter().map(Reward::from_row).collect(), total))
    }

    fn reward_check(&self, account: AccountId, id: i64, document: &Map<String, Value>) -> Result<(), RewardFailure> {
        let name = document.get("name").and_then(Value::as_str).filter(|name| !name.trim().is_empty());
        let Some(name) = name else {
            return Err(RewardFailure::wrong("name", "is required, a text that is not empty"));
        };
        accepted::line("name", name)?;
        if !document.get("is_promoter_reward").is_some_and(Value::is_boolean) {
            return Err(RewardFailure::wrong("is_promoter_reward", "must be true or false"));
        }
        let directory = self.directory();
        let program = directory.default_program(account).ok_or(Error::NotFound("campaign"))?;
        let currency = currency_of(&program.settings.currency)?;
        Ok(check(&RewardTerms { id, document, applies_to: AppliesTo::default() }, currency)?)
    }

    /// The programs that have a reward in one of their lists.
    fn campaigns_with(&self, account: AccountId, reward: i64) -> Vec<ProgramId> {
        let directory = self.directory();
        let has = |document: &Map<String, Value>| {
            ["rewards_for_promoters", "rewards_for_referrals"].iter().any(|list| {
                let entries = document.get(*list).and_then(Value::as_array);
                entries.is_some_and(|entries| entries.iter().any(|entry| entry["reward_id"] == reward))
            })
        };
        directory
            .programs(account)
            .filter(|program| has(&program.settings.campaign))
            .map(|program| program.id)
            .collect()
    }
}

pub(crate) fn currency_of(code: &str) -> Result<Currency, Error> {
    Currency::parse(code).ok_or_else(|| Error::invalid("currency", "of the program is no ISO 4217 code"))
}
