//! A program's settings: how clicks become attributions, in which zone and currency, under which plan.
//!
//! They are stored as one JSON object; absent keys have the defaults that `management.md` and `conventions.md` §11 give.

use crate::inbound::Inbound;
use crate::kpi::{self, EventConfiguration};
use crate::money::Decimal;
use crate::source::Source;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Which click of a visitor counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributionModel {
    /// The first one, stamped for the window.
    FirstClick,
    /// The latest one.
    LastClick,
}

/// A regional site of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionalDomain {
    /// Its base URL.
    pub url: String,
    /// ISO 3166-1 alpha-2 codes, upper case.
    pub countries: Vec<String>,
}

/// What an operator sets for a program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, which an operator sets")]
pub struct Settings {
    /// Regional sites, for links with region routing.
    pub regional_domains: Vec<RegionalDomain>,
    /// Which click counts.
    pub attribution: AttributionModel,
    /// How many days a click attributes a new client.
    pub window_days: i64,
    /// IANA name or `NY+7`.
    pub time_zone: String,
    /// ISO 4217.
    pub currency: String,
    /// The default plan's name.
    pub plan: Option<String>,
    /// A customer keeps the plan version of its acquisition (`plan_of`).
    pub keeps_acquired_plan: bool,
    /// Overrides the plan's `auto_approve`.
    pub auto_approve: Option<bool>,
    /// Where a visitor goes whose link cannot be used.
    pub default_landing_page: String,
    /// Whether IP and user agent may attribute.
    pub fingerprint: bool,
    /// Event types that a publishable key cannot make count, beside money.
    pub unverified_types: Vec<String>,
    /// Which way is the truth for which figure; for the others, the one that brought it first.
    pub sources: BTreeMap<String, Source>,
    /// Whether a fact of a customer that nobody knows is held rather than refused.
    pub holds_unknown_customers: bool,
    /// How pushed activity is read, one for each event name.
    pub kpis: Vec<EventConfiguration>,
    /// Who may report events by an address alone, and by which names.
    pub inbound: Inbound,
    /// Partners that set no minimum of their own are paid from this amount on.
    pub payout_minimum: Option<Decimal>,
    /// Whether a partner's user sees the partners below its own.
    pub tree_visible: bool,
    /// What the rewards dialect keeps of it that nothing else is decided by.
    pub campaign: Map<String, Value>,
}

/// A setting that cannot be used: its name and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{key} {message}")]
pub struct SettingError {
    /// The setting.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            regional_domains: Vec::new(),
            attribution: AttributionModel::FirstClick,
            window_days: 30,
            time_zone: "UTC".into(),
            currency: "USD".into(),
            plan: None,
            keeps_acquired_plan: false,
            auto_approve: None,
            default_landing_page: "/".into(),
            fingerprint: false,
            unverified_types: ["KYC_COMPLETED", "VERIFICATION", "FIRST_TRADE", "ACCOUNT_UPGRADE"]
                .map(str::to_owned)
                .into(),
            sources: BTreeMap::new(),
            holds_unknown_customers: false,
            kpis: Vec::new(),
            inbound: Inbound::default(),
            payout_minimum: None,
            tree_visible: false,
            campaign: Map::new(),
        }
    }
}

impl Settings {
    /// These settings with the keys of `changes` put in; keys that are not settings are left to the caller.
    pub fn with(&self, changes: &Map<String, Value>) -> Result<Self, SettingError> {
        let mut next = self.clone();
        for (key, value) in changes {
            next.put(key, value).map_err(|message| SettingError { key: key.clone(), message: message.into() })?;
        }
        Ok(next)
    }

    fn put(&mut self, key: &str, value: &Value) -> Result<(), &'static str> {
        if let Some(put) = self.inbound.put(key, value) {
            return put;
        }
        let text = || value.as_str().map(str::to_owned).ok_or("must be a string");
        match key {
            "regional_domains" => self.regional_domains = regional_domains(value)?,
            "attribution" => {
                self.attribution = match value.as_str() {
                    Some("first_click") => AttributionModel::FirstClick,
                    Some("last_click") => AttributionModel::LastClick,
                    _ => return Err("must be first_click or last_click"),
                }
            }
            "window_days" => {
                let days = value.as_i64().filter(|d| (1..=3650).contains(d));
                self.window_days = days.ok_or("must be a whole number of days from 1 to 3650")?;
            }
            "time_zone" => {
                let name = text()?;
                crate::time::Zone::parse(&name).ok_or("must be an IANA time zone, or NY+7")?;
                self.time_zone = name;
            }
            "currency" => {
                let code = crate::money::Currency::parse(&text()?).ok_or("must be an ISO 4217 currency code")?;
                code.code().clone_into(&mut self.currency);
            }
            "plan" => self.plan = if value.is_null() { None } else { Some(text()?) },
            "plan_of" => {
                self.keeps_acquired_plan = match value.as_str() {
                    Some("acquisition") => true,
                    Some("current") => false,
                    _ => return Err("must be current or acquisition"),
                }
            }
            "auto_approve" => {
                self.auto_approve =
                    if value.is_null() { None } else { Some(value.as_bool().ok_or("must be true or false")?) };
            }
            "default_landing_page" => {
                let page = text()?;
                if !page.starts_with('/') || page.starts_with("//") {
                    return Err("must be a path that starts with one slash");
                }
                self.default_landing_page = page;
            }
            "fingerprint" => self.fingerprint = value.as_bool().ok_or("must be true or false")?,
            "unverified_types" => {
                let list = value.as_array().ok_or("must be a list of event types")?;
                let names = list.iter().map(|v| v.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
                self.unverified_types = names.ok_or("must be a list of event types")?;
            }
            "sources" => self.sources = sources(value)?,
            "unknown_customer" => {
                self.holds_unknown_customers = match value.as_str() {
                    Some("hold") => true,
                    Some("reject") => false,
                    _ => return Err("must be reject or hold"),
                }
            }
            "kpis" => self.kpis = kpi::read_all(value)?,
            "payout_minimum" => {
                let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                let minimum = || Decimal::parse(&text).ok().filter(|minimum| *minimum >= Decimal::ZERO);
                self.payout_minimum =
                    if value.is_null() { None } else { Some(minimum().ok_or("must be a decimal of 0 or more")?) };
            }
            "tree_visible" => self.tree_visible = value.as_bool().ok_or("must be true or false")?,
            "campaign" => self.campaign = value.as_object().cloned().ok_or("must be an object")?,
            _ => {}
        }
        Ok(())
    }

