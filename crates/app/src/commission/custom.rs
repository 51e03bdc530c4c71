//! Commissions that somebody makes by hand: they have no fact, no rule of a plan and a cell of their own, so nothing that is
//! priced again ever corrects them.
//!
//! They are posted as a settlement posts: in the ledger at once, with an audit, approved where the program approves by itself. One
//! may name a reward of its campaign that is given by hand. Also writes down who reported a sale by hand.

use crate::app::App;
use crate::commission::shown::{commission_entity, reward_names};
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::ledger::book::{Booking, book};
use crate::ledger::moves::numbers;
use crate::reward::{RewardFailure, currency_of};
use crate::reward_plan::{AppliesTo, by_hand_rule, given_by_hand};
use crate::settle::rewards;
use headwater_domain::ids::{AccountId, MembershipId, PartnerId, ProgramId};
use headwater_domain::ledger::{Owner, Stage, TakenFrom, accrual};
use headwater_domain::money::{Currency, Decimal, Unit};
use headwater_domain::postback::entity::CommissionEntity;
use headwater_domain::time::{Date, Period, PeriodLength, Zone};
use headwater_store::audit::{AuditRow, audit_insert};
use headwater_store::backend::{Error as StoreError, Tx};
use headwater_store::commission::{commission_made_by, commissions_made_by};
use headwater_store::commission_shown::{commission_notes, commissions_shown_by_id};
use headwater_store::inbox::{EventClaim, event_claim};
use headwater_store::ingest::{SaleKey, sale_is_known};
use headwater_store::outcome::{NewCommission, Outcome, outcome_write};
use headwater_store::pricing_lock::changing_prices;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The rule that such a commission names where it names no reward.
pub const CUSTOM_RULE: &str = "custom";

/// Before the caller's id, among the ids of events. An event whose own id begins like this would be refused as a conflict.
const CLAIM_PREFIX: &str = " commission:";

/// What is claimed for a commission by hand, so that its id is no other one's and no sale's.
pub(crate) fn claimed_by_hand(event_id: &str) -> String {
    format!("{CLAIM_PREFIX}{event_id}")
}

/// A commission to make by hand.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "each field is the key of its own name in rewards-api.md §6, or explained")]
pub struct CustomCommission {
    /// Who gets it, and in which program.
    pub membership: MembershipId,
    /// The reward that it gives, as [`App::reward_by_hand`] found it.
    pub reward_id: Option<i64>,
    /// `None`: the program's currency.
    pub unit: Option<Unit>,
    /// Not nothing; below it takes back.
    pub amount: Decimal,
    /// The caller's id: of a program, each makes one commission or one sale, however often it is asked for.
    pub event_id: Option<String>,
    /// The day that it is for, which says in which month it counts; `None`: today.
    pub event_date: Option<Date>,
    pub internal_note: Option<String>,
    pub external_note: Option<String>,
    /// What its caller says beside it, kept in its explanation.
    pub said: Map<String, Value>,
}

