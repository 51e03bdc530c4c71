//! Activity that a brand pushes, translated into facts as its program's configuration says (`brand-api.md` §4).
//!
//! Leaves parsing to the dialect and deciding to the settlement. One record can carry several KPIs, and each quantity
//! among them is a fact of its own under the record's key. Invariant: translation is a pure function of the record, the
//! configuration and the time of receipt, so a record that is sent again has the same keys.

use crate::ingest::{FactKey, FactRecord, OnRepeat};
use headwater_domain::fact::{FactBody, MoneyKind, MoneyStatus, TradingDay};
use headwater_domain::kpi::{Dedupe, EventConfiguration, KpiKind, Quantity};
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::program::Settings;
use headwater_domain::time::{Date, Instant, Stated, Zone};
use serde_json::{Map, Value};

/// The instrument of activity, which names none.
const ANY_INSTRUMENT: &str = "*";
/// Counted without being agreed, because the published sample has it.
const TRADES: &str = "Trades";

/// One record of activity, its fields read.
#[derive(Debug, Clone)]
pub struct Activity {
    /// `customerid`.
    pub customer: String,
    /// `eventname`.
    pub event_name: String,
    /// `eventid`.
    pub event_id: Option<String>,
    /// `createtime`.
    pub stated: Option<Stated>,
    /// `Value`.
    pub value: Option<Decimal>,
    /// `Currency`.
    pub currency: Option<Currency>,
    /// Every other field: KPIs, where they are numbers and agreed, else attributes.
    pub others: Vec<Other>,
}

/// A field that is not reserved.
#[derive(Debug, Clone)]
pub struct Other {
    /// Its name.
    pub name: String,
    /// The number, where it is one or a string that holds one.
    pub number: Option<Decimal>,
    /// As it came.
    pub value: Value,
}

/// Why a record is no activity: the field at fault, a rule for programs, and a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoActivity {
    /// The field.
    pub field: String,
    /// The rule that it breaks.
    pub rule: &'static str,
    /// What is wrong.
    pub message: String,
}

/// What a number of a record stands for.
#[derive(Debug, Clone)]
enum Meaning {
    Canonical(Quantity),
    Kpi { name: String, is_money: bool },
}

/// What all facts of a record have in common.
struct Record<'a> {
    activity: &'a Activity,
    configuration: Option<&'a EventConfiguration>,
    group: Option<String>,
    dedupe: Dedupe,
    day: Date,
    at: Instant,
    currency: Currency,
}

/// The facts of a record, at least one; what it says beside them is kept with the first.
///
/// # Errors
/// Why it is none, by field.
pub fn facts_of(
    activity: &Activity,
    settings: &Settings,
    zone: &Zone,
    now: Instant,
) -> Result<Vec<FactRecord>, NoActivity> {
    let is_it = |c: &&EventConfiguration| c.event_name.eq_ignore_ascii_case(&activity.event_name);
    let configuration = settings.kpis.iter().find(is_it);
    let stated = activity.stated.unwrap_or(Stated::Moment(now));
    let program_currency = Currency::parse(&settings.currency).expect("settings hold a checked currency");
    let record = Record {
        activity,
        configuration,
        group: group(activity, configuration)?,
        dedupe: dedupe(activity, configuration)?,
        day: zone.day(stated),
        at: zone.moment(stated),
        currency: activity.currency.unwrap_or(program_currency),
    };
    let (numbers, attributes) = record.numbers()?;
    let mut facts = record.facts(&numbers);
    let Some(first) = facts.first_mut() else {
        let message = "Send Value, or at least one KPI that is agreed for this event.".to_owned();
        return Err(NoActivity { field: "Value".into(), rule: "required", message });
    };
    first.attributes = attributes;
    Ok(facts)
}

fn group(activity: &Activity, configuration: Option<&EventConfiguration>) -> Result<Option<String>, NoActivity> {
    let Some((field, agreed)) = configuration.and_then(|c| c.group_field.as_ref().map(|f| (f, &c.product_groups)))
    else {
        return Ok(None);
    };
    let given = activity.others.iter().find(|other| other.name.eq_ignore_ascii_case(field));
    let Some(given) = given.filter(|other| !other.value.is_null()) else { return Ok(None) };
    let text = given.value.as_str().unwrap_or_default();
    let known = agreed.iter().find(|group| group.eq_ignore_ascii_case(text)).cloned();
    let any = (agreed.is_empty() && !text.is_empty()).then(|| text.to_owned());
    known.or(any).map(Some).ok_or_else(|| NoActivity {
        field: field.clone(),
        rule: "unknown_group",
        message: format!("{field} must be one of the product groups that are agreed for this event."),
    })
}