    /// The stored form, which [`Self::with`] reads back.
    pub fn to_json(&self) -> Map<String, Value> {
        let domains: Vec<_> =
            self.regional_domains.iter().map(|d| json!({"url": d.url, "countries": d.countries})).collect();
        let attribution = match self.attribution {
            AttributionModel::FirstClick => "first_click",
            AttributionModel::LastClick => "last_click",
        };
        let value = json!({
            "regional_domains": domains, "attribution": attribution, "window_days": self.window_days,
            "time_zone": self.time_zone, "currency": self.currency, "plan": self.plan, "plan_of": if self.keeps_acquired_plan { "acquisition" } else { "current" },
            "auto_approve": self.auto_approve,
            "default_landing_page": self.default_landing_page, "fingerprint": self.fingerprint,
            "unverified_types": self.unverified_types, "payout_minimum": self.payout_minimum.map(|m| m.to_string()),
            "sources": self.sources.iter().map(|(figure, source)| (figure.clone(), source.name().into())).collect::<Map<_, Value>>(),
            "unknown_customer": if self.holds_unknown_customers { "hold" } else { "reject" },
            "tree_visible": self.tree_visible, "campaign": self.campaign,
            "kpis": self.kpis.iter().map(EventConfiguration::to_json).collect::<Vec<_>>(),
        });
        let Value::Object(mut map) = value else { return Map::new() };
        self.inbound.write(&mut map);
        map
    }
}

/// A source that can be the truth for a figure: what was brought along from another program is priced by nobody.
fn truth(source: &Value) -> Option<Source> {
    Source::parse(source.as_str()?).filter(|source| *source != Source::Moved)
}

fn sources(value: &Value) -> Result<BTreeMap<String, Source>, &'static str> {
    const FORM: &str = "must be an object of a figure to push, forex, pull or events";
    let read = |(figure, source): (&String, &Value)| Some((figure.clone(), truth(source)?));
    value.as_object().and_then(|object| object.iter().map(read).collect()).ok_or(FORM)
}

fn regional_domains(value: &Value) -> Result<Vec<RegionalDomain>, &'static str> {
    const FORM: &str = "must be a list of {url, countries}";
    let mut domains = Vec::new();
    for item in value.as_array().ok_or(FORM)? {
        let url = item.get("url").and_then(Value::as_str).ok_or(FORM)?;
        check_site_url(url)?;
        let countries = item.get("countries").and_then(Value::as_array).ok_or(FORM)?;
        let countries = countries.iter().map(|c| c.as_str().map(str::to_ascii_uppercase)).collect::<Option<_>>();
        domains.push(RegionalDomain { url: url.to_owned(), countries: countries.ok_or(FORM)? });
    }
    Ok(domains)
}

/// A site is an absolute `http` or `https` URL without user, query or fragment.
pub fn check_site_url(text: &str) -> Result<url::Url, &'static str> {
    let parsed = url::Url::parse(text).map_err(|_| "must be an absolute URL, such as https://www.broker.example")?;
    if !matches!(parsed.scheme(), "http" | "https") || parsed.host().is_none() {
        return Err("must be an http or https URL");
    }
    if !parsed.username().is_empty()
        || parsed.password().is_some()
        || parsed.query().is_some()
        || parsed.fragment().is_some()
    {
        return Err("must have no user, query or fragment");
    }
    Ok(parsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_read_back_what_they_wrote() {
        let changes = json!({"attribution": "last_click", "window_days": 7, "plan": "ib", "currency": "eur", "payout_minimum": "50",
            "sources": {"deposit": "forex", "kpi:Rebate": "push"}, "unknown_customer": "hold",
            "plan_of": "acquisition", "tree_visible": true, "postback_token": "a-token-of-our-own", "postback_ips": ["10.0.0.0/8", "::1"],
            "postback_events": {"dep": "FIRST_DEPOSIT"},
            "regional_domains": [{"url": "https://de.broker.example", "countries": ["de", "AT"]}]});
        let Value::Object(changes) = changes else { panic!("an object") };
        let settings = Settings::default().with(&changes).expect("valid");
        assert_eq!(settings.currency, "EUR");
        assert_eq!(Settings::default().with(&settings.to_json()), Ok(settings));
    }

    #[test]
    fn a_wrong_setting_is_named() {
        for (key, value) in [
            ("window_days", json!(0)),
            ("time_zone", json!("Mars")),
            ("attribution", json!("any")),
            ("plan_of", json!("first")),
            ("tree_visible", json!("yes")),
            ("postback_token", json!("short")),
            ("postback_ips", json!(["10.0.0.0/64"])),
            ("postback_events", json!({"dep": "first_deposit"})),
            ("sources", json!({"lots": "mail"})),
        ] {
            let changes = Map::from_iter([(key.to_owned(), value)]);
            assert_eq!(Settings::default().with(&changes).expect_err("refused").key, key);
        }
    }
}
