//! What a site reports of its buyers: sign-up, sale, refund, cancellation (`rewards-api.md` §9), as facts of a referral.
//!
//! A sale is a `sale` fact and an event `SALE` under the same key, for rules that pay an amount per sale; where refunds
//! have eaten a sale up, its event becomes `SALE_REFUNDED`, and what was paid for it is taken back. Leaves what facts are worth
//! to the settlement. Invariant: a caller's `event_id` stands for one sale, and for one refund, for ever, also
//! where its referral was moved to another campaign (`moved`).

mod moved;
mod refund;
mod sold;

use crate::app::App;
use crate::campaign::is_archived;
use crate::commission::{CommissionFilter, CommissionRow};
use crate::error::{Error, Result};
use crate::ingest::{
    FactKey, FactRecord, Field, Ingest, OnRepeat, Record, RecordStatus, Recorded, Referrer, Rejection, Seen, Source,
};
use crate::membership::Membership;
use crate::referral::{Named, Referral};
use crate::track::Signals;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{AccountId, CustomerId, FactId, ProgramId};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use serde_json::{Map, Value};
use std::sync::Arc;

/// The event of a sign-up.
const REGISTRATION: &str = "REGISTRATION";
/// The event of a sale, for rules that pay an amount per sale.
pub const SALE: &str = "SALE";
/// What the event becomes once the whole sale was given back.
const SALE_REFUNDED: &str = "SALE_REFUNDED";
/// The event of a cancellation.
const CANCELLATION: &str = "CANCELLATION";
/// What a sale is of, as its site names it.
pub const PLAN: &str = "plan";
/// For how long it was paid.
pub const BILLING_PERIOD: &str = "billing_period";
/// Commissions of one fact that are shown.
const COMMISSIONS_MAX: i64 = 100;

/// By what a visitor is recognised.
#[derive(Debug, Clone, Default)]
pub struct Visitor {
    /// The session of the visitor's cookie.
    pub tid: Option<String>,
    /// The token of a membership.
    pub ref_id: Option<String>,
    /// A code that a member gives out.
    pub promo_code: Option<String>,
}

impl Visitor {
    fn is_blank(&self) -> bool {
        self.tid.is_none() && self.ref_id.is_none() && self.promo_code.is_none()
    }
}

/// A sale or a refund, as its site reports it.
#[derive(Debug, Clone)]
pub struct Bought {
    /// Who bought.
    pub named: Named,
    /// Who may have brought the buyer, should nobody know it yet.
    pub visitor: Visitor,
    /// The caller's key.
    pub event_id: String,
    /// In minor units, above 0.
    pub amount_minor: i64,
    /// `None`: the program's.
    pub currency: Option<Currency>,
    /// Of a refund: the key of its sale; `None`: the latest one that has so much left.
    pub sale_event_id: Option<String>,
    /// When it happened; `None`: now.
    pub at: Option<Instant>,
    /// What is kept beside it.
    pub attributes: Map<String, Value>,
}

/// Something that was tracked.
#[derive(Debug, Clone)]
pub struct Tracked {
    /// The fact's number.
    pub id: FactId,
    /// Whose it is.
    pub referral: Referral,
    /// The caller's key, where it has one.
    pub event_id: Option<String>,
    /// When it happened.
    pub at: Instant,
    /// What was sold or given back, and in what.
    pub amount: Option<(Decimal, Currency)>,
    /// What the caller said of that, in minor units: of a refund it may be more than its sale had left.
    pub said_minor: Option<i64>,
    /// What it posted.
    pub commissions: Vec<CommissionRow>,
}