fn dedupe(activity: &Activity, configuration: Option<&EventConfiguration>) -> Result<Dedupe, NoActivity> {
    let agreed = configuration.and_then(|c| c.dedupe.or(c.is_daily.then_some(Dedupe::CustomerDate)));
    match agreed {
        Some(Dedupe::EventId) if activity.event_id.is_none() => Err(NoActivity {
            field: "eventid".into(),
            rule: "required",
            message: "eventid is required for this event: send one.".into(),
        }),
        Some(agreed) => Ok(agreed),
        None if activity.event_id.is_some() => Ok(Dedupe::EventId),
        None if matches!(activity.stated, Some(Stated::Day(_))) => Ok(Dedupe::CustomerDate),
        None => Ok(Dedupe::None),
    }
}

type Numbers = Vec<(Meaning, Decimal)>;

impl Record<'_> {
    /// What the record counts, and everything else that it says.
    fn numbers(&self) -> Result<(Numbers, Map<String, Value>), NoActivity> {
        let mut numbers = Vec::new();
        let mut attributes = Map::new();
        if let Some(value) = self.activity.value {
            Self::add(&mut numbers, "Value", self.meaning_of_value(), value)?;
        }
        for other in &self.activity.others {
            match (other.number, self.meaning_of(&other.name)) {
                (Some(number), Some(meaning)) => Self::add(&mut numbers, &other.name, meaning, number)?,
                // What is counted is not kept as a remark because it cannot be read: nobody would miss it before payday.
                (None, Some(_)) if !other.value.is_null() => {
                    let message = format!("{} must be a plain decimal, such as 12.45.", other.name);
                    return Err(NoActivity { field: other.name.clone(), rule: "decimal", message });
                }
                _ => drop(attributes.insert(other.name.clone(), other.value.clone())),
            }
        }
        // A daily row replaces the one before it whole, so what it leaves out is nothing.
        if let Some(agreed) = self.configuration.filter(|_| self.dedupe == Dedupe::CustomerDate && !numbers.is_empty())
        {
            for name in agreed.kpis.keys() {
                let meaning = self.meaning_of(name).filter(|meaning| !contains(&numbers, meaning));
                numbers.extend(meaning.map(|meaning| (meaning, Decimal::ZERO)));
            }
        }
        Ok((numbers, attributes))
    }

    fn add(numbers: &mut Numbers, field: &str, meaning: Meaning, number: Decimal) -> Result<(), NoActivity> {
        let refused =
            |rule, rest: &str| Err(NoActivity { field: field.to_owned(), rule, message: format!("{field} {rest}.") });
        if contains(numbers, &meaning) {
            return refused("duplicate", "counts what another field of this record counts already");
        }
        if matches!(meaning, Meaning::Canonical(quantity) if quantity != Quantity::Rebate) && number < Decimal::ZERO {
            return refused("minimum", "must not be below 0");
        }
        numbers.push((meaning, number));
        Ok(())
    }

    fn meaning_of_value(&self) -> Meaning {
        let name = &self.activity.event_name;
        let canonical = self.configuration.and_then(|c| c.counts_as).or_else(|| Quantity::parse(name));
        canonical.map_or_else(
            || {
                let kind = self.configuration.and_then(|c| c.kind_of(name));
                let is_money = kind.is_none_or(|kind| kind == KpiKind::Money);
                Meaning::Kpi { name: self.configuration.map_or(name, |c| &c.event_name).clone(), is_money }
            },
            Meaning::Canonical,
        )
    }

    /// What a number of this name counts, if it is a KPI.
    fn meaning_of(&self, name: &str) -> Option<Meaning> {
        let canonical = Quantity::parse(name).map(Meaning::Canonical);
        let Some(agreed) = self.configuration.filter(|c| !c.kpis.is_empty()) else {
            let trades = || Meaning::Kpi { name: TRADES.to_owned(), is_money: false };
            return canonical.or_else(|| name.eq_ignore_ascii_case(TRADES).then(trades));
        };
        let (name, kind) = agreed.kpis.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(canonical.unwrap_or_else(|| Meaning::Kpi { name: name.clone(), is_money: *kind == KpiKind::Money }))
    }

    fn facts(&self, numbers: &Numbers) -> Vec<FactRecord> {
        let mut facts = Vec::new();
        let (mut lots, mut volume, mut commission) = (None, None, None);
        for (meaning, number) in numbers {
            match meaning {
                Meaning::Canonical(Quantity::Deposit) => facts.push(self.money(MoneyKind::Deposit, *number)),
                Meaning::Canonical(Quantity::Withdrawal) => facts.push(self.money(MoneyKind::Withdrawal, *number)),
                Meaning::Canonical(Quantity::Rebate) => facts.push(self.money(MoneyKind::IbRebate, *number)),
                Meaning::Canonical(Quantity::Lots) => lots = Some(*number),
                Meaning::Canonical(Quantity::Volume) => volume = Some(*number),
                Meaning::Canonical(Quantity::Commission) => commission = Some(*number),
                Meaning::Kpi { name, is_money } => facts.push(self.kpi(name, *is_money, *number)),
            }
        }
        let is_traded = lots.is_some() || volume.is_some() || commission.is_some();
        // Volume is canonical in US dollars alone. In another currency it is a figure of its own, and nothing is guessed.
        let foreign = volume.filter(|_| self.currency.code() != "USD");
        facts.extend(foreign.map(|volume| self.kpi("Volume", true, volume)));
        if is_traded {
            let day = TradingDay {
                date: self.day,
                instrument: ANY_INSTRUMENT.to_owned(),
                lots: lots.unwrap_or(Decimal::ZERO),
                volume_usd: volume.filter(|_| foreign.is_none()),
                spread_cost: None,
                commission,
                swap: None,
                pnl: None,
                product_group: self.group.clone(),
                currency: self.currency,
            };
            facts.insert(0, self.fact(FactBody::TradingDay(Box::new(day)), None));
        }
        facts
    }

    fn money(&self, kind: MoneyKind, amount: Decimal) -> FactRecord {
        let body =
            FactBody::Money { kind, amount, currency: self.currency, status: MoneyStatus::Approved, payee: None };
        self.fact(body, None)
    }

    fn kpi(&self, name: &str, is_money: bool, value: Decimal) -> FactRecord {
        let currency = is_money.then_some(self.currency);
        let body = FactBody::Kpi { name: name.to_owned(), value, currency, group: self.group.clone() };
        self.fact(body, Some(name))
    }

    /// A fact under the record's key. `kpi` tells figures of one record apart, which are of one type.
    fn fact(&self, body: FactBody, kpi: Option<&str>) -> FactRecord {
        let activity = self.activity;
        let event = activity.event_name.to_lowercase();
        let day = self.day.to_string();
        let parts = match self.dedupe {
            Dedupe::EventId => vec![Some(event.as_str()), activity.event_id.as_deref(), kpi],
            Dedupe::CustomerDate => {
                vec![Some(event.as_str()), Some(activity.customer.as_str()), Some(&day), self.group.as_deref(), kpi]
            }
            Dedupe::None => Vec::new(),
        };
        // As JSON, so that no id can be read as two.
        let key = if parts.is_empty() { FactKey::None } else { FactKey::Own(serde_json::json!(parts).to_string()) };
        let on_repeat = if self.dedupe == Dedupe::EventId { OnRepeat::Refuse } else { OnRepeat::Replace };
        // Without a time of its own the event is placed at its receipt, which is not the same when it comes again.
        let at = activity.stated.map(|_| self.at);
        FactRecord {
            customer: activity.customer.clone(),
            key,
            revision: None,
            at,
            body,
            attributes: Map::new(),
            on_repeat,
        }
    }
}

