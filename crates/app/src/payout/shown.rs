//! Payouts as the rewards dialect shows them. The same entity is in its webhooks (`announce`).

use crate::commission::shown::{campaign_named, currency_of, promoter_named};
use crate::directory::Directory;
use headwater_domain::ids::{AccountId, ProgramId};
use headwater_domain::money::{Decimal, Unit};
use headwater_domain::postback::entity::{PayoutEntity, Recipient};
use headwater_domain::time::Instant;
use headwater_store::payout::PayoutRow;
use serde_json::Value;

/// A stored payout with what the configuration says of it.
pub(crate) fn payout_entity(directory: &Directory, row: &PayoutRow, commission_ids: Vec<i64>) -> PayoutEntity {
    let account = AccountId(row.account_id);
    let currency = currency_of(directory, account, ProgramId(row.program_id));
    let settings: Value = serde_json::from_str(&row.settings).unwrap_or_default();
    PayoutEntity {
        id: row.id,
        status: row.status.clone(),
        unit: Unit::parse(&row.unit, currency).unwrap_or(Unit::Currency(currency)),
        amount: Decimal(row.amount),
        payments_batch_id: row.payments_batch_id,
        period_start: Instant(row.period_start),
        period_end: Instant(row.until_at),
        paid_at: row.paid_at.map(Instant),
        processing_started_at: row.processing_started_at.map(Instant),
        failed_at: row.failed_at.map(Instant),
        error: row.error.clone(),
        created_at: Instant(row.created_at),
        method: settings["method"].as_str().map(str::to_owned),
        method_details: settings["details"].clone(),
        promoter: promoter_named(directory, account, row.partner_id.or(row.promoter_id)),
        campaign: campaign_named(directory, account, row.program_id),
        recipient: match (row.partner_id, row.customer_id) {
            (None, Some(customer)) => Recipient::Referral(customer),
            (partner, _) => Recipient::Promoter(partner.unwrap_or_default()),
        },
        commission_ids,
    }
}
