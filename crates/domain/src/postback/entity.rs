//! Commissions and payouts as the rewards dialect shows them: in its calls and in the `data` of its webhooks, the same JSON.
//!
//! The superset of the older flat and the newer nested form, because receivers read the ids from either
//! (`postbacks.md` §3). Leaves reading what is shown to others. Invariant: an amount is whole minor units of money and of a
//! monetary discount, and whole ones of every other reward; nothing is rounded.

use crate::money::{Decimal, MICROS, Unit};
use crate::time::Instant;
use serde_json::{Value, json};

/// Who gets what was earned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// The partner of this number.
    Promoter(i64),
    /// The customer of this number.
    Referral(i64),
}

impl Recipient {
    fn to_json(self) -> Value {
        match self {
            Self::Promoter(id) => json!({"type": "promoter", "id": id}),
            Self::Referral(id) => json!({"type": "referral", "id": id}),
        }
    }
}

/// A partner, as it is named beside something else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in rewards-api.md")]
pub struct PromoterNamed {
    pub id: i64,
    pub email: Option<String>,
    pub name: String,
}

/// A program, as it is named beside something else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in rewards-api.md")]
pub struct CampaignNamed {
    pub id: i64,
    pub name: String,
}

/// A customer, as it is named beside something else.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in rewards-api.md")]
pub struct ReferralNamed {
    pub id: i64,
    pub email: Option<String>,
    pub uid: Option<String>,
}

/// A commission.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in rewards-api.md §3, or explained")]
pub struct CommissionEntity {
    pub id: i64,
    /// `pending`, `approved` or `denied`.
    pub status: String,
    pub unit: Unit,
    pub amount: Decimal,
    /// Made by hand, without a fact.
    pub is_custom: bool,
    pub created_by: Option<String>,
    pub is_paid: bool,
    pub sale_amount: Option<Decimal>,
    /// The unit of the sale.
    pub sale_unit: Unit,
    pub event_id: Option<String>,
    pub plan_id: Option<String>,
    pub tier: i64,
    pub internal_note: Option<String>,
    pub external_note: Option<String>,
    pub fraud_check: Option<String>,
    pub created_at: Instant,
    pub status_updated_at: Option<Instant>,
    /// The number of the partner's membership in the program, and since when it is a member.
    pub membership: Option<(i64, Instant)>,
    pub promoter: Option<PromoterNamed>,
    pub campaign: CampaignNamed,
    pub referral: Option<ReferralNamed>,
    /// Number and name of the reward that paid it.
    pub reward: Option<(i64, String)>,
    pub recipient: Recipient,
    /// Where it is, or was, in a live payout.
    pub payout_id: Option<i64>,
    /// When its receiver got the reward.
    pub fulfilled_at: Option<Instant>,
    /// Nobody confirmed that the reward was delivered.
    pub has_issues: bool,
    /// Of which shared commission it is a portion.
    pub split: Option<SplitDetails>,
}

/// Who shares a referral's commissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitDetails {
    /// What of the whole the commission is that is shown.
    pub percent: Decimal,
    /// The membership of the promoter whose referral it is.
    pub primary: Option<i64>,
    /// The others.
    pub partners: Vec<SplitPartner>,
}

/// A promoter that gets a part of every commission of a referral.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitPartner {
    /// Its number.
    pub promoter: i64,
    /// That of its membership.
    pub membership: Option<i64>,
    /// From 0 to 100.
    pub percent: Decimal,
}

/// A payout.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the key of its own name in rewards-api.md §7, or explained")]
pub struct PayoutEntity {
    pub id: i64,
    pub status: String,
    pub unit: Unit,
    pub amount: Decimal,
    pub payments_batch_id: Option<i64>,
    pub period_start: Instant,
    pub period_end: Instant,
    pub paid_at: Option<Instant>,
    pub processing_started_at: Option<Instant>,
    pub failed_at: Option<Instant>,
    pub error: Option<String>,
    pub created_at: Instant,
    /// How its payee is paid, as it was said when the payout was made.
    pub method: Option<String>,
    pub method_details: Value,
    pub promoter: Option<PromoterNamed>,
    pub campaign: CampaignNamed,
    pub recipient: Recipient,
    pub commission_ids: Vec<i64>,
    /// Nobody confirmed that the reward was delivered.
    pub has_issues: bool,
}

/// The name of a unit in this dialect: every currency is `cash`.
pub fn unit_name(unit: Unit) -> String {
    if unit.is_money() { "cash".to_owned() } else { unit.name() }
}

