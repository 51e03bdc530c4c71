//! A case told to a program on a store: every part of it by the operation that an operator or a dialect would call.

use headwater_app::app::App;
use headwater_app::commission::{CommissionFilter, CommissionRow};
use headwater_app::error::Error;
use headwater_app::exchange::DayRate;
use headwater_app::ingest::{
    CustomerRecord, FactKey, FactRecord, Field, Ingest, OnRepeat, Record, RecordStatus, Recorded, Referrer, Source,
};
use headwater_app::keep::Keep;
use headwater_app::ledger::BalanceFilter;
use headwater_app::partner::PartnerRequest;
use headwater_app::plan::PlanFailure;
use headwater_domain::attribution::{Evidence, Touch};
use headwater_domain::click::token::Traffic;
use headwater_domain::commission::{SplitPart, lint};
use headwater_domain::fact::FactBody;
use headwater_domain::ids::{AccountId, ClickId, CustomerId, FactId, LinkId, PartnerId, ProgramId, to_prefixed};
use headwater_domain::link::LINK_PREFIX;
use headwater_domain::money::{Currency, Decimal};
use headwater_domain::time::{Instant, Period};
use headwater_store::link::{NewLink, link_insert};
use headwater_store::repricing::{mark_program, periods_close};
use headwater_store::tenant::{account_insert, program_insert};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const ROWS_MAX: i64 = 100_000;

/// A program of its own on a store that other cases use too.
pub struct World {
    pub app: Arc<App>,
    pub account: AccountId,
    pub program: ProgramId,
    partners: BTreeMap<String, PartnerId>,
    links: BTreeMap<String, LinkId>,
    customers: BTreeMap<i64, String>,
    last_commission: i64,
    held: BTreeSet<(i64, String)>,
}

/// What a step did.
pub struct Outcome {
    pub postings: Vec<CommissionRow>,
    pub newly_held: Vec<String>,
}

/// The code with which a step was refused.
pub type Step<T> = Result<T, String>;

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} of {value}"))
}

fn word(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_owned)
}

pub fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn instant(text: &str) -> Instant {
    Instant::parse(text).unwrap_or_else(|| panic!("{text} is no instant"))
}

fn code(error: Error) -> String {
    match error {
        Error::Conflict { code, .. } => code.to_owned(),
        other => panic!("no refusal: {other}"),
    }
}

impl World {
    /// The partners, plans, rates and customers of the case.
    pub async fn open(app: &Arc<App>, case: &Value) -> Self {
        let mut world = Self::open_without_customers(app, case).await;
        let customers: Vec<Record> = list(case, "customers").map(|customer| world.customer(customer)).collect();
        world.record(customers).await;
        world
    }

    /// The partners, plans and rates of the case.
    pub async fn open_without_customers(app: &Arc<App>, case: &Value) -> Self {
        let made = app.store.money.write(async |tx| {
            let account = account_insert(tx, "case", 0).await?;
            let settings = r#"{"unknown_customer":"hold"}"#;
            Ok((account, program_insert(tx, account, "case", "https://www.broker.example", settings, 0).await?))
        });
        let (account, program) = made.await.expect("adds");
        app.refresh().await.expect("refreshes");
        let mut world = Self {
            app: Arc::clone(app),
            account: AccountId(account),
            program: ProgramId(program),
            partners: BTreeMap::new(),
            links: BTreeMap::new(),
            customers: BTreeMap::new(),
            last_commission: 0,
            held: BTreeSet::new(),
        };
        for partner in list(case, "partners") {
            world.add_partner(partner).await;
        }
        for partner in list(case, "partners") {
            if let Some(parent) = word(partner, "parent") {
                world.move_partner(text(partner, "id"), &parent, Instant(0)).await.expect("no cycle at the start");
            }
        }
        for customer in list(case, "customers") {
            if let (Some(link), Some(partner)) = (word(customer, "link"), word(customer, "partner")) {
                world.add_link(link, &partner).await;
            }
        }
        let plans: Vec<Value> = match (case.get("plan"), case.get("plans").and_then(Value::as_object)) {
            (Some(plan), _) => vec![plan.clone()],
            (None, plans) => plans.expect("a case has plans").values().cloned().collect(),
        };
        for plan in &plans {
            world.save_plan(plan).await.expect("the plan of a case is clean");
        }
        let fields = Map::from_iter([("plan".to_owned(), plans[0]["name"].clone())]);
        app.program_patch(world.account, world.program, &fields).await.expect("patches");
        for partner in list(case, "partners") {
            if let Some(plan) = word(partner, "plan") {
                let asked = PartnerRequest { plan: Some(Some(plan)), ..PartnerRequest::default() };
                app.partner_patch(world.account, text(partner, "id"), asked).await.expect("patches");
            }
        }
        for rate in list(case, "exchange_rates") {
            world.add_rate(rate).await;
        }
        world
    }

