//! What a broker sends: records of customers and facts, in their shortest forms.

use crate::fixture::Fixture;
use headwater_app::history::History;
use headwater_app::ingest::{
    CustomerRecord, FactKey, FactRecord, Field, Ingest, OnRepeat, Record, RecordStatus, Recorded, Referrer, Source,
};
use headwater_app::keep::Keep;
use headwater_domain::fact::{FactBody, MoneyKind, MoneyStatus, TradingDay};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::Instant;
use headwater_testkit::count::Figure;
use serde_json::{Map, Value};

/// Pays 10 % of deposits.
pub const PERCENT: &str =
    r#"{"name":"ib","currency":"USD","rules":[{"id":"share","kind":"percent","percent":"10","of":["deposit"]}]}"#;
/// Pays 5 per lot and half the spread.
pub const TRADING: &str = r#"{"name":"ib","currency":"USD","rules":[{"id":"lots","kind":"per_lot","rate":"5"},
    {"id":"spread","kind":"percent","percent":"50","of":["spread_cost"]}]}"#;
/// 10:00 on 2026-09-01.
pub const AT: Instant = Instant::from_seconds(1_788_256_800);

pub fn usd() -> Currency {
    Currency::parse("USD").expect("known")
}

/// An account of the fixture's partner.
pub fn customer(fixture: &Fixture, id: &str) -> CustomerRecord {
    CustomerRecord {
        customer: id.into(),
        number: None,
        revision: None,
        registered_at: Some(AT.plus_seconds(-86_400)),
        email: Field::Keep,
        person: None,
        name: Field::Keep,
        country: Field::Keep,
        account_type: Field::Keep,
        campaign: Field::Keep,
        attributes: Map::new(),
        referrer: Referrer::Partner(fixture.partner, None),
        split: Vec::new(),
    }
}

/// The account of a person with this email.
pub fn with_email(fixture: &Fixture, id: &str, email: &str) -> CustomerRecord {
    CustomerRecord { email: Field::Set(email.into()), ..customer(fixture, id) }
}

/// A deposit of this many dollars.
pub fn deposit(customer: &str, key: &str, dollars: i64) -> FactRecord {
    let amount = Decimal(dollars * 1_000_000);
    let body = FactBody::Money {
        kind: MoneyKind::Deposit,
        amount,
        currency: usd(),
        status: MoneyStatus::Approved,
        payee: None,
    };
    FactRecord {
        customer: customer.into(),
        key: FactKey::Own(key.into()),
        revision: None,
        at: Some(AT),
        body,
        attributes: Map::new(),
        on_repeat: OnRepeat::Replace,
    }
}

/// A day's row of EURUSD.
pub fn day(customer: &str, lots: i64, spread_cost: Option<i64>) -> FactRecord {
    let body = FactBody::TradingDay(Box::new(TradingDay {
        date: "2026-09-01".parse().expect("a day"),
        instrument: "EURUSD".into(),
        lots: Decimal(lots * 1_000_000),
        volume_usd: None,
        spread_cost: spread_cost.map(|dollars| Decimal(dollars * 1_000_000)),
        commission: None,
        swap: None,
        pnl: None,
        product_group: None,
        currency: usd(),
    }));
    FactRecord { key: FactKey::Natural, body, ..deposit(customer, "", 0) }
}

pub fn account(record: CustomerRecord) -> Record {
    Record::Customer(Box::new(record))
}

pub fn fact(record: FactRecord) -> Record {
    Record::Fact(Box::new(record))
}

impl Fixture {
    pub async fn send(&self, source: Source, records: Vec<Record>) -> Vec<Recorded> {
        let (account, program) = (self.account, self.program);
        let ingest = Ingest { account, program, source, all_or_nothing: false, records, keep: Keep::nothing() };
        self.app.record(ingest).await.expect("records")
    }

    pub async fn push(&self, records: Vec<Record>) -> Vec<RecordStatus> {
        self.send(Source::Push, records).await.into_iter().map(|recorded| recorded.status).collect()
    }

    pub async fn set(&self, key: &str, value: Value) {
        let fields = Map::from_iter([(key.to_owned(), value)]);
        self.app.program_patch(self.account, self.program, &fields).await.expect("patches");
        self.app.reprice().await.expect("prices again");
    }

    /// Everything recomputed from what is stored is what the books say.
    pub async fn sound(&self) {
        let history = History::read(self.store.store.clone()).await.expect("reads");
        assert_eq!(history.verify().await.expect("verifies").difference, None);
        self.check(&[(Figure::Unbalanced, 0), (Figure::Balance, 0)]).await;
    }

    /// Why facts are held, sorted.
    pub async fn held(&self) -> Vec<String> {
        let held = self.app.held_list(self.account, None, None, 1000).await.expect("lists");
        let mut reasons: Vec<_> = held.into_iter().map(|row| row.reason).collect();
        reasons.sort();
        reasons
    }
}
