//! Rows of the four tables as canonical records: customers, and one fact per transaction, day and trade.
//!
//! What the tables cannot say by themselves is judged here, field by field: partners that must exist, amounts that may
//! be negative in some types, times in order. Leaves writing to `pushes`.

use crate::json::table::{Refusal, Row, refusal};
use headwater_app::ingest::{CustomerRecord, FactKey, FactRecord, Field, OnRepeat, Record, Referrer};
use headwater_domain::attribution::Touch;
use headwater_domain::fact::{FactBody, MoneyKind, MoneyStatus, Trade, TradingDay};
use headwater_domain::ids::PartnerId;
use headwater_domain::money::Decimal;
use headwater_domain::time::{Instant, Zone};
use serde_json::{Map, Value};

/// A record of this dialect in canonical form.
#[derive(Debug)]
pub struct Pushed {
    /// What is unique in a request, and the field that is named where it is not.
    pub key: (String, &'static str),
    /// The customer that it names.
    pub customer: String,
    /// At least one; the first says what became of it.
    pub records: Vec<Record>,
}

/// What a row needs to know of its program.
#[allow(missing_debug_implementations, reason = "closures have no useful debug form")]
pub struct Place<'a> {
    /// Zoneless times are in it.
    pub zone: &'a Zone,
    /// The partner of this name.
    pub partner: &'a (dyn Fn(&str) -> Option<PartnerId> + Sync),
}

type Read = Result<Pushed, Vec<Refusal>>;

/// A customer; `touch` is what its click led to.
pub fn customer(row: &Row<'_>, place: &Place<'_>, touch: Option<Touch>) -> Read {
    let id = text(row, "customer_id");
    let affiliate = text(row, "affiliate_id");
    let partner = (place.partner)(&affiliate).ok_or_else(|| vec![unknown_partner(&affiliate)])?;
    let mut attributes = row.attributes();
    let kept = [
        "signup_date",
        "last_modified_date",
        "click_id",
        "lang_id",
        "kyc_status_id",
        "sales_status_id",
        "leverage",
        "first_name",
        "last_name",
    ];
    keep(row, &kept, &mut attributes);
    let names: Vec<_> = ["first_name", "last_name"].into_iter().filter_map(|name| row.text(name)).collect();
    let name = Some(names.join(" ").trim().to_owned()).filter(|name| !name.is_empty());
    let record = CustomerRecord {
        customer: id.clone(),
        number: None,
        revision: at(row, "last_modified_date", place).map(|at| at.0),
        registered_at: at(row, "signup_date", place),
        email: field(row, "email", row.text("email").map(|email| email.trim().to_lowercase())),
        person: row.text("person_id"),
        name: name.map_or(Field::Keep, Field::Set),
        country: field(row, "country_code", row.text("country_code")),
        account_type: field(row, "trading_account_type", row.text("trading_account_type")),
        campaign: field(row, "campaign_id", row.text("campaign_id")),
        attributes,
        referrer: Referrer::Partner(partner, touch),
        split: Vec::new(),
    };
    let mut records = vec![Record::Customer(Box::new(record))];
    if row.text("kyc_status_id").as_deref() == Some("approved") {
        // What plans ask for is the event (`commissions.md` §2), at the time at which the approval was first seen here.
        let body = FactBody::Event { event: "KYC_COMPLETED".into(), amount: None, currency: None };
        let key = FactKey::Own(format!("kyc {id}"));
        records.push(fact(&id, key, None, None, body, Map::new(), OnRepeat::Replace));
    }
    Ok(Pushed { key: (id.clone(), "customer_id"), customer: id, records })
}

/// A transaction.
pub fn transaction(row: &Row<'_>, place: &Place<'_>) -> Read {
    let (id, customer) = (text(row, "transaction_id"), text(row, "customer_id"));
    let kind = MoneyKind::parse(&text(row, "transaction_type")).expect("the table has the names of the kinds");
    let status = MoneyStatus::parse(&text(row, "status")).expect("the table has the names of the statuses");
    let amount = row.number("amount_currency").expect("the table requires it");
    if amount < Decimal::ZERO && kind != MoneyKind::Adjustment {
        return Err(vec![refusal("amount_currency", "minimum", "amount_currency must not be below 0.")]);
    }
    let affiliate = row.text("affiliate_id");
    let named = affiliate.as_deref().and_then(place.partner);
    if let Some(unknown) = affiliate.as_ref().filter(|_| named.is_none()) {
        return Err(vec![unknown_partner(unknown)]);
    }
    let currency = row.currency("currency").expect("the table requires it");
    let mut attributes = row.attributes();
    let kept =
        ["transaction_date", "amount_usd", "payment_method", "affiliate_id", "reference_id", "last_modified_date"];
    keep(row, &kept, &mut attributes);
    // Of every other type it is kept, and decides nothing.
    let payee = named.filter(|_| kind == MoneyKind::IbRebate);
    let body = FactBody::Money { kind, amount, currency, status, payee };
    let (revision, happened) = (at(row, "last_modified_date", place), at(row, "transaction_date", place));
    let key = FactKey::Own(id.clone());
    let record = fact(&customer, key, revision.map(|at| at.0), happened, body, attributes, OnRepeat::Transaction);
    Ok(Pushed { key: (id, "transaction_id"), customer, records: vec![record] })
}

