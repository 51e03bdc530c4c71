//! Promo codes: made, changed and archived, and whose a code is. Tracking a sale by one is `tracking`'s.
//!
//! Invariant: a code names one member of its account, and the text of an archived one is nobody else's to take: who still has it
//! got it from that member. The company may give it out again.

use crate::app::App;
use crate::campaign::{LISTS, is_archived};
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::membership::Membership;
use headwater_domain::ids::{AccountId, MembershipId};
use headwater_domain::time::Instant;
use headwater_store::backend::Tx;
use headwater_store::promo_code::{
    NewPromoCode, PromoCodeRow, promo_code_archive, promo_code_insert, promo_code_list, promo_code_update,
};
use headwater_store::reward::reward_documents;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Which reward a code is shown with; what a sale pays is its campaign's.
const REWARD: &str = "reward_id";
/// What is kept as it is said.
const OBJECTS: [&str; 2] = ["metadata", "details"];
const DESCRIPTION: &str = "description";
const CODE_CHARACTERS_MAX: usize = 100;
const DESCRIPTION_CHARACTERS_MAX: usize = 2000;

/// Who makes a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeMaker {
    /// Any reward of the account may stand beside it.
    Company,
    /// Only a reward of its campaign; and only what it made itself is its own to change.
    Promoter,
}

/// A code.
#[derive(Debug, Clone)]
pub struct PromoCode {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub membership: MembershipId,
    /// Its text.
    pub code: String,
    /// What is said of it.
    pub said: Map<String, Value>,
    /// The reward that it is shown with: its number and name.
    pub reward: Option<(i64, String)>,
    /// When it was made.
    pub created: Instant,
    /// Since when it is archived.
    pub archived: Option<Instant>,
    /// Who made it.
    pub maker: CodeMaker,
}

impl App {
    /// A new code of a member; `document` is what is said of it.
    pub async fn promo_code_create(
        &self,
        account: AccountId,
        membership: MembershipId,
        code: &str,
        document: Map<String, Value>,
        maker: CodeMaker,
        keep: Keep<PromoCode>,
    ) -> Result<PromoCode> {
        let membership = self.membership_read(account, membership)?;
        if self.program_read(account, membership.program).is_ok_and(|program| is_archived(&program)) {
            return Err(Error::invalid("promoter_campaign_id", "is of a campaign that was deleted"));
        }
        let document = self.promo_code_said(account, &membership, document, maker).await?;
        let new = NewPromoCode {
            account_id: account.0,
            membership_id: membership.id.0,
            code: checked(code)?,
            document: Value::Object(document).to_string(),
            created_at: self.clock.now().0,
            by_promoter: maker == CodeMaker::Promoter,
        };
        let insert = async move |tx: &Tx<'_>| {
            let Some(id) = promo_code_insert(tx, &new).await? else { return Ok(None) };
            let rows = promo_code_list(tx, account.0, Some(id), None, None, 1, 0).await?;
            let made = named(tx, account, rows).await?.pop().ok_or(headwater_store::backend::Error::Missing)?;
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
        maker: CodeMaker,
    ) -> Result<PromoCode> {
        let before = self.promo_code_read(account, id).await?;
        if before.archived.is_some() {
            let message = "This promo code is archived.".into();
            return Err(Error::Conflict { code: "promo_code_archived", param: None, message });
        }
        let membership = self.membership_read(account, before.membership)?;
        let changes = self.promo_code_said(account, &membership, changes, maker).await?;
        let code = checked(code.unwrap_or(&before.code))?;
        let mut document = before.said;
        document.extend(changes);
        let document = Value::Object(document).to_string();
        let update = async move |tx: &Tx<'_>| promo_code_update(tx, account.0, id, &code, &document).await;
        if !self.store.money.write(update).await? {
            return Err(taken());
        }
        self.promo_code_read(account, id).await
    }