/// Why nothing was tracked.
#[derive(Debug, thiserror::Error)]
pub enum TrackFailure {
    /// Neither email nor id.
    #[error("Email and uid can not be blank!")]
    Blank,
    /// No session or token of a member that may bring clients.
    #[error("The visitor is invalid or was not found.")]
    UnknownVisitor,
    /// Nobody knows the buyer.
    #[error("No referral matches.")]
    UnknownReferral,
    /// Nobody knows the buyer, and nobody brought it.
    #[error("No referral matches, and no visitor was given: send tid, ref_id or promo_code to make one.")]
    Unbrought,
    /// Somebody disabled the buyer: its sales are not tracked.
    #[error("This referral is disabled: its sales are not tracked. Enable it first.")]
    Disabled,
    /// Who brought the buyer is blocked, or the campaign is no more.
    #[error("The promoter of this referral is banned, or its campaign was deleted.")]
    Banned,
    /// The referral has signed up before.
    #[error("there is already a signup event for this referral")]
    SignedUp,
    /// The key was used.
    #[error("This event_id was seen already.")]
    Repeated,
    /// The amount is not one.
    #[error("amount must be a whole number of minor units above 0, within what can be kept")]
    Amount,
    /// A refund in another currency than its sale.
    #[error("currency must be that of the sale")]
    Currency,
    /// Anything else.
    #[error(transparent)]
    Other(#[from] Error),
}

type Outcome<T> = Result<T, TrackFailure>;
/// One attempt: what came of it, or what it was chosen on and is not so any more.
type Attempt<T> = Outcome<Result<T, Seen>>;

impl App {
    /// A visitor signs up.
    pub async fn track_signup(
        self: &Arc<Self>,
        account: AccountId,
        named: &Named,
        visitor: &Visitor,
        at: Option<Instant>,
        attributes: Map<String, Value>,
    ) -> Outcome<Tracked> {
        let at = at.unwrap_or_else(|| self.clock.now());
        let mut overtaken = None;
        loop {
            match self.signup_attempt(account, named, visitor, at, &attributes, overtaken.as_ref()).await? {
                Ok(tracked) => return Ok(tracked),
                Err(seen) => overtaken = Some(seen),
            }
        }
    }

    async fn signup_attempt(
        self: &Arc<Self>,
        account: AccountId,
        named: &Named,
        visitor: &Visitor,
        at: Instant,
        attributes: &Map<String, Value>,
        overtaken: Option<&Seen>,
    ) -> Attempt<Tracked> {
        let customer = named.own_id().ok_or(TrackFailure::Blank)?;
        let (member, referrer, source) =
            self.visitor_member(account, visitor).await?.ok_or(TrackFailure::UnknownVisitor)?;
        let known = self.referral_named(account, Some(member.program), named).await?;
        named.email_check(known.as_ref().and_then(|known| known.row.email.as_deref()))?;
        let seen = known.as_ref().map_or(Seen::Nobody, Referral::seen);
        let line = self.line_of_known(account, known.as_ref()).await?;
        if let Some(line) = &line
            && self.has_signed_up(account, line).await?
        {
            return Err(TrackFailure::SignedUp);
        }
        // Who was moved from campaign to campaign signs up where it is.
        let program = line.as_ref().map_or(member.program, |line| ProgramId(line.current().program_id));
        let customer = known.and_then(|known| known.row.external_id).unwrap_or(customer);
        let at = line.map_or(at, |line| at.max(line.since()));
        let records = lead(named, &customer, referrer, source, at, attributes.clone());
        let recorded = match self.record_tracked(account, program, records, seen, overtaken).await? {
            Ok(recorded) => recorded,
            Err(seen) => return Ok(Err(seen)),
        };
        let [lead, registration] = &recorded[..] else { return Err(TrackFailure::UnknownReferral) };
        if !matches!(registration.status, RecordStatus::Created) {
            return Err(TrackFailure::SignedUp);
        }
        self.told(account, lead.customer.or(registration.customer), &[registration], at, None).await.map(Ok)
    }

    /// A referral buys. One that nobody knows is made together with its sale, where its visitor is named.
    pub async fn track_sale(self: &Arc<Self>, account: AccountId, bought: Bought) -> Outcome<Tracked> {
        let mut overtaken = None;
        loop {
            match self.sale_attempt(account, &bought, overtaken.as_ref()).await? {
                Ok(tracked) => return Ok(tracked),
                Err(seen) => overtaken = Some(seen),
            }
        }
    }

