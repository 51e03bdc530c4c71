//! Commissions as the rewards dialect shows them: one page of a list, one of them, and their notes.
//!
//! The same entity is in its webhooks (`announce`). Leaves the JSON to `domain::postback::entity`, and filters to the store.

use crate::announce::{Told, announce};
use crate::app::App;
use crate::campaign::reward_of_level;
use crate::directory::Directory;
use crate::error::{Error, Result};
use crate::ledger::moves::numbers;
use crate::reward_plan::reward_of_rule;
use headwater_domain::commission::SplitPart;
use headwater_domain::ids::{AccountId, CommissionId, PartnerId, ProgramId};
use headwater_domain::ledger::Stage;
use headwater_domain::money::{Currency, Decimal, Unit};
use headwater_domain::postback::entity::{
    CampaignNamed, CommissionEntity, PromoterNamed, Recipient, ReferralNamed, SplitDetails, SplitPartner,
};
use headwater_domain::time::Instant;
use headwater_store::backend::{Result as StoreResult, Tx};
use headwater_store::commission_shown::{
    ShownCommission, commission_notes, commissions_shown, commissions_shown_by_id,
};
pub use headwater_store::commission_shown::{ShownFilter, ShownOrder};
use headwater_store::reward::reward_documents;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Something unpaid is overdue this long after it fell due.
const OVERDUE_SECONDS: i64 = 30 * 86_400;

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Shown<T> {
    /// How many fit in all.
    pub total: i64,
    /// Those of the page.
    pub rows: Vec<T>,
}

impl App {
    /// One page of the commissions that fit, `page` counted from 1.
    pub async fn commissions_shown(
        self: &Arc<Self>,
        account: AccountId,
        mut filter: ShownFilter,
        order: (ShownOrder, bool),
        page: i64,
        per_page: i64,
    ) -> Result<Shown<CommissionEntity>> {
        filter.overdue_before = self.clock.now().plus_seconds(-OVERDUE_SECONDS).0;
        let offset = (page.max(1) - 1).saturating_mul(per_page);
        let app = Arc::clone(self);
        let list = async move |tx: &Tx<'_>| {
            let rows = commissions_shown(tx, account.0, &filter, order, per_page, offset).await?;
            if rows.is_empty() && offset > 0 {
                // A page after the last one still says how many there are.
                let first = commissions_shown(tx, account.0, &filter, order, 1, 0).await?;
                return Ok((first.first().map_or(0, |row| row.total), rows, RewardNames::new()));
            }
            let names = reward_names(tx, &app.directory(), &rows).await?;
            Ok((rows.first().map_or(0, |row| row.total), rows, names))
        };
        let (total, rows, names) = self.store.money.read(list).await?;
        let directory = self.directory();
        Ok(Shown { total, rows: rows.iter().map(|row| commission_entity(&directory, &names, row)).collect() })
    }

    /// Commissions of these numbers that are not hidden, in the order of their numbers.
    pub async fn commissions_shown_by_id(
        self: &Arc<Self>,
        account: AccountId,
        ids: Vec<i64>,
    ) -> Result<Vec<CommissionEntity>> {
        let texts: Vec<String> = ids.iter().map(i64::to_string).collect();
        let list = format!(",{},", texts.join(","));
        let filter = ShownFilter { ids: Some(list), ..ShownFilter::default() };
        let limit = i64::try_from(ids.len()).unwrap_or(i64::MAX);
        let app = Arc::clone(self);
        let read = async move |tx: &Tx<'_>| {
            let rows = commissions_shown(tx, account.0, &filter, (ShownOrder::default(), false), limit, 0).await?;
            let names = reward_names(tx, &app.directory(), &rows).await?;
            Ok((rows, names))
        };
        let (rows, names) = self.store.money.read(read).await?;
        let directory = self.directory();
        Ok(rows.iter().map(|row| commission_entity(&directory, &names, row)).collect())
    }

    /// A commission that is not hidden.
    pub async fn commission_shown(self: &Arc<Self>, account: AccountId, id: CommissionId) -> Result<CommissionEntity> {
        self.commissions_shown_by_id(account, vec![id.0]).await?.pop().ok_or(Error::NotFound("commission"))
    }

    /// Sets notes; `None` leaves one as it is, an empty one takes it away.
    pub async fn commission_notes_put(
        self: &Arc<Self>,
        account: AccountId,
        id: CommissionId,
        internal: Option<String>,
        external: Option<String>,
    ) -> Result<CommissionEntity> {
        let app = Arc::clone(self);
        let now = self.clock.now();
        let put = async move |tx: &Tx<'_>| {
            let Some(before) = commissions_shown_by_id(tx, account.0, &numbers([id.0])).await?.pop() else {
                return Ok(None);
            };
            if !commission_notes(tx, account.0, id.0, internal.as_deref(), external.as_deref()).await? {
                return Ok(None);
            }
            let mut changes = Map::new();
            let said = |note: &Option<String>| note.clone().filter(|note| !note.is_empty());
            for (name, was, note) in [
                ("internal_note", &before.internal_note, &internal),
                ("external_note", &before.external_note, &external),
            ] {
                if note.is_some() && said(note) != *was {
                    changes.insert(name.to_owned(), json!([was, said(note)]));
                }
            }
            if changes.is_empty() {
                return Ok(Some(false));
            }
            let status = Stage::of(&before.status, true).map_or("pending", Stage::decision);
            let told = Told::commission_changed(account.0, before.program_id, id.0, status, Value::Object(changes));
            Ok(Some(announce(tx, &app, &[told], now).await?))
        };
        let delivers = self.store.money.write(put).await?.ok_or(Error::NotFound("commission"))?;
        if delivers {
            self.outbox.ring();
        }
        self.commission_shown(account, id).await
    }
}