    /// What is kept of what is said of a code; names that the dialect does not have are ignored.
    async fn promo_code_said(
        &self,
        account: AccountId,
        membership: &Membership,
        mut said: Map<String, Value>,
        maker: CodeMaker,
    ) -> Result<Map<String, Value>> {
        said.retain(|name, _| [REWARD, DESCRIPTION].contains(&name.as_str()) || OBJECTS.contains(&name.as_str()));
        for name in OBJECTS {
            if said.get(name).is_some_and(|value| !value.is_object() && !value.is_null()) {
                return Err(Error::invalid(name, "must be an object"));
            }
        }
        match said.get(DESCRIPTION) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) if text.chars().count() <= DESCRIPTION_CHARACTERS_MAX => {}
            Some(_) => return Err(Error::invalid(DESCRIPTION, "must be a string of at most 2000 characters")),
        }
        if let Some(reward) = said.get(REWARD).filter(|reward| !reward.is_null()) {
            let unknown = || Error::invalid(REWARD, "must be the id of a reward");
            let id = reward.as_i64().ok_or_else(unknown)?;
            match self.reward_read(account, id).await {
                Ok(_) => {}
                Err(Error::NotFound(_)) => return Err(unknown()),
                Err(error) => return Err(error),
            }
            let campaign = self.program_read(account, membership.program)?;
            let listed =
                LISTS.iter().filter_map(|(list, _)| campaign.settings.campaign.get(*list)?.as_array()).flatten();
            if maker == CodeMaker::Promoter && !listed.into_iter().any(|entry| entry[REWARD].as_i64() == Some(id)) {
                return Err(Error::invalid(REWARD, "must be the id of a reward of this campaign"));
            }
        }
        Ok(said)
    }

    /// Archives a code; what is archived stays so.
    pub async fn promo_code_archive(&self, account: AccountId, id: i64) -> Result<PromoCode> {
        let now = self.clock.now();
        self.store.money.write(async move |tx| promo_code_archive(tx, account.0, id, now.0).await).await?;
        self.promo_code_read(account, id).await
    }

    /// A code by its number, archived or not.
    pub async fn promo_code_read(&self, account: AccountId, id: i64) -> Result<PromoCode> {
        let read = async move |tx: &Tx<'_>| {
            let rows = promo_code_list(tx, account.0, Some(id), None, None, 1, 0).await?;
            named(tx, account, rows).await
        };
        self.store.money.read(read).await?.pop().ok_or(Error::NotFound("promo_code"))
    }

    /// Codes that are not archived, newest first, perhaps of one member, and how many there are.
    pub async fn promo_code_list(
        &self,
        account: AccountId,
        membership: Option<MembershipId>,
        limit: i64,
        offset: i64,
    ) -> Result<(Vec<PromoCode>, i64)> {
        let membership = membership.map(|membership| membership.0);
        let read = async move |tx: &Tx<'_>| {
            let rows = promo_code_list(tx, account.0, None, None, membership, limit, offset).await?;
            let total = match rows.first() {
                Some(row) => row.total,
                None => {
                    promo_code_list(tx, account.0, None, None, membership, 1, 0).await?.first().map_or(0, |r| r.total)
                }
            };
            Ok((named(tx, account, rows).await?, total))
        };
        Ok(self.store.money.read(read).await?)
    }

    /// Whose a code is; nobody's once it is archived.
    pub async fn promo_code_member(&self, account: AccountId, code: &str) -> Result<Option<Arc<Membership>>> {
        let code = code.to_owned();
        let read = async move |tx: &Tx<'_>| promo_code_list(tx, account.0, None, Some(&code), None, 1, 0).await;
        let found = self.store.money.read(read).await?.into_iter().next();
        Ok(found.and_then(|row| self.directory().membership(account, MembershipId(row.membership_id)).cloned()))
    }
}

/// Rows as codes, with the names of their rewards.
async fn named(
    tx: &Tx<'_>,
    account: AccountId,
    rows: Vec<PromoCodeRow>,
) -> headwater_store::backend::Result<Vec<PromoCode>> {
    let code = |row: PromoCodeRow| PromoCode {
        id: row.id,
        membership: MembershipId(row.membership_id),
        code: row.code,
        said: serde_json::from_str(&row.document).unwrap_or_default(),
        reward: None,
        created: Instant(row.created_at),
        archived: row.archived_at.map(Instant),
        maker: if row.by_promoter { CodeMaker::Promoter } else { CodeMaker::Company },
    };
    let mut codes: Vec<PromoCode> = rows.into_iter().map(code).collect();
    let reward_of = |code: &PromoCode| code.said.get(REWARD).and_then(Value::as_i64);
    let list = codes.iter().filter_map(reward_of).fold(String::new(), |list, id| format!("{list},{id}"));
    if list.is_empty() {
        return Ok(codes);
    }
    let documents = reward_documents(tx, account.0, &format!("{list},")).await?.into_iter().map(|row| {
        let document: Value = serde_json::from_str(&row.document).unwrap_or_default();
        (row.id, document["name"].as_str().unwrap_or_default().to_owned())
    });
    let names: BTreeMap<i64, String> = documents.collect();
    for code in &mut codes {
        code.reward = reward_of(code).and_then(|id| Some((id, names.get(&id)?.clone())));
    }
    Ok(codes)
}

fn taken() -> Error {
    Error::invalid("code", "has already been taken")
}

fn checked(code: &str) -> Result<String> {
    let code = code.trim();
    let fits = (1..=CODE_CHARACTERS_MAX).contains(&code.chars().count()) && !code.chars().any(char::is_control);
    if fits { Ok(code.to_owned()) } else { Err(Error::invalid("code", "must have 1 to 100 characters")) }
}