fn contains(numbers: &Numbers, wanted: &Meaning) -> bool {
    numbers.iter().any(|(meaning, _)| match (meaning, wanted) {
        (Meaning::Canonical(one), Meaning::Canonical(other)) => one == other,
        (Meaning::Kpi { name: one, .. }, Meaning::Kpi { name: other, .. }) => one == other,
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn activity(name: &str, stated: &str, value: Option<&str>, others: &[(&str, &str)]) -> Activity {
        let decimal = |text: &str| Decimal::parse(text).ok();
        let other =
            |(name, text): &(&str, &str)| Other { name: (*name).to_owned(), number: decimal(text), value: json!(text) };
        Activity {
            customer: "c1".into(),
            event_name: name.into(),
            event_id: None,
            stated: Zone::UTC.read(stated),
            value: value.and_then(decimal),
            currency: Currency::parse("USD"),
            others: others.iter().map(other).collect(),
        }
    }

    fn settings(kpis: &Value) -> Settings {
        Settings::default().with(&Map::from_iter([("kpis".to_owned(), kpis.clone())])).expect("valid")
    }

    fn bodies(activity: &Activity, settings: &Settings) -> Vec<(&'static str, Value)> {
        let facts = facts_of(activity, settings, &Zone::UTC, Instant(0)).expect("activity");
        facts.iter().map(|fact| (fact.body.type_name(), fact.body.to_json())).collect()
    }

    const DAILY: [(&str, &str); 5] =
        [("Lots", "12.45"), ("Volume", "124500.00"), ("Rebate", "24.90"), ("Trades", "38"), ("note", "x")];

    #[test]
    fn the_published_daily_row_is_a_trading_day_a_rebate_and_a_count() {
        let row = activity("DailyStats", "2025-07-21", None, &DAILY);
        let day = json!({"date": "2025-07-21", "instrument": "*", "lots": "12.45", "volume_usd": "124500", "currency": "USD"});
        let rebate = json!({"amount": "24.9", "currency": "USD", "status": "approved"});
        let expected = [("trading_day", day), ("ib_rebate", rebate), ("kpi", json!({"name": "Trades", "value": "38"}))];
        assert_eq!(bodies(&row, &Settings::default()), expected);
        let facts = facts_of(&row, &Settings::default(), &Zone::UTC, Instant(0)).expect("activity");
        assert_eq!(facts[0].attributes, Map::from_iter([("note".to_owned(), json!("x"))]));
        assert_eq!(facts[0].key, FactKey::Own(r#"["dailystats","c1","2025-07-21",null,null]"#.into()));
        assert_eq!(facts[0].on_repeat, OnRepeat::Replace);
    }

    #[test]
    fn a_name_that_nobody_agreed_is_a_figure_of_that_name() {
        let sold = activity("ChallengePurchase", "2025-07-21 11:03", Some("250.00"), &[]);
        let figure = json!({"name": "ChallengePurchase", "value": "250", "currency": "USD"});
        assert_eq!(bodies(&sold, &Settings::default()), [("kpi", figure)]);
        let as_deposit = settings(&json!([{"eventname": "challengepurchase", "counts_as": "deposit"}]));
        assert_eq!(bodies(&sold, &as_deposit)[0].0, "deposit");
    }

    #[test]
    fn only_agreed_kpis_count_where_some_are_agreed() {
        let agreed = settings(&json!([{"eventname": "DailyStats", "temporal": "daily", "group_field": "product",
            "product_groups": ["FX", "Metals"], "kpis": {"Lots": "quantity", "Bonus": "money"}}]));
        let row = activity("DailyStats", "2025-07-21", None, &[("lots", "2"), ("Rebate", "9"), ("product", "metals")]);
        let got = bodies(&row, &agreed);
        assert_eq!(got[0].1["product_group"], "Metals");
        assert_eq!(got[1], ("kpi", json!({"name": "Bonus", "value": "0", "currency": "USD", "group": "Metals"})));
        assert_eq!(got.len(), 2, "the rebate is an attribute here: {got:?}");
        let elsewhere = activity("DailyStats", "2025-07-21", None, &[("Lots", "2"), ("product", "Stocks")]);
        let refused = facts_of(&elsewhere, &agreed, &Zone::UTC, Instant(0)).expect_err("no such group");
        assert_eq!((refused.field.as_str(), refused.rule), ("product", "unknown_group"));
    }

    #[test]
    fn what_a_repeat_is_known_by_follows_from_the_record() {
        let of = |stated: &str, id: Option<&str>| {
            let record = Activity { event_id: id.map(str::to_owned), ..activity("Lots", stated, Some("1"), &[]) };
            let fact = facts_of(&record, &Settings::default(), &Zone::UTC, Instant(0)).expect("activity").remove(0);
            (fact.key, fact.on_repeat)
        };
        assert_eq!(of("2025-07-21", Some("7")), (FactKey::Own(r#"["lots","7",null]"#.into()), OnRepeat::Refuse));
        assert_eq!(of("2025-07-21", None).1, OnRepeat::Replace);
        assert_eq!(of("2025-07-21 11:03", None).0, FactKey::None);
    }

    #[test]
    fn what_counts_nothing_or_twice_is_refused() {
        for (record, field, rule) in [
            (activity("DailyStats", "2025-07-21", None, &[("note", "x")]), "Value", "required"),
            (activity("Lots", "2025-07-21", Some("1"), &[("Lots", "1")]), "Lots", "duplicate"),
            (activity("Deposit", "2025-07-21", Some("-1"), &[]), "Value", "minimum"),
            (activity("DailyStats", "2025-07-21", None, &[("Trades", "3"), ("Lots", "12,45")]), "Lots", "decimal"),
        ] {
            let refused = facts_of(&record, &Settings::default(), &Zone::UTC, Instant(0)).expect_err(rule);
            assert_eq!((refused.field.as_str(), refused.rule), (field, rule));
        }
    }
}
