//! What a promoter has earned and was not paid yet, less what it was paid too much, as the rewards dialect shows it, and who
//! hears that it changed.
//!
//! Every change of the ledger goes through `ledger::book`, which asks here in its transaction. Costs nothing where no webhook
//! listens. Invariant: two units, and two currencies, are never added up; a debt stands below nothing in the sum of its unit.

use crate::announce::{Told, announce};
use crate::app::App;
use crate::directory::Directory;
use crate::error::Result;
use crate::partner;
use headwater_domain::ids::{AccountId, PartnerId};
use headwater_domain::ledger::{AccountName, Owner};
use headwater_domain::money::{Currency, Decimal, Unit};
use headwater_domain::postback::entity::amount_json;
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::ledger::{BalanceFilter, balance_list};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a promoter hears of.
const EVENT_TYPE: &str = "promoter.balance.updated";

/// Amounts by the name of their unit.
pub(crate) type Owed = BTreeMap<String, Decimal>;

/// Whether what stands in this account is earned and not paid yet, or a debt that the next payout takes back.
pub(crate) fn is_open(name: &str) -> bool {
    [AccountName::Accrued, AccountName::Held, AccountName::Payable, AccountName::Receivable]
        .iter()
        .any(|open| open.name() == name)
}

/// Amounts by unit: money of the first program's currency is `cash`, that of another one stands under its code. `discount`, which
/// is published without a unit, is the one in money; percents have a name of their own.
fn shown(directory: &Directory, account: AccountId, owed: &Owed) -> Value {
    let own = directory.default_program(account).map(|program| program.settings.currency.clone());
    let Some(own) = own.and_then(|code| Currency::parse(&code)) else { return json!({}) };
    let each = owed.iter().filter_map(|(name, amount)| {
        let unit = Currency::parse(name).map(Unit::Currency).or_else(|| Unit::parse(name, own))?;
        let key = if unit == Unit::Currency(own) { "cash".to_owned() } else { name.clone() };
        Some((key, amount_json(*amount, unit)))
    });
    let mut shown: Map<String, Value> = each.collect();
    if let Some(discount) = shown.get("mon_discount").cloned() {
        shown.insert("discount".into(), discount);
    }
    Value::Object(shown)
}

async fn owed(tx: &Tx<'_>, account: AccountId, partner: PartnerId) -> StoreResult<Owed> {
    let filter = BalanceFilter { owner: Some(Owner::Partner(partner).to_string()), ..BalanceFilter::default() };
    let mut owed = Owed::new();
    for row in balance_list(tx, account.0, &filter).await?.into_iter().filter(|row| is_open(&row.name)) {
        let of = owed.entry(row.unit).or_insert(Decimal::ZERO);
        *of = of.checked_add(Decimal(row.balance)).unwrap_or(*of);
    }
    Ok(owed)
}

impl App {
    /// What a promoter earned and was not paid yet, less its debts, as it is shown.
    pub async fn balances(self: &Arc<Self>, account: AccountId, partner: PartnerId) -> Result<Value> {
        let read = async move |tx: &Tx<'_>| owed(tx, account, partner).await;
        let owed = self.store.money.read(read).await?;
        Ok(shown(&self.directory(), account, &owed))
    }
}

/// Announces balances that changed by so much; gives whether there is something to deliver.
pub(crate) async fn announce_balances(
    tx: &Tx<'_>,
    app: &App,
    changed: &BTreeMap<(i64, PartnerId), Owed>,
    now: Instant,
) -> StoreResult<bool> {
    let directory = app.directory();
    let mut told = Vec::new();
    for ((account, partner), by) in changed {
        let account = AccountId(*account);
        if by.values().all(|amount| *amount == Decimal::ZERO)
            || directory.webhooks_of_account(account, EVENT_TYPE).next().is_none()
        {
            continue;
        }
        let Some(found) = directory.partner_by_id(account, *partner) else { continue };
        let after = owed(tx, account, *partner).await?;
        let mut before = after.clone();
        for (unit, amount) in by {
            let of = before.entry(unit.clone()).or_insert(Decimal::ZERO);
            *of = of.checked_sub(*amount).unwrap_or(*of);
        }
        let balances = shown(&directory, account, &after);
        let difference = json!({"balances": [shown(&directory, account, &before), balances]});
        let mut data = partner::entity(found);
        data["balances"] = balances;
        told.push(Told::other(account, None, "promoter", partner.0, data, vec![("balance.updated", difference)]));
    }
    if told.is_empty() { Ok(false) } else { announce(tx, app, &told, now).await }
}
