//! How a program reads the activity that its broker pushes: the configuration of each event name (`brand-api.md` §4).
//!
//! Leaves the translation of a record into facts to the operation. A configuration is agreed before go-live and needs no
//! code: any name of an event or of a KPI may be in it. Invariant: what is stored reads back to the same configuration.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// What one event name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConfiguration {
    /// The event name, as the broker sends it; matched in any case.
    pub event_name: String,
    /// Whether a record is for a whole day.
    pub is_daily: bool,
    /// The product groups that are agreed; empty: any.
    pub product_groups: Vec<String>,
    /// The field that names a record's product group.
    pub group_field: Option<String>,
    /// By what a record sent again is known; `None`: by what the record has.
    pub dedupe: Option<Dedupe>,
    /// The further KPIs of a record and what each is counted in.
    pub kpis: BTreeMap<String, KpiKind>,
    /// What `Value` stands for, where the name does not say it.
    pub counts_as: Option<Quantity>,
}

macro_rules! named {
    ($(#[$doc:meta])* $type:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $type { $($(#[$variant_doc])* $variant,)+ }
        impl $type {
            /// The name in documents.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
            /// Reads [`Self::name`], in any case.
            pub fn parse(name: &str) -> Option<Self> {
                [$(Self::$variant,)+].into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
            }
        }
    };
}

named! {
    /// By what a record that comes again is known.
    Dedupe {
        /// Its event id: the first one wins.
        EventId = "eventid",
        /// Its customer, day and group: the last one replaces those before.
        CustomerDate = "customer_date",
        /// By nothing: each one counts.
        None = "none",
    }
}

named! {
    /// What a KPI is counted in.
    KpiKind {
        /// A size, such as lots.
        Quantity = "quantity",
        /// An amount in the record's currency.
        Money = "money",
        /// How many.
        Count = "count",
    }
}

named! {
    /// The canonical quantity that a KPI feeds.
    Quantity {
        /// Money paid in.
        Deposit = "deposit",
        /// Money paid out.
        Withdrawal = "withdrawal",
        /// Lots traded.
        Lots = "lots",
        /// Notional volume.
        Volume = "volume",
        /// The broker's own figure of what the introducer earned.
        Rebate = "rebate",
        /// Trading commission.
        Commission = "commission",
    }
}

impl EventConfiguration {
    /// Reads one element of the program setting `kpis`.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the setting's name.
    pub fn from_json(value: &Value) -> Result<Self, &'static str> {
        const KNOWN: [&str; 7] =
            ["eventname", "temporal", "product_groups", "group_field", "dedupe", "kpis", "counts_as"];
        let fields = value.as_object().ok_or("must be a list of objects, one for each event name")?;
        if fields.keys().any(|key| !KNOWN.contains(&key.as_str())) {
            return Err("may have eventname, temporal, product_groups, group_field, dedupe, kpis and counts_as only");
        }
        let given = |key: &str| fields.get(key).filter(|value| !value.is_null());
        let text = |key: &str| given(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        let event_name = text("eventname").ok_or("must name an event in each eventname")?.to_owned();
        let is_daily = match given("temporal").map(Value::as_str) {
            None | Some(Some("event")) => false,
            Some(Some("daily")) => true,
            Some(_) => return Err("must have event or daily as temporal"),
        };
        let dedupe = match given("dedupe") {
            None => None,
            Some(value) => {
                let known = value.as_str().and_then(Dedupe::parse);
                Some(known.ok_or("must have eventid, customer_date or none as dedupe")?)
            }
        };
        let counts_as = match given("counts_as") {
            None => None,
            Some(value) => {
                const FORM: &str =
                    "must have deposit, withdrawal, lots, volume, rebate, commission or null as counts_as";
                Some(value.as_str().and_then(Quantity::parse).ok_or(FORM)?)
            }
        };
        let product_groups = match given("product_groups") {
            None => Vec::new(),
            Some(list) => texts(list).ok_or("must have a list of names as product_groups")?,
        };
        let group_field = match given("group_field") {
            None => None,
            Some(_) => Some(text("group_field").ok_or("must have a field's name as group_field")?.to_owned()),
        };
        if !product_groups.is_empty() && group_field.is_none() {
            return Err("must have a group_field where there are product_groups");
        }
        let kpis = match given("kpis") {
            None => BTreeMap::new(),
            Some(map) => kinds(map).ok_or("must have quantity, money or count for each of its kpis")?,
        };
        Ok(Self { event_name, is_daily, product_groups, group_field, dedupe, kpis, counts_as })
    }

    /// The stored form, which [`Self::from_json`] reads back.
    pub fn to_json(&self) -> Value {
        let kpis: Map<_, _> = self.kpis.iter().map(|(name, kind)| (name.clone(), kind.name().into())).collect();
        json!({
            "eventname": self.event_name, "temporal": if self.is_daily { "daily" } else { "event" },
            "product_groups": self.product_groups, "group_field": self.group_field,
            "dedupe": self.dedupe.map(Dedupe::name), "kpis": kpis, "counts_as": self.counts_as.map(Quantity::name),
        })
    }

    /// What a KPI of this name is counted in, where it is agreed.
    pub fn kind_of(&self, kpi: &str) -> Option<KpiKind> {
        self.kpis.iter().find(|(name, _)| name.eq_ignore_ascii_case(kpi)).map(|(_, kind)| *kind)
    }
}

/// Reads the program setting `kpis`.
///
/// # Errors
/// What is wrong, as the end of a sentence that begins with the setting's name.
pub fn read_all(value: &Value) -> Result<Vec<EventConfiguration>, &'static str> {
    let list = value.as_array().ok_or("must be a list of objects, one for each event name")?;
    let all = list.iter().map(EventConfiguration::from_json).collect::<Result<Vec<_>, _>>()?;
    let twice = |at: usize, one: &EventConfiguration| {
        all[..at].iter().any(|before| before.event_name.eq_ignore_ascii_case(&one.event_name))
    };
    if all.iter().enumerate().any(|(at, one)| twice(at, one)) {
        return Err("must have each eventname once");
    }
    Ok(all)
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
}