/// The currency of a program, in which what names no currency is counted.
pub(crate) fn currency_of(directory: &Directory, account: AccountId, program: ProgramId) -> Currency {
    let named = directory.program(account, program).and_then(|program| Currency::parse(&program.settings.currency));
    named.unwrap_or_else(|| Currency::parse("USD").expect("ISO 4217 has it"))
}

pub(crate) fn promoter_named(directory: &Directory, account: AccountId, id: Option<i64>) -> Option<PromoterNamed> {
    let partner = directory.partner_by_id(account, PartnerId(id?))?;
    Some(PromoterNamed { id: partner.id.0, email: partner.row.email.clone(), name: partner.row.name.clone() })
}

pub(crate) fn campaign_named(directory: &Directory, account: AccountId, id: i64) -> CampaignNamed {
    let name = directory.program(account, ProgramId(id)).map(|program| program.row.name.clone()).unwrap_or_default();
    CampaignNamed { id, name }
}

/// Rewards' names by their numbers.
pub(crate) type RewardNames = BTreeMap<i64, String>;

/// The names of the rewards that these commissions are of.
pub(crate) async fn reward_names(
    tx: &Tx<'_>,
    directory: &Directory,
    rows: &[ShownCommission],
) -> StoreResult<RewardNames> {
    let ids: BTreeSet<i64> = rows.iter().filter_map(|row| reward_of(directory, row)).collect();
    let Some(account) = rows.first().map(|row| AccountId(row.account_id)).filter(|_| !ids.is_empty()) else {
        return Ok(RewardNames::new());
    };
    let list = ids.iter().fold(",".to_owned(), |list, id| format!("{list}{id},"));
    let named = reward_documents(tx, account.0, &list).await?.into_iter().filter_map(|row| {
        let document: Value = serde_json::from_str(&row.document).ok()?;
        Some((row.id, document.get("name")?.as_str()?.to_owned()))
    });
    Ok(named.collect())
}

/// The reward that a commission is of: that of its level, where the campaign's lists made the levels; else that of the sale.
fn reward_of(directory: &Directory, row: &ShownCommission) -> Option<i64> {
    let of_sale = reward_of_rule(&row.rule)?;
    if row.level == 0 {
        return Some(of_sale);
    }
    let program = directory.program(AccountId(row.account_id), ProgramId(row.program_id))?;
    Some(reward_of_level(&program.settings.campaign, row.level + 1, Instant(row.created_at)).unwrap_or(of_sale))
}