/// An amount in this dialect, a whole number wherever it is one.
pub fn amount_json(amount: Decimal, unit: Unit) -> Value {
    let minor = i128::from(amount.0) * 10_i128.pow(unit.minor_digits());
    let (whole, rest) = (minor / i128::from(MICROS), (minor % i128::from(MICROS)).unsigned_abs());
    if rest == 0 {
        return i64::try_from(whole).map_or(Value::Null, Value::from);
    }
    let sign = if minor < 0 { "-" } else { "" };
    let text = format!("{sign}{}.{rest:06}", whole.unsigned_abs());
    serde_json::from_str(text.trim_end_matches('0')).unwrap_or(Value::Null)
}

fn moment(at: Option<Instant>) -> Value {
    at.map_or(Value::Null, |at| at.iso8601().into())
}

impl PromoterNamed {
    fn to_json(&self) -> Value {
        json!({"id": self.id, "email": self.email, "name": self.name})
    }
}

impl CampaignNamed {
    fn to_json(&self) -> Value {
        json!({"id": self.id, "name": self.name, "color": null})
    }
}

impl CommissionEntity {
    /// As it is shown. Its status may be another one than that of now, for what is told of each step of a transaction.
    pub fn to_json(&self) -> Value {
        let promoter_id = self.promoter.as_ref().map(|promoter| promoter.id);
        let membership = self.promoter.as_ref().map(|promoter| {
            json!({
                "id": self.membership.map(|(id, _)| id), "campaign_id": self.campaign.id, "promoter_id": promoter.id,
                "created_at": moment(self.membership.map(|(_, at)| at)), "promoter": promoter.to_json(),
                "campaign": self.campaign.to_json(),
            })
        });
        let sale = self.sale_amount.map_or(Value::Null, |amount| amount_json(amount, self.sale_unit));
        let referral = self.referral.as_ref();
        let reward = self.reward.as_ref().map(|(id, name)| json!({"id": id, "name": name}));
        json!({
            "id": self.id, "status": self.status, "metadata": {}, "is_self_referral": false,
            "commission_type": if self.is_custom { "custom" } else { "sale" },
            "created_by_user_email": self.created_by,
            "created_by_user_at": moment(self.created_by.is_some().then_some(self.created_at)),
            "sale_amount": sale, "original_sale_amount": sale,
            "original_sale_currency": self.sale_amount.map(|_| self.sale_unit.name()),
            "event_id": self.event_id, "plan_id": self.plan_id, "tier": self.tier, "internal_note": self.internal_note,
            "external_note": self.external_note, "unit": unit_name(self.unit),
            "currency": self.unit.is_money().then(|| self.unit.name()), "fraud_check": self.fraud_check,
            "amount": amount_json(self.amount, self.unit), "is_paid": self.is_paid, "is_split": self.split.is_some(),
            "created_at": self.created_at.iso8601(), "status_updated_at": moment(self.status_updated_at),
            "promoter_id": promoter_id, "promoter_campaign": membership, "campaign_id": self.campaign.id,
            "referral_id": referral.map(|referral| referral.id),
            "referral": referral.map(|referral| json!({"id": referral.id, "email": referral.email, "uid": referral.uid})),
            "reward": reward, "split_details": self.split.as_ref().map(SplitDetails::to_json), "recipient": self.recipient.to_json(),
            "is_fulfilled": self.fulfilled_at.is_some(), "fulfilled_at": moment(self.fulfilled_at), "payout_id": self.payout_id,
            "has_issues": self.has_issues,
        })
    }
}

impl CommissionEntity {
    /// As who delivers rewards is asked to deliver this one: its payout is pending.
    pub fn fulfilment_json(&self) -> Value {
        let reward = self.reward.as_ref();
        let referral = self.referral.as_ref();
        json!({
            "id": self.id, "status": "pending", "amount": amount_json(self.amount, self.unit), "unit": unit_name(self.unit),
            "created_at": self.created_at.iso8601(), "has_issues": false,
            "reward": {"id": reward.map(|(id, _)| id), "name": reward.map(|(_, name)| name)},
            "promoter": self.promoter.as_ref().map_or_else(|| json!({}), PromoterNamed::to_json),
            "campaign": self.campaign.to_json(), "payout_id": self.payout_id,
            "referral": referral.map(|referral| json!({"id": referral.id, "email": referral.email, "uid": referral.uid})),
            "recipient": self.recipient.to_json(),
        })
    }
}

impl SplitPartner {
    /// As it is shown.
    pub fn to_json(&self) -> Value {
        json!({
            "promoter_campaign_id": self.membership, "promoter_id": self.promoter, "percentage": percent_json(self.percent),
        })
    }
}

