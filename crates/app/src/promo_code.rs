//! Promo codes: made, changed and taken back, and whose a code is. Tracking a sale by one is `tracking`'s.
//!
//! Invariant: a code names one member of its account.

use crate::app::App;
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::membership::Membership;
use headwater_domain::ids::{AccountId, MembershipId};
use headwater_store::backend::Tx;
pub use headwater_store::promo_code::PromoCodeRow;
use headwater_store::promo_code::{promo_code_delete, promo_code_insert, promo_code_list, promo_code_update};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Which reward a code is shown with; what a sale pays is its campaign's.
const REWARD: &str = "reward_id";
/// What is kept as it is said.
const OBJECTS: [&str; 2] = ["metadata", "details"];
const CODE_CHARACTERS_MAX: usize = 100;

impl App {
    /// A new code of a member; `document` is what is said of it.
    pub async fn promo_code_create(
        &self,
        account: AccountId,
        membership: MembershipId,
        code: &str,
        document: Map<String, Value>,
        keep: Keep<PromoCodeRow>,
    ) -> Result<PromoCodeRow> {
        let membership = self.membership_read(account, membership)?;
        let document = self.promo_code_said(account, document).await?;
        let (code, document) = (checked(code)?, Value::Object(document).to_string());
        let now = self.clock.now();
        let insert = async move |tx: &Tx<'_>| {
            let Some(id) = promo_code_insert(tx, account.0, membership.id.0, &code, &document, now.0).await? else {
                return Ok(None);
            };
            let made = promo_code_list(tx, account.0, Some(id), None, None, 1, 0).await?.pop();
            let made = made.ok_or(headwater_store::backend::Error::Missing)?;
            keep.keep(tx, &made).await?;
            Ok(Some(made))
        };
        self.store.money.write(insert).await?.ok_or_else(taken)
    }

    /// Changes what is given.
    pub async fn promo_code_patch(
        &self,
        account: AccountId,
        id: i64,
        code: Option<&str>,
        changes: Map<String, Value>,
    ) -> Result<PromoCodeRow> {
        let before = self.promo_code_read(account, id).await?;
        let changes = self.promo_code_said(account, changes).await?;
        let code = checked(code.unwrap_or(&before.code))?;
        let mut document: Map<String, Value> = serde_json::from_str(&before.document).unwrap_or_default();
        document.extend(changes);
        let document = Value::Object(document).to_string();
        let update = async move |tx: &Tx<'_>| promo_code_update(tx, account.0, id, &code, &document).await;
        if !self.store.money.write(update).await? {
            return Err(taken());
        }
        self.promo_code_read(account, id).await
    }

    /// What is kept of what is said of a code; names that the dialect does not have are ignored.
    async fn promo_code_said(&self, account: AccountId, mut said: Map<String, Value>) -> Result<Map<String, Value>> {
        said.retain(|name, _| name == REWARD || OBJECTS.contains(&name.as_str()));
        for name in OBJECTS {
            if said.get(name).is_some_and(|value| !value.is_object() && !value.is_null()) {
                return Err(Error::invalid(name, "must be an object"));
            }
        }
        if let Some(reward) = said.get(REWARD).filter(|reward| !reward.is_null()) {
            let unknown = || Error::invalid(REWARD, "must be the id of a reward");
            match self.reward_read(account, reward.as_i64().ok_or_else(unknown)?).await {
                Ok(_) => {}
                Err(Error::NotFound(_)) => return Err(unknown()),
                Err(error) => return Err(error),
            }
        }
        Ok(said)
    }

    /// Takes a code back.
    pub async fn promo_code_delete(&self, account: AccountId, id: i64) -> Result<()> {
        let is_gone = self.store.money.write(async move |tx| promo_code_delete(tx, account.0, id).await).await?;
        if is_gone { Ok(()) } else { Err(Error::NotFound("promo_code")) }
    }

    /// A code by its number.
    pub async fn promo_code_read(&self, account: AccountId, id: i64) -> Result<PromoCodeRow> {
        let read = async move |tx: &Tx<'_>| promo_code_list(tx, account.0, Some(id), None, None, 1, 0).await;
        self.store.money.read(read).await?.into_iter().next().ok_or(Error::NotFound("promo_code"))
    }

    /// Codes, newest first, perhaps of one member, and how many there are.
    pub async fn promo_code_list(
        &self,
        account: AccountId,
        membership: Option<MembershipId>,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<PromoCodeRow>, i64)> {
        let membership = membership.map(|membership| membership.0);
        let read = async move |tx: &Tx<'_>| {
            let rows = promo_code_list(tx, account.0, None, None, membership, limit, offset).await?;
            let total = match rows.first() {
                Some(row) => row.total,
                None => {
                    promo_code_list(tx, account.0, None, None, membership, 1, 0).await?.first().map_or(0, |r| r.total)
                }
            };
            Ok((rows, total))
        };
        Ok(self.store.money.read(read).await?)
    }

    /// Whose a code is.
    pub async fn promo_code_member(&self, account: AccountId, code: &str) -> Result<Option<Arc<Membership>>> {
        let code = code.to_owned();
        let read = async move |tx: &Tx<'_>| promo_code_list(tx, account.0, None, Some(&code), None, 1, 0).await;
        let found = self.store.money.read(read).await?.into_iter().next();
        Ok(found.and_then(|row| self.directory().membership(account, MembershipId(row.membership_id)).cloned()))
    }
}

fn taken() -> Error {
    Error::invalid("code", "has already been taken")
}

fn checked(code: &str) -> Result<String> {
    let code = code.trim();
    let fits = (1..=CODE_CHARACTERS_MAX).contains(&code.chars().count()) && !code.chars().any(char::is_control);
    if fits { Ok(code.to_owned()) } else { Err(Error::invalid("code", "must have 1 to 100 characters")) }
}
