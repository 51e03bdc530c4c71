//! Canonical records as the brand, the forex API, a pull or a file bring them: customers and facts, many at once.
//!
//! A dialect parses and translates into these types, calls [`App::record`], and renders what became of each record. One
//! [`Ingest`] is one settlement: its records are decided together, in their order, and every person that they touch is
//! priced once, after the last of them. Leaves deciding to `settle`. Invariant: a record that is sent again changes nothing.

use crate::app::App;
use crate::error::{Error, Result};
use crate::keep::Keep;
use crate::settle::{Answer, Command};
use headwater_domain::attribution::Touch;
use headwater_domain::commission::SplitPart;
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{AccountId, CustomerId, FactId, PartnerId, PersonId, ProgramId};
pub use headwater_domain::source::Source;
use headwater_domain::time::Instant;
use serde_json::{Map, Value};

/// Records of one settlement: the thousand of a request, several facts each (`kpi`).
pub const RECORDS_MAX: usize = 8000;
/// What a caller may say of one record beside what is read.
const ATTRIBUTES_BYTES_MAX: usize = 16 * 1024;

/// The attribute that stays as it is once its account is somebody's: what it was brought by (`brand-api.md` §3).
pub const KEPT_ONCE_BOUND: &str = "tracking_data";

/// Records of one sender, decided together.
#[derive(Debug, Clone)]
pub struct Ingest {
    /// Whose they are.
    pub account: AccountId,
    /// In which program.
    pub program: ProgramId,
    /// By which way they came.
    pub source: Source,
    /// One refused record refuses all: nothing is written, and the answers say which ones would have been refused.
    pub all_or_nothing: bool,
    /// At most [`RECORDS_MAX`].
    pub records: Vec<Record>,
    /// How the caller's answer is kept with what it answers, where the caller sent an `Idempotency-Key`.
    pub keep: Keep<Vec<Recorded>>,
}

/// One record.
#[derive(Debug, Clone)]
pub enum Record {
    /// A trading account, made or changed.
    Customer(Box<CustomerRecord>),
    /// Something that happened to one.
    Fact(Box<FactRecord>),
}

/// What a record says of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Field<T> {
    /// Nothing: it stays.
    #[default]
    Keep,
    /// It has no value any more.
    Clear,
    /// Its value.
    Set(T),
}

/// A trading account, as the caller knows it.
#[derive(Debug, Clone)]
pub struct CustomerRecord {
    /// The caller's id: unique in the program, for ever.
    pub customer: String,
    /// Of a client that is known by events alone, which no caller has named: our own numbers of the person and of the account that this
    /// is of. `customer` then says nothing.
    pub number: Option<(PersonId, CustomerId)>,
    /// The sender's revision, such as `last_modified_date` in microseconds; a smaller one than the stored one is stale.
    pub revision: Option<i64>,
    /// When it registered; `None`: as stored, or now.
    pub registered_at: Option<Instant>,
    /// Trimmed and in lower case. Accounts with one email are one person's.
    pub email: Field<String>,
    /// The caller's id of the human behind it. Accounts with one such id are one person's.
    pub person: Option<String>,
    /// The human's name.
    pub name: Field<String>,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: Field<String>,
    /// Selects rates.
    pub account_type: Field<String>,
    /// The campaign's label.
    pub campaign: Field<String>,
    /// Everything else: a present key overwrites, `null` clears, absent keys stay.
    pub attributes: Map<String, Value>,
    /// Who brought it. Write-once: the first that names a partner binds.
    pub referrer: Referrer,
    /// Who shares what the referrer earns of it, from the beginning: looked at where the record binds.
    pub split: Vec<SplitPart>,
}

/// Who brought a customer, as its record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Referrer {
    /// The record does not say.
    Unsaid,
    /// A genuine click: tracking data or a click token that was resolved ([`App::resolve_signals`]).
    Touch(Touch),
    /// A partner by name; a click of the same partner adds link and evidence.
    Partner(PartnerId, Option<Touch>),
}

impl Referrer {
    /// Whether it says who brought the customer.
    pub(crate) fn names_somebody(self) -> bool {
        !matches!(self, Self::Unsaid)
    }
}

