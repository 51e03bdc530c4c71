//! The stored form of a fact's body: a flat object, decimals and instants as text.
//!
//! Leaves what the fields mean to `fact`. Invariant: what was written reads back to the same.

use super::{FactBody, MoneyKind, MoneyStatus, Trade, TradingDay};
use crate::ids::PartnerId;
use crate::money::{Currency, Decimal};
use crate::time::Instant;
use serde_json::{Map, Value};

impl FactBody {
    /// The stored form as a document ([`Self::to_stored`]).
    pub fn to_json(&self) -> Value {
        serde_json::from_str(&self.to_stored()).expect("the stored form is JSON")
    }

    /// The stored form: absent keys where there is no value, decimals and instants as text.
    pub fn to_stored(&self) -> String {
        let mut writer = Writer(String::with_capacity(STORED_BYTES_USUAL));
        match self {
            Self::Event { event, amount, currency } => {
                writer.text("event", Some(event));
                writer.decimal("amount", *amount);
                writer.text("currency", currency.as_ref().map(Currency::code));
            }
            Self::Money { kind: _, amount, currency, status, payee } => {
                writer.decimal("amount", Some(*amount));
                writer.text("currency", Some(currency.code()));
                writer.text("status", Some(status.name()));
                writer.text("partner", payee.map(|partner| partner.to_string()).as_deref());
            }
            Self::TradingDay(day) => {
                writer.text("date", Some(&day.date.to_string()));
                writer.text("instrument", Some(&day.instrument));
                writer.decimal("lots", Some(day.lots));
                writer.decimal("volume_usd", day.volume_usd);
                writer.decimal("spread_cost", day.spread_cost);
                writer.decimal("commission", day.commission);
                writer.decimal("swap", day.swap);
                writer.decimal("pnl", day.pnl);
                writer.text("product_group", day.product_group.as_deref());
                writer.text("currency", Some(day.currency.code()));
            }
            Self::Trade(trade) => {
                writer.text("opened_at", Some(&trade.opened_at.iso8601()));
                writer.text("closed_at", trade.closed_at.map(Instant::iso8601).as_deref());
                writer.text("instrument", Some(&trade.instrument));
                writer.decimal("lots", Some(trade.lots));
                writer.decimal("volume_usd", trade.volume_usd);
                writer.text("product_group", trade.product_group.as_deref());
                writer.text("side", trade.side.as_deref());
                writer.decimal("open_price", trade.open_price);
                writer.decimal("close_price", trade.close_price);
                writer.decimal("point_size", trade.point_size);
                writer.decimal("spread_points", trade.spread_points);
                writer.decimal("spread_cost", trade.spread_cost);
                writer.decimal("commission", trade.commission);
                writer.decimal("equity_after", trade.equity_after);
                writer.decimal("equity", trade.equity);
                writer.decimal("credit", trade.credit);
                writer.text("currency", Some(trade.currency.code()));
            }
            Self::Kpi { name, value, currency, group } => {
                writer.text("name", Some(name));
                writer.decimal("value", Some(*value));
                writer.text("currency", currency.as_ref().map(Currency::code));
                writer.text("group", group.as_deref());
            }
            Self::Sale { amount, currency, product, billing_period } => {
                writer.decimal("amount", Some(*amount));
                writer.text("currency", Some(currency.code()));
                writer.text("product", product.as_deref());
                writer.text("billing_period", billing_period.as_deref());
            }
            Self::Refund { amount, currency, sale } => {
                writer.decimal("amount", Some(*amount));
                writer.text("currency", Some(currency.code()));
                writer.text("sale", Some(sale));
            }
        }
        writer.finish()
    }

    /// Reads [`Self::to_stored`], as [`Self::from_json`] does its document.
    pub fn from_stored(type_name: &str, text: &str) -> Option<Self> {
        let mut entries = [("", ""); ENTRIES_MAX];
        match flat(text, &mut entries) {
            Some(count) => Self::read(type_name, &Reader::Flat(&entries[..count])),
            None => Self::from_json(type_name, &serde_json::from_str(text).ok()?),
        }
    }

    /// Reads [`Self::to_json`]; `None` where a needed key is missing or any value is malformed. Other keys are left
    /// to the caller, so a whole fact of a case file reads too.
    pub fn from_json(type_name: &str, value: &Value) -> Option<Self> {
        Self::read(type_name, &Reader::Object(value.as_object()?))
    }

