//! Commissions that somebody makes by hand: they have no fact, no rule of a plan and a cell of their own, so nothing that is
//! priced again ever corrects them.
//!
//! They are posted as a settlement posts: in the ledger at once, with an audit, approved where the program approves by itself.

use crate::app::App;
use crate::error::{Error, Result};
use crate::ledger::book::{Booking, book};
use crate::settle::rewards;
use headwater_domain::ids::{AccountId, CommissionId, MembershipId, PartnerId};
use headwater_domain::ledger::{Before, Owner, Stage, accrual};
use headwater_domain::money::{Currency, Decimal, Unit};
use headwater_domain::postback::entity::CommissionEntity;
use headwater_domain::time::{Period, PeriodLength, Zone};
use headwater_store::audit::{AuditRow, audit_insert};
use headwater_store::backend::Tx;
use headwater_store::commission_shown::commission_notes;
use headwater_store::inbox::{EventClaim, event_claim};
use headwater_store::outcome::{NewCommission, Outcome, outcome_write};
use serde_json::json;
use std::sync::Arc;

/// The rule that such a commission names.
pub const CUSTOM_RULE: &str = "custom";

/// Before the caller's id, among the ids of events. An event whose own id begins like this would be refused as a conflict.
const CLAIM_PREFIX: &str = " commission:";

/// A commission to make by hand.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the key of its own name in rewards-api.md §6, or explained")]
pub struct CustomCommission {
    /// Who gets it, and in which program.
    pub membership: MembershipId,
    /// `None`: the program's currency.
    pub unit: Option<Unit>,
    /// Not nothing; below it takes back.
    pub amount: Decimal,
    /// The caller's id: of a program, each makes one commission, however often it is asked for.
    pub event_id: Option<String>,
    pub internal_note: Option<String>,
    pub external_note: Option<String>,
    /// Whoever is named as its maker.
    pub made_by: Option<String>,
}

impl App {
    /// Makes a commission by hand.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a commission was made under its `event_id` before.
    pub async fn commission_custom(
        self: &Arc<Self>,
        account: AccountId,
        custom: CustomCommission,
        actor: &str,
    ) -> Result<CommissionEntity> {
        let directory = self.directory();
        let unknown = || Error::NotFound("promoter campaign");
        let member = directory.membership(account, custom.membership).cloned().ok_or_else(unknown)?;
        let program = directory.program(account, member.program).cloned().ok_or_else(unknown)?;
        let currency = Currency::parse(&program.settings.currency)
            .ok_or_else(|| Error::invalid("unit", "is needed: the program has no currency"))?;
        let unit = custom.unit.unwrap_or(Unit::Currency(currency));
        if custom.amount == Decimal::ZERO || custom.amount.0 % unit.minor_unit().0 != 0 {
            return Err(Error::invalid("amount", "must be whole minor units of its unit, and not 0"));
        }
        let now = self.clock.now();
        let zone = Zone::parse(&program.settings.time_zone).unwrap_or(Zone::UTC);
        let period = Period::holding(PeriodLength::Month, zone.day_of(now)).to_string();
        let stage = Stage::posted(custom.amount, Before::NOTHING, program.settings.auto_approve.unwrap_or(true), true);
        let id = self.next_id(now);
        let row = NewCommission {
            id,
            account_id: account.0,
            program_id: program.id.0,
            partner_id: Some(member.partner.0),
            customer_id: None,
            person_id: 0,
            rule: CUSTOM_RULE.into(),
            level: 0,
            cell: format!("custom:{id}"),
            status: stage.status().into(),
            unit: unit.name(),
            amount: custom.amount.0,
            period: period.clone(),
            for_period: period,
            payable_at: now.0,
            fact_id: 0,
            event_id: None,
            corrects: None,
            plan: String::new(),
            plan_number: 0,
            posted_before: 0,
            explanation: json!({"made_by": custom.made_by, "amount": custom.amount.to_string()}).to_string(),
            created_at: now.0,
            sale_amount: None,
            sale_currency: None,
            split: None,
        };
        let deed = AuditRow {
            id: self.next_id(now),
            account_id: account.0,
            at: now.0,
            actor: actor.to_owned(),
            action: "commission.created".into(),
            object: format!("commission:{id}"),
            detail: json!({"amount": custom.amount.to_string(), "unit": unit.name()}).to_string(),
        };
        let bookings = bookings(&row, member.partner, stage);
        let (app, posted) = (Arc::clone(self), row.clone());
        let outcome = Outcome { commissions: vec![row], ..Outcome::default() };
        let (internal, external, made_by) = (custom.internal_note, custom.external_note, custom.made_by);
        let claim = custom.event_id.map(|event_id| EventClaim {
            program_id: program.id.0,
            event_key: format!("{CLAIM_PREFIX}{event_id}"),
            event_id: id,
            fingerprint: String::new(),
        });
        let write = async move |tx: &Tx<'_>| {
            if let Some(claim) = &claim
                && event_claim(tx, std::slice::from_ref(claim)).await?.is_empty()
            {
                return Ok(None);
            }
            outcome_write(tx, &outcome).await?;
            commission_notes(tx, account.0, id, internal.as_deref(), external.as_deref()).await?;
            headwater_store::commission::commission_made_by(tx, id, made_by.as_deref()).await?;
            book(tx, &app, &bookings, now).await?;
            audit_insert(tx, std::slice::from_ref(&deed)).await?;
            rewards::follow(tx, &app, std::slice::from_ref(&posted), now).await.map(Some)
        };
        let is_repeated = || Error::Conflict {
            code: "event_id_seen",
            param: Some("event_id"),
            message: "There is a commission with this event_id already.".into(),
        };
        if self.store.money.write(write).await?.ok_or_else(is_repeated)? {
            self.outbox.ring();
        }
        self.commission_shown(account, CommissionId(id)).await
    }
}

fn bookings(row: &NewCommission, partner: PartnerId, stage: Stage) -> Vec<Booking> {
    let transfers = accrual(Owner::Partner(partner), Decimal(row.amount), stage);
    transfers
        .into_iter()
        .map(|transfer| Booking {
            account_id: row.account_id,
            program_id: row.program_id,
            unit: row.unit.clone(),
            transfer,
            commission: Some(row.id),
            payout: None,
        })
        .collect()
}