    /// Does what the step says, prices what it changed, and gives what that did.
    pub async fn step(&mut self, step: &Value) -> Step<Outcome> {
        let mut records: Vec<Record> =
            step.get("customer").map(|customer| self.customer(customer)).into_iter().collect();
        match step.get("fact") {
            Some(Value::Array(facts)) => records.extend(facts.iter().map(|one| self.fact(one))),
            Some(one) => records.push(self.fact(one)),
            None => {}
        }
        if !records.is_empty() {
            self.record(records).await;
        }
        if let Some(split) = step.get("split") {
            self.split(split).await?;
        }
        if let Some(rate) = step.get("exchange_rate") {
            self.add_rate(rate).await;
        }
        if let Some(moved) = step.get("move_partner") {
            let at = instant(text(moved, "at"));
            self.move_partner(text(moved, "partner"), text(moved, "parent"), at).await?;
        }
        for (key, suspended) in [("suspend_partner", true), ("restore_partner", false)] {
            if let Some(partner) = step.get(key) {
                let at = Some(instant(text(partner, "at")));
                let done = self.app.partner_suspend(self.account, text(partner, "partner"), suspended, at);
                done.await.expect("suspends");
            }
        }
        if let Some(plan) = step.get("plan") {
            let (name, number) = self.save_plan(plan).await?;
            let from = text(step, "from");
            let zone = lint(plan).expect("it was saved").zone;
            let day = from.parse().ok().map(|day| zone.start_of(day));
            let from = Instant::parse(from).or(day).expect("a date or an instant");
            self.app.plan_activate(self.account, &name, number, from).await.expect("activates");
        }
        if let Some(plan) = step.get("lint") {
            self.save_plan(plan).await?;
        }
        if let Some(period) = step.get("close_period") {
            self.close(period.as_str().and_then(Period::parse).expect("a period")).await;
        }
        self.app.reprice().await.expect("prices again");
        Ok(self.outcome().await)
    }

    /// One settlement of pushed records, none of which may be refused.
    pub async fn record(&mut self, records: Vec<Record>) -> Vec<Recorded> {
        let (account, program, source) = (self.account, self.program, Source::Push);
        let ingest = Ingest { account, program, source, all_or_nothing: false, records, keep: Keep::nothing() };
        let recorded = self.app.record(ingest).await.expect("records");
        for answer in &recorded {
            assert!(!matches!(answer.status, RecordStatus::Rejected(_)), "{answer:?}");
        }
        recorded
    }

    /// What was posted and held since it was asked last.
    pub async fn outcome(&mut self) -> Outcome {
        let all = self.app.commission_list(self.account, CommissionFilter::default(), ROWS_MAX).await.expect("lists");
        let postings: Vec<_> = all.into_iter().filter(|row| row.id > self.last_commission).collect();
        self.last_commission = postings.iter().map(|row| row.id).fold(self.last_commission, i64::max);
        let held = self.app.held_list(self.account, None, None, ROWS_MAX).await.expect("lists");
        let held: BTreeSet<_> = held.into_iter().map(|row| (row.fact_id, row.reason)).collect();
        let newly_held = held.difference(&self.held).map(|(_, reason)| reason.clone()).collect();
        self.held = held;
        Outcome { postings, newly_held }
    }