impl App {
    /// Makes a commission by hand; `actor` is written down as its maker.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a commission was made, or a sale reported, under its `event_id` before.
    pub async fn commission_custom(
        self: &Arc<Self>,
        account: AccountId,
        custom: CustomCommission,
        actor: &str,
        keep: Keep<CommissionEntity>,
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
        if !unit.admits(custom.amount) {
            return Err(Error::invalid("amount", "of discount_per must be at most 100"));
        }
        let now = self.clock.now();
        let zone = Zone::parse(&program.settings.time_zone).unwrap_or(Zone::UTC);
        let today = zone.day_of(now);
        let day = custom.event_date.unwrap_or(today);
        if day > today {
            return Err(Error::invalid("event_date", "must not be ahead"));
        }
        let month = |day| Period::holding(PeriodLength::Month, day).to_string();
        let mut explanation = custom.said;
        explanation.insert("made_by".into(), actor.into());
        explanation.insert("amount".into(), custom.amount.to_string().into());
        explanation.insert("event_date".into(), day.to_string().into());
        let stage = Stage::posted(TakenFrom::Owed, program.settings.auto_approve.unwrap_or(true), true);
        let id = self.next_id(now);
        let row = NewCommission {
            id,
            account_id: account.0,
            program_id: program.id.0,
            partner_id: Some(member.partner.0),
            customer_id: None,
            person_id: 0,
            rule: custom.reward_id.map_or_else(|| CUSTOM_RULE.into(), by_hand_rule),
            level: 0,
            cell: format!("custom:{id}"),
            status: stage.status().into(),
            unit: unit.name(),
            amount: custom.amount.0,
            period: month(today),
            for_period: month(day),
            payable_at: now.0,
            fact_id: 0,
            event_id: None,
            corrects: None,
            plan: String::new(),
            plan_number: 0,
            posted_before: 0,
            explanation: Value::Object(explanation).to_string(),
            created_at: now.0,
            sale_amount: None,
            sale_currency: None,
            split: None,
            waits_for: None,
            origins: None,
        };
        let deed = deed(self, account, actor, id, (custom.amount, &unit.name()));
        let bookings = bookings(&row, member.partner, stage);
        let (app, posted) = (Arc::clone(self), row.clone());
        let outcome = Outcome { commissions: vec![row], ..Outcome::default() };
        let (internal, external, made_by) = (custom.internal_note, custom.external_note, actor.to_owned());
        let event_key = custom.event_id;
        let claim = event_key.as_ref().map(|event_id| EventClaim {
            program_id: program.id.0,
            event_key: claimed_by_hand(event_id),
            event_id: id,
            fingerprint: String::new(),
        });
        let sale = event_key.clone().map(|fact_key| SaleKey { program_id: program.id.0, fact_key });
        let write = async move |tx: &Tx<'_>| {
            if let (Some(claim), Some(sale)) = (&claim, &sale) {
                // No sale of this id is settled meanwhile: it would not see the claim.
                changing_prices(tx).await?;
                if sale_is_known(tx, account.0, sale).await?
                    || event_claim(tx, std::slice::from_ref(claim)).await?.is_empty()
                {
                    return Ok(None);
                }
            }
            outcome_write(tx, &outcome).await?;
            commission_notes(tx, account.0, id, internal.as_deref(), external.as_deref()).await?;
            commission_made_by(tx, account.0, id, &made_by, event_key.as_deref()).await?;
            let is_told = book(tx, &app, &bookings, now).await?;
            audit_insert(tx, std::slice::from_ref(&deed)).await?;
            let delivers = rewards::follow(tx, &app, std::slice::from_ref(&posted), now).await?;
            let rows = commissions_shown_by_id(tx, account.0, &numbers([id])).await?;
            let names = reward_names(tx, &app.directory(), &rows).await?;
            let Some(row) = rows.first() else {
                return Err(StoreError::Refused("a commission that was written is not there".into()));
            };
            let made = commission_entity(&app.directory(), &names, row);
            keep.keep(tx, &made).await?;
            Ok(Some((made, delivers || is_told)))
        };
        let is_repeated = || Error::Conflict {
            code: "event_id_seen",
            param: Some("event_id"),
            message: "This event_id was seen already.".into(),
        };
        let (made, delivers) = self.store.money.write(write).await?.ok_or_else(is_repeated)?;
        if delivers {
            self.outbox.ring();
        }
        Ok(made)
    }

    /// What a reward gives by hand, by unit: one of promoters, of type `custom`, in the list of this program.
    pub async fn reward_by_hand(
        self: &Arc<Self>,
        account: AccountId,
        program: ProgramId,
        id: i64,
    ) -> Result<Vec<(Unit, Decimal)>, RewardFailure> {
        let directory = self.directory();
        let campaign = directory.program(account, program).ok_or(Error::NotFound("campaign"))?;
        let reward = self.reward_read(account, id).await?;
        let listed = campaign.settings.campaign.get("rewards_for_promoters").and_then(Value::as_array);
        if !listed.is_some_and(|list| list.iter().any(|entry| entry["reward_id"] == id)) {
            return Err(RewardFailure::cannot("reward_id", "is not among the rewards_for_promoters of this campaign"));
        }
        let currency = currency_of(&campaign.settings.currency)?;
        Ok(given_by_hand(&reward.terms_for(AppliesTo::default()), currency)?)
    }

    /// Writes down who reported the sale that these commissions are of; again, it changes nothing.
    pub async fn commissions_reported(self: &Arc<Self>, account: AccountId, ids: &[i64], actor: &str) -> Result<()> {
        let (app, actor, ids) = (Arc::clone(self), actor.to_owned(), numbers(ids.iter().copied()));
        let write = async move |tx: &Tx<'_>| {
            let made = commissions_made_by(tx, account.0, &actor, &ids).await?;
            let deeds = made.iter().map(|row| deed(&app, account, &actor, row.id, (Decimal(row.amount), &row.unit)));
            audit_insert(tx, &deeds.collect::<Vec<_>>()).await
        };
        Ok(self.store.money.write(write).await?)
    }
}

fn deed(app: &App, account: AccountId, actor: &str, id: i64, (amount, unit): (Decimal, &str)) -> AuditRow {
    let now = app.clock.now();
    AuditRow {
        id: app.next_id(now),
        account_id: account.0,
        at: now.0,
        actor: actor.to_owned(),
        action: "commission.created".into(),
        object: format!("commission:{id}"),
        detail: json!({"amount": amount.to_string(), "unit": unit}).to_string(),
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
