//! Campaigns: programs as the rewards dialect sees them, with the rewards that they pay either party.
//!
//! What a program has no setting for stands in its setting `campaign`. The rewards of its two lists are rules of a plan of
//! its own, `campaign-<number>`: a program that had another plan keeps that one's rules and history in the copy. Leaves what
//! a reward pays to `reward_plan`, and its end to `ending`. Invariant: the plan in force pays what the lists say, from the moment of the change.

mod ending;
mod fields;
mod products;
mod tiers;
mod upgrade;

pub use ending::is_archived;
pub(crate) use ending::{ended_at, has_ended};
pub(crate) use fields::{blocks_advertisements, lets_advertisements_wait, merged};
pub(crate) use tiers::reward_of_level;
pub use upgrade::{Upgrade, UpgradeMetric};

use crate::app::App;
use crate::directory::Program;
use crate::error::Error;
use crate::keep::Keep;
use crate::plan::PlanFailure;
use crate::reward::{REWARDS_MAX, Reward, RewardFailure, currency_of};
use crate::reward_plan::{AppliesTo, Inexpressible, Recipient, RewardTerms, document_with, make};
use fields::{Said, fields_of, own_currency, renamed, stays};
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::program::Settings;
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::reward::reward_list;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tiers::Levels;

/// The two lists and who gets what stands in them.
pub const LISTS: [(&str, Recipient); 2] =
    [("rewards_for_promoters", Recipient::Promoter), ("rewards_for_referrals", Recipient::Referral)];
/// By which name of a parameter a campaign's links carry the member's token, where it does not say.
pub const REF_TOKEN_PARAMETER: &str = "?fpr";
/// Which sales a campaign may reward with an entry of its lists.
const APPLY_ON: [&str; 5] = ["monthly", "yearly", "one_time", "all", SPECIFIC];
const SPECIFIC: &str = "specific";
const ARCHIVED: &str = "archived_at";
/// Whether the plan's tiers were made by rewards.
const HAS_TIERS: &str = "has_reward_tiers";
/// The attempt that made a campaign, under its caller's `Idempotency-Key`.
const ATTEMPT: &str = "attempt";
/// For so long the same attempt finds what it made (`conventions.md` §6).
const ATTEMPT_SECONDS: i64 = 72 * 3600;

/// A plan as it is to be saved.
#[derive(Debug, Clone)]
pub(crate) struct CampaignPlan {
    document: Map<String, Value>,
    has_tiers: bool,
    /// Which reward made each level of its tiers.
    tiers: Levels,
}

/// An entry of a campaign's lists.
struct Listed {
    /// Where it stands, as in `rewards_for_promoters[0]`.
    place: String,
    reward: Reward,
    recipient: Recipient,
    applies_to: AppliesTo,
}

impl App {
    /// The campaigns of an account, oldest first.
    pub fn campaign_list(&self, account: AccountId) -> Vec<Arc<Program>> {
        self.directory().programs(account).filter(|program| !is_archived(program)).cloned().collect()
    }

    /// A campaign of this account.
    pub fn campaign_read(&self, account: AccountId, id: ProgramId) -> Result<Arc<Program>, Error> {
        let program = self.program_read(account, id).map_err(|_| Error::NotFound("campaign"))?;
        if is_archived(&program) { Err(Error::NotFound("campaign")) } else { Ok(program) }
    }

    /// A new campaign, which is a program. It is made in several transactions: the same attempt, made again because the first one
    /// was cut short, finds the program and ends what was begun.
    pub async fn campaign_create(
        self: &Arc<Self>,
        account: AccountId,
        asked: &Map<String, Value>,
        attempt: Option<String>,
    ) -> Result<Arc<Program>, RewardFailure> {
        for field in ["name", "landing_url", "ref_token_param", "visitor_cookie_life"] {
            if asked.get(field).is_none_or(Value::is_null) {
                return Err(RewardFailure::wrong(field, "is required"));
            }
        }
        own_currency(&Settings::default().currency, asked)?;
        upgrade::check(self, account, None, asked)?;
        let (mut fields, said) = fields_of(asked)?;
        self.lists_check(account, &Map::new(), asked).await?;
        // What cannot be paid is refused before anything is made.
        let mut campaign = merged(&Map::new(), &said);
        let rewards = self.rewards_of(account, &campaign, None).await?;
        let terms = terms(&rewards);
        let made = make(&terms, currency_of(&Settings::default().currency)?);
        made.map_err(|refused| of_lists(&rewards, refused.into()))?;
        if let Some(attempt) = attempt.clone() {
            campaign.insert(ATTEMPT.into(), attempt.into());
        }
        fields.insert("campaign".into(), Value::Object(campaign));
        let begun = move |app: &App| app.campaign_begun(account, attempt.as_ref()?);
        let program = self.program_create_unless(account, &fields, Keep::nothing(), begun).await.map_err(renamed)?;
        if program.settings.plan.as_deref() == Some(&plan_name(program.id)) {
            return Ok(program);
        }
        if LISTS.iter().any(|(list, _)| program.settings.campaign.get(*list).is_some_and(|list| *list != json!([]))) {
            self.campaign_plan_save(account, program.id).await?;
        }
        Ok(self.program_read(account, program.id)?)
    }