    /// What is held now, each fact by its type and with the reason, sorted.
    pub async fn held_now(&self) -> Vec<String> {
        let mut told = Vec::new();
        for row in self.app.held_list(self.account, None, None, ROWS_MAX).await.expect("lists") {
            let story = self.app.fact_read(self.account, FactId(row.fact_id)).await.expect("reads");
            told.push(format!("{}: {}", story.fact.kind, row.reason));
        }
        told.sort();
        told
    }

    /// What every partner and customer has in every unit, by the ledger's accounts; and what is left over in a unit.
    pub async fn totals(&mut self) -> (BTreeMap<(String, String), Decimal>, BTreeMap<String, i64>) {
        let mut totals: BTreeMap<(String, String), Decimal> = BTreeMap::new();
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for row in self.app.balance_list(self.account, BalanceFilter::default()).await.expect("lists") {
            *sums.entry(row.unit.clone()).or_default() += row.balance;
            if row.owner != "program" {
                let owner = self.owner(&row.owner).await;
                totals.entry((owner, row.unit)).or_insert(Decimal::ZERO).0 += row.balance;
            }
        }
        totals.retain(|_, amount| *amount != Decimal::ZERO);
        sums.retain(|_, sum| *sum != 0);
        (totals, sums)
    }

    /// The name in the case of whom a posting or account is of.
    pub async fn owner(&mut self, owner: &str) -> String {
        let (kind, id) = owner.split_once(':').expect("a kind and a number");
        let id: i64 = id.parse().expect("a number");
        if kind == "partner" {
            let named = self.partners.iter().find(|(_, partner)| partner.0 == id);
            return named.map(|(name, _)| name.clone()).expect("a partner of the case");
        }
        if !self.customers.contains_key(&id) {
            let story = self.app.customer_read(self.account, CustomerId(id)).await.expect("reads");
            self.customers.extend(story.accounts.into_iter().filter_map(|row| Some((row.id, row.external_id?))));
        }
        format!("customer:{}", self.customers[&id])
    }

    async fn save_plan(&self, document: &Value) -> Step<(String, i64)> {
        let mut document = document.clone();
        for rule in document["rules"].as_array_mut().into_iter().flatten() {
            let Some(links) = rule.get_mut("when").and_then(|when| when.get_mut("link")) else { continue };
            let public = |name: &Value| {
                let link = self.links.get(name.as_str().unwrap_or_default());
                link.map_or_else(|| name.clone(), |link| json!(to_prefixed(LINK_PREFIX, link.0, Instant(0))))
            };
            *links = links.as_array().expect("a list").iter().map(public).collect();
        }
        match self.app.plan_save(self.account, &document, Keep::nothing()).await {
            Ok(saved) => Ok(saved),
            Err(PlanFailure::Refused(mistakes)) => Err(mistakes[0].path.clone()),
            Err(PlanFailure::Other(error)) => panic!("{error}"),
        }
    }

    async fn add_partner(&mut self, partner: &Value) {
        let rate = |(rule, rate): (&String, &Value)| {
            (rule.clone(), Decimal::parse(rate.as_str().expect("text")).expect("a decimal"))
        };
        let asked = PartnerRequest {
            id: word(partner, "id"),
            name: word(partner, "id"),
            rates: partner.get("rates").and_then(Value::as_object).map(|rates| rates.iter().map(rate).collect()),
            ..PartnerRequest::default()
        };
        let made = self.app.partner_create(self.account, asked, Keep::nothing()).await.expect("creates");
        self.partners.insert(text(partner, "id").to_owned(), made.id);
        assert!(partner.get("status").is_none(), "a partner's first status is not told by this test");
    }

    async fn move_partner(&self, partner: &str, parent: &str, at: Instant) -> Step<()> {
        self.app.partner_move(self.account, partner, Some(parent), Some(at)).await.map(drop).map_err(code)
    }