    async fn sale_attempt(
        self: &Arc<Self>,
        account: AccountId,
        bought: &Bought,
        overtaken: Option<&Seen>,
    ) -> Attempt<Tracked> {
        let (now, named) = (self.clock.now(), &bought.named);
        let own_id = named.own_id().ok_or(TrackFailure::Blank)?;
        let known = self.referral_named(account, None, named).await?;
        let line = self.line_of_known(account, known.as_ref()).await?;
        let mut at = bought.at;
        let mut known_id = known.as_ref().map(Referral::id);
        let (program, customer, mut records, seen) = if let Some(referral) = known {
            if referral.is_denied() {
                return Err(TrackFailure::Disabled);
            }
            if referral.is_barred_at(self, now) {
                return Err(TrackFailure::Banned);
            }
            let program = ProgramId(referral.row.program_id);
            if let Some(line) = &line {
                let owner = self.owner_of_sale(account, line, bought, now).await?;
                (at, known_id) = (owner.at, Some(owner.id));
                (owner.program, owner.customer, Vec::new(), Seen::Anything)
            } else if let Some(customer) = referral.row.external_id {
                (program, customer, Vec::new(), Seen::Anything)
            } else {
                // Known by events alone: this is its first record.
                named.email_check(referral.row.email.as_deref())?;
                let record = named.record(own_id.clone(), Referrer::Unsaid);
                (program, own_id, vec![Record::Customer(Box::new(record))], referral.seen())
            }
        } else {
            let found = self.visitor_member(account, &bought.visitor).await?;
            let is_blank = bought.visitor.is_blank();
            let unbrought = if is_blank { TrackFailure::Unbrought } else { TrackFailure::UnknownVisitor };
            let (member, referrer, source) = found.ok_or(unbrought)?;
            named.email_check(None)?;
            let records = lead(named, &own_id, referrer, source, now, Map::new());
            (member.program, own_id, records, Seen::Nobody)
        };
        let (amount, currency) = self.amount_of(account, program, bought)?;
        let record = |body: FactBody| FactRecord {
            customer: customer.clone(),
            key: FactKey::Own(bought.event_id.clone()),
            revision: None,
            at,
            body,
            attributes: bought.attributes.clone(),
            on_repeat: OnRepeat::Refuse,
        };
        // Its refunds may have come before it.
        let is_gone = match known_id {
            Some(id) => self.is_refunded_before(id, &bought.event_id, (amount, currency)).await?,
            None => false,
        };
        let event = if is_gone { SALE_REFUNDED } else { SALE };
        let event = FactBody::Event { event: event.into(), amount: Some(amount), currency: Some(currency) };
        let kept = |name: &str| bought.attributes.get(name).and_then(Value::as_str).map(str::to_owned);
        let (product, billing_period) = (kept(PLAN), kept(BILLING_PERIOD));
        records.push(Record::Fact(Box::new(record(FactBody::Sale { amount, currency, product, billing_period }))));
        records.push(Record::Fact(Box::new(record(event))));
        let recorded = match self.record_tracked(account, program, records, seen, overtaken).await? {
            Ok(recorded) => recorded,
            Err(seen) => return Ok(Err(seen)),
        };
        let [.., sale, event] = &recorded[..] else { return Err(TrackFailure::UnknownReferral) };
        if sale.status != RecordStatus::Created {
            return Err(TrackFailure::Repeated);
        }
        // Refunds that came at the same moment may not have been seen.
        let taken_back = match sale.customer {
            Some(id) => self.take_back_whole(account, program, id, &customer).await?,
            None => Vec::new(),
        };
        if let (Some(line), Some(at), Some(id)) = (&line, at, sale.customer)
            && at < line.since()
        {
            self.line_follow(account, id).await?;
        }
        let facts: Vec<&Recorded> = [sale, event].into_iter().chain(&taken_back).collect();
        let at = at.unwrap_or(now);
        self.told(account, sale.customer, &facts, at, Some((bought, amount, currency))).await.map(Ok)
    }