/// A daily row: what it leaves out is nothing, since it replaces the whole row before it.
pub fn trading_day(row: &Row<'_>, place: &Place<'_>) -> Read {
    let customer = text(row, "customer_id");
    let date = row.day("date").expect("the table requires it");
    let currency = row.currency("currency").expect("the table requires it");
    let instrument = text(row, "instrument");
    let day = TradingDay {
        date,
        instrument: instrument.clone(),
        lots: row.number("lots_traded").expect("the table requires it"),
        volume_usd: row.number("volume_usd"),
        spread_cost: row.number("spread_cost"),
        commission: row.number("commission"),
        swap: row.number("swap"),
        pnl: row.number("pnl"),
        product_group: None,
        currency,
    };
    let key = serde_json::json!([date.to_string(), customer, instrument, currency.code()]).to_string();
    let body = FactBody::TradingDay(Box::new(day));
    let happened = Some(place.zone.start_of(date));
    let record = fact(&customer, FactKey::Natural, None, happened, body, row.attributes(), OnRepeat::Replace);
    Ok(Pushed { key: (key, "date"), customer, records: vec![record] })
}

/// A closed trade.
pub fn trade(row: &Row<'_>, place: &Place<'_>) -> Read {
    let (id, customer) = (text(row, "trade_id"), text(row, "customer_id"));
    let opened_at = at(row, "opened_at", place).expect("the table requires it");
    let closed_at = at(row, "closed_at", place).expect("the table requires it");
    if closed_at < opened_at {
        return Err(vec![refusal("closed_at", "minimum", "closed_at must not be before opened_at.")]);
    }
    let trade = Trade {
        opened_at,
        closed_at: Some(closed_at),
        instrument: text(row, "instrument"),
        lots: row.number("lots").expect("the table requires it"),
        volume_usd: None,
        product_group: None,
        side: row.text("side"),
        open_price: row.number("open_price"),
        close_price: row.number("close_price"),
        point_size: row.number("point_size"),
        spread_points: row.number("spread_points"),
        spread_cost: row.number("spread_cost"),
        commission: row.number("commission"),
        equity_after: row.number("equity_after"),
        equity: row.number("equity"),
        credit: row.number("credit"),
        currency: row.currency("currency").expect("the table requires it"),
    };
    let body = FactBody::Trade(Box::new(trade));
    let key = FactKey::Own(id.clone());
    let record = fact(&customer, key, None, Some(closed_at), body, row.attributes(), OnRepeat::Replace);
    Ok(Pushed { key: (id, "trade_id"), customer, records: vec![record] })
}

fn fact(
    customer: &str,
    key: FactKey,
    revision: Option<i64>,
    at: Option<Instant>,
    body: FactBody,
    attributes: Map<String, Value>,
    on_repeat: OnRepeat,
) -> Record {
    let customer = customer.to_owned();
    Record::Fact(Box::new(FactRecord { customer, key, revision, at, body, attributes, on_repeat }))
}

/// A field that the table requires to be text.
fn text(row: &Row<'_>, name: &str) -> String {
    row.text(name).expect("the table requires it")
}

fn at(row: &Row<'_>, name: &str, place: &Place<'_>) -> Option<Instant> {
    row.moment(name).map(|stated| place.zone.moment(stated))
}

fn field(row: &Row<'_>, name: &str, value: Option<String>) -> Field<String> {
    match value {
        Some(value) => Field::Set(value),
        None if row.is_cleared(name) => Field::Clear,
        None => Field::Keep,
    }
}

/// Published fields that nothing computes with are kept as they came.
fn keep(row: &Row<'_>, names: &[&str], attributes: &mut Map<String, Value>) {
    for name in names {
        let written = row.written(name).or_else(|| row.is_cleared(name).then_some(Value::Null));
        attributes.extend(written.map(|value| ((*name).to_owned(), value)));
    }
}

fn unknown_partner(name: &str) -> Refusal {
    refusal("affiliate_id", "reference", &format!("Unknown affiliate {name}."))
}
