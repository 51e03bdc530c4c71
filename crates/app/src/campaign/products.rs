//! Which products an entry of a campaign's lists is about, and by which names a sale says that it is of one.
//!
//! Leaves what is paid for them to the campaign's plan. Invariant: what is taken can be told apart by sales.

use super::SPECIFIC;
use crate::app::App;
use crate::error::Error;

use crate::reward::{ProductRow, REWARDS_MAX, RewardFailure, product_name};
use headwater_domain::ids::AccountId;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

impl App {
    /// Products are named where some are meant, and can be told by the names of sales.
    pub(super) async fn products_check(
        self: &Arc<Self>,
        account: AccountId,
        entry: &Value,
    ) -> Result<(), RewardFailure> {
        let is_specific = entry["apply_on"] == SPECIFIC;
        let listed = match &entry["product_ids"] {
            Value::Null => 0,
            Value::Array(list) => list.len(),
            _ => return Err(RewardFailure::wrong("product_ids", "must be a list")),
        };
        if listed > 0 && !is_specific {
            return Err(RewardFailure::wrong("product_ids", "goes with apply_on specific; send []"));
        }
        if !is_specific {
            return Ok(());
        }
        if listed == 0 {
            return Err(RewardFailure::wrong(
                "product_ids",
                "must name at least one product where apply_on is specific",
            ));
        }
        let names = self.product_names(account).await?;
        let ids: Vec<i64> = ids(entry).collect();
        if ids.len() != listed || !ids.iter().all(|id| names.contains_key(id)) {
            return Err(RewardFailure::wrong("product_ids", "must be the ids of products"));
        }
        match ids.iter().find(|id| names[id].is_empty()) {
            Some(id) => {
                let message =
                    format!("cannot be told apart: product {id} and its prices have no ext_id for sales to name");
                Err(RewardFailure::cannot("product_ids", &message))
            }
            None => Ok(()),
        }
    }

    /// By which names sales may say that they are of a product: its own and those of its prices.
    pub(super) async fn product_names(
        self: &Arc<Self>,
        account: AccountId,
    ) -> Result<BTreeMap<i64, Vec<String>>, Error> {
        let (rows, _) = self.product_list(account, REWARDS_MAX, 0).await?;
        let names_of = |document: &Value| -> Vec<String> {
            let prices = document["prices"].as_array().into_iter().flatten();
            let named = std::iter::once(document).chain(prices).map(|of| &of["ext_id"]);
            named.filter_map(product_name).collect()
        };
        let row = |row: ProductRow| (row.id, names_of(&serde_json::from_str(&row.document).unwrap_or_default()));
        Ok(rows.into_iter().map(row).collect())
    }
}

/// The products that an entry of a list names.
pub(super) fn ids(entry: &Value) -> impl Iterator<Item = i64> {
    entry["product_ids"].as_array().into_iter().flatten().filter_map(Value::as_i64)
}