fn kinds(value: &Value) -> Option<BTreeMap<String, KpiKind>> {
    value.as_object()?.iter().map(|(name, kind)| Some((name.clone(), KpiKind::parse(kind.as_str()?)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daily() -> Value {
        json!([{ "eventname": "DailyStats", "temporal": "daily", "product_groups": ["FX", "CFD", "Metals", "Crypto"],
                 "group_field": "product", "dedupe": "customer_date", "counts_as": null,
                 "kpis": { "Lots": "quantity", "Volume": "money", "Rebate": "money", "Trades": "count" } }])
    }

    #[test]
    fn a_configuration_reads_back_what_it_wrote() {
        let read = read_all(&daily()).expect("valid");
        let stored = Value::Array(read.iter().map(EventConfiguration::to_json).collect());
        assert_eq!(read_all(&stored), Ok(read.clone()));
        assert_eq!((read[0].is_daily, read[0].kind_of("trades")), (true, Some(KpiKind::Count)));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for value in [
            json!({}),
            json!(["DailyStats"]),
            json!([{}]),
            json!([{"eventname": ""}]),
            json!([{"eventname": "A", "dedupe": "sometimes"}]),
            json!([{"eventname": "A", "temporal": "hourly"}]),
            json!([{"eventname": "A", "kpis": {"Lots": "lots"}}]),
            json!([{"eventname": "A", "counts_as": "money"}]),
            json!([{"eventname": "A", "product_groups": ["FX"]}]),
            json!([{"eventname": "A", "typo": 1}]),
            json!([{"eventname": "A"}, {"eventname": "a"}]),
        ] {
            assert!(read_all(&value).is_err(), "{value}");
        }
    }
}