    fn read(type_name: &str, reader: &Reader<'_>) -> Option<Self> {
        if let Some(kind) = MoneyKind::parse(type_name) {
            return Some(Self::Money {
                kind,
                amount: reader.decimal("amount")??,
                currency: reader.currency()??,
                status: reader.text("status")?.map_or(Some(MoneyStatus::Approved), MoneyStatus::parse)?,
                payee: if kind == MoneyKind::IbRebate { reader.partner()? } else { None },
            });
        }
        match type_name {
            "event" => Some(Self::Event {
                event: reader.text("event")??.to_owned(),
                amount: reader.decimal("amount")?,
                currency: reader.currency()?,
            }),
            "trading_day" => Some(Self::TradingDay(Box::new(TradingDay {
                date: reader.text("date")??.parse().ok()?,
                instrument: reader.text("instrument")??.to_owned(),
                lots: reader.decimal("lots")??,
                volume_usd: reader.decimal("volume_usd")?,
                spread_cost: reader.decimal("spread_cost")?,
                commission: reader.decimal("commission")?,
                swap: reader.decimal("swap")?,
                pnl: reader.decimal("pnl")?,
                product_group: reader.text("product_group")?.map(str::to_owned),
                currency: reader.currency()??,
            }))),
            "trade" => Some(Self::Trade(Box::new(Trade {
                opened_at: reader.instant("opened_at")??,
                closed_at: reader.instant("closed_at")?,
                instrument: reader.text("instrument")??.to_owned(),
                lots: reader.decimal("lots")??,
                volume_usd: reader.decimal("volume_usd")?,
                product_group: reader.text("product_group")?.map(str::to_owned),
                side: reader.text("side")?.map(str::to_owned),
                open_price: reader.decimal("open_price")?,
                close_price: reader.decimal("close_price")?,
                point_size: reader.decimal("point_size")?,
                spread_points: reader.decimal("spread_points")?,
                spread_cost: reader.decimal("spread_cost")?,
                commission: reader.decimal("commission")?,
                equity_after: reader.decimal("equity_after")?,
                equity: reader.decimal("equity")?,
                credit: reader.decimal("credit")?,
                currency: reader.currency()??,
            }))),
            "kpi" => Some(Self::Kpi {
                name: reader.text("name")??.to_owned(),
                value: reader.decimal("value")??,
                currency: reader.currency()?,
                group: reader.text("group")?.map(str::to_owned),
            }),
            "sale" => Some(Self::Sale {
                amount: reader.decimal("amount")??,
                currency: reader.currency()??,
                product: reader.text("product")?.map(str::to_owned),
                billing_period: reader.text("billing_period")?.map(str::to_owned),
            }),
            "refund" => Some(Self::Refund {
                amount: reader.decimal("amount")??,
                currency: reader.currency()??,
                sale: reader.text("sale")??.to_owned(),
            }),
            _ => None,
        }
    }
}

/// An object of texts that is being written.
struct Writer(String);

/// What most stored forms fit in.
const STORED_BYTES_USUAL: usize = 192;

impl Writer {
    fn text(&mut self, key: &str, value: Option<&str>) {
        let Some(value) = value else { return };
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        self.0.push('"');
        self.0.push_str(key);
        self.0.push_str("\":");
        if value.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
            self.0.push('"');
            self.0.push_str(value);
            self.0.push('"');
        } else {
            self.0.push_str(&Value::from(value).to_string());
        }
    }
    fn decimal(&mut self, key: &str, value: Option<Decimal>) {
        self.text(key, value.map(|d| d.to_string()).as_deref());
    }
    fn finish(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}

/// Reads optional values: the outer `None` is a malformed value, the inner an absent one.
enum Reader<'a> {
    Object(&'a Map<String, Value>),
    /// Keys and texts.
    Flat(&'a [(&'a str, &'a str)]),
}

/// Keys of the largest stored form, a trade's.
const ENTRIES_MAX: usize = 24;

/// The keys and texts of an object that has nothing but texts without escapes, as every stored form is: a fifth of the
/// time that a document takes, and a year of trading days is millions. `None` for every other text, also for a wrong one.
fn flat<'a>(text: &'a str, entries: &mut [(&'a str, &'a str); ENTRIES_MAX]) -> Option<usize> {
    let mut rest = text.strip_prefix('{')?;
    let mut count = 0;
    if rest == "}" {
        return Some(0);
    }
    loop {
        let (key, after) = plain_text(rest)?;
        let (value, after) = plain_text(after.strip_prefix(':')?)?;
        // Of a key that is there twice a document keeps the last: that is for the other way.
        if entries[..count].iter().any(|(known, _)| *known == key) {
            return None;
        }
        *entries.get_mut(count)? = (key, value);
        count += 1;
        match after.as_bytes() {
            [b',', ..] => rest = &after[1..],
            [b'}'] => return Some(count),
            _ => return None,
        }
    }
}

/// A text in quotes, and what follows it.
fn plain_text(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let end = text.bytes().position(|byte| byte == b'"' || byte == b'\\' || byte < 0x20)?;
    let (inside, after) = text.split_at(end);
    Some((inside, after.strip_prefix('"')?))
}