    /// The program that an attempt made before it was cut short.
    fn campaign_begun(&self, account: AccountId, attempt: &str) -> Option<ProgramId> {
        let since = self.clock.now().plus_seconds(-ATTEMPT_SECONDS).0;
        let directory = self.directory();
        let mut own = directory.programs(account).filter(|program| program.row.created_at >= since);
        let is_its = |program: &&Arc<Program>| program.settings.campaign.get(ATTEMPT).is_some_and(|of| of == attempt);
        own.find(is_its).map(|program| program.id)
    }

    /// Changes what is given; new lists are a new version of the plan, in force at once.
    pub async fn campaign_patch(
        self: &Arc<Self>,
        account: AccountId,
        id: ProgramId,
        asked: &Map<String, Value>,
    ) -> Result<Arc<Program>, RewardFailure> {
        let before = self.campaign_read(account, id)?;
        stays(&before, asked)?;
        upgrade::check(self, account, Some(id), asked)?;
        let (fields, said) = fields_of(asked)?;
        let changes_lists = LISTS.iter().any(|(list, _)| said.contains_key(*list));
        if changes_lists {
            self.lists_check(account, &before.settings.campaign, asked).await?;
            let rewards = self.rewards_of(account, &merged(&before.settings.campaign, &said), None).await?;
            self.plan_of(&before, &rewards).map_err(|failure| of_lists(&rewards, failure))?;
        }
        self.program_patch_saying(account, id, &fields, &said).await.map_err(renamed)?;
        if changes_lists {
            self.campaign_plan_save(account, id).await?;
        }
        Ok(self.program_read(account, id)?)
    }

    /// What else the account's campaigns say, when the turn of a change has come: one stays, and no upgrades go in a circle.
    pub(crate) fn campaign_may_say(&self, account: AccountId, id: ProgramId, said: &Said) -> Result<(), Error> {
        if said.contains_key(ARCHIVED) {
            self.campaign_read(account, id)?;
            if self.campaign_list(account).len() == 1 {
                let message = "The only campaign of an account cannot be deleted.".into();
                return Err(Error::Conflict { code: "last_campaign", param: None, message });
            }
        }
        upgrade::leads_on(self, account, Some(id), said).map_err(|failure| match failure {
            RewardFailure::Refused(refused) => Error::invalid(&refused.field, refused.message),
            RewardFailure::Other(error) => error,
        })
    }

    /// The plan that the campaign's lists make, perhaps with a reward as it is to become; nothing is written.
    pub(crate) async fn campaign_plan(
        self: &Arc<Self>,
        account: AccountId,
        id: ProgramId,
        changed: Option<&Reward>,
    ) -> Result<CampaignPlan, RewardFailure> {
        let program = self.program_read(account, id)?;
        let rewards = self.rewards_of(account, &program.settings.campaign, changed).await?;
        self.plan_of(&program, &rewards)
    }

    /// Saves the plan that the campaign's lists make, and puts it in force.
    pub(crate) async fn campaign_plan_save(
        self: &Arc<Self>,
        account: AccountId,
        id: ProgramId,
    ) -> Result<(), RewardFailure> {
        loop {
            let program = self.program_read(account, id)?;
            self.plan_of_lists_save(&program).await?;
            self.refresh().await?;
            // Another request may have changed a list meanwhile, and saved before this one the plan with both changes.
            let (before, now) = (&program.settings.campaign, &self.program_read(account, id)?.settings.campaign);
            if LISTS.iter().all(|(list, _)| before.get(*list) == now.get(*list)) {
                return Ok(());
            }
        }
    }