    /// A referral stops buying; under a key it does so once.
    pub async fn track_cancellation(
        self: &Arc<Self>,
        account: AccountId,
        named: &Named,
        key: Option<String>,
    ) -> Outcome<Tracked> {
        if named.is_blank() {
            return Err(TrackFailure::Blank);
        }
        let found = self.referral_named(account, None, named).await?.ok_or(TrackFailure::UnknownReferral)?;
        let customer = found.row.external_id.clone().ok_or(TrackFailure::UnknownReferral)?;
        let at = self.clock.now();
        let (key, at_or_stored) = match key {
            Some(key) => (FactKey::Own(key), None),
            None => (FactKey::None, Some(at)),
        };
        let record = event(&customer, CANCELLATION, key, at_or_stored, Map::new());
        let recorded = self.record_unasked(account, ProgramId(found.row.program_id), vec![record]).await?;
        let facts: Vec<&Recorded> = recorded.iter().collect();
        self.told(account, Some(found.id()), &facts, at, None).await
    }

    /// Whose visitor it is: by session, by token, by code. A member that is barred, or of a campaign that has ended, brings nobody.
    async fn visitor_member(
        &self,
        account: AccountId,
        visitor: &Visitor,
    ) -> Outcome<Option<(Arc<Membership>, Referrer, &'static str)>> {
        if visitor.is_blank() {
            return Ok(None);
        }
        let now = self.clock.now();
        let directory = self.directory();
        let mut found = None;
        if let Some(tid) = &visitor.tid {
            let signals = Signals { click: None, session: Some(tid.clone()) };
            for program in directory.programs(account).filter(|program| !is_archived(program)) {
                let (touch, _) = self.resolve_signals(account, program.id, &signals, now).await?;
                let Some(touch) = touch else { continue };
                let member = directory.membership_in(program.id, touch.partner).cloned();
                found = member.map(|member| (member, Referrer::Touch(touch), "cookie"));
                break;
            }
        }
        if let (None, Some(token)) = (&found, &visitor.ref_id) {
            let member = directory.membership_by_token(account, token).cloned();
            found = member.map(|member| (Arc::clone(&member), Referrer::Partner(member.partner, None), "cookie"));
        }
        if let (None, Some(code)) = (&found, &visitor.promo_code) {
            let member = self.promo_code_member(account, code).await?;
            found = member.map(|member| (Arc::clone(&member), Referrer::Partner(member.partner, None), "coupon"));
        }
        let partner = |member: &Membership| directory.partner_by_id(account, member.partner).cloned();
        let is_open = |member: &Membership| {
            directory.program(account, member.program).is_some_and(|program| !is_archived(program))
        };
        Ok(found.filter(|(member, ..)| {
            is_open(member)
                && !member.is_barred_at(now)
                && partner(member).is_some_and(|partner| !partner.is_suspended_at(now))
        }))
    }

    /// Records what holds whatever is stored.
    async fn record_unasked(
        &self,
        account: AccountId,
        program: ProgramId,
        records: Vec<Record>,
    ) -> Outcome<Vec<Recorded>> {
        let recorded = self.record_tracked(account, program, records, Seen::Anything, None).await?;
        Ok(recorded.expect("what holds whatever is stored is never overtaken"))
    }