#[expect(clippy::option_option, reason = "absent and malformed are told apart, and `??` asks for a present one")]
impl<'a> Reader<'a> {
    fn text(&self, key: &str) -> Option<Option<&'a str>> {
        match self {
            Self::Object(object) => match object.get(key) {
                None | Some(Value::Null) => Some(None),
                Some(value) => value.as_str().map(Some),
            },
            Self::Flat(entries) => Some(entries.iter().find(|(known, _)| *known == key).map(|(_, text)| *text)),
        }
    }
    fn decimal(&self, key: &str) -> Option<Option<Decimal>> {
        self.text(key)?.map_or(Some(None), |text| Decimal::parse(text).ok().map(Some))
    }
    fn instant(&self, key: &str) -> Option<Option<Instant>> {
        self.text(key)?.map_or(Some(None), |text| Instant::parse(text).map(Some))
    }
    fn partner(&self) -> Option<Option<PartnerId>> {
        self.text("partner")?.map_or(Some(None), |text| text.parse().ok().map(|id| Some(PartnerId(id))))
    }
    fn currency(&self) -> Option<Option<Currency>> {
        self.text("currency")?.map_or(Some(None), |text| Currency::parse(text).map(Some))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_stored_form_reads_back() {
        for (type_name, stored) in [
            ("event", json!({"event": "REGISTRATION"})),
            ("event", json!({"event": "SALE", "amount": "12.5", "currency": "EUR"})),
            ("deposit", json!({"amount": "250", "currency": "USD", "status": "reversed"})),
            ("ib_rebate", json!({"amount": "-0.01", "currency": "JPY", "status": "approved"})),
            ("ib_rebate", json!({"amount": "3", "currency": "USD", "status": "approved", "partner": "7"})),
            (
                "trading_day",
                json!({"date": "2025-01-10", "instrument": "EURUSD", "lots": "12.45", "pnl": "-3", "currency": "USD"}),
            ),
            ("kpi", json!({"name": "fees", "value": "5", "group": "spot"})),
            ("sale", json!({"amount": "90", "currency": "EUR"})),
            ("sale", json!({"amount": "90", "currency": "EUR", "product": "pro", "billing_period": "yearly"})),
            ("refund", json!({"amount": "9", "currency": "EUR", "sale": "s-1"})),
            (
                "trade",
                json!({"opened_at": "2025-01-10T09:00:00Z", "closed_at": "2025-01-10T10:00:00Z",
                       "instrument": "XAUUSD", "lots": "1", "spread_cost": "2.5", "currency": "USD"}),
            ),
        ] {
            let body = FactBody::from_json(type_name, &stored).unwrap_or_else(|| panic!("{stored} reads"));
            assert_eq!(body.type_name(), type_name);
            assert_eq!(body.to_json(), stored);
            assert_eq!(body.to_stored(), stored.to_string());
            assert_eq!(FactBody::from_stored(type_name, &stored.to_string()), Some(body.clone()), "{stored}");
            let spaced = serde_json::to_string_pretty(&stored).expect("text");
            assert_eq!(FactBody::from_stored(type_name, &spaced), Some(body), "{spaced}");
        }
    }

    #[test]
    fn any_text_is_stored_and_reads_back() {
        for name in ["plain", "", "a \"quoted\" one", "back\\slash", "two\nlines", "\u{1}", "ü€😀", "/"] {
            let body = FactBody::Kpi { name: name.to_owned(), value: Decimal(1), currency: None, group: None };
            assert_eq!(body.to_json()["name"], name);
            assert_eq!(FactBody::from_stored("kpi", &body.to_stored()), Some(body), "{name}");
        }
    }

    #[test]
    fn texts_that_are_not_plain_read_as_documents_do() {
        for text in [
            r#"{"event":"a\"b"}"#,
            r#"{"event":"A","event":"B"}"#,
            r#"{"event":"A","amount":null}"#,
            r#"{"event":"A",}"#,
            r#"{"event":"A"}}"#,
            r#"{"event":"A""#,
            r#"{"event":"é"}"#,
            "{}",
            "",
        ] {
            let document = serde_json::from_str(text).ok().and_then(|value| FactBody::from_json("event", &value));
            assert_eq!(FactBody::from_stored("event", text), document, "{text}");
        }
    }

    #[test]
    fn malformed_values_are_no_facts() {
        for (type_name, stored) in [
            ("deposit", json!({"amount": 250, "currency": "USD"})),
            ("deposit", json!({"amount": "250", "currency": "USD", "status": "maybe"})),
            ("ib_rebate", json!({"amount": "250", "currency": "USD", "partner": "ib_1"})),
            ("trading_day", json!({"date": "2025-02-30", "instrument": "X", "lots": "1", "currency": "USD"})),
            ("trade", json!({"instrument": "X", "lots": "1", "currency": "USD"})),
            ("nothing", json!({})),
        ] {
            assert_eq!(FactBody::from_json(type_name, &stored), None, "{type_name} {stored}");
            assert_eq!(FactBody::from_stored(type_name, &stored.to_string()), None, "{type_name} {stored}");
        }
    }
}