/// Something that happened to a customer.
#[derive(Debug, Clone)]
pub struct FactRecord {
    /// The caller's id of the customer.
    pub customer: String,
    /// By what it is recognised when it is sent again.
    pub key: FactKey,
    /// The sender's revision; a smaller one than the stored one is stale.
    pub revision: Option<i64>,
    /// When it happened; `None`: as stored, or now.
    pub at: Option<Instant>,
    /// What happened.
    pub body: FactBody,
    /// Everything else that the record says; kept beside it.
    pub attributes: Map<String, Value>,
    /// What a second record with the key does.
    pub on_repeat: OnRepeat,
}

/// By what a fact is recognised, among the facts of its source and type in the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactKey {
    /// The caller's own key.
    Own(String),
    /// The natural key of `commissions.md` §2; daily rows and daily figures alone have one.
    Natural,
    /// By nothing: every record is one more fact.
    None,
}

/// What a second record with a known key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRepeat {
    /// It replaces the whole record, and may move it to another customer.
    Replace,
    /// The first one stands: equal content is `Unchanged`, other content refused as `Conflict`.
    Refuse,
    /// It replaces, along the moves of a transaction's status (`forex-api.md` §4).
    Transaction,
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// What happened to it.
    pub status: RecordStatus,
    /// What was noticed, and changes nothing.
    pub warnings: Vec<RecordWarning>,
    /// The fact's standing revision, where the record is one and was not refused.
    pub fact: Option<FactId>,
    /// The customer's number, where it is known.
    pub customer: Option<CustomerId>,
}

/// What happened to a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordStatus {
    /// It is new.
    Created,
    /// It changed what was stored.
    Updated,
    /// It says what is stored.
    Unchanged,
    /// A greater revision is stored; nothing changed.
    Stale,
    /// It is stored, and its customer is not known yet (the program's setting `unknown_customer`).
    Held,
    /// It is refused; nothing of it is stored.
    Rejected(Rejection),
}

/// Why a record is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rejection {
    /// Nobody knows its customer.
    UnknownCustomer,
    /// The key stands for other content.
    Conflict,
    /// A status does not follow on the stored one: their names.
    StatusTransition(&'static str, &'static str),
    /// An approved transaction does not change this any more: `type`, `customer`, `amount` or `currency`.
    Immutable(&'static str),
    /// A number is out of range, or the record has no natural key.
    Unusable(&'static str),
}

/// What was noticed of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordWarning {
    /// The customer is bound to another partner, and stays so.
    AttributionLocked,
    /// The click is of another partner than the one that is named.
    ClickOfAnotherPartner,
    /// The partner of the click was suspended when the customer registered: it binds nobody.
    PartnerSuspended,
    /// The click was longer ago than the program lets one count: it binds nobody.
    ClickTooOld,
}

impl App {
    /// Records all, in one transaction; answers in their order, after it is durable.
    ///
    /// # Errors
    /// [`Error::Invalid`] for too many records or attributes that are too large. A refused record is no error.
    pub async fn record(&self, ingest: Ingest) -> Result<Vec<Recorded>> {
        match self.settle(Command::Record(Box::new(ingest))).await? {
            Answer::Recorded(recorded) => Ok(recorded),
            other => unreachable!("records are answered with what became of them, not {other:?}"),
        }
    }
}

impl Ingest {
    /// What no dialect may ask, whatever it parses.
    pub(crate) fn check(&self) -> Result<()> {
        if self.records.len() > RECORDS_MAX {
            return Err(Error::invalid("records", format!("must be at most {RECORDS_MAX} in one request")));
        }
        let attributes = |record: &Record| match record {
            Record::Customer(customer) => attributes_bytes(&customer.attributes),
            Record::Fact(fact) => attributes_bytes(&fact.attributes),
        };
        if self.records.iter().any(|record| attributes(record) > ATTRIBUTES_BYTES_MAX) {
            return Err(Error::invalid(
                "records",
                format!("must have at most {ATTRIBUTES_BYTES_MAX} bytes of attributes each"),
            ));
        }
        Ok(())
    }

    /// What it holds in memory, about.
    pub(crate) fn bytes(&self) -> usize {
        let of_record = |record: &Record| match record {
            Record::Customer(customer) => size_of::<CustomerRecord>() + attributes_bytes(&customer.attributes),
            Record::Fact(fact) => size_of::<FactRecord>() + attributes_bytes(&fact.attributes),
        };
        self.records.iter().map(of_record).sum()
    }
}

fn attributes_bytes(attributes: &Map<String, Value>) -> usize {
    if attributes.is_empty() { 0 } else { Value::Object(attributes.clone()).to_string().len() }
}