    /// Records all or nothing, where things are as they were seen; a key that stands for something else is a repeated one.
    async fn record_tracked(
        &self,
        account: AccountId,
        program: ProgramId,
        records: Vec<Record>,
        seen: Seen,
        overtaken: Option<&Seen>,
    ) -> Attempt<Vec<Recorded>> {
        let is_signup = records.len() == 2 && matches!(records.first(), Some(Record::Customer(_)));
        let ingest = Ingest {
            account,
            program,
            source: Source::Push,
            all_or_nothing: true,
            records,
            keep: crate::keep::Keep::nothing(),
            seen,
        };
        let recorded = match self.record_as_seen(ingest, overtaken).await? {
            Ok(recorded) => recorded,
            Err(seen) => return Ok(Err(seen)),
        };
        for record in &recorded {
            match &record.status {
                RecordStatus::Rejected(Rejection::Conflict) if is_signup => return Err(TrackFailure::SignedUp),
                RecordStatus::Rejected(Rejection::Conflict) => return Err(TrackFailure::Repeated),
                RecordStatus::Rejected(Rejection::UnknownCustomer) => return Err(TrackFailure::UnknownReferral),
                RecordStatus::Rejected(_) => return Err(TrackFailure::Amount),
                _ => {}
            }
        }
        Ok(Ok(recorded))
    }

    async fn told(
        self: &Arc<Self>,
        account: AccountId,
        customer: Option<CustomerId>,
        facts: &[&Recorded],
        at: Instant,
        sold: Option<(&Bought, Decimal, Currency)>,
    ) -> Outcome<Tracked> {
        let referral = self.referral_read(account, customer.ok_or(TrackFailure::UnknownReferral)?).await?;
        let mut commissions = Vec::new();
        for fact in facts.iter().filter_map(|recorded| recorded.fact) {
            let filter = CommissionFilter { fact_id: Some(fact.0), ..CommissionFilter::default() };
            commissions.extend(self.commission_list(account, filter, COMMISSIONS_MAX).await?);
        }
        commissions.sort_by_key(|row| row.id);
        let id = facts.first().and_then(|recorded| recorded.fact).ok_or(TrackFailure::UnknownReferral)?;
        let amount = sold.map(|(_, amount, currency)| (amount, currency));
        let event_id = sold.map(|(bought, ..)| bought.event_id.clone());
        let said_minor = sold.map(|(bought, ..)| bought.amount_minor);
        Ok(Tracked { id, referral, event_id, at, amount, said_minor, commissions })
    }

    /// The amount in its currency's minor units.
    fn amount_of(&self, account: AccountId, program: ProgramId, bought: &Bought) -> Outcome<(Decimal, Currency)> {
        let program = self.program_read(account, program)?;
        let own = || Currency::parse(&program.settings.currency);
        let currency = bought.currency.or_else(own).ok_or(TrackFailure::Amount)?;
        if bought.amount_minor <= 0 {
            return Err(TrackFailure::Amount);
        }
        let amount = amount_of_minor(bought.amount_minor, currency).ok_or(TrackFailure::Amount)?;
        Ok((amount, currency))
    }
}

/// The records of a new lead: the customer, and that it signed up.
fn lead(
    named: &Named,
    customer: &str,
    referrer: Referrer,
    source: &str,
    at: Instant,
    attributes: Map<String, Value>,
) -> Vec<Record> {
    let mut lead = named.record(customer.to_owned(), referrer);
    lead.registered_at = Some(at);
    lead.attributes.insert("entry_source".into(), source.into());
    lead.name = Field::Keep;
    let key = FactKey::Own(format!("signup:{customer}"));
    vec![Record::Customer(Box::new(lead)), event(customer, REGISTRATION, key, Some(at), attributes)]
}

/// Minor units as an exact amount; `None` where it is out of range.
pub fn amount_of_minor(minor: i64, currency: Currency) -> Option<Decimal> {
    let micros_of_minor = 10_i64.pow(6_u32.checked_sub(currency.minor_digits())?);
    let micros = minor.checked_mul(micros_of_minor)?;
    Decimal::parse(&Decimal(micros).to_string()).ok()
}

fn event(customer: &str, name: &str, key: FactKey, at: Option<Instant>, attributes: Map<String, Value>) -> Record {
    let body = FactBody::Event { event: name.into(), amount: None, currency: None };
    let customer = customer.to_owned();
    let on_repeat = OnRepeat::Refuse;
    Record::Fact(Box::new(FactRecord { customer, key, revision: None, at, body, attributes, on_repeat }))
}