impl SplitDetails {
    fn to_json(&self) -> Value {
        let partners: Vec<Value> = self.partners.iter().map(SplitPartner::to_json).collect();
        json!({
            "percentage": percent_json(self.percent), "primary_promoter_campaign_id": self.primary, "splits": partners,
        })
    }
}

/// A whole number wherever it is one.
fn percent_json(percent: Decimal) -> Value {
    serde_json::from_str(&percent.to_string()).unwrap_or(Value::Null)
}

impl PayoutEntity {
    /// As it is shown.
    pub fn to_json(&self) -> Value {
        let amount = amount_json(self.amount, self.unit);
        let method = self.method.as_ref().map(|method| {
            json!({
                "id": null, "method": method, "date_added": null, "is_disabled": false, "meta": {}, "is_selected": true,
                "details": self.method_details, "managed_payouts": false,
            })
        });
        json!({
            "id": self.id, "status": self.status, "amount": amount, "payments_batch_id": self.payments_batch_id,
            "tax_rate": 0, "unit": unit_name(self.unit), "currency": self.unit.is_money().then(|| self.unit.name()),
            "period_start": self.period_start.iso8601(), "period_end": self.period_end.iso8601(),
            "paid_at": moment(self.paid_at), "processing_started_at": moment(self.processing_started_at),
            "failed_at": moment(self.failed_at), "error": self.error, "total_incl_tax": amount,
            "created_at": self.created_at.iso8601(), "payout_method": method,
            "promoter_id": self.promoter.as_ref().map(|promoter| promoter.id),
            "promoter": self.promoter.as_ref().map(PromoterNamed::to_json), "campaign": self.campaign.to_json(),
            "recipient": self.recipient.to_json(), "commission_ids": self.commission_ids, "has_issues": self.has_issues,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::Currency;

    fn usd() -> Unit {
        Unit::Currency(Currency::parse("USD").expect("known"))
    }

    #[test]
    fn amounts_are_whole_units_of_their_own() {
        for (amount, unit, shown) in [
            ("49", usd(), "4900"),
            ("-0.01", usd(), "-1"),
            ("1.2345", usd(), "123.45"),
            ("250", Unit::Points, "250"),
            ("-250", Unit::Points, "-250"),
            ("5.5", Unit::MonetaryDiscount(Currency::parse("USD").expect("known")), "550"),
            ("15", Unit::PercentDiscount, "15"),
        ] {
            assert_eq!(amount_json(Decimal::parse(amount).expect("a decimal"), unit).to_string(), shown);
        }
    }

    #[test]
    fn a_receiver_finds_the_ids_in_both_forms() {
        let entity = CommissionEntity {
            id: 7101,
            status: "pending".into(),
            unit: Unit::Points,
            amount: Decimal(250 * MICROS),
            is_custom: false,
            created_by: None,
            is_paid: false,
            sale_amount: Some(Decimal(49 * MICROS)),
            sale_unit: usd(),
            event_id: Some("inv_8813".into()),
            plan_id: Some("pro".into()),
            tier: 1,
            internal_note: None,
            external_note: None,
            fraud_check: Some("no_suspicion".into()),
            created_at: Instant::from_seconds(1_770_112_800),
            status_updated_at: None,
            membership: Some((61, Instant::from_seconds(1_767_312_000))),
            promoter: Some(PromoterNamed { id: 340, email: Some("ib@example.org".into()), name: "North Desk".into() }),
            campaign: CampaignNamed { id: 1201, name: "Points".into() },
            referral: Some(ReferralNamed {
                id: 905,
                email: Some("client@example.org".into()),
                uid: Some("u-77".into()),
            }),
            reward: None,
            recipient: Recipient::Referral(905),
            payout_id: None,
            fulfilled_at: None,
            has_issues: false,
            split: None,
        };
        let shown = entity.to_json();
        assert_eq!((&shown["promoter_id"], &shown["promoter_campaign"]["promoter"]["id"]), (&json!(340), &json!(340)));
        assert_eq!((&shown["referral_id"], &shown["referral"]["uid"]), (&json!(905), &json!("u-77")));
        assert_eq!(shown["recipient"], json!({"type": "referral", "id": 905}));
        assert_eq!((&shown["amount"], &shown["sale_amount"]), (&json!(250), &json!(4900)));
        assert_eq!((&shown["unit"], &shown["is_fulfilled"]), (&json!("points"), &json!(false)));
    }
}