    async fn add_link(&mut self, name: String, partner: &str) {
        let new = NewLink {
            account_id: self.account.0,
            program_id: self.program.0,
            partner_id: self.partners[partner].0,
            landing_page: "/".into(),
            encrypt_partner_id: false,
            region_routing: false,
            lang: None,
            utm: "{}".into(),
            tracking_id: name.clone(),
            metadata: "{}".into(),
            is_default: false,
            created_at: 0,
        };
        let made = self.app.store.money.write(async move |tx| link_insert(tx, &new).await).await.expect("adds");
        self.links.insert(name, LinkId(made.expect("no default link")));
        self.app.refresh().await.expect("refreshes");
    }

    async fn add_rate(&self, rate: &Value) {
        let currency = |key| Currency::parse(text(rate, key)).expect("a currency");
        let day = DayRate {
            date: text(rate, "date").to_owned(),
            from: currency("from"),
            to: currency("to"),
            rate: Decimal::parse(text(rate, "rate")).expect("a decimal"),
        };
        self.app.exchange_rates_put(self.account, vec![day]).await.expect("puts");
    }

    /// What time does, done at once.
    async fn close(&self, period: Period) {
        let (program, day) = (self.program.0, period.next().first_day.to_string());
        let mark = self.app.next_id(self.app.clock.now());
        let close = async move |tx: &headwater_store::backend::Tx<'_>| {
            periods_close(tx, program, &day).await?;
            mark_program(tx, program, mark).await
        };
        self.app.store.money.write(close).await.expect("closes");
        self.app.refresh().await.expect("refreshes");
    }

    /// Who shares, by the names of the case.
    fn parts(&self, value: &Value, key: &str) -> Vec<SplitPart> {
        let part = |part: &Value| SplitPart {
            partner: self.partners[text(part, "partner")],
            percent: Decimal::parse(text(part, "percent")).expect("a decimal"),
        };
        list(value, key).map(part).collect()
    }

    pub async fn split(&self, value: &Value) -> Step<()> {
        let customer = self.app.customer_named(self.account, text(value, "customer")).await;
        let customer = customer.map_err(|_| "unknown_customer".to_owned())?;
        let (parts, at) = (self.parts(value, "parts"), Some(instant(text(value, "at"))));
        self.app.customer_split(self.account, customer, parts, at).await.map_err(|_| "split".to_owned())
    }

    pub fn customer(&self, value: &Value) -> Record {
        let set = |key| word(value, key).map_or(Field::Keep, Field::Set);
        let referrer = word(value, "partner").map_or(Referrer::Unsaid, |name| {
            let partner = self.partners[&name];
            let link = word(value, "link").map(|link| self.links[&link]);
            let evidence = Evidence::Click;
            let touch = link.map(|link| Touch {
                click: ClickId(1),
                link,
                partner,
                at: Instant(0),
                evidence,
                traffic: Traffic::Open,
            });
            Referrer::Partner(partner, touch)
        });
        Record::Customer(Box::new(CustomerRecord {
            customer: text(value, "id").to_owned(),
            number: None,
            revision: None,
            registered_at: Some(word(value, "registered_at").map_or(Instant(0), |at| instant(&at))),
            email: set("email"),
            person: word(value, "person"),
            name: Field::Keep,
            country: set("country"),
            account_type: set("account_type"),
            campaign: set("campaign"),
            attributes: Map::new(),
            referrer,
            split: self.parts(value, "split"),
        }))
    }

    pub fn fact(&self, value: &Value) -> Record {
        let mut value = value.clone();
        if let Some(partner) = word(&value, "partner") {
            value["partner"] = self.partners[&partner].to_string().into();
        }
        let value = &value;
        let body = FactBody::from_json(text(value, "type"), value).unwrap_or_else(|| panic!("{value}"));
        let revision = value.get("revision").map(|revision| match revision {
            Value::String(time) => instant(time).0,
            number => number.as_i64().expect("a whole number"),
        });
        Record::Fact(Box::new(FactRecord {
            customer: text(value, "customer").to_owned(),
            key: word(value, "key").map_or(FactKey::Natural, FactKey::Own),
            revision,
            at: word(value, "at").map(|at| instant(&at)),
            body,
            attributes: Map::new(),
            on_repeat: OnRepeat::Replace,
        }))
    }
}