    async fn plan_of_lists_save(self: &Arc<Self>, program: &Program) -> Result<(), RewardFailure> {
        let (account, id) = (program.account, program.id);
        let rewards = self.rewards_of(account, &program.settings.campaign, None).await?;
        let plan = self.plan_of(program, &rewards)?;
        let name = plan_name(id);
        let has_own = program.settings.plan.as_deref() == Some(&name);
        if !has_own {
            self.history_copy(account, program, &name).await?;
        }
        let from = self.clock.now();
        let mut said = Map::from_iter([(HAS_TIERS.to_owned(), plan.has_tiers.into())]);
        let has_others = tiers::put(&mut said, &program.settings.campaign, &plan.tiers, from);
        self.version_save(account, plan.document, from).await?;
        if !has_own || has_others || program.settings.campaign.get(HAS_TIERS) != said.get(HAS_TIERS) {
            let fields = Map::from_iter([("plan".to_owned(), name.into())]);
            self.program_patch_saying(account, id, &fields, &said).await?;
        }
        Ok(())
    }

    /// What was in force of the plan that the program had, under the campaign's own name.
    async fn history_copy(
        self: &Arc<Self>,
        account: AccountId,
        program: &Program,
        name: &str,
    ) -> Result<(), RewardFailure> {
        let Some(before) = &program.settings.plan else { return Ok(()) };
        let directory = self.directory();
        if directory.plan(account, name).is_some() {
            return Ok(());
        }
        let Some(history) = directory.plan(account, before) else { return Ok(()) };
        for (from, number) in &history.activations {
            let document = history.versions.get(number).and_then(|row| serde_json::from_str(&row.document).ok());
            let Some(mut document) = document.and_then(|document: Value| document.as_object().cloned()) else {
                continue;
            };
            document.insert("name".into(), name.into());
            self.version_save(account, document, Instant(*from)).await?;
        }
        Ok(())
    }

    async fn version_save(
        self: &Arc<Self>,
        account: AccountId,
        document: Map<String, Value>,
        from: Instant,
    ) -> Result<(), RewardFailure> {
        let saved = self.plan_save(account, &Value::Object(document), Keep::nothing()).await;
        let (name, number) = saved.map_err(|failure| match failure {
            PlanFailure::Refused(mistakes) => {
                let said = mistakes.first().map(|mistake| format!("make no plan: {mistake}")).unwrap_or_default();
                RewardFailure::cannot("rewards_for_promoters", &said)
            }
            PlanFailure::Other(error) => error.into(),
        })?;
        if number > 1 {
            self.plan_activate(account, &name, number, from).await?;
        }
        Ok(())
    }

    fn plan_of(&self, program: &Program, rewards: &[Listed]) -> Result<CampaignPlan, RewardFailure> {
        let name = plan_name(program.id);
        let directory = self.directory();
        let own = directory.plan(program.account, &name);
        let known = program.settings.plan.as_deref().and_then(|plan| directory.plan(program.account, plan));
        // Of its own plan the latest version stands; of another one that which is in force.
        let latest = if program.settings.plan.as_deref() == Some(&name) {
            own.and_then(|plan| plan.versions.values().next_back())
        } else {
            known.and_then(|plan| plan.versions.get(plan.activations.values().next_back()?))
        };
        let base = latest.and_then(|row| serde_json::from_str::<Value>(&row.document).ok());
        let mut base = base.and_then(|document| document.as_object().cloned()).unwrap_or_else(|| {
            Map::from_iter([
                ("currency".to_owned(), program.settings.currency.clone().into()),
                ("time_zone".to_owned(), program.settings.time_zone.clone().into()),
            ])
        });
        base.insert("name".into(), name.into());
        let code = base.get("currency").and_then(Value::as_str).unwrap_or(&program.settings.currency);
        let currency = currency_of(code)?;
        let terms = terms(rewards);
        let made = make(&terms, currency)?;
        let replaces_tiers = program.settings.campaign.get(HAS_TIERS) == Some(&Value::Bool(true));
        let has_tiers = made.tiers.is_some();
        let tiers = tiers::levels(rewards.iter().map(|listed| &listed.reward));
        Ok(CampaignPlan { document: document_with(base, made, replaces_tiers)?, has_tiers, tiers })
    }

