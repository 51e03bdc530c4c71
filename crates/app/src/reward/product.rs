//! Products: what is sold, by the names that sales have for it. Campaigns may reward the sales of some of them alone.
//!
//! Leaves which sales an entry of a campaign's list is about to `campaign::products`. Invariant: a product that a campaign lists is
//! there, and sales can name it; where its names change, the plans of its campaigns are made again.

use super::{ProductRow, REWARDS_MAX, RewardFailure, accepted};
use crate::app::App;
use crate::campaign::{LISTS, is_archived};
use crate::error::Error;
use crate::keep::Keep;
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_store::backend::{Error as StoreError, Result as StoreResult, Tx};
use headwater_store::reward::{product_delete, product_documents_beside, product_insert, product_list, product_update};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Why a new product was given up: another one has its name.
const PRODUCT_TAKEN: &str = "the ext_id of a new product is taken";

impl App {
    /// A new product.
    pub async fn product_create(
        self: &Arc<Self>,
        account: AccountId,
        document: Map<String, Value>,
        keep: Keep<ProductRow>,
    ) -> Result<ProductRow, RewardFailure> {
        let document = accepted::product(document)?;
        let name = document.get("ext_id").and_then(product_name);
        let (text, now) = (Value::Object(document).to_string(), self.clock.now());
        let insert = async move |tx: &Tx<'_>| {
            let id = product_insert(tx, account.0, &text, now.0).await?;
            must_be_alone(tx, account, id, name.as_deref()).await?;
            let made = ProductRow { total: 1, id, document: text.clone(), created_at: now.0 };
            keep.keep(tx, &made).await?;
            Ok(made)
        };
        self.store.money.write(insert).await.map_err(refused)
    }

    /// Products, newest first, and how many there are.
    pub async fn product_list(
        self: &Arc<Self>,
        account: AccountId,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<ProductRow>, i64), Error> {
        let read = async move |tx: &Tx<'_>| {
            let rows = product_list(tx, account.0, limit, offset).await?;
            let total = match rows.first() {
                Some(row) => row.total,
                None => product_list(tx, account.0, 1, 0).await?.first().map_or(0, |row| row.total),
            };
            Ok((rows, total))
        };
        Ok(self.store.money.read(read).await?)
    }

    /// A product of this account.
    pub async fn product_read(self: &Arc<Self>, account: AccountId, id: i64) -> Result<ProductRow, Error> {
        let (all, _) = self.product_list(account, REWARDS_MAX, 0).await?;
        all.into_iter().find(|row| row.id == id).ok_or(Error::NotFound("product"))
    }

    /// Changes what is given, also which sales the campaigns that list it reward.
    pub async fn product_patch(
        self: &Arc<Self>,
        account: AccountId,
        id: i64,
        changes: Map<String, Value>,
    ) -> Result<ProductRow, RewardFailure> {
        let before = self.product_read(account, id).await?;
        let mut document: Map<String, Value> = serde_json::from_str(&before.document).unwrap_or_default();
        document.extend(changes);
        let document = accepted::product(document)?;
        let campaigns = self.campaigns_of_product(account, id);
        let is_named = |of: &Map<String, Value>| of.get("ext_id").is_some_and(|name| !name.is_null() && *name != "");
        let prices = document.get("prices").and_then(Value::as_array).into_iter().flatten();
        let has_price = prices.filter_map(Value::as_object).any(is_named);
        if let (Some(campaign), false) = (campaigns.first(), is_named(&document) || has_price) {
            let message = format!("cannot be left out: campaign {campaign} rewards sales of this product by it");
            return Err(RewardFailure::cannot("ext_id", &message));
        }
        let name = document.get("ext_id").and_then(product_name);
        let text = Value::Object(document).to_string();
        let update = async move |tx: &Tx<'_>| {
            product_update(tx, account.0, id, &text).await?;
            must_be_alone(tx, account, id, name.as_deref()).await
        };
        self.store.money.write(update).await.map_err(refused)?;
        for campaign in campaigns {
            self.campaign_plan_save(account, campaign).await?;
        }
        Ok(self.product_read(account, id).await?)
    }

    /// Deletes a product that no campaign lists; gives it as it was.
    pub async fn product_delete(self: &Arc<Self>, account: AccountId, id: i64) -> Result<ProductRow, Error> {
        let row = self.product_read(account, id).await?;
        if let Some(campaign) = self.campaigns_of_product(account, id).first() {
            let message = format!("Campaign {campaign} rewards sales of this product: take it out of its lists first.");
            return Err(Error::Conflict { code: "product_in_use", param: None, message });
        }
        self.store.money.write(async move |tx| product_delete(tx, account.0, id).await).await?;
        Ok(row)
    }

    /// The campaigns that list a product.
    fn campaigns_of_product(&self, account: AccountId, id: i64) -> Vec<ProgramId> {
        let lists = |entry: &Value| entry["product_ids"].as_array().is_some_and(|ids| ids.contains(&id.into()));
        let has = |campaign: &Map<String, Value>| {
            LISTS.iter().filter_map(|(list, _)| campaign.get(*list)?.as_array()).flatten().any(lists)
        };
        let directory = self.directory();
        let all = directory.programs(account).filter(|program| !is_archived(program));
        all.filter(|program| has(&program.settings.campaign)).map(|program| program.id).collect()
    }
}

/// Gives the transaction up where another product of the account has this name.
async fn must_be_alone(tx: &Tx<'_>, account: AccountId, id: i64, name: Option<&str>) -> StoreResult<()> {
    let Some(name) = name else { return Ok(()) };
    for (other,) in product_documents_beside(tx, account.0, id).await? {
        let other: Value = serde_json::from_str(&other).unwrap_or_default();
        if product_name(&other["ext_id"]).as_deref() == Some(name) {
            return Err(StoreError::Abandoned(PRODUCT_TAKEN.into()));
        }
    }
    Ok(())
}

fn refused(error: StoreError) -> RewardFailure {
    match error {
        StoreError::Abandoned(why) if why == PRODUCT_TAKEN => RewardFailure::wrong("ext_id", "has already been taken"),
        other => Error::from(other).into(),
    }
}

/// By what sales name a product or a price of this `ext_id`: a number as it is written.
pub(crate) fn product_name(ext_id: &Value) -> Option<String> {
    match ext_id {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