/// A stored commission with what the configuration says of it.
pub(crate) fn commission_entity(directory: &Directory, names: &RewardNames, row: &ShownCommission) -> CommissionEntity {
    let (account, program) = (AccountId(row.account_id), ProgramId(row.program_id));
    let currency = currency_of(directory, account, program);
    let unit = |name: &str| Unit::parse(name, currency).unwrap_or(Unit::Currency(currency));
    let promoter = row.partner_id.or(row.promoter_id);
    let membership = promoter.and_then(|id| directory.membership_in(program, PartnerId(id)));
    let text_of = |json: &Option<String>, key: &str| {
        let value: Value = serde_json::from_str(json.as_deref()?).ok()?;
        value.get(key)?.as_str().map(str::to_owned)
    };
    let status = Stage::of(&row.status, true);
    let referral = row.referral_id.map(|id| ReferralNamed {
        id,
        email: row.referral_email.clone(),
        uid: row.referral_uid.clone(),
    });
    let recipient = match (row.partner_id, row.customer_id) {
        (None, Some(customer)) => Recipient::Referral(customer),
        (partner, _) => Recipient::Promoter(partner.unwrap_or_default()),
    };
    CommissionEntity {
        id: row.id,
        status: status.map_or_else(|| row.status.clone(), |stage| stage.decision().to_owned()),
        unit: unit(&row.unit),
        amount: Decimal(row.amount),
        is_custom: row.fact_id == 0,
        // A key has no email.
        created_by: row.made_by.clone().filter(|maker| maker.contains('@')),
        is_paid: status == Some(Stage::Paid),
        sale_amount: row.sale_amount.map(Decimal),
        sale_unit: unit(row.sale_currency.as_deref().unwrap_or(currency.code())),
        event_id: row.fact_key.clone(),
        plan_id: text_of(&row.fact_data, "plan"),
        tier: row.level + 1,
        internal_note: row.internal_note.clone(),
        external_note: row.external_note.clone(),
        fraud_check: row
            .referral_id
            .map(|_| text_of(&row.referral_attributes, "fraud_check").unwrap_or_else(|| "no_suspicion".into())),
        created_at: Instant(row.created_at),
        // What is approved by itself is decided when it is made.
        status_updated_at: row
            .decided_at
            .or((status.map(Stage::decision) != Some("pending")).then_some(row.created_at))
            .map(Instant),
        membership: membership.map(|member| (member.id.0, Instant(member.row.created_at))),
        promoter: promoter_named(directory, account, promoter),
        campaign: campaign_named(directory, account, row.program_id),
        referral,
        reward: reward_of(directory, row).map(|id| (id, names.get(&id).cloned().unwrap_or_default())),
        recipient,
        payout_id: row.payout_id,
        fulfilled_at: row.paid_at.filter(|_| row.status == "fulfilled").map(Instant),
        has_issues: row.has_issues,
        split: row.split.as_deref().and_then(|text| split_details(directory, program, text, row.partner_id)),
    }
}

/// Who shared what a commission of this partner is a portion of.
fn split_details(
    directory: &Directory,
    program: ProgramId,
    stored: &str,
    partner: Option<i64>,
) -> Option<SplitDetails> {
    let parts = SplitPart::from_stored(stored)?;
    let own = parts.iter().find(|part| Some(part.partner.0) == partner)?;
    let (direct, others) = parts.split_first()?;
    Some(SplitDetails {
        percent: own.percent,
        primary: directory.membership_in(program, direct.partner).map(|member| member.id.0),
        partners: split_partners(directory, program, others),
    })
}

/// Split partners as they are shown.
pub(crate) fn split_partners(directory: &Directory, program: ProgramId, parts: &[SplitPart]) -> Vec<SplitPartner> {
    let partner = |part: &SplitPart| SplitPartner {
        promoter: part.partner.0,
        membership: directory.membership_in(program, part.partner).map(|member| member.id.0),
        percent: part.percent,
    };
    parts.iter().map(partner).collect()
}