    /// The rewards of a campaign's lists, and which sales they are for.
    async fn rewards_of(
        self: &Arc<Self>,
        account: AccountId,
        campaign: &Map<String, Value>,
        changed: Option<&Reward>,
    ) -> Result<Vec<Listed>, RewardFailure> {
        let mut rewards = Vec::new();
        let mut names = None;
        for (list, recipient) in LISTS {
            for (index, entry) in campaign.get(list).and_then(Value::as_array).into_iter().flatten().enumerate() {
                let Some(id) = entry["reward_id"].as_i64() else { continue };
                let reward = match changed.filter(|changed| changed.row.id == id) {
                    Some(changed) => changed.clone(),
                    None => self.reward_read(account, id).await?,
                };
                let applies_to = match entry["apply_on"].as_str() {
                    Some(SPECIFIC) => {
                        if names.is_none() {
                            names = Some(self.product_names(account).await?);
                        }
                        let of_products = products::ids(entry).filter_map(|id| names.as_ref()?.get(&id));
                        AppliesTo { products: of_products.flatten().cloned().collect(), billing_period: None }
                    }
                    Some("all") | None => AppliesTo::default(),
                    Some(period) => AppliesTo { billing_period: Some(period.to_owned()), products: Vec::new() },
                };
                rewards.push(Listed { place: format!("{list}[{index}]"), reward, recipient, applies_to });
            }
        }
        Ok(rewards)
    }

    /// Lists name rewards of the account that are not hidden, or were listed before, each once, and products that sales can name.
    async fn lists_check(
        self: &Arc<Self>,
        account: AccountId,
        before: &Map<String, Value>,
        asked: &Map<String, Value>,
    ) -> Result<(), RewardFailure> {
        let all = async move |tx: &Tx<'_>| reward_list(tx, account.0, None, REWARDS_MAX, 0).await;
        let known = self.store.money.read(all).await.map_err(Error::from)?;
        let mut known: BTreeSet<i64> = known.into_iter().map(|row| row.id).collect();
        let listed = LISTS.iter().filter_map(|(list, _)| before.get(*list)?.as_array()).flatten();
        known.extend(listed.filter_map(|entry| entry["reward_id"].as_i64()));
        for (list, _) in LISTS {
            let Some(asked) = asked.get(list).filter(|list| !list.is_null()) else { continue };
            let at = |index: usize, name: &str| format!("{list}[{index}].{name}");
            let Some(entries) = asked.as_array() else { return Err(RewardFailure::wrong(list, "must be a list")) };
            let mut seen = Vec::new();
            for (index, entry) in entries.iter().enumerate() {
                let id = entry.get("reward_id").and_then(Value::as_i64);
                let Some(id) = id.filter(|id| known.contains(id)) else {
                    return Err(RewardFailure::wrong(
                        &at(index, "reward_id"),
                        "must be the id of a reward that is not hidden",
                    ));
                };
                if seen.contains(&id) {
                    return Err(RewardFailure::wrong(&at(index, "reward_id"), "is in the list already"));
                }
                seen.push(id);
                match entry.get("apply_on").filter(|word| !word.is_null()).map(Value::as_str) {
                    None => {}
                    Some(Some(word)) if APPLY_ON.contains(&word) => {}
                    Some(_) => {
                        let message = format!("must be one of {}", APPLY_ON.join(", "));
                        return Err(RewardFailure::wrong(&at(index, "apply_on"), &message));
                    }
                }
                self.products_check(account, entry).await.map_err(|failure| match failure {
                    RewardFailure::Refused(refused) => {
                        RewardFailure::Refused(Inexpressible { field: at(index, &refused.field), ..refused })
                    }
                    other @ RewardFailure::Other(_) => other,
                })?;
            }
        }
        Ok(())
    }
}

fn terms(rewards: &[Listed]) -> Vec<(RewardTerms<'_>, Recipient)> {
    rewards.iter().map(|listed| (listed.reward.terms_for(listed.applies_to.clone()), listed.recipient)).collect()
}

/// What a plan cannot say of a reward, as a complaint about the entry that lists it.
fn of_lists(rewards: &[Listed], failure: RewardFailure) -> RewardFailure {
    let RewardFailure::Refused(refused) = failure else { return failure };
    let (field, message) = match refused.position.and_then(|position| rewards.get(position)) {
        Some(Listed { place, .. }) if matches!(refused.field.as_str(), "reward_id" | "apply_on") => {
            (format!("{place}.{}", refused.field), refused.message)
        }
        Some(Listed { place, .. }) => {
            (format!("{place}.reward_id"), format!("cannot be paid here: its {} {}", refused.field, refused.message))
        }
        None if LISTS.iter().any(|(list, _)| *list == refused.field) => (refused.field, refused.message),
        None => (LISTS[0].0.to_owned(), format!("cannot be paid together: {} {}", refused.field, refused.message)),
    };
    RewardFailure::Refused(Inexpressible { field, message, position: None, is_understood: refused.is_understood })
}

/// The plan that a campaign's rewards are rules of.
pub fn plan_name(program: ProgramId) -> String {
    format!("campaign-{program}")
}
